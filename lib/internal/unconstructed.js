'use strict';

/**
 * Has accessors of a class work on objects that are made from its prototype and were never constructed, as test tools
 * make them: such an object has properties of its own, and none until they are assigned.
 *
 * @param {object} prototype
 * @param {function(object): boolean} isConstructed
 */
function tolerateUnconstructed(prototype, isConstructed) {
  for (const [name, found] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    const { get, set } = found;
    if (get === undefined) continue;
    Object.defineProperty(prototype, name, {
      ...found,
      get() {
        return isConstructed(this) ? get.call(this) : undefined;
      },
      set:
        set &&
        function assign(value) {
          if (isConstructed(this)) set.call(this, value);
          else {
            const own = { value, configurable: true, enumerable: true, writable: true };
            Object.defineProperty(this, name, own);
          }
        },
    });
  }
}

module.exports = { tolerateUnconstructed };
