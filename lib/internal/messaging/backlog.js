'use strict';

const { connectionName, debug } = require('../diagnostics.js');
const { kHasBufferedPackets, kReleaseRetained, kRetain } = require('../symbols.js');
const { clearTimeout, setTimeout } = require('../real-timers.js');

/**
 * The transport gets changes in steps of this many characters: each call may cross to the native
 * side.
 */
const STEP = 64 * 1024;
/**
 * A consumer that takes no packet for this time, in ms, may be waiting for a later message. Then
 * one more step is read, and twice as many after each further pause, until the consumer takes a
 * packet.
 */
const STALL_MS = 1000;
const PAUSE_MS = 100;

/**
 * The response packets of one connection that iterators keep until the program takes them. They
 * count as unread, so a slow consumer stops reading at "receive_high_water_mark".
 *
 * The consumer may be waiting for another message of the same connection. So nothing counts as
 * unread while a callback or another response stream waits, and less and less while no packet is
 * taken.
 */
class Backlog {
  #channel;
  #somethingElsePending;
  /** Characters that are kept. */
  #length = 0;
  /** Characters that the transport counts as unread. */
  #retained = 0;
  /** Characters that do not count, because no packet was taken for some time. */
  #allowance = 0;
  #timer = null;
  /** Whether a packet was taken since the timer started. */
  #tookSinceTimer = false;

  /**
   * @param {MessageChannel} channel whose transport stops reading
   * @param {function(): boolean} somethingElsePending whether a callback or another response stream
   *   waits
   */
  constructor(channel, somethingElsePending) {
    this.#channel = channel;
    this.#somethingElsePending = somethingElsePending;
  }

  /** A packet of `length` characters is kept. */
  add(length) {
    this.#length += length;
    if (this.#length - this.#allowance - this.#retained >= STEP) this.review();
  }

  /** Packets of `length` characters are taken by the program, or discarded. */
  take(length) {
    this.#length -= length;
    this.#allowance = 0;
    this.#tookSinceTimer = true;
    if (this.#retained > this.#length) this.review();
  }

  /** Reports to the transport how much counts as unread now. */
  review() {
    // This is true for most requests.
    if (this.#length === 0 && this.#retained === 0) return;
    const counted = this.#somethingElsePending() ? 0 : Math.max(0, this.#length - this.#allowance);
    const target = counted - (counted % STEP);
    const change = target - this.#retained;
    this.#retained = target;
    const { transport } = this.#channel;
    if (change !== 0)
      debug?.(
        '%s: response packets that wait for the program, in characters: %d',
        connectionName(this.#channel.socket),
        target,
      );
    if (change > 0) transport[kRetain](change);
    else if (change < 0) transport[kReleaseRetained](-change);
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

/**
 * @returns {boolean} whether a response stream has no packet for its program, which waits for the
 *   peer
 */
function awaitsPackets(stream) {
  return !stream[kHasBufferedPackets]?.();
}

module.exports = { Backlog, awaitsPackets };
