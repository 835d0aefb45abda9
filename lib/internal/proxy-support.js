'use strict';

/*
 * Proxies of the public objects, and objects that have one of them as their prototype, are used like the objects
 * themselves. Private fields are in the object that the constructor made and nowhere else, so methods look for that.
 */

const { kChannel, kTarget } = require('./symbols.js');

/** Names that are no strings, and that a program, or this package with an object of the program, uses all the same. */
const SYMBOLS = new Set([
  kChannel,
  Symbol.asyncIterator,
  Symbol.for('nodejs.util.inspect.custom'),
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'),
]);

/** A method that runs on the object behind a Proxy. Constructors of a superclass call methods before there is one. */
function redirectToTarget(method) {
  const redirected = function (...args) {
    return method.apply(this[kTarget] ?? this, args);
  };
  for (const name of ['name', 'length']) {
    Object.defineProperty(redirected, name, { value: method[name], configurable: true });
  }
  return redirected;
}

/**
 * Has the methods and accessors of a class work on its objects through Proxies and inheritance. The constructor calls
 * `mark(this)`.
 *
 * @param {function} Class
 */
function supportProxies({ prototype }) {
  for (const name of Reflect.ownKeys(prototype)) {
    if (name === 'constructor' || (typeof name === 'symbol' && !SYMBOLS.has(name))) continue;
    const property = Object.getOwnPropertyDescriptor(prototype, name);
    for (const part of ['value', 'get', 'set']) {
      if (typeof property[part] === 'function') property[part] = redirectToTarget(property[part]);
    }
    Object.defineProperty(prototype, name, property);
  }
}

/** @param {object} object that is being constructed */
function markTarget(object) {
  Object.defineProperty(object, kTarget, { value: object });
}

module.exports = { markTarget, supportProxies };
