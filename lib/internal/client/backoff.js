'use strict';

/**
 * The delays before the attempts of a client to reconnect. They begin with the interval and grow by
 * a factor up to a maximum. A part of each delay is random.
 */
class Backoff {
  #interval;
  #factor;
  #longest;
  #jitter;

  /** @param {object} options of the client, as checked */
  constructor({
    auto_reconnect_interval,
    auto_reconnect_factor,
    auto_reconnect_max_interval,
    auto_reconnect_jitter,
  }) {
    this.#interval = auto_reconnect_interval;
    this.#factor = auto_reconnect_factor;
    this.#longest = auto_reconnect_max_interval;
    this.#jitter = auto_reconnect_jitter;
  }

  /** Whether all times are the interval, as in 1.8.4. */
  get isSteady() {
    return this.#factor === 1 && this.#jitter === 0;
  }

  /**
   * @param {number} before how many attempts went before
   * @returns {number} the time before the next one, in ms
   */
  delay(before) {
    const grown = Math.min(this.#interval * this.#factor ** before, this.#longest);
    return Math.max(1, Math.round(grown * (1 - this.#jitter * Math.random())));
  }

  /** @returns {boolean} whether a connection of this age, in ms, has held */
  hasHeld(age) {
    return age >= this.#interval;
  }
}

module.exports = { Backoff };
