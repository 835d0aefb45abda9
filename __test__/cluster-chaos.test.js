'use strict';

// Tests nodes in separate processes while brokers restart, nodes are killed or stopped, and links
// are cut. Every message has a number, so that each loss and each duplicate is noticed.

const assert = require('node:assert/strict');
const os = require('node:os');
const { describe, it } = require('node:test');
const { setTimeout: delay } = require('node:timers/promises');

const { brokers } = require('./support/brokers.js');
const { deadline, until } = require('./support/deadline.js');
const {
  PATIENCE,
  startCutter,
  startNodeProcess,
  startWorkerProcesses,
  untilGot,
} = require('./support/node-processes.js');

const limit = { timeout: 600_000 };
const NODES = 4;
/** The time between two messages of one node, in ms. */
const INTERVAL = 5;
/** The number of messages that a node sends at this interval in a long silence. */
const QUICK_MESSAGES = 100;
/** The time between two later ones, in ms: more messages would test nothing else. */
const SLOW_INTERVAL = 50;
/** Extends a time for an idle machine to one for the current load. */
const underLoad = (ms) => ms * Math.max(1, os.loadavg()[0] / os.cpus().length);

/** A process that waits for the processor is silent as well. */
const NODE_TIMEOUT = Math.min(10_000, underLoad(2000));
const OPTIONS = { heartbeat_interval: 300, node_timeout: NODE_TIMEOUT };

const upTo = (count) => Array.from({ length: count }, (_, n) => n + 1);

/** Brokers that a process can reach, by the name of their engines. */
const REAL = [
  { engine: 'nats', scheme: 'nats', broker: '@nats-io/transport-node' },
  { engine: 'redis', scheme: 'redis', broker: 'ioredis' },
].map(({ broker, ...rest }) => ({ ...rest, ...brokers.find(({ name }) => name === broker) }));

async function startCluster(t, { engine, scheme }, broker, options = {}, ports = []) {
  const nodes = [];
  for (let n = 0; n < NODES; n += 1) {
    const url = `${scheme}://127.0.0.1:${ports[n] ?? broker.port}`;
    nodes.push(await startNodeProcess(t, { engine, url, options: { ...OPTIONS, ...options } }));
  }
  await settled(nodes);
  return nodes;
}

/** Nodes that know each other, each with two clients. */
async function settled(nodes) {
  await Promise.all(nodes.map((node) => node.knows(nodes.length)));
  for (const node of nodes) for (let n = 0; n < 2; n += 1) await node.client();
}

async function startSending(nodes) {
  await Promise.all(nodes.map((node, n) => node.do('startSending', n, INTERVAL)));
}

/** Sends at a lower rate until a silence that lasts for `node_timeout` has been noticed. */
async function inSilence(nodes, noticed) {
  const pace = (...args) => Promise.all(nodes.map((node) => node.do('pace', ...args)));
  await pace(SLOW_INTERVAL, QUICK_MESSAGES);
  const result = await noticed;
  await pace(INTERVAL);
  return result;
}

async function stopSending(nodes) {
  return Promise.all(nodes.map((node) => node.do('stopSending')));
}

const clientsOf = (nodes) => nodes.flatMap(({ clients }) => clients);

/** Every client has got every message once, and in the order of its sender. */
async function assertAllGot(clients, sent) {
  for (const [from, last] of sent) {
    for (const client of clients) {
      await untilGot(client, from, last);
      assert.deepEqual(client.got.get(from), upTo(last));
    }
  }
}

/**
 * Every client of some nodes has got the wanted messages of a sender once and in order. The nodes
 * have emitted `gap` for messages that a broker had confirmed before it was killed.
 */
async function assertNoneMissedInSilence(nodes, sender, from, wanted) {
  for (const node of nodes) {
    for (const { got } of node.clients) {
      await untilGot({ got }, from, wanted.at(-1));
      const received = new Set(got.get(from));
      assert.deepEqual(
        got.get(from),
        wanted.filter((n) => received.has(n)),
      );
      const reported = () =>
        node
          .all('gap')
          .filter(({ args: [gap] }) => gap.node === sender.node)
          .reduce((sum, { args: [{ missed }] }) => sum + missed, 0);
      const missed = wanted.length - received.size;
      await until(() => reported() >= missed, `gaps of ${missed} messages`, PATIENCE);
      assert.equal(reported(), missed);
    }
  }
}

/** Asks sessions of other nodes, one question after another with a pause, until it is stopped. */
class Questions {
  outcomes = [];
  #isOver = false;
  #asking;

  /** Each node asks the first client of the next one. */
  constructor(nodes) {
    this.#asking = nodes.map((node, n) => this.#ask(node, nodes[(n + 1) % nodes.length], n + 1));
  }

  async #ask(node, { clients: [{ id }] }, n) {
    while (!this.#isOver) {
      const { result, code } = await node.do('session', id, 'exists');
      const answer = await node.do('ask', id, { ask: n }).catch((err) => err);
      this.outcomes.push({ n, result, code, answer: answer.answer ?? answer.code });
      await delay(INTERVAL);
    }
  }

  /** Resolves when each node has got an answer after this call. */
  async untilAllAnswered(count) {
    const before = this.outcomes.length;
    const answered = () =>
      new Set(
        this.outcomes
          .slice(before)
          .filter(({ answer }) => typeof answer === 'number')
          .map(({ n }) => n),
      );
    await until(() => answered().size === count, 'all nodes get answers', PATIENCE);
  }

  async stop() {
    this.#isOver = true;
    await deadline(Promise.all(this.#asking), 'all operations to be settled', PATIENCE);
    return this.outcomes;
  }
}

for (const real of REAL) {
  describe(`a cluster of ${NODES} processes over ${real.engine}`, {
    ...limit,
    skip: real.skip,
  }, () => {
    for (const outage of [200, 1000]) {
      it(`loses nothing silently, and repeats nothing, when the broker is away for ${outage} ms`, async (t) => {
        const broker = await real.start(t);
        const nodes = await startCluster(t, real, broker);
        await startSending(nodes);
        await untilGot(nodes[0].clients[0], 3, 20);
        await broker.stop();
        await Promise.all(nodes.map((node) => node.next('down', undefined, PATIENCE)));
        await delay(outage);
        await broker.start();
        await Promise.all(nodes.map((node) => node.take('up', 2, PATIENCE)));
        const sent = (await stopSending(nodes)).map(({ sent: count, refused }, n) => {
          assert.deepEqual(refused, []);
          return [n, count];
        });
        for (const [from, count] of sent) {
          await assertNoneMissedInSilence(nodes, nodes[from], from, upTo(count));
        }
        for (const node of nodes) {
          assert.deepEqual(node.all('node_down'), []);
          assert.ok(clientsOf([node]).every(({ isDisconnected }) => !isDisconnected));
          await node.counts(2 * NODES);
        }
      });
    }

    it('loses no connection when the broker is away for 10 s under load, and works within 2 s of its return', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker);
      await startSending(nodes);
      const questions = new Questions(nodes);
      await questions.untilAllAnswered(NODES);
      await broker.stop();
      await Promise.all(nodes.map((node) => node.next('down', undefined, PATIENCE)));
      await delay(10_000);
      await broker.start();
      const back = Date.now();
      // Every client gets a message that another node sends from now on, and all questions are
      // answered.
      const reached = nodes.flatMap((node, n) =>
        node.clients.map((client) => {
          const from = (n + 1) % NODES;
          const before = client.got.get(from)?.length ?? 0;
          return until(() => client.got.get(from).length > before, 'messages arrive', PATIENCE);
        }),
      );
      await Promise.all([...reached, questions.untilAllAnswered(NODES)]);
      const took = Date.now() - back;
      t.diagnostic(`everything worked again after ${took} ms`);
      assert.ok(took < underLoad(2000), `it took ${took} ms`);
      const outcomes = await questions.stop();
      for (const { result, code, answer } of outcomes) {
        assert.ok(result === true || /^ERR_CLUSTER_/.test(code), code);
        assert.ok(typeof answer === 'number' || /^ERR_CLUSTER_/.test(answer), answer);
      }
      const sent = (await stopSending(nodes)).map(({ sent: count, refused }) => {
        assert.deepEqual(refused, []);
        return count;
      });
      for (const [from, count] of sent.entries()) {
        await assertNoneMissedInSilence(nodes, nodes[from], from, upTo(count));
      }
      assert.ok(clientsOf(nodes).every(({ isDisconnected }) => !isDisconnected));
      for (const node of nodes) assert.deepEqual(node.all('node_down'), []);
      const counts = clientsOf(nodes).map(({ got }) => got.get(0).length);
      t.diagnostic(
        `sent ${sent.join(', ')}; of the first sender, clients got ${counts.join(', ')}`,
      );
    });

    it('loses nothing silently, and repeats nothing, when the broker restarts five times', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker);
      await startSending(nodes);
      for (let round = 0; round < 5; round += 1) {
        const before = nodes[0].clients[0].got.get(3)?.length ?? 0;
        await untilGot(nodes[0].clients[0], 3, before + 20);
        await broker.stop();
        await Promise.all(nodes.map((node) => node.next('down', undefined, PATIENCE)));
        await broker.start();
        // The first event is that of the start.
        await Promise.all(nodes.map((node) => node.take('up', round === 0 ? 2 : 1, PATIENCE)));
      }
      const sent = await stopSending(nodes);
      for (const [from, { sent: count, refused }] of sent.entries()) {
        assert.deepEqual(refused, []);
        await assertNoneMissedInSilence(nodes, nodes[from], from, upTo(count));
      }
      for (const node of nodes) {
        assert.deepEqual(node.all('node_down'), []);
        await node.counts(2 * NODES);
      }
      assert.ok(clientsOf(nodes).every(({ isDisconnected }) => !isDisconnected));
    });

    it('reports exactly the messages that it cannot hold while the broker is away', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker, { hold_time: 300 });
      await startSending(nodes.slice(0, 1));
      await untilGot(nodes[1].clients[0], 0, 20);
      await broker.stop();
      await nodes[0].next('down', undefined, PATIENCE);
      await delay(1000);
      await broker.start();
      await Promise.all(nodes.map((node) => node.take('up', 2, PATIENCE)));
      const before = nodes[1].clients[0].got.get(0).length;
      await until(
        () => nodes[1].clients[0].got.get(0).length > before,
        'messages arrive again',
        PATIENCE,
      );
      const [{ sent, refused }] = await stopSending(nodes.slice(0, 1));
      assert.ok(refused.length > 0);
      assert.ok(refused.every(({ code }) => code === 'ERR_CLUSTER_AWAY'));
      const lost = new Set(refused.map(({ n }) => n));
      const accepted = upTo(sent).filter((n) => !lost.has(n));
      await assertNoneMissedInSilence(nodes.slice(1), nodes[0], 0, accepted);
      await assertAllGot(nodes[0].clients, [[0, sent]]);
      assert.equal((await nodes[0].do('stats')).lost, refused.length);
    });

    it('loses only the connections of a node that is killed', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker);
      const [first, , , victim] = nodes;
      const others = nodes.slice(0, 3);
      const { id } = victim.clients[0];
      await startSending(nodes);
      await untilGot(first.clients[0], 3, 20);
      // The node has the operation, and cannot confirm it any more.
      victim.kill('SIGSTOP');
      const waiting = first.do('session', id, 'send', { ask: 1 });
      await delay(50);
      const killed = Date.now();
      victim.kill('SIGKILL');
      const noticed = others.map((node) => node.next('node_down', undefined, PATIENCE));
      for (const { args, time } of await inSilence(others, Promise.all(noticed))) {
        assert.equal(args[0].id, victim.node);
        assert.equal(args[1], 'silent');
        assert.ok(time - killed < NODE_TIMEOUT + 2 * OPTIONS.heartbeat_interval + 10_000);
      }
      const outcome = await waiting;
      assert.ok(
        ['ERR_CLUSTER_NODE_LOST', 'ERR_CLUSTER_TIMEOUT'].includes(outcome.code),
        outcome.code,
      );
      const { code } = await first.do('session', id, 'send', { ask: 1 });
      assert.equal(code, 'ERR_CLUSTER_NO_NODE');
      const sent = (await stopSending(others)).map(({ sent: count }, n) => [n, count]);
      await assertAllGot(clientsOf(others), sent);
      for (const client of clientsOf(others)) {
        assert.equal(client.isDisconnected, false);
        assert.deepEqual(client.got.get(3), upTo(client.got.get(3).length));
      }
      await first.counts(6);
    });

    it('counts a stopped node as gone, and loses nothing when it continues', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker);
      const [first, second, , sleeper] = nodes;
      await startSending([first, second]);
      await untilGot(sleeper.clients[0], 1, 20);
      sleeper.kill('SIGSTOP');
      await inSilence(
        [first, second],
        first.next('node_down', ({ args }) => args[0].id === sleeper.node, PATIENCE),
      );
      sleeper.kill('SIGCONT');
      await first.next('node_up', ({ args }) => args[0].id === sleeper.node, PATIENCE);
      const sent = (await stopSending([first, second])).map(({ sent: count }, n) => [n, count]);
      await assertAllGot(clientsOf(nodes), sent);
      // It had no time to hear the others, so it counts none of them as gone.
      assert.deepEqual(sleeper.all('node_down'), []);
      assert.deepEqual(sleeper.all('gap'), []);
    });

    it('loses and repeats nothing when the broker stops answering and then continues', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker, { request_timeout: PATIENCE });
      await startSending(nodes);
      const questions = new Questions(nodes);
      await questions.untilAllAnswered(NODES);
      await broker.suspend();
      const noticed = nodes.map((node) => node.next('down', undefined, PATIENCE));
      await inSilence(nodes, Promise.all(noticed));
      broker.resume();
      await Promise.all(nodes.map((node) => node.take('up', 2, PATIENCE)));
      await questions.untilAllAnswered(NODES);
      const outcomes = await questions.stop();
      const odd = outcomes.filter(({ code, answer }) => code ?? typeof answer !== 'number');
      assert.deepEqual(odd, []);
      const sent = (await stopSending(nodes)).map(({ sent: count, refused }, n) => {
        assert.deepEqual(refused, []);
        return [n, count];
      });
      await assertAllGot(clientsOf(nodes), sent);
      for (const node of nodes) {
        assert.deepEqual(node.all('gap'), []);
        assert.deepEqual(node.all('node_down'), []);
      }
    });

    it('reports to a node whose link was cut how many broadcasts it missed', async (t) => {
      const broker = await real.start(t);
      const cutter = await startCutter(t, broker.port);
      const nodes = await startCluster(
        t,
        real,
        broker,
        {},
        [null, null, null, cutter.port].map((p) => p ?? undefined),
      );
      const [first, , , cut] = nodes;
      await startSending([first, undefined, undefined, cut].filter(Boolean));
      // The senders have the numbers 0 and 1 here.
      await untilGot(cut.clients[0], 0, 20);
      cutter.cut();
      await cut.next('down', undefined, PATIENCE);
      const seen = cut.clients[0].got.get(0).length;
      await untilGot(first.clients[0], 0, first.clients[0].got.get(0).at(-1) + 100);
      cutter.mend();
      await cut.take('up', 2, PATIENCE);
      const { args } = await cut.next(
        'gap',
        ({ args: [{ node }] }) => node === first.node,
        PATIENCE,
      );
      const [{ sent: ofFirst }, { sent: ofCut, refused }] = await stopSending([first, cut]);
      await untilGot(cut.clients[0], 0, ofFirst);
      const got = cut.clients[0].got.get(0);
      assert.ok(got.length >= seen);
      const gaps = [{ args }, ...cut.all('gap').filter((one) => one.args !== args)]
        .filter(({ args: [{ node }] }) => node === first.node)
        .reduce((sum, { args: [{ missed }] }) => sum + missed, 0);
      assert.equal(gaps, ofFirst - got.length);
      assert.equal(new Set(got).size, got.length);
      // Messages of the cut node were held meanwhile, and then reached all clients.
      assert.deepEqual(refused, []);
      await assertAllGot(clientsOf(nodes), [[1, ofCut]]);
      assert.ok(clientsOf(nodes).every(({ isDisconnected }) => !isDisconnected));
    });

    it('settles every operation, and calls no callback twice, while the broker restarts', async (t) => {
      const broker = await real.start(t);
      const nodes = await startCluster(t, real, broker);
      const questions = new Questions(nodes);
      const { outcomes } = questions;
      for (let round = 0; round < 3; round += 1) {
        const before = outcomes.length;
        await until(() => outcomes.length > before + 40, 'operations go through', PATIENCE);
        await broker.stop();
        await Promise.all(nodes.map((node) => node.next('down', undefined, PATIENCE)));
        await broker.start();
        await Promise.all(nodes.map((node) => node.next('up', undefined, PATIENCE)));
      }
      await questions.stop();
      const odd = outcomes.filter(
        ({ result, code, answer }) => (result !== true && !code) || answer === undefined,
      );
      assert.deepEqual(odd, []);
      assert.ok(outcomes.filter(({ answer }) => typeof answer === 'number').length > 100);
    });
  });
}

describe('a node whose process exits', limit, () => {
  /** The other node gets the messages of its last tick and of its exit. */
  async function assertLastWordsArrive(nodes) {
    const [first, second] = nodes;
    await Promise.all(nodes.map((node) => node.knows(2)));
    await first.do('sayAndExit');
    const words = [];
    while (words.length < 3) {
      const { args } = await second.next('remote', undefined, PATIENCE);
      words.push(args[1]);
    }
    assert.deepEqual(words, [1, 2, 3]);
  }

  for (const { engine, scheme, skip, start } of REAL) {
    it(`has sent the messages of its last tick, over ${engine}`, { skip }, async (t) => {
      const { port } = await start(t);
      const config = { engine, url: `${scheme}://127.0.0.1:${port}`, options: OPTIONS };
      await assertLastWordsArrive([
        await startNodeProcess(t, config),
        await startNodeProcess(t, config),
      ]);
    });
  }

  it('has sent the messages of its last tick, in workers of node:cluster', async (t) => {
    await assertLastWordsArrive(await startWorkerProcesses(t, 2, { options: OPTIONS }));
  });
});

describe('a cluster of workers of node:cluster', limit, () => {
  it('shares an address, and loses only the clients of a worker that is killed', async (t) => {
    const nodes = await startWorkerProcesses(t, 3, { options: OPTIONS });
    const ports = new Set(nodes.map(({ port }) => port));
    assert.ok(ports.size >= 1);
    await Promise.all(nodes.map((node) => node.knows(3)));
    assert.equal(new Set(nodes.map(({ node }) => node)).size, 3);
    const others = nodes.slice(0, 2);
    const victim = nodes[2];
    await startSending(nodes);
    victim.kill('SIGKILL');
    const noticed = others.map((node) => node.next('node_down', undefined, PATIENCE));
    for (const { args } of await inSilence(others, Promise.all(noticed))) {
      assert.equal(args[0].id, victim.node);
    }
    const sent = await stopSending(others);
    assert.ok(sent.every(({ refused }) => refused.length === 0));
    const gone = await others[0].do('session', `${victim.node}.1`, 'send', { n: 1 });
    assert.equal(gone.code, 'ERR_CLUSTER_NO_NODE');
  });
});
