'use strict';

const { isCodecAllowed } = require('../codec/negotiation.js');
const { late } = require('../late.js');
const { idleCodec } = require('./message-codec.js');
const { LimitCounters } = require('../stats/stats.js');

/** Parts for an event that may be a mistake, see late.js. */
const loadMistakes = late(() => require('../options/mistakes.js'));

/** The events of clients and servers. */
const EVENTS = [
  'connect',
  'disconnect',
  'receive',
  'request',
  'error',
  'sending',
  'received',
  'reconnecting',
  'draining',
];

/**
 * The methods that a message channel calls. `ClientHandlers` and `ServerHandlers` implement it with
 * `MessageHandlers` as their base: they add the socket and the session where a server's program
 * expects them.
 *
 * @typedef {object} ChannelHandlers
 * @property {function(MessageChannel, *): void} callOnReceivedObject calls the program's
 *   `_on_recieved_object()`
 * @property {function(MessageChannel, SockhopPing|SockhopPong): void} callSend calls the program's
 *   `send()`
 * @property {function(MessageChannel, object): *} callSendMessage calls the program's
 *   `_send_message()`
 * @property {function(MessageChannel, *, *): void} callTriggerRemoteCallback calls the program's
 *   `_trigger_remote_callback()` with an id and data
 * @property {function(MessageChannel, SockhopResponsePacket): void} callOnResponsePacket calls the
 *   program's `_on_response_packet()`
 * @property {function(): ObjectBuffer} encoder the ObjectBuffer of the program to encode with; made
 *   if there is none
 * @property {function(MessageChannel): ObjectBuffer} decoder the same to decode with
 * @property {function(MessageChannel): object} sourceOf the client or server, the socket and the
 *   session of a message, for diagnostics
 * @property {function(MessageChannel, string): object} metaFor the second argument of `receive`
 * @property {function(function(*): void): function(*=): void} replyFunction makes `meta.callback`
 * @property {function(SockhopRequest, SockhopResponseWriteableStream, MessageChannel): void}
 *   onRequest emits `request`
 * @property {function(MessageChannel): SockhopClient|SockhopSession} responderFor sends response
 *   packets
 * @property {function(MessageChannel): ?TimedMap} responseStreams the response streams that wait
 *   for packets
 * @property {function(Error, MessageChannel): void} reportError counts and emits an error that a
 *   peer or the network caused
 * @property {function(*, MessageChannel): void} onSocketError counts and emits an error that a socket
 *   emits, which may be the program's
 * @property {function(MessageChannel): void} onDeadSocket something is sent over a socket that is
 *   destroyed
 * @property {function(MessageChannel): void} onUnresponsive the peer left too many pings unanswered
 * @property {function(MessageChannel): void} onConnectionOver the connection of a server is over;
 *   called once
 */

/** The part of `ChannelHandlers` that clients and servers share. */
class MessageHandlers {
  /** Counts the errors that limits cause, for `stats()`. */
  limits = new LimitCounters();
  /** Encodes messages, once the program has read or assigned it: @type {?ObjectBuffer} */
  encoding = null;
  /**
   * Decodes the messages of all channels if they share one, once the program has read or assigned
   * it.
   *
   * @type {?ObjectBuffer}
   */
  decoding = null;
  /** Whether an ObjectBuffer decodes bytes of a peer, which may cause the errors that it emits. */
  isDecoding = false;
  /** Made when the program reads `_send_callbacks`: @type {?SendCallbacks} */
  callbacks = null;
  /**
   * Whether the program has assigned `_peer_type`. The native side still has the type that it was
   * created with.
   */
  isRetyped = false;
  /**
   * Whether the events that the program listens to were checked against the names of existing
   * events.
   */
  #knowsEvents = false;
  /** While the server ends its connections one by one: @type {?import('../server/drain.js').Drain} */
  drain = null;

  /**
   * @param {SockhopClient|SockhopServer} target
   * @param {object} options checked
   * @param {import('./message-methods.js').MessageMethods} originalMethods the methods of the
   *   target's class, before a program replaces them
   */
  constructor(target, options, originalMethods) {
    this.target = target;
    this.options = options;
    this.originalMethods = originalMethods;
    /** Ends each text frame. */
    this.terminator = options.terminator[1];
    /** The end of most envelopes, and the terminator. */
    this.closing = `}${this.terminator}`;
    /**
     * The codec of connections without traffic; null: JSON. @type
     * {?import('./message-codec.js').MessageCodec}
     */
    this.codec = isCodecAllowed(options) ? idleCodec(this.isServer, this.terminator) : null;
  }

  /** Whether the connections are those of a server. @type {boolean} */
  get isServer() {
    return false;
  }

  /**
   * The program assigns `_peer_type`. Any value but "Sockhop" means "json", as in 1.8.4.
   *
   * @param {*} type
   * @param {Iterable<?MessageChannel>} channels of the client or server
   * @returns {object} the options from now on
   */
  setPeerType(type, channels) {
    const peer_type = type === 'Sockhop' ? type : 'json';
    if (peer_type === this.options.peer_type) return this.options;
    this.options = { ...this.options, peer_type };
    this.isRetyped = true;
    for (const channel of channels) channel?.setPeerType(this.options);
    return this.options;
  }

  /** There is a connection: the program has added most of its listeners. */
  checkEvents() {
    if (this.#knowsEvents) return;
    this.#knowsEvents = true;
    const others = this.target.eventNames().filter((name) => !EVENTS.includes(name));
    if (others.length > 0) loadMistakes().warnOfEvents(this.target, others, EVENTS);
  }

  listenerCount(event) {
    return this.target.listenerCount(event);
  }
}

module.exports = { MessageHandlers };
