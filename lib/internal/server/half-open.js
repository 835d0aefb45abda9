'use strict';

const realTimers = require('../real-timers.js');
const { kTraffic } = require('../symbols.js');

/**
 * The time between two checks of the connections, in ms: a peer waits that long for the end after
 * its last answer.
 */
const CHECK_INTERVAL_MS = 10;

const noop = () => {};

/**
 * The connections of a server with `allow_half_open` whose peers have ended their direction and
 * continue to read.
 *
 * Each is ended as soon as it owes the peer no answer. Only the program knows whether a JSON peer
 * waits for one, so the program ends such a connection. A connection to which nothing was sent for
 * some time is ended in any case.
 */
class HalfOpenConnections {
  /** The public object, whose methods a program may override. */
  #server;
  /** The longest time without a byte to the peer, in ms. */
  #timeout;
  /**
   * The connections, each with the bytes that it had sent at the last change, and the time of that.
   *
   * @type {Map<MessageChannel, {sent: number, since: number}>}
   */
  #progress = new Map();

  /**
   * @param {object} server
   * @param {number} timeout in ms
   */
  constructor(server, timeout) {
    this.#server = server;
    this.#timeout = timeout;
  }

  /** The peer of a connection has ended its direction. */
  add(channel) {
    this.#progress.set(channel, { sent: -1, since: 0 });
    if (this.#progress.size === 1) this.#lookLater();
  }

  /** A connection is over. */
  forget(channel) {
    this.#progress.delete(channel);
  }

  #lookLater() {
    // The connections keep the process alive.
    realTimers.setTimeout(() => this.#look(), CHECK_INTERVAL_MS).unref?.();
  }

  #look() {
    for (const [channel, progress] of this.#progress) {
      if (this.#isDone(channel) || this.#isStuck(channel, progress)) {
        this.#progress.delete(channel);
        this.#server.kill_socket(channel.socket)?.catch?.(noop);
      }
    }
    if (this.#progress.size > 0) this.#lookLater();
  }

  #isDone(channel) {
    if (channel.options.peer_type === 'json') return false;
    return channel.owedAnswers === 0 && channel.transport[kTraffic]().queued_bytes === 0;
  }

  #isStuck(channel, progress) {
    const now = realTimers.now();
    const { bytes_sent: sent } = channel.transport[kTraffic]();
    if (sent !== progress.sent) Object.assign(progress, { sent, since: now });
    return now - progress.since > this.#timeout;
  }
}

module.exports = { HalfOpenConnections };
