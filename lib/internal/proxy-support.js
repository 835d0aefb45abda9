'use strict';

/*
 * A Proxy of a public object, or an object with a public object as its prototype, can be used in
 * its place. Only the object that the constructor made has the private fields, so the methods run
 * on that object, the target.
 */

const { kCall, kChannel, kTarget } = require('./symbols.js');

/**
 * Symbols whose methods are called by programs, or by this package on an object that may be a
 * Proxy.
 */
const PUBLIC_SYMBOLS = new Set([
  kCall,
  kChannel,
  Symbol.asyncIterator,
  Symbol.for('nodejs.util.inspect.custom'),
  Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose'),
]);

/**
 * @returns {Function} the method, running on the target. A superclass calls methods before the
 *   target is marked.
 */
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
 * Makes the methods and accessors of a class run on the target. The constructor of the class calls
 * `markTarget(this)`.
 *
 * @param {function} Class
 * @param {Array<string|symbol>} [except] names of those that run for each message. They look up the
 *   target themselves, because V8 remembers the kinds of objects by place in the source
 */
function supportProxies({ prototype }, except = []) {
  for (const name of Reflect.ownKeys(prototype)) {
    if (name === 'constructor' || except.includes(name)) continue;
    if (typeof name === 'symbol' && !PUBLIC_SYMBOLS.has(name)) continue;
    const property = Object.getOwnPropertyDescriptor(prototype, name);
    for (const part of ['value', 'get', 'set']) {
      if (typeof property[part] === 'function') property[part] = redirectToTarget(property[part]);
    }
    Object.defineProperty(prototype, name, property);
  }
}

/**
 * Assigns the property, as EventEmitter does with its own symbols. Defining a property that is not
 * enumerable takes 15 times as long.
 *
 * @param {object} object under construction
 */
function markTarget(object) {
  object[kTarget] = object;
}

/** The same for objects without an inspection of their own: programs print and compare them. */
function markTargetHidden(object) {
  Object.defineProperty(object, kTarget, { value: object });
}

const named = (accessor, name) => Object.defineProperty(accessor, 'name', { value: name });

/**
 * Makes the accessors of a class work on objects that have its prototype but were not constructed,
 * as test tools make them. On such an object a property is undefined until it is assigned, and then
 * an own property.
 *
 * @param {object} prototype
 * @param {function(object): boolean} isConstructed
 */
function tolerateUnconstructed(prototype, isConstructed) {
  for (const [name, found] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    const { get, set } = found;
    if (get === undefined) continue;
    const tolerant = {
      get() {
        return isConstructed(this) ? get.call(this) : undefined;
      },
      set(value) {
        if (isConstructed(this)) set.call(this, value);
        else {
          const own = { value, configurable: true, enumerable: true, writable: true };
          Object.defineProperty(this, name, own);
        }
      },
    };
    Object.defineProperty(prototype, name, {
      ...found,
      get: named(tolerant.get, get.name),
      set: set && named(tolerant.set, set.name),
    });
  }
}

module.exports = { markTarget, markTargetHidden, supportProxies, tolerateUnconstructed };
