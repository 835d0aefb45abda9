'use strict';

// Nodes over a Redis Cluster, while its servers change: a master dies and its replica takes over,
// and slots move from one master to another.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');

const { redis } = require('../lib/cluster/redis.js');
const {
  ioredisCluster,
  noRedis,
  nodeRedisCluster,
  startRedisServer,
} = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { until } = require('./support/deadline.js');
const { startNodes } = require('./support/nodes.js');
const { startRedisCluster } = require('./support/redis-cluster.js');

const limit = { timeout: 600_000 };
/** How long an election and the reactions to it may take on a busy machine, in ms. */
const PATIENCE = 90_000;
/** The time between two messages to all clients, in ms. */
const INTERVAL = 5;

const upTo = (count) => Array.from({ length: count }, (_, n) => n + 1);

/** A Redis Cluster, and two nodes over it with a client each. The first one sends to all. */
async function startSending(t, makeClient) {
  const cluster = await startRedisCluster(t, (...args) => startRedisServer(t, ...args));
  const broker = {
    async engine() {
      const { client, close } = await makeClient(cluster.members.map(({ port }) => port));
      cleanup(t, close);
      return redis(client);
    },
  };
  const [a, b] = await startNodes(t, broker, 2, { node_timeout: 10_000 });
  const { client, session, id } = await b.client();
  const got = [];
  const others = [];
  client.on('receive', ({ n, ...other }, meta) => {
    if (n === undefined) others.push(other);
    else got.push(n);
    meta.callback?.({ fine: 1 });
  });
  await b.cluster.join(session, 'room');
  let sent = 0;
  const refused = [];
  const timer = setInterval(() => {
    sent += 1;
    a.server.sendall({ n: sent }).catch((err) => refused.push(err.code));
  }, INTERVAL);
  cleanup(t, () => clearInterval(timer));
  const stop = () => {
    clearInterval(timer);
    assert.deepEqual(refused, []);
    return sent;
  };
  const moreThan = async (count) => {
    const before = got.length;
    await until(() => got.length > before + count, 'messages arrive', PATIENCE);
  };
  return { cluster, a, b, id, got, others, stop, moreThan };
}

/** All messages have arrived, once and in order, except those that `gap` has reported. */
async function assertNoneMissedInSilence({ b, got, stop }) {
  const sent = stop();
  await until(() => got.at(-1) === sent, 'the last message arrives', PATIENCE);
  const missed = sent - got.length;
  const told = () => b.server.stats().cluster.missed;
  await until(() => told() >= missed, `gaps of ${missed} messages`, PATIENCE);
  assert.equal(told(), missed);
  const received = new Set(got);
  assert.deepEqual(
    got,
    upTo(sent).filter((n) => received.has(n)),
  );
  return { sent, missed };
}

/** Messages to a group and to a session arrive, and the session answers. */
async function assertAllWorks({ a, id, others }, mark) {
  await a.cluster.group('room').send({ group: mark });
  const answered = new Promise((resolve, reject) => {
    a.cluster.session(id).send({ session: mark }, resolve).catch(reject);
  });
  assert.deepEqual(await answered, { fine: 1 });
  await until(() => others.some(({ group }) => group === mark), 'the group is reached', PATIENCE);
}

for (const [name, makeClient] of Object.entries({
  ioredis: ioredisCluster,
  '@redis/client': nodeRedisCluster,
})) {
  describe(`a cluster over a Redis Cluster, with ${name}`, { ...limit, skip: noRedis }, () => {
    it('continues when a master dies and its replica takes over, and loses nothing silently', async (t) => {
      const all = await startSending(t, makeClient);
      const { cluster, a, b, moreThan } = all;
      const owner = await cluster.ownerOf('sockhop.a');
      await cluster.addReplica(owner);
      await moreThan(20);
      await owner.broker.stop();
      await a.log.next('down', undefined, PATIENCE);
      await moreThan(100);
      await assertAllWorks(all, 'after the election');
      const { sent, missed } = await assertNoneMissedInSilence(all);
      t.diagnostic(`${sent} messages, of which ${missed} were lost and told`);
      assert.deepEqual([...a.log.all('node_down'), ...b.log.all('node_down')], []);
    });

    it('continues when the slots of its channels move to another master', async (t) => {
      const all = await startSending(t, makeClient);
      const { cluster, b, moreThan } = all;
      await moreThan(20);
      const { subject } = groupOf('room');
      for (const channel of ['sockhop.a', 'sockhop.h', `sockhop.n.${b.cluster.node}`, subject]) {
        const owner = await cluster.ownerOf(channel);
        await cluster.move(
          channel,
          cluster.members.find((member) => member !== owner),
        );
        await moreThan(50);
      }
      await assertAllWorks(all, 'after the move');
      const { sent, missed } = await assertNoneMissedInSilence(all);
      t.diagnostic(`${sent} messages, of which ${missed} were lost and told`);
    });
  });
}

function groupOf(name) {
  const { Subjects } = require('../lib/internal/cluster/subjects.js');
  return new Subjects('sockhop', false).group(name);
}
