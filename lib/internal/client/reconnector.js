'use strict';

const { AsyncResource } = require('node:async_hooks');

/**
 * Connects a client again at an interval while `auto_reconnect` is on.
 *
 * The timer runs from the construction of the client on, so `auto_reconnect` takes effect at its
 * next beat. It keeps the process alive while `auto_reconnect` is on, unless the program called
 * `unref()` on it. Only a client with `auto_reconnect` on is kept from being collected.
 */
class Reconnector {
  #client;
  /** The client, while `auto_reconnect` is on: keeps it from being collected. */
  #retained = null;
  /** The value that the program assigned to `auto_reconnect`. */
  #enabled = false;
  /** The asynchronous context in which `auto_reconnect` was turned on: @type {?AsyncResource} */
  #scope = null;
  /** The functions of the timer that this replaced by its own; null if the timer has none. */
  #ref = null;
  #unref = null;
  /** The function of the timer that the program called last: @type {?('ref'|'unref')} */
  #wish = null;

  /**
   * @param {import('../../SockhopClient.js')} client whose `_perform_auto_reconnect()` is called
   * @param {number} interval in ms
   */
  constructor(client, interval) {
    this.#client = new WeakRef(client);
    /** The timer, as `setInterval()` returned it. */
    this.timer = setInterval(() => this.#beat(), interval);
    this.#interceptRef(this.timer);
  }

  /** The value that was assigned; any truthy value turns reconnecting on. */
  get enabled() {
    return this.#enabled;
  }

  set enabled(value) {
    const changed = Boolean(value) !== Boolean(this.#enabled);
    this.#enabled = value;
    if (!changed) return;
    this.#scope = value ? new AsyncResource('SOCKHOPCLIENT') : null;
    this.#retained = value ? this.#client.deref() : null;
    this.#applyRef();
  }

  /** Calls a function in the context in which `auto_reconnect` was turned on. */
  run(connect) {
    this.#scope.runInAsyncScope(connect);
  }

  #beat() {
    const client = this.#retained ?? this.#client.deref();
    if (client === undefined) clearInterval(this.timer);
    else client._perform_auto_reconnect();
  }

  /** Replaces `ref()` and `unref()` of the timer. A timer of a fake clock may have neither. */
  #interceptRef(timer) {
    if (typeof timer?.ref !== 'function' || typeof timer.unref !== 'function') return;
    this.#ref = timer.ref.bind(timer);
    this.#unref = timer.unref.bind(timer);
    for (const wish of ['ref', 'unref']) {
      Object.defineProperty(timer, wish, {
        configurable: true,
        writable: true,
        value: () => {
          this.#wish = wish;
          this.#applyRef();
          return timer;
        },
      });
    }
    this.#applyRef();
  }

  #applyRef() {
    const keepsAlive = this.#wish === 'ref' || (this.#enabled && this.#wish !== 'unref');
    if (keepsAlive) this.#ref?.();
    else this.#unref?.();
  }
}

module.exports = { Reconnector };
