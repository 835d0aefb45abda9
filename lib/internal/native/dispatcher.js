'use strict';

/*
 * Dispatches the events of the native side to the sockets, listeners and attempts of this
 * environment (the main thread, or a worker). Many events arrive in one call, the text of many
 * frames in one string, and the bytes of binary frames in one buffer.
 *
 * The native side calls `dispatch` with one batch; `queue.take()` gives the next ones.
 */

const { AsyncResource } = require('node:async_hooks');

const native = require('./classes.js');
const {
  kOnUnresponsive,
  kOnEnd,
  kOnError,
  kOnFlushed,
  kOnBinaryFrame,
  kOnFrame,
  kOnRawBytes,
  kAsyncScope,
  kIsOver,
  kOnTooLarge,
} = require('../symbols.js');
const timing = require('../real-timers.js');

const {
  Frames: FRAMES,
  MixedFrames: MIXED_FRAMES,
  LargeFrame: LARGE_FRAME,
  LargeBinaryFrame: LARGE_BINARY_FRAME,
  Raw: RAW,
  TooLarge: TOO_LARGE,
  Ended: ENDED,
  Failed: FAILED,
  Flushed: FLUSHED,
  Dead: DEAD,
  BroadcastDone: BROADCAST_DONE,
  Accepted: ACCEPTED,
  Refused: REFUSED,
  ListenerFailed: LISTENER_FAILED,
  Connected: CONNECTED,
  ConnectFailed: CONNECT_FAILED,
  HandshakeFailed: HANDSHAKE_FAILED,
} = native.EventKind;

const {
  Used: USED,
  More: MORE,
  Dropped: DROPPED,
  Interruptions: INTERRUPTIONS,
  Length: HEADER,
} = native.IndexHeader;

/** How long a flood may delay timers and other I/O of the program, in ms. */
const SLICE_MS = 1;
/** The most frames between two readings of the clock; the first reading is after one frame. */
const FRAMES_PER_LOOK = 32;

/**
 * Describes the batch under dispatch. The native side writes it: a header, and then records of four
 * numbers: kind, id (its lower and upper half), value. src/node/event_kinds.rs has the meaning of
 * each.
 */
const index = new Uint32Array(16 * 1024);
/** The binary frames of that batch, with their headers. */
const bytes = Buffer.allocUnsafeSlow(128 * 1024);

/** @returns {number} the id in a record; ids are not reused, and count up to 2^53 */
function idAt(at) {
  const high = index[at + 2];
  return high === 0 ? index[at + 1] : high * 2 ** 32 + index[at + 1];
}

/** Receivers of events: sockets by the id of their connection, the others by an id of their own. */
const sockets = new Map();
const listeners = new Map();
/** The attempts to connect that the native side makes. */
const attempts = new Map();
const broadcasts = new Map();

/** The batch that was interrupted and is not finished: @type {?Batch} */
let current = null;
let resuming = false;

/** Whether `reportUncaught` shows the line that made the error, which it does only on Node. */
const showsOrigin = process.versions.bun === undefined && process.versions.deno === undefined;

/** Rethrows an error of the program's handler as uncaught; the other events are dispatched. */
function throwUncaught(err) {
  timing.nextTick(() => {
    // With `throw`, Node would show this line instead of the program's.
    if (showsOrigin && err instanceof Error) native.reportUncaught(err);
    else throw err;
  });
}

/** When the program's timers get their turn; 0 before the first reading of the clock. */
let deadline = 0;

/** @returns {boolean} whether the slice of time is used up */
function timeIsUp() {
  const now = timing.now();
  if (deadline === 0) deadline = now + SLICE_MS;
  return now > deadline;
}

/** Like `timeIsUp`, within a batch. The native side makes the next batches shorter by the count. */
function mustInterrupt() {
  if (!timeIsUp()) return false;
  index[INTERRUPTIONS] += 1;
  return true;
}

/** The sockets of the first records of the batch under dispatch, until one is not a frame. */
const receivers = [];
let receiverCount = 0;
/** The values that `findReceivers()` has read: V8 would leave out reads that have no effect. */
let _idsRead = 0;
/** An `AsyncResource` of Deno has no such method. */
const hasTriggerId = typeof AsyncResource.prototype.triggerAsyncId === 'function';

/**
 * Finds these sockets, and reads the fields of each that the dispatch needs. With hundreds of
 * connections these are in no cache of the processor, which waits for several such reads at once.
 */
function findReceivers() {
  const used = index[USED];
  let at = HEADER;
  let count = 0;
  let sum = 0;
  while (at < used && index[at] <= MIXED_FRAMES) {
    const socket = sockets.get(idAt(at));
    receivers[count] = socket;
    count += 1;
    if (socket !== undefined) {
      const scope = socket[kAsyncScope];
      sum += scope.asyncId();
      if (hasTriggerId) sum += scope.triggerAsyncId();
    }
    const frames = index[at + 3];
    at += 4 + (index[at] === FRAMES ? frames : 2 * frames);
  }
  receiverCount = count;
  _idsRead = sum;
}

/** Clears the list, so that it keeps no closed socket in memory. */
function forgetReceivers() {
  for (let i = 0; i < receiverCount; i++) receivers[i] = undefined;
  receiverCount = 0;
}

/** One batch of the event queue, dispatched in order, possibly with interruptions. */
class Batch {
  #text;
  #extras;
  /** Where the next record begins. */
  #at = HEADER;
  /** How many records of frames are dispatched. */
  #recordCount = 0;
  /** How many frames of that record are dispatched, and where in text and bytes the next begins. */
  #frame = 0;
  #start = 0;
  #byteStart = 0;

  constructor(text, extras) {
    this.#text = text;
    this.#extras = extras;
    findReceivers();
  }

  /** @returns {boolean} whether the batch is finished; if not, a handler threw or time is up */
  dispatch() {
    const used = index[USED];
    while (this.#at < used) {
      if (index[this.#at] <= MIXED_FRAMES) {
        if (!this.#dispatchFrames()) return false;
      } else {
        const at = this.#at;
        this.#at += 4;
        try {
          this.#dispatchRecord(at);
        } catch (err) {
          throwUncaught(err);
          return false;
        }
        // Both ends of a connection within this process appear in one turn.
        if (index[at] !== ACCEPTED && this.#at < used && mustInterrupt()) return false;
      }
    }
    return true;
  }

  #dispatchFrames() {
    const socket = this.#receiver();
    const isMixed = index[this.#at] !== FRAMES;
    if (socket === undefined) {
      return isMixed ? this.#receiveMixedFrames(undefined) : this.#receiveFrames(undefined);
    }
    // `AsyncLocalStorage#enterWith()` in a handler must not affect other connections.
    const scope = socket[kAsyncScope];
    return isMixed
      ? scope.runInAsyncScope(this.#receiveMixedFrames, this, socket)
      : scope.runInAsyncScope(this.#receiveFrames, this, socket);
  }

  /** @returns {SockhopSocket|undefined} that gets the frames of the record, unless it is closed */
  #receiver() {
    if (this.#recordCount >= receiverCount) return sockets.get(idAt(this.#at));
    const socket = receivers[this.#recordCount];
    return socket === undefined || socket[kIsOver] ? undefined : socket;
  }

  #receiveFrames(receiver) {
    const at = this.#at;
    const count = index[at + 3];
    const ends = at + 4;
    let socket = receiver;
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
        // A handler may have destroyed the socket: the program gets no message after that.
        if (socket !== undefined && !socket[kOnFrame](text)) socket = undefined;
        look -= 1;
        if (look === 0 && frame < count) {
          // A handler may be slow, so the clock is first read after few frames.
          if (frames < FRAMES_PER_LOOK) frames *= 2;
          look = frames;
          if (mustInterrupt()) {
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
      this.#recordCount += 1;
      this.#at = ends + count;
    }
    return !interrupted;
  }

  /** Like `#receiveFrames()`, where some frames are binary. */
  #receiveMixedFrames(receiver) {
    const ends = this.#at + 4;
    const count = index[this.#at + 3];
    let socket = receiver;
    let look = 1;
    let frames = 1;
    try {
      while (this.#frame < count) {
        const at = ends + 2 * this.#frame;
        const start = this.#start;
        const byteStart = this.#byteStart;
        const end = index[at];
        const byteEnd = index[at + 1];
        this.#start = end;
        this.#byteStart = byteEnd;
        this.#frame += 1;
        if (socket !== undefined) {
          const takesMore =
            byteEnd === byteStart
              ? socket[kOnFrame](this.#text.substring(start, end))
              : socket[kOnBinaryFrame](this.#text, start, end, bytes, byteStart, byteEnd);
          if (!takesMore) socket = undefined;
        }
        look -= 1;
        if (look === 0 && this.#frame < count) {
          if (frames < FRAMES_PER_LOOK) frames *= 2;
          look = frames;
          if (mustInterrupt()) return false;
        }
      }
    } catch (err) {
      throwUncaught(err);
      this.#endMixedRecord(ends, count);
      return false;
    }
    this.#endMixedRecord(ends, count);
    return true;
  }

  #endMixedRecord(ends, count) {
    if (this.#frame < count) return;
    this.#frame = 0;
    this.#recordCount += 1;
    this.#at = ends + 2 * count;
  }

  /** Dispatches an event of a connection other than its frames. */
  #notify(socket, kind, value) {
    switch (kind) {
      case LARGE_FRAME:
        socket[kOnFrame](this.#extras[value]);
        break;
      case LARGE_BINARY_FRAME: {
        const text = this.#extras[value];
        const frame = this.#extras[value + 1];
        socket[kOnBinaryFrame](text, 0, text.length, frame, 0, frame.length);
        break;
      }
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

  #dispatchRecord(at) {
    const kind = index[at];
    const id = idAt(at);
    const value = index[at + 3];
    if (kind <= DEAD) {
      const socket = sockets.get(id);
      socket?.[kAsyncScope].runInAsyncScope(this.#notify, this, socket, kind, value);
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
      case HANDSHAKE_FAILED:
        listeners.get(id)?.handshakeFailed(...this.#extras[value]);
        break;
      case CONNECTED: {
        const connection = this.#extras[value];
        const attempt = attempts.get(id);
        if (attempt) attempt.connected(connection);
        else connection.close(false);
        break;
      }
      case CONNECT_FAILED:
        attempts.get(id)?.failed(this.#extras[value]);
        break;
    }
  }
}

/** Dispatches the rest of the batch, and newer events, after the program's timers and other I/O. */
function resumeLater() {
  if (resuming) return;
  resuming = true;
  timing.setImmediate(() => {
    resuming = false;
    deadline = timing.now() + SLICE_MS;
    if (current === null || finish(current)) dispatchMore();
  });
}

/** @returns {boolean} whether the batch is finished */
function finish(batch) {
  current = batch;
  if (!batch.dispatch()) {
    resumeLater();
    return false;
  }
  current = null;
  index[USED] = 0;
  forgetReceivers();
  return true;
}

function dispatchMore() {
  for (;;) {
    if (deadline !== 0 && timeIsUp()) return resumeLater();
    const taken = queue.take();
    if (taken === null || !finish(new Batch(taken[0], taken[1]))) return;
    if (index[MORE] === 0) return;
  }
}

/** Whether the native side has called `dispatch()`, which has not returned. */
let dispatching = false;
/** To be called before it returns: @type {?function(): void} */
let afterDispatch = null;

/** Whether the native side is calling, so that `callAfterDispatch()` may be used. */
const isDispatching = () => dispatching;

/** @param {function(): void} callback called when all messages are delivered that have arrived */
function callAfterDispatch(callback) {
  afterDispatch = callback;
}

/** The native side calls it in the event loop, with a batch, when the last one is finished. */
function dispatch(text, extras) {
  if (resuming) {
    // The program's timers have their turn first.
    current = new Batch(text, extras);
    return;
  }
  deadline = 0;
  dispatching = true;
  if (finish(new Batch(text, extras)) && index[MORE] !== 0) dispatchMore();
  dispatching = false;
  if (afterDispatch !== null) {
    const callback = afterDispatch;
    afterDispatch = null;
    callback();
  }
}

let soon = false;
/** Whether events wait for the next turn of the event loop in any case. */
let isHeld = false;

/**
 * Dispatches waiting events in a microtask, before a promise that the caller settles later. With
 * both ends of a connection in one environment, each end sees an action of the other before the
 * program continues.
 */
function dispatchSoon() {
  if (soon || isHeld) return;
  soon = true;
  timing.queueMicrotask(() => {
    soon = false;
    // An interrupted batch comes first.
    if (current !== null || resuming) return;
    deadline = 0;
    dispatchMore();
  });
}

/**
 * Runs a function that ends connections. The other ends in this environment see the effect in a
 * later turn of the event loop: after the promise that the caller returns, as in 1.8.4.
 *
 * @template T
 * @param {function(): T} end
 * @returns {T}
 */
function withoutDispatch(end) {
  isHeld = true;
  try {
    return end();
  } finally {
    isHeld = false;
  }
}

/**
 * Whether the event loop may read quiet connections itself, without another thread. This needs
 * libuv, which only Node has. `SOCKHOP_READER=runtime` disables it.
 */
const readInLoop =
  process.versions.uv !== undefined &&
  process.versions.bun === undefined &&
  process.versions.deno === undefined &&
  process.platform !== 'win32' &&
  process.env.SOCKHOP_READER !== 'runtime';

/** How many activities keep the process alive. */
let active = 0;

// Async hooks see `dispatch` as a resource. Tools that look for open handles, such as Jest, ask
// this.
dispatch.hasRef = () => active > 0;

const queue = new native.EventQueue(dispatch, index, bytes, readInLoop);

if (process.versions.deno !== undefined) {
  require('./deno-unload.js').guardAtUnload(native, () => index[DROPPED] !== 0);
}

/** Keeps the process alive during an activity: listening, connecting, a connection. */
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

  /** `ref()` sets it, `unref()` clears it. @type {boolean} */
  set enabled(on) {
    if (on === this.#enabled) return;
    this.#enabled = on;
    if (this.#started) changeActive(on ? 1 : -1);
  }
}

/** @param {1|-1} change how many more activities keep the process alive */
function changeActive(change) {
  const before = active > 0;
  active += change;
  const after = active > 0;
  if (before !== after) queue.setKeepAlive(after);
}

let lastId = 0;

/** @returns {number} an id for a listener, attempt or broadcast of this environment */
function nextId() {
  lastId += 1;
  return lastId;
}

module.exports = {
  queue,
  sockets,
  listeners,
  attempts,
  broadcasts,
  KeepAlive,
  callAfterDispatch,
  changeActive,
  dispatchSoon,
  isDispatching,
  nextId,
  throwUncaught,
  withoutDispatch,
};
