'use strict';

const { clearTimeout, now, setTimeout } = require('../real-timers.js');
const { isExiting } = require('../transport/write-coalescer.js');
const { away } = require('./errors.js');
const { Parcels } = require('./parcels.js');

/** The time between two confirmations that are asked for, in ms. */
const FLUSH_MS = 20;
/** This many bytes are confirmed without waiting for the time to pass. */
const FLUSH_BYTES = 256 * 1024;
/** Above this many bytes that are not with the kernel, programs have to wait. */
const HIGH_WATER = 8 * 1024 * 1024;
/** The time between two looks at the bytes that are not with the kernel, in ms. */
const LOOK_MS = 10;
/** The cost of a message in addition to its bytes. */
const OVERHEAD = 256;
/** The queue is copied without the confirmed messages at its beginning beyond this number. */
const COMPACT = 1024;

/** The outboxes that are not closed. @type {Set<Outbox>} */
const all = new Set();

let isExitAwaited = false;

/** No tick follows an exit: messages of this one leave now, as those to local clients do. */
function awaitExit() {
  if (isExitAwaited) return;
  isExitAwaited = true;
  process.on('exit', () => {
    for (const outbox of all) outbox.publishAtExit();
  });
}

/**
 * A message that is kept until the broker has confirmed it.
 *
 * @typedef {object} Kept
 * @property {string} subject
 * @property {Uint8Array} bytes
 * @property {number} [ticket] for the report that it has no receiver
 * @property {number} bseq the number of the last message to all nodes
 * @property {boolean} isToNode whether it is for a single node
 * @property {boolean} isPublished
 * @property {boolean} isSentAgain
 * @property {boolean} isCancelled
 */

/**
 * The outgoing messages of a node, in order. Each one is kept until the broker has confirmed it.
 * While the broker is away, messages are held, within limits; later they are published again, and
 * receivers drop those that they have.
 */
class Outbox {
  /** @type {ClusterEngine} */
  #engine;
  #holdSize;
  #holdTime;
  /** Marks a message as sent again: @type {function(Kept): Uint8Array} */
  #markSentAgain;
  /** @type {Kept[]} */
  #kept = [];
  /** The index of the first message that is not confirmed. */
  #first = 0;
  #bytes = 0;
  #bytesSinceFlush = 0;
  /** Messages that are published at the end of the tick. */
  #parcels;
  /** Since when messages are held; null while they are published at once: @type {?number} */
  #heldSince = now();
  #isFlushing = false;
  #timer = null;
  /** Calls of `ready()`. @type {Function[]} */
  #waiting = [];
  #looking = null;
  #isClosed = false;

  /** The number of the last confirmed message to all nodes. */
  confirmed = 0;
  /** The number of the last published message to all nodes. */
  published = 0;
  /** How many messages were published again. */
  republished = 0;

  /**
   * @param {ClusterEngine} engine
   * @param {object} settings
   * @param {number} settings.holdSize bytes that may be kept
   * @param {number} settings.holdTime how long messages are taken while the broker is away, in ms
   * @param {function(Kept): Uint8Array} settings.markSentAgain
   */
  constructor(engine, { holdSize, holdTime, markSentAgain }) {
    this.#engine = engine;
    this.#parcels = new Parcels(engine);
    this.#holdSize = holdSize;
    this.#holdTime = holdTime;
    this.#markSentAgain = markSentAgain;
    all.add(this);
    awaitExit();
  }

  /** Bytes that are kept. */
  get bytes() {
    return this.#bytes;
  }

  /** @param {number} maxPayload the longest message that the engine takes, in bytes */
  limitPayload(maxPayload) {
    this.#parcels.limit(maxPayload);
  }

  get isOpen() {
    return this.#heldSince === null;
  }

  /**
   * @param {number} size of a message
   * @returns {?SockhopError} if it cannot be kept now
   */
  refusal(size) {
    if (this.#bytes + size + OVERHEAD > this.#holdSize) {
      return away(`${this.#bytes} bytes wait for the broker, and "hold_size" is ${this.#holdSize}`);
    }
    if (this.#heldSince !== null && now() - this.#heldSince > this.#holdTime) {
      return away(`the broker has been away for more than ${this.#holdTime} ms ("hold_time")`);
    }
    return null;
  }

  /**
   * Publishes a message at the end of the tick, or holds it.
   *
   * @param {{subject: string, bytes: Uint8Array, ticket: ?number, bseq: number, isToNode: boolean}} what
   * @returns {Kept}
   */
  push({ subject, bytes, ticket, bseq, isToNode }) {
    const message = {
      subject,
      bytes,
      ticket,
      bseq,
      isToNode,
      isPublished: false,
      isSentAgain: false,
      isCancelled: false,
    };
    this.#kept.push(message);
    this.#bytes += bytes.length + OVERHEAD;
    if (this.isOpen) this.#publish(message);
    return message;
  }

  #publish(message) {
    message.isPublished = true;
    this.published = message.bseq;
    this.#parcels.add(message);
    this.#bytesSinceFlush += message.bytes.length;
    if (isExiting()) this.publishAtExit();
    else this.#flushSoon();
  }

  /**
   * The process ends with this tick, so the client of the broker must write its messages. A client
   * that asks for a confirmation writes all earlier messages at once.
   */
  async publishAtExit() {
    if (!this.isOpen) return;
    this.#parcels.send();
    try {
      await this.#engine.flush();
    } catch {
      // The broker is away.
    }
  }

  /** Publishes the messages that wait for the end of the tick, so that others can follow them. */
  publishGathered() {
    this.#parcels.send();
  }

  /** @returns {number[]} the tickets of all messages that were published together with this one */
  ticketsOf(ticket) {
    return this.#parcels.ticketsOf(ticket);
  }

  /** A message that is held need not be sent any more. @returns {boolean} whether it never was */
  cancel(message) {
    if (message.isPublished || message.isCancelled) return false;
    message.isCancelled = true;
    this.#bytes -= message.bytes.length;
    message.bytes = null;
    return true;
  }

  // ---- the state of the broker ------------------------------------------------------------------

  /** The broker is away. */
  hold() {
    this.#heldSince ??= now();
    // The messages are in `#kept`, and are published again later.
    this.#parcels.discard();
  }

  /** The broker and the other nodes are back: publishes everything that is not confirmed. */
  release() {
    if (this.isOpen || this.#isClosed) return;
    this.#heldSince = null;
    const again = this.#kept.slice(this.#first);
    for (const message of again) {
      if (message.isCancelled) continue;
      if (message.isPublished) {
        message.bytes = this.#markSentAgain(message);
        message.isSentAgain = true;
        this.republished += 1;
      }
      this.#publish(message);
    }
  }

  /** Forgets everything. @returns {Kept[]} the messages that were never published */
  close() {
    all.delete(this);
    this.#isClosed = true;
    this.#parcels.send();
    this.#heldSince ??= now();
    clearTimeout(this.#timer);
    clearTimeout(this.#looking);
    this.#wakeWaiting();
    const lost = this.#kept
      .slice(this.#first)
      .filter(({ isPublished, isCancelled }) => !isPublished && !isCancelled);
    this.#kept = [];
    this.#first = 0;
    this.#bytes = 0;
    return lost;
  }

  // ---- confirmation -----------------------------------------------------------------------------

  #flushSoon() {
    if (this.#isFlushing) return;
    if (this.#bytesSinceFlush >= FLUSH_BYTES) {
      clearTimeout(this.#timer);
      this.#timer = null;
      this.#flush();
      return;
    }
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#flush();
    }, FLUSH_MS);
    this.#timer.unref?.();
  }

  async #flush() {
    if (!this.isOpen || this.#first === this.#kept.length) return;
    this.#isFlushing = true;
    this.#bytesSinceFlush = 0;
    const last = this.#kept.at(-1);
    this.#parcels.send();
    try {
      await this.#engine.flush();
      this.#confirm(last);
    } catch {
      // The messages stay until the broker is back.
    }
    this.#isFlushing = false;
    if (this.isOpen && this.#first < this.#kept.length) this.#flushSoon();
  }

  /** The broker has this message, and all before it. */
  #confirm(last) {
    const end = this.#kept.indexOf(last, this.#first) + 1;
    if (end === 0) return;
    for (; this.#first < end; this.#first += 1) {
      const message = this.#kept[this.#first];
      this.#bytes -= (message.isCancelled ? 0 : message.bytes.length) + OVERHEAD;
      this.#parcels.forget(message);
    }
    this.confirmed = last.bseq;
    if (this.#first === this.#kept.length) {
      this.#kept = [];
      this.#first = 0;
    } else if (this.#first > COMPACT) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
  }

  // ---- back-pressure ----------------------------------------------------------------------------

  /** @returns {?Promise<void>} to wait for before more is published; null: nothing to wait for */
  ready() {
    if (!this.isOpen || this.#engine.pending() <= HIGH_WATER) return null;
    this.#look();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #look() {
    this.#looking ??= setTimeout(() => {
      this.#looking = null;
      if (this.isOpen && this.#engine.pending() > HIGH_WATER) this.#look();
      else this.#wakeWaiting();
    }, LOOK_MS);
  }

  #wakeWaiting() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

module.exports = { Outbox };
