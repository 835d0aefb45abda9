'use strict';

const { ageOf, coarseNow } = require('./coarse-clock.js');

/** The ages that are counted: a figure of stats() and its limit in seconds. */
const AGES = [
  { figure: 'callbacks_over_1s', seconds: 1 },
  { figure: 'callbacks_over_10s', seconds: 10 },
  { figure: 'callbacks_over_60s', seconds: 60 },
];

const YOUNGEST_MS = AGES[0].seconds * 1000;

/** Counts callbacks that wait for their answers by their ages. */
class CallbackAges {
  #now = coarseNow();
  #counts = AGES.map(() => 0);
  #oldest = null;

  /**
   * @param {number} since when the message was sent, from `coarseTime()`
   * @returns {boolean} false for a callback that is too young to be counted
   */
  add(since) {
    const age = ageOf(since, this.#now);
    if (this.#oldest === null || age > this.#oldest) this.#oldest = age;
    for (const [index, { seconds }] of AGES.entries()) {
      if (age > seconds * 1000) this.#counts[index] += 1;
    }
    return age > YOUNGEST_MS;
  }

  /** @returns {object} the figures of stats() */
  get figures() {
    return {
      ...Object.fromEntries(AGES.map(({ figure }, index) => [figure, this.#counts[index]])),
      oldest_callback: this.#oldest,
    };
  }
}

module.exports = { AGES, CallbackAges };
