'use strict';

const SockhopError = require('./SockhopError.js');

/**
 * Tells of a fault that a peer or the network caused. Where nobody listens for errors it is a warning: an
 * `error` event without a listener would be an exception, and no peer may end the process.
 *
 * @param {import('node:events').EventEmitter} emitter
 * @param {Error} err
 * @param {...*} context further arguments of the event
 */
function report(emitter, err, ...context) {
  if (emitter.listenerCount('error') > 0) {
    emitter.emit('error', err, ...context);
    return;
  }
  process.emitWarning(
    `${err.message} (there is no "error" listener on the ${emitter.constructor.name})`,
    {
      type: 'SockhopWarning',
      code: err.code,
    },
  );
}

/**
 * @param {AbortSignal} signal that is aborted
 * @returns {Error} an AbortError as Node's own
 */
function aborted(signal) {
  const err = new Error('The operation was aborted', { cause: signal.reason });
  err.name = 'AbortError';
  err.code = 'ABORT_ERR';
  return err;
}

/** @returns {SockhopError} */
function idle({ idle_timeout }) {
  return new SockhopError(
    `Nothing was sent or received for ${idle_timeout} ms ("idle_timeout"); the connection is closed`,
    'ERR_IDLE_TIMEOUT',
  );
}

/** @returns {SockhopError} */
function requestRefused() {
  return new SockhopError(
    'Cannot make a request: the "peer_type" of the other end must be Sockhop',
    'ERR_REQUEST_TYPE',
  );
}

module.exports = { aborted, idle, report, requestRefused };
