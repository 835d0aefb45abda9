'use strict';

/*
 * Counts the hostile inputs that end a process. Each is sent to a server and to a client in a
 * process of its own, which is started again when it dies.
 *
 *   node __test__/chaos/hostile.js [--implementation native|original]
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const { freePort } = require('../support/addresses.js');
const { implementations } = require('../support/implementations.js');
const { hostileInputs } = require('./hostile-inputs.js');

/** The time that a process has for an input before it counts as stuck, in ms. */
const PATIENCE_MS = 15_000;

/** The target, which answers every question and listens for errors, as a careful program does. */
async function target(module, role, port) {
  const sockhop = require(module);
  const side =
    role === 'server'
      ? new sockhop.server({ port, address: '127.0.0.1' })
      : new sockhop.client({ port, address: '127.0.0.1', auto_reconnect_interval: 20 });
  side.on('error', () => {});
  side.on('receive', (object, meta) => {
    if (object?.mark !== undefined) process.send({ mark: object.mark });
    else meta.callback?.({ answer: 1 });
  });
  side.on('request', (_request, response) => {
    Promise.resolve(response.send('answer')).catch(() => {});
  });
  if (role === 'server') await side.listen();
  else side.auto_reconnect = true;
  process.send({ ready: true });
}

async function attack(implementation, role, inputs) {
  const port = await freePort();
  const found = { inputs: 0, died: [], stuck: [] };
  let child = null;
  let listener = null;
  let sockets = [];
  const connected = [];
  if (role === 'client') {
    listener = net.createServer((socket) => {
      socket.on('error', () => {});
      connected.push(socket);
      listener.emit('peer');
    });
    await new Promise((resolve) => listener.listen(port, '127.0.0.1', resolve));
  }
  const start = async () => {
    child = fork(__filename, ['target', implementations[implementation], role, String(port)], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    child.exited = once(child, 'exit');
    await once(child, 'message');
  };
  /** A fresh connection with the target. */
  const peer = async () => {
    let socket;
    if (role === 'server') {
      socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      await once(socket, 'connect');
    } else {
      while (connected.length === 0) await once(listener, 'peer');
      socket = connected.shift();
    }
    socket.resume();
    sockets.push(socket);
    return socket;
  };
  await start();
  let number = 0;
  for (const [name, bytes] of inputs) {
    number += 1;
    found.inputs += 1;
    const mine = number;
    const socket = await peer();
    const marked = new Promise((resolve) => {
      const look = ({ mark }) => {
        if (mark !== mine) return;
        child.removeListener('message', look);
        resolve('alive');
      };
      child.on('message', look);
    });
    socket.write(bytes);
    socket.write(`${JSON.stringify({ type: 'Object', data: { mark: mine } })}\n`);
    let timer;
    const outcome = await Promise.race([
      marked,
      child.exited.then(() => 'died'),
      new Promise((resolve) => {
        timer = setTimeout(resolve, PATIENCE_MS, 'stuck');
      }),
    ]);
    clearTimeout(timer);
    for (const each of sockets) each.destroy();
    sockets = [];
    if (outcome !== 'alive') {
      found[outcome].push(name);
      if (outcome === 'stuck') child.kill('SIGKILL');
      await child.exited;
      for (const each of connected.splice(0)) each.destroy();
      await start();
    }
  }
  child.kill('SIGKILL');
  listener?.close();
  return found;
}

async function main(implementation) {
  const inputs = hostileInputs();
  const result = { implementation };
  for (const role of ['server', 'client']) {
    const { inputs: count, died, stuck } = await attack(implementation, role, inputs);
    result[role] = {
      inputs: count,
      died: died.length,
      stuck: stuck.length,
      examples: [...died, ...stuck].slice(0, 5),
    };
  }
  console.log(JSON.stringify(result));
  process.exit();
}

if (process.argv[2] === 'target') target(...process.argv.slice(3));
else main(process.argv[3] ?? 'native');
