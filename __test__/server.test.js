'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, unixPath } = require('./support/addresses.js');
const { withoutOffer } = require('./support/codec.js');
const { deadline, turn } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');
const { notOn } = require('./support/runtime.js');

const limit = { timeout: 600_000 };

describe('a new server', () => {
  it('has the defaults of sockhop 1.8.4', limit, () => {
    const server = new impl.server();
    assert.equal(server.address, '127.0.0.1');
    assert.equal(server.port, 50_000);
    assert.equal(server.path, null);
    assert.deepEqual([server.sockets, server.sessions], [[], []]);
    assert.equal(server.constructor.name, 'SockhopServer');
    assert.ok(server instanceof EventEmitter);
  });

  it('can be extended', limit, async (t) => {
    class Chat extends impl.server {
      say(text) {
        return this.sendall({ text });
      }
    }
    const where = await endpoint(t);
    const server = new Chat(where);
    t.after(() => server.close());
    const log = record(server);
    await server.listen();
    const wire = await rawClient(t, where);
    await log.next('connect');
    await server.say('hello');
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { text: 'hello' } });
  });
});

describe('get_bound_address()', () => {
  it('throws ERR_NO_SOCKET on both sides while there is no socket', limit, () => {
    for (const side of [new impl.server(), new impl.client()]) {
      assert.throws(() => side.get_bound_address(), { code: 'ERR_NO_SOCKET' });
    }
  });
});

describe('a server with debug', () => {
  it('shows the frames of all its clients, both ways', limit, async (t) => {
    const { server, log, where } = await startServer(t, { debug: true });
    server.on('receive', (_, { callback }) => callback({ answer: 1 }));
    const frames = [];
    for (const name of ['received', 'sending']) {
      server.on(name, (message, bytes) => frames.push([name, message, bytes.toString()]));
    }
    for (const who of ['one', 'two']) {
      const wire = await rawClient(t, where);
      const sent = { type: 'Object', data: { who }, id: who };
      wire.write(sent);
      const answer = await wire.frame();
      assert.deepEqual(frames.splice(0), [
        ['received', sent, `${JSON.stringify(sent)}\n`],
        ['sending', answer, `${JSON.stringify(answer)}\n`],
      ]);
    }
    assert.equal(log.all('error').length, 0);
  });
});

describe('listen()', () => {
  it('resolves to a net.Server', limit, async (t) => {
    const where = await endpoint(t);
    const server = new impl.server(where);
    t.after(() => server.close());
    const listener = await server.listen();
    assert.equal(listener, server.server);
    assert.equal(listener.listening, true);
    assert.deepEqual(listener.address(), {
      address: '127.0.0.1',
      family: 'IPv4',
      port: where.port,
    });
    assert.equal(server.get_bound_address(), '127.0.0.1');
  });

  it('listens on a path, if there is one, instead of the port', limit, async (t) => {
    const path = unixPath(t);
    const server = new impl.server({ path, port: 1 });
    t.after(() => server.close());
    const listener = await server.listen();
    assert.equal(listener.address(), path);
    // A pipe of Windows is in no directory.
    if (process.platform !== 'win32') assert.equal(fs.statSync(path).isSocket(), true);
    const log = record(server);
    await rawClient(t, { path });
    await log.next('connect');
    await server.close();
    assert.equal(fs.existsSync(path), false, 'the socket file goes with the server');
  });
});

describe('the connections of a server', () => {
  it('are announced with socket and session', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const { args } = await log.next('connect');
    assert.equal(args.length, 2);
    assert.ok(args[0] instanceof net.Socket);
    assert.equal(args[0].remotePort, wire.socket.localPort);
    assert.equal(args[1].sock, args[0]);
    assert.equal(server.sockets[0], args[0]);
  });

  it('are in live arrays, the same index for the same connection', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const { sockets, sessions } = server;
    const wires = [];
    const connected = [];
    for (let i = 0; i < 5; i += 1) {
      wires.push(await rawClient(t, where));
      connected.push((await log.next('connect')).args);
    }
    const consistent = (expected) => {
      assert.equal(server.sockets, sockets, 'the arrays are always the same objects');
      assert.equal(server.sessions, sessions);
      assert.equal(sockets.length, expected.length);
      assert.equal(sessions.length, expected.length);
      for (const [i, [socket, session]] of expected.entries()) {
        assert.equal(sockets[i], socket);
        assert.equal(sessions[i], session);
        assert.equal(sessions[i].sock, sockets[i]);
      }
    };
    consistent(connected);
    wires[1].socket.end();
    await log.next('disconnect');
    wires[3].socket.resetAndDestroy();
    await log.next('disconnect');
    consistent([connected[0], connected[2], connected[4]]);
    await rawClient(t, where);
    const last = (await log.next('connect')).args;
    consistent([connected[0], connected[2], connected[4], last]);
  });

  it('identify the sender of an object', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const first = await rawClient(t, where);
    const second = await rawClient(t, where);
    await log.take('connect', 2);
    second.write({ type: 'Widget', data: { from: 'second' } });
    const [object, meta] = (await log.next('receive')).args;
    assert.deepEqual(object, { from: 'second' });
    assert.equal(meta.type, 'Widget');
    assert.equal(meta.socket, server.sockets[1]);
    assert.equal(meta.session, server.sessions[1]);
    assert.equal('callback' in meta, false);
    first.write({ type: 'Widget', data: { from: 'first' } });
    assert.equal((await log.next('receive')).args[1].socket, server.sockets[0]);
  });

  it('end with one disconnect each', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const endings = [
      (wire) => wire.socket.end(),
      (wire) => wire.socket.destroy(),
      (wire) => wire.socket.resetAndDestroy(),
      (_, socket) => server.kill_socket(socket),
      (_wire, _socket, session) => session.kill(),
      (_, socket) => socket.end(),
      (_, socket) => socket.destroy(),
    ];
    for (const [i, end] of endings.entries()) {
      const wire = await rawClient(t, where);
      const [socket, session] = (await log.next('connect')).args;
      end(wire, socket, session);
      await wire.next('close');
      // socket.destroy() is noticed when the server next uses the connection.
      if (i === endings.length - 1) await server.sendall({ any: 1 });
      const { args } = await log.next('disconnect');
      assert.equal(args.length, 2);
      assert.equal(args[0], socket);
      assert.equal(args[1], session);
      assert.equal(server.sockets.length, 0);
    }
    await turn();
    assert.equal(log.count('disconnect'), endings.length);
    assert.equal(log.count('error'), 0);
  });
});

describe('the messages of a server', () => {
  it('are framed as in sockhop 1.8.4', limit, async (t) => {
    class Widget {
      constructor() {
        this.a = 1;
      }
    }
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    await server.send(socket, new Widget());
    await session.send('str');
    await server.sendall([1]);
    const frames = await wire.take('frame', 3);
    assert.deepEqual(
      frames.map(({ text }) => withoutOffer(text)),
      [
        '{"type":"Widget","data":{"a":1}}',
        '{"type":"String","data":"str"}',
        '{"type":"Array","data":[1]}',
      ],
    );
  });

  it('arrive if they were sent from the connect event', limit, async (t) => {
    const { server, where } = await startServer(t);
    server.on('connect', (socket) => server.send(socket, { welcome: 1 }));
    const { log } = await startClient(t, where);
    assert.deepEqual((await log.next('receive')).args[0], { welcome: 1 });
  });

  it('with sendall() reach every connection in order', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wires = [];
    for (let i = 0; i < 20; i += 1) {
      wires.push(await rawClient(t, where));
      await log.next('connect');
    }
    const sent = [];
    for (let i = 1; i <= 50; i += 1) sent.push(server.sendall(i));
    await Promise.all(sent);
    for (const wire of wires) {
      const frames = await wire.take('frame', 50);
      assert.deepEqual(
        frames.map(({ json }) => json.data),
        Array.from({ length: 50 }, (_, i) => i + 1),
      );
    }
  });

  it('with sendall() need no clients', limit, async (t) => {
    const { server } = await startServer(t);
    await server.sendall({ a: 1 });
  });

  it('with sendall() skip dead connections, which are removed', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wires = [];
    for (let i = 0; i < 3; i += 1) {
      wires.push(await rawClient(t, where));
      await log.next('connect');
    }
    const dead = server.sockets[1];
    dead.destroy();
    await server.sendall({ a: 1 });
    assert.deepEqual((await wires[0].frame()).data, { a: 1 });
    assert.deepEqual((await wires[2].frame()).data, { a: 1 });
    assert.equal((await log.next('disconnect')).args[0], dead);
    assert.equal(server.sockets.includes(dead), false);
    assert.equal(server.sockets.length, 2);
  });

  it('from a disconnect handler cause no endless loop', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    server.on('disconnect', () => server.sendall({ left: 1 }));
    const wires = [];
    for (let i = 0; i < 4; i += 1) {
      wires.push(await rawClient(t, where));
      await log.next('connect');
    }
    for (const wire of wires.slice(1)) wire.socket.destroy();
    await log.take('disconnect', 3);
    await wires[0].take('frame', 3);
    assert.equal(log.count('disconnect'), 3);
  });

  it('leave before the connection is killed', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    for (let i = 1; i <= 100; i += 1) server.send(socket, i);
    await server.kill_socket(socket);
    const frames = await wire.take('frame', 100);
    assert.equal(frames.at(-1).json.data, 100);
    await wire.next('end');
  });
});

describe('bad frames', () => {
  it('are errors with their socket; the frames around them arrive', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    wire.write({ type: 'Number', data: 1 }, '{', { type: 'Number', data: 2 });
    const received = await log.take('receive', 2);
    assert.deepEqual(
      received.map(({ args }) => args[0]),
      [1, 2],
    );
    const [error, source] = (await log.next('error')).args;
    assert.ok(error instanceof impl.error);
    assert.equal(error.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.equal(error.message, 'Skipping corrupted data in buffer');
    assert.equal(source, socket);
    assert.equal(server.sockets.length, 1);
  });
});

describe('kill_socket(), disconnect() and close()', () => {
  it('kill_socket() ends one connection with FIN', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const first = await rawClient(t, where);
    await log.next('connect');
    const second = await rawClient(t, where);
    await log.next('connect');
    await deadline(server.kill_socket(server.sockets[0]), 'kill_socket()');
    await first.next('end');
    await log.next('disconnect');
    await server.sendall(1);
    await second.frame();
    assert.equal(first.count('error'), 0);
    assert.equal(server.sockets.length, 1);
  });

  it('kill_socket() resolves for a connection that is gone', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    wire.socket.destroy();
    await log.next('disconnect');
    await deadline(server.kill_socket(socket), 'kill_socket()');
    await turn();
    assert.equal(log.count('disconnect'), 1);
  });

  it('disconnect() ends every connection and keeps listening', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wires = [];
    for (let i = 0; i < 5; i += 1) {
      wires.push(await rawClient(t, where));
      await log.next('connect');
    }
    await deadline(server.disconnect(), 'disconnect()');
    for (const wire of wires) await wire.next('end');
    await log.take('disconnect', 5);
    assert.equal(server.sockets.length, 0);
    await rawClient(t, where);
    await log.next('connect');
  });

  it('close() ends every connection and stops listening', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wires = [];
    for (let i = 0; i < 5; i += 1) {
      wires.push(await rawClient(t, where));
      await log.next('connect');
    }
    await deadline(server.close(), 'close()');
    for (const wire of wires) await wire.next('end');
    await log.take('disconnect', 5);
    assert.deepEqual([server.sockets, server.sessions], [[], []]);
    await assert.rejects(rawClient(t, where), { code: 'ECONNREFUSED' });
  });

  const skip = notOn('bun', 'its setImmediate() keeps another order');
  it('of a client in the same process end its connection before the client connects again', {
    ...limit,
    skip,
  }, async (t) => {
    const { server, where } = await startServer(t);
    const events = [];
    server.on('connect', () => events.push('connect'));
    server.on('disconnect', () => events.push('disconnect'));
    const clients = [makeClient(t, where).client, makeClient(t, where).client];
    const all = (what) => deadline(Promise.all(clients.map((client) => client[what]())), what);
    const told = async (count) => {
      while (events.length < count) await turn();
      return events.splice(0);
    };
    await all('connect');
    await told(2);
    for (let i = 0; i < 300; i += 1) {
      await all('disconnect');
      await all('connect');
      assert.deepEqual(await told(4), ['disconnect', 'disconnect', 'connect', 'connect']);
    }
  });

  it('close() twice, and close() without listen(), are harmless', limit, async (t) => {
    const { server } = await startServer(t);
    await deadline(Promise.all([server.close(), server.close()]), 'close() twice at once');
    await deadline(server.close(), 'close() once more');
    await deadline(new impl.server().close(), 'close() before listen()');
  });

  it('emits an EPIPE of a connection, which does not end it', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    await startClient(t, where);
    const { args } = await log.next('connect');
    const [sock, session] = args;
    const err = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    sock.emit('error', err);
    assert.deepEqual((await log.next('error')).args, [err, sock, session]);
    assert.deepEqual(server.sockets, [sock]);
  });
});
