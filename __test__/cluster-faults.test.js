'use strict';

// Tests nodes with a broker that loses, repeats, delays and reorders messages. The broker is in
// memory, so that each fault is exact.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, it } = require('node:test');

const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { read } = require('../lib/internal/cluster/line.js');
const { isParcel, unpack } = require('../lib/internal/cluster/parcels.js');
const { deadline, until } = require('./support/deadline.js');
const { EventLog } = require('./support/event-log.js');
const { startNode, startNodes } = require('./support/nodes.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

const received = async (log) => (await log.next('receive')).object;

/** Nodes over a bus, each with its engine, whose link a test can cut. */
async function startOnBus(t, count, options = {}, serverOptions = {}) {
  const bus = new MemoryBus();
  const engines = [];
  const broker = {
    engine: async () => {
      engines.push(memory({ bus }));
      return engines.at(-1);
    },
  };
  const nodes = await startNodes(t, broker, count, options, serverOptions);
  nodes.forEach((node, n) => {
    node.engine = engines[n];
  });
  return { bus, broker, nodes };
}

/** The kind of a message that the bus passes. */
const kindOf = ({ bytes }) => read(bytes).kind;

/** A fault of single messages, where nodes publish several as one. */
const ofEach = (fault) => (entry) => {
  if (!isParcel(entry.bytes)) return fault(entry);
  return unpack(entry.bytes).flatMap((bytes) => fault({ ...entry, bytes }));
};

describe('a cluster whose broker is at fault', limit, () => {
  it('drops messages that arrive again', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { log, id } = await b.client();
    bus.fault = (entry) => [entry, entry];
    for (let n = 1; n <= 10; n += 1) await a.server.sendall({ n });
    await a.cluster.session(id).send({ n: 11 });
    for (let n = 1; n <= 11; n += 1) assert.deepEqual(await received(log), { n });
    await a.cluster.session(id).exists();
    assert.equal(log.all('receive').length, 11);
    assert.ok(b.server.stats().cluster.duplicates >= 11);
  });

  it('reports how many broadcasts of a node were lost, at the next one', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { log } = await b.client();
    await a.server.sendall({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
    bus.fault = ofEach((entry) => (kindOf(entry) === 'A' ? [] : [entry]));
    for (let n = 2; n <= 4; n += 1) await a.server.sendall({ n });
    await a.cluster.session(`${b.cluster.node}.1`).exists();
    bus.fault = null;
    await a.server.sendall({ n: 5 });
    const { args } = await b.log.next('gap');
    assert.equal(args[0].node, a.cluster.node);
    assert.equal(args[0].missed, 3);
    assert.ok(args[0].since instanceof Date);
    assert.deepEqual(await received(log), { n: 5 });
  });

  it('reports them at a heartbeat if no broadcast follows', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    bus.fault = ofEach((entry) => (kindOf(entry) === 'A' ? [] : [entry]));
    for (let n = 1; n <= 3; n += 1) await a.server.sendall({ n });
    const { args } = await b.log.next('gap');
    assert.equal(args[0].missed, 3);
    assert.equal(a.log.all('gap').length, 0);
  });

  it('reports no gap to a node that joins later', async (t) => {
    const { broker, nodes } = await startOnBus(t, 2);
    const [a] = nodes;
    for (let n = 1; n <= 10; n += 1) await a.server.sendall({ n });
    const late = await startNode(t, await broker.engine());
    await late.knows(3);
    const { log } = await late.client();
    await a.server.sendall({ n: 11 });
    assert.deepEqual(await received(log), { n: 11 });
    await a.log.next('node_up', ({ args }) => args[0].id === late.cluster.node);
    assert.equal(late.log.all('gap').length, 0);
  });

  it('gives up an operation whose confirmation does not arrive', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { request_timeout: 200 });
    const [a, b] = nodes;
    const { id } = await b.client();
    bus.fault = ofEach((entry) => (kindOf(entry) === 'C' ? [] : [entry]));
    await assert.rejects(a.cluster.session(id).send({ n: 1 }), { code: 'ERR_CLUSTER_TIMEOUT' });
  });

  it('drops an operation that has waited too long for the broker, and never carries it out', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { request_timeout: 100 });
    const [a, b] = nodes;
    const { log, id } = await b.client();
    bus.stop();
    await assert.rejects(a.cluster.session(id).send({ late: 1 }), { code: 'ERR_CLUSTER_AWAY' });
    bus.start();
    await a.log.next('up');
    await b.log.next('up');
    await a.cluster.session(id).send({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
  });

  it('holds at most hold_size, and then rejects messages to other nodes', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { hold_size: 20_000 });
    const [a, b] = nodes;
    const [onA, onB] = [await a.client(), await b.client()];
    bus.stop();
    const text = 'x'.repeat(1000);
    const outcomes = [];
    for (let n = 1; n <= 40; n += 1) {
      const sent = a.server.sendall({ n, text });
      outcomes.push(
        await sent.then(
          () => 'sent',
          ({ code }) => code,
        ),
      );
    }
    const kept = outcomes.indexOf('ERR_CLUSTER_AWAY');
    assert.ok(kept > 10 && kept < 20, `kept ${kept}`);
    assert.ok(outcomes.slice(kept).every((outcome) => outcome === 'ERR_CLUSTER_AWAY'));
    assert.ok(a.server.stats().cluster.held_bytes <= 20_000);
    bus.start();
    for (let n = 1; n <= kept; n += 1) assert.equal((await received(onB.log)).n, n);
    for (let n = 1; n <= 40; n += 1) assert.equal((await received(onA.log)).n, n);
    assert.equal(a.server.stats().cluster.lost, 40 - kept);
    assert.equal(b.log.all('gap').length, 0);
  });

  it('waits after an outage until the other nodes are back, but not forever', async (t) => {
    const { bus, nodes } = await startOnBus(t, 3, { rejoin_time: 300 });
    const [a, b, c] = nodes;
    const { log } = await b.client();
    bus.stop();
    await a.server.sendall({ n: 1 });
    // One node does not come back in time.
    c.engine.cut();
    bus.start();
    assert.deepEqual(await received(log), { n: 1 });
    c.engine.mend();
    await c.log.next('up');
    assert.equal(c.cluster.nodes.size, 3);
  });

  it('keeps its subscriptions when the broker delivers again', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { heartbeat_interval: 50, node_timeout: 200 });
    const [a, b] = nodes;
    const { log } = await a.client();
    const isBack = once(a.cluster, 'up');
    const made = t.mock.method(a.engine, 'subscribe');
    const ended = t.mock.method(a.engine, 'unsubscribe');
    a.cluster.once('down', () => {
      bus.fault = null;
    });
    bus.fault = (entry) => (entry.engine === a.engine ? [] : [entry]);
    const { args } = await a.log.next('down');
    assert.match(args[0].message, /does not deliver the heartbeats of this node to itself/);
    await deadline(isBack, 'the node to hear itself again');
    await b.server.sendall({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
    assert.equal(made.mock.callCount() + ended.mock.callCount(), 0);
  });

  it('subscribes again when it no longer hears itself', async (t) => {
    const { nodes } = await startOnBus(t, 2, { heartbeat_interval: 50, node_timeout: 200 });
    const [a, b] = nodes;
    const { log } = await a.client();
    const isBack = once(a.cluster, 'up');
    for (const subject of ['sockhop.a', 'sockhop.h']) await a.engine.unsubscribe(subject);
    const { args } = await a.log.next('down');
    assert.match(args[0].message, /does not deliver the heartbeats of this node to itself/);
    await deadline(isBack, 'the node to hear itself again');
    await b.server.sendall({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
  });

  it('refuses messages that other programs publish on its subjects, and continues', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { log } = await b.client();
    const node = 'x'.repeat(16);
    for (const text of ['hello', `SH2 A ${node} 1 1 0 0 0\n`, `SH1 S ${node} 1 1 0 0 4\nnull{}`]) {
      for (const subject of ['sockhop.a', 'sockhop.h', `sockhop.n.${b.cluster.node}`]) {
        bus.publish(subject, Buffer.from(text));
      }
    }
    // A broadcast on the subject of one node, and payloads and fields that are not JSON.
    bus.publish(`sockhop.n.${b.cluster.node}`, Buffer.from(`SH1 A ${node} 2 1 0 0 0\n{}`));
    bus.publish('sockhop.a', Buffer.from(`SH1 V ${node} 3 2 0 0 9\n{"e":"x"}{nope`));
    bus.publish('sockhop.h', Buffer.from(`SH1 H ${node} 4 2 0 0 2\n{}`));
    const reasons = new Set();
    while (reasons.size < 2) reasons.add((await b.log.next('refused')).args[0].reason);
    assert.deepEqual(reasons, new Set(['malformed', 'version']));
    await a.server.sendall({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
    assert.equal(b.cluster.nodes.size, 2);
    assert.ok(b.server.stats().cluster.refused >= 10);
  });

  it('ignores fields and kinds of later versions', async (t) => {
    const { bus, nodes } = await startOnBus(t, 1);
    const [a] = nodes;
    const { log } = await a.client();
    const node = 'y'.repeat(16);
    const extra = JSON.stringify({
      v: [1, 2],
      p: 'Sockhop',
      s: 3,
      t: 1,
      h: 'h',
      i: 1,
      n: '9',
      c: 0,
      future: [],
    });
    bus.publish('sockhop.h', Buffer.from(`SH1 H ${node} 1 0 0 0 ${extra.length} - more\n${extra}`));
    bus.publish('sockhop.a', Buffer.from(`SH1 Z ${node} 2 1 0 0 0\nwhatever`));
    bus.publish(`sockhop.n.${a.cluster.node}`, Buffer.from(`SH1 Z ${node} 3 1 0 0 0\nwhatever`));
    bus.publish('sockhop.a', Buffer.from(`SH1 A ${node} 4 2 f0 6 0 - more\nObject{"n":1}`));
    assert.deepEqual(await received(log), { n: 1 });
    assert.equal(a.cluster.nodes.get(node).sessions, 3);
  });

  it('ends a stream of answers that lost a packet on the way', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { client, id } = await b.client();
    client.on('request', async (_, response) => {
      for (let n = 1; n <= 3; n += 1) await response.write({ n });
      response.end();
    });
    let packets = 0;
    bus.fault = ofEach((entry) => {
      if (kindOf(entry) === 'P') packets += 1;
      return kindOf(entry) === 'P' && packets === 2 ? [] : [entry];
    });
    const stream = await a.cluster.session(id).request({ n: 1 });
    await assert.rejects(stream.all(), { code: 'ERR_CLUSTER_GAP' });
  });

  it('passes on answers with any type, and survives answers that are nested too deep', async (t) => {
    const { nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const connected = once(b.server, 'connect');
    const wire = await rawClient(t, { port: b.server.server.address().port });
    const [, session] = await deadline(connected, 'the session of a client');
    const remote = a.cluster.session(b.cluster.id_of(session));
    const ask = (question, callback) => {
      remote.send({ question }, callback);
      return wire.frame((json) => json?.data?.question === question);
    };
    const deep = '['.repeat(50_000) + ']'.repeat(50_000);
    // From Node 26 on, V8 stringifies values of any depth.
    const isAnyDepthJson = Number.parseInt(process.versions.node, 10) >= 26;
    const unanswered = await ask(0, () => assert.ok(isAnyDepthJson, 'an answer'));
    wire.write(`{"callback_id":"${unanswered.id}","type":"Array","data":${deep}}`);
    for (const type of ['5', '{"a":1}', `"${'T'.repeat(70_000)}"`, '"Good"']) {
      const answers = new EventLog();
      const { id } = await ask(type, (...args) => answers.push({ name: 'answer', args }));
      wire.write(`{"callback_id":"${id}","type":${type},"data":1}`);
      const { args } = await answers.next('answer');
      assert.deepEqual(args, [1, { type: type === '"Good"' ? 'Good' : '' }]);
    }
  });

  it('takes another id if a second node has the same one', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const before = a.cluster.node;
    const extra = JSON.stringify({ v: [1], p: 'Sockhop', s: 0, t: 1, h: 'h', i: 1, n: '1', c: 0 });
    bus.publish('sockhop.h', Buffer.from(`SH1 H ${before} 1 0 0 0 ${extra.length}\n${extra}`));
    await until(() => a.cluster.node !== before, 'the node has another id');
    const { args } = await a.log.next('refused');
    assert.equal(args[0].reason, 'id in use');
    await b.log.next('node_up', ({ args: [{ id }] }) => id === a.cluster.node);
    const { log, id } = await a.client();
    await b.cluster.session(id).send({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
  });
});

describe('a node with many groups', limit, () => {
  it('lets the groups of a shard share a subscription, and loses and repeats nothing', async (t) => {
    const { nodes } = await startOnBus(t, 2, { max_exact_groups: 50 });
    const [a, b] = nodes;
    const { log, session } = await b.client();
    const names = Array.from({ length: 300 }, (_, n) => `room ${n}`);
    for (const name of names) {
      await b.cluster.join(session, name);
      await a.cluster.group(name).send({ name });
    }
    for (const name of names) assert.deepEqual(await received(log), { name });
    assert.ok(b.engine.subscriptions <= 50 + 256 + 3);
    for (const name of names) await b.cluster.leave(session, name);
    await a.cluster.group(names[0]).send({ late: 1 });
    await a.server.sendall({ last: 1 });
    assert.deepEqual(await received(log), { last: 1 });
    await until(() => b.engine.subscriptions === 3, 'all groups are unsubscribed from');
  });

  it('refuses the 1,001st group of a session', async (t) => {
    const { nodes } = await startOnBus(t, 1);
    const [{ cluster, ...node }] = nodes;
    const { session } = await nodes[0].client();
    assert.ok(node.engine);
    await Promise.all(Array.from({ length: 1000 }, (_, n) => cluster.join(session, `room ${n}`)));
    await assert.rejects(cluster.join(session, 'one more'), { code: 'ERR_OUT_OF_RANGE' });
    await cluster.join(session, 'room 7');
    await cluster.leave(session, 'room 7');
    await cluster.join(session, 'one more');
    assert.equal(cluster.groups_of(session).size, 1000);
  });

  it('answers a question for its members in pages', async (t) => {
    const { nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const clients = await Promise.all(Array.from({ length: 5 }, () => b.client()));
    for (const { session } of clients) await b.cluster.join(session, 'room');
    const ids = new Set();
    const members = a.cluster.group('room').ids();
    let step = await members.next();
    for (; !step.done; step = await members.next()) ids.add(step.value);
    assert.deepEqual(ids, new Set(clients.map(({ id }) => id)));
    assert.deepEqual(step.value, { complete: true, missing: [] });
  });

  it('gets a partial count when a node does not answer, and the id of that node', async (t) => {
    const { bus, nodes } = await startOnBus(t, 3, { node_timeout: 60_000 });
    const [a, b, c] = nodes;
    for (const node of nodes) await node.cluster.join((await node.client()).session, 'room');
    bus.fault = ofEach((entry) =>
      entry.engine === c.engine && kindOf(entry) === '?' ? [] : [entry],
    );
    const result = await deadline(a.cluster.group('room').count(), 'a partial count');
    assert.deepEqual(result, { count: 2, complete: false, missing: [c.cluster.node] });
    bus.fault = null;
    assert.equal((await b.cluster.group('room').count()).count, 3);
  });
});
