'use strict';

/*
 * Runs a program in a separate process with a hostile peer, which sends malformed messages, answers
 * with garbage, and disconnects at once.
 */

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { cleanup } = require('./cleanup.js');
const { STEP, deadline } = require('./deadline.js');
const { hostileInputs } = require('../chaos/hostile-inputs.js');

const PING =
  '{"type":"SockhopPing","data":{"_id":"alive?","_created":"2024-01-01T00:00:00.000Z"}}\n';
/** The time between two attempts to reach the listener, in ms. */
const LOOK = 20;

/** Deeper than the stack of a function that calls itself, by a factor of two. */
const DEEP = 25_000;

/** JSON texts that a program may not expect as the data of a message of its own. */
const DATA = [
  'null',
  '5',
  '"text"',
  '[]',
  '{}',
  '[null]',
  '{"constructor":null}',
  '{"toString":1,"valueOf":1,"toJSON":1}',
  '{"name":{},"password":[],"token":null,"text":{"toString":1},"method":{},"args":5,"from":{},"to":1e99}',
  '{"name":null,"password":"swordfish","token":"token of ada","text":null,"method":"sort","args":[5]}',
  '{"method":"add","args":[{"toString":1},{"valueOf":1}],"from":0,"to":1e300,"table":{},"count":1e300}',
  `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`,
];

/** Types of messages that a program need not know. */
const ORDINARY = ['Object', 'String', 'Array'];

/** The messages that were made before, by their types: most programs get the same. */
const made = new Map();

/** Every kind of message with every data, with and without a question mark, for each type once. */
function messages(types) {
  const distinct = [...new Set(types)];
  const key = distinct.join();
  if (!made.has(key)) made.set(key, makeMessages(distinct));
  return made.get(key);
}

function makeMessages(types) {
  const texts = ['null', 'not JSON', '{"type":1}', '{}', '[]', '5'];
  for (const type of types) {
    texts.push(`{"type":"${type}"}`, `{"type":"${type}","id":"q"}`);
    for (const data of DATA) {
      texts.push(`{"type":"${type}","data":${data}}`, `{"type":"${type}","data":${data},"id":"q"}`);
      texts.push(`{"type":"${type}","data":${data},"callback_id":"q"}`, data);
      texts.push(
        `{"type":"SockhopRequest","data":{"uuid":"u","type":"${type}","data":${data}}}`,
        `{"type":"SockhopResponsePacket","data":{"uuid":"u","type":"${type}","data":${data},"last":true}}`,
      );
    }
  }
  return Array.from(new Set(texts), (text) => Buffer.from(`${text}\n`));
}

/**
 * Starts a program.
 *
 * @param {object} t the test context; a program that still runs at the end of the test is killed
 * @param {string[]} args for Node
 * @param {{cwd?: string, env?: object}} options as `spawn()` takes them
 */
function startProgram(t, args, options) {
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout = (stdout + text).slice(-20_000);
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr = (stderr + text).slice(-20_000);
  });
  let over = false;
  const ended = once(child, 'close').then(([code, signal]) => {
    over = true;
    return { code, signal, stdout, stderr };
  });
  cleanup(t, () => {
    child.kill('SIGKILL');
    return ended;
  });
  const death = ended.then(({ code, signal }) => {
    throw new Error(`the program has ended, ${signal ?? `code ${code}`}\n${stderr}`);
  });
  death.catch(() => {});
  return {
    ended: () => deadline(ended, 'the program to end by itself'),
    /** Rejects if the program ends before the promise is settled. */
    alive: (promise, what) => deadline(Promise.race([promise, death]), what, 2 * STEP),
    isOver: () => over,
    output: () => stdout,
  };
}

/** A socket that discards the data it receives, and may fail. */
function quiet(socket) {
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

/** A connection to a program that listens, or is about to. */
async function reach(program, where) {
  while (!program.isOver()) {
    const socket = where.secure ? tls.connect({ ...where, ...where.secure }) : net.connect(where);
    try {
      await once(socket, where.secure ? 'secureConnect' : 'connect');
      return quiet(socket);
    } catch (err) {
      if (err.code !== 'ECONNREFUSED' && err.code !== 'ENOENT') throw err;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }
  throw new Error('the program has ended');
}

/** Resolves once the other side has answered a ping, sent after the text that it expects first. */
function pong(socket, first = '') {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
      if (text.includes('alive?')) resolve();
    });
    socket.on('close', () => reject(new Error('the connection was closed')));
    socket.write(first + PING);
  });
}

/** Writes, and waits until the system has all of it or the other side has ended the connection. */
function say(socket, bytes) {
  return new Promise((resolve) => {
    const done = () => {
      socket.removeListener('close', done);
      resolve();
    };
    socket.once('close', done);
    socket.write(bytes, done);
  });
}

/**
 * Attacks a program that listens, and asserts that it serves an honest peer afterwards.
 *
 * @param {object} program
 * @param {object} where
 * @param {string[]} known the types with which the program compares that of a message
 * @param {string} [first] the text that it expects at first
 */
async function attackServer(program, where, known, first) {
  // Each step has a deadline of its own, because a busy machine takes long for all of them.
  const connect = () => program.alive(reach(program, where), 'a connection to be accepted');
  const write = (socket, bytes) => program.alive(say(socket, bytes), 'the program to read');
  // All inputs use one connection, as long as the program leaves it open.
  let socket = await connect();
  const all = [...messages([...known, ...ORDINARY]), ...hostileInputs({ heavy: false }).values()];
  for (const bytes of all) {
    if (socket.destroyed) socket = await connect();
    await write(socket, bytes);
  }
  socket.destroy();
  // Each message uses two connections of its own: one ends in order, and one is broken at once. One
  // type stands for all that the program does not know, because how a connection ends does not
  // depend on them.
  for (const bytes of messages([...known, 'Object'])) {
    const orderly = await connect();
    const closed = new Promise((resolve) => orderly.once('close', resolve));
    orderly.end(bytes);
    await program.alive(closed, 'the program to close the connection');
    const brief = await connect();
    await write(brief, bytes);
    if (where.port && !where.secure && brief.resetAndDestroy) brief.resetAndDestroy();
    else brief.destroy();
  }
  for (let i = 0; i < 20; i++) (await connect()).destroy();
  const honest = await program.alive(reach(program, where), 'an honest peer to be accepted');
  await program.alive(pong(honest, first), 'an honest peer to be answered');
  honest.destroy();
}

/**
 * Acts as a hostile server for a program that connects to a port, repeatedly.
 *
 * @param {object} t the test context
 * @param {object} program
 * @param {number} port
 * @param {string[]} known as for `attackServer()`
 */
async function attackClient(t, program, port, known) {
  const sockets = [];
  const waiting = [];
  const server = net.createServer((socket) => {
    const next = waiting.shift();
    if (next) next(quiet(socket));
    else sockets.push(quiet(socket));
  });
  cleanup(t, () => server.close());
  server.listen(port, '127.0.0.1');
  const accept = () => sockets.shift() ?? new Promise((resolve) => waiting.push(resolve));
  const inputs = [...hostileInputs({ heavy: false }).values()];

  let socket = await program.alive(accept(), 'the client to connect');
  // The connection ended before the peer could send anything.
  socket.destroy();
  socket = await program.alive(accept(), 'the client to connect again');
  for (const bytes of [...messages([...known, ...ORDINARY]), ...inputs]) {
    if (socket.destroyed) socket = await program.alive(accept(), 'the client to connect again');
    await program.alive(say(socket, bytes), 'the client to take what it is sent');
  }
  socket.destroy();
  const honest = await program.alive(accept(), 'the client to come back');
  await program.alive(pong(honest), 'the client to answer an honest server');
  honest.destroy();
}

/** The types with which a program's text compares `type`. */
function typesIn(source) {
  return Array.from(source.matchAll(/type [!=]== '(\w+)'/g), ([, type]) => type);
}

module.exports = { attackClient, attackServer, startProgram, typesIn };
