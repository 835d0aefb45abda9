'use strict';

/*
 * The timer functions that input and output use, as they are when the package is loaded.
 *
 * Tests of programs replace the global ones by fake timers (sinon, jest, node:test), which must not
 * stop messages. Time-outs of the API, for example of pings, reconnecting and answers, use the
 * global functions at the time of the call, so that fake timers drive them.
 */

const { performance } = require('node:perf_hooks');

const { nextTick } = process;
const { setImmediate, queueMicrotask } = globalThis;
const { now: wallClock } = Date;
const { setTimeout, clearTimeout } = globalThis;

module.exports = {
  nextTick,
  setImmediate,
  queueMicrotask,
  setTimeout,
  clearTimeout,
  /** @returns {number} milliseconds on a clock that never goes back */
  now: performance.now.bind(performance),
  /** @returns {number} milliseconds since 1970 */
  wallClock,
};
