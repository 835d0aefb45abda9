'use strict';

const { throwUncaught } = require('./native/dispatcher.js');

/**
 * The functions to call when a signal is aborted. A signal has one listener for all of them,
 * because a program may use one signal for any number of calls, and Node warns of more than ten
 * listeners.
 */
class Abortions {
  #signal;
  /** @type {Set<function(): void>} */
  #actions = new Set();
  #listener = () => this.#run();

  /** @param {AbortSignal} signal */
  constructor(signal) {
    this.#signal = signal;
  }

  /** @param {function(): void} action a function that was not added yet */
  add(action) {
    if (this.#actions.size === 0) {
      this.#signal.addEventListener('abort', this.#listener, { once: true });
    }
    this.#actions.add(action);
  }

  /** @param {function(): void} action */
  remove(action) {
    if (this.#actions.delete(action) && this.#actions.size === 0) {
      this.#signal.removeEventListener('abort', this.#listener);
    }
  }

  #run() {
    const actions = [...this.#actions];
    this.#actions.clear();
    for (const action of actions) {
      try {
        action();
      } catch (err) {
        // An exception of a program's handler must not prevent the other calls.
        throwUncaught(err);
      }
    }
  }
}

/** @type {WeakMap<AbortSignal, Abortions>} */
const abortions = new WeakMap();

const noop = () => {};

/**
 * Calls a function when a signal is aborted.
 *
 * @param {?AbortSignal} [signal] that is not aborted yet; without one nothing happens
 * @param {function(): void} action
 * @returns {function(): void} to be called when the function is not to be called any more
 */
function onAbort(signal, action) {
  if (!signal) return noop;
  let found = abortions.get(signal);
  if (found === undefined) {
    found = new Abortions(signal);
    abortions.set(signal, found);
  }
  // A new function, because the same action may be given for two calls.
  const own = () => action();
  found.add(own);
  return () => found.remove(own);
}

module.exports = { onAbort };
