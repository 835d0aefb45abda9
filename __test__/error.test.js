'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');

const SockhopError = require('../lib/SockhopError.js');

test('a SockhopError is an Error with a code', () => {
  const err = new SockhopError('it broke', 'ERR_BROKEN');
  assert.ok(err instanceof Error);
  assert.equal(err.constructor.name, 'SockhopError');
  assert.equal(err.message, 'it broke');
  assert.equal(err.code, 'ERR_BROKEN');
  assert.match(err.stack, /error\.test\.js/);
});

test('it prints as a plain Error does', () => {
  const err = new SockhopError('it broke', 'ERR_BROKEN');
  assert.equal(err.name, 'Error');
  assert.equal(String(err), 'Error: it broke');
});

test('the code may be left out', () => {
  const err = new SockhopError('it broke');
  assert.ok(Object.hasOwn(err, 'code'));
  assert.equal(err.code, undefined);
});

test('it can carry the error that caused it', () => {
  const cause = new Error('the reason');
  assert.equal(new SockhopError('it broke', 'ERR_BROKEN', { cause }).cause, cause);
  assert.ok(!Object.hasOwn(new SockhopError('it broke', 'ERR_BROKEN'), 'cause'));
});
