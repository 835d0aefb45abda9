'use strict';

// The native side of broadcasts: their order with messages to single clients, and groups of
// connections. The clients are those of the original.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { deadline, until } = require('./support/deadline.js');
const { makeClient, startServer } = require('./support/local.js');
const { implementations } = require('./support/implementations.js');

// The binding of the package under test, which may be another copy.
const inPackage = (name) => require(`${implementations.native}/lib/internal/${name}`);
const { kConnection } = inPackage('symbols.js');
const { broadcasts, nextId } = inPackage('native/dispatcher.js');
const { PendingBroadcasts } = inPackage('server/pending-broadcasts.js');
const { kDeliver, kGroups, kJoin, kLeaveGroup } = inPackage('native/classes.js');

const { client: OriginalClient } = require(implementations.original);

/** More clients than the calling thread sends to by itself. */
const MANY = 40;

/** A server with `count` connected clients of the original, in the order of its sockets. */
async function startWithClients(t, count, options = {}) {
  const { server, where } = await startServer(t, options);
  const clients = [];
  for (let i = 0; i < count; i++) {
    const { client } = makeClient(t, where, {}, OriginalClient);
    const received = [];
    client.on('receive', (object) => received.push(object));
    await client.connect();
    await until(() => server.sockets.length === i + 1, 'the client is listed');
    clients.push({ client, received, socket: server.sockets[i] });
  }
  return { server, clients };
}

const connectionOf = ({ socket }) => socket[kConnection];

/** Delivers an object, and resolves when the kernel has it for all. */
function deliver(server, object, group = null, except = null) {
  const text = `${JSON.stringify({ type: 'Object', data: object })}\n`;
  const id = nextId();
  let reached;
  const done = new Promise((resolve) => broadcasts.set(id, () => resolve(reached)));
  reached = server[kDeliver](text, text.length, group, except, id);
  return deadline(done, 'the end of a broadcast');
}

/**
 * Waits until each client has an object with `end`, and returns the objects that they got before.
 */
async function everythingReceived(server, clients) {
  await server.sendall({ end: true });
  await until(() => clients.every(({ received }) => received.at(-1)?.end), 'the end arrives');
  return clients.map(({ received }) => received.slice(0, -1));
}

describe('broadcasts and messages to single clients', () => {
  for (const count of [3, MANY]) {
    it(`reach each of ${count} clients in the order of the calls`, async (t) => {
      const { server, clients } = await startWithClients(t, count);
      const expected = [];
      for (let i = 0; i < 200; i++) {
        server.sendall({ i, to: 'all' });
        for (const { socket } of clients) server.send(socket, { i, to: 'one' });
        expected.push({ i, to: 'all' }, { i, to: 'one' });
        if (i % 10 === 0) await null;
        if (i % 25 === 0) await new Promise(setImmediate);
      }
      for (const received of await everythingReceived(server, clients)) {
        assert.deepEqual(received, expected);
      }
    });
  }

  it('are followed by the end of a connection that ends after them', async (t) => {
    const { server, clients } = await startWithClients(t, MANY);
    server.sendall({ last: true });
    for (const { socket } of clients) socket.end();
    await until(
      () => clients.every(({ received }) => received.length > 0),
      'the broadcast arrives',
    );
    for (const { received } of clients) assert.deepEqual(received, [{ last: true }]);
  });

  it('count the waiting bytes of a broadcast at once', async (t) => {
    const { server, clients } = await startWithClients(t, MANY);
    const before = server.stats().bytes_sent + server.stats().queued_bytes;
    server.sendall({ some: 'text' });
    const { bytes_sent, queued_bytes } = server.stats();
    const length = JSON.stringify({ type: 'Object', data: { some: 'text' } }).length + 1;
    assert.equal(bytes_sent + queued_bytes - before, clients.length * length);
  });

  it('stay in order when more broadcasts wait than the runtime is given to send', async (t) => {
    const { server, clients } = await startWithClients(t, MANY);
    const count = 3000;
    for (let i = 0; i < count; i++) server.sendall({ i });
    for (const received of await everythingReceived(server, clients)) {
      assert.deepEqual(
        received.map(({ i }) => i),
        Array.from({ length: count }, (_, i) => i),
      );
    }
  });
});

describe('the promises of sendall()', () => {
  it('are fulfilled in the order of the calls, whichever the native side reports first', async () => {
    const pending = new PendingBroadcasts();
    const order = [];
    const ids = [nextId(), nextId(), nextId()];
    const all = ids.map((id, i) => pending.add(id, i).then(({ length }) => order.push(length)));
    const report = (i) => {
      broadcasts.get(ids[i])();
      broadcasts.delete(ids[i]);
    };
    report(1);
    await null;
    assert.deepEqual(order, []);
    report(0);
    await Promise.all(all.slice(0, 2));
    assert.deepEqual(order, [0, 1]);
    report(2);
    await deadline(all[2], 'the last one');
    assert.deepEqual(order, [0, 1, 2]);
  });

  it('are fulfilled in the order of the calls in each of 200 bursts', async (t) => {
    const { server } = await startWithClients(t, 3);
    const expected = Array.from({ length: 20 }, (_, i) => i);
    for (let burst = 0; burst < 200; burst++) {
      const order = [];
      const body = 'x'.repeat((burst % 3) * 5000);
      const all = expected.map((i) => server.sendall({ i, body }).then(() => order.push(i)));
      await deadline(Promise.all(all), 'the end of a burst');
      assert.deepEqual(order, expected);
    }
  });
});

describe('groups of connections', () => {
  it('get messages that are delivered while a connection is a member, in the order of the calls', async (t) => {
    const { server, clients } = await startWithClients(t, MANY);
    for (const one of clients) assert.equal(server[kJoin](connectionOf(one), 'room'), true);
    const [leaver, stayer] = clients;
    for (let i = 0; i < 100; i++) {
      deliver(server, { i }, 'room');
      assert.equal(server[kLeaveGroup](connectionOf(leaver), 'room'), true);
      deliver(server, { i, missed: true }, 'room');
      assert.equal(server[kJoin](connectionOf(leaver), 'room'), true);
    }
    const [left, stayed] = await everythingReceived(server, [leaver, stayer]);
    assert.deepEqual(
      left,
      Array.from({ length: 100 }, (_, i) => ({ i })),
    );
    assert.equal(stayed.length, 200);
  });

  it('leave out connections by their ids, and report the number of members', async (t) => {
    const { server, clients } = await startWithClients(t, 3);
    const [first, second, third] = clients;
    server[kJoin](connectionOf(first), 'room');
    server[kJoin](connectionOf(second), 'room');
    assert.equal(await deliver(server, { to: 'all' }, null, [connectionOf(third).id]), 3);
    assert.equal(await deliver(server, { to: 'room' }, 'room', [connectionOf(first).id]), 2);
    assert.equal(await deliver(server, { to: 'none' }, 'no such room'), 0);
    assert.deepEqual(await everythingReceived(server, clients), [
      [{ to: 'all' }],
      [{ to: 'all' }, { to: 'room' }],
      [],
    ]);
  });

  it('can be joined only once, and left only once', async (t) => {
    const { server, clients } = await startWithClients(t, 1);
    const connection = connectionOf(clients[0]);
    assert.equal(server[kLeaveGroup](connection, 'room'), false);
    assert.equal(server[kJoin](connection, 'room'), true);
    assert.equal(server[kJoin](connection, 'room'), false);
    assert.deepEqual(server[kGroups](connection), ['room']);
    assert.equal(await deliver(server, {}, 'room'), 1);
    assert.equal(server[kLeaveGroup](connection, 'room'), true);
    assert.deepEqual(server[kGroups](connection), []);
    assert.equal(await deliver(server, {}, 'room'), 0);
  });

  it('lose a connection that ends', async (t) => {
    const { server, clients } = await startWithClients(t, 2);
    for (const one of clients) {
      for (let i = 0; i < 10; i++) server[kJoin](connectionOf(one), `room ${i}`);
    }
    const [first, second] = clients.map(connectionOf);
    await clients[0].client.disconnect();
    await until(() => server.sockets.length === 1, 'the server notices');
    for (let i = 0; i < 10; i++) assert.equal(await deliver(server, {}, `room ${i}`), 1);
    assert.equal(server[kGroups](second).length, 10);
    assert.deepEqual(server[kGroups](first), []);
    assert.equal(server[kJoin](first, 'room'), false);
  });

  it('of another server cannot be joined', async (t) => {
    const { clients } = await startWithClients(t, 1);
    const { server } = await startServer(t);
    assert.equal(server[kJoin](connectionOf(clients[0]), 'room'), false);
    assert.equal(await deliver(server, {}, 'room'), 0);
  });

  it('have a name of 1 to 1,024 bytes, and a connection is in at most 1,000', async (t) => {
    const { server, clients } = await startWithClients(t, 1);
    const connection = connectionOf(clients[0]);
    assert.equal(server[kJoin](connection, 'ä'.repeat(512)), true);
    for (const name of ['', 'ä'.repeat(513)]) {
      assert.throws(() => server[kJoin](connection, name), /1 to 1024 bytes/);
    }
    for (let i = 1; i < 1000; i++) server[kJoin](connection, `${i}`);
    assert.throws(() => server[kJoin](connection, 'one more'), /1000 groups/);
    assert.equal(server[kGroups](connection).length, 1000);
    assert.equal(await deliver(server, {}, 'one more'), 0);
  });
});
