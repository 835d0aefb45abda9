'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { PendingCallbacks } = require('../lib/internal/messaging/pending-callbacks.js');
const { countOf, lastParts, uuid } = require('../lib/internal/ids.js');

test('a callback is found by its id alone, and once', () => {
  const callbacks = new PendingCallbacks();
  const answers = [];
  const tickets = Array.from({ length: 3 }, (_, i) => {
    const ticket = callbacks.reserve();
    callbacks.add(ticket, (data) => answers.push([i, data]));
    return ticket;
  });
  const { id } = tickets[1];
  // The same count after another random part, which another process may have generated.
  assert.equal(callbacks.take(id.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))), null);
  assert.equal(callbacks.take(id.toUpperCase()), null);
  assert.equal(callbacks.take(uuid()), null);
  callbacks.take(id).answer('yes', {});
  assert.equal(callbacks.take(id), null);
  assert.deepEqual(answers, [[1, 'yes']]);
  assert.equal(callbacks.size, 2);
  callbacks.forget(tickets[0].id);
  callbacks.forget(tickets[2].id);
  assert.equal(callbacks.size, 0);
});

test('a callback keeps its count, however many ids are generated before its answer', {
  timeout: 600_000,
}, () => {
  const callbacks = new PendingCallbacks();
  const ticket = callbacks.reserve();
  let answers = 0;
  callbacks.add(ticket, () => (answers += 1));
  // The counter overflows: the next id has the same count and another random part.
  while (lastParts().count !== (ticket.count + 16 ** 6 - 1) % 16 ** 6) uuid();
  const other = callbacks.reserve();
  assert.equal(other.count, (ticket.count + 1) % 16 ** 6);
  assert.equal(countOf(other.id), other.count);
  callbacks.take(ticket.id).answer('yes', {});
  assert.equal(answers, 1);
});
