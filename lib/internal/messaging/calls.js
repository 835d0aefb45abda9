'use strict';

const { onAbort } = require('../abort-signals.js');
const { abortError } = require('../errors/errors.js');
const { normalizeAnswerOptions } = require('../options/options.js');
const { coarseTime } = require('../stats/coarse-clock.js');
const { kTakeQueued } = require('../symbols.js');
const { callTimedOut, callUnanswered } = require('./channel-errors.js');

const noop = () => {};

/**
 * A message whose answer the program gets by a promise. It waits among the callbacks of its
 * channel, as a callback without a common timeout.
 */
class Call {
  /** Member of a pending callback: 0, because a call has its own timer. */
  expires = 0;
  /** The beginning of the id of its message. */
  prefix = '';
  /** Member of a pending callback: when the message was sent. */
  since = coarseTime();
  #channel;
  #timeout;
  #id = null;
  /** The message, if it waits for a connection: @type {?QueuedMessage} */
  #queued = null;
  #timer = null;
  #stopListening = noop;
  #reject = null;

  /**
   * @param {MessageChannel} channel
   * @param {{timeout?: number, signal?: AbortSignal}} options
   */
  constructor(channel, { timeout = channel.options.callback_timeout, signal }) {
    this.#channel = channel;
    this.#timeout = timeout;
    /** Member of a pending callback: takes the answer. */
    this.callback = noop;
    /** The answer: @type {Promise<*>} */
    this.promise = new Promise((resolve, reject) => {
      this.#reject = reject;
      this.callback = (data) => {
        this.#settle();
        resolve(data);
      };
    });
    this.#stopListening = onAbort(signal, () => this.fail(abortError(signal)));
    if (timeout > 0) {
      this.#timer = setTimeout(() => this.#timeOut(), timeout);
      this.#timer?.unref?.();
    }
  }

  /** It waits among the callbacks of its channel from now on. */
  begin(id, prefix) {
    this.#id = id;
    this.prefix = prefix;
  }

  /** The message was sent, or waits for a connection. */
  sentBy(transport) {
    this.#queued = transport[kTakeQueued]?.() ?? null;
  }

  answer(data, meta) {
    this.callback(data, meta);
  }

  /** Member of a pending callback: the connection is over. */
  end() {
    this.fail(callUnanswered());
  }

  /** Member of a pending callback: it is forgotten. */
  abandon() {
    this.fail(callUnanswered());
  }

  /** Ends the call with an error. A call that has ended stays as it is. */
  fail(err) {
    this.#settle();
    this.#reject(err);
    this.#queued?.withdraw(err);
  }

  #timeOut() {
    this.fail(this.#channel.handlers.limits.count(callTimedOut(this.#timeout)));
  }

  #settle() {
    clearTimeout(this.#timer);
    this.#stopListening();
    if (this.#id !== null) this.#channel.callbacks?.take(this.#id);
  }
}

/**
 * Sends a message and waits for its answer.
 *
 * @param {MessageChannel} channel
 * @param {*} data
 * @param {{timeout?: number, signal?: AbortSignal}} [config]
 * @returns {Promise<*>} the answer; rejects as `send()`, with ERR_CALLBACK_TIMEOUT, with an
 *   AbortError, with ERR_SOCKET_DESTROYED if the connection ends
 * @throws {TypeError|RangeError|SockhopError} as `send()`, and for an invalid option
 */
function call(channel, data, config) {
  const options = normalizeAnswerOptions(config);
  if (options.signal?.aborted) return Promise.reject(abortError(options.signal));
  const pending = new Call(channel, options);
  channel.transport[kTakeQueued]?.();
  let sent;
  try {
    sent = channel.send(data, pending.callback, pending);
  } catch (err) {
    // The program gets the exception, and no promise.
    pending.promise.catch(noop);
    pending.fail(err);
    throw err;
  }
  pending.sentBy(channel.transport);
  // A method of the program may have sent it, and returned anything.
  Promise.resolve(sent).catch((err) => pending.fail(err));
  return pending.promise;
}

module.exports = { call };
