'use strict';

/*
 * Deno drops native objects while timers still run: at the end of a file under `deno test` or
 * `deno bench`. A method of a dropped object must not be called; a timer that pings would call it.
 */

/** `method`, which does nothing if `isDropped()`. */
const guarded = (method, isDropped) =>
  function (...args) {
    return isDropped() ? null : method.apply(this, args);
  };

/**
 * Guards the methods of native classes at the event `unload`, which Deno emits before it drops
 * native objects.
 *
 * @param {Object<string, function>} classes the exports of the binding
 * @param {function(): boolean} isDropped
 */
function guardAtUnload(classes, isDropped) {
  const guard = () => {
    for (const { prototype } of Object.values(classes)) {
      for (const name of Reflect.ownKeys(prototype ?? {})) {
        if (name === 'constructor') continue;
        const found = Object.getOwnPropertyDescriptor(prototype, name);
        for (const part of ['get', 'value']) {
          if (typeof found[part] === 'function') found[part] = guarded(found[part], isDropped);
        }
        Object.defineProperty(prototype, name, found);
      }
    }
  };
  globalThis.addEventListener('unload', guard, { once: true });
}

module.exports = { guardAtUnload };
