'use strict';

const { SockhopPing } = require('../../SockhopPing.js');
const errors = require('./channel-errors.js');
const { noticeOwnPing, sendPing, sendsOwnPings } = require('./channel-pings.js');
const { answerEnvelope, envelope } = require('./envelope.js');
const { diagnostics } = require('../diagnostics.js');
const { handledRejection } = require('../errors/errors.js');
const { SizeHint, stringify } = require('./json.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { MessageCodec, receiveDecoded, takeOffer } = require('./message-codec.js');
const { showMessage } = require('./observed.js');
const { replyFunction } = require('./owed-answers.js');
const { keepTextLength, receiveRequest, receiveResponse } = require('./packets.js');
const { isHandshake, isOwnMessage, isWritable, typeName } = require('./payloads.js');
const { callbacksOf } = require('./pending-callbacks.js');
const { answerPing } = require('./ping-answers.js');
const programMethods = require('./program-methods.js');
const { SentRequests } = require('./sent-requests.js');
const {
  kChannel,
  kClearPings,
  kHasCustomWrite,
  kOnPong,
  kPings,
  kSetBytesOnly,
  kSetShowControl,
  kStartReading,
  kTransmit,
  kUncountFrame,
  kWriteBytes,
} = require('../symbols.js');

const { message: messages } = diagnostics;

const noop = () => {};

/**
 * The messages of one connection: between its transport, which carries text, and the handlers of
 * its client or server, which emit events.
 */
class MessageChannel {
  /** @type {ChannelHandlers} */
  #handlers;
  #jsonMode;
  #debug;
  /** Made by the first message with a callback: @type {?PendingCallbacks} */
  #callbacks = null;
  /** Made by the first request: @type {?SentRequests} */
  #requests = null;
  #codec;
  /** The weight of messages that remains before the message with the offer of the codec. */
  #weight = MessageCodec.WEIGHT_BEFORE_OFFER;
  /** The hint for payloads in JSON mode: @type {?SizeHint} */
  #sizeHint = null;
  #isOver = false;
  /** The address of the peer, for error messages: @type {?{address?: string, port?: number}} */
  #peerAddress = null;

  /**
   * @param {ChannelHandlers} handlers
   * @param {object} options checked
   * @param {?MessageCodec} [codec]
   */
  constructor(handlers, options, codec = handlers.codec) {
    this.#handlers = handlers;
    this.options = options;
    this.#jsonMode = options.peer_type === 'json';
    if (this.#jsonMode) this.#sizeHint = new SizeHint();
    this.#debug = options.debug;
    this.#codec = codec;
    /** @type {Transport} */
    this.transport = null;
    /** The socket or stream that the program sees. */
    this.socket = null;
    /** The session of a server's connection. */
    this.session = null;
    /** How many broadcasts the server had sent natively before this connection was listed. */
    this.earlierBroadcasts = 0;
    /** How many messages with a callback, and requests, of the peer were not answered yet. */
    this.owedAnswers = 0;
    /** To decode with, once the program has read it, on a server: @type {?ObjectBuffer} */
    this.decoding = null;
  }

  /** @param {SockhopSocket} socket is transport and socket in one */
  attachNative(socket) {
    socket[kChannel] = this;
    this.transport = socket;
    this.socket = socket;
  }

  /**
   * @param {import('node:stream').Duplex} stream that the program sees
   * @param {Transport} transport around it
   */
  attachStream(stream, transport) {
    this.transport = transport;
    this.socket = stream;
  }

  /** Whether the native side carries the messages, and no stream that the program has brought. */
  get isNative() {
    return this.transport === this.socket;
  }

  get handlers() {
    return this.#handlers;
  }

  start() {
    this.updateShowControl();
    if (!this.decodesItself()) this.transport[kSetBytesOnly]();
    this.transport[kStartReading]();
  }

  // ---- receiving --------------------------------------------------------------------------------

  /** Like `receive()`, but an error of the program's handler is thrown later, as uncaught. */
  receiveSafely(text) {
    try {
      this.receive(text);
    } catch (err) {
      throwUncaught(err);
    }
  }

  /** Takes a frame that may have an offer of the codec, or be a control frame. */
  #receiveOffer(text) {
    const message = takeOffer(this, text);
    if (message.length === 0) this.transport[kUncountFrame]();
    else this.receive(message, true);
  }

  /**
   * Takes a frame. Errors of the program's handlers are thrown.
   *
   * @param {string} text without the terminator
   * @param {boolean} [hasNoOffer] whether an offer of the codec is taken from it
   */
  receive(text, hasNoOffer = this.#codec === null) {
    if (!hasNoOffer && MessageCodec.mayHaveOffer(text)) return this.#receiveOffer(text);
    const handlers = this.#handlers;
    if (!this.decodesItself()) {
      return this.receiveBytes(Buffer.from(text + this.options.terminator[0]));
    }
    // Checked first, because an exception costs as much as many messages.
    if (text.length === 0 && !this.options.allow_non_objects) return this.reportBadFrame(text);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      if (!this.options.allow_non_objects) return this.reportBadFrame(text);
      message = text;
    }
    if (this.#debug || messages.hasSubscribers) showMessage(this, 'received', message, text);
    // No kind of peer sends null, and it has no properties to look at.
    if (message === null) return this.reportBadFrame(text);
    if (handlers.target._on_recieved_object !== handlers.originalMethods._on_recieved_object) {
      this.updateShowControl();
      keepTextLength(message, text);
      return handlers.callOnReceivedObject(this, message);
    }
    this.dispatch(message, text);
  }

  /**
   * Decodes a binary frame, or reports that it is bad.
   *
   * @param {...*} frame the arguments of `kOnBinaryFrame`
   * @returns {?object} for `receiveDecoded()`
   */
  decode(...frame) {
    try {
      return this.ownCodec().decode(...frame);
    } catch (err) {
      if (err.isTooManyShapes) this.onLimit(errors.tooManyShapes());
      else this.reportBadFrame();
      return null;
    }
  }

  /**
   * Delivers the message that `decode()` has returned.
   *
   * @param {object} decoded
   * @param {number} length of its frame
   */
  receiveDecoded(decoded, length) {
    receiveDecoded(this, decoded, length);
  }

  /** The codec of this connection alone. */
  ownCodec() {
    if (this.#codec === this.#handlers.codec) this.#codec = this.#codec.copy();
    return this.#codec;
  }

  /** Shared with other connections until the first message; null: JSON. @type {?MessageCodec} */
  get codec() {
    return this.#codec;
  }

  /** Messages were refused because of "slow_consumer". */
  onRefused() {
    this.#codec?.onRefused();
  }

  /** @returns {string} a text frame, with an offer of the codec if it is to be made */
  #framed(text) {
    const codec = this.#codec;
    const { terminator } = this.#handlers;
    return codec === null || !codec.mayOffer ? text + terminator : this.#offering(text);
  }

  #offering(text) {
    const { terminator } = this.#handlers;
    if (this.#weight <= 0) return text + this.ownCodec().offer(this.transport) + terminator;
    const frame = text + terminator;
    this.#weight -= MessageCodec.weightOf(frame);
    if (this.#weight <= 0) this.ownCodec().offerSoon();
    return frame;
  }

  /**
   * Takes bytes that the program's own `ObjectBuffer`, or one with its methods, decodes.
   *
   * @param {Buffer} bytes
   */
  receiveBytes(bytes) {
    programMethods.receiveBytes(this, bytes, () => this.reportBadFrame());
  }

  /**
   * Handles a message by its type. Kept short, so that V8 compiles it and `emit()` into the caller.
   *
   * @param {*} message
   * @param {string} [text] of the message; left out if it comes from a method of the program
   */
  dispatch(message, text) {
    if (this.#jsonMode || message.callback_id || isOwnMessage(message)) {
      return this.#dispatchOther(message, text);
    }
    const meta = this.#handlers.metaFor(this, message.type);
    if (message.id) meta.callback = replyFunction(this, message.id);
    this.#handlers.target.emit('receive', message.data, meta);
  }

  /** Handles a message of the package, an answer, or a message of a JSON peer. */
  #dispatchOther(message, text) {
    switch (message.type) {
      case 'SockhopPing':
        return answerPing(this, message.data);
      case 'SockhopPong':
        this.#handlers.drain?.onPong(this, message.data);
        return this.transport[kOnPong](message, text);
      case 'SockhopRequest':
        return receiveRequest(this, message.data, text);
      case 'SockhopResponsePacket':
        return receiveResponse(this, message, text);
      case 'SockhopHandshake':
        // A peer of sockhop 2.x asks for the abilities of this side. No answer means 1.8.
        if (!this.#jsonMode && isHandshake(message)) return;
    }
    if (this.#jsonMode) {
      const meta = this.#handlers.metaFor(this, typeName(message));
      this.#handlers.target.emit('receive', message, meta);
    } else this.#receiveAnswer(message);
  }

  /** @param {string} [text] of a frame that is not JSON, or not of the form of its type */
  reportBadFrame(text) {
    this.#peerAddress ??= { address: this.socket?.remoteAddress, port: this.socket?.remotePort };
    const err = errors.badFrame(text, this.#peerAddress);
    // The program may listen to its ObjectBuffer, which passes its errors on to the handlers.
    const decoder = this.decoding ?? this.#handlers.decoding;
    if (decoder === null) this.#handlers.reportError(err, this);
    else decoder.emit('error', err);
  }

  #receiveAnswer({ callback_id: id, data, type }) {
    const pending = this.#callbacks?.take(id);
    if (pending) pending.answer(data, { type });
    else this.#handlers.callbacks?.take(id)?.(data, { type });
  }

  /** @param {number} limit in bytes; Infinity if the longest string is the limit */
  onTooLarge(limit) {
    this.onLimit(errors.messageTooLarge(limit));
  }

  /** The peer has exceeded a limit: the connection is closed. */
  onLimit(err) {
    try {
      this.#handlers.reportError(err, this);
    } finally {
      this.socket.destroy();
    }
  }

  onUnresponsive() {
    this.#handlers.onUnresponsive(this);
  }

  // ---- methods of the program -------------------------------------------------------------------

  /** Whether pings and pongs are sent through methods that the program has replaced. */
  sendsThroughProgram() {
    return this.endpointSendsThroughProgram() || this.transport[kHasCustomWrite];
  }

  /** Whether that holds for all connections of the client or server. */
  endpointSendsThroughProgram() {
    return programMethods.sendsThroughProgram(this);
  }

  /** Whether this package decodes frames, not an ObjectBuffer that the program has changed. */
  decodesItself() {
    return programMethods.decodesItself(this);
  }

  /** Makes the native side show pings and pongs if a method of the program must see them. */
  updateShowControl() {
    const isDraining = this.#handlers.drain !== null;
    const isShown = isDraining || programMethods.receivesThroughProgram(this.#handlers);
    const isSent = sendsOwnPings(this) || this.sendsThroughProgram();
    this.transport[kSetShowControl](isShown || isSent);
  }

  /** The program has assigned `_peer_type`. */
  setPeerType(options) {
    this.options = options;
    this.#jsonMode = options.peer_type === 'json';
    if (this.#jsonMode) this.#sizeHint ??= new SizeHint();
    if (this.#codec !== null) this.ownCodec().stop();
    this.updateShowControl();
  }

  // ---- pings ------------------------------------------------------------------------------------

  /** The interval of `ping()` has passed. */
  sendPing() {
    sendPing(this);
  }

  /** The last pings that were sent, oldest first. @type {SockhopPing[]} */
  get pings() {
    return this.transport[kPings];
  }

  forgetPings() {
    this.transport[kClearPings]();
  }

  // ---- sending ----------------------------------------------------------------------------------

  /**
   * Sends a payload.
   *
   * @param {*} data
   * @param {function(*, {type: string}): void} [callback] called with the answer
   * @param {Call} [call] waits for the answer instead of the callback
   * @returns {Promise<void>}
   * @throws {SockhopError} ERR_REMOTE_CALLBACK_TYPE; {TypeError} for null and undefined
   */
  send(data, callback, call) {
    let text;
    let closing = '}';
    let ticket = null;
    // The class is read once, which takes 20 ns if each object has other properties.
    const madeBy = this.#jsonMode ? null : data?.constructor;
    if (this.#jsonMode) {
      if (callback) throw errors.callbackOfJsonPeer();
      if (!this.options.allow_non_objects && typeof data !== 'object')
        return this.#refuseNonObject();
    } else if (madeBy === null || madeBy === undefined) {
      throw errors.noPayload(data);
    }
    if (madeBy === SockhopPing) noticeOwnPing(this);
    if (callback) {
      if (typeof callback !== 'function') throw errors.callbackNotAFunction();
      this.#callbacks ??= callbacksOf(this);
      ticket = this.#callbacks.reserve();
    }
    if (!programMethods.sendsItself(this)) {
      this.updateShowControl();
      const refusal = ticket === null ? null : this.#rememberCallback(ticket, callback, call);
      if (refusal) return handledRejection(refusal);
      return this.#handlers.callSendMessage(this, this.#messageOf(data, ticket));
    }
    const isShown = this.#debug || messages.hasSubscribers;
    let isEncoded = false;
    try {
      // `sent` is checked first, because a peer without the codec only gets JSON.
      if (this.#codec?.sent) isEncoded = this.#codec.encode(data, madeBy, this.transport, ticket);
      if (this.#jsonMode) text = stringify(data, this.#sizeHint);
      else if (!isEncoded) {
        if (!isShown && !this.#codec?.mayOffer) closing = this.#handlers.closing;
        text = envelope(data, madeBy, closing, ticket?.id);
      }
    } catch (err) {
      // A mistake of the program. The rejection is not handled, so that the program notices it.
      return Promise.reject(err);
    }
    if (ticket !== null) {
      const refusal = this.#rememberCallback(ticket, callback, call);
      if (refusal) {
        if (isEncoded) this.#codec.discard();
        return handledRejection(refusal);
      }
    }
    // This comes first, because a program that sees the message may send others into the buffer.
    let sent = isEncoded ? this.#codec.transmit(this.transport, ticket !== null) : null;
    if (isShown) showMessage(this, 'sending', this.#messageOf(data, ticket), text);
    if (!isEncoded && closing === '}') text = this.#framed(text);
    sent ??= this.transport[kTransmit](text, ticket !== null);
    if (ticket === null) return sent;
    // A message that was not sent gets no answer. After a broken connection, close() forgets all. A
    // call ends itself.
    const mayFail = this.options.slow_consumer === 'drop' || this.socket?.destroyed !== false;
    if (mayFail && call === undefined) {
      sent.catch(() => this.#callbacks?.forget(ticket.id));
    }
    return sent;
  }

  /** @returns {*} the message of a payload, as 1.8.4 passes it to `_send_message()` */
  #messageOf(data, ticket) {
    if (this.#jsonMode) return data;
    return { type: data?.constructor?.name, data, ...(ticket && { id: ticket.id }) };
  }

  /** Sends a message through the program's `obj2buf()`. */
  async #sendEncoded(message) {
    const bytes = this.#handlers.encoder().obj2buf(message);
    return this.transport[kWriteBytes](bytes);
  }

  #refuseNonObject() {
    if (this.socket?.destroyed) return this.transport[kTransmit]('');
    const err = errors.notAnObject();
    const { isServer, target } = this.#handlers;
    // As in 1.8.4, a client emits the error if it can. Otherwise the rejection is unhandled.
    if (isServer || target.listenerCount('error') === 0) return Promise.reject(err);
    this.#handlers.reportError(err, this);
    return handledRejection(err);
  }

  /**
   * Answers a message.
   *
   * @param {*} id of the message, as the peer chose it
   * @param {*} data
   */
  reply(id, data) {
    let text = '';
    let isEncoded = false;
    try {
      if (this.#codec !== null && programMethods.encodesItself(this)) {
        isEncoded = this.#codec.encode(data, data.constructor, this.transport, null, id);
      }
      if (!isEncoded) text = answerEnvelope(data, id);
    } catch (err) {
      if (data?.constructor === undefined || data.constructor === null)
        throw errors.noPayload(data);
      // A peer may send an id that is nested too deep to be written. It waits for no answer.
      if (typeof id === 'object' && isWritable(data)) return;
      throw err;
    }
    if (this.socket.destroyed) {
      this.#handlers.onDeadSocket(this);
      throw errors.replyToDestroyedSocket();
    }
    // The codec comes first, as in send().
    if (isEncoded) this.#codec.transmit(this.transport, true);
    if (this.#debug || messages.hasSubscribers) {
      const message = { type: data.constructor.name, data, callback_id: id };
      showMessage(this, 'sending', message, text);
    }
    if (isEncoded) return;
    if (programMethods.encodesItself(this)) this.transport[kTransmit](this.#framed(text), true);
    else {
      this.#sendEncoded({ type: data.constructor.name, data, callback_id: id }).catch(noop);
    }
  }

  /**
   * Sends a message that is an envelope already.
   *
   * @param {object} message
   * @returns {Promise<void>}
   */
  sendMessage(message) {
    if (!programMethods.encodesItself(this)) return this.#sendEncoded(message);
    if (!this.options.allow_non_objects && typeof message !== 'object') {
      return this.#refuseNonObject();
    }
    let text;
    let sent = null;
    try {
      // Most of these messages are requests and response packets, and the other end waits for them.
      if (this.#codec?.encodePacket(message, this.transport)) {
        sent = this.#codec.transmit(this.transport, true);
      } else text = String(JSON.stringify(message));
    } catch (err) {
      return Promise.reject(err);
    }
    if (this.#debug || messages.hasSubscribers) showMessage(this, 'sending', message, text);
    return sent ?? this.transport[kTransmit](this.#framed(text), true);
  }

  /**
   * Sends a request.
   *
   * @param {*} data
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<SockhopResponseReadableStream>}
   */
  request(data, config) {
    this.#requests ??= new SentRequests(this, this.#handlers);
    return this.#requests.send(data, config);
  }

  // ---- callbacks --------------------------------------------------------------------------------

  /** @returns {?SockhopError} if there are too many */
  #rememberCallback(ticket, callback, call) {
    // A getter of the payload may have ended the connection.
    this.#callbacks ??= callbacksOf(this);
    if (this.#callbacks.isFull(this.options.max_pending_callbacks)) {
      return this.#handlers.limits.count(errors.tooManyCallbacks(this.#callbacks.size));
    }
    this.#callbacks.add(ticket, callback, call);
    this.#requests?.reviewBacklog();
    return null;
  }

  /** The callbacks that wait for an answer: @type {?PendingCallbacks} */
  get callbacks() {
    return this.#callbacks;
  }

  /** How many callbacks wait for an answer. */
  get pendingCallbacks() {
    return this.#callbacks?.size ?? 0;
  }

  /** This channel sends the messages of another channel from now on, and receives their answers. */
  takeOver(other) {
    if (other.#callbacks !== null) {
      this.#callbacks ??= callbacksOf(this);
      this.#callbacks.takeOver(other.#callbacks);
      other.#callbacks = this.#callbacks;
    }
    if (other.#requests !== null) {
      this.#requests ??= new SentRequests(this, this.#handlers);
      this.#requests.takeOver(other.#requests);
    }
  }

  // ---- the end ----------------------------------------------------------------------------------

  /** The connection is over: calls end; callbacks do not time out, and are kept until `close()`. */
  stopTimeouts() {
    this.#callbacks?.stop();
  }

  /** The connection is over: no callback will be answered. */
  close() {
    this.#callbacks?.clear();
    this.#callbacks = null;
  }

  /** A server's connection has ended, or is destroyed. */
  onConnectionOver() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handlers.onConnectionOver(this);
  }

  /** The socket of a server's connection emits an error. */
  onSocketError(err) {
    // As in 1.8.4, listeners of the program on the socket get `end` as well.
    if (err.code !== 'ECONNRESET') this.#handlers.onSocketError(err, this);
    else if (!this.#isOver) this.socket.emit('end');
  }
}

module.exports = { MessageChannel };
