'use strict';

const native = require('../native/binding.js');
const { CLOSED, REFUSED, WRITTEN } = require('./write-result.js');

/** The position of an end behind no bytes at all: it is still to come. */
const AT_ONCE = 0.5;

/**
 * Stands in for the native connection of a socket that is still connecting. It keeps what is written, in order, and
 * what is set, until there is a connection to give both to. Positions are those of the outgoing stream, as the native
 * side counts them.
 */
class PendingConnection {
  #chunks = [];
  #length = 0;
  #ended = false;
  #closed = false;
  #limit;
  /** What was called last of each kind: kind -> [method, ...arguments] */
  #settings = new Map();

  /** @param {{send_high_water_mark: number, slow_consumer: string}} options */
  constructor({ send_high_water_mark, slow_consumer }) {
    this.#limit = slow_consumer === 'wait' ? Number.POSITIVE_INFINITY : send_high_water_mark;
  }

  // ---- what is said -----------------------------------------------------------------------------

  write(text) {
    return this.writeBytes(Buffer.from(text));
  }

  writeBytes(bytes) {
    if (this.#ended || this.#closed) return CLOSED;
    if (this.#length >= this.#limit) return REFUSED;
    this.#chunks.push(bytes);
    this.#length += bytes.length;
    return this.position;
  }

  end() {
    if (this.#closed) return CLOSED;
    this.#ended = true;
    return this.position;
  }

  close() {
    this.#closed = true;
    this.#chunks = [];
  }

  /** What was written so far ends here. */
  get position() {
    return this.#length || AT_ONCE;
  }

  // ---- what is set ------------------------------------------------------------------------------

  pause() {
    this.#settings.set('flow', ['pause']);
  }

  resume() {
    this.#settings.set('flow', ['resume']);
  }

  start() {
    return false;
  }

  readEarly() {}

  stopEarly() {
    return 0;
  }

  beginFrame() {}

  // ---- what is asked ----------------------------------------------------------------------------

  get id() {
    return undefined;
  }

  isPaired() {
    return false;
  }

  isUnix() {
    return false;
  }

  addresses() {
    return [null, null];
  }

  agreement() {
    return null;
  }

  pings() {
    return [];
  }

  pong() {}

  roundTrip() {
    return null;
  }

  waiting() {
    return [this.#length, this.position];
  }

  silence() {
    return Number.POSITIVE_INFINITY;
  }

  traffic() {
    return { bytesIn: 0, bytesOut: 0, framesIn: 0, queued: this.#length, refused: 0 };
  }

  // ---- what becomes of it -----------------------------------------------------------------------

  /**
   * Gives all to a connection that is there.
   *
   * @param {object} connection the native one
   * @returns {number} as its `write` answers, for all that was written
   */
  handOver(connection) {
    for (const [method, ...args] of this.#settings.values()) connection[method](...args);
    let sent = WRITTEN;
    if (this.#chunks.length > 0) sent = connection.writeBytes(Buffer.concat(this.#chunks));
    this.#chunks = [];
    return this.#ended ? connection.end() : sent;
  }

  /**
   * Gives what was written to a stream that takes this one's place.
   *
   * @param {import('node:stream').Writable} stream
   * @param {function(?Error): void} done called when the stream has all of it
   */
  moveTo(stream, done) {
    const bytes = Buffer.concat(this.#chunks);
    this.#chunks = [];
    if (this.#ended) stream.end(bytes, done);
    else if (bytes.length > 0) stream.write(bytes, done);
    else done(null);
  }

  // Whatever else a connection can do is to set something.
  static {
    for (const name of Object.getOwnPropertyNames(native.Connection.prototype)) {
      if (name in PendingConnection.prototype) continue;
      PendingConnection.prototype[name] = function (...args) {
        this.#settings.set(name, [name, ...args]);
      };
    }
  }
}

module.exports = { PendingConnection };
