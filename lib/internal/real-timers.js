'use strict';

/*
 * The timer functions that input and output use: the real ones.
 *
 * Tests of programs replace the global ones by fake timers (sinon, jest, node:test), which must not
 * stop messages. Time-outs of the API, for example of pings, reconnecting and answers, use the
 * global functions at the time of the call, so that fake timers drive them.
 *
 * The functions are taken when the package is loaded. If a test has replaced them before that, its
 * fake timers may know the real ones.
 */

const { performance } = require('node:perf_hooks');

/**
 * @param {object} owner
 * @param {string} name
 * @returns {*} the real function or class, also if it is a fake one of @sinonjs/fake-timers, which
 *   sinon and Jest use
 */
function real(owner, name) {
  const current = owner[name];
  return current?.clock?.[`_${name}`] ?? current;
}

const { now: wallClock } = real(globalThis, 'Date');
/** A fake clock is a property of the object. Bun has no function on the prototype. */
const now = Object.getPrototypeOf(performance).now ?? performance.now;

module.exports = {
  nextTick: real(process, 'nextTick'),
  setImmediate: real(globalThis, 'setImmediate'),
  queueMicrotask: real(globalThis, 'queueMicrotask'),
  setTimeout: real(globalThis, 'setTimeout'),
  clearTimeout: real(globalThis, 'clearTimeout'),
  /** @returns {number} milliseconds on a clock that never goes back */
  now: now.bind(performance),
  /** @returns {number} milliseconds since 1970 */
  wallClock,
};
