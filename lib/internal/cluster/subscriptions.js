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
  /** @type {Map<string, {users: number, work: Promise<void>}>} */
  #subjects = new Map();

  /**
   * @param {ClusterEngine} engine
   * @param {Promise<void>} opened fulfilled when the engine can subscribe
   */
  constructor(engine, opened) {
    this.#engine = engine;
    this.#opened = opened;
  }

  /** @returns {?Promise<void>} fulfilled when a subscription is confirmed; null: there is none */
  confirmed(subject) {
    return this.#subjects.get(subject)?.work ?? null;
  }

  /** @returns {Promise<void>} fulfilled when the broker has confirmed the subscription */
  add(subject) {
    let entry = this.#subjects.get(subject);
    if (entry === undefined) {
      entry = { users: 0, work: this.#opened };
      this.#subjects.set(subject, entry);
    }
    entry.users += 1;
    if (entry.users === 1) this.#next(entry, () => this.#engine.subscribe(subject));
    return entry.work;
  }

  /** @returns {boolean} whether nothing needs the subject now */
  remove(subject) {
    const entry = this.#subjects.get(subject);
    if (entry === undefined) return false;
    entry.users -= 1;
    if (entry.users > 0) return false;
    this.#next(entry, async () => {
      if (entry.users > 0) return;
      await this.#engine.unsubscribe(subject);
      if (entry.users === 0 && this.#subjects.get(subject) === entry)
        this.#subjects.delete(subject);
    });
    return true;
  }

  #next(entry, work) {
    entry.work = entry.work.catch(noop).then(work);
    entry.work.catch(noop);
  }

  /** Subscribes to all subjects anew, because nothing arrives any more. */
  async renew() {
    const renewed = [...this.#subjects].map(async ([subject, entry]) => {
      this.#next(entry, async () => {
        await this.#engine.unsubscribe(subject);
        if (entry.users > 0) await this.#engine.subscribe(subject);
      });
      await entry.work;
    });
    await Promise.all(renewed);
  }
}

module.exports = { Subscriptions };
