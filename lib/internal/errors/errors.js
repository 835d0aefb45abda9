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

// ---- connections whose peer reads too slowly, and hand-overs -------------------------------------

const sendRefused = () =>
  new SockhopError(
    'The peer reads too slowly: "send_high_water_mark" bytes wait for it already',
    'ERR_BACKPRESSURE',
  );

const slowConsumer = () =>
  new SockhopError(
    'The peer reads too slowly and is cut off: "send_high_water_mark" bytes waited for it',
    'ERR_SLOW_CONSUMER',
  );

/** @param {{encrypted: boolean}} socket that was to be sent to another process */
function cannotHandOver({ encrypted }) {
  if (encrypted) {
    const err = new TypeError('A connection with TLS cannot be passed to another process');
    err.code = 'ERR_INVALID_HANDLE_TYPE';
    return err;
  }
  return new SockhopError(
    'The connection cannot be passed to another process while sent data waits for the peer: wait for ' +
      'send(), or the callback of write(), first',
    'ERR_BACKPRESSURE',
  );
}

const cannotConnectAgain = () =>
  new SockhopError(
    'A socket whose connection is over cannot connect again: call connect() of the client',
    'ERR_SOCKET_DESTROYED',
  );

// ---- rejections ----------------------------------------------------------------------------------

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
  cannotConnectAgain,
  cannotHandOver,
  handledRejection,
  idleTimeout,
  ignoreRejection,
  requestRefused,
  sendRefused,
  slowConsumer,
  socketDestroyed,
};
