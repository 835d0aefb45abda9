'use strict';

const { now, setTimeout } = require('../real-timers.js');

/**
 * How exact the clock is, in ms. Times are small integers of this unit, which need no box in V8.
 */
const TICK_MS = 100;

const readClock = () => Math.floor(now() / TICK_MS);

let time = 0;
let isTicking = false;
let isUsed = false;

function tick() {
  time = readClock();
  isTicking = isUsed;
  if (isUsed) scheduleTick();
  isUsed = false;
}

function scheduleTick() {
  setTimeout(tick, TICK_MS).unref?.();
}

/**
 * The time at the last tick, for the age of something that every message may have: reading the real
 * clock would cost each message more than all other bookkeeping. The clock ticks while it is used.
 *
 * @returns {number} for `ageOf()`
 */
function coarseTime() {
  isUsed = true;
  if (!isTicking) {
    isTicking = true;
    time = readClock();
    scheduleTick();
  }
  return time;
}

/**
 * @param {number} then from `coarseTime()`
 * @param {number} [at] the time to compare with, from `coarseNow()`
 * @returns {number} ms; too large by at most one tick, or by a time in which the program was busy
 */
const ageOf = (then, at = readClock()) => Math.max(0, at - then) * TICK_MS;

module.exports = { ageOf, coarseNow: readClock, coarseTime };
