'use strict';

const { randomFillSync } = require('node:crypto');

/*
 * Identifiers for callbacks, requests and pings: RFC 4122 version 4 by their looks.
 *
 * An id is wanted for every callback, so 98 random bits are drawn once and the last 24 bits count; when the
 * count is used up, new random bits are drawn. Within one process (or worker, which loads its own copy of
 * this module) no id repeats while the random part lasts, and two random parts do not meet in practice.
 * The ids are unique, not secret: whoever has seen one can guess the next, so nothing may rely on a peer
 * not knowing an id. (An answer only ever counts on the connection the question went out on.)
 */

const COUNTER_DIGITS = 3; // hexadecimal digits in each half of the counter
const HALF = 16 ** COUNTER_DIGITS;
const DIGITS = Array.from({ length: HALF }, (_, i) => i.toString(16).padStart(COUNTER_DIGITS, '0'));

let prefix = ''; // everything but the last three digits: changes once in 4,096 ids
let random = ''; // everything but the last six digits
let high = HALF; // both halves spent: the first call draws
let low = HALF;

/** A fresh random part, with the version (4) and variant (10xx) bits where the RFC wants them. */
function drawRandomPart() {
  const bytes = randomFillSync(Buffer.allocUnsafe(13));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 26)}`;
}

/** What each character is worth as a hexadecimal digit; -1: it is none, or not one that `uuid()` writes. */
const HEX_VALUE = new Int8Array(128).fill(-1);
for (const digit of '0123456789abcdef') HEX_VALUE[digit.charCodeAt(0)] = Number.parseInt(digit, 16);

const ID_LENGTH = 36;
const COUNTER_AT = ID_LENGTH - 2 * COUNTER_DIGITS;

/**
 * @returns {string} an id no other call in this process or worker has returned
 */
function uuid() {
  if (low === HALF) {
    if (high === HALF) {
      random = drawRandomPart();
      high = 0;
    }
    prefix = random + DIGITS[high++];
    low = 0;
  }
  return prefix + DIGITS[low++];
}

/**
 * The last id in two parts: which of many it is, and what it has in common with its neighbours.
 *
 * @returns {{count: number, prefix: string}} `countOf()` of the id, and all of the id but its last digits
 */
function lastParts() {
  return { count: (high - 1) * HALF + (low - 1), prefix };
}

/**
 * Which of 2^24 ids this is. With the `prefix` it begins with, that makes it.
 *
 * @param {*} id whatever a peer says
 * @returns {number} -1: it is no id of `uuid()`
 */
function countOf(id) {
  if (typeof id !== 'string' || id.length !== ID_LENGTH) return -1;
  let count = 0;
  for (let i = COUNTER_AT; i < ID_LENGTH; i++) {
    const code = id.charCodeAt(i);
    const value = code < HEX_VALUE.length ? HEX_VALUE[code] : -1;
    if (value < 0) return -1;
    count = count * 16 + value;
  }
  return count;
}

/**
 * @param {number} count
 * @param {string} prefix
 * @returns {string} the id of which `lastParts()` told these
 */
function idOf(count, prefix) {
  return prefix + DIGITS[count % HALF];
}

module.exports = { countOf, idOf, lastParts, uuid };
