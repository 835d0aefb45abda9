'use strict';

/*
 * What happened to the connections of this environment (the main thread, or a worker), as the native
 * side hands it over: many events in one call, the text of many frames in one string.
 *
 * The native side calls `deliver` once, however much there is to take.
 */

const native = require('./binding.js');
const {
  kOnUnresponsive,
  kOnEnd,
  kOnError,
  kOnFlushed,
  kOnFrame,
  kOnRawBytes,
  kAsyncScope,
  kOnTooLarge,
} = require('../symbols.js');
const { guardAtUnload } = require('./deno-unload.js');
const timing = require('../real-timers.js');

/** The kinds of records in an index; src/node/queue.rs knows them by the same numbers. */
const FRAMES = 0;
const LARGE_FRAME = 1;
const RAW = 2;
const TOO_LARGE = 3;
const ENDED = 4;
const FAILED = 5;
const FLUSHED = 6;
const DEAD = 7;
const BROADCAST_DONE = 8;
const ACCEPTED = 9;
const REFUSED = 10;
const LISTENER_FAILED = 11;
const CONNECTED = 12;
const CONNECT_FAILED = 13;

/** How long a flood may keep timers and other I/O of the program waiting, in ms. */
const SLICE_MS = 1;
/** Frames between two looks at the clock, at most; the first look is after the first frame of many. */
const FRAMES_PER_LOOK = 32;

/**
 * What is in the batch under delivery, written by the native side: how many numbers are in use (0: the batch
 * is done), whether more was waiting, whether the native mailbox is gone, how often this side interrupted it
 * because its time was up, then records `kind, id (its lower and upper half), value`. For
 * frames `value` is how many, and so many ends in the text follow; for others it is a number, or a place among
 * the extras.
 */
const index = new Uint32Array(16 * 1024);
const HEADER = 4;
const INTERRUPTIONS = 3;

/** @returns {number} the id in a record; ids are never given again, and count up to 2^53 */
function idAt(at) {
  const high = index[at + 2];
  return high === 0 ? index[at + 1] : high * 2 ** 32 + index[at + 1];
}

/** Who gets what: open connections by connection id, listeners and clients by an id of their own. */
const sockets = new Map();
const listeners = new Map();
/** Clients that are about to connect: one that does nothing is nobody's business but the program's. */
const clients = new Map();
const broadcasts = new Map();

/** The batch that is being delivered, so far as it was interrupted: @type {?Batch} */
let current = null;
let resuming = false;

/** Whether the runtime shows, for an error that is reported so, where it was made. */
const showsOrigin = process.versions.bun === undefined && process.versions.deno === undefined;

/** An error of the program's handler is the program's; it must not cost the events behind it. */
function throwUncaught(err) {
  timing.nextTick(() => {
    // Node shows the line that threw: for an error it should be the program's.
    if (showsOrigin && err instanceof Error) native.reportUncaught(err);
    else throw err;
  });
}

/** When the program's timers get their turn; 0 until somebody has looked at the clock. */
let deadline = 0;

/** @returns {boolean} whether this has gone on for long enough */
function timeIsUp() {
  const now = timing.now();
  if (deadline === 0) deadline = now + SLICE_MS;
  return now > deadline;
}

/** As `timeIsUp`, in the middle of a batch; the native side learns of it, and makes the next ones shorter. */
function interrupts() {
  if (!timeIsUp()) return false;
  index[INTERRUPTIONS] += 1;
  return true;
}

/** One batch of the native mailbox, delivered in order, possibly with interruptions. */
class Batch {
  #text;
  #extras;
  /** The record to go on with. */
  #at = HEADER;
  /** Frames of that record already delivered, and where in the text the next begins. */
  #frame = 0;
  #start = 0;

  constructor(text, extras) {
    this.#text = text;
    this.#extras = extras;
  }

  /** @returns {boolean} whether all is delivered; if not, a handler threw or time is up */
  deliver() {
    const used = index[0];
    while (this.#at < used) {
      if (index[this.#at] === FRAMES) {
        if (!this.#deliverFrames()) return false;
      } else {
        const at = this.#at;
        this.#at += 4;
        try {
          this.#dispatch(at);
        } catch (err) {
          throwUncaught(err);
          return false;
        }
        // Both ends of a connection within this process are told of in one turn.
        if (index[at] !== ACCEPTED && this.#at < used && interrupts()) return false;
      }
    }
    return true;
  }

  #deliverFrames() {
    const socket = sockets.get(idAt(this.#at));
    if (socket === undefined) return this.#tellFrames(undefined);
    // What a handler enters (`AsyncLocalStorage#enterWith()`) must not be in force for other connections.
    return socket[kAsyncScope].runInAsyncScope(this.#tellFrames, this, socket);
  }

  #tellFrames(whom) {
    const at = this.#at;
    const count = index[at + 3];
    const ends = at + 4;
    let socket = whom;
    let frame = this.#frame;
    let start = this.#start;
    let look = 1;
    let frames = 1;
    let interrupted = false;
    try {
      while (frame < count) {
        const end = index[ends + frame];
        const text = this.#text.substring(start, end);
        start = end;
        frame += 1;
        // A handler may have destroyed it: what the peer said behind that is not for the program.
        if (socket !== undefined && !socket[kOnFrame](text)) socket = undefined;
        look -= 1;
        if (look === 0 && frame < count) {
          // Handlers may take long: the first looks come soon.
          if (frames < FRAMES_PER_LOOK) frames *= 2;
          look = frames;
          if (interrupts()) {
            interrupted = true;
            break;
          }
        }
      }
    } catch (err) {
      throwUncaught(err);
      interrupted = true;
    }
    this.#start = start;
    this.#frame = frame;
    if (frame === count) {
      this.#frame = 0;
      this.#at = ends + count;
    }
    return !interrupted;
  }

  /** An event of a connection. */
  #tell(socket, kind, value) {
    switch (kind) {
      case LARGE_FRAME:
        socket[kOnFrame](this.#extras[value]);
        break;
      case RAW:
        socket[kOnRawBytes](this.#extras[value]);
        break;
      case TOO_LARGE:
        socket[kOnTooLarge](this.#extras[value]);
        break;
      case ENDED:
        socket[kOnEnd]();
        break;
      case FAILED:
        socket[kOnError](...this.#extras[value]);
        break;
      case FLUSHED:
        socket[kOnFlushed](this.#extras[value]);
        break;
      case DEAD:
        socket[kOnUnresponsive]();
        break;
    }
  }

  #dispatch(at) {
    const kind = index[at];
    const id = idAt(at);
    const value = index[at + 3];
    if (kind <= DEAD) {
      const socket = sockets.get(id);
      socket?.[kAsyncScope].runInAsyncScope(this.#tell, this, socket, kind, value);
      return;
    }
    switch (kind) {
      case BROADCAST_DONE: {
        const done = broadcasts.get(id);
        broadcasts.delete(id);
        done?.();
        break;
      }
      case ACCEPTED: {
        const connection = this.#extras[value];
        const listener = listeners.get(id);
        if (listener) listener.accepted(connection);
        else connection.close(false);
        break;
      }
      case REFUSED:
        listeners.get(id)?.refused(this.#extras[value]);
        break;
      case LISTENER_FAILED:
        listeners.get(id)?.failed(...this.#extras[value]);
        break;
      case CONNECTED: {
        const attempt = index[at + 4];
        this.#at += 1;
        const connection = this.#extras[value];
        const client = clients.get(id);
        if (client) client.connected(attempt, connection);
        else connection.close(false);
        break;
      }
      case CONNECT_FAILED: {
        const attempt = index[at + 4];
        this.#at += 1;
        clients.get(id)?.failed(attempt, this.#extras[value]);
        break;
      }
    }
  }
}

/** The rest of the batch, and what has come meanwhile, after the program's timers and other I/O. */
function later() {
  if (resuming) return;
  resuming = true;
  timing.setImmediate(() => {
    resuming = false;
    deadline = timing.now() + SLICE_MS;
    if (current === null || finish(current)) deliverMore();
  });
}

/** @returns {boolean} whether the batch is done */
function finish(batch) {
  current = batch;
  if (!batch.deliver()) {
    later();
    return false;
  }
  current = null;
  index[0] = 0;
  return true;
}

function deliverMore() {
  for (;;) {
    if (deadline !== 0 && timeIsUp()) return later();
    const taken = mailbox.take();
    if (taken === null || !finish(new Batch(taken[0], taken[1]))) return;
    if (index[1] === 0) return;
  }
}

/** Called from the event loop, with a batch, and never while one is being delivered. */
function deliver(text, extras) {
  if (resuming) {
    // The program's timers were promised their turn first.
    current = new Batch(text, extras);
    return;
  }
  deadline = 0;
  if (finish(new Batch(text, extras)) && index[1] !== 0) deliverMore();
}

let soon = false;

/**
 * Delivers what has come before anything else happens, a promise settled by the caller included: what one end of a
 * connection does, the other end in the same environment learns before the program goes on to the next thing.
 */
function deliverSoon() {
  if (soon) return;
  soon = true;
  timing.queueMicrotask(() => {
    soon = false;
    // The rest of a batch comes first, in its time.
    if (current !== null || resuming) return;
    deadline = 0;
    deliverMore();
  });
}

/**
 * Whether the event loop may read quiet connections itself, without a thread in between. That takes libuv,
 * which only Node has. `SOCKHOP_READER=runtime` turns it off.
 */
const readInLoop =
  process.versions.uv !== undefined &&
  process.versions.bun === undefined &&
  process.versions.deno === undefined &&
  process.platform !== 'win32' &&
  process.env.SOCKHOP_READER !== 'runtime';

const mailbox = new native.Mailbox(deliver, index, readInLoop);

if (process.versions.deno !== undefined) guardAtUnload(native, () => index[2] !== 0);

/** How many activities keep the process alive. */
let active = 0;

/**
 * Keeps the process alive while something is listening, connected, connecting or set to reconnect.
 */
class KeepAlive {
  #started = false;
  #enabled = true;

  /** The activity begins. */
  start() {
    if (this.#started) return;
    this.#started = true;
    if (this.#enabled) changeActive(1);
  }

  /** The activity is over. */
  stop() {
    if (!this.#started) return;
    this.#started = false;
    if (this.#enabled) changeActive(-1);
  }

  /** Whether it should keep the process alive while it is going on (`ref` and `unref`). */
  set enabled(on) {
    if (on === this.#enabled) return;
    this.#enabled = on;
    if (this.#started) changeActive(on ? 1 : -1);
  }
}

function changeActive(change) {
  const before = active > 0;
  active += change;
  const after = active > 0;
  if (before !== after) mailbox.reference(after);
}

let lastId = 0;

/** @returns {number} an id for a listener, client or broadcast of this environment */
function nextId() {
  lastId += 1;
  return lastId;
}

module.exports = {
  mailbox,
  sockets,
  listeners,
  clients,
  broadcasts,
  KeepAlive,
  deliverSoon,
  nextId,
  throwUncaught,
};
