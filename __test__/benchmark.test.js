'use strict';

// The payloads of the benchmark, and one short round of the workloads that send them, so that a
// change of the package or of the benchmark cannot break them unnoticed. Nothing is measured.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { freeAddress, openEnds } = require('../benchmark/lib/ends.js');
const { LoopDelay, waitingTime } = require('../benchmark/lib/loop-delay.js');
const { payloads } = require('../benchmark/lib/payloads.js');
const peers = require('../benchmark/peers');
const workloads = require('../benchmark/workloads');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');

const limit = { timeout: 600_000 };
const copy = (object, values) =>
  values === 'rich' ? structuredClone(object) : JSON.parse(JSON.stringify(object));

/** Runs a workload of the package for a moment, and gives the values of the round. */
async function runOnce(t, name, transport) {
  const definition = workloads.get(name);
  const peer = peers.load('native');
  const address = await freeAddress(transport, temporaryDirectory(t), name);
  const started = [];
  cleanup(t, () => Promise.all(started.map((end) => end.stop())));
  const { ends, version } = await openEnds({
    definition,
    transport,
    address,
    name: 'native',
    peer,
    certificates: {},
    binary: null,
    keep: (end) => {
      started.push(end);
      return end;
    },
  });
  return { ...(await definition.round({ ...ends, peer, ms: 50 })), version };
}

describe('a payload of the benchmark', () => {
  for (const payload of payloads) {
    it(`${payload.name}: is recognized, and so is another message in its place`, () => {
      for (const seq of [0, 1, 999, 1000]) {
        const arrived = copy(payload.make(seq), payload.values);
        assert.ok(payload.matches(arrived, seq), `no. ${seq}`);
        assert.ok(!payload.matches(arrived, seq + 1), `no. ${seq} instead of the next`);
      }
      assert.ok(!payload.matches({}, undefined), 'an object without a number');
      const { seq, ...rest } = copy(payload.make(1000), payload.values);
      const last = Object.keys(rest).at(-1);
      assert.ok(!payload.matches({ seq, ...rest, [last]: 'wrong' }, 1000), `${last} is wrong`);
    });

    it(`${payload.name}: has about the size that its title states`, () => {
      const [, size, unit] = /\(([\d.]+) (bytes|KB)\)/.exec(payload.title);
      const stated = Number(size) * (unit === 'KB' ? 1000 : 1);
      assert.ok(Math.abs(payload.bytes / stated - 1) < 0.05, `${payload.bytes} bytes`);
    });
  }

  it('mixed: has more sets of keys than a connection should remember', () => {
    const mixed = payloads.find(({ name }) => name === 'mixed');
    const sets = new Set(Array.from({ length: 1000 }, (_, i) => Object.keys(mixed.make(i)).join()));
    assert.ok(sets.size > 900, `${sets.size} sets`);
  });
});

describe('a workload with payloads', () => {
  for (const { name } of payloads) {
    it(`oneway-${name} runs`, limit, async (t) => {
      const { value } = await runOnce(t, `oneway-${name}`, 'tcp');
      assert.ok(value > 0);
    });
  }

  for (const family of ['roundtrip', 'callbacks', 'fanin', 'fanout']) {
    it(`${family}-mixed runs`, limit, async (t) => {
      const { value } = await runOnce(t, `${family}-mixed`, 'unix');
      assert.ok(value > 0);
    });
  }
});

describe('a workload with the original at one end', () => {
  const found = workloads.select('original');

  it('is one of sending, receiving, round trips, callbacks, answers and requests', () => {
    assert.deepEqual(found.sort(), [
      'original-answers',
      'original-callbacks',
      'original-receive',
      'original-receive-4k',
      'original-requests',
      'original-roundtrip',
      'original-send',
      'original-send-4k',
    ]);
  });

  for (const name of ['original-answers', 'original-requests', 'original-send']) {
    it(`${name} runs, and the version is that of the other end`, limit, async (t) => {
      const { value, version } = await runOnce(t, name, 'unix');
      assert.ok(value > 0);
      assert.equal(version, peers.load('native').version());
    });
  }
});

describe('the delay of an event loop', () => {
  it('is the rest of the turn at a random moment', () => {
    const turns = new Float64Array(5001);
    turns[1] = 799_000;
    // Events that come in the first 100 µs of these turns wait longer than 1.9 ms: 1 % of the time.
    turns[2000] = 100;
    turns[1000] = 1;
    assert.equal(waitingTime(turns, 1e6, 0.99), 1900);
    assert.equal(waitingTime(turns, 1e6, 1), 2000);
    assert.equal(waitingTime(turns, 1e6, 0.79), 1);
  });

  it('includes a turn in which the program computes', limit, async () => {
    const delay = new LoopDelay();
    delay.start();
    await new Promise((resolve) => setTimeout(resolve, 1));
    for (const begin = Date.now(); Date.now() < begin + 50; );
    await new Promise((resolve) => setImmediate(resolve));
    const { p99Ms } = delay.stop();
    assert.ok(p99Ms > 25, `${p99Ms} ms`);
  });
});

describe('--payload', () => {
  it('selects the workloads that send a payload, all of them or those of some kinds', () => {
    const all = workloads.withPayloads(['log'], []);
    assert.deepEqual(all.sort(), [
      'callbacks-log',
      'fanin-log',
      'fanout-log',
      'oneway-log',
      'roundtrip-log',
    ]);
    const some = workloads.withPayloads(['text', 'rows'], ['callbacks']);
    assert.deepEqual(some.sort(), ['callbacks-100', 'callbacks-rows', 'callbacks-steady']);
    assert.throws(() => workloads.withPayloads(['log'], ['nothing']), /no workload "nothing"/);
  });

  it('a run of all workloads has records and tables, and no other payloads', () => {
    const sent = new Set(workloads.names.map((name) => workloads.get(name).payload));
    assert.deepEqual([...sent].sort(), ['record', 'rows', 'text', undefined]);
  });
});
