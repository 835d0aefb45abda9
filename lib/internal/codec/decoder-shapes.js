'use strict';

/*
 * The shapes of objects that peers send: their names, and functions that read the values and make
 * the object. Such a function depends only on the names, so connections share it. All connections
 * also share the count of objects: many connections with a few objects each need the function as
 * much as one connection with many.
 */

const { COMPILED_AFTER, CompilationBudget, areCompilable } = require('./compiling.js');

/**
 * How many lists of names are counted, and the names in all of them. Beyond these limits, the
 * counts start again for connections that define shapes later.
 */
const MAX_COUNTED = 1024;
const MAX_COUNTED_NAMES = 8 * 1024;
/** How many compiled functions exist, and the names in all of them. */
const MAX_READERS = 4096;
const MAX_READER_NAMES = 32 * 1024;

/** @type {Map<string, SharedReader>} by the names */
const counted = new Map();
let countedNames = 0;
/** The compiled functions that are in use: @type {Map<string, WeakRef<function(): object>>} */
const readers = new Map();
let readerNames = 0;
const registry = new FinalizationRegistry(({ key, count }) => {
  readerNames -= count;
  // Another function for these names may have been made meanwhile.
  if (readers.get(key)?.deref() === undefined) readers.delete(key);
});
const budget = new CompilationBudget();

/**
 * Defines a property, as JSON.parse() does it: `__proto__` is one like any other, and so is the
 * name of a property of Object.prototype that is read-only or has a setter.
 */
function define(object, name, value) {
  if (name in object) {
    Object.defineProperty(object, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  } else object[name] = value;
}

/** Makes an object of which some properties may be absent. */
function makeObject(names, values, absent) {
  const object = {};
  for (let i = 0; i < names.length; i++) {
    if (values[i] !== absent) define(object, names[i], values[i]);
  }
  return object;
}

function compileReader(names, read, absent) {
  const values = names.map((_, i) => `value${i}`);
  const code = `return function () {
    ${values.map((value) => `const ${value} = read();`).join('\n')}
    if (${values.map((value) => `${value} === absent`).join(' || ')}) {
      return makeObject(names, [${values.join(', ')}], absent);
    }
    return { ${names.map((name, i) => `${JSON.stringify(name)}: value${i}`).join(', ')} };
  };`;
  const parts = { absent, makeObject, names, read };
  return new Function(...Object.keys(parts), code)(...Object.values(parts));
}

const knownReader = (key) => readers.get(key)?.deref() ?? null;

/** @returns {?function(): object} null if it must not be compiled, or not yet */
function newReader(key, names, read, absent) {
  if (readers.size >= MAX_READERS || readerNames + names.length > MAX_READER_NAMES) return null;
  if (!areCompilable(names) || !budget.spend()) return null;
  const reader = compileReader(names, read, absent);
  readers.set(key, new WeakRef(reader));
  readerNames += names.length;
  registry.register(reader, { key, count: names.length });
  return reader;
}

/** The compiled function for a list of names, and the objects before it, of all connections. */
class SharedReader {
  #key;
  #reader;
  /** How many objects loops have read. */
  #count;

  constructor(key, count) {
    this.#key = key;
    this.#count = count;
    this.#reader = knownReader(key);
  }

  /** @returns {SharedReader} for these names, after a loop has read that many of its objects */
  static for(names, count) {
    const key = JSON.stringify(names);
    const known = counted.get(key);
    if (known !== undefined) return known;
    if (counted.size >= MAX_COUNTED || countedNames + names.length > MAX_COUNTED_NAMES) {
      counted.clear();
      countedNames = 0;
    }
    const made = new SharedReader(key, count);
    counted.set(key, made);
    countedNames += names.length;
    return made;
  }

  /** @returns {?function(): object} for the next object; null: a loop is to read it */
  next(names, read, absent) {
    if (this.#reader !== null) return this.#reader;
    this.#count += 1;
    if (this.#count % (COMPILED_AFTER + 1) === 0) {
      budget.earn(COMPILED_AFTER + 1);
      const key = this.#key;
      this.#reader = knownReader(key) ?? newReader(key, names, read, absent);
    }
    return this.#reader;
  }
}

/** A list of names that a peer has defined on a connection. */
class Shape {
  #names;
  #isUsed = false;
  /** Looked up for the second object, because most shapes of a hostile peer have one. */
  #shared = null;

  /**
   * @param {string[]} names any strings, also repeated
   * @param {function(): *} read reads the next value
   * @param {symbol} absent the value instead of a property that is left out
   */
  constructor(names, read, absent) {
    this.#names = names;
    /** Reads the values of an object, and makes it. */
    this.read = () => this.#readByLoop(read, absent);
  }

  #readByLoop(read, absent) {
    const names = this.#names;
    if (this.#isUsed) {
      this.#shared ??= SharedReader.for(names, 1);
      const reader = this.#shared.next(names, read, absent);
      if (reader !== null) {
        this.read = reader;
        return reader();
      }
    }
    this.#isUsed = true;
    const values = new Array(names.length);
    for (let i = 0; i < names.length; i++) values[i] = read();
    return makeObject(names, values, absent);
  }
}

module.exports = { Shape, define };
