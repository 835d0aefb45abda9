'use strict';

const { clearTimeout, setTimeout } = require('../real-timers.js');

/** How long the confirmation of a message waits for the answer to that message, in ms. */
const PATIENCE_MS = 1;

/** A confirmation that waits. */
class Confirmation {
  constructor(node, ticket) {
    this.node = node;
    this.ticket = ticket;
    this.isNeeded = true;
  }

  /** The answer is sent. */
  drop() {
    this.isNeeded = false;
  }
}

/**
 * Confirmations of messages whose clients must answer. The answer confirms a message as well, so a
 * confirmation waits a moment for it, because most clients answer at once.
 */
class Confirmations {
  #confirm;
  /** @type {Confirmation[]} */
  #waiting = [];
  #timer = null;

  /** @param {function(string, number): void} confirm sends the confirmation to a node */
  constructor(confirm) {
    this.#confirm = confirm;
  }

  /** The kernel has the message; its answer has not arrived. @returns {Confirmation} */
  add(node, ticket) {
    const confirmation = new Confirmation(node, ticket);
    this.#waiting.push(confirmation);
    this.#timer ??= setTimeout(() => this.sendAll(), PATIENCE_MS);
    return confirmation;
  }

  sendAll() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { node, ticket, isNeeded } of waiting) if (isNeeded) this.#confirm(node, ticket);
  }
}

module.exports = { Confirmations };
