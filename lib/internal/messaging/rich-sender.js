'use strict';

const { place } = require('../codec/encoder.js');
const { bytesOfFrames, wholeFrame } = require('../codec/frames.js');
const { SWITCH } = require('../codec/negotiation.js');
const { encodeRich } = require('../codec/rich-encoder.js');
const { RICH_MESSAGE } = require('../codec/rich-format.js');
const { explain } = require('../errors/explanations.js');
const {
  handledRejection,
  sendRefused,
  slowConsumer,
  socketDestroyed,
} = require('../errors/errors.js');
const { clearTimeout, setTimeout } = require('../real-timers.js');
const { SockhopPing } = require('../../SockhopPing.js');
const {
  kCanWriteNow,
  kFlush,
  kHasCustomWrite,
  kMayTransmitFrames,
  kTransmitBinary,
  kTransmitBytes,
  kTransmitControl,
  kTransmitFrame,
  kWriteBytes,
} = require('../symbols.js');
const errors = require('./channel-errors.js');

const noop = () => {};

/** Data of this length is written at its call, so that it is copied once. */
const LARGE = 16 * 1024;

/** The state of the peer, as this end knows it. */
const PeerState = Object.freeze({
  UNKNOWN: 0,
  /** The peer has announced that it reads rich values. */
  RICH: 1,
  /** The peer has not announced it, or the connection is over: nothing is sent. */
  REFUSED: 2,
});

/** A message that is written, for any number of connections. */
class RichFrame {
  constructor({ text, parts, length }) {
    this.text = text;
    this.bytes = Buffer.concat(parts, length);
    /** In bytes, about. */
    this.length = text.length + length;
  }

  /** @returns {Buffer} that holds until the next frame is written */
  bytesOfAll() {
    return wholeFrame(this.text, [this.bytes], this.bytes.length, RICH_MESSAGE);
  }
}

/**
 * The codec of a channel with `values: "rich"`, instead of a MessageCodec: writes messages,
 * and keeps them until the peer has announced that it reads them.
 */
class RichSender {
  /** @type {RichChannel} */
  channel = null;
  #options;
  #peer = PeerState.UNKNOWN;
  /** Why nothing is sent any more: @type {?Error} */
  #error = null;
  /** The ping that announces this end: @type {?SockhopPing} */
  #announcement = null;
  #timer = null;
  /** Whether the announcement of binary frames is sent. */
  #isSwitched = false;
  /** Messages until the peer has announced itself: frame, isAwaited, resolve, reject. */
  #held = [];
  #heldLength = 0;
  /** The message that is written; null: it is in `encoded`. @type {?(RichFrame|Buffer)} */
  #written = null;
  /** Settles `ready`, once that was asked for. */
  #settleReady = null;

  /** @param {object} options checked */
  constructor(options) {
    this.#options = options;
  }

  get isWaiting() {
    return this.#peer === PeerState.UNKNOWN;
  }

  /** Fulfilled when the peer has announced itself; rejects with the reason if it does not. */
  get ready() {
    if (this.#peer === PeerState.RICH) return Promise.resolve();
    if (this.#peer === PeerState.REFUSED) return Promise.reject(this.#error);
    return new Promise((resolve, reject) => {
      this.#settleReady = (err) => (err ? reject(err) : resolve());
    });
  }

  // ---- the announcement -------------------------------------------------------------------------

  /** The connection is read from now on. */
  announce() {
    if (this.#peer === PeerState.REFUSED) return;
    const { connect_timeout, handshake_timeout, terminator } = this.#options;
    const ping = new SockhopPing();
    this.#announcement = ping;
    const text = JSON.stringify({ type: 'SockhopPing', data: { ...ping, values: 'rich' } });
    this.channel.transport[kTransmitControl](text + terminator[1]);
    const limit = connect_timeout ?? handshake_timeout;
    this.#timer = setTimeout(() => this.refuse(errors.richTimedOut(limit)), limit);
    this.#timer?.unref?.();
  }

  /**
   * Takes the first message of the peer, or the next one after pings and pongs.
   *
   * @param {*} message
   * @param {boolean} isControl whether it is a ping or a pong
   * @returns {boolean} whether the message is to be received
   */
  takeAnnouncement(message, isControl) {
    const { type, data } = message ?? {};
    const isOwnPong = type === 'SockhopPong' && data?._id === this.#announcement?._id;
    if (isControl && !isOwnPong) {
      if (type === 'SockhopPing' && data?.values === 'rich') this.#accept();
      return true;
    }
    const { remoteAddress: address, remotePort: port } = this.channel.socket;
    this.refuse(errors.richRefused({ address, port }));
    return false;
  }

  #accept() {
    this.#peer = PeerState.RICH;
    clearTimeout(this.#timer);
    this.channel.updateShowControl();
    const held = this.#held;
    this.#held = [];
    for (const { frame, isAwaited, resolve, reject } of held) {
      this.#write(frame, isAwaited).then(resolve, reject);
    }
    this.#settleReady?.();
  }

  /** Ends the connection, because the two ends do not use the same values. */
  refuse(err) {
    if (this.#peer === PeerState.REFUSED) return;
    const { channel } = this;
    // The promise of connect() rejects. If there is no such promise, the error is emitted.
    const isReported = this.#settleReady !== null && this.#peer === PeerState.UNKNOWN;
    this.#stop(err);
    try {
      if (!isReported) channel.handlers.reportError(err, channel);
    } finally {
      channel.socket?.destroy();
    }
  }

  #stop(err) {
    this.#peer = PeerState.REFUSED;
    this.#error = err;
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = [];
    for (const { reject } of held) reject(err);
    this.#settleReady?.(err);
  }

  /** The connection is over. */
  end() {
    if (this.#peer !== PeerState.UNKNOWN) return;
    this.#stop(
      explain(
        socketDestroyed(),
        'The connection ended before the peer announced that it takes rich values.',
      ),
    );
  }

  /** The program has turned to another kind of messages. */
  stop() {
    this.refuse(errors.richPeerType());
  }

  // ---- messages ---------------------------------------------------------------------------------

  /** Whether the peer reads binary frames that others of this process write to it. */
  get takesFrames() {
    return this.#peer === PeerState.RICH && this.#isSwitched;
  }

  /**
   * The same value that a MessageCodec has while it sends binary frames: every message is encoded.
   */
  get sent() {
    return true;
  }

  /** Like `encode()` of a MessageCodec. */
  encode(data, madeBy, _transport, ticket = null, answers = undefined) {
    const message = { type: madeBy.name, data };
    if (ticket !== null) message.id = ticket.id;
    if (answers !== undefined) message.callback_id = answers;
    this.encodeMessage(message);
    return true;
  }

  /**
   * Writes a message in its envelope for `transmit()`.
   *
   * @throws {TypeError|RangeError} for values that cannot be sent
   */
  encodeMessage(message) {
    this.#written = encodeRich(message, (written) => {
      const { text, parts, length } = written;
      if (!this.#writesAtOnce()) return new RichFrame(written);
      if (length >= LARGE && this.#isIdle()) return wholeFrame(text, parts, length, RICH_MESSAGE);
      return place(text, parts, length) ? null : new RichFrame(written);
    });
  }

  /** Whether everything that was sent before has left, and nothing waits. */
  #isIdle() {
    const { transport } = this.channel;
    this.#switch();
    transport[kFlush]();
    return transport[kCanWriteNow]();
  }

  /** Whether messages go to a native connection, past the methods of the program. */
  #writesAtOnce() {
    const { channel } = this;
    return (
      this.#peer === PeerState.RICH &&
      channel.isNative &&
      !channel.transport[kHasCustomWrite] &&
      !channel.socket.destroyed &&
      !channel.socket.writableEnded
    );
  }

  /** The message that is written is not sent. */
  discard() {
    this.#written = null;
  }

  /**
   * Sends the message that is written.
   *
   * @returns {Promise<null>} as `kTransmit` of the transport
   */
  transmit(transport, isAwaited) {
    const frame = this.#written;
    this.#written = null;
    if (frame instanceof RichFrame) return this.sendFrame(frame, isAwaited);
    if (frame !== null) return transport[kTransmitBytes](frame);
    this.#switch();
    return transport[kTransmitBinary](isAwaited);
  }

  /**
   * Sends a message that may have been written for other connections.
   *
   * @param {RichFrame} frame
   * @param {boolean} isAwaited
   * @returns {Promise<null>} as `kTransmit` of the transport
   */
  sendFrame(frame, isAwaited) {
    const { channel } = this;
    if (this.#peer === PeerState.REFUSED) return handledRejection(this.#error);
    if (!channel.isNative && !channel.transport[kMayTransmitFrames]) {
      return channel.transport[kTransmitFrame](frame, isAwaited);
    }
    if (channel.socket.destroyed || channel.socket.writableEnded) {
      return handledRejection(socketDestroyed(channel));
    }
    return this.#peer === PeerState.RICH
      ? this.#write(frame, isAwaited)
      : this.#hold(frame, isAwaited);
  }

  #hold(frame, isAwaited) {
    const { slow_consumer, send_high_water_mark } = this.#options;
    if (slow_consumer !== 'wait' && this.#heldLength >= send_high_water_mark) {
      return handledRejection(slow_consumer === 'drop' ? sendRefused() : slowConsumer());
    }
    this.#heldLength += frame.length;
    const promise = new Promise((resolve, reject) => {
      this.#held.push({ frame, isAwaited, resolve, reject });
    });
    promise.catch(noop);
    return promise;
  }

  #write(frame, isAwaited) {
    const { isNative, transport } = this.channel;
    const { text, bytes } = frame;
    this.#switch();
    if (!isNative) return transport[kTransmitFrame](frame, isAwaited);
    if (!transport[kHasCustomWrite] && place(text, [bytes], bytes.length)) {
      return transport[kTransmitBinary](isAwaited);
    }
    return transport[kWriteBytes](
      bytesOfFrames(text, [text.length, 0, bytes.length], bytes, RICH_MESSAGE),
    );
  }

  #switch() {
    if (this.#isSwitched) return;
    this.#isSwitched = true;
    this.channel.transport[kTransmitControl](SWITCH + this.#options.terminator[1]);
  }

  /**
   * Called before the socket is passed to another process, which does not know the peer's
   * announcement.
   */
  handOver() {
    throw errors.richHandOver();
  }

  /** The program reads the bytes of the wire itself from now on. */
  leave() {}

  /** @returns {string} a text of the peer, in which no offer of the codec stands */
  receiveText(text) {
    return text;
  }

  /** Messages of this end were not sent. */
  onRefused() {
    this.#isSwitched = false;
  }
}

/**
 * @param {*} data a payload
 * @returns {RichFrame} its message, to be sent to many peers
 * @throws as `RichSender#encodeMessage()`
 */
function frameOf(data) {
  return encodeRich({ type: data.constructor.name, data }, (written) => new RichFrame(written));
}

module.exports = { RichFrame, RichSender, frameOf };
