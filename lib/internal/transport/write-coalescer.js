'use strict';

const { queue, throwUncaught } = require('../native/dispatcher.js');
const { kWriteBatch, kCanWriteNow, kWriteMessage } = require('../symbols.js');
const { nextTick, now } = require('../real-timers.js');

/** Text is handed over when this many characters have gathered, even in mid-tick. */
const FLUSH_LENGTH = 64 * 1024;

/**
 * Questions and answers are handed over earlier than that: while this side goes on asking, the peer begins
 * to answer. So many characters, and this part of what has left in the same tick.
 */
const PROMPT_LENGTH = 4 * 1024;
const PROMPT_PART = 1 / 4;

/**
 * A message leaves at its call this many ms after the last write. The more ticks sent several messages, the longer it
 * is, up to the limit: a system call more in so much time is not felt.
 */
const GAP_MS = 0.1;
const GAP_LIMIT_MS = 0.8;
/** So many may follow sooner, and leave at their calls, too; this many ms without a write, and they may again. */
const CREDIT = 8;
const REST_MS = 10;
/** While text gathers, the clock is looked at for so many messages one by one, then for one in so many. */
const LOOKS = 8;
const MESSAGES_PER_LOOK = 32;

/** How long an exit may wait for peers that take nothing, and in all, in ms. */
const EXIT_PATIENCE_MS = 500;
const EXIT_LIMIT_MS = 2000;

const noop = () => {};

/** Who is to be told of the end of the tick. */
const unflushed = new Set();

function flushAllWrites() {
  for (const sender of unflushed) {
    unflushed.delete(sender);
    try {
      sender.onTickEnd();
    } catch (err) {
      // A stream of the program's may throw: that is no matter of what others have sent.
      throwUncaught(err);
    }
  }
}

/** @param {{endTick(): void}} sender is told when the tick is over, once */
function callAtTickEnd(sender) {
  if (unflushed.size === 0) nextTick(flushAllWrites);
  unflushed.add(sender);
}

/** There will be no other tick: what handlers of 'exit' send leaves at once. */
let exiting = false;

// What was sent in the tick in which the program exits still goes out.
process.on('exit', () => {
  exiting = true;
  flushAllWrites();
  queue.drain(EXIT_PATIENCE_MS, EXIT_LIMIT_MS);
});

/**
 * Says which messages leave at their calls: those of a program that sends now and then. One that computes, blocks or is
 * killed behind its `send()` has sent. A burst gathers, because a system call a message costs more than the message.
 */
class WritePacing {
  /** When something left last. */
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  #gap = GAP_MS;
  #credit = CREDIT;
  /** Messages of this tick. */
  #count = 0;
  /** Whether the last tick in which something was sent had one message: where this has, too, it costs nothing to send it now. */
  #single = true;

  /** @returns {boolean} whether this message leaves at its call, if nothing waits before it; then it counts as left */
  mayWriteNow() {
    if (exiting) return true;
    this.#count += 1;
    const time = now();
    const gap = time - this.#lastWriteAt;
    if (gap >= REST_MS) this.#credit = CREDIT;
    if (gap < this.#gap && !(this.#single && this.#count === 1)) {
      if (this.#credit === 0) {
        this.#count -= 1;
        return false;
      }
      this.#credit -= 1;
    }
    this.#lastWriteAt = time;
    return true;
  }

  /** @returns {boolean} whether the last write is so long ago that this is no burst any more */
  isBurstOver() {
    return now() - this.#lastWriteAt >= this.#gap;
  }

  /** So many messages that gathered leave now. */
  recordWrites(count) {
    this.#count += count;
    this.#lastWriteAt = now();
  }

  /** The tick is over. */
  onTickEnd() {
    this.#single = this.#count === 1;
    this.#gap = this.#single
      ? Math.max(this.#gap / 2, GAP_MS)
      : Math.min(this.#gap * 2, GAP_LIMIT_MS);
    this.#count = 0;
  }
}

/** All that was sent in one go: it reaches the kernel together, so one promise serves for all of it. */
class WriteBatch {
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
    // As the callback of a socket's write().
    else this.resolve(null);
  }
}

/** Gathers the text of a burst for one connection, until the tick ends at the latest. */
class WriteCoalescer {
  #socket;
  #pacing = new WritePacing();
  /** Made when something gathers. */
  #pieces = null;
  #length = 0;
  /** How many pieces there are when the clock is looked at next. */
  #nextClockCheck = 0;
  /** Characters handed over since the tick began, behind the first that gathered. */
  #flushedInTick = 0;
  #batch = null;
  /** The end of this tick will be told. */
  #tickEndScheduled = false;

  /** @param {SockhopSocket} owner sends what is pushed */
  constructor(socket) {
    this.#socket = socket;
  }

  /**
   * @param {string} text
   * @param {boolean} [prompt] whether somebody waits for it
   * @returns {Promise<null>} settled by the owner
   */
  push(text, prompt = false) {
    if (this.#length === 0) return this.#begin(text, prompt);
    const { promise } = this.#batch;
    const count = this.#pieces.push(text);
    this.#length += text.length;
    if (prompt || count === this.#nextClockCheck || this.#length >= FLUSH_LENGTH)
      this.#review(count, prompt);
    return promise;
  }

  /** A message before which none has gathered. */
  #begin(text, prompt) {
    if (!this.#tickEndScheduled) {
      this.#tickEndScheduled = true;
      callAtTickEnd(this);
    }
    if (this.#socket[kCanWriteNow]() && this.#pacing.mayWriteNow())
      return this.#socket[kWriteMessage](text);
    this.#pieces = [text];
    this.#length = text.length;
    this.#nextClockCheck = 2;
    this.#batch = new WriteBatch();
    const { promise } = this.#batch;
    this.#review(1, prompt);
    return promise;
  }

  /** Hands over what has gathered if that is enough, or has taken long. */
  #review(count, prompt) {
    let isDue = exiting || this.#length >= FLUSH_LENGTH || (prompt && this.#isPromptEnough());
    if (!isDue && count === this.#nextClockCheck) {
      this.#nextClockCheck += count < LOOKS ? 1 : MESSAGES_PER_LOOK;
      isDue = this.#socket[kCanWriteNow]() && this.#pacing.isBurstOver();
    }
    if (!isDue) return;
    this.#flushedInTick += this.#length;
    this.flush();
  }

  #isPromptEnough() {
    return this.#length >= PROMPT_LENGTH && this.#length >= this.#flushedInTick * PROMPT_PART;
  }

  /** Hands over what has gathered; a new tick begins. */
  onTickEnd() {
    this.#tickEndScheduled = false;
    this.#flushedInTick = 0;
    this.flush();
    this.#pacing.onTickEnd();
  }

  /** Hands over what has gathered, now. */
  flush() {
    if (this.#length === 0) return;
    const pieces = this.#pieces;
    const batch = this.#batch;
    this.#pieces = null;
    this.#length = 0;
    this.#batch = null;
    batch.messages = pieces.length;
    this.#pacing.recordWrites(pieces.length);
    // Joining copies each piece once; a string that grew by `+=` is copied into pages of its own first.
    this.#socket[kWriteBatch](pieces.length === 1 ? pieces[0] : pieces.join(''), batch);
  }

  /** Characters that wait. */
  get length() {
    return this.#length;
  }
}

module.exports = { WriteBatch, WriteCoalescer, WritePacing, callAtTickEnd, flushAllWrites };
