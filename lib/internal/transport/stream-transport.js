'use strict';

const { SockhopPing } = require('../../SockhopPing.js');
const { socketDestroyed } = require('../errors/errors.js');
const { WritePacing, callAtTickEnd } = require('./write-coalescer.js');
const { Framer } = require('./framer.js');
const {
  kNextPing,
  kClearPings,
  kFlush,
  kHasCustomWrite,
  kHasShownPings,
  kReleaseRetained,
  kPings,
  kOnPong,
  kRetain,
  kRoundTrip,
  kSetBytesOnly,
  kSetShowControl,
  kStartReading,
  kTraffic,
  kTransmit,
  kWriteBytes,
} = require('../symbols.js');

const noop = () => {};
/** A burst leaves when so many bytes have gathered, even in mid-tick. */
const BURST_LENGTH = 64 * 1024;
/** A ping or a pong, as this kind of peer writes it. */
const CONTROL = /^\{"type":"SockhopP[io]ng"/;
/** So many pings in a row without an answer, and the peer counts as dead. */
const UNANSWERED_LIMIT = 4;

/**
 * What a `SockhopSocket` does for a native connection, for any stream that the program gives a client or a
 * server: a `tls.TLSSocket`, a `net.Socket`, a tunnel through a proxy. Its bytes go through the same framer.
 */
class StreamTransport {
  #stream;
  #framer;
  #pings = [];
  #roundTrip = null;
  #messagesIn = 0;
  #messagesOut = 0;
  #bytesIn = 0;
  /** Of those, pings and pongs. */
  #controlBytes = 0;
  #bytesOut = 0;
  #pacing = new WritePacing();
  /** Rejects what the stream has not passed on. */
  #pending = new Set();
  /** Bytes behind the cork that this has put on the stream, for a burst; -1 while there is none. */
  #corked = -1;
  /** The end of this tick will be told. */
  #tickEndScheduled = false;
  #limit;
  /** Bytes that have been delivered and wait for the program, and how many may. */
  #retained = 0;
  #mark;
  /** The stream is paused because of them. */
  #stops = false;
  #started = false;
  /** Beats of the ping timer in a row between which nothing moved, and what had moved at the last. */
  #still = 0;
  #progress = { received: 0, waiting: 0 };

  /**
   * @param {import('node:stream').Duplex} stream
   * @param {{terminator: string[], max_message_size: number, receive_high_water_mark: number}} options
   * @param {{receive(text: string): void, dead(): void, tooLarge(limit: number): void}} peer
   */
  constructor(stream, { terminator, max_message_size, receive_high_water_mark }, channel) {
    this.#stream = stream;
    this.#framer = new Framer(terminator[0], max_message_size);
    this.channel = channel;
    this.#limit = max_message_size;
    // Node 18 calls no callback of what is behind a cork when the stream is destroyed.
    stream.on('close', () => {
      for (const reject of this.#pending) reject(socketDestroyed());
      this.#pending.clear();
    });
    this.#mark = receive_high_water_mark;
  }

  /** Begins to read. */
  [kStartReading]() {
    if (this.#started || this.#stream.destroyed) return;
    this.#started = true;
    this.#stream.on('data', (chunk) => this.#receive(chunk));
  }

  #receive(chunk) {
    this.#bytesIn += chunk.length;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (!this.channel.decodesItself()) return this.channel.receiveBytes(bytes);
    let cut;
    try {
      cut = this.#framer.push(bytes);
    } catch {
      // The frame that this ends is longer than a string can be.
      return this.channel.onTooLarge(Number.POSITIVE_INFINITY);
    }
    const { frames, fits } = cut;
    for (const text of frames) {
      if (this.#stream.destroyed) return;
      this.#messagesIn += 1;
      if (CONTROL.test(text)) this.#controlBytes += text.length;
      this.channel.receiveSafely(text);
    }
    if (!fits) this.channel.onTooLarge(this.#limit);
  }

  /**
   * Sends the text of a frame, with its terminator, through the stream: in order with what the program writes to it. A
   * burst leaves together, as it does for a `SockhopSocket`.
   *
   * @param {string} text
   * @returns {Promise<null>} fulfilled when the stream has passed it on; rejects with ERR_SOCKET_DESTROYED
   */
  [kTransmit](text) {
    const stream = this.#stream;
    const promise = new Promise((resolve, reject) => {
      if (stream.destroyed || stream.writableEnded) return reject(socketDestroyed());
      const bytes = Buffer.from(text);
      this.#messagesOut += 1;
      this.#bytesOut += bytes.length;
      this.#gather(bytes.length);
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

  /** Puts a cork on the stream if a message of so many bytes is part of a burst, or takes it off again. */
  #gather(length) {
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

  /** So much that has been delivered still waits for the program: past the mark the stream is read no further. */
  [kRetain](amount) {
    this.#retained += amount;
    if (this.#stops || this.#retained < this.#mark || this.#stream.isPaused?.()) return;
    this.#stops = true;
    this.#stream.pause();
  }

  /** The program has taken so much of that. */
  [kReleaseRetained](amount) {
    this.#retained -= amount;
    if (!this.#stops || this.#retained > this.#mark / 2) return;
    this.#stops = false;
    this.#stream.resume();
  }

  onTickEnd() {
    this.#tickEndScheduled = false;
    this[kFlush]();
    this.#pacing.onTickEnd();
  }

  /** Sends bytes that the program made of a message. */
  [kWriteBytes](bytes) {
    this.#messagesOut += 1;
    return written(this.#stream, bytes);
  }

  /** All frames are given to the channel in any case. */
  [kSetShowControl]() {}

  /** The channel is asked with each chunk. */
  [kSetBytesOnly]() {}

  /** Messages are sent with `write()` in any case. */
  get [kHasCustomWrite]() {
    return false;
  }

  [kFlush]() {
    if (this.#corked < 0) return;
    this.#corked = -1;
    // Of a burst there are several.
    this.#pacing.recordWrites(2);
    this.#stream.uncork();
  }

  /** @returns {?SockhopPing} to be sent; null if the peer counts as unresponsive */
  [kNextPing]() {
    const ping = new SockhopPing();
    this.#still = this.#moves() ? 0 : this.#still + 1;
    this.#pings.push(ping);
    while (this.#pings.length > UNANSWERED_LIMIT) this.#pings.shift();
    const lost = this.#pings.filter((sent) => sent.unanswered()).length;
    if (lost < UNANSWERED_LIMIT || this.#still < UNANSWERED_LIMIT - 1) return ping;
    this.channel.onUnresponsive();
    return null;
  }

  /** Whether bytes came, or some that waited left, since the last beat: then the answer to a ping may be behind them. */
  #moves() {
    const before = this.#progress;
    // A large chunk stays in the Writable until all of it has left; a handle of Node's tells how much has.
    const queue = this.#stream._handle?.writeQueueSize;
    const waiting = queue ?? this.#stream.writableLength ?? 0;
    const received = this.#bytesIn - this.#controlBytes;
    this.#progress = { received, waiting };
    const left = queue === undefined ? waiting < before.waiting : waiting !== before.waiting;
    return received > before.received || (before.waiting > 0 && left);
  }

  /** The pings are kept here, so nothing has to be given to the native side. */
  get [kHasShownPings]() {
    return false;
  }

  [kClearPings]() {
    this.#pings = [];
  }

  get [kPings]() {
    return this.#pings;
  }

  [kOnPong]({ data }) {
    for (const ping of this.#pings) {
      if (!ping.unanswered()) continue;
      ping.conclude_with_pong(data);
      if (!ping.unanswered()) this.#roundTrip = ping._finished - ping._created;
    }
  }

  /** What the last answered ping took, in ms: @returns {?number} */
  [kRoundTrip]() {
    return this.#roundTrip;
  }

  [kTraffic]() {
    return {
      messages_received: this.#messagesIn,
      messages_sent: this.#messagesOut,
      bytes_received: this.#bytesIn,
      bytes_sent: this.#bytesOut,
      queued_bytes: this.#stream.writableLength ?? 0,
    };
  }
}

/**
 * A socket that the program sends to through a server that did not accept it: one that it made, or a stand-in for
 * one in a test. It is written to at the call, a message at a time, and not read;
 * what its callback says is what send() is fulfilled with.
 */
class UnreadStreamTransport extends StreamTransport {
  #stream;

  constructor(stream, options, channel) {
    super(stream, options, channel);
    this.#stream = stream;
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

/** Writes to a stream as a program would: @returns {Promise<void>} rejects with ERR_SOCKET_DESTROYED */
function written(stream, bytes) {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (err) => (err ? reject(socketDestroyed()) : resolve(null)));
  });
}

module.exports = { UnreadStreamTransport, StreamTransport };
