'use strict';

const noop = () => {};

/**
 * The subjects that a node has subscribed to. Calls for one subject reach the engine one after
 * another, and a subject is unsubscribed from when nothing needs it.
 */
class Subscriptions {
  /** @type {ClusterEngine} */
  #engine;
  #opened;
  /** The error of a subscription that the broker refuses. @type {function(Error): Error} */
  #errorOf;
  /** @type {Map<string, Subscription>} */
  #subjects = new Map();

  /**
   * @typedef {object} Subscription
   * @property {number} users
   * @property {boolean} isMade
   * @property {boolean} isRefused
   * @property {boolean} isConfirmed whether `work` is done, and nothing was refused
   * @property {Promise<void>} work the calls of the engine so far
   */

  /**
   * @param {ClusterEngine} engine
   * @param {Promise<void>} opened fulfilled when the engine can subscribe
   * @param {function(Error): Error} errorOf
   */
  constructor(engine, opened, errorOf) {
    this.#engine = engine;
    this.#opened = opened;
    this.#errorOf = errorOf;
  }

  /**
   * @returns {?Promise<void>} fulfilled when a subscription is confirmed; null: it is, or there is
   *   none. One that the broker has refused is tried again
   */
  confirmed(subject) {
    const entry = this.#subjects.get(subject);
    if (entry === undefined || entry.isConfirmed) return null;
    if (entry.isRefused) this.#make(subject, entry);
    return entry.work;
  }

  /** @returns {Promise<void>} fulfilled when the broker has confirmed the subscription */
  add(subject) {
    let entry = this.#subjects.get(subject);
    if (entry === undefined) {
      const work = this.#opened;
      entry = { users: 0, isMade: false, isRefused: false, isConfirmed: false, work };
      this.#subjects.set(subject, entry);
    }
    entry.users += 1;
    if (entry.users === 1 || entry.isRefused) this.#make(subject, entry);
    return entry.work;
  }

  #make(subject, entry) {
    this.#next(entry, () => this.#subscribe(subject, entry));
  }

  async #subscribe(subject, entry) {
    if (entry.isMade) return;
    try {
      await this.#engine.subscribe(subject);
    } catch (err) {
      entry.isRefused = true;
      throw this.#errorOf(err);
    }
    entry.isMade = true;
    entry.isRefused = false;
  }

  async #unsubscribe(subject, entry) {
    entry.isMade = false;
    await this.#engine.unsubscribe(subject);
  }

  /** @returns {boolean} whether nothing needs the subject now */
  remove(subject) {
    const entry = this.#subjects.get(subject);
    if (entry === undefined) return false;
    entry.users -= 1;
    if (entry.users > 0) return false;
    this.#next(entry, async () => {
      if (entry.users > 0) return;
      await this.#unsubscribe(subject, entry);
      if (entry.users === 0 && this.#subjects.get(subject) === entry)
        this.#subjects.delete(subject);
    });
    return true;
  }

  #next(entry, work) {
    const done = entry.work.catch(noop).then(work);
    entry.work = done;
    entry.isConfirmed = false;
    done.then(() => {
      entry.isConfirmed = entry.work === done;
    }, noop);
  }

  /** Makes all subscriptions again, because nothing arrives. */
  async renew() {
    const renewed = [...this.#subjects].map(async ([subject, entry]) => {
      this.#next(entry, async () => {
        // There is no wait between the two, because messages would be missed meanwhile.
        const ended = this.#unsubscribe(subject, entry);
        await Promise.all([ended, entry.users > 0 && this.#subscribe(subject, entry)]);
      });
      await entry.work;
    });
    await Promise.all(renewed);
  }
}

module.exports = { Subscriptions };
