'use strict';

/*
 * In 1.8.4 a promise for answers never rejects. So programs call `then(callback)` alone, and learn of
 * an error by the `end` event of the stream.
 */

const { then } = Promise.prototype;
const noop = () => {};

/**
 * Makes a rejection that a program does not handle cause no unhandled rejection, if the program
 * ignores the promise or calls `then(callback)` alone. An error of the callback still causes one.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>} the same promise
 */
function tolerateBareThen(promise) {
  promise.catch(noop);
  // `await` does not call it.
  Object.defineProperty(promise, 'then', {
    configurable: true,
    writable: true,
    value(onFulfilled, onRejected) {
      const derived = then.call(this, onFulfilled, onRejected);
      if (typeof onRejected !== 'function') {
        then.call(this, undefined, () => derived.catch(noop));
      }
      return derived;
    },
  });
  return promise;
}

module.exports = { tolerateBareThen };
