'use strict';

// Converts values that a program sees (event arguments, promise values, errors, frames) to plain
// JSON that can be compared between two packages. Objects with an identity become labels, and
// accidental values become placeholders.

const crypto = require('node:crypto');
const net = require('node:net');

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const DATE = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g;
const LONG = 300;
const ACCIDENT = /^Cannot read properties of (undefined|null) \(reading '(constructor|name)'\)/;

/** The properties of an error that programs compare. */
const ERROR_FIELDS = ['code', 'errno', 'syscall', 'address', 'port'];

class Describer {
  #labels = new Map();
  #counters = new Map();
  #placeholders = new Map();
  #sessionBase;
  #fixed = new Map();

  constructor(sessionBase) {
    this.#sessionBase = sessionBase;
  }

  /** Replaces a port or path of this run by a placeholder. */
  hide(value, placeholder) {
    this.#placeholders.set(String(value), placeholder);
    return value;
  }

  /** Names an object. Every later occurrence of the object shows the name. */
  name(object, label) {
    this.#fixed.set(object, label);
    return object;
  }

  #label(object, kind) {
    if (!this.#labels.has(object)) {
      const number = (this.#counters.get(kind) ?? 0) + 1;
      this.#counters.set(kind, number);
      this.#labels.set(object, `<${kind} ${number}>`);
    }
    return this.#labels.get(object);
  }

  text(value) {
    let text = value;
    for (const [hidden, placeholder] of this.#placeholders) {
      text = text.split(hidden).join(placeholder);
    }
    // Old dates are data of the scenario; recent ones are the time of the run.
    text = text.replace(DATE, (date) => (Date.parse(date) > Date.UTC(2024, 0) ? '<now>' : date));
    if (text.length <= LONG) return text;
    const digest = crypto.createHash('sha1').update(text).digest('hex').slice(0, 12);
    return `<${text.length} characters, sha1 ${digest}>`;
  }

  value(value, depth = 0) {
    switch (typeof value) {
      case 'undefined':
        return '<undefined>';
      case 'function':
        return '<function>';
      case 'symbol':
      case 'bigint':
        return `<${typeof value} ${String(value)}>`;
      case 'string':
        return this.text(value);
      case 'number':
        if (this.#placeholders.has(String(value))) return this.#placeholders.get(String(value));
        return Number.isFinite(value) && !Object.is(value, -0) ? value : `<number ${value}>`;
      case 'boolean':
        return value;
      default:
        return value === null ? null : this.#object(value, depth);
    }
  }

  #object(value, depth) {
    if (this.#fixed.has(value)) return this.#fixed.get(value);
    if (value instanceof net.Socket) return this.#label(value, 'socket');
    if (value instanceof net.Server) return '<net.Server>';
    if (value instanceof this.#sessionBase) return this.#label(value, value.constructor.name);
    if (value instanceof Error) return this.error(value);
    if (Buffer.isBuffer(value)) {
      return value.length > LONG
        ? `<buffer of ${value.length}>`
        : { buffer: value.toString('latin1') };
    }
    if (value instanceof Date) return { date: this.text(value.toISOString()) };
    if (depth > 12) return '<deep>';
    if (Array.isArray(value)) return value.map((item) => this.value(item, depth + 1));

    const name = Object.getPrototypeOf(value)?.constructor?.name ?? '<no prototype>';
    const plain = {};
    for (const key of Object.keys(value)) {
      // Fields with an underscore are internal, except in plain objects.
      if (name !== 'Object' && key.startsWith('_')) continue;
      plain[key] = this.value(value[key], depth + 1);
    }
    return name === 'Object' ? plain : { class: name, ...plain };
  }

  error(error) {
    const plain = { error: error.constructor?.name ?? '<no constructor>' };
    // The original fails with an accidental error of V8, and this package with a helpful one. Both
    // are a TypeError at the same moment.
    if (
      error instanceof TypeError &&
      (ACCIDENT.test(error.message) || error.code === 'ERR_BAD_DATA')
    ) {
      return { ...plain, message: '<of what was passed>' };
    }
    for (const field of ERROR_FIELDS) {
      if (error[field] !== undefined) plain[field] = this.value(error[field]);
    }
    // Programs compare the code of a SockhopError, so its message may differ. Errors of
    // ObjectBuffer had messages before they had codes.
    const worded =
      plain.error === 'SockhopError' && plain.code && !plain.code.startsWith('ERR_OBJECTBUFFER');
    if (!worded) plain.message = this.text(String(error.message));
    return plain;
  }

  /** Replaces UUIDs by numbers, in the order of their first appearance in a source. */
  static numberUuids(entries) {
    const seen = new Map();
    const number = (uuid) => {
      if (!seen.has(uuid)) seen.set(uuid, `<uuid ${seen.size + 1}>`);
      return seen.get(uuid);
    };
    return JSON.parse(JSON.stringify(entries).replace(UUID, number));
  }
}

module.exports = { Describer };
