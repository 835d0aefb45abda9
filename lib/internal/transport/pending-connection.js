'use strict';

const { CLOSED, REFUSED, WRITTEN } = require('./write-result.js');

/** The position of an end before which nothing was written. A position is never 0. */
const END_OF_NOTHING = 0.5;

/**
 * Takes the place of the native connection of a socket that is connecting. It has the methods of a
 * native connection. It keeps everything that is written, and the last call of each method that
 * sets something, and later passes both on to the native connection. Positions count bytes of the
 * outgoing stream, as the native side counts them.
 */
class PendingConnection {
  /** A native connection has no such property. */
  isPending = true;
  #chunks = [];
  #length = 0;
  #ended = false;
  #closed = false;
  #limit;
  /** The last call for each setting: name -> [method, ...arguments] */
  #settings = new Map();

  /** @param {{send_high_water_mark: number, slow_consumer: string}} options */
  constructor({ send_high_water_mark, slow_consumer }) {
    this.#limit = slow_consumer === 'wait' ? Number.POSITIVE_INFINITY : send_high_water_mark;
  }

  // ---- writing ----------------------------------------------------------------------------------

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

  /** The end of everything that was written so far. */
  get position() {
    return this.#length || END_OF_NOTHING;
  }

  // ---- settings ---------------------------------------------------------------------------------

  pause() {
    this.#settings.set('reading', ['pause']);
  }

  resume() {
    this.#settings.set('reading', ['resume']);
  }

  hold(on) {
    this.#set('hold', on);
  }

  setBytesOnly() {
    this.#set('setBytesOnly');
  }

  setKeepAlive(on, initialDelay) {
    this.#set('setKeepAlive', on, initialDelay);
  }

  setNoDelay(on) {
    this.#set('setNoDelay', on);
  }

  setRaw(on) {
    this.#set('setRaw', on);
  }

  setShowControl(on) {
    this.#set('setShowControl', on);
  }

  #set(method, ...args) {
    this.#settings.set(method, [method, ...args]);
  }

  // ---- reading: nothing has arrived -------------------------------------------------------------

  start() {
    return false;
  }

  readEarly() {}

  stopEarly() {
    return 0;
  }

  beginFrame() {}

  retain() {}

  releaseRetained() {}

  // ---- pings: none was sent ---------------------------------------------------------------------

  ping() {}

  nextPing() {
    return false;
  }

  pings() {
    return [];
  }

  pong() {}

  clearPings() {}

  roundTrip() {
    return null;
  }

  // ---- state ------------------------------------------------------------------------------------

  get id() {
    return undefined;
  }

  hasLoopbackPeer() {
    return false;
  }

  addresses() {
    return [null, null];
  }

  peerCredentials() {
    return null;
  }

  waiting() {
    return [this.#length, this.position];
  }

  idleTime() {
    return Number.POSITIVE_INFINITY;
  }

  traffic() {
    return { bytesIn: 0, bytesOut: 0, queued: this.#length, refused: 0, unread: 0 };
  }

  // ---- the connection is made -------------------------------------------------------------------

  /**
   * Passes everything on to the native connection.
   *
   * @param {object} connection
   * @returns {number} the result of its `write()` for everything that was written
   */
  handOver(connection) {
    for (const [method, ...args] of this.#settings.values()) connection[method](...args);
    let sent = WRITTEN;
    if (this.#chunks.length > 0) sent = connection.writeBytes(Buffer.concat(this.#chunks));
    this.#chunks = [];
    return this.#ended ? connection.end() : sent;
  }

  /**
   * Passes everything that was written on to a stream, which connects in its place.
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
}

module.exports = { PendingConnection };
