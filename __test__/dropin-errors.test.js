'use strict';

// Errors that the program itself makes on a socket. With SOCKHOP_UNDER_TEST=sockhop-1.8 the same
// tests pass on the original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };

/** A server and a client that are connected, and have no `error` listener. */
async function pair(t) {
  const { server, where } = await startServer(t, {}, { path: unixPath(t) });
  const { client } = makeClient(t, where);
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock] = await deadline(arrived, 'the connection');
  for (const target of [client, server]) target.removeAllListeners('error');
  return { server, client, sock };
}

/** The next uncaught exception, which the test runner does not see. */
function nextUncaught(t) {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  cleanup(t, () => {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  });
  return new Promise((resolve) => process.once('uncaughtException', resolve));
}

const ERR_BAD_OBJECT = { code: 'ERR_OBJECTBUFFER_BAD_OBJECT' };

describe('without an error listener, an error of the program', () => {
  for (const side of ['client', 'server']) {
    it(`in destroy() of a socket of a ${side} is an uncaught exception`, limit, async (t) => {
      const { client, sock } = await pair(t);
      const socket = side === 'client' ? client.socket : sock;
      const uncaught = nextUncaught(t);
      const err = new Error('of the program');
      socket.destroy(err);
      assert.equal(await deadline(uncaught, 'the exception'), err);
    });

    it(`that it emits on a socket of a ${side} is thrown by emit()`, limit, async (t) => {
      const { client, sock } = await pair(t);
      const socket = side === 'client' ? client.socket : sock;
      const err = new Error('of the program');
      assert.throws(() => socket.emit('error', err), err);
    });
  }

  for (const way of ['destroy()', 'emit()']) {
    it(`in ${way} in a handler of the client's disconnect is not lost`, limit, async (t) => {
      const { server, client, sock } = await pair(t);
      const uncaught = nextUncaught(t);
      const err = new Error('of the program');
      client.on('disconnect', (socket) => {
        if (way === 'destroy()') socket.destroy(err);
        else socket.emit('error', err);
      });
      server.kill_socket(sock);
      assert.equal(await deadline(uncaught, 'the exception'), err);
    });
  }

  it('that its ObjectBuffer emits is thrown', limit, async (t) => {
    const { server, client } = await pair(t);
    const err = new Error('of the program');
    for (const buffer of [client._objectbuffer, server._objectbuffers[0]]) {
      assert.throws(() => buffer.emit('error', err), err);
      assert.throws(() => buffer.obj2buf('no object'), ERR_BAD_OBJECT);
      assert.throws(() => buffer.buf2obj(5), { code: 'ERR_OBJECTBUFFER_BAD_BUFFER' });
    }
  });
});

describe('an error of the program', () => {
  it('on a socket that is over is emitted by the client', limit, async (t) => {
    const { client } = await pair(t);
    const errors = [];
    client.on('error', (err) => errors.push(err.message));
    const { socket } = client;
    await client.disconnect();
    socket.emit('error', new Error('after the end'));
    assert.deepEqual(errors, ['after the end']);
  });

  it('in the ObjectBuffer that a server encodes with is thrown, not emitted', limit, async (t) => {
    const { server } = await pair(t);
    const errors = [];
    server.on('error', (err) => errors.push(err));
    assert.throws(() => server._encoding_objectbuffer.obj2buf('no object'), ERR_BAD_OBJECT);
    assert.deepEqual(errors, []);
  });
});

describe('after a message of the program in a handler of disconnect', () => {
  it('the client refuses messages as one that is not connected', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const left = once(client, 'disconnect');
    client.once('disconnect', () => client._send_message('no object').catch(() => {}));
    client.on('error', () => {});
    server.kill_socket(sock);
    await deadline(left, 'the disconnect');
    await assert.rejects(client.send({}), {
      code: 'ERR_SOCKET_DESTROYED',
      message: 'Client unable to send() - socket has been destroyed',
    });
  });
});

describe('without an error listener, a peer that resets its connection', () => {
  const bytes = Buffer.alloc(300_000, 'x');
  // events.once() would listen for `error`.
  const next = (server, event) => new Promise((resolve) => server.once(event, resolve));
  const writers = {
    'writes again and again': (sock) => setInterval(() => sock.write(bytes), 1),
    'holds writes back': (sock) =>
      setInterval(() => {
        sock.cork();
        sock.write('a');
        setImmediate(() => sock.uncork());
      }, 1),
    'ends the socket after a write': (sock) => setInterval(() => sock.end(bytes), 1),
    'sends messages among its writes': (sock, server) =>
      setInterval(() => {
        sock.write(bytes);
        server.send(sock, { bytes: `${bytes}` }).catch(() => {});
      }, 1),
  };
  for (const [does, write] of Object.entries(writers)) {
    it(`does not end a program that ${does}`, limit, async (t) => {
      const { server, where } = await startServer(t);
      server.removeAllListeners('error');
      server.on('connect', (sock) => {
        const timer = write(sock, server);
        sock.on('close', () => setImmediate(() => clearInterval(timer)));
      });
      for (let n = 0; n < 40; n++) {
        const peer = net.connect(where.port, where.address);
        await deadline(once(peer, 'connect'), 'the connection');
        const ended = next(server, 'disconnect');
        peer.write('{"type":"Object","data":{}}\n');
        if (n % 2 === 0) peer.resume();
        if (n % 4 < 2) await deadline(next(server, 'receive'), 'the message');
        peer.resetAndDestroy();
        await deadline(ended, 'the end of the connection');
      }
    });
  }
});

describe('without an error listener, a program that leaves a loop over the data of a socket', () => {
  it('ends the connection, and not the process', limit, async (t) => {
    const { client, server, sock } = await pair(t);
    const ended = new Promise((resolve) => server.once('disconnect', resolve));
    client.send({ n: 1 });
    for await (const bytes of sock) {
      assert.ok(bytes.length > 0);
      break;
    }
    await deadline(ended, 'the end of the connection');
  });
});

describe('without an error listener, a peer that leaves while a session starts', () => {
  it('does not end a program whose start() sends', limit, async (t) => {
    let failures = 0;
    class Greeting extends impl.session {
      async start() {
        try {
          for (;;) {
            await this.send({ bytes: 'x'.repeat(100_000) });
            await new Promise(setImmediate);
          }
        } catch (err) {
          failures += 1;
          throw err;
        }
      }
    }
    const { server, where } = await startServer(t, { session_type: Greeting });
    server.removeAllListeners('error');
    for (let n = 1; n <= 20; n++) {
      const peer = net.connect(where.port, where.address);
      await deadline(once(peer, n % 2 === 0 ? 'data' : 'connect'), 'the connection');
      peer.resetAndDestroy();
      await until(() => failures === n, 'the failure of start()');
    }
    // A rejection that is not handled would be reported meanwhile.
    await new Promise(setImmediate);
    assert.deepEqual(server.sockets, []);
  });

  it('does not end a program whose end() sends', limit, async (t) => {
    class Polite extends impl.session {
      async end() {
        await this.send({ bye: 1 });
      }
    }
    const { server, where } = await startServer(t, { session_type: Polite });
    server.removeAllListeners('error');
    for (let n = 0; n < 10; n++) {
      const ended = new Promise((resolve) => server.once('disconnect', resolve));
      const peer = net.connect(where.port, where.address);
      await deadline(once(peer, 'connect'), 'the connection');
      if (n % 2 === 0) peer.resetAndDestroy();
      else peer.end();
      await deadline(ended, 'the end of the session');
    }
  });
});
