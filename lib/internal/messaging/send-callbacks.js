'use strict';

/**
 * What programs know of 1.8.4 as `_send_callbacks`: an object with the callbacks that wait for answers, by their ids.
 * It is a view: the callbacks are kept with their connections. What a program adds itself is kept here, and called by
 * the answer to that id from any peer, as in 1.8.4.
 */
class SendCallbacks {
  /** Gives the peers that may have callbacks: @type {function(): Iterable<MessageChannel>} */
  #channels;
  /** What the program added: @type {Map<string, function>} */
  #own = new Map();
  /** The object that the program gets. */
  view = new Proxy({}, this);

  /** @param {function(): Iterable<MessageChannel>} channels */
  constructor(channels) {
    this.#channels = channels;
  }

  /**
   * The program has put another object in this one's place: what is in it takes the place of all that waited.
   *
   * @param {?object} object
   */
  replace(object) {
    if (object === this.view) return;
    for (const id of this.ownKeys()) this.deleteProperty(null, id);
    for (const [id, callback] of Object.entries(object ?? {})) this.#own.set(id, callback);
  }

  /** Takes the callback that a program added itself: @returns {?function} */
  take(id) {
    const callback = this.#own.get(id);
    if (typeof callback !== 'function') return null;
    this.#own.delete(id);
    return callback;
  }

  #find(id) {
    for (const channel of this.#channels()) {
      const pending = channel.callbacks?.find(id) ?? null;
      if (pending !== null) return { channel, pending };
    }
    return null;
  }

  #callback(id) {
    return this.#find(id)?.pending.callback ?? this.#own.get(id);
  }

  // ---- traps of the view ------------------------------------------------------------------------

  get(target, id) {
    return this.#callback(id) ?? Reflect.get(target, id);
  }

  set(_target, id, callback) {
    const found = this.#find(id);
    if (found) found.pending.callback = callback;
    else this.#own.set(id, callback);
    return true;
  }

  has(target, id) {
    return this.#callback(id) !== undefined || Reflect.has(target, id);
  }

  deleteProperty(_target, id) {
    const found = this.#find(id);
    if (found) found.channel.callbacks.forget(id);
    this.#own.delete(id);
    return true;
  }

  ownKeys() {
    const ids = [];
    for (const channel of this.#channels())
      if (channel.callbacks) ids.push(...channel.callbacks.ids());
    return [...new Set([...ids, ...this.#own.keys()])];
  }

  getOwnPropertyDescriptor(_target, id) {
    const value = this.#callback(id);
    if (value === undefined) return undefined;
    return { value, configurable: true, enumerable: true, writable: true };
  }
}

module.exports = { SendCallbacks };
