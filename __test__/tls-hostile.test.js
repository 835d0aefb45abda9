'use strict';

// Clients that attack a server with TLS do not affect its other clients.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const { makeClient, startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

/** The record of a handshake with 512 bytes, of which nothing follows. */
const TORN_HELLO = Buffer.from([0x16, 3, 1, 2, 0]);

let authority;
before(async () => {
  authority = await hierarchy();
});

const trusting = (options) => ({ ca: authority.root.cert, servername: 'localhost', ...options });

async function start(t, options = {}, ssl_options = {}) {
  const identity = { cert: authority.chain, key: authority.server.key };
  const started = await startServer(
    t,
    { ssl_options: { ...identity, ...ssl_options }, ...options },
    { port: 0 },
  );
  const { port } = started.server.server.address();
  started.server.on('receive', (object, meta) => meta.callback?.({ got: object }));
  return { ...started, port };
}

/** A client that a server answers. */
async function isServed(t, port) {
  const { client } = makeClient(t, { port }, { ssl_options: trusting(), connect_timeout: 60_000 });
  await client.connect();
  const answer = new Promise((resolve) => client.send({ n: 1 }, resolve));
  assert.deepEqual(await deadline(answer, 'an answer'), { got: { n: 1 } });
  await client.disconnect();
}

/** Plain connections; each writes `bytes`. */
async function open(t, port, count, bytes = undefined) {
  const sockets = [];
  cleanup(t, () => {
    for (const socket of sockets) socket.destroy();
  });
  const opening = Array.from({ length: count }, async () => {
    const socket = net.connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    if (bytes) socket.write(bytes);
  });
  await deadline(Promise.all(opening), 'the connections');
  return sockets;
}

/** A TLS client of Node whose bytes pass `pass(bytes, socket)` on their way to the server. */
function tlsThrough(t, port, pass, options = {}) {
  const socket = net.connect(port, '127.0.0.1');
  cleanup(t, () => socket.destroy());
  socket.on('error', () => {});
  const between = new Duplex({
    read() {},
    write(bytes, _encoding, done) {
      pass(bytes, socket, done);
    },
    final(done) {
      socket.end(done);
    },
  });
  socket.on('data', (bytes) => between.push(bytes));
  socket.on('end', () => between.push(null));
  const client = tls.connect({ socket: between, ...trusting(options) });
  client.on('error', () => {});
  client.resume();
  return { client, socket };
}

describe('a server with TLS', { skip }, () => {
  it('serves others while 1,000 clients send nothing', limit, async (t) => {
    const { server, port } = await start(t, { max_handshakes: 4 });
    await open(t, port, 1000);
    await isServed(t, port);
    assert.equal(server.stats().failed_handshakes, 0);
  });

  it(
    'serves others while more handshakes have stalled than it runs at a time',
    limit,
    async (t) => {
      const { log, port } = await start(t, { max_handshakes: 4 });
      await open(t, port, 8, TORN_HELLO);
      await isServed(t, port);
      const { args } = await log.next('error');
      assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    },
  );

  it('serves others while handshakes of OpenSSL have stalled', limit, async (t) => {
    const openssl = { sessionTimeout: 300 };
    const { server, log, port } = await start(t, { max_handshakes: 4 }, openssl);
    await open(t, port, 4, TORN_HELLO);
    await open(t, port, 2);
    await isServed(t, port);
    const { args } = await log.next('error');
    assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    assert.equal(typeof args[0].port, 'number');
    const { failed_handshakes, handshake_timeouts } = server.stats();
    assert.equal(failed_handshakes, handshake_timeouts);
  });

  for (const [way, options] of [
    ['on the threads of the package', {}],
    ['through OpenSSL', { sessionTimeout: 300 }],
  ]) {
    it(`ends handshakes that wait too long for their turn, ${way}`, limit, async (t) => {
      const { server, port } = await start(
        t,
        { max_handshakes: 1, handshake_timeout: 4000 },
        options,
      );
      // With a turn of its own for each, the last one would be over after a minute.
      const sockets = await open(t, port, 20, TORN_HELLO);
      const began = Date.now();
      await until(() => server.stats().handshake_timeouts === 20, 'all have ended');
      assert.ok(Date.now() - began < 40_000);
      await until(() => sockets.every(({ destroyed }) => destroyed), 'the end of all');
      await isServed(t, port);
    });
  }

  it('reports clients with invented alerts as one kind', limit, async (t) => {
    const { server, log, port } = await start(t);
    const invented = Array.from({ length: 50 }, (_, number) => 150 + number);
    for (const number of invented) {
      await open(t, port, 1, Buffer.from([0x15, 3, 3, 0, 2, 2, number]));
    }
    await until(() => server.stats().failed_handshakes === invented.length, 'all have failed');
    await log.next('error');
    await isServed(t, port);
    const codes = log.entries
      .filter(({ name }) => name === 'error')
      .map(({ args }) => args[0].code);
    assert.deepEqual([...new Set(codes)], ['ERR_SSL_UNEXPECTED_MESSAGE']);
  });

  it('keeps stalled handshakes while there is room for all', limit, async (t) => {
    const { server, log, port } = await start(t, { handshake_timeout: 4500, max_handshakes: 4 });
    const began = Date.now();
    await open(t, port, 3, TORN_HELLO);
    await isServed(t, port);
    const { args } = await log.next('error');
    assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    // Timers of Node and of the runtime may differ by a few milliseconds.
    assert.ok(Date.now() - began >= 4400, 'they had the whole of handshake_timeout');
    await until(() => server.stats().handshake_timeouts === 3, 'all have ended');
  });

  it('frees the descriptors of handshakes that failed', limit, async (t) => {
    const { server, port } = await start(t, { handshake_timeout: 100 });
    const sockets = await open(t, port, 100, TORN_HELLO);
    await deadline(
      Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close'))),
      'the end of all',
    );
    await until(() => server.stats().handshake_timeouts === 100, 'all are counted');
    await isServed(t, port);
  });

  it('understands a handshake that arrives byte by byte', limit, async (t) => {
    const { log, port } = await start(t);
    const { client } = tlsThrough(t, port, async (bytes, socket, done) => {
      socket.setNoDelay(true);
      for (const byte of bytes) {
        await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
      }
      done();
    });
    await deadline(once(client, 'secureConnect'), 'the handshake');
    client.write('{"type":"Object","data":{"a":1}}\n');
    const { args } = await log.next('receive');
    assert.deepEqual(args[0], { a: 1 });
  });

  for (const [what, bytes, code] of [
    ['random bytes', Buffer.from('8f3a01c5d29e77aa00ff13', 'hex'), /^ERR_SSL_/],
    ['a record that is too long', Buffer.from([0x16, 3, 1, 0xff, 0xff, 1]), /TOO_LONG$/],
    ['an alert', Buffer.from([0x15, 3, 3, 0, 2, 2, 40]), /^ERR_SSL_.*HANDSHAKE_FAILURE$/],
    ['data before the handshake', Buffer.from([0x17, 3, 3, 0, 2, 1, 1]), /^ERR_SSL_/],
    [
      'a handshake of garbage',
      Buffer.concat([Buffer.from([0x16, 3, 1, 0, 8, 1, 0, 0, 4]), Buffer.alloc(4, 0xee)]),
      /^ERR_SSL_/,
    ],
  ]) {
    it(`ends a connection that begins with ${what}`, limit, async (t) => {
      const { server, log, port } = await start(t);
      const [socket] = await open(t, port, 1, bytes);
      if (!socket.closed) await deadline(once(socket, 'close'), 'the end of the connection');
      const { args } = await log.next('error');
      assert.match(args[0].code, code);
      assert.equal(server.stats().failed_handshakes, 1);
      await isServed(t, port);
    });
  }

  it('ends a connection with a corrupt record, and its session', limit, async (t) => {
    const { log, port } = await start(t);
    let corrupt = false;
    const { client } = tlsThrough(t, port, (bytes, socket, done) => {
      if (corrupt) bytes[bytes.length - 1] ^= 1;
      socket.write(bytes, done);
    });
    await deadline(once(client, 'secureConnect'), 'the handshake');
    const { args: connected } = await log.next('connect');
    corrupt = true;
    client.write('{"type":"Object","data":{}}\n');
    const { args } = await log.next('error');
    assert.equal(args[0].code, 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC');
    assert.equal(args[1], connected[0]);
    await log.next('disconnect');
    await isServed(t, port);
  });

  it('refuses renegotiation', limit, async (t) => {
    const { log, port } = await start(t);
    const client = tls.connect({ port, ...trusting({ maxVersion: 'TLSv1.2' }) });
    cleanup(t, () => client.destroy());
    client.on('error', () => {});
    client.resume();
    await deadline(once(client, 'secureConnect'), 'the handshake');
    await log.next('connect');
    const refused = new Promise((resolve) => {
      client.renegotiate({}, resolve);
      client.on('close', () => resolve(new Error('closed')));
    });
    assert.ok((await deadline(refused, 'the refusal')) instanceof Error);
    await isServed(t, port);
  });

  it('distinguishes a truncated message from a complete one', limit, async (t) => {
    const { log, port } = await start(t);
    for (const [text, announced, name] of [
      ['{"type":"Obj', false, 'error'],
      ['{"type":"Obj', true, 'disconnect'],
      ['{"type":"Object","data":{}}\n', false, 'disconnect'],
    ]) {
      const { client, socket } = tlsThrough(t, port, (bytes, to, done) => to.write(bytes, done));
      await deadline(once(client, 'secureConnect'), 'the handshake');
      const { args: connected } = await log.next('connect');
      await new Promise((resolve) => client.write(text, resolve));
      if (announced) client.end();
      else socket.end();
      const { args } = await log.next(name);
      if (name === 'error') {
        assert.equal(args[0].code, 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING');
        assert.equal(args[1], connected[0]);
        await log.next('disconnect');
      }
    }
    assert.equal(log.entries.filter((entry) => entry.name === 'error').length, 1);
  });

  it('does not keep the process alive with a handshake after it is closed', limit, async (t) => {
    const { server, port } = await start(t);
    const sockets = await open(t, port, 10, TORN_HELLO);
    await isServed(t, port);
    await server.close();
    await deadline(
      Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close'))),
      'the end of all',
    );
  });
});
