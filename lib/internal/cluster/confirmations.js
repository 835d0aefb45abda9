'use strict';

const { clearTimeout, setTimeout } = require('../real-timers.js');

/** How long the confirmation of a message waits for the answer to that message, in ms. */
const PATIENCE_MS = 1;

/**
 * Confirmations of messages whose clients are to answer. The answer confirms a message, too, so a
 * confirmation waits a moment for it: most clients answer at once.
 */
class Confirmations {
  #confirm;
  /** Waiting ones, by node and ticket: @type {Map<string, {node: string, ticket: number}>} */
  #waiting = new Map();
  #timer = null;

  /** @param {function(string, number): void} confirm sends the confirmation to a node */
  constructor(confirm) {
    this.#confirm = confirm;
  }

  /** The kernel has the message; its answer has not arrived. */
  add(node, ticket) {
    this.#waiting.set(keyOf(node, ticket), { node, ticket });
    this.#timer ??= setTimeout(() => this.sendAll(), PATIENCE_MS);
  }

  /** The answer is sent. */
  drop(node, ticket) {
    this.#waiting.delete(keyOf(node, ticket));
  }

  sendAll() {
    clearTimeout(this.#timer);
    this.#timer = null;
    for (const { node, ticket } of this.#waiting.values()) this.#confirm(node, ticket);
    this.#waiting.clear();
  }
}

const keyOf = (node, ticket) => `${node} ${ticket}`;

module.exports = { Confirmations };
