'use strict';

/*
 * The functions that this package times its own input and output with, as they are when it is loaded.
 *
 * A program's tests may replace them (sinon, jest and node:test have fake timers); that must stop no message. The
 * time-outs of the API, such as those of pings, reconnecting and answers, use the global functions of the moment, so
 * that fake timers drive them.
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
