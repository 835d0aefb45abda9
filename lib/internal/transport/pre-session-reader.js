'use strict';

const { Framer } = require('./framer.js');
const { throwUncaught } = require('../native/dispatcher.js');

/**
 * These are methods of the base classes, because those of SockhopSocket would count the listener as
 * one of the program.
 */
const { prependListener, removeListener } = require('../originals.js');

/**
 * Receives the frames that the stream still held when the server took over.
 *
 * @typedef {object} FrameReceiver
 * @property {function(string): void} receive
 * @property {function(number): void} tooLarge a frame is longer than the limit
 * @property {function(Buffer): void} begin the stream is empty: the native side reads from now on,
 *   beginning with these bytes of a frame
 */

/**
 * Reads a connection for the program before the server reads it: in `start()` of its session.
 *
 * Bytes pass the stream as with any `net.Socket`: the kernel is read once each time the stream has
 * room. When the server takes over, the bytes that the program has not read are divided into frames
 * here. Then the native side continues to read.
 */
class PreSessionReader {
  #socket;
  #connection;
  /** The number of bytes that have arrived here. */
  #receivedBytes = 0;
  /** The number of bytes that the native side has read; null until reading has stopped. */
  #readBytes = null;
  /**
   * Bytes that have arrived since then, before they are in the stream; null is the end.
   *
   * @type {Array<?Buffer>}
   */
  #afterStop = [];
  /** Set when the server takes over: @type {?FrameReceiver & {framer: Framer, limit: number}} */
  #successor = null;
  #onData = (chunk) => this.#receiveChunk(chunk);

  /**
   * @param {net.Socket} socket
   * @param {object} connection the native connection
   */
  constructor(socket, connection) {
    this.#socket = socket;
    this.#connection = connection;
  }

  /** The stream has room. */
  read() {
    if (this.#readBytes === null) this.#connection.readEarly();
  }

  /** @param {?Buffer} bytes null at the end */
  received(bytes) {
    this.#receivedBytes += bytes?.length ?? 0;
    if (this.#readBytes === null) {
      this.#socket.push(bytes);
      return;
    }
    this.#afterStop.push(bytes);
    if (this.#successor !== null) this.#finishIfEmpty();
  }

  /** The session has started: bytes that the program has not read are for the server. */
  stop() {
    if (this.#readBytes !== null) return;
    this.#readBytes = this.#connection.stopEarly();
    this.keep();
  }

  /** Keeps the stream from discarding bytes, which it does if it flows without a listener. */
  keep() {
    const socket = this.#socket;
    if (socket.readableFlowing === true && socket.listenerCount('data') === 0) {
      socket.readableFlowing = null;
    }
  }

  /**
   * The server takes over.
   *
   * @param {{terminator: string[], max_message_size: number}} options
   * @param {FrameReceiver} successor
   */
  handOver({ terminator, max_message_size: limit }, successor) {
    this.stop();
    this.#successor = { ...successor, framer: new Framer(terminator[0], limit), limit };
    // This listener comes before those of the program: if one throws, later listeners get no bytes.
    prependListener.call(this.#socket, 'data', this.#onData);
    if (this.#socket.readableFlowing !== false) this.#socket.resume();
    this.#finishIfEmpty();
  }

  /** The program and the server both get the bytes that the stream held. */
  #receiveChunk(chunk) {
    const { framer, receive, tooLarge, limit } = this.#successor;
    const socket = this.#socket;
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk, socket.readableEncoding ?? 'utf8') : chunk;
    const { frames, fits } = framer.push(bytes);
    for (const text of frames) {
      if (socket.destroyed) return;
      receive(text);
    }
    if (!fits) tooLarge(limit);
    this.#finishIfEmpty();
  }

  #finishIfEmpty() {
    const socket = this.#socket;
    while (this.#afterStop.length > 0) {
      try {
        socket.push(this.#afterStop.shift());
      } catch (err) {
        // A listener of the program has thrown. The bytes that follow are for the server
        // nevertheless.
        throwUncaught(err);
      }
    }
    if (this.#successor === null || socket.destroyed) return;
    if (this.#receivedBytes !== this.#readBytes || socket.readableLength > 0) return;
    const { framer, begin } = this.#successor;
    this.#successor = null;
    removeListener.call(socket, 'data', this.#onData);
    const pending = framer.pending();
    this.#connection.beginFrame(pending);
    begin(pending);
  }
}

module.exports = { PreSessionReader };
