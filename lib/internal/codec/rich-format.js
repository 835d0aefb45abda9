'use strict';

/*
 * The bytes of rich values, with the option `values: "rich"`: "Rich values" in API.md describes
 * them. They are those of the codec (format.js) and one more tag, which a kind follows.
 */

/** The first byte of a value that JSON does not have. The codec uses the tags around it. */
const RICH = 0xbd;

/** The second byte of such a value. */
const Kind = Object.freeze({
  UNDEFINED: 0,
  NAN: 1,
  INFINITY: 2,
  MINUS_INFINITY: 3,
  MINUS_ZERO: 4,
  /** A double of eight bytes: milliseconds since 1970, or NaN for an invalid date. */
  DATE: 5,
  /** A length of four bytes, and the bytes of the absolute value, the lowest first. */
  BIGINT: 6,
  NEGATIVE_BIGINT: 7,
  /** The number of entries in four bytes, then the key and the value of each. */
  MAP: 8,
  /** The number of values in four bytes, then these. */
  SET: 9,
  /** An object that is of no shape: the number of properties, then the name and value of each. */
  OBJECT: 10,
  /** All from here on: a length of four bytes, and the bytes. */
  ARRAY_BUFFER: 16,
  DATA_VIEW: 17,
  BUFFER: 18,
  /** The first of TYPED_ARRAYS. */
  TYPED_ARRAY: 19,
});

/** The typed arrays, by their kinds from TYPED_ARRAY on. Node 20 does not have the last one. */
const TYPED_ARRAYS = Object.freeze([
  'Uint8Array',
  'Uint8ClampedArray',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigUint64Array',
  'BigInt64Array',
  'Float16Array',
]);

/** The kind of a binary frame with rich values. */
const RICH_MESSAGE = 2;
/** How deep arrays, objects, maps and sets may be nested. */
const MAX_RICH_DEPTH = 500;
/**
 * The data of a frame in bytes. Its length has four bytes, and the native side uses three of them.
 */
const MAX_DATA = 2 ** 31 - 1;

module.exports = { Kind, MAX_DATA, MAX_RICH_DEPTH, RICH, RICH_MESSAGE, TYPED_ARRAYS };
