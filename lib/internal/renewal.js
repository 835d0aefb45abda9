'use strict';

/** A map is renewed after this many removals, and 8 for each entry that it has then. */
const MIN_REMOVALS = 512;
const REMOVALS_PER_ENTRY = 8;

/**
 * Decides when a map whose entries come and go is replaced by a copy.
 *
 * V8 gives a map a new table after some removals, and the old table refers to the new one. Once a
 * table is in the old generation, all later tables and their entries are moved there as well. They
 * are garbage, but only a full collection frees them. With 20 requests in progress this cost up to
 * a third of the requests per second. A copy has a table to which no other one refers.
 */
class Renewal {
  #removals = 0;

  /** An entry was removed. */
  countRemoval() {
    this.#removals += 1;
  }

  /**
   * @template K, V
   * @param {Map<K, V>} map
   * @returns {Map<K, V>} the map, or the copy that replaces it
   */
  renew(map) {
    if (this.#removals < MIN_REMOVALS + REMOVALS_PER_ENTRY * map.size) return map;
    this.#removals = 0;
    return new Map(map);
  }
}

module.exports = { Renewal };
