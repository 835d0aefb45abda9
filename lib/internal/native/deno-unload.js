'use strict';

/*
 * Deno gives native objects back while timers still run: at the end of a file under `deno test` or `deno bench`. A
 * method of such an object must not be called any more; a timer that pings would.
 */

/** `method`, which does nothing when `isGone()`. */
const guarded = (method, isGone) =>
  function (...args) {
    return isGone() ? null : method.apply(this, args);
  };

/**
 * From the event `unload` on, which Deno emits before, methods of the native classes ask `isGone()` first, and do
 * nothing where it answers true.
 *
 * @param {Object<string, function>} classes what the binding exports
 * @param {function(): boolean} isGone whether native objects have been given back
 */
function guardAtUnload(classes, isGone) {
  const guard = () => {
    for (const { prototype } of Object.values(classes)) {
      for (const name of Reflect.ownKeys(prototype ?? {})) {
        if (name === 'constructor') continue;
        const found = Object.getOwnPropertyDescriptor(prototype, name);
        for (const part of ['get', 'value']) {
          if (typeof found[part] === 'function') found[part] = guarded(found[part], isGone);
        }
        Object.defineProperty(prototype, name, found);
      }
    }
  };
  globalThis.addEventListener('unload', guard, { once: true });
}

module.exports = { guardAtUnload };
