'use strict';

const { MAX_STRING_LENGTH } = require('node:buffer').constants;

const { SockhopPing } = require('../../SockhopPing.js');
const { HEADER } = require('../codec/format.js');
const { bytesOfFrames } = require('../codec/frames.js');
const { RICH_MESSAGE } = require('../codec/rich-format.js');
const { connectionName, debug } = require('../diagnostics.js');
const { handledRejection, socketDestroyed } = require('../errors/errors.js');
const { richStream, tooMuchEarly } = require('../messaging/channel-errors.js');
const { UNANSWERED_LIMIT } = require('../native/classes.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { WritePacing, callAtTickEnd } = require('./write-coalescer.js');
const { Framer, MixedFramer } = require('./framer.js');
const { addPart } = require('./parts.js');
const {
  kClearPings,
  kFlush,
  kHasCustomWrite,
  kHasShownPings,
  kMayTransmitBinary,
  kMayTransmitFrames,
  kNextPing,
  kOfferBinary,
  kOnPong,
  kPings,
  kReleaseRetained,
  kRetain,
  kRoundTrip,
  kSetBytesOnly,
  kSetShowControl,
  kStartReading,
  kStopPreSessionReading,
  kTraffic,
  kTransmit,
  kTransmitControl,
  kTransmitFrame,
  kUncountFrame,
  kWriteBytes,
} = require('../symbols.js');

const noop = () => {};
/** When a burst has this many bytes, it is written before the tick ends. */
const BURST_LENGTH = 64 * 1024;
/** The beginning of a ping or pong of this package or of 1.8.4. */
const CONTROL = /^\{"type":"SockhopP[io]ng"/;
/** The position of the type in a ping or pong, and its first letter: most messages differ there. */
const TYPE_START = 9;
const TYPE_LETTER = 'S'.charCodeAt(0);
const isControl = (text) => text.charCodeAt(TYPE_START) === TYPE_LETTER && CONTROL.test(text);

/**
 * The transport over a stream that the program gives a client or server: a `tls.TLSSocket`, a
 * `net.Socket`, a tunnel through a proxy. It does in JavaScript the work of the native side.
 *
 * @implements {Transport}
 */
class StreamTransport {
  #stream;
  #channel;
  #framer;
  /** The last pings, oldest first: @type {SockhopPing[]} */
  #pings = [];
  #roundTrip = null;
  #messagesReceived = 0;
  #messagesSent = 0;
  #bytesReceived = 0;
  /** The received bytes that were pings and pongs. */
  #controlBytes = 0;
  #bytesSent = 0;
  #pacing = new WritePacing();
  /** Rejects the promises of writes that the stream has not completed. */
  #pending = new Set();
  /**
   * The bytes of a burst behind the cork that this transport has put on the stream; -1 without a
   * cork.
   */
  #corked = -1;
  #tickEndScheduled = false;
  #maxMessageSize;
  /** The number of bytes that were delivered and count as unread. */
  #retained = 0;
  /** Reading stops at this many unread bytes. */
  #highWaterMark;
  /** Whether reading has stopped because of them. */
  #isStopped = false;
  #hasStarted = false;
  /** Bytes that arrived between the start of the session and `connect`: @type {?Uint8Array[]} */
  #early = null;
  #earlyLength = 0;
  /** Intervals of `ping()` in a row in which no bytes moved. */
  #idleIntervals = 0;
  /** The counters at the last of them. */
  #progress = { received: 0, waiting: 0 };

  /**
   * @param {import('node:stream').Duplex} stream
   * @param {{terminator: string[], max_message_size: number, receive_high_water_mark: number}}
   *   options
   * @param {MessageChannel} channel
   */
  constructor(stream, { terminator, max_message_size, receive_high_water_mark }, channel) {
    this.#stream = stream;
    this.#framer = new Framer(terminator[0], max_message_size);
    this.#channel = channel;
    this.#maxMessageSize = max_message_size;
    // Node 18 does not call back for writes behind a cork when the stream is destroyed.
    stream.on?.('close', () => {
      for (const reject of this.#pending) reject(socketDestroyed());
      this.#pending.clear();
    });
    this.#highWaterMark = receive_high_water_mark;
  }

  // ---- receiving --------------------------------------------------------------------------------

  /** The session has started: bytes that arrive from now on are for the server. */
  [kStopPreSessionReading]() {
    const stream = this.#stream;
    if (stream.readableFlowing === undefined) {
      // A stand-in for a stream keeps nothing by itself.
      this.#early = [];
      this.#listen();
    } else if (stream.readableFlowing) {
      stream.pause();
      // With `null` it flows again when the server listens to it.
      stream.readableFlowing = null;
    }
  }

  [kStartReading]() {
    if (this.#hasStarted || this.#stream.destroyed) return;
    this.#hasStarted = true;
    const early = this.#early;
    if (early === null) return this.#listen();
    this.#early = null;
    for (const chunk of early) this.#receive(chunk);
  }

  #listen() {
    this.#stream.on('data', (chunk) => {
      if (this.#early === null) this.#receive(chunk);
      else this.#keepEarly(chunk);
    });
  }

  /** A stand-in cannot be paused: one message and the receive mark are the most that is kept. */
  #keepEarly(chunk) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const limit = Math.min(this.#maxMessageSize, MAX_STRING_LENGTH) + this.#highWaterMark;
    const wasWithin = this.#earlyLength <= limit;
    this.#earlyLength += bytes.length;
    if (this.#earlyLength <= limit) addPart(this.#early, bytes);
    else if (wasWithin) {
      this.#early = [];
      this.#channel.onLimit(tooMuchEarly(limit));
    }
  }

  #receive(chunk) {
    const channel = this.#channel;
    this.#bytesReceived += chunk.length;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!channel.decodesItself()) return channel.receiveBytes(bytes);
    let cut;
    try {
      cut = this.#framer.push(bytes);
    } catch {
      // A frame is longer than a string can be.
      return channel.onTooLarge(Number.POSITIVE_INFINITY);
    }
    const { frames, fits } = cut;
    for (const frame of frames) {
      if (this.#stream.destroyed) return;
      this.#messagesReceived += 1;
      if (typeof frame === 'string') {
        if (isControl(frame)) this.#controlBytes += frame.length;
        channel.receiveSafely(frame);
      } else this.#receiveBinary(frame);
    }
    if (!fits) channel.onTooLarge(this.#maxMessageSize);
  }

  #receiveBinary(frame) {
    const channel = this.#channel;
    const text = frame.toString('utf8', HEADER, HEADER + frame.readUInt32LE(2));
    const message = channel.decode(text, 0, text.length, frame, 0, frame.length);
    if (message === null) return;
    try {
      channel.receiveDecoded(message, frame.length);
    } catch (err) {
      throwUncaught(err);
    }
  }

  /** Does nothing: the channel gets all frames. */
  [kSetShowControl]() {}

  /** Does nothing: the channel is asked with each chunk. */
  [kSetBytesOnly]() {}

  [kRetain](amount) {
    this.#retained += amount;
    const stream = this.#stream;
    if (this.#isStopped || this.#retained < this.#highWaterMark || stream.isPaused?.()) return;
    debug?.('%s: "receive_high_water_mark" is reached, reading stops', connectionName(stream));
    this.#isStopped = true;
    stream.pause();
    // With `null` the stream stays paused, and a pause() of the program makes it `false` again.
    stream.readableFlowing = null;
  }

  [kReleaseRetained](amount) {
    this.#retained -= amount;
    if (!this.#isStopped || this.#retained > this.#highWaterMark / 2) return;
    debug?.('%s: reading goes on', connectionName(this.#stream));
    this.#isStopped = false;
    if (this.#stream.readableFlowing !== false) this.#stream.resume();
  }

  // ---- sending ----------------------------------------------------------------------------------

  /**
   * Writes a message to the stream, in order with the bytes that the program writes. The messages
   * of a burst are corked, so that they are written together.
   *
   * @param {string} text of a frame, with its terminator
   * @returns {Promise<null>} fulfilled when the stream has written it; rejects with
   *   ERR_SOCKET_DESTROYED
   */
  [kTransmit](text) {
    return this.#write(Buffer.from(text), 1);
  }

  #write(bytes, messages) {
    const stream = this.#stream;
    const promise = new Promise((resolve, reject) => {
      if (stream.destroyed || stream.writableEnded) {
        return reject(socketDestroyed(this.#channel));
      }
      this.#messagesSent += messages;
      this.#bytesSent += bytes.length;
      this.#corkBurst(bytes.length);
      this.#pending.add(reject);
      stream.write(bytes, (err) => {
        this.#pending.delete(reject);
        if (err || stream.destroyed) reject(socketDestroyed());
        else resolve(null);
      });
    });
    promise.catch(noop);
    return promise;
  }

  /**
   * Corks the stream if a message is part of a burst, and uncorks it when the burst is long enough
   * or over.
   */
  #corkBurst(length) {
    const stream = this.#stream;
    if (!this.#tickEndScheduled) {
      this.#tickEndScheduled = true;
      callAtTickEnd(this);
    }
    if (this.#corked >= 0) {
      this.#corked += length;
      if (this.#corked >= BURST_LENGTH || this.#pacing.isBurstOver()) this[kFlush]();
    } else if (stream.writableLength === 0 && typeof stream.cork === 'function') {
      if (this.#pacing.mayWriteNow()) return;
      stream.cork();
      this.#corked = length;
    }
  }

  onTickEnd() {
    this.#tickEndScheduled = false;
    this[kFlush]();
    this.#pacing.onTickEnd();
  }

  /** Streams of the program only carry text frames. */
  get [kMayTransmitBinary]() {
    return false;
  }

  [kOfferBinary]() {
    return false;
  }

  /** Whether binary frames with rich values can be sent, and are read from now on. */
  get [kMayTransmitFrames]() {
    if (!(this.#framer instanceof MixedFramer)) {
      this.#framer = new MixedFramer(this.#channel.options.terminator[0], this.#maxMessageSize);
    }
    return true;
  }

  [kTransmitFrame]({ text, bytes }) {
    return this.#write(bytesOfFrames(text, [text.length, 0, bytes.length], bytes, RICH_MESSAGE), 1);
  }

  [kTransmitControl](text) {
    this.#write(Buffer.from(text), 0);
  }

  [kUncountFrame]() {
    this.#messagesReceived -= 1;
  }

  [kWriteBytes](bytes) {
    this.#messagesSent += 1;
    return new Promise((resolve, reject) => {
      this.#stream.write(bytes, (err) => (err ? reject(socketDestroyed()) : resolve(null)));
    });
  }

  /** Messages are written with the stream's `write()` in any case. */
  get [kHasCustomWrite]() {
    return false;
  }

  [kFlush]() {
    if (this.#corked < 0) return;
    this.#corked = -1;
    // The messages behind the cork are not counted; in a burst there are at least two.
    this.#pacing.recordWrites(2);
    this.#stream.uncork();
  }

  // ---- pings ------------------------------------------------------------------------------------

  [kNextPing]() {
    const ping = new SockhopPing();
    this.#idleIntervals = this.#haveBytesMoved() ? 0 : this.#idleIntervals + 1;
    this.#pings.push(ping);
    while (this.#pings.length > UNANSWERED_LIMIT) this.#pings.shift();
    const unanswered = this.#pings.filter((sent) => sent.unanswered()).length;
    if (unanswered < UNANSWERED_LIMIT || this.#idleIntervals < UNANSWERED_LIMIT - 1) return ping;
    this.#channel.onUnresponsive();
    return null;
  }

  /**
   * Whether bytes were received or sent since the last ping: then its pong may be waiting behind
   * others.
   */
  #haveBytesMoved() {
    const before = this.#progress;
    // A large chunk stays in the Writable until all of it is sent. Node's handle knows how much is
    // left.
    const queue = this.#stream._handle?.writeQueueSize;
    const waiting = queue ?? this.#stream.writableLength ?? 0;
    const received = this.#bytesReceived - this.#controlBytes;
    this.#progress = { received, waiting };
    const left = queue === undefined ? waiting < before.waiting : waiting !== before.waiting;
    return received > before.received || (before.waiting > 0 && left);
  }

  get [kPings]() {
    return this.#pings;
  }

  /** Changes of the program to `kPings` take effect at once, because there is no second list. */
  get [kHasShownPings]() {
    return false;
  }

  [kClearPings]() {
    this.#pings = [];
  }

  [kOnPong]({ data }) {
    for (const ping of this.#pings) {
      if (!ping.unanswered()) continue;
      ping.conclude_with_pong(data);
      if (!ping.unanswered()) this.#roundTrip = ping._finished - ping._created;
    }
  }

  // ---- counters ---------------------------------------------------------------------------------

  [kRoundTrip]() {
    return this.#roundTrip;
  }

  [kTraffic]() {
    return {
      messages_received: this.#messagesReceived,
      messages_sent: this.#messagesSent,
      bytes_received: this.#bytesReceived,
      bytes_sent: this.#bytesSent,
      queued_bytes: this.#stream.writableLength ?? 0,
    };
  }
}

/**
 * The transport over a socket that the server did not accept, but to which the program sends
 * through the server. The program has made the socket, or it is a stand-in of a test. It is not
 * read. Each message is written at its call, and its promise is settled with the result of the
 * socket's `write()`.
 */
class UnreadStreamTransport extends StreamTransport {
  #stream;

  constructor(stream, options, channel) {
    super(stream, options, channel);
    this.#stream = stream;
  }

  /** The socket is not read, so its peer cannot announce that it takes rich values. */
  get [kMayTransmitFrames]() {
    return false;
  }

  [kTransmitFrame]() {
    return handledRejection(richStream());
  }

  [kTransmit](text) {
    const stream = this.#stream;
    const promise = new Promise((resolve, reject) => {
      if (stream.destroyed) reject(socketDestroyed());
      else stream.write(Buffer.from(text), (err) => (err ? reject(err) : resolve(err)));
    });
    promise.catch(noop);
    return promise;
  }
}

module.exports = { StreamTransport, UnreadStreamTransport };
