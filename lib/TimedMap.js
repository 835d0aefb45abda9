'use strict';

const { nextTick } = require('./internal/real-timers.js');
const { Renewal } = require('./internal/renewal.js');
const { kSize } = require('./internal/symbols.js');
const { markTargetHidden, supportProxies } = require('./internal/proxy-support.js');

const noop = () => {};

/**
 * A map that removes each value after a time.
 *
 * Each value may have a callback, which is called once when the value is removed, with the reason:
 * `"overwritten"`, `"deleted"`, `"timed-out"` or `"stopped"`. The value has left the map by then,
 * so the callback may change the map.
 */
class TimedMap {
  #ref;
  #map = null;
  /** The renewal of the map; null until there is a map. */
  #renewal = null;

  /**
   * @param {object} [opts]
   * @param {number} [opts.timeout=30000] how long a value is kept, in ms
   * @param {boolean} [opts.ref=true] whether the values keep the process alive
   */
  constructor({ timeout = 30000, ref = true } = {}) {
    markTargetHidden(this);
    this._timeout = timeout;
    this.#ref = ref;
  }

  /**
   * key -> [value, timer, callback]. Programs read it. It is made when it is needed, because most
   * maps stay empty.
   */
  get _map() {
    this.#map ??= new Map();
    return this.#map;
  }

  /** The number of values. */
  get [kSize]() {
    return this.#map?.size ?? 0;
  }

  /**
   * Adds a value. A value under the same key is removed as `"overwritten"`.
   *
   * @param {*} key
   * @param {*} value
   * @param {function(string): void} [callback] called with the reason when the value is removed
   * @param {number} [timeout] in ms; default, and for 0: that of the map
   * @returns {TimedMap} this
   */
  set(key, value, callback = noop, timeout = 0) {
    const previous = this.#take(key);
    const timer = setTimeout(() => this.#take(key)?.[2]?.('timed-out'), timeout || this._timeout);
    if (!this.#ref) timer.unref();
    this.#renewal ??= new Renewal();
    this.#map = this.#renewal.renew(this.#map ?? new Map());
    this.#map.set(key, [value, timer, callback]);
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
   * Removes a value as `"deleted"`.
   *
   * @param {*} key
   * @returns {boolean} whether there was a value
   */
  delete(key) {
    const entry = this.#take(key);
    entry?.[2]?.('deleted');
    return entry !== undefined;
  }

  /**
   * Removes all values as `"stopped"`. If a callback throws, its error is thrown in the next tick,
   * and the other callbacks are called.
   *
   * @param {Iterable} [keys] of the values to remove, if not all
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
    this.#renewal?.countRemoval();
    return entry;
  }
}

supportProxies(TimedMap);

module.exports = TimedMap;
