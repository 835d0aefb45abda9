'use strict';

const { Flag } = require('../codec/format.js');
const {
  FAREWELL,
  LAST,
  OF_CLIENT,
  OF_SERVER,
  SWITCH,
  WITHDRAWAL,
} = require('../codec/negotiation.js');
const { diagnostics } = require('../diagnostics.js');
const { countOf } = require('../ids.js');
const { late } = require('../late.js');
const { isParseReplaced, isStringifyReplaced, stringify } = require('../json-functions.js');
const { showMessage } = require('./observed.js');
const { setImmediate } = require('../real-timers.js');
const { packetOf } = require('./packets.js');
const { receivesThroughProgram } = require('./program-methods.js');
const {
  kMayTransmitBinary,
  kOfferBinary,
  kTextLength,
  kTransmitBinary,
  kTransmitControl,
} = require('../symbols.js');

const { message: messageChannel } = diagnostics;

const load = late(() => ({
  ...require('../codec/decoder.js'),
  ...require('../codec/encoder.js'),
  ...require('../codec/shape-table.js'),
}));

/** The parts that read and write binary frames, once a connection uses the codec. */
let decode = null;
let encode = null;
let Received = null;
let ShapeTable = null;

/**
 * Loads them with the first offer of the codec, which short connections do not make.
 *
 * @returns {boolean} false if that is not possible: a peer may make an offer while the process has
 *   no descriptor left to read a file. Then messages stay JSON
 */
function loadCodec() {
  if (encode !== null) return true;
  try {
    ({ decode, encode, Received, ShapeTable } = load());
    return true;
  } catch {
    return false;
  }
}

const MAX_ID_LENGTH = 255;

/** The weight of a frame with this many characters depends on its values and its length. */
const LONG_FRAME = 32 * 1024;
/** The characters that are searched for commas. */
const SAMPLE = 4096;
const VALUES_PER_WEIGHT = 512;
const LENGTH_PER_WEIGHT = 2 * 1024 * 1024;

/**
 * The codec of one connection: the offers, and the shapes and ids that each end has defined.
 * Connections without traffic share one object.
 */
class MessageCodec {
  /**
   * The offer is made after this many messages, or fewer long ones. The bytes of connections with
   * less traffic, which would gain nothing, are those of 1.8.4.
   */
  static WEIGHT_BEFORE_OFFER = 32;

  /**
   * A long message weighs more the more values it has. They are estimated by the commas, because a
   * few messages of long strings would not save the time that loading the codec takes.
   *
   * @param {string} frame as it is written, because V8 copies its parts into one piece for a sample
   * @returns {number} for `WEIGHT_BEFORE_OFFER`
   */
  static weightOf(frame) {
    const { length } = frame;
    if (length < LONG_FRAME) return 1;
    const sample = frame.slice(length >>> 1, (length >>> 1) + SAMPLE);
    const values = (sample.split(',').length - 1) * (length / SAMPLE);
    return 1 + Math.floor(values / VALUES_PER_WEIGHT + length / LENGTH_PER_WEIGHT);
  }

  /** Ends each text frame. */
  #terminator;
  /** The offers that this end and the peer make. */
  #own;
  #peers;
  /** Whether this end has made its offer. */
  #isOffered = false;
  /** Whether the offer waits for the next turn of the event loop. */
  #isWaiting = false;
  #isStopped = false;
  #hasPeerOffered = false;
  /** To be sent if the peer makes an offer after all: WITHDRAWAL or FAREWELL, otherwise empty. */
  #lateWithdrawal = '';
  #isFarewellSent = false;
  /** Whether the peer has sent FAREWELL: all of its bytes are those of its program. */
  #isOver = false;
  /** Whether the announcement of binary frames is sent. */
  #isSwitched = false;
  /**
   * The shapes and ids that this end has defined, once it may send binary frames; null: it sends
   * JSON. Not private, because each message reads it.
   *
   * @type {?ShapeTable}
   */
  sent = null;
  /** The shapes and ids that the peer has defined: @type {?Received} */
  #received = null;

  /**
   * @param {boolean} isServer
   * @param {string} terminator of sent frames
   */
  constructor(isServer, terminator) {
    this.#own = isServer ? OF_SERVER : OF_CLIENT;
    this.#peers = isServer ? OF_CLIENT : OF_SERVER;
    this.#terminator = terminator;
  }

  /** @returns {MessageCodec} for one connection */
  copy() {
    return new MessageCodec(this.#own === OF_SERVER, this.#terminator);
  }

  /** Whether the offer is still to be made. */
  get mayOffer() {
    return !this.#isOffered && !this.#isWaiting;
  }

  /**
   * The offer is made in a later turn of the event loop. The program may send its last messages in
   * this turn and exit, and the answer to an offer would reset the closed connection.
   */
  offerSoon() {
    this.#isWaiting = true;
    setImmediate(() => {
      this.#isWaiting = false;
    }).unref?.();
  }

  /** Whether the peer has ever made an offer, or sent a binary frame: it may send more of them. */
  get hasPeerOffered() {
    return this.#hasPeerOffered || this.#received !== null;
  }

  /**
   * @param {string} text of a received frame
   * @returns {boolean} whether it may end with an offer, or be a control frame
   */
  static mayHaveOffer(text) {
    return text.charCodeAt(text.length - 1) === LAST;
  }

  /**
   * Makes the offer, if the transport can read binary frames.
   *
   * @returns {string} the offer, for the end of a text frame
   */
  offer(transport) {
    if (this.#isOffered || isParseReplaced() || !loadCodec()) return '';
    if (!transport[kOfferBinary]()) return '';
    this.#isOffered = true;
    return this.#own;
  }

  /**
   * Takes an offer of the peer from the end of a frame.
   *
   * @param {string} text
   * @param {Transport} transport
   * @returns {string} the message; empty for a control frame
   */
  receiveText(text, transport) {
    if (text === WITHDRAWAL) {
      this.sent = null;
      return '';
    }
    if (text === FAREWELL && this.hasPeerOffered) {
      this.#onFarewell(transport);
      return '';
    }
    if (this.#isStopped || !text.endsWith(this.#peers)) return text;
    this.#hasPeerOffered = true;
    if (this.#lateWithdrawal !== '') {
      this.#withdrawBy(this.#lateWithdrawal, transport);
      this.#lateWithdrawal = '';
    } else if (!this.#isFarewellSent) this.#takeOffer(transport);
    return text.slice(0, -this.#peers.length);
  }

  #takeOffer(transport) {
    if (!loadCodec()) return;
    this.sent ??= new ShapeTable();
    const offer = this.offer(transport);
    if (offer !== '') transport[kTransmitControl](offer + this.#terminator);
  }

  #onFarewell(transport) {
    const mayHaveSent = this.#isOffered || this.#isSwitched;
    if (mayHaveSent && !this.#isFarewellSent) this.#withdrawBy(FAREWELL, transport);
    this.#isOver = true;
    this.stop();
  }

  /** Whether the peer sends no binary frames, nor texts of the codec, any more. */
  get isOver() {
    return this.#isOver;
  }

  /**
   * The program reads the bytes of the connection from now on. A peer that has made no offer gets
   * nothing, because it may be any other program.
   */
  withdraw(transport) {
    if (this.#isOffered) this.#withdrawOnceKnown(WITHDRAWAL, transport);
  }

  /** Like `withdraw()`, but permanently: the program may write anything. */
  leave(transport) {
    if (this.#isOffered || this.sent !== null) this.#withdrawOnceKnown(FAREWELL, transport);
  }

  #withdrawOnceKnown(frame, transport) {
    if (this.hasPeerOffered) this.#withdrawBy(frame, transport);
    else this.#lateWithdrawal = frame;
  }

  /**
   * Like `withdraw()`, before the connection is passed to another process, which may read only
   * JSON.
   */
  handOver(transport) {
    if (this.#isOffered) this.#withdrawBy(WITHDRAWAL, transport);
  }

  #withdrawBy(frame, transport) {
    if (this.#isOver || this.#isFarewellSent) return;
    if (frame === FAREWELL) {
      this.#isFarewellSent = true;
      this.sent = null;
    }
    transport[kTransmitControl](frame + this.#terminator);
  }

  /** @returns {string} a received text as a program that reads bytes gets it; empty: not at all */
  shown(text) {
    if (text === WITHDRAWAL || text === FAREWELL) return '';
    return text.endsWith(this.#peers) ? text.slice(0, -this.#peers.length) : text;
  }

  /** The program has turned to another kind of messages. */
  stop() {
    this.#isOffered = true;
    this.#isStopped = true;
    this.sent = null;
  }

  /** The message that is encoded is not sent. */
  discard() {
    this.sent.reset();
  }

  /** Messages of this end were not sent. */
  onRefused() {
    this.#isOffered = false;
    this.#isSwitched = false;
    this.sent?.reset();
  }

  /**
   * Encodes a message for `transmit()`.
   *
   * @param {*} data
   * @param {Function} madeBy its constructor
   * @param {Transport} transport
   * @param {?{prefix: string, count: number}} [ticket] the id of a message with a callback
   * @param {string} [answers] the id of the question that it answers
   * @returns {boolean} false if it is to be sent as JSON
   * @throws {*} as `JSON.stringify(data)`
   */
  encode(data, madeBy, transport, ticket = null, answers = undefined) {
    const sent = this.sent;
    if (sent === null || isStringifyReplaced()) return false;
    if (sent.pause > 0) {
      sent.pause -= 1;
      return false;
    }
    if (!transport[kMayTransmitBinary]) return false;
    const type = madeBy === Object ? 'Object' : madeBy.name;
    if (typeof type !== 'string') return false;
    if (ticket !== null) {
      return encode(sent, type, data, Flag.QUESTION, ticket.prefix, ticket.count);
    }
    if (answers === undefined) return encode(sent, type, data);
    if (typeof answers !== 'string' || answers.length > MAX_ID_LENGTH) return false;
    const prefix = this.#received?.prefix;
    const count = prefix && answers.startsWith(prefix) ? countOf(answers) : -1;
    return encode(sent, type, data, Flag.ANSWER, answers, count);
  }

  /**
   * Encodes a request or a response packet for `transmit()`.
   *
   * @param {*} message of any kind
   * @returns {boolean} false if it is to be sent as JSON
   * @throws {*} as `JSON.stringify(message)`
   */
  encodePacket(message, transport) {
    if (this.sent === null || isStringifyReplaced()) return false;
    if (!transport[kMayTransmitBinary]) return false;
    const packet = packetOf(message);
    return packet !== null && encode(this.sent, message.type, packet);
  }

  /**
   * Sends the message that `encode()` has encoded.
   *
   * @returns {Promise<null>} as `kTransmit` of the transport
   */
  transmit(transport, isAwaited) {
    if (!this.#isSwitched) {
      this.#isSwitched = true;
      transport[kTransmitControl](SWITCH + this.#terminator);
    }
    return transport[kTransmitBinary](isAwaited);
  }

  /**
   * @param {...*} frame the arguments of `kOnBinaryFrame`
   * @returns {{type: string, data: *, id: (string|undefined), answers: (string|number|undefined)}}
   * @throws {BadMessage|TooManyShapes|SyntaxError}
   */
  decode(text, start, end, bytes, from, to) {
    this.#received ??= new Received();
    return decode(this.#received, text, start, end, bytes, from, to);
  }
}

/** The codecs of connections without traffic. @type {Map<string, MessageCodec>} */
const idle = new Map();
const MAX_IDLE = 64;

/** @returns {MessageCodec} that all connections of this kind share until they have traffic */
function idleCodec(isServer, terminator) {
  const key = `${isServer} ${terminator}`;
  let codec = idle.get(key);
  if (codec === undefined) {
    codec = new MessageCodec(isServer, terminator);
    if (idle.size < MAX_IDLE) idle.set(key, codec);
  }
  return codec;
}

/**
 * @param {MessageChannel} channel
 * @param {string} text of a received frame
 * @returns {string} without an offer of the codec; empty if it is a control frame
 */
function takeOffer(channel, text) {
  if (channel.codec === null || !MessageCodec.mayHaveOffer(text)) return text;
  return channel.ownCodec().receiveText(text, channel.transport);
}

/** @returns {object} the message that a peer without the codec would have sent */
function envelopeOf(channel, { type, data, id, answers }) {
  if (answers === undefined) return id === undefined ? { type, data } : { type, data, id };
  // The peer names a question by the count in its id.
  const isCount = typeof answers === 'number';
  return { type, data, callback_id: isCount ? channel.callbacks?.idOf(answers) : answers };
}

/**
 * @returns {?string} the text of that message. Null, after the error is reported, if the peer has
 *   nested its values too deep, or if the text would be longer than a string can be
 */
function textOf(channel, decoded) {
  try {
    return stringify(envelopeOf(channel, decoded));
  } catch {
    channel.reportBadFrame();
    return null;
  }
}

/**
 * The program has replaced JSON.parse(): its function gets the text, and the peer is asked to send
 * JSON.
 */
function receiveThroughParse(channel, decoded) {
  channel.ownCodec().withdraw(channel.transport);
  const text = textOf(channel, decoded);
  if (text !== null) channel.receive(text, true);
}

/**
 * Delivers a message, as `receive()` of its channel does it with a text.
 *
 * @param {MessageChannel} channel
 * @param {object} decoded that its `decode()` has returned
 * @param {number} length of its frame
 */
function receiveDecoded(channel, decoded, length) {
  const { handlers } = channel;
  if (isParseReplaced()) return receiveThroughParse(channel, decoded);
  if (decoded.type === 'SockhopResponsePacket') {
    // A method of the program may pass on another message, of which only the text has a length.
    if (receivesThroughProgram(handlers)) {
      const text = textOf(channel, decoded);
      if (text !== null) channel.receive(text);
      return;
    }
    decoded[kTextLength] = length;
  }
  if (messageChannel.hasSubscribers) {
    showMessage(channel, 'received', envelopeOf(channel, decoded), null);
  }
  if (!channel.decodesItself()) {
    const text = textOf(channel, decoded);
    if (text !== null) channel.receiveBytes(Buffer.from(text + channel.options.terminator[0]));
    return;
  }
  if (receivesThroughProgram(handlers)) {
    channel.updateShowControl();
    return handlers.callOnReceivedObject(channel, envelopeOf(channel, decoded));
  }
  const { type, data, answers } = decoded;
  if (answers === undefined) channel.dispatch(decoded);
  else if (typeof answers === 'number') {
    channel.callbacks?.takeCount(answers)?.answer(data, { type });
  } else channel.dispatch({ type, data, callback_id: answers });
}

module.exports = { MessageCodec, idleCodec, receiveDecoded, takeOffer, textOf };
