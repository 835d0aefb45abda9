'use strict';

const assert = require('node:assert/strict');
const dns = require('node:dns');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const sinon = require('sinon');
const { unixPath } = require('./support/addresses.js');
const { until } = require('./support/deadline.js');
const { makeClient } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };

const TIMERS = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'];

/** Runs `body` on a faked clock, and restores the real one in any case. */
async function withClock(body) {
  const clock = sinon.useFakeTimers({ toFake: TIMERS });
  try {
    return await body(clock);
  } finally {
    clock.restore();
  }
}

/**
 * Fakes all timers in a separate program, because the runner of these tests needs its own.
 *
 * @param {object} t
 * @param {string} scene the name of a function in peers/faked.js
 */
async function onFakedClock(t, scene) {
  const { code, lines, stderr } = await program(
    t,
    async (sockhop, { scenes, scene, path }) => {
      await require(scenes)[scene](sockhop, path);
      console.log('done');
    },
    { scenes: require.resolve('./peers/faked.js'), scene, path: unixPath(t) },
  ).ended();
  assert.deepEqual([code, lines, stderr], [0, ['done'], '']);
}

describe('with every timer of the process faked', () => {
  it('a client connects and exchanges messages without a tick of the clock', limit, (t) =>
    onFakedClock(t, 'conversation'),
  );

  it('both ends connect and disconnect', limit, (t) => onFakedClock(t, 'closing'));

  it('a package that is loaded only then exchanges messages as well', limit, (t) =>
    onFakedClock(t, 'loading'),
  );

  it('a flood is delivered to its end', limit, (t) => onFakedClock(t, 'flood'));
});

describe('the time-outs of the API use the timers that are current at the call', () => {
  it('connect_timeout', limit, async (t) => {
    // A name that is never found: the attempt neither succeeds nor fails.
    const lookup = t.mock.method(dns, 'lookup', () => {});
    const { client } = makeClient(t, { address: 'nowhere.example', port: 1 });
    await withClock(async (clock) => {
      const attempt = client.connect();
      const settled = assert.rejects(attempt, { message: 'Timeout exceeded on connect()' });
      clock.tick(4_999);
      assert.equal(client._connecting, true);
      clock.tick(1);
      await settled;
      assert.equal(client._connecting, false);
    });
    assert.equal(lookup.mock.callCount(), 1);
  });

  it('auto_reconnect_interval', limit, async (t) => {
    const raw = await rawServer(t);
    await withClock(async (clock) => {
      const { client } = makeClient(t, raw.where, { auto_reconnect_interval: 600_000 });
      client.auto_reconnect = true;
      clock.tick(599_999);
      assert.equal(client._connecting, false);
      const connected = once(client, 'connect');
      clock.tick(1);
      await connected;
    });
  });

  it('ping()', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where);
    await client.connect();
    const wire = await raw.accept();
    await withClock(async (clock) => {
      client.ping(600_000);
      clock.tick(600_000);
      clock.tick(600_000);
      await until(() => wire.entries.filter(({ json }) => json).length === 2, 'two pings came');
      client.ping(0);
      clock.tick(600_000);
    });
    assert.equal(wire.entries.filter(({ json }) => json).length, 2);
  });

  it('callback_timeout, and the time-out of a call', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, { callback_timeout: 600_000 });
    await client.connect();
    const clock = sinon.useFakeTimers({ toFake: [...TIMERS, 'performance'] });
    try {
      client.send('never answered', () => {});
      const call = assert.rejects(client.call('nor this', { timeout: 300_000 }), {
        code: 'ERR_CALLBACK_TIMEOUT',
      });
      clock.tick(300_000);
      await call;
      clock.tick(300_000);
    } finally {
      clock.restore();
    }
    const [err] = (await log.next('error')).args;
    assert.equal(err.code, 'ERR_CALLBACK_TIMEOUT');
  });

  it('the time-out of a request', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, { response_timeout: 600_000 });
    await client.connect();
    await withClock(async (clock) => {
      const stream = await client.request('never answered');
      const answer = assert.rejects(stream.next(), { code: 'ERR_RESPONSE_TIMEOUT' });
      clock.tick(600_000);
      await answer;
    });
  });
});
