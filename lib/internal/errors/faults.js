'use strict';

const { EventEmitter } = require('node:events');

const { formatAddress } = require('../transport/format-address.js');
const SockhopError = require('../../SockhopError.js');
const timing = require('../real-timers.js');

/** A peer that misbehaves all the time must not fill the program's log: so long between two warnings, in ms. */
const WARNING_INTERVAL = 10_000;

/** What was warned of when, and what was left out since: emitter -> code -> {next, left} */
const warnings = new WeakMap();

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
  // A program may override emit() and take errors there. That of Node throws what nobody listens to.
  if (emitter.emit !== EventEmitter.prototype.emit) {
    try {
      emitter.emit('error', err, ...context);
      return;
    } catch (thrown) {
      if (thrown !== err) throw thrown;
    }
  }
  if (!warnings.has(emitter)) warnings.set(emitter, new Map());
  const codes = warnings.get(emitter);
  const warning = codes.get(err.code) ?? { next: 0, left: 0 };
  codes.set(err.code, warning);
  const now = timing.now();
  if (now < warning.next) {
    warning.left += 1;
    return;
  }
  const more = warning.left > 0 ? `; ${warning.left} more of the kind since the last warning` : '';
  warning.next = now + WARNING_INTERVAL;
  warning.left = 0;
  process.emitWarning(
    `${err.message} (there is no "error" listener on the ${emitter.constructor.name}${more})`,
    {
      type: 'SockhopWarning',
      code: err.code,
      detail: details(err),
    },
  );
}

/** What is known of a fault besides its message. */
function details(err) {
  const from = formatAddress(err);
  const lines = [
    from && `from ${from}`,
    err.data && `received: ${err.data}`,
    err.cause instanceof Error && err.cause.message,
  ];
  return lines.filter(Boolean).join('\n') || undefined;
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
  return new SockhopError('Unable to use requests - peer type must be Sockhop', 'ERR_REQUEST_TYPE');
}

module.exports = { aborted, idle, report, requestRefused };
