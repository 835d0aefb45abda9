'use strict';

/*
 * The shapes of objects that peers send: their names, and functions that read the values and make
 * the object. Connections share compiled functions while they are in use.
 */

const { COMPILED_AFTER, CompilationBudget, areCompilable } = require('./compiling.js');

/** How many compiled functions connections share, and the names in all of them. */
const MAX_SHARED = 4096;
const MAX_SHARED_NAMES = 32 * 1024;

/** @type {Map<string, WeakRef<function(): object>>} by the names */
const shared = new Map();
let sharedNames = 0;
const registry = new FinalizationRegistry(({ key, count }) => {
  sharedNames -= count;
  // Another function for these names may have been made meanwhile.
  if (shared.get(key)?.deref() === undefined) shared.delete(key);
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

/** @returns {?function(): object} null if it must not be compiled, or not yet */
function compiledReader(names, read, absent) {
  const key = JSON.stringify(names);
  const known = shared.get(key)?.deref();
  if (known !== undefined) return known;
  if (shared.size >= MAX_SHARED || sharedNames + names.length > MAX_SHARED_NAMES) return null;
  if (!areCompilable(names) || !budget.spend()) return null;
  const reader = compileReader(names, read, absent);
  shared.set(key, new WeakRef(reader));
  sharedNames += names.length;
  registry.register(reader, { key, count: names.length });
  return reader;
}

/** A list of names that a peer has defined on a connection. */
class Shape {
  #names;
  /** How many objects the loop has read. */
  #count = 0;

  /**
   * @param {string[]} names any strings, also repeated
   * @param {function(): *} read reads the next value
   * @param {symbol} absent the value in place of a property that is left out
   */
  constructor(names, read, absent) {
    this.#names = names;
    /** Reads the values of an object, and makes it. */
    this.read = () => this.#readByLoop(read, absent);
  }

  #readByLoop(read, absent) {
    const names = this.#names;
    this.#count += 1;
    if (this.#count % (COMPILED_AFTER + 1) === 0) {
      budget.earn(COMPILED_AFTER + 1);
      const reader = compiledReader(names, read, absent);
      if (reader !== null) {
        this.read = reader;
        return reader();
      }
    }
    const values = new Array(names.length);
    for (let i = 0; i < names.length; i++) values[i] = read();
    return makeObject(names, values, absent);
  }
}

module.exports = { Shape, define };
