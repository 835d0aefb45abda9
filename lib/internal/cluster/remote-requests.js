'use strict';

const { abortError } = require('../errors/errors.js');
const { responseTimedOut } = require('../messaging/channel-errors.js');
const { normalizeRequestOptions } = require('../options/options.js');
const { clearTimeout, setImmediate, setTimeout } = require('../real-timers.js');
const { SockhopResponsePacket, SockhopResponseReadableStream } = require('../../SockhopRequest.js');
const { kBacklog, kEndHeld, kHoldPackets, kReleasePackets, kTextLength } = require('../symbols.js');
const { nodeLost, packetsLost, remoteError } = require('./errors.js');

/** The answering node is credited each time the program has taken this many characters. */
const CREDIT_STEP = 256 * 1024;

/** A request to a client of another node, and the stream of its answers. */
class SentRequest {
  #sendControl;
  #packets = 0;
  #received = 0;
  #kept = 0;
  #credited = 0;
  #isReleased = false;
  #isEndedByNode = false;
  /** Ends the stream once the program has it. @type {?function(): void} */
  #end = null;
  #timer;

  /**
   * @param {string} node
   * @param {{timeout: number, signal: (AbortSignal|undefined)}} config
   * @param {object} actions
   * @param {function(object): void} actions.sendControl
   * @param {function(): void} actions.onEnd
   */
  constructor(node, { timeout, signal }, { sendControl, onEnd }) {
    this.node = node;
    this.#sendControl = sendControl;
    const stream = new SockhopResponseReadableStream();
    this.stream = stream;
    stream[kBacklog] = {
      add: (length) => {
        this.#kept += length;
      },
      take: (length) => {
        this.#kept -= length;
        this.#credit();
      },
    };
    stream[kHoldPackets]();
    this.#timer = setTimeout(() => stream[kEndHeld](responseTimedOut()), timeout);
    this.#timer.unref?.();
    const onAbort = signal && (() => stream[kEndHeld](abortError(signal)));
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.once('end', () => {
      clearTimeout(this.#timer);
      signal?.removeEventListener('abort', onAbort);
      if (!this.#isEndedByNode) sendControl({ stop: true });
      onEnd();
    });
  }

  /** The program gets the stream, and then its packets. */
  release() {
    setImmediate(() => {
      this.#isReleased = true;
      this.stream[kReleasePackets]();
      this.#end?.();
    });
  }

  /** The request was not sent. */
  abandon() {
    this.#isEndedByNode = true;
    this.stream[kReleasePackets]();
    this.stream.end();
  }

  onPacket(count, data, type, length) {
    this.#packets += 1;
    if (count !== this.#packets) {
      this.stream[kEndHeld](packetsLost(this.node));
      return;
    }
    this.#received += length;
    const packet = new SockhopResponsePacket({ uuid: this.stream.uuid, data, type });
    packet[kTextLength] = length;
    this.stream.receive_packet(packet);
    this.#credit();
  }

  #credit() {
    const taken = this.#received - this.#kept;
    if (taken - this.#credited < CREDIT_STEP || this.stream.ended) return;
    this.#credited = taken;
    this.#sendControl({ w: taken });
  }

  /** The answering node has ended the stream. */
  onEnd({ n: count, code, message }) {
    if (count !== this.#packets) this.end(packetsLost(this.node));
    else this.end(code === undefined ? undefined : remoteError({ code, message }));
  }

  /** @param {Error} [err] */
  end(err) {
    this.#isEndedByNode = true;
    if (this.#isReleased) this.stream.end(err);
    else this.#end = () => this.stream.end(err);
  }
}

/** The requests of this node to clients of others. */
class RemoteRequests {
  #operations;
  /** @type {Map<number, SentRequest>} */
  #requests = new Map();
  #requestTimeout;
  #sendControl;

  /**
   * @param {Operations} operations
   * @param {number} requestTimeout the option `request_timeout`
   * @param {function(string, object): void} sendControl to the answering node
   */
  constructor(operations, requestTimeout, sendControl) {
    this.#operations = operations;
    this.#requestTimeout = requestTimeout;
    this.#sendControl = sendControl;
  }

  /**
   * @param {{node: string, number: number}} to
   * @param {{type: string, json: string}} payload
   * @param {object} [config] of `request()`
   * @param {number} usualTimeout in ms
   * @returns {Promise<SockhopResponseReadableStream>}
   */
  async send({ node, number }, payload, config, usualTimeout) {
    const { timeout = usualTimeout, signal } = normalizeRequestOptions(config);
    if (signal?.aborted) throw abortError(signal);
    const ticket = this.#operations.nextTicket();
    const limits = { timeout: timeout + this.#requestTimeout, signal };
    const request = new SentRequest(node, limits, {
      sendControl: (control) => this.#sendControl(node, { k: ticket, ...control }),
      onEnd: () => this.#requests.delete(ticket),
    });
    this.#requests.set(ticket, request);
    try {
      const extra = { s: number, o: timeout };
      await this.#operations.call(node, 'Q', { ticket, extra, payload });
    } catch (err) {
      request.abandon();
      throw err;
    }
    request.release();
    return request.stream;
  }

  onPacket(node, { k, n }, data, type, length) {
    this.#from(node, k)?.onPacket(n, data, type, length);
  }

  /** @returns {boolean} whether it was the end of a stream */
  onEnd(node, extra) {
    const request = this.#from(node, extra.k);
    request?.onEnd(extra);
    return request !== undefined;
  }

  #from(node, ticket) {
    const request = this.#requests.get(ticket);
    return request?.node === node ? request : undefined;
  }

  onNodeGone(node) {
    for (const request of this.#requests.values()) {
      if (request.node === node) request.end(nodeLost(node));
    }
  }

  /** @param {Error} err ends all streams */
  close(err) {
    for (const request of this.#requests.values()) request.end(err);
  }
}

module.exports = { RemoteRequests };
