'use strict';

const os = require('node:os');

/** How long a single step of a test may take, in milliseconds: longer through a bad network. */
const STEP = process.env.SOCKHOP_NETWORK ? 60_000 : 30_000;
/**
 * How many times longer a step may take on this machine because of its load, which may still grow.
 * This only extends the limits that end a hanging test; no test waits for a limit to pass.
 */
const SLOWNESS = Math.min(16, Math.max(4, os.loadavg()[0] / os.cpus().length));

/**
 * Rejects with a message that names the awaited event, instead of the test runner's own time-out,
 * which names the test only.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {string | (() => string)} what the awaited event, as it reads after "gave up waiting for"
 * @param {number} [ms] on an idle machine
 * @returns {Promise<T>}
 */
function deadline(promise, what, ms = STEP) {
  const limit = ms * SLOWNESS;
  let timer;
  const expiry = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const text = typeof what === 'function' ? what() : what;
      reject(new Error(`gave up waiting for ${text} after ${limit} ms`));
    }, limit);
  });
  return Promise.race([promise, expiry]).finally(() => clearTimeout(timer));
}

/**
 * The number of turns of the event loop in which `until()` first checks its condition without a
 * pause.
 */
const QUICK_LOOKS = 200;
/** The time between two later checks, in ms, which leaves the processor to others. */
const PAUSE = 2;
/** The number of checks with that pause. */
const SHORT_PAUSES = 50;
/** The time between two checks of a long wait, in ms. */
const LONG_PAUSE = 10;
/** The real timer, because a test may have replaced the global one. */
const { setTimeout: startTimer } = globalThis;

/** Resolves after all work that is pending in this process. */
function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Waits until a condition holds that no event announces. */
async function until(condition, what, ms = STEP) {
  const limit = ms * SLOWNESS;
  const last = Date.now() + limit;
  for (let look = 0; !condition(); look += 1) {
    if (Date.now() > last) throw new Error(`gave up waiting until ${what} after ${limit} ms`);
    if (look < QUICK_LOOKS) await turn();
    else await pause(look < QUICK_LOOKS + SHORT_PAUSES ? PAUSE : LONG_PAUSE);
  }
}

/** Resolves after a short time, for a check that is repeated. */
function pause(ms = PAUSE) {
  return new Promise((resolve) => {
    startTimer(resolve, ms);
  });
}

/**
 * Repeats a check of a time-out, with twice the time after each attempt in which the machine paused
 * for too long. The result of such an attempt says nothing about the package.
 *
 * @param {number} ms the time of the first attempt
 * @param {(ms: number) => Promise<{pause: number, verify: () => any}>} attempt `pause` is the
 *   longest time in ms in which the test itself did not run; `verify` asserts, and is called if
 *   `pause` is less than half of the time
 */
async function undisturbed(ms, attempt) {
  for (let time = ms; ; time *= 2) {
    const { pause, verify } = await attempt(time);
    if (pause < time / 2) return verify();
  }
}

module.exports = { STEP, deadline, pause, turn, undisturbed, until };
