'use strict';

const { EventEmitter } = require('node:events');
const net = require('node:net');

const { Framer } = require('./framer.js');
const { throwUncaught } = require('../native/dispatcher.js');

/** Of the stream itself: the socket's own tell the native side that the program wants raw bytes. */
const { removeListener } = net.Socket.prototype;
const { prependListener } = EventEmitter.prototype;

/**
 * A connection that the program reads before the server does, in `start()` of its session. What comes goes through
 * the stream as with any `net.Socket`, a read of the kernel each time the stream has room. Once the server takes over,
 * what the program has not read is cut into frames, and then the native side goes on.
 */
class PreSessionReader {
  #socket;
  #connection;
  /** Bytes that came here. */
  #receivedBytes = 0;
  /** Bytes that were read of the connection, once reading has stopped. */
  #readBytes = null;
  /** What came since then, not in the stream yet; null is the end. @type {Array<?Buffer>} */
  #afterStop = [];
  /** Takes over: @type {?{framer: Framer, receive: Function, tooLarge: Function, begin: Function}} */
  #successor = null;
  #onData = (chunk) => this.#frame(chunk);

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

  /** @param {?Buffer} bytes what came; null is the end */
  received(bytes) {
    this.#receivedBytes += bytes?.length ?? 0;
    if (this.#readBytes === null) {
      this.#socket.push(bytes);
      return;
    }
    this.#afterStop.push(bytes);
    if (this.#successor !== null) this.#settle();
  }

  /** The program has its turn no more: what is not read yet is for the server. */
  stop() {
    if (this.#readBytes !== null) return;
    this.#readBytes = this.#connection.stopEarly();
    this.keep();
  }

  /** A stream that flows with no listener throws away what comes. */
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
   * @param {{receive: function(string): void, tooLarge: function(number): void, begin: function(Buffer): void}} heir gets
   *   the frames, and is to begin when there are no more
   */
  handOver({ terminator, max_message_size: limit }, successor) {
    this.stop();
    this.#successor = { ...successor, framer: new Framer(terminator[0], limit), limit };
    // Before the program's listeners: one that throws takes the bytes from those behind it.
    prependListener.call(this.#socket, 'data', this.#onData);
    if (this.#socket.readableFlowing !== false) this.#socket.resume();
    this.#settle();
  }

  /** What the program reads is the server's, too. */
  #frame(chunk) {
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
    this.#settle();
  }

  /** Ends this, if nothing is left. */
  #settle() {
    const socket = this.#socket;
    while (this.#afterStop.length > 0) {
      try {
        socket.push(this.#afterStop.shift());
      } catch (err) {
        // A listener of the program's threw. The bytes behind these are no less the server's.
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
