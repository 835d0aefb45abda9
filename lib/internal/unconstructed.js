'use strict';

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

module.exports = { tolerateUnconstructed };
