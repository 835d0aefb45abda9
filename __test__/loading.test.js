'use strict';

// Which files of the package a program loads, and when: each file delays its start.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { promisify } = require('node:util');

const { OF_CLIENT, SWITCH } = require('../lib/internal/codec/negotiation.js');
const { unixPath } = require('./support/addresses.js');

const ROOT = path.dirname(__dirname);
const limit = { timeout: 90_000 };

/**
 * Runs a program in a new process. `Sockhop` is the package; `loaded()` names the files of it that
 * are loaded, and `path` is that of a Unix socket.
 *
 * @param {string} program
 * @param {string} [shell] a command for the shell that starts the process
 * @returns {Promise<*>} what the program gives to `done()`
 */
async function run(program, shell = '') {
  const endings = [];
  const socket = unixPath({ after: (end) => endings.push(end) });
  const text = `
    const net = require('node:net');
    const tls = require('node:tls');
    const root = ${JSON.stringify(ROOT)};
    const path = ${JSON.stringify(socket)};
    const Sockhop = require(root);
    const loaded = () => Object.keys(require.cache)
      .filter((file) => file.startsWith(root) && file.endsWith('.js'))
      .map((file) => require('node:path').relative(root, file).replaceAll('\\\\', '/'));
    const done = (value) => {
      require('node:fs').writeSync(1, JSON.stringify(value));
      process.exit();
    };
    (async () => {${program}})();
  `;
  const [file, ...args] =
    shell === ''
      ? [process.execPath, '-e', text]
      : ['/bin/sh', '-c', `${shell}; exec "$0" -e "$1"`, process.execPath, text];
  try {
    const { stdout } = await promisify(execFile)(file, args);
    return JSON.parse(stdout);
  } finally {
    for (const end of endings) await end();
  }
}

/** A client, with a server of `net` that answers its message by one of its own. */
const CLIENT = `
  const server = net.createServer((sock) =>
    sock.once('data', () => sock.write('{"type":"Object","data":{}}\\n')),
  );
  await new Promise((resolve) => server.listen(path, resolve));
  const client = new Sockhop.client({ path });
  client.on('receive', () => done(loaded()));
  await client.connect();
  client.send({});
`;

/** A server, with a client of `net`. */
const SERVER = `
  const server = new Sockhop.server({ path });
  server.on('receive', (object, { socket }) => {
    server.send(socket, {});
    server.sendall({});
    done(loaded());
  });
  await server.listen();
  net.connect(path, function () {
    this.write('{"type":"Object","data":{}}\\n');
  });
`;

describe('the package', () => {
  it('loads only its classes', limit, async () => {
    const files = await run('done(loaded());');
    assert.ok(files.length <= 20, files.join('\n'));
  });

  for (const [end, program, most] of [
    ['client', CLIENT, 78],
    ['server', SERVER, 78],
  ]) {
    it(`loads for a ${end} what it needs for messages`, limit, async () => {
      const files = await run(program);
      assert.ok(files.length <= most, files.join('\n'));
      const others =
        /\/(tls|cluster|cli)\/|rich-(?!format)|stream-transport|offline|systemd|binding-error/;
      assert.deepEqual(
        files.filter((file) => others.test(file)),
        [],
      );
    });
  }

  it(
    'requires no module when a client connects again: Jest refuses that after the tests of a file',
    limit,
    async () => {
      const [attempts, asked] = await run(`
      const Module = require('node:module');
      const { _load } = Module;
      const asked = [];
      let attempts = 0;
      const client = new Sockhop.client({ address: 'localhost', port: 1, auto_reconnect_interval: 20 });
      client.auto_reconnect = true;
      client.on('error', () => {});
      client.on('reconnecting', () => {
        attempts += 1;
        if (attempts === 4) done([attempts, asked]);
      });
      await client.connect().catch(() => {});
      Module._load = function (request, parent, ...rest) {
        if (request.startsWith('.') && parent?.filename?.startsWith(root)) asked.push(request);
        return _load.call(this, request, parent, ...rest);
      };
    `);
      assert.deepEqual([attempts, asked], [4, []]);
    },
  );

  it('has one copy of each class in Jest, where modules are reset', {
    ...limit,
    skip: process.platform === 'win32',
  }, async () => {
    const areOwn = await run(
      `
      for (const file of Object.keys(require.cache)) delete require.cache[file];
      const server = new Sockhop.server({ path });
      await server.listen();
      const client = new Sockhop.client({ path });
      const connected = new Promise((resolve) => server.once('connect', resolve));
      await client.connect();
      const sock = await connected;
      const refusal = await server.send(null, {}).catch((err) => err);
      done([sock instanceof Sockhop.SockhopSocket, refusal instanceof Sockhop.error]);
    `,
      'export JEST_WORKER_ID=1',
    );
    assert.deepEqual(areOwn, [true, true]);
  });

  it(
    'gives the classes of exports that are frozen, and is not changed through an object that inherits',
    limit,
    async () => {
      const [frozen, inherited] = await run(`
      const inheriting = Object.create(Sockhop);
      inheriting.SockhopPong = 5;
      const inherited = [typeof Sockhop.SockhopPong, inheriting.SockhopPong];
      Object.freeze(Sockhop);
      done([typeof Sockhop.ObjectBuffer, inherited]);
    `);
      assert.equal(frozen, 'function');
      assert.deepEqual(inherited, ['function', 5]);
    },
  );

  it('has classes as ordinary exports once they are read or assigned', limit, async () => {
    const [names, before, read, assigned] = await run(`
      const names = Object.keys(Sockhop);
      const isMade = (name) => 'value' in Object.getOwnPropertyDescriptor(Sockhop, name);
      const before = isMade('SockhopPing');
      new Sockhop.SockhopPing();
      Sockhop.ObjectBuffer = 5;
      done([names, before, isMade('SockhopPing'), Sockhop.ObjectBuffer]);
    `);
    assert.ok(names.includes('SockhopSocket'));
    assert.deepEqual([before, read, assigned], [false, true, 5]);
  });
});

describe('a process without a free descriptor', { skip: process.platform === 'win32' }, () => {
  /** Messages of every kind; `offer` follows the first one, and `isEnough` is code of the peer. */
  const conversation = (offer, isEnough) => `
    const fs = require('node:fs');
    const log = [];
    const server = new Sockhop.server({ path });
    server.on('error', ({ code }) => log.push(code));
    server.on('request', ({ data }) => log.push(data));
    server.on('receive', (object, { socket }) => {
      log.push(object);
      if (object === 1) return;
      server.sendall(object);
      server.request(socket, {});
      server.call(socket, {}).catch(() => {});
      server.send(socket, {}, () => done([...log, loaded().length - before]));
    });
    await server.listen();
    const peer = net.connect(path);
    await new Promise((resolve) => server.once('connect', resolve));
    try {
      for (;;) fs.openSync('/dev/null');
    } catch ({ code }) {
      log.push(code);
    }
    const before = loaded().length;
    peer.write(${JSON.stringify(`{"type":"Object","data":1}${offer}\n`)});
    peer.write('not JSON\\n');
    peer.write('{"type":"SockhopRequest","data":{"uuid":"a","type":"String","data":"b"}}\\n');
    peer.write('{"type":"Object","data":2}\\n');
    let text = '';
    peer.on('data', (chunk) => {
      text += chunk;
      ${isEnough}
    });
  `;
  const log = ['EMFILE', 1, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA', 'b', 2];

  it('sends and gets messages and errors, for which no file is loaded', limit, async () => {
    const answerTheLast = `
      const ids = [...text.matchAll(/"id":"([^"]*)"/g)].map(([, id]) => id);
      if (ids.length < 2 || !text.includes('"data":2') || !text.includes('SockhopRequest')) return;
      peer.write('{"type":"Object","data":{},"callback_id":"' + ids[1] + '"}\\n');
    `;
    assert.deepEqual(await run(conversation('', answerTheLast), 'ulimit -n 100'), [...log, 0]);
  });

  it('loads the codec for an offer, with the descriptors that it keeps', limit, async () => {
    const waitForBinary = `if (text.includes(${JSON.stringify(`${SWITCH}\n`)})) done(log);`;
    assert.deepEqual(await run(conversation(OF_CLIENT, waitForBinary), 'ulimit -n 100'), log);
  });
});

describe('a function that a program replaces after it has loaded the package', () => {
  const replaced = {
    'net.createConnection()': `
      const { createConnection } = net;
      net.createConnection = (...args) => (done(true), createConnection(...args));
      new Sockhop.client({ path }).connect().catch(() => {});
    `,
    'the connect() of net.Socket': `
      net.Socket.prototype.connect = () => done(true);
      new Sockhop.client({ path }).connect().catch(() => {});
    `,
    'tls.connect()': `
      tls.connect = () => (done(true), new net.Socket());
      new Sockhop.client({ port: 1, ssl: true }).connect().catch(() => {});
    `,
    'net.createServer()': `
      const { createServer } = net;
      net.createServer = (...args) => (done(true), createServer(...args));
      new Sockhop.server({ path });
    `,
    'the write() of net.Socket': `
      const { write } = net.Socket.prototype;
      const server = new Sockhop.server({ path });
      await server.listen();
      net.Socket.prototype.write = function (...args) {
        done(true);
        return write.apply(this, args);
      };
      const client = new Sockhop.client({ path });
      await client.connect();
      client.send({});
    `,
  };
  const methods = {
    'unanswered() of pings': `
      Sockhop.SockhopPing.prototype.unanswered = () => (done(true), false);
      const server = new Sockhop.server({ path });
      await server.listen();
      const client = new Sockhop.client({ path });
      await client.connect();
      client.ping(10);
    `,
    'obj2buf() of ObjectBuffers': `
      Sockhop.ObjectBuffer.prototype.obj2buf = () => (done(true), Buffer.alloc(0));
      const server = new Sockhop.server({ path });
      await server.listen();
      const client = new Sockhop.client({ path });
      await client.connect();
      client.send({});
    `,
  };
  for (const [name, program] of Object.entries({ ...replaced, ...methods })) {
    it(`is called: ${name}`, limit, async () => {
      assert.equal(await run(program), true);
    });
  }

  it('is not used for its own input and output: timers', limit, async () => {
    const received = await run(`
      for (const name of ['setImmediate', 'setTimeout', 'queueMicrotask']) globalThis[name] = () => {};
      process.nextTick = () => {};
      const server = new Sockhop.server({ path });
      server.on('receive', (object) => done(object));
      await server.listen();
      const client = new Sockhop.client({ path });
      await client.connect();
      client.send({ a: 1 });
    `);
    assert.deepEqual(received, { a: 1 });
  });
});
