'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const test = require('node:test');

const TimedMap = require('../lib/TimedMap.js');

const LONG = 60_000; // never reached: every test takes its values out again

/** A callback that records the reasons it gets. */
function listener() {
  const reasons = [];
  const callback = (reason) => reasons.push(reason);
  return { reasons, callback };
}

test('it returns the values of known keys, and undefined for others', () => {
  const map = new TimedMap({ timeout: LONG });
  map.set('a', 1).set('b', 2);
  assert.equal(map.get('a'), 1);
  assert.equal(map.get('b'), 2);
  assert.equal(map.get('c'), undefined);
  assert.equal(map._map.size, 2);
  map.stop();
});

test('keys that every object inherits are unknown', () => {
  const map = new TimedMap();
  for (const key of ['constructor', '__proto__', 'toString', undefined, null]) {
    assert.equal(map.get(key), undefined);
    assert.equal(map.delete(key), false);
  }
});

test('the entries show their value first', () => {
  const map = new TimedMap({ timeout: LONG });
  map.set('a', 'value');
  const [[value]] = map._map.values();
  assert.equal(value, 'value');
  map.stop();
});

test('overwriting calls the callback of the old value, and only that one', () => {
  const map = new TimedMap({ timeout: LONG });
  const first = listener();
  const second = listener();
  map.set('a', 1, first.callback);
  map.set('a', 2, second.callback);
  assert.deepEqual(first.reasons, ['overwritten']);
  assert.deepEqual(second.reasons, []);
  assert.equal(map.get('a'), 2);
  map.stop();
});

test('deleting calls the callback once and returns whether there was a value', () => {
  const map = new TimedMap({ timeout: LONG });
  const { reasons, callback } = listener();
  map.set('a', 1, callback);
  assert.equal(map.delete('a'), true);
  assert.equal(map.delete('a'), false);
  assert.deepEqual(reasons, ['deleted']);
  assert.equal(map.get('a'), undefined);
});

test('a value that timed out is gone when its callback is called', {
  timeout: 600_000,
}, async () => {
  const map = new TimedMap({ timeout: 1 });
  const [reason, size] = await new Promise((resolve) => {
    map.set('a', 1, (why) => resolve([why, map._map.size]));
  });
  assert.equal(reason, 'timed-out');
  assert.equal(size, 0);
});

test('the time-out of a value takes precedence over that of the map', {
  timeout: 600_000,
}, async () => {
  const map = new TimedMap({ timeout: LONG });
  const reason = await new Promise((resolve) => {
    map.set('a', 1, resolve, 1);
  });
  assert.equal(reason, 'timed-out');
});

test('a time-out of 0 means that of the map', { timeout: 600_000 }, async () => {
  const map = new TimedMap({ timeout: LONG });
  const { reasons, callback } = listener();
  map.set('kept', 1, callback, 0);
  await new Promise((resolve) => map.set('other', 1, resolve, 20));
  assert.deepEqual(reasons, []);
  map.stop();
});

test('stopping calls all callbacks and leaves nothing, and no callback of a value added meanwhile', () => {
  const map = new TimedMap({ timeout: LONG });
  const { reasons, callback } = listener();
  const late = listener();
  map.set('a', 1, callback);
  map.set('b', 2, (reason) => {
    callback(reason);
    map.set('late', 3, late.callback);
  });
  map.stop();
  assert.deepEqual(reasons, ['stopped', 'stopped']);
  assert.deepEqual(late.reasons, []);
  assert.equal(map.get('late'), 3);
  map.stop();
  assert.equal(map._map.size, 0);
});

test('a callback that deletes its own key is called once', () => {
  const map = new TimedMap({ timeout: LONG });
  const reasons = [];
  map.set('a', 1, (reason) => {
    reasons.push(reason);
    map.delete('a');
  });
  map.stop();
  assert.deepEqual(reasons, ['stopped']);
});

test('values need no callback', () => {
  const map = new TimedMap({ timeout: LONG });
  map.set('a', 1);
  map.set('a', 2, null);
  map.delete('a');
  map.set('b', 1);
  map.stop();
  assert.equal(map._map.size, 0);
});

test('a callback that throws does not prevent other callbacks, and its error is not lost', () => {
  // node:test handles uncaught exceptions itself, so this is a separate program.
  const child = runProgram(`
    const map = new TimedMap({ timeout: ${LONG} });
    map.set('a', 1, () => { throw new Error('of the handler'); });
    map.set('b', 2, (reason) => console.log('b', reason));
    process.once('uncaughtException', (err) => console.log('uncaught', err.message));
    map.stop();
    console.log('size', map._map.size);
  `);
  assert.deepEqual(child.lines, ['b stopped', 'size 0', 'uncaught of the handler']);
  assert.equal(child.status, 0);
});

test('a map with ref: false does not keep the process alive', () => {
  const child = runProgram(`
    new TimedMap({ timeout: ${LONG}, ref: false }).set('a', 1, (reason) => console.log(reason));
    process.once('exit', () => console.log('exit'));
  `);
  assert.deepEqual(child.lines, ['exit']);
  assert.equal(child.status, 0);
});

test('a map with the default options keeps the process alive', () => {
  const child = runProgram(`
    new TimedMap({ timeout: 5 }).set('a', 1, (reason) => console.log(reason));
    process.once('exit', () => console.log('exit'));
  `);
  assert.deepEqual(child.lines, ['timed-out', 'exit']);
});

/** Runs a program that uses TimedMap; it must end by itself well before its deadline. */
function runProgram(source) {
  const path = JSON.stringify(require.resolve('../lib/TimedMap.js'));
  const { status, stdout, error } = spawnSync(
    process.execPath,
    ['-e', `const TimedMap = require(${path});${source}`],
    { encoding: 'utf8', timeout: 600_000 },
  );
  if (error) throw error;
  return { status, lines: stdout.split('\n').filter(Boolean) };
}
