'use strict';

// Messages that a node sends in one tick: those to one subject are published as one.

const assert = require('node:assert/strict');
const { randomInt } = require('node:crypto');
const { describe, it } = require('node:test');

const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { BadLine, read } = require('../lib/internal/cluster/line.js');
const { isParcel, unpack } = require('../lib/internal/cluster/parcels.js');
const { brokers } = require('./support/brokers.js');
const { turn } = require('./support/deadline.js');
const { startNodes } = require('./support/nodes.js');

const limit = { timeout: 600_000 };
const COUNT = 100;

const numbers = (count) => Array.from({ length: count }, (_, n) => n);
const received = async (log) => (await log.next('receive')).object;

for (const { name, skip, start } of brokers) {
  describe(`the messages of one tick, over ${name}`, { ...limit, skip }, () => {
    it('reach a client in the order in which they were sent by any means', async (t) => {
      const broker = await start(t);
      const [a, b] = await startNodes(t, broker, 2);
      const { log, session, id } = await b.client();
      await b.cluster.join(session, 'room');
      const means = [
        (object) => a.server.sendall(object),
        (object) => a.cluster.group('room').send(object),
        (object) => a.cluster.session(id).send(object),
      ];
      // Sends several messages in one way, and then several in the next way.
      const meansOf = (n) => Math.floor(n / 7) % means.length;
      await Promise.all(numbers(COUNT).map((n) => means[meansOf(n)]({ n })));
      const objects = (await log.take('receive', COUNT)).map(({ object }) => object.n);
      // Over a Redis Cluster, each way of sending has its own order.
      if (broker.isOrdered === false) objects.sort((one, other) => meansOf(one) - meansOf(other));
      const sent = numbers(COUNT);
      if (broker.isOrdered === false) sent.sort((one, other) => meansOf(one) - meansOf(other));
      assert.deepEqual(objects, sent);
    });

    it('are each answered, from several nodes and to several nodes', async (t) => {
      const [a, b, c] = await startNodes(t, await start(t), 3);
      const clients = await Promise.all([b.client(), c.client()]);
      for (const { client } of clients) {
        client.on('receive', (object, meta) => meta.callback({ twice: object.n * 2 }));
      }
      const ask = (id, n) =>
        new Promise((resolve, reject) => {
          a.cluster.session(id).send({ n }, resolve).catch(reject);
        });
      const answers = await Promise.all(numbers(COUNT).map((n) => ask(clients[n % 2].id, n)));
      assert.deepEqual(
        answers.map(({ twice }) => twice),
        numbers(COUNT).map((n) => n * 2),
      );
    });

    it('are each refused if there is no such node', async (t) => {
      const [a] = await startNodes(t, await start(t), 1);
      const handle = a.cluster.session(`${'x'.repeat(16)}.1`);
      const sent = await Promise.allSettled(numbers(COUNT).map((n) => handle.send({ n })));
      for (const { reason } of sent) assert.equal(reason?.code, 'ERR_CLUSTER_NO_NODE');
    });
  });
}

/** Two nodes over a bus, and the messages that the bus passes to each, without heartbeats. */
async function countedNodes(t, options) {
  const bus = new MemoryBus();
  const engines = [];
  const engine = async () => {
    engines.push(memory({ bus }));
    return engines.at(-1);
  };
  const [a, b] = await startNodes(t, { engine }, 2, options);
  const passed = [];
  const answers = [];
  bus.fault = (entry) => {
    const list = entry.engine === engines[1] ? passed : answers;
    if (!entry.subject.endsWith('.h')) list.push(entry);
    return [entry];
  };
  return { a, b, bus, passed, answers };
}

describe('the messages of one tick', limit, () => {
  it('need one message of the broker if they have one subject', async (t) => {
    const { a, b, passed } = await countedNodes(t);
    const { log, id } = await b.client();
    for (const n of numbers(COUNT)) a.server.sendall({ n });
    await Promise.all(numbers(COUNT).map((n) => a.cluster.session(id).send({ n })));
    assert.equal((await log.take('receive', 2 * COUNT)).length, 2 * COUNT);
    assert.equal(passed.length, 2);
    assert.ok(passed.every(({ bytes }) => isParcel(bytes)));
    assert.equal(b.server.stats().cluster.received, 2 * COUNT);
  });

  it('reach the members of a group, without those that are left out, and count as sent', async (t) => {
    const { a, b, passed } = await countedNodes(t);
    const clients = [await b.client(), await b.client(), await b.client()];
    for (const { session } of clients.slice(1)) await b.cluster.join(session, 'room');
    const before = b.server.stats().messages_sent;
    const except = clients[2].id;
    for (const n of numbers(COUNT)) a.cluster.group('room').send({ n }, { except });
    a.server.sendall({ end: true }, { except: clients[1].id });
    a.server.sendall({ end: true }, { except: clients[1].id });
    for (const { log } of [clients[0], clients[2]]) {
      assert.equal((await log.take('receive', 2)).length, 2);
    }
    const objects = (await clients[1].log.take('receive', COUNT)).map(({ object }) => object.n);
    assert.deepEqual(objects, numbers(COUNT));
    assert.equal(passed.length, 2);
    assert.equal(b.server.stats().messages_sent - before, COUNT + 4);
    assert.equal(b.server.stats().cluster.received, COUNT + 2);
  });

  it('are dropped if they arrive again, also if some of them are new', async (t) => {
    const { a, b, bus, passed } = await countedNodes(t);
    const { log } = await b.client();
    for (const n of numbers(4)) a.server.sendall({ n });
    await log.take('receive', 4);
    const [{ subject, bytes }] = passed;
    bus.publish(subject, bytes);
    bus.fault = (entry) => (entry.subject === subject ? [] : [entry]);
    const lost = [];
    bus.fault = (entry) => {
      if (entry.subject !== subject) return [entry];
      lost.push(entry);
      return [];
    };
    for (const n of numbers(4)) a.server.sendall({ n: n + 4 });
    while (lost.length < 3) await turn();
    bus.fault = null;
    // The first two of the second parcel alone, and then all of it.
    const parcel = lost.at(-1).bytes;
    const size =
      5 +
      unpack(parcel)
        .slice(0, 2)
        .reduce((sum, { length }) => sum + 4 + length, 0);
    bus.publish(subject, parcel.subarray(0, size));
    bus.publish(subject, parcel);
    const objects = (await log.take('receive', 4)).map(({ object }) => object.n);
    assert.deepEqual(objects, [4, 5, 6, 7]);
    assert.equal(b.log.all('gap').length, 0);
    assert.equal(b.server.stats().cluster.duplicates, 2);
  });

  it('are reported when later ones arrive if they were lost', async (t) => {
    const { a, b, bus } = await countedNodes(t);
    const { log } = await b.client();
    await a.server.sendall({ n: 0 });
    await log.take('receive', 1);
    bus.fault = (entry) => (entry.subject.endsWith('.a') ? [] : [entry]);
    for (const n of numbers(3)) a.server.sendall({ n });
    await a.cluster.session(`${b.cluster.node}.1`).exists();
    bus.fault = null;
    for (const n of numbers(3)) a.server.sendall({ n });
    await log.take('receive', 3);
    const { args } = await b.log.next('gap');
    assert.equal(args[0].missed, 3);
    assert.equal(b.log.all('gap').length, 1);
  });

  it('need several messages of the broker if they are long', async (t) => {
    const { a, b, passed } = await countedNodes(t);
    const { log } = await b.client();
    const text = 'x'.repeat(10_000);
    for (const n of numbers(COUNT)) a.server.sendall({ n, text });
    const objects = (await log.take('receive', COUNT)).map(({ object }) => object.n);
    assert.deepEqual(objects, numbers(COUNT));
    assert.ok(passed.length > 10 && passed.length < COUNT, String(passed.length));
    assert.ok(passed.every(({ bytes }) => bytes.length < 70_000));
  });

  it('are each signed, and refused one by one', async (t) => {
    const { a, b, bus, passed } = await countedNodes(t, { secret: 'a long secret of the test' });
    const { log } = await b.client();
    for (const n of numbers(3)) a.server.sendall({ n });
    await log.take('receive', 3);
    const [{ subject, bytes }] = passed;
    const forged = Buffer.from(bytes);
    // The last digit of the last message.
    forged[forged.lastIndexOf('2')] = '7'.charCodeAt(0);
    bus.publish(subject, forged);
    const { args } = await b.log.next('refused');
    assert.equal(args[0].reason, 'signature');
    // The other two were received before.
    assert.equal(b.server.stats().cluster.duplicates, 2);
    await a.server.sendall({ end: true });
    assert.deepEqual(await received(log), { end: true });
  });

  it('in a parcel that is malformed or too long are refused, and later messages are received', async (t) => {
    const { a, b, bus, passed } = await countedNodes(t);
    const { log } = await b.client();
    for (const n of numbers(3)) a.server.sendall({ n });
    await log.take('receive', 3);
    const [{ subject, bytes }] = passed;
    const long = Array(8000).fill(bytes.subarray(5));
    const bad = [
      bytes.subarray(0, 7),
      bytes.subarray(0, bytes.length - 1),
      Buffer.concat([bytes, ...long]),
    ];
    for (const part of bad) bus.publish(subject, part);
    await a.server.sendall({ end: true });
    assert.deepEqual(await received(log), { end: true });
    assert.equal(b.server.stats().cluster.refused, bad.length);
    assert.equal(log.all('receive').length, 4);
  });

  it('in a parcel with any bytes changed are divided within its bounds, or refused', async (t) => {
    const { a, b, passed } = await countedNodes(t);
    const { log } = await b.client();
    for (const n of numbers(10)) a.server.sendall({ n });
    await log.take('receive', 10);
    const [{ bytes: good }] = passed;
    let refused = 0;
    for (let n = 0; n < 20_000; n += 1) {
      const bytes = Buffer.from(good.subarray(0, randomInt(5, good.length + 1)));
      for (let i = randomInt(4); i > 0 && bytes.length > 5; i -= 1) {
        bytes[randomInt(5, bytes.length)] = randomInt(256);
      }
      try {
        const sizes = unpack(bytes).map(({ length }) => 4 + length);
        const size = sizes.reduce((sum, one) => sum + one, 0);
        assert.equal(5 + size, bytes.length);
      } catch (err) {
        assert.ok(err instanceof BadLine, err.stack);
        refused += 1;
      }
    }
    assert.ok(refused > 1000);
  });
});

describe('a message with a callback, to a session of another node', limit, () => {
  const kindsOf = (entries) =>
    entries
      .flatMap(({ bytes }) => (isParcel(bytes) ? unpack(bytes) : [bytes]))
      .map((bytes) => read(bytes).kind);

  it('is confirmed by its answer', async (t) => {
    const { a, b, answers } = await countedNodes(t);
    const { client, id } = await b.client();
    client.on('receive', (_, meta) => meta.callback({ ok: 1 }));
    let answer = null;
    // An answer may be late on a busy machine.
    while (kindsOf(answers).join() !== 'R') {
      answers.length = 0;
      answer = null;
      await a.cluster.session(id).send({ n: 1 }, (object) => {
        answer = object;
      });
      while (answer === null) await turn();
    }
    assert.deepEqual(answer, { ok: 1 });
  });

  it('is confirmed without an answer, once', async (t) => {
    const { a, b, answers } = await countedNodes(t);
    const { log, id } = await b.client();
    await a.cluster.session(id).send({ n: 1 }, () => assert.fail('it was not answered'));
    assert.deepEqual(await received(log), { n: 1 });
    await a.cluster.session(id).exists();
    assert.deepEqual(kindsOf(answers), ['C', 'C']);
  });

  it('is confirmed if its node closes before the answer', async (t) => {
    const { a, b } = await countedNodes(t);
    const { client, id } = await b.client();
    client.on('receive', () => b.server.close());
    await a.cluster.session(id).send({ n: 1 }, () => assert.fail('it was not answered'));
  });
});
