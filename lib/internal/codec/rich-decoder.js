'use strict';

/*
 * Reads the values that JSON does not have. The bytes come from a peer: each length is compared
 * with the bytes that are left before anything is made of it.
 */

const { define } = require('./decoder-shapes.js');
const { NUMBER } = require('./format.js');
const { KeyGuard } = require('./key-guard.js');
const { Kind, TYPED_ARRAYS } = require('./rich-format.js');

/**
 * The part of the decoder that reads the bytes of a message.
 *
 * @typedef {object} Cursor
 * @property {function(number): number} take moves on by that many bytes, and returns where they
 *   begin; refuses the message if it has less
 * @property {function(): number} length reads a length of four bytes
 * @property {function(number): void} need refuses the message if it has less bytes left
 * @property {function(): Buffer} bytes that contain the message
 * @property {function(): DataView} view of these
 * @property {function(): boolean} isOwn whether these bytes are those of this message, and stay
 * @property {function(): *} read reads a value
 * @property {symbol} absent the value instead of a property that is left out
 * @property {function(): void} enter a value begins that contains others
 * @property {function(): void} leave it ends
 * @property {function(string): never} refuse
 */

/** Bytes that are at least this part of their message keep it in memory, and are not copied. */
const MIN_SHARE = 1 / 4;

/** The classes of typed arrays by their kinds; undefined where this version of V8 has none. */
const arrayClasses = TYPED_ARRAYS.map((name) => globalThis[name]);

/** Reads the values of kinds, for a decoder. */
class RichReader {
  #cursor;

  /** @param {Cursor} cursor */
  constructor(cursor) {
    this.#cursor = cursor;
  }

  /** @returns {*} a value whose tag has been read */
  read() {
    const cursor = this.#cursor;
    const kind = cursor.bytes()[cursor.take(1)];
    switch (kind) {
      case Kind.UNDEFINED:
        return undefined;
      case Kind.NAN:
        return Number.NaN;
      case Kind.INFINITY:
        return Number.POSITIVE_INFINITY;
      case Kind.MINUS_INFINITY:
        return Number.NEGATIVE_INFINITY;
      case Kind.MINUS_ZERO:
        return -0;
      case Kind.DATE:
        return this.#readDate();
      case Kind.BIGINT:
        return this.#readBigInt();
      case Kind.NEGATIVE_BIGINT:
        return -this.#readBigInt();
      case Kind.MAP:
        return this.#readMap();
      case Kind.SET:
        return this.#readSet();
      case Kind.OBJECT:
        return this.#readObject();
      case Kind.ARRAY_BUFFER:
        return this.#readBytes();
      case Kind.DATA_VIEW:
        return new DataView(this.#readBytes());
      case Kind.BUFFER:
        return this.#readBuffer();
      default:
        return this.#readTypedArray(kind - Kind.TYPED_ARRAY);
    }
  }

  /** Reads a value that must not be left out. */
  #readPresent() {
    const value = this.#cursor.read();
    if (value === this.#cursor.absent) this.#cursor.refuse('A value is absent');
    return value;
  }

  #readKey(guard) {
    const key = this.#readPresent();
    if (guard?.admits(key) === false) this.#cursor.refuse('Too many keys have the same hash');
    return key;
  }

  #readDate() {
    const at = this.#cursor.take(8);
    return new Date(this.#cursor.view().getFloat64(at, true));
  }

  #readBigInt() {
    const cursor = this.#cursor;
    const length = cursor.length();
    const at = cursor.take(length);
    if (length === 8) return cursor.view().getBigUint64(at, true);
    if (length === 0) return 0n;
    const bytes = Buffer.from(cursor.bytes().subarray(at, at + length));
    return BigInt(`0x${bytes.reverse().toString('hex')}`);
  }

  /** A value with `count` others begins, each of which takes at least that many bytes. */
  #begin(size) {
    const cursor = this.#cursor;
    const count = cursor.length();
    cursor.need(size * count);
    cursor.enter();
    return count;
  }

  #readMap() {
    const count = this.#begin(2);
    const guard = KeyGuard.for(count);
    const map = new Map();
    for (let i = 0; i < count; i++) {
      const key = this.#readKey(guard);
      map.set(key, this.#readPresent());
    }
    this.#cursor.leave();
    return map;
  }

  #readSet() {
    const count = this.#begin(1);
    const guard = KeyGuard.for(count);
    const set = new Set();
    for (let i = 0; i < count; i++) set.add(this.#readKey(guard));
    this.#cursor.leave();
    return set;
  }

  #readObject() {
    const { absent, leave, read, refuse } = this.#cursor;
    const count = this.#begin(2);
    const names = [];
    const values = [];
    for (let i = 0; i < count; i++) {
      const name = read();
      if (typeof name !== 'string') refuse('A name is not a string');
      const value = read();
      if (value === absent) continue;
      names.push(name);
      values.push(value);
    }
    leave();
    return objectOf(names, values);
  }

  /** Reads the bytes of a buffer or an array, which get a memory of their own. */
  #readBytes() {
    const length = this.#cursor.length();
    const at = this.#cursor.take(length);
    const { buffer, byteOffset } = this.#cursor.bytes();
    return buffer.slice(byteOffset + at, byteOffset + at + length);
  }

  #readBuffer() {
    const length = this.#cursor.length();
    const at = this.#cursor.take(length);
    const bytes = this.#cursor.bytes();
    const part = bytes.subarray(at, at + length);
    const isKept = this.#cursor.isOwn() && length >= bytes.length * MIN_SHARE;
    return isKept ? part : Buffer.from(part);
  }

  #readTypedArray(number) {
    const ArrayClass = arrayClasses[number];
    if (ArrayClass === undefined) this.#cursor.refuse('A value has an unknown kind');
    const bytes = this.#readBytes();
    if (bytes.byteLength % ArrayClass.BYTES_PER_ELEMENT !== 0) {
      this.#cursor.refuse('An array has a part of an element');
    }
    return new ArrayClass(bytes);
  }
}

/**
 * Makes an object. V8 sorts names that are numbers before others, and would reserve memory for all
 * numbers up to the largest one: JSON.parse() does not.
 */
function objectOf(names, values) {
  const numbers = names.filter((name) => NUMBER.test(name));
  const object =
    numbers.length === 0 ? {} : JSON.parse(`{${numbers.map((name) => `"${name}":0`).join(',')}}`);
  for (let i = 0; i < names.length; i++) define(object, names[i], values[i]);
  return object;
}

module.exports = { RichReader };
