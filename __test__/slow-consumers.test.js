'use strict';

// Peers that stop reading: the memory they use, and their effect on others.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { run } = require('./chaos/slow-consumers.js');
const { deadline, turn } = require('./support/deadline.js');
const { startClient, startServer } = require('./support/local.js');

const MIB = 1 << 20;
/** The mark of a connection by default. */
const MARK = 16 * MIB;
const limit = { timeout: 600_000 };

describe('a server that broadcasts to clients that have stopped reading', () => {
  // Small compared with the run by hand: 100 clients, a gigabyte.
  const scale = {
    implementation: 'native',
    stopped: 30,
    readers: 3,
    megabytes: 96,
    message: 65536,
  };

  for (const policy of ['drop', 'disconnect']) {
    it(
      `"${policy}": memory is bounded by the mark, and the others get everything`,
      limit,
      async () => {
        const result = await run({ ...scale, policy, megabytes: 256 });
        // All clients share one copy of the waiting messages; without a mark it would grow to all
        // messages. The rest is V8's.
        assert.ok(result.memory_growth < MARK / MIB + 48, `grew by ${result.memory_growth} MiB`);
        assert.ok(result.refused_messages > 0);
        if (policy === 'disconnect') {
          assert.equal(result.slow_consumers, scale.stopped);
          assert.equal(result.connections_left, scale.readers);
          assert.equal(result.pending_promises, 0);
        } else {
          assert.equal(result.connections_left, scale.readers + scale.stopped);
        }
      },
    );
  }

  it('"wait": a waiting message is kept once for all its receivers', limit, async () => {
    const result = await run({ ...scale, policy: 'wait' });
    assert.equal(result.refused_messages, 0);
    assert.equal(result.connections_left, scale.readers + scale.stopped);
    // 30 copies would be some 2.8 GiB. A second copy, in JavaScript or as spare capacity, is too
    // much as well.
    assert.ok(result.memory_growth < 1.6 * scale.megabytes, `grew by ${result.memory_growth} MiB`);
  });
});

describe('a server that stops reading', () => {
  it(
    "keeps the client's promises waiting, and gets everything when it resumes",
    limit,
    async (t) => {
      const { server, log, where } = await startServer(t, { receive_high_water_mark: MIB });
      const { client } = await startClient(t, where, { send_high_water_mark: MIB });
      const [socket] = (await log.next('connect')).args;
      const numbers = [];
      server.on('receive', ({ number }) => numbers.push(number));
      socket.pause();
      const filler = 'x'.repeat(100_000);
      const COUNT = 400;
      let sent = 0;
      let last = -1;
      // A program that awaits its promises is delayed, and little is kept for the server.
      const sending = (async () => {
        for (; sent < COUNT; sent += 1) await client.send({ number: sent, filler });
      })();
      while (sent !== last || client.stats().queued_bytes === 0) {
        last = sent;
        for (let i = 0; i < 50; i += 1) await turn();
      }
      assert.ok(sent < COUNT, `${sent} promises were fulfilled`);
      assert.ok(client.stats().queued_bytes <= 200_000);
      assert.equal(numbers.length, 0);
      socket.resume();
      await deadline(sending, 'the promises, now that the server reads', 60_000);
      await client.send({ number: 'end' });
      await log.next('receive', ({ args }) => args[0].number === 'end', 30_000);
      assert.deepEqual(numbers, [...Array(COUNT).keys(), 'end']);
    },
  );
});
