'use strict';

/*
 * In 1.8.4 some promises never reject: those for answers, that of `listen()`, and that of
 * `connect()` after `disconnect()`. So programs ignore them, or only call `then(callback)`, as in
 * `request(object).then((stream) => stream.next()).then(callback)`, and learn of an error by an
 * event.
 */

const { then } = require('../originals.js');

const noop = () => {};

/** Promises whose rejection repeats an error that an event reports. */
const tolerated = new WeakSet();

/**
 * Makes a rejection of a promise cause no unhandled rejection. Call it before the promise
 * rejects.
 *
 * @param {Promise} promise of `chainable()`, if the program may only call `then(callback)`
 */
function tolerate(promise) {
  tolerated.add(promise);
  then.call(promise, undefined, noop);
}

/** Promises of `answersPromise()` are recognised by their prototype, which costs less. */
const isTolerated = (promise) => promise instanceof AnswersPromise || tolerated.has(promise);

/**
 * A promise that a program may chain with only `then(callback)`. `await` does not call the method.
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
            if (isTolerated(result)) then.call(result, undefined, () => tolerate(derived));
            return result;
          },
    );
    Object.setPrototypeOf(derived, ChainedPromise.prototype);
    then.call(this, undefined, () => {
      if (isTolerated(this)) tolerate(derived);
    });
    return derived;
  }
}

/** A promise for answers, of which each rejection is the error of a stream. */
class AnswersPromise extends ChainedPromise {}

// To the program, and to `await`, they are promises like any other.
ChainedPromise.prototype.constructor = Promise;
AnswersPromise.prototype.constructor = Promise;

/**
 * Makes a rejection that a program does not handle cause no unhandled rejection, if the program
 * ignores the promise or only calls `then(callback)`. An error of the callback still causes one.
 *
 * @template T
 * @param {function(function(T): void, function(Error): void): void} executor as of a promise
 * @returns {Promise<T>}
 */
function answersPromise(executor) {
  const promise = new AnswersPromise(executor);
  then.call(promise, undefined, noop);
  return promise;
}

/**
 * Lets a program chain a promise with only `then(callback)`, if `tolerate()` was called for the
 * rejection. This includes the rejection of a promise that the callback returns. Other rejections
 * cause an unhandled rejection.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>} the same promise
 */
function chainable(promise) {
  return Object.setPrototypeOf(promise, ChainedPromise.prototype);
}

module.exports = { answersPromise, chainable, tolerate };
