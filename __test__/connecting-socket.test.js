'use strict';

// The socket of a client exists while it connects, as a net.Socket does.

const assert = require('node:assert/strict');
const dns = require('node:dns');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { Duplex } = require('node:stream');
const tls = require('node:tls');
const { freePort } = require('./support/addresses.js');
const { makeClient } = require('./support/local.js');
const { rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/** A client that connects to a name, which is not found before `find()` is called. */
function heldClient(t, port, options = {}) {
  let find;
  t.mock.method(dns, 'lookup', (_host, _options, callback) => {
    find = () => callback(null, [{ address: '127.0.0.1', family: 4 }]);
  });
  const { client, log } = makeClient(t, { address: 'backend.service', port }, options);
  return { client, log, find: () => find() };
}

describe('the socket of a client that is connecting', () => {
  it('exists at once, and is the socket of the later connection', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where);
    assert.equal(client.socket, undefined);
    const attempt = client.connect();
    const { socket } = client;
    assert.ok(socket instanceof net.Socket);
    assert.deepEqual(
      [socket.connecting, socket.pending, socket.readyState, socket.destroyed, client.connected],
      [true, true, 'opening', false, false],
    );
    await attempt;
    assert.equal(client.socket, socket);
    assert.equal((await log.next('connect')).args[0], socket);
    assert.deepEqual(
      [socket.connecting, socket.pending, socket.readyState],
      [false, false, 'open'],
    );
    assert.equal(socket.remotePort, raw.where.port);
  });

  it('emits lookup, and connect and ready after the connect of the client', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, find } = heldClient(t, raw.where.port);
    const events = [];
    client.on('connect', () => events.push('connect of the client'));
    const attempt = client.connect();
    client.socket.on('lookup', (...args) => events.push(args));
    client.socket.on('connect', () => events.push('connect'));
    const ready = once(client.socket, 'ready').then(() => events.push('ready'));
    find();
    await attempt;
    await ready;
    assert.deepEqual(events, [
      [null, '127.0.0.1', 4, 'backend.service'],
      'connect of the client',
      'connect',
      'ready',
    ]);
  });

  it('keeps messages and bytes sent meanwhile, and delivers them in order', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, find } = heldClient(t, raw.where.port);
    const attempt = client.connect();
    const settled = [];
    const first = client.send({ n: 1 }).then(() => settled.push(1));
    const second = new Promise((resolve, reject) => {
      client.socket.write('"raw"\n', (err) => (err ? reject(err) : resolve()));
    });
    const third = client.send({ n: 3 }).then(() => settled.push(3));
    client.on('connect', () => client.send({ n: 4 }));
    assert.ok(client.socket.bytesWritten > 0);
    assert.deepEqual(settled, []);
    find();
    await attempt;
    await Promise.all([first, second, third]);
    const wire = await raw.accept();
    const frames = [await wire.frame(), await wire.frame(), await wire.frame(), await wire.frame()];
    assert.deepEqual(frames, [
      { type: 'Object', data: { n: 1 } },
      'raw',
      { type: 'Object', data: { n: 3 } },
      { type: 'Object', data: { n: 4 } },
    ]);
    assert.deepEqual(settled, [1, 3]);
  });

  it('keeps a callback and a request for the connection', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, find } = heldClient(t, raw.where.port);
    client.connect();
    const answer = new Promise((resolve) => client.send('question', resolve));
    const request = client.request('for it');
    find();
    const wire = await raw.accept();
    const { id } = await wire.frame();
    wire.write({ type: 'String', data: 'answer', callback_id: id });
    assert.equal(await answer, 'answer');
    const { data } = await wire.frame();
    wire.write({
      type: 'SockhopResponsePacket',
      data: { uuid: data.uuid, type: 'String', data: 'packet' },
    });
    assert.equal((await (await request).next()).data, 'packet');
  });

  it('can be ended: sent messages leave, and then a FIN', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, find } = heldClient(t, raw.where.port);
    client.connect().catch(() => {});
    client.send({ last: 1 });
    client.socket.end();
    find();
    const wire = await raw.accept();
    assert.deepEqual((await wire.frame()).data, { last: 1 });
    await wire.next('end');
  });

  it('gives the attempt up when it is destroyed', limit, async (t) => {
    const { client } = heldClient(t, 1);
    const attempt = client.connect();
    const sent = client.send({ early: 1 });
    const closed = once(client.socket, 'close');
    client.socket.destroy();
    await assert.rejects(attempt, { code: 'ERR_SOCKET_DESTROYED' });
    await assert.rejects(sent, { code: 'ERR_SOCKET_DESTROYED' });
    await closed;
    assert.equal(client._connecting, false);
    await assert.rejects(client.send({ late: 1 }), { code: 'ERR_SOCKET_DESTROYED' });
  });

  it('emits the error, and pending sends reject, when the server refuses', limit, async (t) => {
    const port = await freePort();
    const { client, log } = makeClient(t, { port });
    const attempt = client.connect();
    const { socket } = client;
    const sent = client.send({ early: 1 });
    const failed = once(socket, 'error');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await assert.rejects(attempt, { code: 'ECONNREFUSED' });
    await assert.rejects(sent, { code: 'ERR_SOCKET_DESTROYED' });
    assert.equal((await failed)[0].code, 'ECONNREFUSED');
    assert.equal(await closed, true);
    assert.equal(socket.destroyed, true);
    assert.deepEqual(log.names(), []);
  });

  it('keeps settings, and changes none that the program did not set', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, find } = heldClient(t, raw.where.port);
    const attempt = client.connect();
    const { socket } = client;
    assert.equal(socket.setNoDelay(false), socket);
    assert.equal(socket.setKeepAlive(true, 1000), socket);
    assert.equal(socket.setTimeout(600_000), socket);
    const bytes = once(socket, 'data');
    find();
    await attempt;
    assert.equal(socket.timeout, 600_000);
    const wire = await raw.accept();
    wire.write('"raw"');
    assert.equal(String((await bytes)[0]), '"raw"\n');
  });

  it('holds at most "send_high_water_mark" if slow_consumer refuses more', limit, async (t) => {
    const { client } = heldClient(t, 1, { send_high_water_mark: 10, slow_consumer: 'drop' });
    const attempt = client.connect();
    client.send({ early: 'kept' }).catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(client.send({ early: 'refused' }), { code: 'ERR_BACKPRESSURE' });
    client.disconnect();
    await assert.rejects(attempt, { code: 'ERR_SOCKET_DESTROYED' });
  });
});

describe('a Node function for connecting that the program replaced', () => {
  /** A stream without a connection that keeps the data written to it. */
  function mockSocket() {
    const written = [];
    const socket = new Duplex({
      read() {},
      write(chunk, _encoding, callback) {
        written.push(String(chunk));
        callback();
      },
    });
    return { socket, written };
  }

  it('net.createConnection() gives the client its socket', limit, async (t) => {
    const { socket, written } = mockSocket();
    const create = t.mock.method(net, 'createConnection', (_path, connected) => {
      setImmediate(connected);
      return socket;
    });
    const { client, log } = makeClient(t, { path: '/no/such/path' });
    await client.connect();
    assert.equal(client.socket, socket);
    assert.equal(create.mock.calls[0].arguments[0], '/no/such/path');
    await client.send({ n: 1 });
    assert.deepEqual(written, ['{"type":"Object","data":{"n":1}}\n']);
    socket.push('{"type":"String","data":"hello"}\n');
    assert.deepEqual((await log.next('receive')).args[0], 'hello');
    socket.emit('end');
    await log.next('disconnect');
  });

  it('net.createConnection() may call back before it returns, or fail', limit, async (t) => {
    const { socket } = mockSocket();
    const create = t.mock.method(net, 'createConnection', (_port, _address, connected) => {
      connected();
      return socket;
    });
    const { client } = makeClient(t, { port: 1 });
    await client.connect();
    await client.disconnect();
    const failure = new Error('no socket for you');
    create.mock.mockImplementation(() => {
      const broken = mockSocket().socket;
      process.nextTick(() => broken.destroy(failure));
      return broken;
    });
    await assert.rejects(client.connect(), failure);
    create.mock.mockImplementation(() => {
      throw failure;
    });
    await assert.rejects(client.connect(), failure);
  });

  it('net.Socket.prototype.connect() sees every connection', limit, async (t) => {
    const raw = await rawServer(t);
    const connect = t.mock.method(net.Socket.prototype, 'connect');
    const { client } = makeClient(t, raw.where);
    await client.connect();
    assert.equal(connect.mock.callCount(), 1);
    await client.send({ n: 1 });
    assert.deepEqual((await (await raw.accept()).frame()).data, { n: 1 });
  });

  it('tls.connect() gives a client with TLS its socket', limit, async (t) => {
    const { socket, written } = mockSocket();
    const connect = t.mock.method(tls, 'connect', (_port, _address, _options, connected) => {
      setImmediate(connected);
      return socket;
    });
    const ssl_options = { rejectUnauthorized: false };
    const { client } = makeClient(t, { port: 1, ssl: true, ssl_options });
    await client.connect();
    assert.deepEqual(connect.mock.calls[0].arguments.slice(0, 3), [1, '127.0.0.1', ssl_options]);
    await client.send({ n: 1 });
    assert.equal(written.length, 1);
  });
});
