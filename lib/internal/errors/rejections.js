'use strict';

const noop = () => {};

/**
 * A program's method may return anything. If that is a promise, its rejection must not end the
 * process.
 */
function ignoreRejection(result) {
  result?.catch?.(noop);
}

/** @returns {Promise<never>} that does not end the process if the program ignores it */
function handledRejection(err) {
  const promise = Promise.reject(err);
  promise.catch(noop);
  return promise;
}

module.exports = { handledRejection, ignoreRejection };
