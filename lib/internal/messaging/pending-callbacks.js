'use strict';

const { AsyncResource } = require('node:async_hooks');

const { throwUncaught } = require('../native/dispatcher.js');
const { Renewal } = require('../renewal.js');
const { coarseTime } = require('../stats/coarse-clock.js');
const { callbackTimedOut, callbacksLost } = require('./channel-errors.js');
const { countOf, idOf, lastParts, uuid } = require('../ids.js');

/**
 * A callback that waits for its answer. It runs in the asynchronous context of the `send()` it was
 * given to.
 */
class PendingCallback extends AsyncResource {
  /**
   * @param {function(*, {type: string}): void} callback
   * @param {number} expires when it times out, by `performance.now()`; 0: never
   * @param {string} prefix the beginning of its id
   */
  constructor(callback, expires, prefix) {
    super('SockhopCallback');
    this.callback = callback;
    this.expires = expires;
    this.prefix = prefix;
    /** When the message was sent. */
    this.since = coarseTime();
  }

  answer(data, meta) {
    this.emitDestroy();
    this.runInAsyncScope(this.callback, undefined, data, meta);
  }

  /** The connection is over. The program may still look for the callback. */
  end() {}

  /** It is forgotten. */
  abandon() {
    this.emitDestroy();
  }
}

/** Half of the ids with the same random part, so that one is always free. */
const MAX_PENDING = 2 ** 23;

const noop = () => {};

/**
 * The callbacks of one connection that wait for their answers, in the order of their messages.
 *
 * They are found by the count that ends each id of this package. Hashing the text of each id, once
 * to send and once to receive, took 6 % of the time of a call.
 */
class PendingCallbacks {
  /** count -> PendingCallback */
  #byCount = new Map();
  #renewal = new Renewal();
  #timeout;
  #onTimeout;
  #onLost;
  /** Fires when the oldest callback times out. */
  #timer = null;

  /**
   * @param {object} [options]
   * @param {number} [options.timeout=0] of each callback, in ms; 0: none
   * @param {function(): void} [options.onTimeout] called for each callback that times out, after it
   *   is forgotten
   * @param {function(number): void} [options.onLost] called with the number of callbacks and calls
   *   that wait when the connection ends
   */
  constructor({ timeout = 0, onTimeout = noop, onLost = noop } = {}) {
    this.#timeout = timeout;
    this.#onTimeout = onTimeout;
    this.#onLost = onLost;
  }

  get size() {
    return this.#byCount.size;
  }

  /** @returns {{id: string, count: number, prefix: string}} an id for the next callback */
  reserve() {
    for (;;) {
      const id = uuid();
      const { count, prefix } = lastParts();
      // A callback may have waited until the counter overflowed.
      if (!this.#byCount.has(count)) return { id, count, prefix };
    }
  }

  /** Whether `max` callbacks wait, or as many as there can be. */
  isFull(max) {
    return this.#byCount.size >= max || this.#byCount.size >= MAX_PENDING;
  }

  /**
   * Adds a callback with the id that was reserved for it.
   *
   * @param {{id: string, count: number, prefix: string}} ticket
   * @param {function(*, {type: string}): void} callback
   * @param {?Call} [call] that waits for the answer instead of the callback
   */
  add({ id, count, prefix }, callback, call = null) {
    this.#byCount = this.#renewal.renew(this.#byCount);
    if (call !== null) {
      call.begin(id, prefix);
      this.#byCount.set(count, call);
      return;
    }
    const expires = this.#timeout > 0 ? performance.now() + this.#timeout : 0;
    this.#byCount.set(count, new PendingCallback(callback, expires, prefix));
    if (expires > 0 && this.#timer === null) this.#startTimer(this.#timeout);
  }

  #startTimer(delay) {
    this.#timer = setTimeout(() => this.#timeOut(), delay);
    this.#timer.unref?.();
  }

  /** All callbacks have the same time-out, so the oldest one is the first to time out. */
  #timeOut() {
    this.#timer = null;
    const now = performance.now();
    for (const [count, pending] of this.#byCount) {
      const { expires } = pending;
      // A call has a timer of its own.
      if (expires === 0) continue;
      if (expires > now) {
        if (this.#timer === null) this.#startTimer(expires - now);
        return;
      }
      // A handler of another callback may have removed this one from a renewed map.
      if (!this.#remove(count)) continue;
      pending.abandon();
      this.#onTimeout();
    }
  }

  /**
   * The connection is over: callbacks do not time out any more, unless another one is added, and
   * calls end.
   */
  stop() {
    this.#stopTimer();
    const lost = this.#byCount.size;
    for (const pending of this.#byCount.values()) pending.end();
    if (lost > 0) this.#onLost(lost);
  }

  #stopTimer() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /**
   * Takes a callback out.
   *
   * @param {*} id from a peer: any value
   * @returns {?PendingCallback} null if no callback of this connection waits under the id
   */
  take(id) {
    const count = countOf(id);
    const pending = count < 0 ? undefined : this.#byCount.get(count);
    if (pending === undefined || !id.startsWith(pending.prefix)) return null;
    this.#remove(count);
    return pending;
  }

  /** Takes all that waits in `older`, whose messages were sent before those of this one. */
  takeOver(older) {
    older.#stopTimer();
    const newer = this.#byCount;
    this.#byCount = older.#byCount;
    older.#byCount = new Map();
    for (const [count, pending] of newer) {
      // Counts repeat, after 16 million ids.
      if (this.#byCount.has(count)) pending.abandon();
      else this.#byCount.set(count, pending);
    }
    this.#stopTimer();
    for (const { expires } of this.#byCount.values()) {
      if (expires === 0) continue;
      this.#startTimer(Math.max(1, expires - performance.now()));
      return;
    }
  }

  /** Like `take()`, by the count of an id. */
  takeCount(count) {
    const pending = this.#byCount.get(count);
    if (pending === undefined) return null;
    this.#remove(count);
    return pending;
  }

  #remove(count) {
    this.#renewal.countRemoval();
    return this.#byCount.delete(count);
  }

  /** @returns {string|undefined} the id with this count, if a callback waits under it */
  idOf(count) {
    const pending = this.#byCount.get(count);
    return pending && idOf(count, pending.prefix);
  }

  /** Like `take()`, but the callback stays. */
  find(id) {
    const count = countOf(id);
    const pending = count < 0 ? undefined : this.#byCount.get(count);
    return pending?.prefix && id.startsWith(pending.prefix) ? pending : null;
  }

  /** @returns {string[]} the ids of all */
  ids() {
    return Array.from(this.#byCount, ([count, { prefix }]) => idOf(count, prefix));
  }

  /** Counts the callbacks by their ages. @param {CallbackAges} ages */
  countAges(ages) {
    // The oldest come first.
    for (const { since } of this.#byCount.values()) if (!ages.add(since)) return;
  }

  /** Removes a callback that will not be answered. */
  forget(id) {
    this.take(id)?.abandon();
  }

  /** Removes all callbacks: none will be answered. */
  clear() {
    this.#stopTimer();
    for (const pending of this.#byCount.values()) pending.abandon();
    this.#byCount.clear();
  }
}

/**
 * @param {MessageChannel} channel
 * @returns {PendingCallbacks} for the messages of a channel, whose handlers get the errors
 */
function callbacksOf(channel) {
  const { handlers } = channel;
  const { callback_timeout: timeout } = channel.options;
  const report = (err) => {
    try {
      handlers.reportError(err, channel);
    } catch (thrown) {
      // An error of the program's handler must not keep the other callbacks from being handled.
      throwUncaught(thrown);
    }
  };
  const onTimeout = () => report(callbackTimedOut(timeout));
  const onLost = (count) => {
    handlers.limits.lost_callbacks += count;
    // A program that ends its connection itself needs no report.
    if (timeout > 0 && !channel.socket.writableEnded) report(callbacksLost(count));
  };
  return new PendingCallbacks({ timeout, onTimeout, onLost });
}

module.exports = { PendingCallbacks, callbacksOf };
