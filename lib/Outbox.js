'use strict';

const { mailbox } = require('./Mailbox.js');
const { kDepart, kTicked } = require('./symbols.js');
const { nextTick } = require('./timing.js');

/** Text is handed over when this many characters have gathered, even in mid-tick. */
const FLUSH_LENGTH = 64 * 1024;

/**
 * Questions and answers are handed over earlier than that: while this side goes on asking, the peer begins
 * to answer. So many characters, and this part of what has left in the same tick.
 */
const PROMPT_LENGTH = 4 * 1024;
const PROMPT_PART = 1 / 4;

/** How long an exit may wait for peers that take nothing, and in all, in ms. */
const EXIT_PATIENCE_MS = 500;
const EXIT_LIMIT_MS = 2000;

const noop = () => {};

/** The outboxes that have text to hand over at the end of the tick. */
const dirty = new Set();

function flushAll() {
  for (const outbox of dirty) outbox.endTick();
}

/** There will be no other tick: what handlers of 'exit' send leaves at once. */
let exiting = false;

// What was sent in the tick in which the program exits still goes out.
process.on('exit', () => {
  exiting = true;
  flushAll();
  mailbox.drain(EXIT_PATIENCE_MS, EXIT_LIMIT_MS);
});

/** All that was sent in one go: it reaches the kernel together, so one promise serves for all of it. */
class Departure {
  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Many programs do not look at what send() returns; that must not end the process.
    this.promise.catch(noop);
    this.messages = 0;
  }

  settle(err) {
    if (err) this.reject(err);
    else this.resolve();
  }
}

/** Gathers the text of a tick for one connection. */
class Outbox {
  #owner;
  /** Made when something is sent. */
  #pieces = null;
  #length = 0;
  /** Characters handed over since the tick began. */
  #gone = 0;
  #departure = null;

  /**
   * @param {{depart(text: string, departure: Departure): void, ticked?: function(): void}} owner sends what has
   *   gathered; is told when a tick is over, and may then forget this
   */
  constructor(owner) {
    this.#owner = owner;
  }

  /**
   * @param {string} text
   * @param {boolean} [prompt] whether somebody waits for it
   * @returns {Promise<void>} settled by the owner
   */
  push(text, prompt = false) {
    this.#departure ??= new Departure();
    this.#departure.messages += 1;
    const { promise } = this.#departure;
    this.#pieces ??= [];
    if (this.#pieces.push(text) === 1) {
      if (dirty.size === 0) nextTick(flushAll);
      dirty.add(this);
    }
    this.#length += text.length;
    if (this.#length >= FLUSH_LENGTH || (prompt && this.#isPromptEnough()) || exiting) {
      this.#gone += this.#length;
      this.flush();
      dirty.add(this);
    }
    return promise;
  }

  #isPromptEnough() {
    return this.#length >= PROMPT_LENGTH && this.#length >= this.#gone * PROMPT_PART;
  }

  /** Hands over what has gathered; a new tick begins. */
  endTick() {
    this.#gone = 0;
    this.flush();
    if (this.#length === 0) this.#owner[kTicked]?.();
  }

  /** Hands over what has gathered, now. */
  flush() {
    dirty.delete(this);
    if (this.#length === 0) return;
    // Joining copies each piece once; a string that grew by `+=` is copied into pages of its own first.
    const text = this.#pieces.length === 1 ? this.#pieces[0] : this.#pieces.join('');
    const departure = this.#departure;
    this.#pieces = null;
    this.#length = 0;
    this.#departure = null;
    this.#owner[kDepart](text, departure);
  }

  /** Characters that wait. */
  get length() {
    return this.#length;
  }
}

module.exports = { Outbox, flushAll };
