'use strict';

const { AsyncResource } = require('node:async_hooks');

const { countOf, idOf, lastParts, uuid } = require('./ids.js');

/** A callback that waits for its answer, in the asynchronous context of the send() that asked. */
class PendingCallback extends AsyncResource {
  /**
   * @param {function(*, {type: string}): void} callback
   * @param {number} expires when it is given up, by `performance.now()`; 0: never
   * @param {string} prefix what its id begins with
   */
  constructor(callback, expires, prefix) {
    super('SockhopCallback');
    this.callback = callback;
    this.expires = expires;
    this.prefix = prefix;
  }

  answer(data, meta) {
    this.emitDestroy();
    this.runInAsyncScope(this.callback, undefined, data, meta);
  }
}

/** Half of the ids with the same random part: there is always one to be drawn. */
const MAX_PENDING = 2 ** 23;

/**
 * The callbacks of one connection that wait for their answers, in the order of asking.
 *
 * Ids are this package's own and end in a count, so they are looked up by that: hashing the text of an id,
 * once when asking and once when answered, was 6 % of what a call cost the asking side.
 */
class PendingCallbacks {
  /** count -> PendingCallback */
  #byCount = new Map();

  get size() {
    return this.#byCount.size;
  }

  /** @returns {{id: string, count: number, prefix: string}} a name for the next callback */
  reserve() {
    for (;;) {
      const id = uuid();
      const { count, prefix } = lastParts();
      // Somebody may have waited for so long that the count has come round.
      if (!this.#byCount.has(count)) return { id, count, prefix };
    }
  }

  /** Whether `max` of them wait, or as many as there may be in any case. */
  isFull(max) {
    return this.#byCount.size >= max || this.#byCount.size >= MAX_PENDING;
  }

  /** Remembers a callback under the name that was drawn for it. */
  add({ count, prefix }, callback, expires) {
    this.#byCount.set(count, new PendingCallback(callback, expires, prefix));
  }

  /**
   * @param {*} id whatever a peer says
   * @returns {?PendingCallback} null: never asked, answered already, or asked of somebody else
   */
  take(id) {
    const count = countOf(id);
    const pending = count < 0 ? undefined : this.#byCount.get(count);
    if (pending === undefined || !id.startsWith(pending.prefix)) return null;
    this.#byCount.delete(count);
    return pending;
  }

  /** As `take()`, but it goes on waiting. */
  find(id) {
    const count = countOf(id);
    const pending = count < 0 ? undefined : this.#byCount.get(count);
    return pending?.prefix && id.startsWith(pending.prefix) ? pending : null;
  }

  /** The ids of all: @returns {string[]} */
  ids() {
    return Array.from(this.#byCount, ([count, { prefix }]) => idOf(count, prefix));
  }

  /** Nobody will answer this one. */
  forget(id) {
    this.take(id)?.emitDestroy();
  }

  /** The one that was asked first: @returns {?PendingCallback} */
  first() {
    for (const pending of this.#byCount.values()) return pending;
    return null;
  }

  /** Nobody will answer the one that was asked first. */
  forgetFirst() {
    for (const [count, pending] of this.#byCount) {
      this.#byCount.delete(count);
      pending.emitDestroy();
      return;
    }
  }

  /** Nobody will answer any of them. */
  clear() {
    for (const pending of this.#byCount.values()) pending.emitDestroy();
    this.#byCount.clear();
  }
}

module.exports = { PendingCallbacks };
