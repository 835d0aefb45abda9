'use strict';

const { MAX_STRING_LENGTH } = require('node:buffer').constants;

const { encoded } = require('../codec/frames.js');
const {
  callAfterDispatch,
  isDispatching,
  queue,
  throwUncaught,
} = require('../native/dispatcher.js');
const { kCanWriteNow, kOnCoalescerAtRest, kWriteBatch, kWriteMessage } = require('../symbols.js');
const { nextTick, now } = require('../real-timers.js');

/** When this many characters have gathered, they are written before the tick ends. */
const FLUSH_LENGTH = 64 * 1024;

/** A longer text is not joined with others: the result might be longer than a string can be. */
const LONGEST_PIECE = MAX_STRING_LENGTH - FLUSH_LENGTH;

/**
 * A message that is waited for (a request, an answer, a message with a callback) is written
 * earlier, so that the peer can begin while this side continues. It is written when this many
 * characters have gathered, and they are this part of the characters of the tick.
 */
const AWAITED_LENGTH = 4 * 1024;
const AWAITED_PART = 1 / 4;

/**
 * A message is written at its call if the last write was this many ms ago. The gap doubles with
 * each tick that sends several messages, up to the limit: one more system call in that time costs
 * next to nothing.
 */
const GAP_MS = 0.1;
const GAP_LIMIT_MS = 0.8;
/**
 * This many messages may be written at their calls although they follow sooner. A pause of this
 * many ms renews the credit.
 */
const CREDIT = 8;
const CREDIT_RENEWAL_MS = 10;
/**
 * While text gathers, the clock is read for each of this many messages, then for one message in
 * this many.
 */
const CLOCK_CHECKS = 8;
const MESSAGES_PER_CLOCK_CHECK = 32;

/** How long an exit waits while no peer takes anything, and how long altogether, in ms. */
const EXIT_STALL_MS = 500;
const EXIT_LIMIT_MS = 2000;

const noop = () => {};

/**
 * Senders whose method `onTickEnd()` is called once each. They are kept in an array of which a part
 * is in use. A Set would make a new table after a few ticks, and each table keeps the later ones
 * alive until the next full garbage collection.
 */
class Senders {
  #senders = [];
  #count = 0;
  #called = 0;

  /** @returns {boolean} whether it is the first one */
  add(sender) {
    this.#senders[this.#count] = sender;
    this.#count += 1;
    return this.#count === 1;
  }

  callAll() {
    while (this.#called < this.#count) {
      const sender = this.#senders[this.#called];
      this.#senders[this.#called] = null;
      this.#called += 1;
      try {
        sender.onTickEnd();
      } catch (err) {
        // A stream of the program may throw. The others are flushed nevertheless.
        throwUncaught(err);
      }
    }
    this.#count = 0;
    this.#called = 0;
  }
}

/** The coalescers and stream transports that have sent something in this tick. */
const ofTick = new Senders();
/** The coalescers that have sent something while the native side calls. */
const ofDispatch = new Senders();

const callAllOfTick = () => ofTick.callAll();
const callAllOfDispatch = () => ofDispatch.callAll();

function flushAllWrites() {
  ofDispatch.callAll();
  ofTick.callAll();
}

/**
 * @param {{onTickEnd(): void}} sender whose method is called once, at the end of this tick; it is
 *   not added again before that
 */
function callAtTickEnd(sender) {
  if (ofTick.add(sender)) nextTick(callAllOfTick);
}

/**
 * Like `callAtTickEnd()`. While the native side calls, that call is the tick: its end costs less
 * than a tick of Node.
 */
function callAtDispatchEnd(sender) {
  if (!isDispatching()) callAtTickEnd(sender);
  else if (ofDispatch.add(sender)) callAfterDispatch(callAllOfDispatch);
}

/**
 * Whether the process is exiting: no tick follows, so messages of `exit` handlers are written at
 * their calls.
 */
let exiting = false;

const isExiting = () => exiting;

// Messages that were sent in the tick in which the program exits are written as well.
process.on('exit', () => {
  exiting = true;
  flushAllWrites();
  queue.drain(EXIT_STALL_MS, EXIT_LIMIT_MS);
});

/**
 * Decides which messages are written at their calls. A program that sends now and then, and
 * computes, blocks or is killed after `send()`, has sent its message. A burst is gathered, because
 * a system call costs more than a message.
 */
class WritePacing {
  /** The time of the last write. */
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  #gap = GAP_MS;
  #credit = CREDIT;
  /** Messages written in this tick. */
  #count = 0;
  /**
   * Whether the last tick that sent anything sent one message. If this tick does the same, writing
   * at once costs nothing.
   */
  #single = true;

  /**
   * Called for a message before which nothing waits.
   *
   * @returns {boolean} whether it is to be written at its call; then it counts as written
   */
  mayWriteNow() {
    if (exiting) return true;
    this.#count += 1;
    const time = now();
    const gap = time - this.#lastWriteAt;
    if (gap >= CREDIT_RENEWAL_MS) this.#credit = CREDIT;
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

  /** @returns {boolean} whether the last write is so long ago that the burst is over */
  isBurstOver() {
    return now() - this.#lastWriteAt >= this.#gap;
  }

  /**
   * Forgets the last write if it does not affect later ones.
   *
   * @returns {boolean} whether this is as it was when it was made
   */
  rest() {
    if (!this.#single || this.#gap !== GAP_MS || this.#credit !== CREDIT) return false;
    this.#lastWriteAt = Number.NEGATIVE_INFINITY;
    return true;
  }

  /** Messages that have gathered are written now. */
  recordWrites(count) {
    this.#count += count;
    this.#lastWriteAt = now();
  }

  /** The tick ends. */
  onTickEnd() {
    this.#single = this.#count === 1;
    this.#gap = this.#single
      ? Math.max(this.#gap / 2, GAP_MS)
      : Math.min(this.#gap * 2, GAP_LIMIT_MS);
    this.#count = 0;
  }
}

/** The messages of one write. They reach the kernel together, so they share one promise. */
class WriteBatch {
  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Many programs ignore the promise of send(). Its rejection must not end the process.
    this.promise.catch(noop);
    this.messages = 0;
  }

  settle(err) {
    if (err) this.reject(err);
    // Fulfilled with null, like the callback of a socket's write().
    else this.resolve(null);
  }
}

/**
 * Coalescers at rest, for the sockets that send next: a quiet connection has none, which keeps it
 * small.
 */
const resting = [];
const RESTING_LIMIT = 1024;

/**
 * Joins the messages of a burst into one write for its connection, no later than the end of the
 * tick.
 */
class WriteCoalescer {
  #socket;
  #pacing = new WritePacing();
  /** The texts that have gathered; null while there are none. */
  #pieces = null;
  /**
   * Three numbers for each text, once one belongs to a binary frame: the length of the text, and
   * the range of its data in the buffer of the encoder.
   *
   * @type {?number[]}
   */
  #frames = null;
  #length = 0;
  /** The number of pieces at which the clock is read next. */
  #nextClockCheck = 0;
  /** Characters written in this tick, without those that were written at their calls. */
  #flushedInTick = 0;
  /** Settles the promise of the messages that have gathered. */
  #batch = null;
  #tickEndScheduled = false;

  /** @param {SockhopSocket} socket that writes */
  constructor(socket) {
    this.#socket = socket;
  }

  /** @returns {WriteCoalescer} for a socket that has none */
  static for(socket) {
    const coalescer = resting.pop() ?? new WriteCoalescer(socket);
    coalescer.#socket = socket;
    return coalescer;
  }

  /**
   * @param {string} text of a frame
   * @param {boolean} isAwaited whether an answer is waited for
   * @returns {Promise<null>} settled by the socket
   */
  push(text, isAwaited) {
    // This method is short, so that V8 inlines it: every message to a peer without the codec passes
    // it.
    if (this.#frames !== null) return this.pushBinary(text, isAwaited, 0, 0);
    if (this.#length === 0 || text.length > LONGEST_PIECE) {
      return this.#begin(text, isAwaited, 0, 0);
    }
    const { promise } = this.#batch;
    const count = this.#pieces.push(text);
    this.#length += text.length;
    if (isAwaited || count === this.#nextClockCheck || this.#length >= FLUSH_LENGTH) {
      this.#review(count, isAwaited);
    }
    return promise;
  }

  /**
   * Like `push()`, for a binary frame.
   *
   * @param {string} text
   * @param {boolean} isAwaited
   * @param {number} from the range of its data in the buffer of the encoder
   * @param {number} to
   * @returns {Promise<null>}
   */
  pushBinary(text, isAwaited, from, to) {
    if (this.#length === 0 || text.length > LONGEST_PIECE) {
      return this.#begin(text, isAwaited, from, to);
    }
    const { promise } = this.#batch;
    const count = this.#pieces.push(text);
    this.#length += text.length + to - from;
    this.#addFrame(text, from, to);
    if (isAwaited || count === this.#nextClockCheck || this.#length >= FLUSH_LENGTH) {
      this.#review(count, isAwaited);
    }
    return promise;
  }

  /** Takes a message that is not joined with those that have gathered. */
  #begin(text, isAwaited, from, to) {
    this.flush();
    if (!this.#tickEndScheduled) {
      this.#tickEndScheduled = true;
      callAtDispatchEnd(this);
    }
    if (this.#socket[kCanWriteNow]() && this.#pacing.mayWriteNow()) {
      return this.#socket[kWriteMessage](text, from, to);
    }
    this.#pieces = [text];
    this.#length = text.length + to - from;
    if (to > from) this.#addFrame(text, from, to);
    this.#nextClockCheck = 2;
    this.#batch = new WriteBatch();
    const { promise } = this.#batch;
    this.#review(1, isAwaited);
    return promise;
  }

  /** Adds the numbers of the last piece, and those of the pieces before it. */
  #addFrame(text, from, to) {
    if (this.#frames === null) {
      this.#frames = [];
      for (let i = 0; i < this.#pieces.length - 1; i++) {
        this.#frames.push(this.#pieces[i].length, 0, 0);
      }
      encoded.claim();
    }
    this.#frames.push(text.length, from, to);
  }

  /** Writes the messages that have gathered if they are enough, or the burst is over. */
  #review(count, isAwaited) {
    let isDue = exiting || this.#length >= FLUSH_LENGTH || (isAwaited && this.#isEnoughAwaited());
    if (!isDue && count === this.#nextClockCheck) {
      this.#nextClockCheck += count < CLOCK_CHECKS ? 1 : MESSAGES_PER_CLOCK_CHECK;
      isDue = this.#socket[kCanWriteNow]() && this.#pacing.isBurstOver();
    }
    if (!isDue) return;
    this.#flushedInTick += this.#length;
    this.flush();
  }

  #isEnoughAwaited() {
    return this.#length >= AWAITED_LENGTH && this.#length >= this.#flushedInTick * AWAITED_PART;
  }

  /** The tick ends. */
  onTickEnd() {
    this.#tickEndScheduled = false;
    this.#flushedInTick = 0;
    this.flush();
    this.#pacing.onTickEnd();
    if (this.#pacing.rest()) this.#rest();
  }

  #rest() {
    this.#socket[kOnCoalescerAtRest]();
    this.#socket = null;
    if (resting.length < RESTING_LIMIT) resting.push(this);
  }

  /** Writes the messages that have gathered. */
  flush() {
    if (this.#length === 0) return;
    const pieces = this.#pieces;
    const frames = this.#frames;
    const batch = this.#batch;
    this.#pieces = null;
    this.#frames = null;
    this.#length = 0;
    this.#batch = null;
    batch.messages = pieces.length;
    this.#pacing.recordWrites(pieces.length);
    // join() copies each piece once. A string that grew by `+=` would be copied into pages of its
    // own first.
    const text = pieces.length === 1 ? pieces[0] : pieces.join('');
    try {
      this.#socket[kWriteBatch](text, batch, frames);
    } finally {
      if (frames !== null) encoded.release();
    }
  }

  /** The number of characters that have gathered. */
  get length() {
    return this.#length;
  }
}

module.exports = {
  WriteBatch,
  WriteCoalescer,
  WritePacing,
  callAtTickEnd,
  flushAllWrites,
  isExiting,
};
