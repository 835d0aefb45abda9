'use strict';

const { deadline } = require('./deadline.js');

/**
 * An ordered record of events that tests can wait for.
 *
 * An entry is `{ name, ...details }`. `next()` returns every entry once: two waits for the same
 * name get two different events, and an event before the wait is not lost.
 */
class EventLog {
  /** Every entry so far, in order. */
  entries = [];
  #taken = new Set();
  /** All entries before this one are taken, so that waits for thousands of events stay cheap. */
  #first = 0;
  #waiting = new Set();
  #broken = null;

  push(entry) {
    // A test may shorten the list.
    this.#first = Math.min(this.#first, this.entries.length);
    this.entries.push(entry);
    for (const waiter of this.#waiting) {
      if (this.#offer(waiter, entry)) break;
    }
  }

  /** Makes every wait, present and future, fail, because the source of the events has ended. */
  break(error) {
    this.#broken ??= error;
    for (const waiter of this.#waiting) waiter.reject(this.#broken);
    this.#waiting.clear();
  }

  /**
   * The first entry of that name that satisfies the predicate and that no call returned before.
   *
   * @param {string} name
   * @param {(entry: object) => boolean} [predicate]
   * @param {number} [ms] deadline
   * @returns {Promise<object>}
   */
  next(name, predicate = () => true, ms = undefined) {
    const waiter = { name, predicate };
    const promise = new Promise((resolve, reject) => {
      Object.assign(waiter, { resolve, reject });
      this.#skipTaken();
      for (let n = this.#first; n < this.entries.length; n += 1) {
        if (this.#offer(waiter, this.entries[n])) return;
      }
      if (this.#broken) reject(this.#broken);
      else this.#waiting.add(waiter);
    });
    return deadline(promise, () => `"${name}"; seen so far: ${this.summary() || 'nothing'}`, ms);
  }

  /** The next `count` entries of that name. */
  async take(name, count, ms = undefined) {
    const found = [];
    while (found.length < count) found.push(await this.next(name, undefined, ms));
    return found;
  }

  /** Every entry of that name so far, taken or not. */
  all(name) {
    return this.entries.filter((entry) => entry.name === name);
  }

  count(name) {
    return this.all(name).length;
  }

  /** The names in the order in which the events arrived. */
  names() {
    return this.entries.map((entry) => entry.name);
  }

  summary() {
    const names = this.names();
    return (names.length > 40 ? ['...', ...names.slice(-40)] : names).join(' ');
  }

  #skipTaken() {
    while (this.#taken.has(this.entries[this.#first])) this.#first += 1;
  }

  #offer(waiter, entry) {
    if (entry.name !== waiter.name || this.#taken.has(entry)) return false;
    if (!waiter.predicate(entry)) return false;
    this.#taken.add(entry);
    this.#waiting.delete(waiter);
    waiter.resolve(entry);
    return true;
  }
}

/**
 * Records events of an emitter; an entry's `args` are the event's arguments.
 *
 * @param {import('node:events').EventEmitter} emitter
 * @param {string[]} names
 */
function record(emitter, names = ['connect', 'disconnect', 'receive', 'error']) {
  const log = new EventLog();
  for (const name of names) emitter.on(name, (...args) => log.push({ name, args }));
  return log;
}

module.exports = { EventLog, record };
