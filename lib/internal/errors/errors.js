'use strict';

/* Errors that client and server have in common, and promises that reject with them. */

const SockhopError = require('../../SockhopError.js');

/**
 * @param {AbortSignal} signal an aborted one
 * @returns {Error} an AbortError like those of Node
 */
function abortError(signal) {
  const err = new Error('The operation was aborted', { cause: signal.reason });
  err.name = 'AbortError';
  err.code = 'ABORT_ERR';
  return err;
}

/**
 * @param {number} ms the option `idle_timeout`
 * @returns {SockhopError}
 */
function idleTimeout(ms) {
  return new SockhopError(
    `Nothing was sent or received for ${ms} ms ("idle_timeout"); the connection is closed`,
    'ERR_IDLE_TIMEOUT',
  );
}

/** @returns {SockhopError} */
function requestRefused() {
  return new SockhopError('Unable to use requests - peer type must be Sockhop', 'ERR_REQUEST_TYPE');
}

/**
 * @param {?MessageChannel} [channel] over which something was to be sent: a client has another text,
 *   as in 1.8.4
 * @returns {SockhopError}
 */
function socketDestroyed(channel) {
  const ofClient = channel?.handlers.isServer === false;
  return new SockhopError(
    ofClient ? 'Client unable to send() - socket has been destroyed' : 'Socket was destroyed',
    'ERR_SOCKET_DESTROYED',
  );
}

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

module.exports = {
  abortError,
  handledRejection,
  idleTimeout,
  ignoreRejection,
  requestRefused,
  socketDestroyed,
};
