'use strict';

const { throwUncaught } = require('../native/dispatcher.js');
const { clearTimeout, now, setTimeout } = require('../real-timers.js');
const { Renewal } = require('../renewal.js');
const { content } = require('./payload.js');
const { away, closed, noNode, nodeLost, remoteError, timedOut } = require('./errors.js');

/** How many operations may wait for other nodes. */
const MAX_WAITING = 100_000;

/**
 * An operation that waits for the answer of another node.
 *
 * @typedef {object} Waiting
 * @property {string} node
 * @property {number} due when the operation is given up
 * @property {Kept} message
 * @property {function(object): void} resolve
 * @property {function(Error): void} reject
 */

/**
 * The operations on sessions of other nodes. Each has a ticket, and ends with the answer of its
 * node, with the end of that node, or at its deadline.
 */
class Operations {
  /** @type {function(): ?Membership} */
  #membership;
  #timeout;
  #lastTicket = 0;
  /** In the order of their deadlines. @type {Map<number, Waiting>} */
  #waiting = new Map();
  #waitingRenewal = new Renewal();
  /** Callbacks whose answers are to come. @type {Map<number, {node: string, callback: Function}>} */
  #callbacks = new Map();
  #callbackRenewal = new Renewal();
  #timer = null;

  /**
   * @param {function(): ?Membership} membership of the server; null without one
   * @param {number} timeout the option `request_timeout`
   */
  constructor(membership, timeout) {
    this.#membership = membership;
    this.#timeout = timeout;
  }

  /** @returns {number} that no other operation of this server has */
  nextTicket() {
    this.#lastTicket += 1;
    return this.#lastTicket;
  }

  /**
   * Makes another node carry out an operation.
   *
   * @param {string} node
   * @param {string} kind
   * @param {object} what
   * @param {number} what.ticket
   * @param {object} [what.extra] fields
   * @param {{type: string, json: string}} [what.payload]
   * @returns {Promise<object>} the extra fields of its answer
   */
  call(node, kind, { ticket, extra, payload }) {
    const membership = this.#membership();
    const message = content({ ...extra, k: ticket }, payload);
    const isGone = membership === null || membership.nodes.hasLeft(node);
    const refusal = isGone ? noNode(node) : this.#refusal(membership, message);
    if (refusal !== null) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const kept = membership.publish(kind, membership.subjects.node(node), message, ticket);
      const due = now() + this.#timeout;
      this.#waiting = this.#waitingRenewal.renew(this.#waiting);
      this.#waiting.set(ticket, { node, due, message: kept, resolve, reject });
      this.#watch();
    });
  }

  #refusal(membership, message) {
    if (this.#waiting.size >= MAX_WAITING) {
      return away(`${MAX_WAITING} operations wait for other nodes`);
    }
    return membership.refusal(message);
  }

  /** Passes the answer of a client to the message with this ticket to a callback. */
  expectAnswer(node, ticket, callback) {
    this.#callbacks = this.#callbackRenewal.renew(this.#callbacks);
    this.#callbacks.set(ticket, { node, callback });
  }

  forgetAnswer(ticket) {
    if (this.#callbacks.delete(ticket)) this.#callbackRenewal.countRemoval();
  }

  // ---- answers of other nodes -------------------------------------------------------------------

  /** Another node has done, or refused, an operation. */
  onConfirmed(node, extra) {
    const waiting = this.#take(extra.k, node);
    if (waiting === undefined) return;
    if (extra.code === undefined) waiting.resolve(extra);
    else waiting.reject(remoteError(extra));
  }

  /** A client of another node has answered, so the kernel of that node had the message. */
  onAnswer(node, ticket, data, type) {
    this.#take(ticket, node)?.resolve({});
    const entry = this.#callbacks.get(ticket);
    if (entry?.node !== node) return;
    this.forgetAnswer(ticket);
    try {
      entry.callback(data, { type });
    } catch (err) {
      throwUncaught(err);
    }
  }

  /** The broker reports that the subject of a message has no subscriber. */
  onNobody(ticket) {
    const waiting = this.#take(ticket);
    if (waiting === undefined) return;
    // It may have had a receiver when it was published for the first time.
    const { message, node } = waiting;
    waiting.reject(message.isSentAgain ? nodeLost(node) : noNode(node));
  }

  /** The broker refuses messages to a subject. */
  onDenied(subject, err) {
    for (const [ticket, { message }] of this.#waiting) {
      if (message.subject === subject) this.#take(ticket).reject(err);
    }
  }

  onNodeGone(node) {
    for (const [ticket, waiting] of this.#waiting) {
      if (waiting.node !== node) continue;
      this.#take(ticket).reject(nodeLost(node));
    }
    for (const [ticket, entry] of this.#callbacks) {
      if (entry.node === node) this.forgetAnswer(ticket);
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = null;
    for (const { reject } of this.#waiting.values()) reject(closed());
    this.#waiting.clear();
    this.#callbacks.clear();
  }

  #take(ticket, node) {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined || (node !== undefined && waiting.node !== node)) return undefined;
    this.#remove(ticket);
    return waiting;
  }

  #remove(ticket) {
    this.#waiting.delete(ticket);
    this.#waitingRenewal.countRemoval();
  }

  // ---- deadlines --------------------------------------------------------------------------------

  #watch() {
    if (this.#timer !== null || this.#waiting.size === 0) return;
    const [{ due }] = this.#waiting.values();
    this.#timer = setTimeout(() => this.#expire(), Math.max(1, due - now()));
    this.#timer.unref?.();
  }

  #expire() {
    this.#timer = null;
    const time = now();
    for (const [ticket, { due, node, message, reject }] of this.#waiting) {
      if (due > time) break;
      this.#remove(ticket);
      const wasHeld = this.#membership()?.outbox.cancel(message);
      reject(
        wasHeld
          ? away(`the broker was away for ${this.#timeout} ms ("request_timeout")`)
          : timedOut(node, this.#timeout),
      );
    }
    this.#watch();
  }
}

module.exports = { Operations };
