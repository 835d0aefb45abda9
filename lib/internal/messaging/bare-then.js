'use strict';

/*
 * In 1.8.4 a promise for answers never rejects. So programs call `then(callback)` alone, as in
 * `request(object).then((stream) => stream.next()).then(callback)`, and learn of an error by the
 * `end` event of the stream.
 */

const { then } = Promise.prototype;
const noop = () => {};

/** Promises whose rejection is the error of a stream, which its event reports. */
const ofStreams = new WeakSet();

function tolerate(promise) {
  ofStreams.add(promise);
  then.call(promise, undefined, noop);
}

/**
 * A promise that a program may chain to the answers of a stream by `then(callback)` alone. `await`
 * does not call the method.
 */
class ChainedPromise extends Promise {
  // biome-ignore lint/suspicious/noThenProperty: it is a promise
  then(onFulfilled, onRejected) {
    if (typeof onRejected === 'function') return then.call(this, onFulfilled, onRejected);
    const derived = then.call(
      this,
      typeof onFulfilled !== 'function'
        ? onFulfilled
        : (value) => {
            const result = onFulfilled(value);
            if (ofStreams.has(result)) then.call(result, undefined, () => tolerate(derived));
            return result;
          },
    );
    Object.setPrototypeOf(derived, ChainedPromise.prototype);
    then.call(this, undefined, () => {
      if (ofStreams.has(this)) tolerate(derived);
    });
    return derived;
  }
}

// To the program, and to `await`, it is a promise like any other.
ChainedPromise.prototype.constructor = Promise;

/**
 * Makes a rejection that a program does not handle cause no unhandled rejection, if the program
 * ignores the promise or calls `then(callback)` alone. An error of the callback still causes one.
 *
 * @template T
 * @param {function(function(T): void, function(Error): void): void} executor as of a promise
 * @returns {Promise<T>}
 */
function answersPromise(executor) {
  const promise = new ChainedPromise(executor);
  tolerate(promise);
  return promise;
}

/**
 * The same for the promises of `answersPromise()` that a callback of `then()` returns. Other
 * rejections of the promise itself cause an unhandled rejection.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>} the same promise
 */
function chainToAnswers(promise) {
  return Object.setPrototypeOf(promise, ChainedPromise.prototype);
}

module.exports = { answersPromise, chainToAnswers };
