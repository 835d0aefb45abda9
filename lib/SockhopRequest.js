'use strict';

const { AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');

const { explain } = require('./internal/errors/explanations.js');
const SockhopError = require('./SockhopError.js');
const {
  kBacklog,
  kEndHeld,
  kHoldPackets,
  kHasBufferedPackets,
  kOweTo,
  kReleasePackets,
  kTextLength,
} = require('./internal/symbols.js');
const { nextTick } = require('./internal/real-timers.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');
const { answersPromise } = require('./internal/messaging/bare-then.js');
const { isPacket, typeOf, withValidType } = require('./internal/messaging/packet-fields.js');
const { uuid: makeUuid } = require('./internal/ids.js');

/**
 * A request, as both sides see it: its payload and type, and the id of its answers.
 */
class SockhopRequest {
  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request and its answers; default: a new id
   * @param {*} [opts.data={}] the payload
   * @param {string} [opts.type] the type of the payload; default: the name of its class
   * @throws {TypeError} (ERR_BAD_DATA) if no type is given and the data has no constructor
   */
  constructor({ uuid, data = {}, type } = {}) {
    this.uuid = uuid || makeUuid();
    this.data = data;
    this.type = type || typeOf(data);
  }

  /**
   * @param {*} message from a peer
   * @returns {?SockhopRequest} null if it is not a request; never throws
   */
  static parse(message) {
    return isPacket(message) ? new this(withValidType(message)) : null;
  }

  /**
   * @param {*} data the payload
   * @returns {SockhopRequest}
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  static from_data(data) {
    return new this({ data });
  }
}

/**
 * One packet of an answer.
 */
class SockhopResponsePacket {
  /**
   * The length of its message, in characters. It is private, because programs print and compare
   * packets.
   */
  #textLength = 0;

  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request; default: a new id
   * @param {*} [opts.data={}] the payload
   * @param {string} [opts.type] the type of the payload; default: the name of its class
   * @param {boolean} [opts.last=false] whether the stream ends with this packet
   * @throws {TypeError} (ERR_BAD_DATA) if no type is given and the data has no constructor
   */
  constructor({ uuid, data = {}, type, last = false } = {}) {
    this.uuid = uuid || makeUuid();
    this.data = data;
    this.type = type || typeOf(data);
    this.last = last;
  }

  get [kTextLength]() {
    return #textLength in this ? this.#textLength : 0;
  }

  set [kTextLength](length) {
    if (#textLength in this) this.#textLength = length;
  }

  /** The fields that are sent, in the order of 1.8.4. */
  toJSON() {
    return { uuid: this.uuid, type: this.type, data: this.data, last: this.last };
  }

  /**
   * @param {*} message from a peer
   * @returns {?SockhopResponsePacket} null if it is not a response packet; never throws
   */
  static parse(message) {
    return isPacket(message) && message.uuid ? new this(withValidType(message)) : null;
  }

  /**
   * @param {*} data the payload
   * @param {string} uuid the id of the request
   * @param {boolean} [last=false] whether the stream ends with this packet
   * @returns {SockhopResponsePacket}
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  static for_data(data, uuid, last = false) {
    return new this({ uuid, data, last });
  }
}

/**
 * The answers to a request, as the requesting side receives them.
 *
 * The stream ends with the packet that is marked as the last one, with `end()`, with the first
 * packet after `next()`, or with an error (time-out, lost connection, abort). Later packets are
 * ignored.
 *
 * @fires SockhopResponseReadableStream#data (data, type)
 * @fires SockhopResponseReadableStream#end (err), with undefined if there was no error
 */
class SockhopResponseReadableStream extends EventEmitter {
  /** The asynchronous context of the request, in which the events are emitted. */
  #scope = new AsyncResource('SOCKHOPREQUEST');
  #ended = false;
  /** The error that ended the stream; undefined without one. */
  #error = undefined;
  /**
   * Packets that arrived before the program had the stream, and then the error that ended it, if
   * any; null once packets are delivered as they arrive.
   * @type {?{packets: SockhopResponsePacket[], end: ?{err: Error}}}
   */
  #held = null;
  /**
   * The pending calls of `next()`: the next packet settles them and ends the stream. Null if there
   * are none.
   *
   * @type {?{resolve: Function, reject: Function}[]}
   */
  #nexts = null;
  /**
   * The pending calls of `all()`, and the iterators. Null if there are none.
   *
   * @type {?Set<{packet: Function, end: Function}>}
   */
  #followers = null;
  /** The number of characters of the packets that iterators keep. */
  #kept = 0;
  /** Whether the next event is emitted by the stream itself. */
  #isOwnEvent = false;
  /** Counts these characters for the connection; null without one. @type {?Backlog} */
  [kBacklog] = null;

  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request; default: a new id
   */
  constructor({ uuid } = {}) {
    super();
    markTarget(this);
    this.uuid = uuid || makeUuid();
  }

  /** @type {boolean} whether the stream has ended */
  get ended() {
    return this.#ended;
  }

  get _ended() {
    return this.#ended;
  }

  set _ended(ended) {
    this.#ended = ended;
  }

  /**
   * @param {SockhopRequest} req
   * @returns {SockhopResponseReadableStream} the stream of its answers
   */
  static from_request(req) {
    return new this({ uuid: req.uuid });
  }

  /**
   * Takes a packet that has arrived for this stream.
   *
   * @param {SockhopResponsePacket} pkt
   */
  receive_packet(pkt) {
    if (this.#ended) return;
    if (this.#held === null) this.#deliver(pkt);
    else if (this.#held.end === null) this.#held.packets.push(pkt);
  }

  /**
   * Ends the stream. A second call does nothing.
   *
   * @param {Error} [err]
   */
  end(err) {
    if (!this.#ended) this.#finish(err ?? undefined);
  }

  /**
   * The connection or the time ends the stream: the error waits until the program has the stream,
   * after the packets that arrived before it.
   */
  [kEndHeld](err) {
    if (this.#held === null) this.end(err);
    else this.#held.end ??= { err };
  }

  /**
   * Waits for the next packet and ends the stream with it.
   *
   * @returns {Promise<{data: *, type: string}>} rejects with the error that ends or has ended the
   *   stream; with ERR_RESPONSE_ENDED if the stream ends or has ended without another packet and
   *   without an error. A program that calls `then(callback)` alone gets no unhandled rejection
   */
  next() {
    return answersPromise((resolve, reject) => {
      if (this.#ended) return reject(this.#error ?? endedEarly());
      this.#nexts ??= [];
      this.#nexts.push({ resolve, reject });
      this.#releaseSoon();
    });
  }

  /**
   * Waits for the end of the stream.
   *
   * @returns {Promise<{data: *, type: string}[]>} all packets from the call on (none if the stream
   *   has ended); rejects with the error that ends or has ended the stream, as `next()` does
   */
  all() {
    return answersPromise((resolve, reject) => {
      const packets = [];
      this.#follow({
        packet: (packet) => packets.push(packet),
        end: (err) => (err === undefined ? resolve(packets) : reject(err)),
      });
    });
  }

  /**
   * Iterates over the packets from the call on, which are kept until they are taken. A loop ends
   * with the stream, throws the error that ended it, and ends the stream if the loop is left early.
   *
   * @returns {AsyncIterableIterator<{data: *, type: string}>}
   */
  [Symbol.asyncIterator]() {
    const packets = [];
    const waiting = []; // calls of next() that wait for a packet
    let over = null; // {err} when the stream has ended
    let kept = 0; // characters of the packets, as the backlog counts them
    const keep = (change) => {
      kept += change;
      this.#keep(change);
    };

    const follower = {
      packet(packet, size) {
        if (waiting.length > 0) return waiting.shift().resolve({ value: packet, done: false });
        packets.push({ packet, size });
        keep(size);
      },
      end(err) {
        over = { err };
        // No more packets come, so reading need not stop for those that are kept.
        keep(-kept);
        for (const { resolve, reject } of waiting.splice(0)) {
          // The error is thrown once. After that the iterator is done, like a generator that has
          // thrown.
          if (over.err === undefined) resolve({ value: undefined, done: true });
          else reject(over.err);
          over.err = undefined;
        }
      },
    };
    this.#follow(follower);

    const leave = (value) => {
      packets.length = 0;
      this.#followers?.delete(follower);
      follower.end(undefined);
      this.end();
      return { value, done: true };
    };
    return {
      next() {
        if (packets.length > 0) {
          const { packet, size } = packets.shift();
          if (over === null) keep(-size);
          return Promise.resolve({ value: packet, done: false });
        }
        if (over === null) {
          return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
        }
        const { err } = over;
        over.err = undefined;
        return err === undefined
          ? Promise.resolve({ value: undefined, done: true })
          : Promise.reject(err);
      },
      async return(value) {
        return leave(value);
      },
      async throw(err) {
        leave();
        throw err;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  /**
   * Events that a program emits itself, for example in a test, reach promises and iterators as
   * well.
   */
  emit(event, ...args) {
    const isOwn = this.#isOwnEvent || this.#ended;
    this.#isOwnEvent = false;
    if (event === 'end' && !isOwn) this.#settleWaiting(args[0]);
    const endsHere = event === 'data' && !isOwn && this.#passOn(args[0], args[1], 0);
    try {
      return super.emit(event, ...args);
    } finally {
      if (endsHere) this.end();
    }
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const state = this.#ended ? 'ended' : 'open';
    return `${this.constructor.name} { ${stylize(this.uuid, 'string')}, ${state} }`;
  }

  /** Whether an iterator keeps packets that the program has not taken. */
  [kHasBufferedPackets]() {
    return this.#kept > 0;
  }

  /** The number of characters that iterators keep changes. */
  #keep(change) {
    this.#kept += change;
    if (change > 0) this[kBacklog]?.add(change);
    else if (change < 0) this[kBacklog]?.take(-change);
  }

  /** Holds packets until `kReleasePackets`, because the program does not have the stream yet. */
  [kHoldPackets]() {
    if (!this.#ended) this.#held ??= { packets: [], end: null };
  }

  /** Delivers the packets that were held, in order, and from now on each packet when it arrives. */
  [kReleasePackets]() {
    if (this.#held === null) return;
    const { packets, end } = this.#held;
    this.#held = null;
    packets.forEach((pkt, i) => {
      if (this.#ended) return;
      try {
        this.#deliver(pkt);
      } catch (err) {
        // An error of the program's handler is thrown as uncaught; the packets that follow are
        // delivered.
        if (i === packets.length - 1 && end === null) throw err;
        nextTick(() => {
          throw err;
        });
      }
    });
    if (end !== null && !this.#ended) this.#finish(end.err);
  }

  /**
   * The program waits for packets. They are delivered after the tick, so that it can add other
   * listeners.
   */
  #releaseSoon() {
    if (this.#held !== null) nextTick(() => this[kReleasePackets]());
  }

  #follow(follower) {
    if (this.#ended) {
      follower.end(this.#error);
      return;
    }
    this.#followers ??= new Set();
    this.#followers.add(follower);
    this.#releaseSoon();
  }

  #deliver(pkt) {
    const { data, type } = pkt;
    // Promises first: settling them runs no code of the program that could throw.
    const endsHere = this.#passOn(data, type, pkt[kTextLength] ?? 0);
    try {
      this.#emitInScope('data', data, type);
    } finally {
      // A method that the program may have replaced.
      if (pkt.last || endsHere) this.end();
    }
  }

  /**
   * Gives a packet to promises and iterators.
   *
   * @returns {boolean} whether the stream ends with it, because of `next()`
   */
  #passOn(data, type, size) {
    const nexts = this.#nexts;
    if (nexts !== null) {
      this.#nexts = null;
      for (const { resolve } of nexts) resolve({ data, type });
    }
    if (this.#followers !== null) {
      for (const follower of this.#followers) follower.packet({ data, type }, size);
    }
    return nexts !== null;
  }

  #finish(err) {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = err;
    this.#held = null;
    this.#settleWaiting(err);
    this.#emitInScope('end', err);
  }

  /** The stream ends for promises and iterators. */
  #settleWaiting(err) {
    const nexts = this.#nexts ?? [];
    const followers = this.#followers ?? [];
    this.#nexts = null;
    this.#followers = null;
    for (const { reject } of nexts) reject(err ?? endedEarly());
    for (const follower of followers) follower.end(err);
  }

  #emitInScope(...args) {
    this.#isOwnEvent = true;
    this.#scope.runInAsyncScope(this.emit, this, ...args);
  }
}

const endedEarly = () =>
  new SockhopError('Response stream ended without another packet', 'ERR_RESPONSE_ENDED');

/**
 * The answers to a request, as the responding side sends them.
 */
class SockhopResponseWriteableStream {
  /**
   * Set when the last packet is being sent or was sent. If sending it failed, another one may be
   * sent.
   */
  #ended = false;
  /** Counts the answers that are owed, including this one: @type {?MessageChannel} */
  #channel = null;

  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request; default: a new id
   * @param {SockhopClient|SockhopSession} [opts.sockhop] sends the packets
   */
  constructor({ uuid, sockhop } = {}) {
    markTarget(this);
    this.uuid = uuid || makeUuid();
    this._sockhop = sockhop;
  }

  /** Whether the last packet was sent, or is being sent. @type {true|undefined} */
  get _end_called() {
    return this.#ended || undefined;
  }

  set _end_called(called) {
    if (Boolean(called) !== this.#ended) this.#setEnded(Boolean(called));
  }

  /**
   * @param {SockhopRequest} req
   * @param {SockhopClient|SockhopSession} sockhop sends the packets
   * @returns {SockhopResponseWriteableStream}
   */
  static from_request(req, sockhop) {
    return new this({ uuid: req?.uuid, sockhop });
  }

  /**
   * Sends a packet and ends the stream.
   *
   * @param {*} data
   * @returns {Promise<void>} fulfilled when it is sent; rejects with ERR_RESPONSE_SEND if the
   *   stream has ended or was made without a client or session, with ERR_SOCKET_DESTROYED if the
   *   connection is over
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  send(data) {
    return this._send(SockhopResponsePacket.for_data(data, this.uuid, true));
  }

  /**
   * Sends a packet. The stream stays open.
   *
   * @param {*} data
   * @returns {Promise<void>} as `send()`
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  write(data) {
    return this._send(SockhopResponsePacket.for_data(data, this.uuid));
  }

  /**
   * Ends the stream with an empty object as its last packet.
   *
   * @returns {Promise<void>} as `send()`
   */
  end() {
    return this.send({});
  }

  /** Sends a packet. */
  _send(pkt) {
    if (!this._sockhop) {
      return refused(
        'Response packet cannot be sent back to responder',
        'This stream was made without a client or a session that it could send through.',
      );
    }
    if (this.#ended) return refused('Response packet cannot be sent after end');
    const message = { type: 'SockhopResponsePacket', data: pkt };
    if (!pkt.last) return this._sockhop._send_message(message);

    const sending = this._sockhop._send_message(message);
    this.#setEnded(true);
    const sent = Promise.resolve(sending).catch((err) => {
      this.#setEnded(false);
      // The requesting side has gone, which is not a mistake of the responding program.
      if (err?.code === 'ERR_SOCKET_DESTROYED') sent.catch(() => {});
      throw err;
    });
    return sent;
  }

  #setEnded(ended) {
    this.#ended = ended;
    if (this.#channel !== null) this.#channel.owedAnswers += ended ? -1 : 1;
  }

  /** The peer of a channel waits for this answer. */
  [kOweTo](channel) {
    this.#channel = channel;
    channel.owedAnswers += 1;
  }
}

/**
 * A rejection that the program may ignore: a packet after the last one is a mistake, but must not
 * end the process as an unhandled rejection.
 */
function refused(message, meaning) {
  const promise = Promise.reject(explain(new SockhopError(message, 'ERR_RESPONSE_SEND'), meaning));
  promise.catch(() => {});
  return promise;
}

supportProxies(SockhopResponseReadableStream);
supportProxies(SockhopResponseWriteableStream);

module.exports = {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream,
  SockhopResponseWriteableStream,
};
