'use strict';

/**
 * The interval of a client at which it may connect by itself.
 *
 * It runs from the construction of the client on, so that `auto_reconnect` takes effect at the next beat. It
 * keeps the process alive while `auto_reconnect` is on, unless the program called `unref()` on it, and keeps no
 * client from being collected.
 */
class ReconnectTimer {
  #client;
  #ref = null;
  #unref = null;
  #on = false;
  /** The last call of the program: @type {?('ref'|'unref')} */
  #wish = null;

  /**
   * @param {import('../../SockhopClient.js')} client whose `_perform_auto_reconnect()` is called
   * @param {number} interval in ms
   */
  constructor(client, interval) {
    this.#client = new WeakRef(client);
    /** What `setInterval()` answered. */
    this.handle = setInterval(() => this.#beat(), interval);
    this.#follow(this.handle);
  }

  /** Whether `auto_reconnect` is on. */
  set on(on) {
    this.#on = on;
    this.#apply();
  }

  #beat() {
    const client = this.#client.deref();
    if (client === undefined) clearInterval(this.handle);
    else client._perform_auto_reconnect();
  }

  /** Notices what the program wishes. Fake timers may be anything. */
  #follow(handle) {
    if (typeof handle?.ref !== 'function' || typeof handle.unref !== 'function') return;
    this.#ref = handle.ref.bind(handle);
    this.#unref = handle.unref.bind(handle);
    for (const wish of ['ref', 'unref']) {
      Object.defineProperty(handle, wish, {
        configurable: true,
        writable: true,
        value: () => {
          this.#wish = wish;
          this.#apply();
          return handle;
        },
      });
    }
    this.#apply();
  }

  #apply() {
    const keeps = this.#wish === 'ref' || (this.#on && this.#wish !== 'unref');
    if (keeps) this.#ref?.();
    else this.#unref?.();
  }
}

module.exports = { ReconnectTimer };
