'use strict';

const { kReleaseRetained, kHasBufferedPackets, kRetain } = require('../symbols.js');
const { clearTimeout, setTimeout } = require('../real-timers.js');

/** Characters in one step: each step crosses to the native side. */
const STEP = 64 * 1024;
/**
 * A consumer that takes nothing for so long, in ms, may wait for a message behind the packets. Then another step is read,
 * and twice as much after each further pause, until it takes a packet.
 */
const STALL_MS = 1000;
const PAUSE_MS = 100;

/**
 * The packets of one connection that iterators keep until the program takes them. They count as bytes that the program
 * has not read, so a slow consumer stops the reader at "receive_high_water_mark".
 *
 * A consumer may wait for something else that comes over the same connection. So nothing counts while a callback or
 * another stream waits for an answer, and of the rest less and less while nothing is taken.
 */
class Backlog {
  #transport;
  #somethingElsePending;
  /** Characters kept. */
  #length = 0;
  /** Characters that the reader was told of. */
  #retained = 0;
  /** Characters that do not count, because nothing was taken for a while. */
  #allowance = 0;
  #timer = null;
  /** Something was taken since the timer was set. */
  #tookSinceTimer = false;

  /**
   * @param {SockhopSocket|StreamTransport} transport stops its reader
   * @param {function(): boolean} awaits whether something else waits for an answer
   */
  constructor(transport, somethingElsePending) {
    this.#transport = transport;
    this.#somethingElsePending = somethingElsePending;
  }

  /** A packet of `length` characters is kept. */
  add(length) {
    this.#length += length;
    if (this.#length - this.#allowance - this.#retained >= STEP) this.review();
  }

  /** Packets of `length` characters were taken, or given up. */
  take(length) {
    this.#length -= length;
    this.#allowance = 0;
    this.#tookSinceTimer = true;
    if (this.#retained > this.#length) this.review();
  }

  /** Tells the reader as much as counts now. */
  review() {
    const counted = this.#somethingElsePending() ? 0 : Math.max(0, this.#length - this.#allowance);
    const target = counted - (counted % STEP);
    const change = target - this.#retained;
    this.#retained = target;
    if (change > 0) this.#transport[kRetain](change);
    else if (change < 0) this.#transport[kReleaseRetained](-change);
    this.#watch();
  }

  #watch() {
    if (this.#retained === 0) {
      clearTimeout(this.#timer);
      this.#timer = null;
    } else if (this.#timer === null) {
      const delay = this.#allowance === 0 ? STALL_MS : PAUSE_MS;
      this.#tookSinceTimer = false;
      this.#timer = setTimeout(() => {
        this.#timer = null;
        if (!this.#tookSinceTimer) this.#allowance = Math.max(STEP, this.#allowance * 2);
        this.review();
      }, delay);
      this.#timer.unref?.();
    }
  }
}

/** @returns {boolean} whether a stream has nothing that its program could take: it waits for its peer */
function awaitsPackets(stream) {
  return !stream[kHasBufferedPackets]?.();
}

module.exports = { Backlog, awaitsPackets };
