'use strict';

/*
 * JSON text, as JSON.stringify() makes it, with less work for long strings.
 *
 * V8 looks at each character of a string to see whether it must be escaped, about 1 ns each. The native side looks at
 * sixteen or more at once; what it finds plain is put between quotes as it is. To get at the strings, the structure is
 * walked here, which is slower than V8's walk: so it is done only for what was long the last time, and no further
 * where long strings are not most of it.
 */

const { types } = require('node:util');

const native = require('../native/binding.js');

/** A text of so many characters has the next one of its kind walked. */
const LONG_TEXT = 1024;
/** A string of so many characters is worth a call to the native side. */
const LONG_STRING = 512;
/** After so many values the walk is given up if it has not met this many plain characters for each. */
const TRIAL_VALUES = 24;
const WORTH_CHARACTERS = 96;
/** After a walk for nothing, so many texts of that kind are left to V8. */
const REST = 256;
/** Deeper than this, and in every circle, V8 goes on. */
const MAX_DEPTH = 8;
/** Names of properties that are kept with their quotes. */
const MAX_NAMES = 1024;

const names = new Map();

function quotedName(name) {
  let text = names.get(name);
  if (text === undefined) {
    text = `${JSON.stringify(name)}:`;
    if (names.size < MAX_NAMES && name.length <= 64) names.set(name, text);
  }
  return text;
}

/** What stringify() remembers of one kind of payload. */
class SizeHint {
  /** The last text was long. */
  isLong = false;
  /** How many texts to leave to V8. */
  skip = 0;
}

/** Each value is looked at once, as V8 does: a getter of the program may count. */
class LongStringSerializer {
  #values = 0;
  #plain = 0;
  /** It is not worth it: V8 gets what is left, as far as it can be had in one piece. */
  #givenUp = false;

  /** @returns {string|undefined} undefined: JSON has no such value */
  serialize(value, key, depth) {
    switch (typeof value) {
      case 'string':
        return this.#string(value);
      case 'number':
        this.#count();
        return Number.isFinite(value) ? `${value}` : 'null';
      case 'boolean':
        this.#count();
        return value ? 'true' : 'false';
      case 'object':
        this.#count();
        return value === null ? 'null' : this.#object(value, key, depth);
      case 'undefined':
      case 'symbol':
        return undefined;
      default:
        return this.#within(value, key);
    }
  }

  #count() {
    this.#values += 1;
    if (this.#values > TRIAL_VALUES && this.#plain < this.#values * WORTH_CHARACTERS) {
      this.#givenUp = true;
    }
  }

  #string(value) {
    if (value.length >= LONG_STRING && native.isPlain(value, value.length)) {
      this.#values += 1;
      this.#plain += value.length;
      return `"${value}"`;
    }
    this.#count();
    return JSON.stringify(value);
  }

  /** A function or a BigInt, which may have a toJSON() that is told its key: in an object of its own. */
  #within(value, key) {
    const text = JSON.stringify({ [key]: value });
    return text === '{}' ? undefined : text.slice(quotedName(key).length + 1, -1);
  }

  #object(value, key, depth) {
    const { toJSON } = value;
    if (typeof toJSON === 'function') {
      const stand = toJSON.call(value, key);
      // What stands for it is not asked for its toJSON().
      if (typeof stand === 'object' && stand !== null) return this.#structure(stand, depth);
      return this.serialize(stand, key, depth);
    }
    return this.#givenUp ? JSON.stringify(value) : this.#structure(value, depth);
  }

  #structure(value, depth) {
    if (depth > MAX_DEPTH) return JSON.stringify(value);
    if (Array.isArray(value)) return this.#array(value, depth + 1);
    const prototype = Object.getPrototypeOf(value);
    // A number or string in an object is written as such, and JSON.rawJSON() has no prototype.
    if (prototype === null || (prototype !== Object.prototype && types.isBoxedPrimitive(value))) {
      return JSON.stringify(value);
    }
    let text = '{';
    for (const name of Object.keys(value)) {
      const item = this.serialize(value[name], name, depth + 1);
      if (item === undefined) continue;
      text += (text.length === 1 ? '' : ',') + quotedName(name) + item;
    }
    return `${text}}`;
  }

  #array(value, depth) {
    const { length } = value;
    let text = '[';
    for (let i = 0; i < length; i++) {
      const item = this.serialize(value[i], `${i}`, depth) ?? 'null';
      text += i === 0 ? item : `,${item}`;
    }
    return `${text}]`;
  }

  /** @returns {boolean} whether most of a text of this length was plain */
  wasWorth(length) {
    return this.#plain * 2 >= length;
  }
}

/**
 * The same text as `JSON.stringify(value)`.
 *
 * @param {*} value
 * @param {SizeHint} sizeHint of values of this kind
 * @returns {string|undefined}
 */
function stringify(value, sizeHint) {
  let text;
  if (sizeHint.isLong && sizeHint.skip === 0) {
    const serializer = new LongStringSerializer();
    text = serializer.serialize(value, '', 0);
    if (text === undefined || !serializer.wasWorth(text.length)) sizeHint.skip = REST;
  } else {
    if (sizeHint.skip > 0) sizeHint.skip -= 1;
    text = JSON.stringify(value);
  }
  sizeHint.isLong = text !== undefined && text.length >= LONG_TEXT;
  return text;
}

module.exports = { SizeHint, stringify };
