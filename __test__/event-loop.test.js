'use strict';

// A flood leaves turns of the event loop to the rest of the program, and a program that computes
// for seconds loses no message. `npm run bench -- loop-delay` measures the length of the turns.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { EventLog, record } = require('./support/event-log.js');
const { implementations } = require('./support/implementations.js');

const limit = { timeout: 600_000 };
const PATIENCE = 60_000;
const BUSY = path.join(__dirname, 'programs', 'busy.js');
/**
 * Four unanswered pings would end the connection within the computation, but not within a pause of
 * a busy machine.
 */
const BLOCK_MS = 5000;
const PING_MS = 1000;

/** Starts the busy program; its events are the log's entries. */
async function busy(t, plan, reader) {
  const child = fork(BUSY, [JSON.stringify(plan)], {
    env: { ...process.env, SOCKHOP_READER: reader },
    execArgv: [],
  });
  const log = new EventLog();
  child.on('message', ({ event, ...details }) => log.push({ name: event, ...details }));
  child.on('exit', (code, signal) =>
    log.break(new Error(`the busy program has ended (${signal ?? code})`)),
  );
  cleanup(t, () => child.kill('SIGKILL'));
  return log;
}

/**
 * The busy program, and the other end of its connection in this process.
 *
 * @param {'client'|'server'} role of the busy program
 */
async function pair(t, { role, implementation, plan, reader, transport = 'tcp' }) {
  const sockhop = require(implementations[implementation]);
  const where = await endpoint(t, transport);
  const whole = { ...plan, role, where };
  let send;
  let end;
  let log;
  if (role === 'server') {
    const program = await busy(t, whole, reader);
    await program.next('ready', undefined, PATIENCE);
    end = new sockhop.client(where);
    end._auto_reconnect_timer?.unref?.();
    log = record(end);
    cleanup(t, () => end.disconnect());
    await end.connect();
    send = (...args) => end.send(...args);
    return { program, end, log, send };
  }
  end = new sockhop.server(where);
  log = record(end);
  cleanup(t, () => end.close());
  await end.listen();
  const program = await busy(t, whole, reader);
  const [sock] = (await log.next('connect', undefined, PATIENCE)).args;
  send = (...args) => end.send(sock, ...args);
  return { program, end, log, send };
}

const ask = (send, object) =>
  deadline(
    new Promise((resolve, reject) => {
      send(object, resolve).catch(reject);
    }),
    'the answer',
    PATIENCE,
  );

/**
 * Sends the last number, and asserts that the program has received all of them, in order, over its
 * only connection.
 */
async function assertLossless(send, last) {
  const { next, wrong, connects, disconnects } = await ask(send, { n: last });
  assert.deepEqual(
    { next, wrong, connects, disconnects },
    { next: last + 1, wrong: [], connects: 1, disconnects: 0 },
  );
}

const readers = [
  ['', 'by whichever reader'],
  ['runtime', 'by the runtime'],
  ['loop', 'by the event loop'],
];

describe('a program that is flooded', () => {
  for (const role of ['client', 'server']) {
    for (const [reader, title] of readers) {
      for (const transport of transports) {
        it(`still runs timers: a ${role}, read ${title} (${transport})`, limit, async (t) => {
          const { program, send } = await pair(t, {
            role,
            reader,
            transport,
            implementation: 'original',
            plan: { task: 'share' },
          });
          const text = 'x'.repeat(100);
          let over = false;
          // The flood has no end, so the program must get its turns during the flood.
          const flooding = (async () => {
            while (!over) {
              await Promise.all(Array.from({ length: 500 }, (_, n) => send({ n, text })));
              // Promises alone would not let the event loop take a turn.
              await new Promise(setImmediate);
            }
          })();
          const { received } = await program.next('shared', undefined, PATIENCE);
          over = true;
          await flooding;
          assert.ok(received >= 1000, `the flood went on meanwhile: ${received} messages`);
        });
      }
    }
  }
});

describe('a program that computes for seconds', () => {
  for (const role of ['client', 'server']) {
    for (const [reader, title] of readers) {
      for (const implementation of reader === '' ? ['original', 'native'] : ['original']) {
        it(
          `loses nothing, and no connection: a ${role} of ${implementation}, read ${title}`,
          limit,
          async (t) => {
            const count = 2000;
            const { program, end, log, send } = await pair(t, {
              role,
              reader,
              implementation,
              plan: { task: 'compute', count, blockMs: BLOCK_MS, pingMs: PING_MS },
            });
            end.ping(PING_MS);
            // Messages are sent before, during and after the computation.
            let n = 0;
            let back = null;
            program.next('back', undefined, PATIENCE).then((entry) => {
              back = entry;
            });
            const sent = [];
            while (n < count || back === null) {
              for (let burst = 0; burst < 5; burst += 1, n += 1) sent.push(send({ n }));
              await new Promise((resolve) => setTimeout(resolve, 5));
            }
            assert.equal(program.count('blocking'), 1);
            assert.ok(back.received < n, 'it computed while messages came');
            await Promise.all(sent);
            await assertLossless(send, n);
            assert.deepEqual(
              log.names().filter((name) => name !== 'receive'),
              ['connect'],
              'neither end gave up the other',
            );
          },
        );
      }

      it(`loses nothing of a flood: a ${role}, read ${title}`, limit, async (t) => {
        const count = 50_000;
        const { program, log, send } = await pair(t, {
          role,
          reader,
          implementation: 'original',
          plan: { task: 'compute', count, blockMs: BLOCK_MS, pingMs: PING_MS },
        });
        const text = 'x'.repeat(400);
        const sent = [];
        for (let n = 0; n < count; n += 1) {
          sent.push(send({ n, text }));
          // The other end has a heartbeat as well, so it needs turns.
          if (n % 1000 === 0) await new Promise(setImmediate);
        }
        await program.next('back', undefined, PATIENCE);
        await Promise.all(sent);
        await assertLossless(send, count);
        assert.equal(log.count('disconnect'), 0);
      });
    }
  }
});

describe('a program without traffic', () => {
  for (const role of ['client', 'server']) {
    it(`is not woken by the package, and answers pings while it computes: a ${role}`, {
      ...limit,
      skip: process.platform !== 'linux' && 'only the poller of Linux needs it',
    }, async (t) => {
      const { program, end, log } = await pair(t, {
        role,
        implementation: 'original',
        plan: { task: 'rest', blockMs: 2 * BLOCK_MS },
      });
      await program.next('quiet', undefined, PATIENCE);
      end.ping(PING_MS);
      await program.next('back', undefined, PATIENCE);
      assert.equal(log.count('disconnect'), 0);
    });
  }

  it('answers pings while it computes, over a connection that had a dialogue', limit, async (t) => {
    const { program, end, log, send } = await pair(t, {
      role: 'server',
      implementation: 'original',
      plan: { task: 'rest', blockMs: 2 * BLOCK_MS },
    });
    for (let n = 0; n < 200; n += 1) await ask(send, { n });
    await program.next('quiet', undefined, PATIENCE);
    end.ping(PING_MS);
    await program.next('back', undefined, PATIENCE);
    assert.equal(log.count('disconnect'), 0);
  });
});
