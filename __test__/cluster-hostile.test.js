'use strict';

// Tests messages of programs that may publish on the broker but are not nodes: fields of any type,
// forged nodes, recorded messages. None of them may end the process, or use memory without a limit.

const assert = require('node:assert/strict');
const { randomInt } = require('node:crypto');
const { describe, it } = require('node:test');

const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { read, write } = require('../lib/internal/cluster/line.js');
const { Signer } = require('../lib/internal/cluster/signing.js');
const impl = require('./support/impl.js');
const { startNodes } = require('./support/nodes.js');
const { until } = require('./support/deadline.js');

const limit = { timeout: 600_000 };
const STRANGER = 'stranger00000000';
const FIVE_MINUTES = 300_000;

async function startOnBus(t, count, options = {}) {
  const bus = new MemoryBus();
  const broker = { engine: async () => memory({ bus }) };
  return { bus, nodes: await startNodes(t, broker, count, options) };
}

/** The fields of a heartbeat that is accepted. */
const HEARTBEAT = { v: [1], p: 'Sockhop', s: 0, t: 1, h: 'host', i: 1, n: '1.0.0', c: 0 };

/** The bytes of a message, with a signature of that subject if there is a signer. */
function message(
  kind,
  node,
  seq,
  { extra, payload, bseq = seq } = {},
  subject = '',
  signer = null,
) {
  const fields = { kind, node, seq, bseq, type: 'Object', payload };
  const { head, body } = write({ ...fields, extra: extra && JSON.stringify(extra) });
  const signature = signer === null ? '' : ` ${signer.sign(subject, head, body)}`;
  return Buffer.from(`${head}${signature}\n${body}`);
}

const heartbeat = (node, seq, extra = {}) =>
  message('H', node, seq, { extra: { ...HEARTBEAT, ...extra }, bseq: 0 });

/** Values that no field expects. An object without a primitive value cannot become a string. */
const ODD = [
  null,
  true,
  -1,
  0.5,
  1e308,
  Number.MAX_SAFE_INTEGER,
  '',
  '__proto__',
  'x'.repeat(5000),
  [],
  [[]],
  [null, { length: 1e9 }],
  {},
  { toString: null, valueOf: null },
  { length: 1e9 },
  JSON.parse('{"__proto__":{"toString":1},"constructor":{"name":1}}'),
  { code: { toString: 1 } },
];
const odd = () => ODD[randomInt(ODD.length)];

/** The kinds of messages with their fields, and the subjects that they come over. */
const KINDS = [
  ...[...'ABHV?'].map((kind) => [kind, { A: 'a', V: 'a' }[kind] ?? 'h']),
  ['G', 'g'],
  ...[...'SQCRPXKJLE!'].map((kind) => [kind, 'n']),
];
const FIELDS = [...'akgnewosxcvpthqri', 'stop', 'code', 'message'];

describe('a node that gets messages from programs outside the cluster', limit, () => {
  it('continues after fields and payloads of any type in messages of every kind', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { log, session, id } = await b.client();
    await b.cluster.join(session, 'room');
    // The stranger belongs to the cluster, so that its messages are handled.
    bus.publish('sockhop.h', heartbeat(STRANGER, 1));
    await b.log.next('node_up', ({ args }) => args[0].id === STRANGER);
    const group = b.cluster.group('room').name;
    const own = `sockhop.n.${b.cluster.node}`;
    const shared = await groupSubject(bus, a, group);
    const subjects = { a: 'sockhop.a', h: 'sockhop.h', n: own, g: shared };
    const payloads = ['', '{}', '[', '{"a":{"b":null}}', '['.repeat(3000) + ']'.repeat(3000)];
    for (let seq = 2; seq < 6000; seq += 1) {
      const [kind, place] = KINDS[seq % KINDS.length];
      const extra = {};
      for (let n = randomInt(FIELDS.length); n >= 0; n -= 1) {
        extra[FIELDS[randomInt(FIELDS.length)]] = odd();
      }
      const fields = kind === 'H' ? { ...HEARTBEAT, ...extra } : extra;
      const payload = payloads[randomInt(payloads.length)];
      bus.publish(subjects[place], message(kind, STRANGER, seq, { extra: fields, payload }));
    }
    bus.publish(own, message('E', STRANGER, 6000, { extra: { s: 1, k: 1 } }));
    await a.cluster.session(id).send({ still: 'here' });
    await log.next('receive', ({ object }) => object?.still === 'here');
    await a.server.sendall({ all: 1 });
    await log.next('receive', ({ object }) => object?.all === 1);
    assert.ok(b.server.stats().cluster.refused > 0);
  });

  it('does not list a node whose heartbeat has fields of wrong types', async (t) => {
    const { bus, nodes } = await startOnBus(t, 1);
    const [a] = nodes;
    const bad = [
      { h: { toString: null } },
      { h: 'x'.repeat(256) },
      { n: 7 },
      { i: '1' },
      { t: null },
      { t: { valueOf: 1 } },
      { s: -1 },
      { s: 1e300 },
      { c: 0.5 },
    ];
    bad.forEach((extra, n) => {
      bus.publish('sockhop.h', heartbeat(`stranger${String(n).padStart(8, '0')}`, 1, extra));
    });
    await until(() => a.server.stats().cluster.refused === bad.length, 'all are refused');
    assert.equal(a.cluster.nodes.size, 1);
    assert.equal((await a.log.next('refused')).args[0].reason, 'malformed');
  });

  it('has at most 1,000 other nodes, and takes new ones when others are gone', async (t) => {
    const { bus, nodes } = await startOnBus(t, 1);
    const [a] = nodes;
    const name = (n) => `forged${String(n).padStart(10, '0')}`;
    for (let n = 0; n < 1100; n += 1) bus.publish('sockhop.h', heartbeat(name(n), 1));
    const { args } = await a.log.next('refused');
    assert.equal(args[0].reason, 'too many nodes');
    await until(() => a.server.stats().cluster.refused === 100, 'the rest is refused');
    assert.equal(a.cluster.nodes.size, 1001);
    bus.publish('sockhop.h', message('B', name(0), 2, { bseq: 0 }));
    bus.publish('sockhop.h', heartbeat(name(1099), 2));
    await a.log.next('node_up', ({ args: [{ id }] }) => id === name(1099));
  });

  it('gives the program an error of its own class, whatever another node says', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { id } = await b.client();
    const answers = [
      { code: { toString: null }, message: { toString: null } },
      { code: 'not a code', message: 7 },
      { code: '__proto__', message: null },
    ];
    for (const answer of answers) {
      bus.fault = (entry) => {
        const line = read(entry.bytes);
        if (line.kind !== 'C') return [entry];
        const extra = { ...line.extra(), ...answer };
        return [{ ...entry, bytes: message('C', line.node, line.seq, { extra, bseq: line.bseq }) }];
      };
      await assert.rejects(a.cluster.session(id).send({ n: 1 }), (err) => {
        assert.ok(err instanceof impl.error);
        assert.equal(err.code, 'ERR_BAD_DATA');
        assert.equal(err.message, 'The other node gave no reason');
        return true;
      });
    }
  });

  it('accepts any name for a group, including names of JavaScript', async (t) => {
    const { nodes } = await startOnBus(t, 2);
    const [a, b] = nodes;
    const { log, session } = await b.client();
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '\0', '*', '>']) {
      await b.cluster.join(session, name);
      assert.equal((await a.cluster.group(name).count()).count, 1, name);
      await a.cluster.group(name).send({ name });
      assert.deepEqual((await log.next('receive')).object, { name });
    }
  });
});

/** The subject over which a node sends to a group. */
async function groupSubject(bus, { cluster }, group) {
  let found;
  bus.fault = (entry) => {
    if (read(entry.bytes).kind === 'G') found = entry.subject;
    return [entry];
  };
  await cluster.group(group).send({ n: 1 });
  await until(() => found !== undefined, 'the group gets a message');
  bus.fault = null;
  return found;
}

describe('a node that signs', limit, () => {
  const secret = 'a key of the cluster';
  const signer = new Signer([secret]);

  it('repeats nothing when recorded messages are sent again', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { secret });
    const [a, b] = nodes;
    const { log, session, id } = await b.client();
    await b.cluster.join(session, 'room');
    const recorded = [];
    bus.fault = (entry) => {
      if (read(entry.bytes).node === a.cluster.node) recorded.push(entry);
      return [entry];
    };
    await a.server.sendall({ n: 1 });
    await a.cluster.group('room').send({ n: 2 });
    await a.cluster.session(id).send({ n: 3 });
    await a.cluster.emit_remote('reload', {});
    await b.log.next('remote');
    for (const n of [1, 2, 3]) assert.deepEqual((await log.next('receive')).object, { n });
    bus.fault = null;
    const { duplicates } = b.server.stats().cluster;
    for (const { subject, bytes } of recorded) bus.publish(subject, bytes);
    const isKnown = ({ subject }) => subject !== `sockhop.n.${a.cluster.node}`;
    const expected = recorded.filter((one) => isKnown(one) && one.engine !== undefined).length;
    assert.ok(expected >= 4);
    await until(() => b.server.stats().cluster.duplicates >= duplicates + 4, 'they are dropped');
    await a.server.sendall({ n: 4 });
    assert.deepEqual((await log.next('receive')).object, { n: 4 });
    assert.equal(b.log.count('remote'), 1);
  });

  it('refuses recorded messages on another subject, and those of a changed node', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { secret });
    const [a, b] = nodes;
    const { log } = await b.client();
    let recorded = null;
    bus.fault = (entry) => {
      if (read(entry.bytes).kind === 'A') recorded = entry;
      return [entry];
    };
    await a.server.sendall({ n: 1 });
    await log.next('receive');
    bus.fault = null;
    const text = String(recorded.bytes);
    bus.publish('sockhop.h', recorded.bytes);
    bus.publish('sockhop.a', Buffer.from(text.replace(a.cluster.node, STRANGER)));
    bus.publish('sockhop.a', Buffer.from(text.replace('{"n":1}', '{"n":2}')));
    bus.publish('sockhop.h', message('B', a.cluster.node, 1e9));
    await until(() => b.server.stats().cluster.refused >= 4, 'all are refused');
    assert.equal((await b.log.next('refused')).args[0].reason, 'signature');
    assert.equal(b.cluster.nodes.size, 2);
    await a.server.sendall({ n: 3 });
    assert.deepEqual((await log.next('receive')).object, { n: 3 });
  });

  it('refuses a node whose heartbeat was recorded five minutes ago, and all that it sent', async (t) => {
    const { bus, nodes } = await startOnBus(t, 1, { secret });
    const [a] = nodes;
    const { log } = await a.client();
    const signed = (kind, seq, subject, fields) =>
      bus.publish(subject, message(kind, STRANGER, seq, fields, subject, signer));
    const old = { ...HEARTBEAT, w: Date.now() - FIVE_MINUTES - 1000 };
    signed('H', 1, 'sockhop.h', { extra: old, bseq: 0 });
    signed('A', 2, 'sockhop.a', { payload: '{"from":"a recording"}', bseq: 1 });
    assert.equal((await a.log.next('refused')).args[0].reason, 'old signature');
    signed('H', 3, 'sockhop.h', { extra: { ...HEARTBEAT, w: 'now' }, bseq: 1 });
    await until(() => a.server.stats().cluster.refused >= 2, 'both are refused');
    assert.equal(a.cluster.nodes.size, 1);
    await a.server.sendall({ n: 1 });
    assert.deepEqual((await log.next('receive')).object, { n: 1 });
  });

  it('does not count a node that has left as back because of its old heartbeats', async (t) => {
    const { bus, nodes } = await startOnBus(t, 2, { secret });
    const [a, b] = nodes;
    const recorded = [];
    bus.fault = (entry) => {
      const { kind, node } = read(entry.bytes);
      if (kind === 'H' && node === b.cluster.node) recorded.push(entry);
      return [entry];
    };
    await until(() => recorded.length > 2, 'heartbeats');
    await b.server.close();
    await a.log.next('node_down');
    bus.fault = null;
    const { duplicates } = a.server.stats().cluster;
    for (const { subject, bytes } of recorded) bus.publish(subject, bytes);
    await until(() => a.server.stats().cluster.duplicates > duplicates, 'they are dropped');
    assert.equal(a.cluster.nodes.size, 1);
  });
});
