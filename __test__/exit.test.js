'use strict';

// Tests exits in the middle of work: the exit code is the program's, and nothing crashes or hangs.
// A single run of a race shows little, so each case is repeated: see support/repeat.js.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { repeat, times } = require('./support/repeat.js');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { startServer } = require('./support/local.js');

const LEAVER = path.join(__dirname, 'programs', 'leaver.js');
/** The exit code that the leavers choose. */
const CODE = 7;
const PATIENCE = 90_000;
const limit = { timeout: 15 * 60_000 };

/** Runs a leaver; `closed` is fulfilled with how it ended. */
function leaver(t, way, where) {
  const child = fork(LEAVER, [way, JSON.stringify(where)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: [],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const closed = deadline(
    new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stderr }));
    }),
    () => `the program to leave ${way}\n${stderr}`,
    PATIENCE,
  );
  cleanup(t, () => child.kill('SIGKILL'));
  return { child, closed };
}

/** A server that floods its clients and answers their questions. */
async function floodingServer(t, where) {
  const { server } = await startServer(t, {}, where);
  const text = 'y'.repeat(200);
  server.on('connect', async (sock) => {
    try {
      while (!sock.destroyed) {
        const sent = [];
        for (let i = 0; i < 200; i += 1) sent.push(server.send(sock, { flood: text }));
        await Promise.all(sent);
        // Promises alone would not let the event loop take a turn.
        await turn();
      }
    } catch {
      // The client has left.
    }
  });
  server.on('receive', (object, { socket, callback }) => {
    if (object.leave) server.kill_socket(socket);
    callback?.({ answered: true });
  });
  return server;
}

/** A server that only carries out commands and answers. */
async function quietServer(t, where) {
  const { server } = await startServer(t, {}, where);
  server.on('receive', (object, { socket, callback }) => {
    if (object.leave) server.kill_socket(socket);
    callback?.({ answered: true });
  });
  return server;
}

const stack = (text) => (stderr) => {
  assert.match(stderr, new RegExp(`Error: ${text}`));
  assert.match(stderr, /leaver\.js/, 'the stack is the one of the handler');
};
const silent = (stderr) => assert.equal(stderr, '');

const ways = [
  { way: 'in a flood', host: floodingServer },
  { way: 'in a receive handler', host: floodingServer },
  { way: 'in a callback', host: floodingServer },
  { way: 'in a connect handler', host: floodingServer },
  { way: 'in a disconnect handler', host: quietServer },
  { way: 'while it connects', host: quietServer },
  { way: 'while it reconnects', host: quietServer },
  {
    way: 'with an uncaught exception in a handler',
    host: floodingServer,
    code: 1,
    stderr: stack('out of the handler'),
  },
  {
    way: 'with an uncaught exception in a callback',
    host: floodingServer,
    code: 1,
    stderr: stack('out of the callback'),
  },
  { way: 'with an uncaught exception that is handled', host: floodingServer },
];

describe('a program that exits', () => {
  for (const { way, host, code = CODE, stderr = silent } of ways) {
    it(way, limit, async (t) => {
      const places = await Promise.all(transports.map((transport) => endpoint(t, transport)));
      for (const where of places) await host(t, where);
      await times(repeat(), 2, async (turn) => {
        const end = await leaver(t, way, places[turn % places.length]).closed;
        assert.deepEqual(
          { code: end.code, signal: end.signal },
          { code, signal: null },
          end.stderr,
        );
        stderr(end.stderr);
      });
    });
  }

  it('with 1,000 connections', limit, async (t) => {
    // Over a Unix socket, because this many TCP connections would use up the ports of later tests.
    await times(repeat(4), 1, async () => {
      const end = await leaver(t, 'with 1,000 connections', await endpoint(t, 'unix')).closed;
      assert.deepEqual(end, { code: CODE, signal: null, stderr: '' });
    });
  });

  it('by SIGTERM', limit, async (t) => {
    const where = await endpoint(t);
    await floodingServer(t, where);
    await times(repeat(), 2, async () => {
      const { child, closed } = leaver(t, 'by SIGTERM', where);
      child.once('message', () => child.kill('SIGTERM'));
      assert.deepEqual(await closed, { code: null, signal: 'SIGTERM', stderr: '' });
    });
  });
});

describe('messages sent in the tick before process.exit() arrive:', () => {
  const cases = [
    { way: 'with last words', count: 100 },
    { way: 'with last words of many megabytes', count: 8 },
    { way: 'with last words in an exit handler', count: 100 },
    { way: 'with last words and an exception', count: 100, code: 1 },
  ];
  for (const { way, count, code = CODE } of cases) {
    for (const transport of transports) {
      it(`${way} (${transport})`, limit, async (t) => {
        const where = await endpoint(t, transport);
        const { log } = await startServer(t, {}, where);
        await times(repeat(), 1, async () => {
          assert.equal((await leaver(t, way, where).closed).code, code);
          await log.next('disconnect');
          const words = log.entries.filter(({ name }) => name === 'receive');
          log.entries.length = 0;
          assert.deepEqual(
            words.map(({ args: [{ word }] }) => word),
            Array.from({ length: count }, (_, n) => n),
          );
        });
      });
    }
  }

  it('with the last messages of a server', limit, async (t) => {
    await times(repeat(), 1, async () => {
      const where = await endpoint(t, 'unix');
      const { child, closed } = leaver(t, 'with the last messages of a server', where);
      await deadline(new Promise((resolve) => child.once('message', resolve)), 'the server');
      const logs = await Promise.all(
        Array.from({ length: 10 }, async () => {
          const client = new impl.client(where);
          const log = record(client);
          await client.connect();
          return log;
        }),
      );
      assert.equal((await closed).code, CODE);
      for (const log of logs) {
        await log.next('disconnect');
        assert.deepEqual(
          log.all('receive').map(({ args: [{ word }] }) => word),
          Array.from({ length: 51 }, (_, n) => n),
        );
      }
    });
  });
});
