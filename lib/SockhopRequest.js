'use strict';

const { AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');

const { explain } = require('./internal/errors/explanations.js');
const SockhopError = require('./SockhopError.js');
const {
  kBacklog,
  kHoldPackets,
  kHasBufferedPackets,
  kReleasePackets,
  kTextLength,
} = require('./internal/symbols.js');
const { nextTick } = require('./internal/real-timers.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');
const { uuid: makeUuid } = require('./internal/messaging/ids.js');

/**
 * The label a payload travels under.
 *
 * @throws {TypeError} for what has no class: null, undefined, an object without a constructor
 */
function typeOf(data) {
  const dataClass = data?.constructor;
  if (dataClass === undefined || dataClass === null) {
    const err = new TypeError(
      `Cannot send ${data === null || data === undefined ? data : 'an object without a constructor'}: ` +
        'the type of a message is the name of its constructor',
    );
    err.code = 'ERR_BAD_DATA';
    throw err;
  }
  return dataClass.name;
}

/** Whether the peer's message has the fields of a request or of a response packet, in a usable form. */
function isPacket(message) {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) return false;
  const { uuid, data, type } = message;
  if (uuid && typeof uuid !== 'string' && typeof uuid !== 'number') return false;
  if (typeof type === 'string' && type !== '') return true;
  return data === undefined || (data !== null && typeof data.constructor !== 'object');
}

/** A label that is no text is none: it is made from the payload again. */
const labelled = (message) =>
  typeof message.type === 'string' ? message : { ...message, type: undefined };

/**
 * A request as both sides see it: what was asked, under which type, and the id the answers carry.
 */
class SockhopRequest {
  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] identifies the request and its answers; drawn if left out
   * @param {*} [opts.data={}] what is asked
   * @param {string} [opts.type] the class name of the data; default: that of its constructor
   * @throws {TypeError} (ERR_BAD_DATA) if a type is wanted and the data has no constructor
   */
  constructor({ uuid, data = {}, type } = {}) {
    this.uuid = uuid || makeUuid();
    this.data = data;
    this.type = type || typeOf(data);
  }

  /**
   * @param {*} message what a peer sent
   * @returns {?SockhopRequest} null if that is no request; never throws
   */
  static parse(message) {
    return isPacket(message) ? new this(labelled(message)) : null;
  }

  /**
   * @param {*} data what to ask
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
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request that is answered; drawn if left out
   * @param {*} [opts.data={}] the payload
   * @param {string} [opts.type] the class name of the data; default: that of its constructor
   * @param {boolean} [opts.last=false] whether the stream ends with this packet
   * @throws {TypeError} (ERR_BAD_DATA) if a type is wanted and the data has no constructor
   */
  constructor({ uuid, data = {}, type, last = false } = {}) {
    this.uuid = uuid || makeUuid();
    this.data = data;
    this.type = type || typeOf(data);
    this.last = last;
  }

  /** What goes over the wire, in the order the peers are used to. */
  toJSON() {
    return { uuid: this.uuid, type: this.type, data: this.data, last: this.last };
  }

  /**
   * @param {*} message what a peer sent
   * @returns {?SockhopResponsePacket} null if that is no response packet; never throws
   */
  static parse(message) {
    return isPacket(message) && message.uuid ? new this(labelled(message)) : null;
  }

  /**
   * @param {*} data the payload
   * @param {string} uuid the id of the request that is answered
   * @param {boolean} [last=false] whether the stream ends with this packet
   * @returns {SockhopResponsePacket}
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  static for_data(data, uuid, last = false) {
    return new this({ uuid, data, last });
  }
}

/**
 * The answers to a request, as the asking side receives them.
 *
 * The stream ends with the packet marked as the last one, with `end()`, with the first packet after `next()`,
 * or with an error (time-out, lost connection, abort); whatever comes later is ignored.
 *
 * @fires SockhopResponseReadableStream#data (data, type)
 * @fires SockhopResponseReadableStream#end (err), undefined for a graceful end
 */
class SockhopResponseReadableStream extends EventEmitter {
  /** The asynchronous context of the request, in which its events are told. */
  #scope = new AsyncResource('SOCKHOPREQUEST');
  #ended = false;
  /** Why the stream ended; undefined while it has not, or if it ended gracefully. */
  #error = undefined;
  /**
   * Packets that came before the program had the stream in its hands, and behind them the error that ended
   * it, if one did; null once packets are delivered as they come.
   * @type {?{packets: SockhopResponsePacket[], end: ?{err: Error}}}
   */
  #held = null;
  /** Those who want the next packet only: it ends the stream. @type {{resolve: Function, reject: Function}[]} */
  #nexts = [];
  /** Those who follow the stream to its end. @type {Set<{packet: Function, end: Function}>} */
  #followers = new Set();
  /** Characters of packets that iterators keep. */
  #kept = 0;
  /** Counts them for the connection; a stream without one counts for itself. @type {?Backlog} */
  [kBacklog] = null;

  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request; drawn if left out
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
   * Takes a packet that arrived for this stream.
   *
   * @param {SockhopResponsePacket} pkt
   */
  receive_packet(pkt) {
    if (this.#ended) return;
    if (this.#held === null) this.#deliver(pkt);
    else if (this.#held.end === null) this.#held.packets.push(pkt);
  }

  /**
   * Ends the stream; a second call changes nothing.
   *
   * @param {Error} [err] why, if not gracefully
   */
  end(err) {
    if (this.#ended) return;
    const reason = err ?? undefined;
    // An error waits for the program to have the stream, and must not overtake packets that arrived before
    // it. A graceful end is the program's own wish to see no more.
    if (reason !== undefined && this.#held !== null) this.#held.end ??= { err: reason };
    else this.#finish(reason);
  }

  /**
   * Waits for the next packet and ends the stream with it.
   *
   * @returns {Promise<{data: *, type: string}>} rejects with the error if the stream ends, or has ended, with
   *   one; with ERR_RESPONSE_ENDED if it ends, or has ended, gracefully without another packet
   */
  next() {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#error ?? endedEarly());
      this.#nexts.push({ resolve, reject });
      this.#releaseSoon();
    });
  }

  /**
   * Waits for the end of the stream.
   *
   * @returns {Promise<{data: *, type: string}[]>} all packets from the call on (none if the stream has ended);
   *   rejects with the error if the stream ends, or has ended, with one
   */
  all() {
    return new Promise((resolve, reject) => {
      const packets = [];
      this.#follow({
        packet: (packet) => packets.push(packet),
        end: (err) => (err === undefined ? resolve(packets) : reject(err)),
      });
    });
  }

  /**
   * Packets from the call on, kept until they are asked for. The loop ends with the stream, throws the
   * error the stream ended with, and ends the stream if it is left early.
   *
   * @returns {AsyncIterableIterator<{data: *, type: string}>}
   */
  [Symbol.asyncIterator]() {
    const packets = [];
    const waiting = []; // calls of next() that no packet was there for
    let over = null; // {err} when the stream has ended
    let kept = 0; // characters of the packets, as far as the reader is to know of them
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
        // Nothing more comes, so the reader need not wait for the rest to be taken.
        keep(-kept);
        for (const { resolve, reject } of waiting.splice(0)) {
          // The error is thrown once; after it the iterator is done, like a generator that threw.
          if (over.err === undefined) resolve({ value: undefined, done: true });
          else reject(over.err);
          over.err = undefined;
        }
      },
    };
    this.#follow(follower);

    const leave = (value) => {
      packets.length = 0;
      this.#followers.delete(follower);
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

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const state = this.#ended ? 'ended' : 'open';
    return `${this.constructor.name} { ${stylize(this.uuid, 'string')}, ${state} }`;
  }

  /** Whether an iterator keeps a packet that the program has not taken. */
  [kHasBufferedPackets]() {
    return this.#kept > 0;
  }

  /** An iterator keeps so many characters more, or less. */
  #keep(change) {
    this.#kept += change;
    if (change > 0) this[kBacklog]?.add(change);
    else if (change < 0) this[kBacklog]?.take(-change);
  }

  /** Keeps packets back until `kReleasePackets`: the program does not have the stream yet. */
  [kHoldPackets]() {
    if (!this.#ended) this.#held ??= { packets: [], end: null };
  }

  /** Delivers what was kept back, in the order it came, and from now on as it comes. */
  [kReleasePackets]() {
    if (this.#held === null) return;
    const { packets, end } = this.#held;
    this.#held = null;
    packets.forEach((pkt, i) => {
      if (this.#ended) return;
      try {
        this.#deliver(pkt);
      } catch (err) {
        // A handler's error is the program's; it must not cost the packets behind this one.
        if (i === packets.length - 1 && end === null) throw err;
        nextTick(() => {
          throw err;
        });
      }
    });
    if (end !== null && !this.#ended) this.#finish(end.err);
  }

  /** Somebody waits for packets: give them after the tick, when other listeners are in place too. */
  #releaseSoon() {
    if (this.#held !== null) nextTick(() => this[kReleasePackets]());
  }

  #follow(follower) {
    if (this.#ended) {
      follower.end(this.#error);
      return;
    }
    this.#followers.add(follower);
    this.#releaseSoon();
  }

  #deliver(pkt) {
    const { data, type } = pkt;
    // Promises first: settling them runs no code of the program, so no handler's error can get in between.
    const nexts = this.#nexts;
    this.#nexts = [];
    for (const { resolve } of nexts) resolve({ data, type });
    for (const follower of this.#followers) follower.packet({ data, type }, pkt[kTextLength] ?? 0);
    try {
      this.#scope.runInAsyncScope(this.emit, this, 'data', data, type);
    } finally {
      if (pkt.last || nexts.length > 0) this.#finish();
    }
  }

  #finish(err) {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = err;
    this.#held = null;
    const nexts = this.#nexts;
    const followers = this.#followers;
    this.#nexts = [];
    this.#followers = new Set();
    for (const { reject } of nexts) reject(err ?? endedEarly());
    for (const follower of followers) follower.end(err);
    this.#scope.runInAsyncScope(this.emit, this, 'end', err);
  }
}

const endedEarly = () =>
  new SockhopError('Response stream ended without another packet', 'ERR_RESPONSE_ENDED');

/**
 * The answers to a request, as the answering side sends them.
 */
class SockhopResponseWriteableStream {
  /** Set while the last packet is on its way and after it left; a last packet that failed may be replaced. */
  #ended = false;

  /**
   * @param {object} [opts]
   * @param {string} [opts.uuid] the id of the request; drawn if left out
   * @param {SockhopClient|SockhopSession} [opts.sockhop] what the answers are sent through
   */
  constructor({ uuid, sockhop } = {}) {
    markTarget(this);
    this.uuid = uuid || makeUuid();
    this._sockhop = sockhop;
  }

  /**
   * @param {SockhopRequest} req
   * @param {SockhopClient|SockhopSession} sockhop what the answers are sent through
   * @returns {SockhopResponseWriteableStream}
   */
  static from_request(req, sockhop) {
    return new this({ uuid: req?.uuid, sockhop });
  }

  /**
   * Sends a packet and ends the stream with it.
   *
   * @param {*} data
   * @returns {Promise<void>} fulfilled when it is sent; rejects with ERR_RESPONSE_SEND if the stream has been
   *   ended or has nothing to send through, with ERR_SOCKET_DESTROYED if the connection is gone
   * @throws {TypeError} (ERR_BAD_DATA) if the data has no constructor
   */
  send(data) {
    return this._send(SockhopResponsePacket.for_data(data, this.uuid, true));
  }

  /**
   * Sends a packet; the stream stays open.
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
    this.#ended = true;
    const sent = Promise.resolve(sending).catch((err) => {
      this.#ended = false;
      // That the asking side went away is no mistake of the program that answers it.
      if (err?.code === 'ERR_SOCKET_DESTROYED') sent.catch(() => {});
      throw err;
    });
    return sent;
  }
}

/**
 * A refusal the program may look at or not: a packet too many is a mistake, but none that should end the
 * process as an unhandled rejection.
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
