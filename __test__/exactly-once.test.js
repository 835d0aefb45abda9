'use strict';

// Mixed traffic through a bad network while servers and clients are killed: no fulfilled message of
// a connection with an orderly end is lost, repeated or out of order.

const assert = require('node:assert/strict');
const { it } = require('node:test');
const { run } = require('./chaos/exactly-once.js');

it('every message of an orderly connection arrives once and in order', {
  timeout: 600_000,
}, async () => {
  const account = await run({ seconds: 10, clients: 25, seed: Date.now() });
  assert.deepEqual(account.violations, [], JSON.stringify(account));
  assert.equal(account.lost, 0);
  assert.equal(account.crashed, 0);
  // There was enough traffic for the test to be meaningful.
  assert.ok(account.killed > 0 && account.verified > 0 && account.messages > 1000);
  assert.ok(account.faults.reset > 0 && account.faults.truncate > 0 && account.faults.stall > 0);
});
