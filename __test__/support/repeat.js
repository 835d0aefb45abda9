'use strict';

/**
 * The number of repetitions of a randomized test. Crashes at the end of a program are rare, and a
 * single run shows little. SOCKHOP_REPEAT sets the number (100 for a full run); the default is for
 * everyday use.
 *
 * @param {number} [everyDay]
 * @returns {number}
 */
function repeat(everyDay = 10) {
  return Number(process.env.SOCKHOP_REPEAT) || everyDay;
}

/** Calls `action` with 0 to `count - 1`, `width` of them at a time; the first failure ends it. */
async function times(count, width, action) {
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const turn = next;
      next += 1;
      await action(turn);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}

module.exports = { repeat, times };
