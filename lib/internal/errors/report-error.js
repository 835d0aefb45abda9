'use strict';

const { EventEmitter } = require('node:events');

const SockhopError = require('../../SockhopError.js');
const { formatAddress } = require('../addresses.js');
const timing = require('../real-timers.js');

const { listenerCount } = EventEmitter.prototype;

/**
 * Time between two warnings of a kind, in ms: a peer that misbehaves all the time must not fill the
 * program's log.
 */
const WARNING_INTERVAL = 10_000;

/**
 * The warnings of each emitter by the code of the error: when the next one may come, and how many
 * were left out.
 *
 * @type {WeakMap<EventEmitter, Map<string, {next: number, omitted: number}>>}
 */
const warnings = new WeakMap();

/** Codes of the streams of Node and of TLS: whether a write meets an end depends on the peer. */
const STREAM_CODE = /^(EPIPE$|ABORT_ERR$|ERR_STREAM_|ERR_SOCKET_|ERR_SSL_|ERR_TLS_)/;

/**
 * Whether the program made an error of a socket of this package: it called `destroy(err)` or emitted
 * `error` itself. The answer must be "no" for every error that a peer can cause, because the error
 * would end a process without a listener.
 */
function isOfProgram(err) {
  if (err instanceof SockhopError) return false;
  const isOfSystem = typeof err?.errno === 'number';
  const isOfStream = typeof err?.code === 'string' && STREAM_CODE.test(err.code);
  return !isOfSystem && !isOfStream;
}

/**
 * The same for an error that the socket of a channel emits. For a stream that the program supplies
 * the origin is unknown, so the answer is "no".
 *
 * @param {*} err
 * @param {MessageChannel} channel
 */
const isOfProgramOn = (err, channel) => channel.isNative && isOfProgram(err);

/**
 * Reports an error that a peer or the network caused. Without a listener for `error` it becomes a
 * warning: an `error` event without a listener is an exception, and no peer may end the process.
 *
 * @param {EventEmitter} emitter
 * @param {Error} err
 * @param {...*} context further arguments of the event
 */
function reportError(emitter, err, ...context) {
  // Not the emitter's own listenerCount(), which the program may have replaced: 1.8.4 does not call
  // it.
  if (listenerCount.call(emitter, 'error') > 0) {
    emitter.emit('error', err, ...context);
    return;
  }
  // A program may override emit() and take errors there. Node's emit() throws an error that has no
  // listener.
  if (emitter.emit !== EventEmitter.prototype.emit) {
    try {
      emitter.emit('error', err, ...context);
      return;
    } catch (thrown) {
      if (thrown !== err) throw thrown;
    }
  }
  warn(emitter, err);
}

/**
 * Like `reportError`, for an error that the socket of a channel emits. One that the program has
 * made is an exception if it has no listener, as in Node.
 */
function reportSocketError(emitter, err, channel, ...context) {
  if (isOfProgramOn(err, channel)) emitter.emit('error', err, ...context);
  else reportError(emitter, err, ...context);
}

/** Whether an error of an ObjectBuffer is the peer's. Others are mistakes of the program. */
const isBadFrame = (err) => err?.code === 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA';

function warn(emitter, err) {
  if (!warnings.has(emitter)) warnings.set(emitter, new Map());
  const byCode = warnings.get(emitter);
  const warning = byCode.get(err.code) ?? { next: 0, omitted: 0 };
  byCode.set(err.code, warning);
  const now = timing.now();
  if (now < warning.next) {
    warning.omitted += 1;
    return;
  }
  const more =
    warning.omitted > 0 ? `; ${warning.omitted} more of the kind since the last warning` : '';
  warning.next = now + WARNING_INTERVAL;
  warning.omitted = 0;
  process.emitWarning(
    `${err.message} (there is no "error" listener on the ${emitter.constructor.name}${more})`,
    { type: 'SockhopWarning', code: err.code, detail: details(err) },
  );
}

/** @returns {string|undefined} the facts about an error that its message does not have */
function details(err) {
  const from = formatAddress(err);
  const lines = [
    from && `from ${from}`,
    err.data && `received: ${err.data}`,
    err.cause instanceof Error && err.cause.message,
  ];
  return lines.filter(Boolean).join('\n') || undefined;
}

module.exports = { isBadFrame, isOfProgram, isOfProgramOn, reportError, reportSocketError };
