'use strict';

// Tests the times between the attempts of `auto_reconnect`, and their events and figures.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { freePort } = require('./support/addresses.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };
const GROWING = {
  auto_reconnect_interval: 8,
  auto_reconnect_factor: 2,
  auto_reconnect_max_interval: 50,
};

/** Records the `reconnecting` events of a client. */
function attemptsOf(client) {
  const attempts = [];
  client.on('reconnecting', (attempt, delay, lastError) =>
    attempts.push({ attempt, delay, code: lastError === null ? null : lastError.code }),
  );
  return attempts;
}

describe('a client that reconnects with a factor', () => {
  it('waits longer before each attempt, up to the maximum', limit, async (t) => {
    const { client } = makeClient(t, { port: await freePort() }, GROWING);
    const attempts = attemptsOf(client);
    client.auto_reconnect = true;
    await until(() => attempts.length >= 6, 'six attempts were made');
    client.auto_reconnect = false;
    const refused = 'ECONNREFUSED';
    assert.deepEqual(attempts.slice(0, 6), [
      { attempt: 1, delay: 8, code: null },
      { attempt: 2, delay: 16, code: refused },
      { attempt: 3, delay: 32, code: refused },
      { attempt: 4, delay: 50, code: refused },
      { attempt: 5, delay: 50, code: refused },
      { attempt: 6, delay: 50, code: refused },
    ]);
    const { reconnect_attempts, failed_reconnects, last_connect_error } = client.stats();
    assert.ok(reconnect_attempts >= 6 && failed_reconnects >= 5);
    assert.equal(last_connect_error, refused);
  });

  it('waits longer and longer while the server ends each connection at once', limit, async (t) => {
    const raw = await rawServer(t);
    raw.server.on('connection', (socket) => socket.destroy());
    const { client, log } = makeClient(t, raw.where, {
      auto_reconnect_interval: 2000,
      auto_reconnect_factor: 1.1,
    });
    const attempts = attemptsOf(client);
    client.auto_reconnect = true;
    await client.connect();
    await log.next('disconnect');
    await until(() => attempts.length === 2, 'two attempts were made');
    assert.deepEqual(
      attempts.map(({ attempt, delay }) => [attempt, delay]),
      [
        [1, 2000],
        [2, 2200],
      ],
    );
  });

  it('starts again with the interval after a connection that lasted', limit, async (t) => {
    const port = await freePort();
    const { client, log } = makeClient(t, { port }, GROWING);
    const attempts = attemptsOf(client);
    client.auto_reconnect = true;
    await until(() => attempts.length >= 4, 'the time has grown');
    const { server } = await startServer(t, {}, { port });
    await log.next('connect');
    const made = performance.now();
    const before = attempts.length;
    await until(() => performance.now() - made > 5 * GROWING.auto_reconnect_interval, 'it held');
    await server.close();
    await until(() => attempts.length > before, 'the client reconnects');
    assert.deepEqual(attempts[before], { attempt: 1, delay: 8, code: null });
  });

  it('connects at once if the program asks for it, and not again meanwhile', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where, { ...GROWING, auto_reconnect_max_interval: 8 });
    const attempts = attemptsOf(client);
    client.auto_reconnect = true;
    await client.connect();
    // Ten times the interval by the same timers.
    for (let i = 0; i < 10; i += 1) await new Promise((resolve) => setTimeout(resolve, 8));
    assert.deepEqual([attempts, client.connected], [[], true]);
  });

  it('makes no attempt if a listener of `reconnecting` disconnects', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, GROWING);
    const gone = new Promise((resolve) => {
      client.on('reconnecting', () => resolve(client.disconnect()));
    });
    client.auto_reconnect = true;
    await deadline(gone, 'the event');
    assert.equal(client.stats().reconnect_attempts, 0);
    assert.equal(client._connecting, false);
    assert.equal(raw.connections.count('connection'), 0);
  });

  it('goes on if a listener of `reconnecting` throws', limit, async (t) => {
    const port = await freePort();
    const { code, lines, stderr } = await program(
      t,
      (sockhop, place) => {
        let thrown = 0;
        process.on('uncaughtException', () => {
          thrown += 1;
        });
        const client = new sockhop.client({
          port: place,
          auto_reconnect_interval: 5,
          auto_reconnect_factor: 1.5,
        });
        client.on('reconnecting', (attempt) => {
          if (attempt < 4) throw new Error('of the program');
          console.log(`attempts ${client.stats().reconnect_attempts}, thrown ${thrown}`);
          client.disconnect();
        });
        client.auto_reconnect = true;
      },
      port,
    ).ended();
    assert.deepEqual([code, lines, stderr], [0, ['attempts 3, thrown 3'], '']);
  });

  it('keeps the process alive while it waits, and ends with disconnect()', limit, async (t) => {
    const port = await freePort();
    const client = program(
      t,
      (sockhop, place) => {
        const client = new sockhop.client({
          port: place,
          auto_reconnect_interval: 50,
          auto_reconnect_factor: 2,
        });
        client.on('connect', () => client.send({ hello: 1 }));
        client.on('receive', () => client.disconnect());
        client.auto_reconnect = true;
      },
      port,
    );
    const raw = await rawServer(t, { port });
    const wire = await raw.accept();
    await wire.frame();
    wire.write({ type: 'Object', data: {} });
    assert.equal((await client.ended()).code, 0);
  });
});

describe('clients that reconnect with a jitter', () => {
  it('come back at times spread over the delay, and less and less often', limit, async (t) => {
    const CLIENTS = 200;
    const INTERVAL = 400;
    const raw = await rawServer(t);
    const clients = Array.from(
      { length: CLIENTS },
      () =>
        makeClient(t, raw.where, {
          auto_reconnect_interval: INTERVAL,
          auto_reconnect_factor: 2,
          auto_reconnect_jitter: 1,
        }).client,
    );
    const attempts = clients.map(attemptsOf);
    await Promise.all(clients.map((client) => client.connect()));
    for (const client of clients) client.auto_reconnect = true;
    await raw.close();
    await until(() => attempts.every(({ length }) => length >= 3), 'each has tried three times');
    for (const number of [1, 2, 3]) {
      const longest = INTERVAL * 2 ** (number - 1);
      const delays = attempts.map((list) => list[number - 1].delay).sort((a, b) => a - b);
      assert.ok(delays[0] >= 1 && delays.at(-1) <= longest, `${delays}`);
      // About 50 in each quarter of the time: less than 20 are five standard deviations away.
      for (const quarter of [0, 1, 2, 3]) {
        const [from, to] = [quarter, quarter + 1].map((n) => (n * longest) / 4);
        const count = delays.filter((delay) => delay > from && delay <= to).length;
        assert.ok(count >= 20, `${count} of ${delays}`);
      }
    }
  });
});

describe('a client that reconnects at the interval', () => {
  it('emits `reconnecting` with the interval before each attempt', limit, async (t) => {
    const { client, log } = makeClient(
      t,
      { port: await freePort() },
      { auto_reconnect_interval: 10 },
    );
    const attempts = attemptsOf(client);
    client.auto_reconnect = true;
    await until(() => attempts.length >= 3, 'three attempts were made');
    client.auto_reconnect = false;
    assert.deepEqual(attempts.slice(0, 3), [
      { attempt: 1, delay: 10, code: null },
      { attempt: 2, delay: 10, code: 'ECONNREFUSED' },
      { attempt: 3, delay: 10, code: 'ECONNREFUSED' },
    ]);
    assert.equal(log.count('error'), 0);
  });

  it('names the error that ended the connection', limit, async (t) => {
    const raw = await rawServer(t, { port: await freePort() });
    const { client } = makeClient(t, raw.where, { auto_reconnect_interval: 10 });
    const attempts = attemptsOf(client);
    await client.connect();
    (await raw.accept()).socket.resetAndDestroy();
    client.auto_reconnect = true;
    await until(() => attempts.length >= 1, 'the client reconnects');
    assert.deepEqual(attempts[0], { attempt: 1, delay: 10, code: 'ECONNRESET' });
    assert.equal(client.stats().last_connect_error, null);
  });
});

describe('the options of reconnecting', () => {
  const refused = (options, code, message) =>
    assert.throws(() => new impl.client(options), { code, message });

  it('are refused with the range and the remedy', () => {
    refused(
      { auto_reconnect_factor: 0.5 },
      'ERR_OUT_OF_RANGE',
      'The "options.auto_reconnect_factor" property must be a number >= 1 and <= 1000 (left out, it is 1). Received type number (0.5)',
    );
    refused({ auto_reconnect_factor: 'fast' }, 'ERR_OUT_OF_RANGE', /"options\.auto_reconnect_fac/);
    refused({ auto_reconnect_factor: {} }, 'ERR_INVALID_ARG_TYPE', /"options\.auto_reconnect_fac/);
    refused(
      { auto_reconnect_jitter: 1.5 },
      'ERR_OUT_OF_RANGE',
      'The "options.auto_reconnect_jitter" property must be a number >= 0 and <= 1 (left out, it is 0). Received type number (1.5)',
    );
    refused({ auto_reconnect_jitter: -1 }, 'ERR_OUT_OF_RANGE', /"options\.auto_reconnect_jitter"/);
    refused(
      { auto_reconnect_max_interval: 1000 },
      'ERR_OUT_OF_RANGE',
      'The "options.auto_reconnect_max_interval" property must be a number of milliseconds >= 2000, which is "auto_reconnect_interval". Received type number (1000)',
    );
  });

  it('accept an interval above the default of the maximum', () => {
    new impl.client({ auto_reconnect_interval: 60_000, auto_reconnect_factor: 2 });
  });
});
