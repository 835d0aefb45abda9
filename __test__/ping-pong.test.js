'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const { SockhopPing, SockhopPong } = require('../lib/SockhopPing.js');

const overTheWire = (value) => JSON.parse(JSON.stringify(value));

test('a ping is unanswered until its own pong concludes it', () => {
  const ping = new SockhopPing();
  assert.equal(ping.unanswered(), true);

  ping.conclude_with_pong(new SockhopPong({ _id: 'another' }));
  assert.equal(ping.unanswered(), true);

  const pong = overTheWire(new SockhopPong(overTheWire(ping)));
  ping.conclude_with_pong(pong);
  assert.equal(ping.unanswered(), false);
  assert.equal(ping._returned, pong._returned);
  assert.ok(ping._finished instanceof Date);
});

test('the wire carries id, created, returned and finished, in this order', () => {
  const ping = overTheWire(new SockhopPing());
  assert.deepEqual(Object.keys(ping), ['_id', '_created', '_returned', '_finished']);
  assert.match(ping._id, /^[0-9a-f-]{36}$/);
  assert.ok(!Number.isNaN(Date.parse(ping._created)));
  assert.equal(ping._returned, null);
  assert.equal(ping._finished, null);

  const pong = overTheWire(new SockhopPong(ping));
  assert.deepEqual(Object.keys(pong), ['_id', '_created', '_returned', '_finished']);
  assert.equal(pong._id, ping._id);
  assert.equal(pong._created, ping._created);
  assert.ok(!Number.isNaN(Date.parse(pong._returned)));
  assert.equal(pong._finished, null);
});

test('fields that are given are kept', () => {
  const fields = { _id: 'a', _created: 'b', _returned: 'c', _finished: 'd' };
  assert.deepEqual({ ...new SockhopPing(fields) }, fields);
  assert.deepEqual({ ...new SockhopPong(fields) }, fields);
  assert.equal(new SockhopPing(fields).unanswered(), false);
  assert.equal(new SockhopPong(fields).finished, 'd');
  assert.equal(new SockhopPong().finished, null);
});

test('two pings have different ids', () => {
  assert.notEqual(new SockhopPing()._id, new SockhopPing()._id);
});

for (const hostile of [undefined, null, 5, 'text', true, [], {}]) {
  test(`a peer that sends ${JSON.stringify(hostile)} for a ping or pong breaks nothing`, () => {
    const ping = new SockhopPing();
    ping.conclude_with_pong(hostile);
    assert.equal(ping.unanswered(), true);
    assert.equal(new SockhopPong(hostile)._id, null);
    assert.equal(new SockhopPing(hostile).unanswered(), true);
  });
}
