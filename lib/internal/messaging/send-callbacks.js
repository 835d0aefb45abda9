'use strict';

/**
 * `_send_callbacks` of 1.8.4: an object with the callbacks that wait for answers, by the ids of
 * their messages. It is a view, because the callbacks are kept in their channels. Callbacks that
 * the program adds itself are kept here, and called for an answer with that id from any peer, as in
 * 1.8.4.
 */
class SendCallbacks {
  /** Returns the channels that may have callbacks: @type {function(): Iterable<MessageChannel>} */
  #channels;
  /** The callbacks that the program has added: @type {Map<string, function>} */
  #own = new Map();
  /** The object that the program sees. */
  view = new Proxy({}, this);

  /** @param {function(): Iterable<MessageChannel>} channels */
  constructor(channels) {
    this.#channels = channels;
  }

  /**
   * The program has assigned another object: its callbacks replace all that waited.
   *
   * @param {?object} object
   */
  replace(object) {
    if (object === this.view) return;
    for (const id of this.ownKeys()) this.deleteProperty(null, id);
    for (const [id, callback] of Object.entries(object ?? {})) this.#own.set(id, callback);
  }

  /** Takes a callback that the program has added: @returns {?function} */
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
