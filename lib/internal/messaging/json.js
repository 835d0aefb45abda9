'use strict';

/*
 * Makes the text of JSON.stringify() with less work for long strings.
 *
 * V8 checks each character of a string for escapes, which takes up to 1 ns. The native side checks
 * sixteen or more at once; a string that needs no escapes is put between quotes as it is. To find
 * the strings, JavaScript walks the payload. That is slower than V8's walk, so it happens only if
 * the last payload of the kind was long. The walk stops if long strings are not most of the
 * payload.
 */

const { types } = require('node:util');

const { isStringifyReplaced } = require('../json-functions.js');
const native = require('../native/binding.js');

/**
 * Whether V8 also checks several characters at once, as from Node 25 on. Then only ASCII is checked
 * faster here, and only in strings that are longer: docs/performance-notes.md has the figures.
 */
const isV8Fast = Number.parseInt(process.versions.v8, 10) >= 14;

/** After a text of this many characters the next payload of its kind is walked. */
const LONG_TEXT = isV8Fast ? 4096 : 1024;
/** The native side checks strings of at least this many characters. */
const LONG_STRING = isV8Fast ? 4096 : 512;
/**
 * The walk stops after this many values if it has not found this many plain characters for each.
 */
const TRIAL_VALUES = 24;
const WORTH_CHARACTERS = 96;
/** After a walk without gain V8 makes this many long texts of the kind. */
const SKIPPED_TEXTS = 256;
/** V8 makes the text of deeper values; it also detects cycles. */
const MAX_DEPTH = 8;
/** How many names of properties are kept with their quotes. */
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

/** Remembers for `stringify()` whether payloads of one kind are long. */
class SizeHint {
  /** Whether the last text was long. */
  isLong = false;
  /** How many long texts V8 is to make. */
  skip = 0;
}

/**
 * Makes the text of one payload. Each value is read once, as V8 does it, because the program may
 * have getters.
 */
class LongStringSerializer {
  #values = 0;
  #plain = 0;
  /** Whether the walk is stopped: V8 makes the texts of the remaining objects. */
  #givenUp = false;

  /** @returns {string|undefined} undefined for a value that JSON leaves out */
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
    if (value.length >= LONG_STRING && native.isPlain(value, value.length, isV8Fast)) {
      this.#values += 1;
      this.#plain += value.length;
      return `"${value}"`;
    }
    this.#count();
    return JSON.stringify(value);
  }

  /**
   * Stringifies a function or a BigInt within an object: it may have a toJSON(), which gets the
   * key.
   */
  #within(value, key) {
    const text = JSON.stringify({ [key]: value });
    return text === '{}' ? undefined : text.slice(quotedName(key).length + 1, -1);
  }

  #object(value, key, depth) {
    const { toJSON } = value;
    if (typeof toJSON === 'function') {
      const stand = toJSON.call(value, key);
      // The toJSON() of its result is not called.
      if (typeof stand === 'object' && stand !== null) return this.#structure(stand, depth);
      return this.serialize(stand, key, depth);
    }
    return this.#givenUp ? JSON.stringify(value) : this.#structure(value, depth);
  }

  #structure(value, depth) {
    if (depth > MAX_DEPTH) return JSON.stringify(value);
    if (Array.isArray(value)) return this.#array(value, depth + 1);
    const prototype = Object.getPrototypeOf(value);
    // JSON writes boxed numbers and strings as primitives. The result of JSON.rawJSON() has no
    // prototype.
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
 * @param {SizeHint} sizeHint of payloads of this kind
 * @returns {string|undefined}
 */
function stringify(value, sizeHint) {
  const text = sizeHint.isLong ? stringifyLong(value, sizeHint) : JSON.stringify(value);
  sizeHint.isLong = text !== undefined && text.length >= LONG_TEXT;
  return text;
}

function stringifyLong(value, sizeHint) {
  if (isStringifyReplaced()) return JSON.stringify(value);
  if (sizeHint.skip > 0) {
    sizeHint.skip -= 1;
    return JSON.stringify(value);
  }
  const serializer = new LongStringSerializer();
  const text = serializer.serialize(value, '', 0);
  if (text === undefined || !serializer.wasWorth(text.length)) sizeHint.skip = SKIPPED_TEXTS;
  return text;
}

module.exports = { SizeHint, stringify };
