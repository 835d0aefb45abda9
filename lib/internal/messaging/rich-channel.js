'use strict';

const { decodeRich } = require('../codec/decoder.js');
const { RICH_MESSAGE } = require('../codec/rich-format.js');
const { diagnostics } = require('../diagnostics.js');
const {
  kConnection,
  kMayTransmitFrames,
  kSetShowControl,
  kUncountFrame,
} = require('../symbols.js');
const errors = require('./channel-errors.js');
const { handledRejection } = require('../errors/errors.js');
const { MessageChannel } = require('./message-channel.js');
const { showMessage } = require('./observed.js');
const { keepTextLength } = require('./packets.js');
const programMethods = require('./program-methods.js');
const { RichSender } = require('./rich-sender.js');

const { message: messages } = diagnostics;

/**
 * The messages of a connection with `values: "rich"`: they are binary frames of the kind
 * RICH_MESSAGE, and only pings and pongs are text.
 *
 * Both ends announce with their first ping that they read such frames. Until the ping of the peer
 * arrives, messages wait here; if something else arrives in its place, the peer cannot read them.
 */
class RichChannel extends MessageChannel {
  #sender;

  /**
   * @param {ChannelHandlers} handlers
   * @param {object} options checked
   */
  constructor(handlers, options) {
    const sender = new RichSender(options);
    super(handlers, options, sender);
    this.#sender = sender;
    sender.channel = this;
  }

  /** The kind of the binary frames that are sent. */
  get binaryKind() {
    return RICH_MESSAGE;
  }

  /** Fulfilled when the peer has announced that it reads rich values. @type {Promise<void>} */
  get ready() {
    return this.#sender.ready;
  }

  start() {
    if (this.options.peer_type === 'json') return this.#sender.stop();
    if (!this.isNative && !this.transport[kMayTransmitFrames]) {
      return this.#sender.refuse(errors.richStream());
    }
    if (!this.#isOwnCoding()) return this.#sender.refuse(errors.richObjectBuffer());
    if (this.isNative) this.socket[kConnection].offerBinary();
    this.#sender.announce();
    super.start();
  }

  /** Pings and pongs are shown until the peer has announced itself. */
  updateShowControl() {
    if (this.#sender.isWaiting) this.transport[kSetShowControl](true);
    else super.updateShowControl();
  }

  #isOwnCoding() {
    return this.decodesItself() && programMethods.encodesItself(this);
  }

  // ---- receiving --------------------------------------------------------------------------------

  /** Takes a text frame. */
  receive(text) {
    let message = null;
    try {
      message = JSON.parse(text);
    } catch {
      // The text is not a ping.
    }
    const type = message?.type;
    const isControl = type === 'SockhopPing' || type === 'SockhopPong';
    if (isControl) this.transport[kUncountFrame]();
    if (this.#sender.isWaiting && !this.#sender.takeAnnouncement(message, isControl)) return;
    if (isControl) this.#deliver(message, text);
    else this.reportBadFrame(text);
  }

  /** @returns {?object} the envelope of a binary frame; null, after the error is reported */
  decode(...frame) {
    let envelope = null;
    try {
      envelope = decodeRich(...frame);
    } catch {
      // It is not a ping.
    }
    const isEnvelope =
      typeof envelope === 'object' &&
      envelope !== null &&
      Object.getPrototypeOf(envelope) === Object.prototype;
    if (!isEnvelope || this.#sender.isWaiting) {
      this.reportBadFrame();
      return null;
    }
    return envelope;
  }

  receiveDecoded(envelope, length) {
    keepTextLength(envelope, { length });
    if (this.#isOwnCoding()) this.#deliver(envelope);
    else this.#sender.refuse(errors.richObjectBuffer());
  }

  #deliver(message, text) {
    const { handlers } = this;
    if (messages.hasSubscribers) showMessage(this, 'received', message, text ?? null);
    if (programMethods.receivesThroughProgram(handlers)) {
      this.updateShowControl();
      handlers.callOnReceivedObject(this, message);
    } else this.dispatch(message, text);
  }

  // ---- sending ----------------------------------------------------------------------------------

  sendMessage(message) {
    if (!programMethods.encodesItself(this)) return handledRejection(errors.richObjectBuffer());
    try {
      this.#sender.encodeMessage(message);
    } catch (err) {
      return Promise.reject(err);
    }
    if (messages.hasSubscribers) showMessage(this, 'sending', message, null);
    return this.#sender.transmit(this.transport, true);
  }

  reply(id, data) {
    if (!programMethods.encodesItself(this)) throw errors.richObjectBuffer();
    super.reply(id, data);
  }

  // ---- the end ----------------------------------------------------------------------------------

  stopTimeouts() {
    this.#sender.end();
    super.stopTimeouts();
  }

  close() {
    this.#sender.end();
    super.close();
  }
}

module.exports = { RichChannel };
