'use strict';

const { clearTimeout, setTimeout } = require('../real-timers.js');

/** Messages that may wait for earlier ones, in bytes. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

/**
 * Reads the messages to all clients that this node has missed while it was without the broker, from
 * a log that the broker keeps.
 *
 * A position in the log is noted at an interval. The oldest one is so old that all messages before
 * it have arrived, even if the loss of the broker was noticed late. Repeated messages are dropped.
 */
class Replay {
  /** @type {ClusterEngine} */
  #engine;
  #subject;
  #length;
  #deliver;
  #interval;
  #maxPositions;
  /** The oldest one first. @type {Array} */
  #positions = [];
  /** Messages that wait until the earlier ones are read; null: none wait. @type {?Uint8Array[]} */
  #held = null;
  #heldBytes = 0;
  /** Counts the losses of the broker: reading that began before a loss stops. */
  #epoch = 0;
  #timer = null;

  /**
   * @param {ClusterEngine} engine
   * @param {object} settings
   * @param {string} settings.subject of messages to all clients
   * @param {number} settings.length how many of them the broker keeps
   * @param {number} settings.interval between two positions, in ms
   * @param {number} settings.nodeTimeout after which the loss of the broker is noticed, in ms
   * @param {function(Uint8Array): void} settings.deliver
   */
  constructor(engine, { subject, length, interval, nodeTimeout, deliver }) {
    this.#engine = engine;
    this.#subject = subject;
    this.#length = length;
    this.#interval = interval;
    this.#maxPositions = Math.ceil(nodeTimeout / interval) + 2;
    this.#deliver = deliver;
  }

  /** Whether earlier messages may still arrive. */
  get isBehind() {
    return this.#held !== null;
  }

  /** Makes the broker keep a log. @returns {Promise<void>} */
  async prepare() {
    await this.#engine.record(this.#subject, this.#length);
    this.#positions = [await this.#engine.position()];
  }

  /** The broker is lost: messages that arrive from now on wait for those that are missed. */
  hold() {
    this.#epoch += 1;
    clearTimeout(this.#timer);
    this.#held ??= [];
  }

  /** @returns {boolean} whether a message waits */
  holds(subject, bytes) {
    if (this.#held === null || subject !== this.#subject) return false;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_HELD_BYTES) {
      this.#epoch += 1;
      this.#release();
      this.#note();
    }
    return true;
  }

  /** The broker is reached, and messages arrive: reads those before them. */
  async catchUp() {
    if (this.#held !== null) {
      const epoch = this.#epoch;
      try {
        await this.#engine.record(this.#subject, this.#length);
        for await (const bytes of this.#engine.read(this.#positions[0])) {
          if (epoch !== this.#epoch) return;
          this.#deliver(bytes);
        }
      } catch {
        // The event `gap` reports the missing messages.
      }
      if (epoch !== this.#epoch) return;
      this.#release();
    }
    await this.#note();
  }

  #release() {
    const held = this.#held;
    this.#held = null;
    this.#heldBytes = 0;
    for (const bytes of held) this.#deliver(bytes);
  }

  async #note() {
    const epoch = this.#epoch;
    try {
      const position = await this.#engine.position();
      if (epoch === this.#epoch) this.#positions.push(position);
      if (this.#positions.length > this.#maxPositions) this.#positions.shift();
    } catch {
      // The engine reports the loss of the broker.
    }
    if (epoch !== this.#epoch) return;
    this.#timer = setTimeout(() => this.#note(), this.#interval);
    this.#timer.unref?.();
  }

  close() {
    this.#epoch += 1;
    clearTimeout(this.#timer);
    this.#held = null;
  }
}

module.exports = { Replay };
