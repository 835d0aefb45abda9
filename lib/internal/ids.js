'use strict';

const { randomFillSync } = require('node:crypto');

/*
 * Ids of callbacks, requests and pings, in the form of RFC 4122 version 4.
 *
 * Each callback needs an id, so ids must be cheap: 98 bits are random, and the last 24 bits are a
 * counter. When the counter is used up, new random bits are generated. Ids with the same random
 * bits never repeat within a process or worker, because each loads its own copy of this module. Two
 * equal random parts do not occur in practice. The ids are unique, not secret: a peer can guess the
 * next one. An answer is accepted only on the connection of its message.
 */

const COUNTER_DIGITS = 3; // hexadecimal digits in each half of the counter
const HALF = 16 ** COUNTER_DIGITS;
/** All values of a half of the counter, once this process makes an id or repeats one of a peer. */
const DIGITS = [];

let prefix = ''; // all but the last three digits; changes once in 4,096 ids
let random = ''; // all but the last six digits
let high = HALF; // both halves are used up: the first call draws random bits
let low = HALF;

function fillDigits() {
  for (let i = 0; i < HALF; i++) DIGITS.push(i.toString(16).padStart(COUNTER_DIGITS, '0'));
}

/**
 * @returns {string} a random part, with the bits of version 4 and variant 10xx where the RFC has
 *   them
 */
function drawRandomPart() {
  const bytes = randomFillSync(Buffer.allocUnsafe(13));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 26)}`;
}

/** The value of each character as a hexadecimal digit that `uuid()` writes; -1 for all others. */
const HEX_VALUE = new Int8Array(128).fill(-1);
for (const digit of '0123456789abcdef') HEX_VALUE[digit.charCodeAt(0)] = Number.parseInt(digit, 16);

const ID_LENGTH = 36;
const COUNTER_AT = ID_LENGTH - 2 * COUNTER_DIGITS;

/**
 * @returns {string} an id that no other call in this process or worker has returned
 */
function uuid() {
  if (low === HALF) {
    if (high === HALF) {
      if (DIGITS.length === 0) fillDigits();
      random = drawRandomPart();
      high = 0;
    }
    prefix = random + DIGITS[high++];
    low = 0;
  }
  return prefix + DIGITS[low++];
}

/**
 * The last id of `uuid()` in two parts.
 *
 * @returns {{count: number, prefix: string}} its `countOf()`, and all of the id but its last digits
 */
function lastParts() {
  return { count: (high - 1) * HALF + (low - 1), prefix };
}

/**
 * The last 24 bits of an id. With the prefix of the id they identify it.
 *
 * @param {*} id from a peer: any value
 * @returns {number} -1 if it is not an id of `uuid()`
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
 * @returns {string} the id for which `lastParts()` returned these
 */
function idOf(count, prefix) {
  if (DIGITS.length === 0) fillDigits();
  return prefix + DIGITS[count % HALF];
}

module.exports = { countOf, idOf, lastParts, uuid };
