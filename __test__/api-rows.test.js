'use strict';

// One test for every row of the 1.x API, with the name of the row (conformance/api-rows.json);
// `node scripts/api-table.js` prints the table. Other tests cover the cases of each call. These
// tests show that every name exists and works as its row says.

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { describe, it } = require('node:test');
const rows = require('../conformance/api-rows.json');
const { underTest } = require('../conformance/under-test.js');
const { RawServer, connectRaw } = require('../conformance/wire.js');
const { freePort } = require('./support/addresses.js');
const { table } = require('../scripts/api-table.js');

const directory = underTest();
const sockhop = require(directory);
const lib = (name) => require(path.join(directory, 'lib', name));
const ObjectBuffer = lib('ObjectBuffer.js');
const TimedMap = lib('TimedMap.js');
const { SockhopPing, SockhopPong } = lib('SockhopPing.js');
const {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream,
  SockhopResponseWriteableStream,
} = lib('SockhopRequest.js');

/** The test of a row. */
const row = (name, test) => it(name, { timeout: 600_000 }, test);

function socketPath(t) {
  const where = fs.mkdtempSync(path.join(os.tmpdir(), 'sh-api-'));
  t.after(() => fs.rmSync(where, { recursive: true, force: true }));
  return path.join(where, 's');
}

function makeClient(t, options) {
  const client = new sockhop.client(options);
  t.after(async () => {
    client.on('error', () => {});
    await client.disconnect();
    clearInterval(client._auto_reconnect_timer);
  });
  return client;
}

function makeServer(t, options) {
  const server = new sockhop.server(options);
  t.after(() => server.close());
  return server;
}

/** A client and a server of the package, connected over a Unix socket. */
async function connected(t, clientOptions = {}, serverOptions = {}) {
  const where = socketPath(t);
  const server = makeServer(t, { path: where, ...serverOptions });
  await server.listen();
  const arrived = once(server, 'connect');
  const client = makeClient(t, { path: where, ...clientOptions });
  await client.connect();
  const [sock, session] = await arrived;
  return { client, server, sock, session };
}

/** A client of the package and the raw other end of its connection. */
async function clientOnWire(t, options = {}) {
  const where = socketPath(t);
  const raw = await RawServer.listen(where);
  t.after(() => raw.close());
  const client = makeClient(t, { path: where, ...options });
  await client.connect();
  return { client, raw, wire: await raw.next() };
}

/** A server of the package and the raw other end of a connection to it. */
async function serverOnWire(t, options = {}) {
  const where = socketPath(t);
  const server = makeServer(t, { path: where, ...options });
  await server.listen();
  const arrived = once(server, 'connect');
  const wire = await connectRaw({ path: where });
  t.after(() => wire.destroy());
  const [sock, session] = await arrived;
  return { server, wire, sock, session };
}

const frame = (data, more = {}) => ({ type: data.constructor.name, data, ...more });

describe('the API, row by row: the module', () => {
  row('require() ⇒ { server, client, session, error }', () => {
    for (const name of ['server', 'client', 'session', 'error'])
      assert.equal(typeof sockhop[name], 'function');
    assert.equal(sockhop.server, lib('SockhopServer'));
    assert.equal(sockhop.client, lib('SockhopClient'));
    assert.equal(sockhop.session, lib('SockhopSession'));
    assert.equal(sockhop.error, lib('SockhopError'));
  });
});

describe('the API, row by row: ObjectBuffer', () => {
  row('ObjectBuffer ⇐ EventEmitter', () => assert.ok(new ObjectBuffer() instanceof EventEmitter));

  row('new ObjectBuffer(opts)', () => {
    assert.deepEqual(new ObjectBuffer().buf2obj(Buffer.from('1\n')), [1]);
    assert.deepEqual(new ObjectBuffer({}).buf2obj(Buffer.from('1\n')), [1]);
  });

  row('ObjectBuffer opts.terminator', () => {
    const one = new ObjectBuffer({ terminator: ';' });
    assert.deepEqual(one.buf2obj(Buffer.from('1;2;')), [1, 2]);
    assert.equal(String(one.obj2buf({})), '{};');
    const two = new ObjectBuffer({ terminator: ['<', '>'] });
    assert.deepEqual(two.buf2obj(Buffer.from('1<2<')), [1, 2]);
    assert.equal(String(two.obj2buf({})), '{}>');
  });

  row('ObjectBuffer opts.allow_non_objects', () => {
    const buffer = new ObjectBuffer({ allow_non_objects: true });
    assert.deepEqual(buffer.buf2obj(Buffer.from('plain text\n')), ['plain text']);
    assert.equal(String(buffer.obj2buf('text')), '"text"\n');
  });

  row('ObjectBuffer.buf2obj(buffer) ⇒ Array', () => {
    const buffer = new ObjectBuffer();
    assert.deepEqual(buffer.buf2obj(Buffer.from('{"a":1}\n{"b"')), [{ a: 1 }]);
    assert.deepEqual(buffer.buf2obj(Buffer.from(':2}\n')), [{ b: 2 }]);
  });

  row('ObjectBuffer.obj2buf(object)', () => {
    assert.deepEqual(new ObjectBuffer().obj2buf({ a: 1 }), Buffer.from('{"a":1}\n'));
  });

  row('ObjectBuffer "error" (err)', () => {
    const buffer = new ObjectBuffer();
    const errors = [];
    buffer.on('error', (error) => errors.push(error));
    assert.deepEqual(buffer.buf2obj(Buffer.from('bad\n1\n')), [1]);
    assert.equal(errors.length, 1);
    assert.ok(errors[0] instanceof sockhop.error);
  });

  row('ObjectBuffer.buf2obj(buffer, { return_buffers }) ⇒ Array.<{ value, buffer }>', () => {
    const found = new ObjectBuffer().buf2obj(Buffer.from('{"a":1}\n'), { return_buffers: true });
    assert.equal(found.length, 1);
    assert.deepEqual(found[0].value, { a: 1 });
    assert.equal(found[0].buffer.toString(), '{"a":1}');
  });
});

describe('the API, row by row: SockhopClient', () => {
  row('SockhopClient ⇐ EventEmitter', (t) => {
    const client = makeClient(t);
    assert.ok(client instanceof EventEmitter);
    assert.equal(client.constructor.name, 'SockhopClient');
  });

  row('new SockhopClient([opts])', (t) => {
    const client = makeClient(t);
    assert.equal(client.address, '127.0.0.1');
    assert.equal(client.port, 50000);
    assert.equal(client.connected, false);
  });

  row('SockhopClient opts.path', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const client = makeClient(t, { path: raw.server.address(), port: 1 });
    await client.connect();
    await raw.next();
  });

  row('SockhopClient opts.address', async (t) => {
    const raw = await RawServer.listen();
    t.after(() => raw.close());
    const client = makeClient(t, { address: 'localhost', port: raw.port });
    // localhost may be ::1 first, where nothing listens; the client has then used the second
    // address.
    await client.connect().then(
      () => assert.equal(client.socket.remotePort, raw.port),
      (error) => assert.equal(error.code, 'ECONNREFUSED'),
    );
    assert.equal(makeClient(t, { address: '127.0.0.9' }).address, '127.0.0.9');
  });

  row('SockhopClient opts.port', async (t) => {
    const raw = await RawServer.listen();
    t.after(() => raw.close());
    const client = makeClient(t, { port: raw.port });
    await client.connect();
    assert.equal(client.socket.remotePort, raw.port);
  });

  row('SockhopClient opts.auto_reconnect_interval', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const every = (auto_reconnect_interval) =>
      makeClient(t, { path: raw.server.address(), auto_reconnect_interval });
    const often = every(20);
    const seldom = every(600_000);
    for (const client of [often, seldom]) client.auto_reconnect = true;
    for (let life = 1; life <= 2; life += 1) {
      const connected = once(often, 'connect');
      if (life > 1) (await raw.next()).finish();
      await connected;
    }
    assert.equal(seldom.connected, false);
  });

  row('SockhopClient opts.peer_type', async (t) => {
    const { client, wire } = await clientOnWire(t, { peer_type: 'json' });
    await client.send({ bare: true });
    assert.deepEqual(await wire.received(1), ['{"bare":true}']);
  });

  row('SockhopClient opts.terminator', async (t) => {
    const { client, wire } = await clientOnWire(t, { terminator: ['\n', '\0'] });
    await client.send({ a: 1 });
    assert.deepEqual(await wire.received(1, '\0'), ['{"type":"Object","data":{"a":1}}']);
  });

  row('SockhopClient opts.allow_non_objects', async (t) => {
    const { client, wire } = await clientOnWire(t, { peer_type: 'json', allow_non_objects: true });
    await client.send('text');
    assert.deepEqual(await wire.received(1), ['"text"']);
    const received = once(client, 'receive');
    await wire.write('plain\n');
    assert.deepEqual(await received, ['plain', { type: 'String' }]);
  });

  row('SockhopClient.connected ⇒ boolean', async (t) => {
    const { client } = await clientOnWire(t);
    assert.equal(client.connected, true);
    await client.disconnect();
    assert.equal(client.connected, false);
  });

  row('SockhopClient.auto_reconnect ⇒ boolean', (t) => {
    const client = makeClient(t);
    assert.equal(client.auto_reconnect, false);
    client.auto_reconnect = true;
    assert.equal(client.auto_reconnect, true);
  });

  row('SockhopClient.auto_reconnect = boolean', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const client = makeClient(t, { path: raw.server.address(), auto_reconnect_interval: 20 });
    const first = once(client, 'connect');
    client.auto_reconnect = true;
    await first;
    const second = once(client, 'connect');
    (await raw.next()).finish();
    await second;
    await raw.next();
  });

  row('SockhopClient.socket = net.Socket', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const client = makeClient(t);
    const mine = net.createConnection(raw.server.address());
    t.after(() => mine.destroy());
    await once(mine, 'connect');
    client.socket = mine;
    assert.equal(client.socket, mine);
    await client.send({ a: 1 });
    const wire = await raw.next();
    assert.deepEqual(await wire.received(1), ['{"type":"Object","data":{"a":1}}']);
  });

  row('SockhopClient.socket ⇒ net.Socket', async (t) => {
    const { client } = await clientOnWire(t);
    assert.ok(client.socket instanceof net.Socket);
    assert.equal(client.socket.readyState, 'open');
  });

  row('SockhopClient._perform_auto_reconnect()', async (t) => {
    const { client, wire } = await clientOnWire(t, { auto_reconnect_interval: 60_000 });
    const lost = once(client, 'disconnect');
    wire.finish();
    await lost;
    client.auto_reconnect = true;
    const back = once(client, 'connect');
    client._perform_auto_reconnect();
    await back;
  });

  row('SockhopClient.connect() ⇒ Promise', async (t) => {
    const client = makeClient(t, { port: await freePort() });
    await assert.rejects(client.connect(), { code: 'ECONNREFUSED', syscall: 'connect' });
    const { client: other } = await clientOnWire(t);
    assert.equal(await other.connect(), undefined);
  });

  row('SockhopClient.get_bound_address() ⇒ string', async (t) => {
    const raw = await RawServer.listen();
    t.after(() => raw.close());
    const client = makeClient(t, { port: raw.port });
    await client.connect();
    assert.equal(client.get_bound_address(), '127.0.0.1');
  });

  row('SockhopClient.send(object, [rcallback]) ⇒ Promise', async (t) => {
    const { client, server } = await connected(t);
    server.on('receive', (object, meta) => meta.callback?.({ to: object }));
    await client.send('no answer wanted');
    const answer = await new Promise((resolve) => client.send('ask', (...args) => resolve(args)));
    assert.deepEqual(answer, [{ to: 'ask' }, { type: 'Object' }]);
  });

  row('SockhopClient.ping(delay)', async (t) => {
    const { client, wire } = await clientOnWire(t);
    client.ping(15);
    assert.equal(JSON.parse((await wire.received(1))[0]).type, 'SockhopPing');
    await once(client, 'disconnect');
    client.ping(0);
    assert.equal(client.interval_timer, null);
  });

  row('SockhopClient.disconnect() ⇒ Promise', async (t) => {
    const { client, wire } = await clientOnWire(t);
    assert.equal(await client.disconnect(), undefined);
    await wire.end;
    assert.equal(client.connected, false);
  });

  row('SockhopClient "connect" (sock)', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const client = makeClient(t, { path: raw.server.address() });
    const event = once(client, 'connect');
    await client.connect();
    const [sock] = await event;
    assert.equal(sock, client.socket);
  });

  row('SockhopClient "receive" (object, meta)', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const event = once(client, 'receive');
    await wire.send({ type: 'Widget', data: { a: 1 } });
    assert.deepEqual(await event, [{ a: 1 }, { type: 'Widget' }]);
  });

  row('SockhopClient "disconnect" (sock)', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const { socket } = client;
    const event = once(client, 'disconnect');
    wire.finish();
    assert.deepEqual(await event, [socket]);
  });

  row('SockhopClient "error" (err)', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const event = new Promise((resolve) => client.once('error', resolve));
    await wire.write('garbage\n');
    assert.equal((await event).code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
  });

  const key = fs.readFileSync(path.join(__dirname, '../conformance/fixtures/self-signed-key.pem'));
  const cert = fs.readFileSync(
    path.join(__dirname, '../conformance/fixtures/self-signed-cert.pem'),
  );
  const secure = async (t) => {
    const create = (options) => tls.createServer({ key, cert, ...options });
    const raw = await RawServer.listen(undefined, { create, event: 'secureConnection' });
    t.after(() => raw.close());
    return raw;
  };

  row('SockhopClient opts.ssl', async (t) => {
    const raw = await secure(t);
    const client = makeClient(t, { port: raw.port, ssl: true });
    client.on('error', () => {});
    await assert.rejects(client.connect(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  row('SockhopClient opts.ssl_options', async (t) => {
    const raw = await secure(t);
    const ssl_options = { ca: [cert], servername: 'localhost' };
    const client = makeClient(t, { port: raw.port, ssl_options });
    await client.connect();
    assert.equal(client.socket.authorized, true);
    await client.send('secret');
    assert.deepEqual(await (await raw.next()).received(1), ['{"type":"String","data":"secret"}']);
  });

  row('SockhopClient opts.connect_timeout', (t) => {
    // connect-hang.test.js tests its effect, with a peer that does not answer.
    assert.equal(makeClient(t, { connect_timeout: 123 })._connect_timeout, 123);
    assert.equal(makeClient(t)._connect_timeout, 5000);
  });

  row('SockhopClient opts.response_timeout', async (t) => {
    const { client } = await clientOnWire(t, { response_timeout: 20 });
    const stream = await client.request('Q');
    const [error] = await once(stream, 'end');
    assert.equal(error.code, 'ERR_RESPONSE_TIMEOUT');
  });

  row(
    'SockhopClient.request(object, config) ⇒ Promise.<SockhopResponseReadableStream>',
    async (t) => {
      const { client, server } = await connected(t);
      server.on('request', (req, res) => res.send({ to: req.data }));
      const stream = await client.request('Q', { timeout: 10_000 });
      assert.ok(stream instanceof SockhopResponseReadableStream);
      assert.deepEqual(await stream.next(), { data: { to: 'Q' }, type: 'Object' });
    },
  );

  row('SockhopClient "request" (req, res)', async (t) => {
    const { client, session } = await connected(t);
    const event = once(client, 'request');
    await session.request('Q');
    const args = await event;
    assert.equal(args.length, 2);
    assert.ok(args[0] instanceof SockhopRequest);
    assert.equal(args[0].data, 'Q');
    assert.ok(args[1] instanceof SockhopResponseWriteableStream);
  });

  row('SockhopClient opts.debug', async (t) => {
    const { client, wire } = await clientOnWire(t, { debug: false });
    client.on('sending', () => assert.fail('not in debug mode'));
    await client.send('quiet');
    await wire.received(1);
    assert.equal(client.debug, false);
  });

  row('SockhopClient.debug ⇒ boolean', (t) => {
    assert.equal(makeClient(t).debug, false);
    assert.equal(makeClient(t, { debug: true }).debug, true);
  });

  row('SockhopClient "sending" (object, buffer)', async (t) => {
    const { client, wire } = await clientOnWire(t, { debug: true });
    const event = once(client, 'sending');
    await client.send({ a: 1 });
    const [object, buffer] = await event;
    assert.deepEqual({ ...object }, { type: 'Object', data: { a: 1 } });
    assert.ok(Buffer.isBuffer(buffer));
    await wire.received(1);
    assert.ok(wire.bytes().toString().startsWith(buffer.toString().trimEnd()));
  });

  row('SockhopClient "received" (object, buffer)', async (t) => {
    const { client, wire } = await clientOnWire(t, { debug: true });
    const event = once(client, 'received');
    const data = once(client, 'receive');
    await wire.send({ type: 'Widget', data: { a: 1 } });
    const [object, buffer] = await event;
    assert.deepEqual(object, { type: 'Widget', data: { a: 1 } });
    assert.ok(Buffer.isBuffer(buffer) && buffer.includes('{"type":"Widget","data":{"a":1}}'));
    await data;
  });
});

describe('the API, row by row: SockhopPing and SockhopPong', () => {
  row('SockhopPing', () => {
    const ping = new SockhopPing();
    assert.match(ping._id, /^[0-9a-f-]{36}$/);
    assert.ok(ping._created instanceof Date);
    assert.equal(ping._returned, null);
    assert.equal(ping._finished, null);
  });

  row('SockhopPing.unanswered() ⇒ boolean', () =>
    assert.equal(new SockhopPing().unanswered(), true),
  );

  row('SockhopPing.conclude_with_pong(pong)', () => {
    const ping = new SockhopPing();
    ping.conclude_with_pong(new SockhopPong({ _id: 'another' }));
    assert.equal(ping.unanswered(), true);
    ping.conclude_with_pong(new SockhopPong(ping));
    assert.equal(ping.unanswered(), false);
    assert.ok(ping._finished instanceof Date);
  });

  row('SockhopPong', () => {
    const pong = new SockhopPong({ _id: 'i', _created: 'c' });
    assert.equal(pong._id, 'i');
    assert.equal(pong._created, 'c');
    assert.ok(pong._returned instanceof Date);
    assert.equal(pong.finished, null);
  });
});

describe('the API, row by row: SockhopServer', () => {
  row('SockhopServer ⇐ EventEmitter', (t) => {
    const server = makeServer(t);
    assert.ok(server instanceof EventEmitter);
    assert.equal(server.constructor.name, 'SockhopServer');
  });

  row('new SockhopServer([opts])', (t) => {
    const server = makeServer(t);
    assert.equal(server.address, '127.0.0.1');
    assert.equal(server.port, 50000);
    assert.deepEqual(server.sockets, []);
  });

  row('SockhopServer opts.path', async (t) => {
    const where = socketPath(t);
    const server = makeServer(t, { path: where, port: 1 });
    await server.listen();
    assert.equal(server.server.address(), where);
  });

  row('SockhopServer opts.address', async (t) => {
    const server = makeServer(t, { address: '0.0.0.0', port: await freePort() });
    await server.listen();
    assert.equal(server.server.address().address, '0.0.0.0');
  });

  row('SockhopServer opts.port', async (t) => {
    const port = await freePort();
    const server = makeServer(t, { port });
    await server.listen();
    assert.equal(server.server.address().port, port);
  });

  row('SockhopServer opts.auto_reconnect_interval', async (t) => {
    // A server does not use it, but programs pass one set of options to both.
    const server = makeServer(t, { path: socketPath(t), auto_reconnect_interval: 10 });
    await server.listen();
    assert.equal(server.server.listening, true);
  });

  row('SockhopServer opts.terminator', async (t) => {
    const { server, wire, sock } = await serverOnWire(t, { terminator: ['\0', '\n'] });
    await server.send(sock, { a: 1 });
    await wire.received(1, '\n');
    const received = once(server, 'receive');
    await wire.write('{"type":"T","data":1}\0');
    assert.equal((await received)[0], 1);
  });

  row('SockhopServer opts.allow_non_objects', async (t) => {
    const { server, wire } = await serverOnWire(t, { peer_type: 'json', allow_non_objects: true });
    const received = once(server, 'receive');
    await wire.write('plain\n');
    assert.equal((await received)[0], 'plain');
  });

  row('SockhopServer opts.peer_type', async (t) => {
    const { server, wire, sock } = await serverOnWire(t, { peer_type: 'json' });
    await server.send(sock, { bare: true });
    assert.deepEqual(await wire.received(1), ['{"bare":true}']);
  });

  row('SockhopServer opts.session_type', async (t) => {
    class Mine extends sockhop.session {}
    const { session } = await serverOnWire(t, { session_type: Mine });
    assert.ok(session instanceof Mine);
  });

  row('SockhopServer opts.response_timeout', async (t) => {
    const { server, sock } = await serverOnWire(t, { response_timeout: 20 });
    const stream = await server.request(sock, 'Q');
    const [error] = await once(stream, 'end');
    assert.equal(error.code, 'ERR_RESPONSE_TIMEOUT');
  });

  row('SockhopServer.sockets ⇒ Array.<net.Socket>', async (t) => {
    const { server, sock } = await serverOnWire(t);
    assert.deepEqual(server.sockets, [sock]);
    assert.ok(server.sockets[0] instanceof net.Socket);
  });

  row('SockhopServer.sessions ⇒ Array.<SockhopSession>', async (t) => {
    const { server, session } = await serverOnWire(t);
    assert.equal(server.sessions.length, 1);
    assert.equal(server.sessions[0], session);
  });

  row('SockhopServer.server ⇒ net.Server', async (t) => {
    const { server } = await serverOnWire(t);
    assert.equal(server.server.listening, true);
    const count = await new Promise((resolve) =>
      server.server.getConnections((_, n) => resolve(n)),
    );
    assert.equal(count, 1);
  });

  row('SockhopServer.emit_async()', async (t) => {
    const server = makeServer(t);
    let came = false;
    const event = once(server, 'own').then((args) => {
      came = true;
      return args;
    });
    server.emit_async('own', 1, 2);
    await Promise.resolve();
    assert.equal(came, false);
    assert.deepEqual(await event, [1, 2]);
  });

  row('SockhopServer.ping(delay)', async (t) => {
    const { server, wire } = await serverOnWire(t);
    server.ping(15);
    assert.equal(JSON.parse((await wire.received(1))[0]).type, 'SockhopPing');
    await once(server, 'disconnect');
    server.ping(0);
    assert.equal(server.interval_timer, null);
  });

  row('SockhopServer.listen() ⇒ Promise.<net.Server>', async (t) => {
    const server = makeServer(t, { path: socketPath(t) });
    assert.equal(await server.listen(), server.server);
  });

  row('SockhopServer.get_bound_address() ⇒ string', async (t) => {
    const server = makeServer(t, { port: await freePort() });
    await server.listen();
    assert.equal(server.get_bound_address(), '127.0.0.1');
  });

  row('SockhopServer.send(socket, object, [callback]) ⇒ Promise', async (t) => {
    const { client, server, sock } = await connected(t);
    client.on('receive', (object, meta) => meta.callback?.([object]));
    await server.send(sock, 'no answer wanted');
    const answer = await new Promise((resolve) =>
      server.send(sock, 'ask', (...args) => resolve(args)),
    );
    assert.deepEqual(answer, [['ask'], { type: 'Array' }]);
  });

  row(
    'SockhopServer.request(sock, object, config) ⇒ Promise.<SockhopResponseReadableStream>',
    async (t) => {
      const { client, server, sock } = await connected(t);
      client.on('request', (req, res) => res.send([req.data]));
      const stream = await server.request(sock, 'Q', { timeout: 10_000 });
      assert.ok(stream instanceof SockhopResponseReadableStream);
      assert.deepEqual(await stream.next(), { data: ['Q'], type: 'Array' });
    },
  );

  row('SockhopServer.sendall(object) ⇒ Promise', async (t) => {
    const { server, wire } = await serverOnWire(t);
    await server.sendall({ to: 'all' });
    assert.deepEqual(await wire.received(1), [JSON.stringify(frame({ to: 'all' }))]);
  });

  row('SockhopServer.kill_socket(sock) ⇒ Promise', async (t) => {
    const { server, wire, sock } = await serverOnWire(t);
    await server.kill_socket(sock);
    await wire.end;
    assert.deepEqual(server.sockets, []);
  });

  row('SockhopServer.disconnect() ⇒ Promise', async (t) => {
    const { server, wire } = await serverOnWire(t);
    await server.disconnect();
    await wire.end;
    assert.equal(server.server.listening, true);
  });

  row('SockhopServer.close() ⇒ Promise', async (t) => {
    const { server, wire } = await serverOnWire(t);
    assert.equal(await server.close(), undefined);
    await wire.end;
    assert.equal(server.server.listening, false);
  });

  row('SockhopServer "connect" (sock, session)', async (t) => {
    const { sock, session } = await serverOnWire(t);
    assert.ok(sock instanceof net.Socket);
    assert.ok(session instanceof sockhop.session);
  });

  row('SockhopServer "receive" (object, meta)', async (t) => {
    const { server, wire, sock, session } = await serverOnWire(t);
    const event = once(server, 'receive');
    await wire.send({ type: 'Widget', data: { a: 1 }, id: 'x' });
    const [object, meta] = await event;
    assert.deepEqual(object, { a: 1 });
    assert.deepEqual(Object.keys(meta).sort(), ['callback', 'session', 'socket', 'type']);
    assert.equal(meta.type, 'Widget');
    assert.equal(meta.socket, sock);
    assert.equal(meta.session, session);
    meta.callback('answer');
    assert.deepEqual(await wire.received(1), [
      '{"type":"String","data":"answer","callback_id":"x"}',
    ]);
  });

  row('SockhopServer "request" (req, res, meta)', async (t) => {
    const { client, server, sock, session } = await connected(t);
    const event = once(server, 'request');
    await client.request('Q');
    const [req, res, meta] = await event;
    assert.ok(req instanceof SockhopRequest);
    assert.ok(res instanceof SockhopResponseWriteableStream);
    assert.equal(meta.socket, sock);
    assert.equal(meta.session, session);
  });

  row('SockhopServer "disconnect" (sock, session)', async (t) => {
    const { server, wire, sock, session } = await serverOnWire(t);
    const event = once(server, 'disconnect');
    wire.finish();
    const args = await event;
    assert.equal(args[0], sock);
    assert.equal(args[1], session);
  });

  row('SockhopServer "error" (err, sock, session)', async (t) => {
    const { server, wire, sock } = await serverOnWire(t);
    const event = new Promise((resolve) => server.once('error', (...args) => resolve(args)));
    await wire.write('garbage\n');
    const [error, culprit] = await event;
    assert.equal(error.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.equal(culprit, sock);
    const taken = makeServer(t, { path: server.path });
    const failed = new Promise((resolve) => taken.once('error', (...args) => resolve(args)));
    taken.listen().catch(() => {});
    const [listenError, ...nulls] = await failed;
    assert.equal(listenError.code, 'EADDRINUSE');
    assert.deepEqual(nulls, [null, null]);
  });
});

describe('the API, row by row: SockhopSession', () => {
  row('SockhopSession ⇐ EventEmitter', () => {
    assert.ok(new sockhop.session() instanceof EventEmitter);
    assert.equal(sockhop.session.name, 'SockhopSession');
  });

  row('new SockhopSession(sock, server)', () => {
    const [sock, server] = [{}, {}];
    const session = new sockhop.session(sock, server);
    assert.equal(session.sock, sock);
    assert.equal(session.server, server);
  });

  row('SockhopSession.sock ⇒ net.Socket', async (t) => {
    const { session, sock } = await serverOnWire(t);
    assert.equal(session.sock, sock);
  });

  row('SockhopSession.server ⇒ SockhopServer', async (t) => {
    const { session, server } = await serverOnWire(t);
    assert.equal(session.server, server);
  });

  row('SockhopSession.send(obj) ⇒ Promise', async (t) => {
    const { session, wire } = await serverOnWire(t);
    await session.send([1]);
    assert.deepEqual(await wire.received(1), ['{"type":"Array","data":[1]}']);
  });

  row(
    'SockhopSession.request(obj, config) ⇒ Promise.<SockhopResponseReadableStream>',
    async (t) => {
      const { client, session } = await connected(t);
      client.on('request', (req, res) => res.send(req.data));
      const stream = await session.request('Q', { timeout: 10_000 });
      assert.deepEqual(await stream.next(), { data: 'Q', type: 'String' });
    },
  );

  row('SockhopSession.kill() ⇒ Promise', async (t) => {
    const { session, server, wire } = await serverOnWire(t);
    await session.kill();
    await wire.end;
    assert.deepEqual(server.sessions, []);
  });

  row('SockhopSession.start() ⇒ Promise', async (t) => {
    class Mine extends sockhop.session {
      async start() {
        await super.start();
        this.began = this.server.sockets.length;
      }
    }
    const { session } = await serverOnWire(t, { session_type: Mine });
    assert.equal(session.began, 0);
  });

  row('SockhopSession.end() ⇒ Promise', async (t) => {
    class Mine extends sockhop.session {
      async end() {
        await super.end();
        this.ended = true;
      }
    }
    const { server, session, wire } = await serverOnWire(t, { session_type: Mine });
    server.once('disconnect', () => assert.equal(session.ended, true));
    const event = once(server, 'disconnect');
    wire.finish();
    await event;
  });
});

describe('the API, row by row: SockhopError', () => {
  row('SockhopError ⇐ Error', () => assert.ok(new sockhop.error('m', 'C') instanceof Error));

  row('new SockhopError(message, code)', () => {
    const error = new sockhop.error('message', 'CODE');
    assert.equal(error.message, 'message');
    assert.equal(error.code, 'CODE');
    assert.equal(error.constructor.name, 'SockhopError');
  });

  const isError = (code) => (error) => {
    assert.ok(error instanceof sockhop.error);
    assert.equal(error.code, code);
    return true;
  };

  row('SockhopError code ERR_MULTICONNECT', async (t) => {
    const raw = await RawServer.listen(socketPath(t));
    t.after(() => raw.close());
    const client = makeClient(t, { path: raw.server.address() });
    const first = client.connect();
    await assert.rejects(client.connect(), isError('ERR_MULTICONNECT'));
    await first;
  });

  row('SockhopError code ERR_SOCKET_DESTROYED', async (t) => {
    const { client } = await clientOnWire(t);
    await client.disconnect();
    await assert.rejects(client.send('late'), isError('ERR_SOCKET_DESTROYED'));
  });

  row('SockhopError code ERR_REMOTE_CALLBACK_TYPE', async (t) => {
    const { client } = await clientOnWire(t);
    assert.throws(() => client.send('ask', 'no function'), isError('ERR_REMOTE_CALLBACK_TYPE'));
  });

  row('SockhopError code ERR_NO_SOCKET', async (t) => {
    const { server } = await serverOnWire(t);
    await assert.rejects(server.send(undefined, 'x'), isError('ERR_NO_SOCKET'));
  });

  row('SockhopError code ERR_BAD_DATA', async (t) => {
    const { server, sock } = await serverOnWire(t);
    assert.throws(() => server.send(sock), isError('ERR_BAD_DATA'));
  });

  const bufferError = (use) => {
    const buffer = new ObjectBuffer();
    let found;
    buffer.once('error', (error) => {
      found = error;
    });
    try {
      use(buffer);
    } catch {
      // This test ignores everything after the event.
    }
    return found;
  };

  row('SockhopError code ERR_OBJECTBUFFER_BAD_BUFFER', () => {
    isError('ERR_OBJECTBUFFER_BAD_BUFFER')(bufferError((buffer) => buffer.buf2obj('no buffer')));
  });

  row('SockhopError code ERR_OBJECTBUFFER_BAD_BUFFER_DATA', () => {
    isError('ERR_OBJECTBUFFER_BAD_BUFFER_DATA')(
      bufferError((buffer) => buffer.buf2obj(Buffer.from('bad\n'))),
    );
  });

  row('SockhopError code ERR_OBJECTBUFFER_BAD_OBJECT', () => {
    isError('ERR_OBJECTBUFFER_BAD_OBJECT')(bufferError((buffer) => buffer.obj2buf('text')));
  });

  row('SockhopError code ERR_REQUEST_TYPE', async (t) => {
    const { client } = await clientOnWire(t, { peer_type: 'json' });
    await assert.rejects(client.request('Q'), isError('ERR_REQUEST_TYPE'));
  });

  row('SockhopError code ERR_RESPONSE_TIMEOUT', async (t) => {
    const { client } = await clientOnWire(t);
    const stream = await client.request('Q', { timeout: 20 });
    const [error] = await once(stream, 'end');
    isError('ERR_RESPONSE_TIMEOUT')(error);
  });

  row('SockhopError code ERR_RESPONSE_SEND', async (t) => {
    const { client, server } = await connected(t);
    const event = once(server, 'request');
    await client.request('Q');
    const [, res] = await event;
    await res.send('once');
    await assert.rejects(res.send('twice'), isError('ERR_RESPONSE_SEND'));
  });
});

describe('the API, row by row: requests', () => {
  class Widget {
    w = 1;
  }

  row('new SockhopRequest([opts])', () => {
    const request = new SockhopRequest({ uuid: 'u', data: 'd', type: 'T' });
    assert.deepEqual({ ...request }, { uuid: 'u', data: 'd', type: 'T' });
    assert.match(new SockhopRequest().uuid, /^[0-9a-f-]{36}$/);
  });

  row('SockhopRequest.parse(obj) ⇒ SockhopRequest', () => {
    const request = SockhopRequest.parse({ uuid: 'u', data: [1], type: 'Array' });
    assert.ok(request instanceof SockhopRequest);
    assert.deepEqual(request.data, [1]);
  });

  row('SockhopRequest.from_data(data) ⇒ SockhopRequest', () => {
    assert.equal(SockhopRequest.from_data(new Widget()).type, 'Widget');
  });

  row('new SockhopResponsePacket([opts])', () => {
    const packet = new SockhopResponsePacket({ uuid: 'u', data: 'd' });
    assert.equal(JSON.stringify(packet), '{"uuid":"u","type":"String","data":"d","last":false}');
  });

  row('SockhopResponsePacket.parse(obj) ⇒ SockhopResponsePacket', () => {
    const packet = SockhopResponsePacket.parse({ uuid: 'u', data: 1, type: 'T', last: true });
    assert.ok(packet instanceof SockhopResponsePacket);
    assert.equal(packet.type, 'T');
    assert.equal(packet.last, true);
  });

  row('SockhopResponsePacket.for_data(data, uuid, [last]) ⇒ SockhopResponsePacket', () => {
    const packet = SockhopResponsePacket.for_data(new Widget(), 'u', true);
    assert.equal(JSON.stringify(packet), '{"uuid":"u","type":"Widget","data":{"w":1},"last":true}');
  });

  row('SockhopResponseReadableStream ⇐ EventEmitter', () => {
    assert.ok(new SockhopResponseReadableStream({ uuid: 'u' }) instanceof EventEmitter);
  });

  row('new SockhopResponseReadableStream([opts])', () => {
    assert.equal(new SockhopResponseReadableStream({ uuid: 'u' }).uuid, 'u');
    assert.match(new SockhopResponseReadableStream({}).uuid, /^[0-9a-f-]{36}$/);
  });

  row('SockhopResponseReadableStream.ended ⇒ boolean', () => {
    const stream = new SockhopResponseReadableStream({ uuid: 'u' });
    assert.equal(stream.ended, false);
    stream.end();
    assert.equal(stream.ended, true);
  });

  row('SockhopResponseReadableStream.receive_packet(pkt)', () => {
    const stream = new SockhopResponseReadableStream({ uuid: 'u' });
    const seen = [];
    stream.on('data', (...args) => seen.push(args));
    stream.receive_packet(SockhopResponsePacket.for_data('one', 'u'));
    stream.receive_packet(SockhopResponsePacket.for_data('two', 'u', true));
    stream.receive_packet(SockhopResponsePacket.for_data('late', 'u'));
    assert.deepEqual(seen, [
      ['one', 'String'],
      ['two', 'String'],
    ]);
    assert.equal(stream.ended, true);
  });

  row('SockhopResponseReadableStream.end([err])', () => {
    const stream = new SockhopResponseReadableStream({ uuid: 'u' });
    const ends = [];
    stream.on('end', (error) => ends.push(error));
    const error = new Error('mine');
    stream.end(error);
    stream.end();
    assert.deepEqual(ends, [error]);
  });

  row('SockhopResponseReadableStream.next() ⇒ Promise.<ResponsePacketPayload>', async () => {
    const stream = new SockhopResponseReadableStream({ uuid: 'u' });
    const next = stream.next();
    stream.receive_packet(SockhopResponsePacket.for_data('one', 'u'));
    assert.deepEqual(await next, { data: 'one', type: 'String' });
    assert.equal(stream.ended, true);
  });

  row('SockhopResponseReadableStream.all() ⇒ Promise.<Array.<ResponsePacketPayload>>', async () => {
    const stream = new SockhopResponseReadableStream({ uuid: 'u' });
    const all = stream.all();
    stream.receive_packet(SockhopResponsePacket.for_data('one', 'u'));
    stream.receive_packet(SockhopResponsePacket.for_data([2], 'u', true));
    assert.deepEqual(await all, [
      { data: 'one', type: 'String' },
      { data: [2], type: 'Array' },
    ]);
  });

  row('SockhopResponseReadableStream "data" (data, type)', async (t) => {
    const { client, server } = await connected(t);
    server.on('request', (_, res) => res.write(new Widget()));
    const stream = await client.request('Q');
    assert.deepEqual(await once(stream, 'data'), [{ w: 1 }, 'Widget']);
  });

  row('SockhopResponseReadableStream "end" ([err])', async (t) => {
    const { client, server } = await connected(t);
    server.on('request', (_, res) => res.end());
    const stream = await client.request('Q');
    assert.deepEqual(await once(stream, 'end'), [undefined]);
  });

  row('SockhopResponseReadableStream.from_request(req) ⇒ SockhopResponseReadableStream', () => {
    const request = SockhopRequest.from_data('Q');
    const stream = SockhopResponseReadableStream.from_request(request);
    assert.ok(stream instanceof SockhopResponseReadableStream);
    assert.equal(stream.uuid, request.uuid);
  });

  /** Collects the packets that a writeable stream passes to its client or session. */
  const recorder = () => {
    const messages = [];
    const sockhopLike = {
      _send_message: async (message) => {
        messages.push(JSON.parse(JSON.stringify(message)));
      },
    };
    return { messages, sockhop: sockhopLike };
  };
  const packetMessage = (data, type, last) => ({
    type: 'SockhopResponsePacket',
    data: { uuid: 'u', type, data, last },
  });

  row('new SockhopResponseWriteableStream([opts], sockhop)', async () => {
    const through = recorder();
    const stream = new SockhopResponseWriteableStream({ uuid: 'u', sockhop: through.sockhop });
    assert.equal(stream.uuid, 'u');
    await stream.write('x');
    assert.equal(through.messages.length, 1);
  });

  row('SockhopResponseWriteableStream.send(data) ⇒ Promise', async () => {
    const { messages, sockhop: through } = recorder();
    const stream = new SockhopResponseWriteableStream({ uuid: 'u', sockhop: through });
    await stream.send('x');
    assert.deepEqual(messages, [packetMessage('x', 'String', true)]);
  });

  row('SockhopResponseWriteableStream.write(data) ⇒ Promise', async () => {
    const { messages, sockhop: through } = recorder();
    const stream = new SockhopResponseWriteableStream({ uuid: 'u', sockhop: through });
    await stream.write([1]);
    await stream.write(2);
    assert.deepEqual(messages, [
      packetMessage([1], 'Array', false),
      packetMessage(2, 'Number', false),
    ]);
  });

  row('SockhopResponseWriteableStream.end() ⇒ Promise', async () => {
    const { messages, sockhop: through } = recorder();
    const stream = new SockhopResponseWriteableStream({ uuid: 'u', sockhop: through });
    await stream.end();
    assert.deepEqual(messages, [packetMessage({}, 'Object', true)]);
  });

  row(
    'SockhopResponseWriteableStream.from_request(req_obj, sockhop) ⇒ SockhopResponseWriteableStream',
    async () => {
      const { messages, sockhop: through } = recorder();
      const stream = SockhopResponseWriteableStream.from_request({ uuid: 'u' }, through);
      await stream.send('x');
      assert.equal(messages[0].data.uuid, 'u');
    },
  );
});

describe('the API, row by row: TimedMap', () => {
  row('new TimedMap([opts])', async () => {
    const map = new TimedMap({ timeout: 10 });
    const reason = await new Promise((resolve) => map.set('key', 1, resolve));
    assert.equal(reason, 'timed-out');
    new TimedMap().stop();
  });

  row('TimedMap.set(key, value, cb, [timeout])', async () => {
    const map = new TimedMap({ timeout: 60_000 });
    const reason = await new Promise((resolve) => map.set('key', 1, resolve, 10));
    assert.equal(reason, 'timed-out');
    const overwritten = new Promise((resolve) => map.set('key', 1, resolve));
    map.set('key', 2);
    assert.equal(await overwritten, 'overwritten');
    map.stop();
  });

  row('TimedMap.get(key) ⇒ *', () => {
    const map = new TimedMap();
    map.set('key', { a: 1 });
    assert.deepEqual(map.get('key'), { a: 1 });
    assert.equal(map.get('absent'), undefined);
    map.stop();
  });

  row('TimedMap.delete(key)', () => {
    const map = new TimedMap();
    const reasons = [];
    map.set('key', 1, (reason) => reasons.push(reason));
    assert.equal(map.delete('key'), true);
    assert.equal(map.delete('key'), false);
    assert.deepEqual(reasons, ['deleted']);
  });

  row('TimedMap.stop()', () => {
    const map = new TimedMap();
    const reasons = [];
    map.set('a', 1, (reason) => reasons.push(reason));
    map.set('b', 2, (reason) => reasons.push(reason));
    map.stop();
    assert.deepEqual(reasons, ['stopped', 'stopped']);
    assert.equal(map._map.size, 0);
  });
});

describe('the table of rows', () => {
  it('has no hole', () => {
    assert.deepEqual(
      table()
        .filter(({ test }) => !test)
        .map(({ row: name }) => name),
      [],
    );
  });

  it('names every row once', () => {
    assert.equal(new Set(rows.map(({ row: name }) => name)).size, rows.length);
  });
});
