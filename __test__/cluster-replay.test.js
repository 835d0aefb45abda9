'use strict';

// The messages to all clients that a node has missed and reads later, with the option `replay`.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');

const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { nats } = require('../lib/cluster/nats.js');
const { redis } = require('../lib/cluster/redis.js');
const { workers } = require('../lib/cluster/workers.js');
const { temporaryDirectory } = require('./support/addresses.js');
const { noNats, noRedis, startNatsServer, startRedisServer } = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { turn, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { startCutter } = require('./support/node-processes.js');
const { startNode } = require('./support/nodes.js');

const limit = { timeout: 600_000 };
const PATIENCE = 60_000;
const upTo = (count) => Array.from({ length: count }, (_, n) => n + 1);

/** Two nodes; the second one has a client, whose numbers are collected. */
async function twoNodes(t, engines, options) {
  const [a, b] = [await startNode(t, engines[0], options), await startNode(t, engines[1], options)];
  await Promise.all([a, b].map((node) => Promise.all([node.knows(2), node.log.next('up')])));
  const { client } = await b.client();
  const got = [];
  client.on('receive', ({ n }) => got.push(n));
  const send = async (from, to) => {
    for (let n = from; n <= to; n += 1) {
      await a.server.sendall({ n });
      // Messages of one tick are published as one.
      await turn();
    }
  };
  return { a, b, got, send };
}

/** A node sends numbered messages to all, 1,000 a second, until `stop()`. */
function startSending(t, { server }) {
  const load = { sent: 0 };
  const refused = [];
  const timer = setInterval(() => {
    for (let n = 0; n < 5; n += 1) {
      load.sent += 1;
      server.sendall({ n: load.sent, text: 'ü\0\x7f' }).catch((err) => refused.push(err));
    }
  }, 5);
  cleanup(t, () => clearInterval(timer));
  load.stop = () => {
    clearInterval(timer);
    assert.deepEqual(refused, []);
  };
  return load;
}

const untilGot = (got, n) => until(() => got.at(-1) >= n, `message ${n} arrives`, PATIENCE);

describe('a node with replay, over memory', limit, () => {
  const onBus = () => {
    const bus = new MemoryBus();
    return [memory({ bus }), memory({ bus })];
  };

  it('gets the messages that it missed, once and in order, before later ones', async (t) => {
    const engines = onBus();
    const { b, got, send } = await twoNodes(t, engines, { replay: 100 });
    await send(1, 5);
    await untilGot(got, 5);
    for (const last of [25, 45]) {
      engines[1].cut();
      await send(last - 19, last);
      engines[1].mend();
      await b.log.next('up');
    }
    await send(46, 50);
    await untilGot(got, 50);
    assert.deepEqual(got, upTo(50));
    assert.deepEqual(b.log.all('gap'), []);
  });

  it('reports messages that the broker no longer keeps', async (t) => {
    const engines = onBus();
    const { a, b, got, send } = await twoNodes(t, engines, { replay: 10 });
    await send(1, 5);
    await untilGot(got, 5);
    engines[1].cut();
    await send(6, 40);
    engines[1].mend();
    await untilGot(got, 40);
    assert.deepEqual(got, [...upTo(5), ...upTo(40).slice(30)]);
    const [{ node, missed }] = (await b.log.next('gap')).args;
    assert.deepEqual({ node, missed }, { node: a.cluster.node, missed: 25 });
    assert.equal(b.log.count('gap'), 1);
  });

  it('continues without the missed messages if they cannot be read', async (t) => {
    const engines = onBus();
    const { b, got, send } = await twoNodes(t, engines, { replay: 100 });
    await send(1, 5);
    await untilGot(got, 5);
    engines[1].read = () => {
      throw new Error('the log is lost');
    };
    engines[1].cut();
    await send(6, 10);
    engines[1].mend();
    await b.log.next('up');
    await send(11, 12);
    await untilGot(got, 12);
    const missed = () => b.server.stats().cluster.missed;
    await until(() => missed() === 12 - got.length, 'the gap is told', PATIENCE);
    assert.ok(got.length < 12);
  });

  it('needs an engine that keeps messages', () => {
    assert.throws(
      () => new impl.server({ cluster: { engine: workers(), replay: 10 } }),
      /"options\.cluster\.replay" property must be left out, or 0, with an engine that keeps no messages \("workers"\)/,
    );
    for (const replay of [-1, 1.5, 2_000_000]) {
      const make = () => new impl.server({ cluster: { engine: memory(), replay } });
      assert.throws(make, { code: 'ERR_OUT_OF_RANGE' });
    }
  });
});

/** Brokers that keep messages, with an engine for a port. */
const LOGS = [
  ...['@nats-io/transport-node', 'nats'].map((client) => ({
    name: client,
    skip: noNats,
    start: (t) => startNatsServer(t, `jetstream { store_dir: "${temporaryDirectory(t)}" }`),
    async engine(t, port) {
      const { connect } = require(client);
      const connection = await connect({
        servers: `127.0.0.1:${port}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        reconnectJitter: 50,
      });
      cleanup(t, () => connection.close());
      return nats(connection);
    },
  })),
  {
    name: 'ioredis',
    skip: noRedis,
    start: (t) => startRedisServer(t),
    engine: async (_t, port) => redis(`redis://127.0.0.1:${port}`),
  },
  {
    name: '@redis/client',
    skip: noRedis,
    start: (t) => startRedisServer(t),
    async engine(t, port) {
      const { createClient } = require('@redis/client');
      const socket = { port, host: '127.0.0.1', reconnectStrategy: () => 50 };
      const client = createClient({ socket });
      client.on('error', () => {});
      await client.connect();
      cleanup(t, () => client.destroy());
      return redis(client);
    },
  },
];

for (const { name, skip, start, engine } of LOGS) {
  describe(`a node with replay, over ${name}`, { ...limit, skip }, () => {
    it('gets all that was sent while its link was cut, under load', async (t) => {
      const broker = await start(t);
      const cutter = await startCutter(t, broker.port);
      const engines = [await engine(t, broker.port), await engine(t, cutter.port)];
      const { a, b, got } = await twoNodes(t, engines, { replay: 100_000 });
      const load = startSending(t, a);
      for (let round = 0; round < 2; round += 1) {
        await untilGot(got, load.sent + 50);
        cutter.cut();
        await b.log.next('down', undefined, PATIENCE);
        const lost = load.sent;
        await until(() => load.sent > lost + 500, 'more is sent', PATIENCE);
        cutter.mend();
        await b.log.next('up', undefined, PATIENCE);
      }
      await untilGot(got, load.sent);
      load.stop();
      await untilGot(got, load.sent);
      assert.deepEqual(got, upTo(load.sent));
      assert.deepEqual(b.log.all('gap'), []);
    });

    it('loses nothing silently, and repeats nothing, when the broker restarts', async (t) => {
      const broker = await start(t);
      const engines = [await engine(t, broker.port), await engine(t, broker.port)];
      const { a, b, got } = await twoNodes(t, engines, { replay: 100_000 });
      const load = startSending(t, a);
      for (let round = 0; round < 2; round += 1) {
        await untilGot(got, load.sent + 50);
        await broker.stop();
        await Promise.all([a, b].map(({ log }) => log.next('down', undefined, PATIENCE)));
        await broker.start();
        await Promise.all([a, b].map(({ log }) => log.next('up', undefined, PATIENCE)));
      }
      await untilGot(got, load.sent);
      load.stop();
      await untilGot(got, load.sent);
      const received = new Set(got);
      const expected = upTo(load.sent).filter((n) => received.has(n));
      assert.deepEqual(got, expected);
      const { missed } = b.server.stats().cluster;
      t.diagnostic(`${load.sent} messages, of which ${missed} were lost and told`);
      assert.equal(missed, load.sent - got.length);
    });
  });
}

describe('a node with replay, over NATS without JetStream', { ...limit, skip: noNats }, () => {
  it('says that NATS needs JetStream', async (t) => {
    const broker = await startNatsServer(t, '');
    const server = new impl.server({
      port: 0,
      cluster: { engine: nats(`nats://127.0.0.1:${broker.port}`), replay: 10 },
    });
    cleanup(t, () => server.close());
    await assert.rejects(server.listen(), {
      code: 'ERR_CLUSTER_JOIN',
      message: /"replay" needs JetStream \(nats-server -js\)/,
    });
  });
});
