'use strict';

const { clearTimeout, now, setTimeout } = require('../real-timers.js');
const { content } = require('./payload.js');

/** How long this node waits for the answers of other nodes, in ms. */
const PATIENCE_MS = 1000;
/** How many members one message names. */
const PAGE = 2000;
/** How many results are kept. */
const MAX_RESULTS = 1000;

/** A question to all nodes, and the nodes whose answers are missing. */
class Question {
  #missing;
  #wake = null;
  #isOver = false;
  /** Parts of answers that are not taken. */
  #parts = [];
  #timer;

  /** @param {string[]} nodes */
  constructor(nodes) {
    this.#missing = new Set(nodes);
    this.#timer = setTimeout(() => {
      this.#isOver = true;
      this.#wake?.();
    }, PATIENCE_MS);
  }

  get missing() {
    return [...this.#missing];
  }

  onPart(node, part, isLast) {
    if (!this.#missing.has(node)) return;
    if (isLast) this.#missing.delete(node);
    this.#parts.push({ node, part });
    this.#wake?.();
  }

  onNodeGone(node) {
    if (this.#missing.delete(node)) this.#wake?.();
  }

  /** The parts of the answers, until all nodes have answered or PATIENCE_MS have passed. */
  async *parts() {
    try {
      for (;;) {
        yield* this.#parts.splice(0);
        if (this.#missing.size === 0 || this.#isOver) break;
        await new Promise((resolve) => {
          this.#wake = resolve;
        });
      }
      yield* this.#parts.splice(0);
    } finally {
      clearTimeout(this.#timer);
    }
  }

  stop() {
    this.#isOver = true;
    this.#wake?.();
  }
}

/**
 * The members of groups on all nodes, which are asked for when a program wants them. Nodes that do
 * not answer in time are missing from the result.
 */
class Questions {
  #membership;
  #delivery;
  #operations;
  /** @type {Map<number, Question>} */
  #open = new Map();
  /** The last counts of groups. @type {Map<string, {at: number, result: Promise<object>}>} */
  #results = new Map();

  /**
   * @param {function(): ?Membership} membership
   * @param {Delivery} delivery
   * @param {Operations} operations
   */
  constructor(membership, delivery, operations) {
    this.#membership = membership;
    this.#delivery = delivery;
    this.#operations = operations;
  }

  /** @returns {Promise<{count: number, complete: boolean, missing: string[]}>} */
  count(group) {
    const interval = this.#membership()?.interval ?? 0;
    const last = this.#results.get(group);
    if (last !== undefined && now() - last.at < interval) return last.result;
    const result = this.#count(group);
    if (interval > 0) {
      if (this.#results.size >= MAX_RESULTS) this.#results.clear();
      this.#results.set(group, { at: now(), result });
      result.then(({ complete }) => {
        if (!complete) this.forget(group);
      });
    }
    return result;
  }

  /** The members of a group have changed here. */
  forget(group) {
    this.#results.delete(group);
  }

  async #count(group) {
    const { ticket, question } = this.#ask(group, 'count');
    let count = this.#delivery.membersOf(group).size;
    for await (const { part } of question.parts()) if (typeof part === 'number') count += part;
    this.#open.delete(ticket);
    const { missing } = question;
    return { count, complete: missing.length === 0, missing };
  }

  /**
   * The ids of the members.
   *
   * @returns {AsyncGenerator<string, {complete: boolean, missing: string[]}>}
   */
  async *ids(group, ownId) {
    const { ticket, question } = this.#ask(group, 'ids');
    try {
      for (const { number } of [...this.#delivery.membersOf(group)]) yield `${ownId}.${number}`;
      for await (const { node, part } of question.parts()) {
        for (const number of Array.isArray(part) ? part : []) {
          if (Number.isSafeInteger(number)) yield `${node}.${number}`;
        }
      }
    } finally {
      this.#open.delete(ticket);
      question.stop();
    }
    const { missing } = question;
    return { complete: missing.length === 0, missing };
  }

  #ask(group, what) {
    const membership = this.#membership();
    const ticket = this.#operations.nextTicket();
    const question = new Question(membership?.nodes.up.map(({ id }) => id) ?? []);
    if (membership === null || question.missing.length === 0) return { ticket, question };
    const message = content({ k: ticket, g: group, w: what });
    if (membership.refusal(message) === null) {
      this.#open.set(ticket, question);
      membership.publish('?', membership.subjects.heartbeats, message);
    }
    return { ticket, question };
  }

  /** Another node asks. */
  answer(node, { k: ticket, g: group, w: what }) {
    const members = this.#delivery.membersOf(group);
    if (what === 'count') return this.#reply(node, { k: ticket, n: members.size, e: true });
    if (what !== 'ids') return;
    const numbers = [...members].map(({ number }) => number);
    do {
      const page = numbers.splice(0, PAGE);
      this.#reply(node, { k: ticket, n: page, e: numbers.length === 0 });
    } while (numbers.length > 0);
  }

  #reply(node, extra) {
    const membership = this.#membership();
    const message = content(extra);
    if (membership === null || membership.refusal(message) !== null) return;
    membership.publish('!', membership.subjects.node(node), message);
  }

  /** Another node has answered. */
  onAnswer(node, { k: ticket, n: part, e: isLast }) {
    const isNumber = (value) => Number.isSafeInteger(value) && value >= 0;
    if (isNumber(part) || (Array.isArray(part) && part.every(isNumber))) {
      this.#open.get(ticket)?.onPart(node, part, isLast === true);
    }
  }

  onNodeGone(node) {
    for (const question of this.#open.values()) question.onNodeGone(node);
  }

  close() {
    for (const question of this.#open.values()) question.stop();
    this.#results.clear();
  }
}

module.exports = { Questions };
