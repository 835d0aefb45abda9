'use strict';

// Tests how messages of other nodes and to groups reach the clients of a node: those of the native
// side, and those to which the program or the package writes by itself.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');

const { brokers } = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { EventLog } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { startNode, startNodes } = require('./support/nodes.js');
const { rawClient } = require('./support/raw.js');

const memory = brokers.find(({ name }) => name === 'memory');

/** The objects that a client gets before one with `end`. */
async function objectsOf({ log }) {
  const objects = [];
  for (;;) {
    const { object } = await log.next('receive');
    if (object.end) return objects;
    objects.push(object);
  }
}

/** Two nodes that know each other; `b` has `count` clients. */
async function nodesWithClients(t, count, serverOptions) {
  const [a, b] = await startNodes(t, await memory.start(t), 2, {}, serverOptions);
  const clients = [];
  for (let n = 0; n < count; n += 1) clients.push(await b.client());
  return { a, b, clients };
}

describe('messages of another node', () => {
  it('arrive as the same bytes as without a cluster, in every way of sending', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 1);
    const [{ session, id, log, client }] = clients;
    await b.cluster.join(session, 'room');
    const alone = new impl.server({ port: 0 });
    cleanup(t, () => alone.close());
    await alone.listen();
    const other = new impl.client({ port: alone.server.address().port });
    cleanup(t, () => other.disconnect());
    const heard = new EventLog();
    other.on('receive', (object, meta) => heard.push({ name: 'receive', object, meta }));
    await other.connect();
    client.on('receive', (_, { callback }) => callback?.(Buffer.from([7])));
    const values = [Buffer.from([0, 255, 10]), new Uint8Array([1, 2]), { bytes: Buffer.from('x') }];
    for (const value of values) {
      await alone.sendall(value);
      const { object, meta } = await heard.next('receive');
      await a.server.sendall(value);
      await a.cluster.group('room').send(value);
      await a.cluster.session(id).send(value);
      for (const got of await log.take('receive', 3)) {
        assert.deepEqual(got.object, object);
        assert.equal(got.meta.type, meta.type);
      }
    }
    const answer = await new Promise((resolve, reject) => {
      a.cluster
        .session(id)
        .send({ ask: 1 }, (data) => resolve(data))
        .catch(reject);
    });
    assert.deepEqual(answer, Buffer.from([7]).toJSON());
  });

  it('keep their order among each other and with messages to single clients', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 40);
    for (const { session } of clients) await b.cluster.join(session, 'room');
    for (let n = 0; n < 100; n += 1) {
      a.server.sendall({ n });
      a.cluster.group('room').send({ n, to: 'room' });
      if (n % 10 === 0) await new Promise(setImmediate);
      for (const { sock } of clients) b.server.send(sock, { n, from: 'b' });
    }
    a.server.sendall({ end: true });
    for (const client of clients) {
      const objects = await objectsOf(client);
      const remote = objects.filter(({ from }) => from === undefined);
      const local = objects.filter(({ from }) => from === 'b');
      assert.deepEqual(
        remote,
        Array.from({ length: 100 }, (_, n) => [{ n }, { n, to: 'room' }]).flat(),
      );
      assert.deepEqual(
        local.map(({ n }) => n),
        Array.from({ length: 100 }, (_, n) => n),
      );
    }
  });

  it('follow the bytes that the program of their server is writing', async (t) => {
    const { a, b } = await nodesWithClients(t, 0);
    const wire = await rawClient(t, { port: b.server.server.address().port });
    const connected = b.server.sockets[0] ?? (await once(b.server, 'connect'))[0];
    connected.cork();
    connected.write('{"type":"Object","data":');
    connected.write('{"n":1}}\n');
    const arrived = once(b.cluster, 'remote');
    a.server.sendall({ n: 2 });
    await a.cluster.emit_remote('sent', { after: 'sendall' });
    await arrived;
    connected.uncork();
    const object = (n) => ({ type: 'Object', data: { n } });
    assert.deepEqual([await wire.frame(), await wire.frame()], [object(1), object(2)]);
  });

  it('reach streams that the program has given to its server, and other members', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 1);
    const [ours, theirs] = await pipe(t);
    const listed = once(b.server, 'connect');
    b.server.server.emit('connection', ours);
    const [, session] = await listed;
    await b.cluster.join(session, 'room');
    await b.cluster.join(clients[0].session, 'room');
    await a.cluster.group('room').send({ n: 1 });
    await a.server.sendall({ n: 2 });
    await a.server.sendall({ end: true });
    const wanted = '{"type":"Object","data":{"n":1}}\n{"type":"Object","data":{"n":2}}\n';
    assert.equal((await readText(theirs, wanted.length)).slice(0, wanted.length), wanted);
    assert.deepEqual(await objectsOf(clients[0]), [{ n: 1 }, { n: 2 }]);
  });

  it('reach streams and other clients in their order if several were sent in one tick', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 1);
    const [ours, theirs] = await pipe(t);
    const listed = once(b.server, 'connect');
    b.server.server.emit('connection', ours);
    await listed;
    const numbers = Array.from({ length: 20 }, (_, n) => n);
    for (const n of numbers) a.server.sendall({ n });
    a.server.sendall({ end: true });
    const wanted = numbers.map((n) => `{"type":"Object","data":{"n":${n}}}\n`).join('');
    assert.equal((await readText(theirs, wanted.length)).slice(0, wanted.length), wanted);
    assert.deepEqual(
      await objectsOf(clients[0]),
      numbers.map((n) => ({ n })),
    );
  });

  it('count as sent', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 3);
    await b.cluster.join(clients[0].session, 'room');
    const before = b.server.stats().messages_sent;
    await a.server.sendall({ n: 1 }, { except: clients[1].id });
    await a.cluster.group('room').send({ n: 2 });
    await a.server.sendall({ end: true });
    for (const client of clients) await objectsOf(client);
    assert.equal(b.server.stats().messages_sent - before, 2 + 1 + 3);
  });

  it('pass through send() of a server whose program has replaced it', async (t) => {
    const { a, b, clients } = await nodesWithClients(t, 1);
    const { send } = b.server;
    const passed = [];
    b.server.send = function (sock, object, ...rest) {
      passed.push(object);
      return send.call(this, sock, object, ...rest);
    };
    a.server.sendall({ n: 1 });
    a.server.sendall({ end: true });
    assert.deepEqual(await objectsOf(clients[0]), [{ n: 1 }]);
    assert.deepEqual(passed, [{ n: 1 }, { end: true }]);
  });

  it('are bare JSON for peers of the type "json"', async (t) => {
    const { a, b } = await nodesWithClients(t, 0, { peer_type: 'json' });
    const wire = await rawClient(t, { port: b.server.server.address().port });
    if (b.server.sockets.length === 0) await once(b.server, 'connect');
    await a.server.sendall({ text: 'ü' });
    assert.deepEqual(await wire.frame(), { text: 'ü' });
  });
});

describe('a group', () => {
  it('includes a session that joins before it has started', async (t) => {
    class Early extends impl.session {
      async start() {
        await server.cluster.join(this, 'early');
      }
    }
    const node = await startNode(
      t,
      await (await memory.start(t)).engine(),
      {},
      { session_type: Early },
    );
    const { server } = node;
    const client = await node.client();
    await server.cluster.group('early').send({ n: 1 });
    await server.sendall({ end: true });
    assert.deepEqual(await objectsOf(client), [{ n: 1 }]);
  });

  it('sends nothing to a session that has left it', async (t) => {
    const { b, clients } = await nodesWithClients(t, 2);
    const [leaver, stayer] = clients;
    for (const { session } of clients) await b.cluster.join(session, 'room');
    b.cluster.group('room').send({ n: 1 });
    await b.cluster.leave(leaver.session, 'room');
    b.cluster.group('room').send({ n: 2 });
    await b.server.sendall({ end: true });
    assert.deepEqual(await objectsOf(leaver), [{ n: 1 }]);
    assert.deepEqual(await objectsOf(stayer), [{ n: 1 }, { n: 2 }]);
  });
});

/** Both ends of a connection that neither a client nor a server of the package has made. */
async function pipe(t) {
  const listener = net.createServer().listen(0, '127.0.0.1');
  cleanup(t, () => listener.close());
  await once(listener, 'listening');
  const accepted = once(listener, 'connection');
  const theirs = net.connect(listener.address().port, '127.0.0.1');
  cleanup(t, () => theirs.destroy());
  const [ours] = await accepted;
  cleanup(t, () => ours.destroy());
  return [ours, theirs];
}

/** Reads at least that many characters. */
async function readText(stream, length) {
  let text = '';
  for await (const chunk of stream) {
    text += chunk;
    if (text.length >= length) break;
  }
  return text;
}
