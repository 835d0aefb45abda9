'use strict';

const ObjectBuffer = require('../../ObjectBuffer.js');
const SockhopError = require('../../SockhopError.js');
const { SentPings } = require('./sent-pings.js');
const { SockhopPong } = require('../../SockhopPing.js');
const {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream,
  SockhopResponseWriteableStream,
} = require('../../SockhopRequest.js');
const { Backlog, awaitsPackets } = require('./backlog.js');
const { describeFrame, explain } = require('../errors/explanations.js');
const { envelope } = require('./envelope.js');
const { abortError, socketDestroyed } = require('../errors/errors.js');
const { SizeHint, stringify } = require('./json.js');
const { normalizeRequestOptions } = require('../options/options.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { PendingCallbacks } = require('./pending-callbacks.js');
const {
  kBacklog,
  kNextPing,
  kClearPings,
  kSetBytesOnly,
  kConnection,
  kHoldPackets,
  kHasCustomWrite,
  kPings,
  kOriginalMethods,
  kOnPong,
  kReleasePackets,
  kSetShowControl,
  kTextLength,
  kStartReading,
  kHasOversizedFrame,
  kTraffic,
  kTransmit,
  kWriteBytes,
} = require('../symbols.js');
const { setImmediate } = require('../real-timers.js');

const buffers = ObjectBuffer.prototype;
const { buf2obj, obj2buf } = ObjectBuffer[kOriginalMethods];

const noop = () => {};

/** A ping is not answered at this length, nor while this many bytes wait for a peer that does not read. */
const PONG_LIMIT = 64 * 1024;

/** A promise that is rejected, and that nobody has to look at. */
function handledRejection(err) {
  const promise = Promise.reject(err);
  promise.catch(noop);
  return promise;
}

/**
 * The other end of one connection: what it says, what it is told, and what it still owes an answer to.
 *
 * Client and server differ in what they emit and with whom they share their streams, so a peer has an
 * owner: `limits`, and
 * `emit(event, ...args)`, `fail(err, peer)`, `meta(peer, type)`, `streams(peer)`, `responder(peer)`,
 * `lost(peer)`; a server's also `ended(peer)`; and `options`, checked.
 *
 * A program may override, replace or spy on the methods that a message passes through in 1.8.4. So an owner has its
 * `target`, the client or server, the methods that are its own as `plain`, and calls for each that go through
 * the program's: `received(peer, message)`, `say(peer, data)`, `sendMessage(peer, message)`,
 * `answer(peer, id, data)`, `responded(peer, packet)`; and its `ObjectBuffer`s, `encoding` and `decoding` as far
 * as the program has looked at or replaced them, else null; `encoder()` and `decoder(peer)` make them.
 * Once the program has looked for its callbacks, `callbacks` are they.
 */
class MessageChannel {
  #handlers;
  #terminator;
  #jsonMode;
  #allowNonObjects;
  #debug;
  /** @type {?PendingCallbacks} made when something is asked */
  #callbacks = null;
  #sweep = null;
  /** Once the program has looked at the pings of a native connection: @type {?Pings} */
  #pings = null;
  /** @type {?Backlog} made by the first request */
  #kept = null;
  #sizeHint = null;
  #isOver = false;
  /** Whose mistakes are reported, for people: @type {?{address?: string, port?: number}} */
  #peerAddress = null;

  constructor(handlers, options) {
    this.#handlers = handlers;
    this.options = options;
    this.#terminator = options.terminator[1];
    this.#jsonMode = options.peer_type === 'json';
    if (this.#jsonMode) this.#sizeHint = new SizeHint();
    this.#allowNonObjects = options.allow_non_objects;
    this.#debug = options.debug;
    /** Where text goes: @type {SockhopSocket|StreamTransport} */
    this.transport = null;
    /** The socket the program sees. */
    this.socket = null;
    this.session = null;
    /** Of a server's peer, once somebody has looked: @type {?ObjectBuffer} */
    this.decoding = null;
  }

  /** @returns {boolean} whether it belongs to the client or server with this owner */
  isOf(handlers) {
    return this.#handlers === handlers;
  }

  terminated(text) {
    return text + this.#terminator;
  }

  // ---- what it says ---------------------------------------------------------------------------

  /** As `receive`, for callers that have more to do than a handler's error may cost. */
  receiveSafely(text) {
    try {
      this.receive(text);
    } catch (err) {
      throwUncaught(err);
    }
  }

  /**
   * A frame came. What a handler throws passes through.
   *
   * @param {string} text
   */
  receive(text) {
    const handlers = this.#handlers;
    if (!this.decodesItself()) {
      return this.receiveBytes(Buffer.from(text + this.options.terminator[0]));
    }
    // An exception costs as much as many messages, and a peer may send nothing but terminators.
    if (text === '' && !this.#allowNonObjects) return this.#bad(text);
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      if (!this.#allowNonObjects) return this.#bad(text);
      message = text;
    }
    if (this.#debug) this.#show('received', message, text);
    // No peer of this kind sends it, and it has no properties to look at.
    if (message === null) return this.#bad(text);
    if (handlers.target._on_recieved_object !== handlers.originalMethods._on_recieved_object) {
      this.updateShowControl();
      return handlers.callOnReceivedObject(this, message);
    }
    this.dispatch(message, text);
  }

  /**
   * Bytes of the peer that the program's own `ObjectBuffer`, or one with its methods, is to read.
   *
   * @param {Buffer} bytes
   */
  receiveBytes(bytes) {
    const decoder = this.#handlers.decoder(this);
    let messages;
    try {
      messages = decoder.buf2obj(bytes);
    } catch (err) {
      // The program's codec is the program's, and bytes are the peer's.
      return throwUncaught(err);
    }
    for (const message of messages) {
      if (this.socket?.destroyed) return;
      if (message === null || message === undefined) {
        this.#bad();
        continue;
      }
      try {
        this.#handlers.callOnReceivedObject(this, message);
      } catch (err) {
        throwUncaught(err);
      }
    }
    if (decoder[kHasOversizedFrame]) {
      decoder[kHasOversizedFrame] = false;
      this.onTooLarge(this.options.max_message_size);
    }
  }

  /**
   * What becomes of a message by its type.
   *
   * @param {*} message
   * @param {string} [text] of it
   */
  dispatch(message, text) {
    switch (message.type) {
      case 'SockhopPing':
        return this.#answerPing(message.data);
      case 'SockhopPong':
        return this.#takePong(message, text);
      case 'SockhopRequest':
        return this.#takeRequest(message.data, text);
      case 'SockhopResponsePacket':
        return this.#takeResponse(message.data, text);
      case 'SockhopHandshake':
        // A peer of the next generation asks what this side can do. Silence means: the old way.
        if (!this.#jsonMode && isHandshake(message)) return;
    }
    if (this.#jsonMode) {
      this.#handlers.emit('receive', message, this.#handlers.metaFor(this, typeName(message)));
    } else if (message.callback_id) {
      this.#takeAnswer(message);
    } else {
      const meta = this.#handlers.metaFor(this, message.type);
      if (message.id) meta.callback = this.#replier(message.id);
      this.#handlers.emit('receive', message.data, meta);
    }
  }

  /** @param {string} [text] a frame that is not JSON, or not the message that it says it is */
  #bad(text) {
    this.#peerAddress ??= { address: this.socket?.remoteAddress, port: this.socket?.remotePort };
    const err = badFrame(text, this.#peerAddress);
    // A program may listen to its ObjectBuffer, which tells the owner.
    const decoder = this.decoding ?? this.#handlers.decoding;
    if (decoder === null) this.#handlers.reportError(err, this);
    else decoder.emit('error', err);
  }

  /** The program's way to answer a message that asks for it. */
  #replier(id) {
    const handlers = this.#handlers;
    const reply = (data) => {
      if (
        handlers.target._trigger_remote_callback ===
        handlers.originalMethods._trigger_remote_callback
      ) {
        this.reply(id, data);
      } else handlers.callTriggerRemoteCallback(this, id, data);
    };
    return handlers.replyFunction(reply);
  }

  /**
   * Answers a message that asks for it.
   *
   * @param {*} id what the peer calls its question
   * @param {*} data
   */
  reply(id, data) {
    let text;
    try {
      text = envelope(data, 'callback_id', id);
    } catch (err) {
      // An id may be anything, and nested so deep that it cannot be written. Nobody can wait for that answer.
      if (typeof id === 'object' && writable(data)) return;
      throw err;
    }
    if (this.socket.destroyed) {
      this.#handlers.onDeadSocket(this);
      throw explain(
        new SockhopError(
          'Client unable to send() - socket has been destroyed',
          'ERR_SOCKET_DESTROYED',
        ),
        'Cannot answer the callback: its connection is over',
      );
    }
    if (this.#debug)
      this.#show('sending', { type: data.constructor.name, data, callback_id: id }, text);
    if (this.#encodesItself()) this.transport[kTransmit](text + this.#terminator, true);
    else this.#encode({ type: data.constructor.name, data, callback_id: id }).catch(noop);
  }

  #answerPing(ping) {
    if (ping === null) return;
    if (this.transport[kTraffic]?.().queued_bytes > PONG_LIMIT) return;
    const pong = new SockhopPong(ping);
    if (this.sendsThroughProgram()) return this.#handlers.callSend(this, pong);
    let text;
    try {
      text = this.terminated(this.#jsonMode ? JSON.stringify(pong) : envelope(pong));
    } catch {
      // What it says is echoed, and may be nested so deep that it cannot be written.
      return;
    }
    if (text.length <= PONG_LIMIT) this.transport[kTransmit](text);
  }

  /** Only where the native side does not read them: adopted streams, and with `debug`. */
  #takePong(message, text) {
    if (this.transport[kOnPong]) this.transport[kOnPong](message.data);
    else this.transport[kConnection]?.pong(text ?? JSON.stringify(message));
  }

  #takeRequest(data, text) {
    const request = SockhopRequest.parse(data);
    if (request === null) return this.#bad(text);
    const response = SockhopResponseWriteableStream.from_request(
      request,
      this.#handlers.responderFor(this),
    );
    this.#handlers.onRequest(request, response, this);
  }

  #takeResponse(data, text) {
    const packet = SockhopResponsePacket.parse(data);
    if (packet === null) return this.#bad(text);
    // A message that came through a method of the program's has no text: it does not count.
    packet[kTextLength] = text?.length ?? 0;
    this.#handlers.callOnResponsePacket(this, packet);
  }

  #takeAnswer({ callback_id: id, data, type }) {
    const pending = this.#callbacks?.take(id);
    if (pending) pending.answer(data, { type });
    else this.#handlers.callbacks?.take(id)?.(data, { type });
  }

  onTooLarge(limit) {
    try {
      this.#handlers.reportError(
        new SockhopError(
          limit === Number.POSITIVE_INFINITY
            ? 'The peer sent a message that is longer than a string can be; the connection is closed'
            : `The peer sent a message of more than ${limit} bytes, which is the limit here ("max_message_size"); the connection is closed`,
          'ERR_MESSAGE_TOO_LARGE',
        ),
        this,
      );
    } finally {
      this.socket.destroy();
    }
  }

  onUnresponsive() {
    this.#handlers.onUnresponsive(this);
  }

  // ---- who looks on ---------------------------------------------------------------------------

  /** Whether what is sent over this connection passes through something of the program's. */
  sendsThroughProgram() {
    return this.endpointSendsThroughProgram() || this.transport[kHasCustomWrite] === true;
  }

  /** The same of all connections of its client or server. */
  endpointSendsThroughProgram() {
    const { target, originalMethods } = this.#handlers;
    return (
      this.#handlers.isRetyped ||
      target.send !== originalMethods.send ||
      target._send_message !== originalMethods._send_message ||
      !this.#encodesItself()
    );
  }

  /** Whether frames are found and read by this package, not by the program. */
  decodesItself() {
    const decoder = this.decoding ?? this.#handlers.decoding;
    if (decoder === null) return buffers.buf2obj === buf2obj;
    return (
      decoder.buf2obj === buf2obj &&
      decoder._rx_terminator === this.options.terminator[0] &&
      decoder._allow_non_objects === this.#allowNonObjects
    );
  }

  #encodesItself() {
    const { encoding } = this.#handlers;
    if (encoding === null) return buffers.obj2buf === obj2buf;
    return (
      encoding.obj2buf === obj2buf &&
      encoding._tx_terminator === this.#terminator &&
      encoding._allow_non_objects === this.#allowNonObjects
    );
  }

  /** Looks whether the program is to see pings and pongs, too, and has the native side show them accordingly. */
  updateShowControl() {
    const { target, originalMethods } = this.#handlers;
    const on =
      this.sendsThroughProgram() ||
      target._on_recieved_object !== originalMethods._on_recieved_object;
    this.transport[kSetShowControl]?.(on);
  }

  /** The program says that the other end is of another type. */
  setPeerType(options) {
    this.options = options;
    this.#jsonMode = options.peer_type === 'json';
    if (this.#jsonMode) this.#sizeHint ??= new SizeHint();
    this.updateShowControl();
  }

  /** Begins to read. */
  start() {
    this.updateShowControl();
    if (!this.decodesItself()) this.transport[kSetBytesOnly]?.();
    this.transport[kStartReading]();
  }

  /** The beat of the ping timer, where the native side does not see to it. */
  sendPing() {
    const { transport } = this;
    if (transport[kNextPing]) {
      const ping = transport[kNextPing]();
      if (ping) this.#ping(ping);
      return;
    }
    this.updateShowControl();
    const connection = transport[kConnection];
    this.#pings?.applyProgramChanges(connection);
    if (!this.sendsThroughProgram()) connection.beat();
    else if (connection.duePing()) this.#ping(this.pings.at(-1));
    this.#pings?.update(connection);
  }

  /** The pings sent of late, oldest first. @type {SockhopPing[]} */
  get pings() {
    const { transport } = this;
    if (transport[kPings]) return transport[kPings];
    this.#pings ??= new SentPings();
    return this.#pings.update(transport[kConnection]);
  }

  /** Whether the program has looked at the pings, and may have changed them. */
  get programReadPings() {
    return this.#pings !== null;
  }

  /** The pings so far count no more. */
  forgetPings() {
    this.#pings = null;
    this.transport[kClearPings]?.();
  }

  #ping(ping) {
    if (this.sendsThroughProgram()) return this.#handlers.callSend(this, ping);
    this.transport[kTransmit](
      this.terminated(this.#jsonMode ? JSON.stringify(ping) : envelope(ping)),
    ).catch(noop);
  }

  // ---- what it is told ------------------------------------------------------------------------

  /**
   * Sends a payload.
   *
   * @param {*} data
   * @param {function(*, {type: string}): void} [callback] called with the answer
   * @returns {Promise<void>}
   * @throws {SockhopError} ERR_REMOTE_CALLBACK_TYPE; {TypeError} for null and undefined
   */
  send(data, callback) {
    let text;
    let ticket;
    if (this.#jsonMode) {
      // JSON has no text for it.
      if (data === undefined) throw noPayload(data);
      if (callback)
        throw callbackRefused('Unable to use remote callback - peer type must be Sockhop');
      if (!this.#allowNonObjects && typeof data !== 'object') return this.#badObject();
    } else if (!isPayload(data)) {
      throw noPayload(data);
    }
    if (callback) {
      if (typeof callback !== 'function')
        throw callbackRefused('remote_callback must be a function', NO_OPTIONS);
      this.#callbacks ??= new PendingCallbacks();
      ticket = this.#callbacks.reserve();
    }
    const { target, originalMethods } = this.#handlers;
    if (target._send_message !== originalMethods._send_message || !this.#encodesItself()) {
      this.updateShowControl();
      const refusal = ticket === undefined ? null : this.#rememberCallback(ticket, callback);
      if (refusal) return handledRejection(refusal);
      return this.#handlers.callSendMessage(this, this.#message(data, ticket));
    }
    try {
      text = this.#jsonMode
        ? stringify(data, this.#sizeHint)
        : ticket === undefined
          ? envelope(data)
          : envelope(data, 'id', ticket.id);
    } catch (err) {
      // The program's own mistake: it must not be lost with a promise that nobody looks at.
      return Promise.reject(err);
    }
    if (ticket !== undefined) {
      const refusal = this.#rememberCallback(ticket, callback);
      if (refusal) return handledRejection(refusal);
    }
    if (this.#debug) this.#show('sending', this.#message(data, ticket), text);
    if (ticket === undefined) return this.transport[kTransmit](text + this.#terminator);
    const sent = this.transport[kTransmit](text + this.#terminator, true);
    // Nobody will answer what was not sent. If the connection breaks, close() forgets all of them.
    if (this.options.slow_consumer === 'drop' || this.socket?.destroyed) {
      sent.catch(() => this.#callbacks?.forget(ticket.id));
    }
    return sent;
  }

  /** A payload as 1.8.4 has it before it is text. */
  #message(data, ticket) {
    if (this.#jsonMode) return data;
    return { type: data?.constructor?.name, data, ...(ticket && { id: ticket.id }) };
  }

  /** Sends a message through the `obj2buf()` of the program. */
  async #encode(message) {
    const bytes = this.#handlers.encoder().obj2buf(message);
    return this.transport[kWriteBytes](bytes);
  }

  #badObject() {
    const err = new SockhopError(
      'obj2buf called with non object type (set allow_non_objects if you want this behavior)',
      'ERR_OBJECTBUFFER_BAD_OBJECT',
    );
    if (this.#handlers.listenerCount('error') > 0) this.#handlers.reportError(err, this);
    return handledRejection(err);
  }

  /** Remembers a callback. */
  #rememberCallback(ticket, callback) {
    const { max_pending_callbacks, callback_timeout } = this.options;
    // A getter of what is sent may have ended the connection.
    this.#callbacks ??= new PendingCallbacks();
    if (this.#callbacks.isFull(max_pending_callbacks)) {
      return this.#handlers.limits.count(
        new SockhopError(
          `${this.#callbacks.size} callbacks wait for an answer already, which is the limit ("max_pending_callbacks")`,
          'ERR_TOO_MANY_CALLBACKS',
        ),
      );
    }
    const expires = callback_timeout > 0 ? performance.now() + callback_timeout : 0;
    this.#callbacks.add(ticket, callback, expires);
    this.#kept?.review();
    if (expires > 0) this.#sweepLater(callback_timeout);
    return null;
  }

  /** All time-outs are alike, so the oldest callback is the first to go. */
  #sweepLater(delay) {
    if (this.#sweep !== null) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = null;
      const now = performance.now();
      for (;;) {
        const expires = this.#callbacks?.first()?.expires;
        if (expires === undefined) return;
        if (expires > now) return this.#sweepLater(expires - now);
        this.#callbacks.forgetFirst();
        try {
          this.#handlers.reportError(
            new SockhopError(
              `A callback was not answered within ${this.options.callback_timeout} ms ("callback_timeout")`,
              'ERR_CALLBACK_TIMEOUT',
            ),
            this,
          );
        } catch (err) {
          // A handler's error is the program's; the other callbacks are as late.
          throwUncaught(err);
        }
      }
    }, delay);
    this.#sweep.unref();
  }

  /**
   * Sends a message that is an envelope already.
   *
   * @param {object} message
   * @returns {Promise<void>}
   */
  sendMessage(message) {
    if (!this.#encodesItself()) return this.#encode(message);
    if (this.#jsonMode && !this.#allowNonObjects && typeof message !== 'object')
      return this.#badObject();
    let text;
    try {
      text = JSON.stringify(message);
    } catch (err) {
      return Promise.reject(err);
    }
    if (this.#debug) this.#show('sending', message, text);
    // Questions and their answers: somebody waits for them.
    return this.transport[kTransmit](text + this.#terminator, true);
  }

  /**
   * Asks for a stream of answers.
   *
   * @param {*} data
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<SockhopResponseReadableStream>}
   */
  async request(data, config) {
    const { timeout, signal } = normalizeRequestOptions(config);
    if (signal?.aborted) throw abortError(signal);
    const request = SockhopRequest.from_data(data);
    const stream = SockhopResponseReadableStream.from_request(request);
    const streams = this.#handlers.responseStreams(this);
    if (!streams) throw socketDestroyed();
    stream[kBacklog] = this.#backlog;
    // The answer may be here before the program has the stream.
    stream[kHoldPackets]();
    // What is asked may have to wait for a peer that does not read: nobody waits longer for that than for the answer.
    let goOn = noop;
    const giveUp = (err) => {
      stream.end(err);
      goOn();
    };
    streams.set(
      stream.uuid,
      stream,
      (reason) => {
        if (reason === 'timed-out') giveUp(responseTimedOut());
        else if (reason !== 'deleted') stream.end(stopped(reason));
      },
      timeout,
    );
    this.#backlog.review();
    const onAbort = signal && (() => giveUp(abortError(signal)));
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.once('end', () => {
      signal?.removeEventListener('abort', onAbort);
      streams.delete(stream.uuid);
    });
    try {
      const sent = this.#handlers.callSendMessage(this, { type: 'SockhopRequest', data: request });
      await new Promise((resolve, reject) => {
        goOn = resolve;
        Promise.resolve(sent).then(resolve, reject);
      });
    } catch (err) {
      stream[kReleasePackets]();
      stream.end();
      throw err;
    }
    setImmediate(() => stream[kReleasePackets]());
    return stream;
  }

  /** The packets that iterators keep. */
  get #backlog() {
    this.#kept ??= new Backlog(
      this.transport,
      () => this.pendingCallbacks > 0 || this.#hasHungryStream(),
    );
    return this.#kept;
  }

  #hasHungryStream() {
    const streams = this.#handlers.responseStreams(this)?._map.values() ?? [];
    for (const [stream] of streams) if (awaitsPackets(stream)) return true;
    return false;
  }

  /** The connection is over: no callback is late any more. Until `close()` the program may look at them. */
  stopTimeouts() {
    clearTimeout(this.#sweep);
    this.#sweep = null;
  }

  /** The connection is over: nobody will answer any more. */
  close() {
    this.stopTimeouts();
    this.#callbacks?.clear();
    this.#callbacks = null;
  }

  /** The connection is over, whoever ended it. */
  onConnectionOver() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handlers.onConnectionOver(this);
  }

  /** The socket of a server's connection reports an error. */
  onSocketError(err) {
    if (this.#isOver) return;
    if (err.code === 'ECONNRESET') this.socket.emit('end');
    else this.#handlers.reportError(err, this);
  }

  /** Those that wait for an answer: @type {?PendingCallbacks} */
  get callbacks() {
    return this.#callbacks;
  }

  /** How many callbacks wait for an answer. */
  get pendingCallbacks() {
    return this.#callbacks?.size ?? 0;
  }

  /** Who looks on must not change what becomes of a message. */
  #show(event, message, text) {
    try {
      this.#handlers.emit(event, message, Buffer.from(text + this.#terminator));
    } catch (err) {
      throwUncaught(err);
    }
  }
}

/** Whether a value that came in as JSON can go out as JSON: parsing has no limit in depth, writing has. */
function writable(value) {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}

/**
 * Made without a stack: that costs most of the time, and is the same for every frame.
 *
 * @param {string} [text] the frame, where it is known
 * @param {{address?: string, port?: number}} from
 * @returns {SockhopError} with `data`, the beginning of the frame, and where known `address`, `port` and `cause`
 */
function badFrame(text, { address, port }) {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  let err;
  try {
    err = new SockhopError('Skipping corrupted data in buffer', 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  if (address !== undefined) err.address = address;
  if (port !== undefined) err.port = port;
  return text === undefined ? err : describeFrame(err, text);
}

/** Whether it is the first message of sockhop 2.x, and not a class of the program that has that name. */
function isHandshake({ data, id }) {
  return typeof id === 'string' && Number.isInteger(data?.protocol_version);
}

function typeName(value) {
  return value?.constructor?.name;
}

/** Whether a value has a constructor, whatever that is: its name is the type of a message. */
function isPayload(data) {
  return (
    data !== null &&
    data !== undefined &&
    data.constructor !== null &&
    data.constructor !== undefined
  );
}

function noPayload(data) {
  const err = new TypeError(
    `Cannot send ${data === null || data === undefined ? data : 'an object without a constructor'}: ` +
      'the type of a message is the name of its constructor',
  );
  err.code = 'ERR_BAD_DATA';
  return err;
}

const NO_OPTIONS =
  'send() takes a callback and no options. How long to wait for the answer is the option "callback_timeout" of the ' +
  'constructor, or "timeout" of request().';

function callbackRefused(why, meaning) {
  return explain(new SockhopError(why, 'ERR_REMOTE_CALLBACK_TYPE'), meaning);
}

const responseTimedOut = () =>
  new SockhopError('Response stream timed out before ending', 'ERR_RESPONSE_TIMEOUT');

const stopped = (reason) =>
  explain(
    new SockhopError(
      `Response stream was stopped locally because ${reason}`,
      'ERR_SOCKET_DESTROYED',
    ),
    'The connection ended before the last packet of the answer arrived.',
  );

module.exports = {
  MessageChannel,
  isPayload,
  handledRejection,
};
