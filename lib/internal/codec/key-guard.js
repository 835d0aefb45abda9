'use strict';

/*
 * V8 finds numbers and BigInts in maps and sets by a hash that has no secret. A peer could send
 * numbers that all have the same one, and each would be compared with all before it: half a
 * megabyte would take ten seconds.
 */

/** Maps and sets with fewer numbers are quick in any case. */
const LEAST_COUNT = 1024;
/** How many numbers may be in one bucket of V8's table. By chance there are about ten. */
const MAX_LOAD = 256;

const isInt32 = (number) => (number | 0) === number;
const bits = new DataView(new ArrayBuffer(8));

/** The same as V8's `ComputeUnseededHash()`. */
function hashOfInteger(integer) {
  let hash = integer >>> 0;
  hash = (~hash + (hash << 15)) >>> 0;
  hash = (hash ^ (hash >>> 12)) >>> 0;
  hash = (hash + (hash << 2)) >>> 0;
  hash = (hash ^ (hash >>> 4)) >>> 0;
  hash = Math.imul(hash, 2057) >>> 0;
  return (hash ^ (hash >>> 16)) & 0x3fffffff;
}

const low64 = (value) => BigInt.asUintN(64, value);

/** The same as V8's `ComputeLongHash()`. */
function hashOfLong(long) {
  let hash = low64(~long + (long << 18n));
  hash ^= hash >> 31n;
  hash = low64(hash * 21n);
  hash ^= hash >> 11n;
  hash = low64(hash + (hash << 6n));
  hash ^= hash >> 22n;
  return Number(hash & 0x3fffffffn);
}

function hashOf(key) {
  if (typeof key === 'bigint') return hashOfLong(low64(key < 0n ? -key : key));
  if (isInt32(key)) return hashOfInteger(key);
  bits.setFloat64(0, key);
  return hashOfLong(bits.getBigUint64(0));
}

/** Counts the keys of one map, or the values of a set, by the buckets that V8 puts them into. */
class KeyGuard {
  #loads;
  #mask;

  /** @param {number} count of keys: as many have arrived */
  constructor(count) {
    let buckets = LEAST_COUNT / 2;
    while (2 * buckets < count) buckets *= 2;
    this.#loads = new Uint16Array(buckets);
    this.#mask = buckets - 1;
  }

  /** @returns {?KeyGuard} null for few keys */
  static for(count) {
    return count < LEAST_COUNT ? null : new KeyGuard(count);
  }

  /** @returns {boolean} false if too many keys are in the bucket of this one */
  admits(key) {
    if (typeof key !== 'number' && typeof key !== 'bigint') return true;
    const bucket = hashOf(key) & this.#mask;
    this.#loads[bucket] += 1;
    return this.#loads[bucket] <= MAX_LOAD;
  }
}

module.exports = { KeyGuard, hashOf };
