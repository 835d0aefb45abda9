'use strict';

// A server that is stopped in order and started again, under calls of clients with an offline
// queue. `SOCKHOP_CALLS=100000` makes 100,000 calls, which takes two minutes.

const assert = require('node:assert/strict');
const { it } = require('node:test');
const { run } = require('./chaos/restart.js');

const CALLS = Number(process.env.SOCKHOP_CALLS ?? 3000);
/**
 * At the end of the grace calls are cut off. On a busy machine a process may pause for longer than
 * the five seconds that suffice otherwise.
 */
const GRACE_MS = 60_000;

it('no call is lost, repeated or rejected while the server is stopped and started again', {
  timeout: 120_000 + 10 * CALLS,
}, async () => {
  const account = await run({ calls: CALLS, grace: GRACE_MS, seed: Date.now() % 2 ** 31 });
  assert.deepEqual(account.violations, [], JSON.stringify(account));
  assert.deepEqual(
    [account.settled, account.unhandled, account.cut],
    [CALLS, 0, 0],
    JSON.stringify(account),
  );
  // There were enough restarts for the test to be meaningful.
  assert.ok(account.restarts > 0 && account.waited > 0, JSON.stringify(account));
});
