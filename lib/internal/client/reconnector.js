'use strict';

const { AsyncResource } = require('node:async_hooks');

const { Backoff } = require('./backoff.js');

/**
 * Connects a client again while `auto_reconnect` is on.
 *
 * At steady times, as in 1.8.4, a timer runs from the construction of the client on, so that
 * `auto_reconnect` takes effect at its next beat. It keeps the process alive while `auto_reconnect`
 * is on, unless the program called `unref()` on it. At growing or random times, the timer of an
 * attempt starts when the client has neither a connection nor an attempt. Only `auto_reconnect`
 * keeps a client from being garbage collected.
 */
class Reconnector {
  #client;
  #backoff;
  /**
   * The client, while `auto_reconnect` is on: this reference keeps it from being garbage collected.
   */
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
  /** @type {'idle'|'connecting'|'connected'} */
  #state = 'idle';
  /** When the connection was made, by `performance.now()`. */
  #connectedAt = 0;
  /** The attempts since the last connection that held. */
  #attempts = 0;
  /** The time before the next attempt, in ms. */
  #delay;
  /** The timer of the next attempt, at growing or random times. */
  #planned = null;

  /**
   * @param {import('../../SockhopClient.js')} client whose `_perform_auto_reconnect()` is called
   * @param {object} options of the client, as checked
   */
  constructor(client, options) {
    this.#client = new WeakRef(client);
    this.#backoff = new Backoff(options);
    this.#delay = options.auto_reconnect_interval;
    /** The timer of steady times, as `setInterval()` returned it: null at other times. */
    this.timer = null;
    if (!this.#backoff.isSteady) return;
    this.timer = setInterval(() => this.#beat(), options.auto_reconnect_interval);
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
    this.#plan();
  }

  /**
   * The client has begun or ended an attempt or a connection.
   *
   * @param {'idle'|'connecting'|'connected'} state
   */
  setState(state) {
    if (state === this.#state) return;
    const now = performance.now();
    if (this.#state === 'connected' && this.#backoff.hasHeld(now - this.#connectedAt)) {
      this.#attempts = 0;
    }
    if (state === 'connected') this.#connectedAt = now;
    this.#state = state;
    this.#plan();
  }

  /**
   * Begins an attempt.
   *
   * @param {function(number, number): void} connect is called with the number of the attempt, from
   *   1, and the time before it in ms, in the context in which `auto_reconnect` was turned on
   */
  run(connect) {
    this.#attempts += 1;
    this.#scope.runInAsyncScope(connect, undefined, this.#attempts, this.#delay);
  }

  #beat() {
    const client = this.#retained ?? this.#client.deref();
    if (client === undefined) clearInterval(this.timer);
    else client._perform_auto_reconnect();
  }

  /** Starts the timer of the next attempt if the client waits for one, or stops it if not. */
  #plan() {
    if (this.#backoff.isSteady) return;
    if (!this.#enabled || this.#state !== 'idle') {
      clearTimeout(this.#planned);
      this.#planned = null;
    } else if (this.#planned === null) {
      this.#delay = this.#backoff.delay(this.#attempts);
      this.#planned = setTimeout(() => {
        this.#planned = null;
        try {
          this.#beat();
        } finally {
          // A method of the program may have made no attempt.
          this.#plan();
        }
      }, this.#delay);
    }
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
