'use strict';

const { nextTick } = require('./internal/real-timers.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');

/**
 * A map whose values live for a limited time.
 *
 * With each value goes an optional callback that is told once why the value left: `"overwritten"`,
 * `"deleted"`, `"timed-out"` or `"stopped"`. By then the value is out of the map, so a callback may use the
 * map as it likes.
 */
class TimedMap {
  #ref;
  #map = null;

  /**
   * @param {object} [opts]
   * @param {number} [opts.timeout=30000] how long values are kept, in ms
   * @param {boolean} [opts.ref=true] whether a value that waits for its time-out keeps the process alive
   */
  constructor({ timeout = 30000, ref = true } = {}) {
    markTarget(this);
    this._timeout = timeout;
    this.#ref = ref;
  }

  /** key -> [value, timer, callback]; programs look at its size and at the values. Most stay empty. */
  get _map() {
    this.#map ??= new Map();
    return this.#map;
  }

  /**
   * Puts a value in; one that is there under the same key is `"overwritten"`.
   *
   * @param {*} key
   * @param {*} value
   * @param {function(string): void} [callback] told why the value left
   * @param {number} [timeout] in ms; falsy: the map's own
   * @returns {TimedMap} this
   */
  set(key, value, callback, timeout) {
    const previous = this.#take(key);
    const timer = setTimeout(() => this.#take(key)?.[2]?.('timed-out'), timeout || this._timeout);
    if (!this.#ref) timer.unref();
    this._map.set(key, [value, timer, callback]);
    previous?.[2]?.('overwritten');
    return this;
  }

  /**
   * @param {*} key
   * @returns {*} the value, or undefined
   */
  get(key) {
    return this.#map?.get(key)?.[0];
  }

  /**
   * Takes a value out; its callback is told `"deleted"`.
   *
   * @param {*} key
   * @returns {boolean} whether there was one
   */
  delete(key) {
    const entry = this.#take(key);
    entry?.[2]?.('deleted');
    return entry !== undefined;
  }

  /**
   * Takes all values out; their callbacks are told `"stopped"`. A callback that throws does not keep the
   * others from being told: its error is thrown from the next tick.
   *
   * @param {Iterable} [keys] of the values to take out, if not all
   */
  stop(keys = [...(this.#map?.keys() ?? [])]) {
    for (const key of keys) {
      try {
        this.#take(key)?.[2]?.('stopped');
      } catch (err) {
        nextTick(() => {
          throw err;
        });
      }
    }
  }

  #take(key) {
    const entry = this.#map?.get(key);
    if (entry === undefined) return undefined;
    clearTimeout(entry[1]);
    this.#map.delete(key);
    return entry;
  }
}

supportProxies(TimedMap);

module.exports = TimedMap;
