'use strict';

/*
 * The shapes of objects that peers send: their names, and functions that read the values and make
 * the object. Connections share them while they are in use.
 */

const { areCompilable } = require('./compiling.js');

/** How many shapes connections share. Further ones are not compiled. */
const MAX_SHARED = 4096;
/** The function of a shape is compiled when it has read this many objects. */
const COMPILED_AFTER = 16;

/** @type {Map<string, WeakRef<object>>} by the names */
const shared = new Map();
const registry = new FinalizationRegistry((key) => {
  // Another shape of these names may have been made meanwhile.
  if (shared.get(key)?.deref() === undefined) shared.delete(key);
});

/**
 * Defines a property, as JSON.parse() does it: `__proto__` is one like any other, and so is the name
 * of a property of Object.prototype that is read-only or has a setter.
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

/** A list of names that a peer has sent. */
class Shape {
  #count = 0;

  constructor(names, read, absent, mayCompile) {
    this.names = names;
    this.read = () => {
      this.#count += 1;
      if (this.#count > COMPILED_AFTER && mayCompile && areCompilable(names)) {
        this.read = compileReader(names, read, absent);
        return this.read();
      }
      const values = new Array(names.length);
      for (let i = 0; i < names.length; i++) values[i] = read();
      return makeObject(names, values, absent);
    };
  }
}

/**
 * @param {string[]} names any strings, also repeated
 * @param {function(): *} read reads the next value
 * @param {symbol} absent the value in place of a property that is left out
 * @returns {Shape}
 */
function shapeOf(names, read, absent) {
  const key = JSON.stringify(names);
  const known = shared.get(key)?.deref();
  if (known !== undefined) return known;
  const mayShare = shared.size < MAX_SHARED;
  const shape = new Shape(names, read, absent, mayShare);
  if (mayShare) {
    shared.set(key, new WeakRef(shape));
    registry.register(shape, key);
  }
  return shape;
}

module.exports = { shapeOf };
