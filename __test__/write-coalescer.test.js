'use strict';

// The joining of messages into writes, tested without sockets because its limits exceed the memory
// of a test machine.

const assert = require('node:assert/strict');
const { MAX_STRING_LENGTH } = require('node:buffer').constants;
const test = require('node:test');
const { WriteCoalescer } = require('../lib/internal/transport/write-coalescer.js');
const { kCanWriteNow, kWriteBatch, kWriteMessage } = require('../lib/internal/symbols.js');

/** Receives the writes of a coalescer, like a socket that waits for the kernel. */
class WaitingSocket {
  lengths = [];
  messages = 0;

  [kCanWriteNow]() {
    return false;
  }

  [kWriteMessage]() {
    assert.fail('a message is written at its call while others wait');
  }

  [kWriteBatch](text, batch) {
    this.lengths.push(text.length);
    this.messages += batch.messages;
    batch.settle(null);
  }
}

test('messages that are longer together than a string can be are written one after the other', async () => {
  const socket = new WaitingSocket();
  const coalescer = new WriteCoalescer(socket);
  const first = coalescer.push('x'.repeat(1000), false);
  const second = coalescer.push('y'.repeat(1000), false);
  const longest = coalescer.push('z'.repeat(MAX_STRING_LENGTH - 1500), false);
  const last = coalescer.push('x', false);
  assert.deepEqual(await Promise.all([first, second, longest, last]), [null, null, null, null]);
  assert.deepEqual(socket.lengths, [2000, MAX_STRING_LENGTH - 1500, 1]);
  assert.equal(socket.messages, 4);
});

test('messages that fit into one string are written together', async () => {
  const socket = new WaitingSocket();
  const coalescer = new WriteCoalescer(socket);
  const sent = [coalescer.push('x'.repeat(1000), false), coalescer.push('y', false)];
  assert.deepEqual(await Promise.all(sent), [null, null]);
  assert.deepEqual(socket.lengths, [1001]);
});
