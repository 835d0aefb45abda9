'use strict';

const { countException } = require('./broadcast-exceptions.js');
const { ConnectionSocket } = require('./connection-socket.js');
const { binaryKindOf, bytesOfFrames, encoded, lengthOfFrames } = require('../codec/frames.js');
const { connectionName, debug } = require('../diagnostics.js');
const {
  handledRejection,
  sendRefused,
  slowConsumer,
  socketDestroyed,
} = require('../errors/errors.js');
const { dispatchSoon, throwUncaught } = require('../native/dispatcher.js');
const { Socket, write: netWrite } = require('../originals.js');
const { supportProxies } = require('../proxy-support.js');
const { nextTick, setImmediate } = require('../real-timers.js');
const {
  kAsyncScope,
  kAttachConnection,
  kCanWriteNow,
  kChannel,
  kCloseConnection,
  kConnection,
  kFlush,
  kHasCustomWrite,
  kIsOver,
  kMarkConnected,
  kMayTransmitBinary,
  kMoveToStream,
  kOnCoalescerAtRest,
  kOnDrainListeners,
  kOnFlushed,
  kReplaceConnection,
  kResumeNativeWrites,
  kTraffic,
  kTransmit,
  kTransmitBinary,
  kTransmitBytes,
  kTransmitControl,
  kWriteBatch,
  kWriteBytes,
  kWriteMessage,
} = require('../symbols.js');
const { placeholder, position } = require('./placeholder.js');
const { WriteBurst, bytesOfWrites } = require('./write-burst.js');
const { WriteBatch, WriteCoalescer, callAtTickEnd, isExiting } = require('./write-coalescer.js');
const { CLOSED, REFUSED, WRITTEN } = require('./write-result.js');

/** No `highWaterMark` of a socket is below this. */
const LEAST_HIGH_WATER_MARK = 16 * 1024;

const noop = () => {};

/** The numbers of the frames that are written, for the native side. */
let frameNumbers = new Uint32Array(3 * 64);

const resumeNativeWrites = (socket) => socket[kResumeNativeWrites]();

function emitDrain(socket) {
  if (socket.listenerCount('drain') > 0 && socket.writableLength === 0) socket.emit('drain');
}

/** A callback of the program may throw: the other writes are settled nevertheless. */
function settleAll(waiting, err) {
  for (const { settle } of waiting) {
    try {
      settle(err);
    } catch (thrown) {
      throwUncaught(thrown);
    }
  }
}

/**
 * Counts a message to all clients that the native side sends.
 *
 * @type {function(WritingSocket, number): boolean} with its length in characters. False: the native
 *   side skips this socket, because the program writes bytes to it
 */
let countSent;

/** @returns {boolean} whether the program has replaced `write()` of a socket, or that of all */
const hasCustomWrite = (socket) => socket.write !== write || netPrototype.write !== netWrite;

/**
 * The state of writing that differs from its initial value on few sockets: those with writes that
 * wait for the kernel, or with bytes of the program. The others share one object, which keeps an
 * idle connection small.
 */
class Writing {
  /**
   * Writes that wait for the kernel to have the stream up to a position: {position, settle}, in
   * order.
   */
  waiting = null;
  /** The position up to which the kernel has the stream, as the native side reported it. */
  flushed = 0;
  /** The part of the Writable's length that the native side has. The rest waits in the Writable. */
  handedOver = 0;
  /**
   * The program writes bytes, in this tick or behind a cork: until they are written the native side
   * sends nothing itself.
   */
  holdsNative = false;
  /** The writes of the program in this tick. */
  burst = new WriteBurst();
  /** Whether this counts as an exception for broadcasts, because it has listeners of `drain`. */
  isDrainCounted = false;
  messagesRefused = 0;
  /** Settles the writes that were made while connecting: @type {?function(): void} */
  settlePending = null;
}

const INITIAL_WRITING = Object.freeze(new Writing());

/**
 * The second layer of a `SockhopSocket`: everything that is sent.
 *
 * Messages go to the native connection past the Writable. While the Writable holds bytes of the
 * program, messages go through it as well, after those bytes.
 */
class WritingSocket extends ConnectionSocket {
  /** While messages were written in this tick, or in a burst: @type {?WriteCoalescer} */
  #coalescer = null;
  #writing = INITIAL_WRITING;
  #messagesSent = 0;

  static {
    countSent = (socket, length) => {
      if (socket.#writing.holdsNative) return false;
      socket.#messagesSent += 1;
      if (socket.timeout) socket._unrefTimer?.();
      // `listenerCount()` would take as long as the rest of this function.
      if (socket._events.drain !== undefined) {
        socket.#updateWritableLength();
        socket.#drainSoon(length);
      }
      return true;
    };
  }

  /** Returns a state of writing that this socket may change. */
  #ownWriting() {
    if (this.#writing === INITIAL_WRITING) this.#writing = new Writing();
    return this.#writing;
  }

  // ---- before there is a connection -------------------------------------------------------------

  /** There is a native connection now: it gets everything that was written so far. */
  [kAttachConnection](connection) {
    this[kFlush]();
    const pending = this[kConnection];
    this[kReplaceConnection](connection);
    const sent = pending.handOver(connection);
    if (sent === WRITTEN) {
      this.#ownWriting().settlePending = () => this[kOnFlushed](pending.position);
    }
  }

  /**
   * @param {function(): void} emitConnect tells the client's program. As in 1.8.4, it is the first
   *   listener of `connect`: listeners that it adds do not get this event
   */
  [kMarkConnected](emitConnect) {
    this.connecting = false;
    this.prependOnceListener('connect', emitConnect);
    try {
      this.emit('connect');
    } finally {
      const { settlePending } = this.#writing;
      if (settlePending !== null) {
        settlePending();
        this.#writing.settlePending = null;
      }
    }
    this.emit('ready');
  }

  /** A stream takes the place of this socket, and gets everything that was written so far. */
  [kMoveToStream](stream) {
    this[kFlush]();
    const pending = this[kConnection];
    pending.moveTo(stream, (err) => {
      if (!err) this[kOnFlushed](pending.position);
      this.destroy();
    });
  }

  // ---- messages ---------------------------------------------------------------------------------

  /**
   * @param {string} text of a frame, with its terminator
   * @param {boolean} isAwaited whether an answer is waited for
   * @returns {Promise<null>} fulfilled when the kernel has it; rejects with ERR_SOCKET_DESTROYED,
   *   ERR_BACKPRESSURE or ERR_SLOW_CONSUMER
   */
  [kTransmit](text, isAwaited) {
    const isOver = this[kIsOver] || this.destroyed || this.writableEnded;
    if (isOver || hasCustomWrite(this)) return this.#transmitOtherwise(text, isOver);
    this.#messagesSent += 1;
    this.#coalescer ??= WriteCoalescer.for(this);
    return this.#coalescer.push(text, isAwaited);
  }

  #transmitOtherwise(text, isOver) {
    if (!isOver) return this[kWriteBytes](Buffer.from(text));
    return handledRejection(socketDestroyed(this[kChannel]));
  }

  /** Whether messages can be sent as binary frames, and not through methods of the program. */
  get [kMayTransmitBinary]() {
    return (
      !this[kIsOver] &&
      !this.destroyed &&
      !this.writableEnded &&
      !this.#writing.holdsNative &&
      !hasCustomWrite(this)
    );
  }

  /**
   * Sends the message that the encoder has written, if `kMayTransmitBinary` is true.
   *
   * @param {boolean} isAwaited
   * @returns {Promise<null>} as `kTransmit`
   */
  [kTransmitBinary](isAwaited) {
    this.#messagesSent += 1;
    this.#coalescer ??= new WriteCoalescer(this);
    return this.#coalescer.pushBinary(encoded.text, isAwaited, encoded.from, encoded.to);
  }

  /**
   * Sends a frame at its call, if `kCanWriteNow()` is true: its bytes need not stay as they are.
   */
  [kTransmitBytes](bytes) {
    this.#messagesSent += 1;
    const batch = new WriteBatch();
    batch.messages = 1;
    this.#afterWrite(this[kConnection].writeBytes(bytes), bytes, batch, null);
    return batch.promise;
  }

  /** Sends a text frame for the other end of the package, which no count includes. */
  [kTransmitControl](text) {
    this.#coalescer ??= new WriteCoalescer(this);
    this.#coalescer.push(text, false);
  }

  /** Whether the program has replaced `write()`, so that all messages are to pass it. */
  get [kHasCustomWrite]() {
    return hasCustomWrite(this);
  }

  /** Sends the bytes of a message with `write()`. */
  [kWriteBytes](bytes) {
    const promise = new Promise((resolve, reject) => {
      this.write(bytes, (err) => {
        if (err) reject(socketDestroyed());
        else resolve(err);
      });
    });
    promise.catch(noop);
    this.#messagesSent += 1;
    return promise;
  }

  /** Writes the messages of a burst that have gathered. */
  [kFlush]() {
    this.#coalescer?.flush();
  }

  [kOnCoalescerAtRest]() {
    this.#coalescer = null;
  }

  /** Whether nothing waits for the kernel, and no bytes of the program wait to be written first. */
  [kCanWriteNow]() {
    return (
      this.#writing.waiting === null && !(this.#writing.holdsNative && this.#hasProgramBytes())
    );
  }

  /**
   * Writes a message that is not part of a burst.
   *
   * @param {string} text
   * @param {number} from of a binary frame: the range of its data in the buffer of the encoder
   * @param {number} to
   */
  [kWriteMessage](text, from, to) {
    const frames = to > from ? [text.length, from, to] : null;
    const sent = this.#writeFrames(text, frames);
    if (sent === WRITTEN) {
      this.#drainSoon(text.length);
      if (this.timeout) this._unrefTimer?.();
      return Promise.resolve(null);
    }
    const batch = new WriteBatch();
    batch.messages = 1;
    this.#afterWrite(sent, text, batch, frames);
    return batch.promise;
  }

  /** Writes the joined text of a burst, and the data of its binary frames. */
  [kWriteBatch](text, batch, frames) {
    if (this.#writing.holdsNative && this.#hasProgramBytes()) {
      const bytes = bytesOfFrames(text, frames, encoded.buffer, binaryKindOf(this[kChannel]));
      this.#writeAfterProgramBytes(bytes, batch);
    } else this.#afterWrite(this.#writeFrames(text, frames), text, batch, frames);
  }

  #writeFrames(text, frames) {
    const { length } = text;
    if (frames === null) return this[kConnection].write(text, length);
    const count = frames.length / 3;
    if (frameNumbers.length < frames.length) frameNumbers = new Uint32Array(2 * frames.length);
    frameNumbers.set(frames);
    const { buffer } = encoded;
    const kind = binaryKindOf(this[kChannel]);
    return this[kConnection].writeFrames(text, length, buffer, frameNumbers, count, kind);
  }

  #afterWrite(sent, text, batch, frames) {
    if (sent === REFUSED) this.#countRefused(batch);
    this.#settle(sent, (err) => batch.settle(err));
    if (sent > WRITTEN) {
      // Otherwise the Writable counts it when the program reads its length, or writes to it.
      if (this._events.drain !== undefined)
        this.#addPlaceholder(lengthOfFrames(text, frames ?? []), sent);
    } else if (batch.messages === 1) this.#drainSoon(text.length);
    if (this.timeout) this._unrefTimer?.();
  }

  #countRefused({ messages }) {
    debug?.(
      '%s: "send_high_water_mark" is reached, messages refused: %d',
      connectionName(this),
      messages,
    );
    this.#ownWriting().messagesRefused += messages;
    this.#messagesSent -= messages;
    this[kChannel]?.onRefused();
  }

  /** Whether the Writable holds bytes that the native side has not got: they go first. */
  #hasProgramBytes() {
    return this.writableCorked > 0 || super.writableLength > this.#writing.handedOver;
  }

  #writeAfterProgramBytes(bytes, batch) {
    const { send_high_water_mark, slow_consumer } = this[kChannel]?.options ?? {};
    if (super.writableLength >= send_high_water_mark && slow_consumer !== 'wait') {
      this.#countRefused(batch);
      this.#settle(REFUSED, (err) => batch.settle(err));
      if (slow_consumer === 'disconnect') this.destroy(slowConsumer());
      return;
    }
    super.write(bytes, (err) => batch.settle(err ? socketDestroyed() : null));
  }

  /** @param {number} sent the result of a write of the native connection */
  #settle(sent, settle) {
    if (sent > WRITTEN) {
      const writing = this.#ownWriting();
      writing.waiting ??= [];
      writing.waiting.push({ position: sent, settle });
    } else if (sent === WRITTEN) settle();
    else if (sent === CLOSED) setImmediate(() => settle(socketDestroyed()));
    else {
      const disconnects = this[kChannel]?.options.slow_consumer === 'disconnect';
      settle(disconnects ? slowConsumer() : sendRefused());
    }
  }

  /** The kernel has the stream up to a position. */
  [kOnFlushed](where) {
    const writing = this.#ownWriting();
    writing.flushed = where;
    const { waiting } = writing;
    if (waiting === null) return;
    const later = waiting.findIndex((write) => write.position > where);
    if (later < 0) writing.waiting = null;
    settleAll(later < 0 ? waiting : waiting.splice(0, later));
    if (this.timeout) this._unrefTimer?.();
  }

  // ---- the count of the Writable ----------------------------------------------------------------

  /** Makes the Writable count bytes of messages that wait for the kernel. */
  #addPlaceholder(length, where) {
    if (this.destroyed || this.writableEnded) return;
    this.#ownWriting().handedOver += length;
    super.write(placeholder(length, where));
  }

  /** Makes the Writable count the messages that wait for the kernel, if there are any. */
  #countWaitingMessages() {
    if (this.#writing.waiting !== null) this.#updateWritableLength();
  }

  /** Makes the Writable count everything that waits for the kernel, pongs included. */
  #updateWritableLength() {
    this[kFlush]();
    if (this[kIsOver] || this.destroyed || this.writableEnded) return;
    const [queued, where] = this[kConnection].waiting();
    if (queued > this.#writing.handedOver)
      this.#addPlaceholder(queued - this.#writing.handedOver, where);
  }

  /**
   * As for a stream, `drain` follows a message of the high-water mark's length, even if the kernel
   * took it at once.
   */
  #drainSoon(length) {
    if (length < LEAST_HIGH_WATER_MARK || length < this.writableHighWaterMark) return;
    if (this.#writing.waiting === null) nextTick(emitDrain, this);
  }

  /** Listeners of `drain` were added or removed. */
  [kOnDrainListeners]() {
    const hasListeners = this._events.drain !== undefined && !this[kIsOver];
    if (hasListeners === this.#writing.isDrainCounted) return;
    this.#ownWriting().isDrainCounted = hasListeners;
    countException(hasListeners);
    if (hasListeners) this.#countWaitingMessages();
  }

  get writableLength() {
    this.#updateWritableLength();
    return super.writableLength;
  }

  get writableNeedDrain() {
    this.#updateWritableLength();
    return super.writableNeedDrain;
  }

  get bufferSize() {
    return this.destroyed ? undefined : this.writableLength;
  }

  get bytesWritten() {
    const { bytesOut, queued } = this[kConnection].traffic();
    const gathered = this.#coalescer?.length ?? 0;
    return bytesOut + queued + gathered + super.writableLength - this.#writing.handedOver;
  }

  /** The counters of everything that is sent, and of the bytes in both directions. */
  [kTraffic]() {
    const { bytesIn, bytesOut, queued, refused, unread, inLoop } = this[kConnection].traffic();
    return {
      // A message to all clients is counted here for each of them, and may be refused by the native
      // side.
      messages_sent: this.#messagesSent - refused,
      bytes_received: bytesIn,
      bytes_sent: bytesOut,
      queued_bytes: queued + (this.#coalescer?.length ?? 0),
      unread_bytes: unread,
      loop_connections: inLoop === true ? 1 : 0,
      thread_connections: inLoop === false ? 1 : 0,
      refused_messages: this.#writing.messagesRefused + refused,
    };
  }

  // ---- bytes of the program ---------------------------------------------------------------------

  write(chunk, encoding, callback) {
    this.#beginProgramBytes();
    const { burst } = this.#ownWriting();
    if (!isExiting() && burst.add(this, super.writableLength, chunk?.length ?? 0)) {
      // Also at an exit, because no tick follows it.
      callAtTickEnd({ onTickEnd: () => this[kResumeNativeWrites]() });
    }
    return super.write(chunk, encoding, callback);
  }

  end(chunk, encoding, callback) {
    if (!this[kIsOver]) this.#prepareEnd(chunk);
    return super.end(chunk, encoding, callback);
  }

  cork() {
    this.#beginProgramBytes();
    super.cork();
  }

  uncork() {
    super.uncork();
    if (this.#writing.holdsNative) nextTick(resumeNativeWrites, this);
  }

  /**
   * Messages that were sent before go first; messages and pongs from now on go after the bytes of
   * the program.
   */
  #beginProgramBytes() {
    this[kFlush]();
    this.#countWaitingMessages();
    if (this.#writing.holdsNative) return;
    this.#ownWriting().holdsNative = true;
    countException(true);
    this[kConnection].hold(true);
    nextTick(resumeNativeWrites, this);
  }

  /** An end without a last chunk delays nothing: earlier writes have left already, or wait. */
  #prepareEnd(chunk) {
    if (chunk !== undefined && chunk !== null && typeof chunk !== 'function') {
      this.#beginProgramBytes();
      return;
    }
    this[kFlush]();
    this.#countWaitingMessages();
  }

  /**
   * Called at the end of a tick in which the program wrote, and when the bytes behind a cork have
   * left.
   */
  [kResumeNativeWrites]() {
    this.#writing.burst.end(this);
    if (!this.#writing.holdsNative || this.#hasProgramBytes()) return;
    this.#stopHolding();
    if (!this[kIsOver]) this[kConnection].hold(false);
  }

  #stopHolding() {
    if (!this.#writing.holdsNative) return;
    this.#writing.holdsNative = false;
    countException(false);
  }

  _write(chunk, encoding, callback) {
    this._writev([{ chunk, encoding }], callback);
  }

  _writev(chunks, callback) {
    let length = 0;
    let sent = WRITTEN;
    const entries = [];
    for (const entry of chunks) {
      length += entry.chunk.length;
      const where = entry.chunk[position];
      if (where === undefined) entries.push(entry);
      else if (where > this.#writing.flushed) sent = where;
    }
    if (entries.length > 0) {
      const bytes = bytesOfWrites(entries);
      const writing = this.#ownWriting();
      for (const { chunk } of entries) writing.handedOver += chunk.length;
      sent = this[kConnection].writeBytes(bytes);
      if (this.#writing.holdsNative) nextTick(resumeNativeWrites, this);
    }
    this.#settle(sent, (err) => {
      this.#writing.handedOver -= length;
      callback(err);
    });
    if (this.timeout) this._unrefTimer?.();
  }

  _final(callback) {
    this[kFlush]();
    const sent = this[kConnection].end();
    if (this[kConnection].hasLoopbackPeer()) dispatchSoon();
    // The callback runs in a later tick, like that of a `net.Socket`: a socket that is destroyed at
    // once emits no `finish`. A connection that is closed has ended.
    if (sent === CLOSED || sent === WRITTEN) nextTick(callback);
    else this.#settle(sent, callback);
  }

  _destroy(err, callback) {
    this[kFlush]();
    this[kCloseConnection]();
    this.#stopHolding();
    this[kOnDrainListeners]();
    const { waiting } = this.#writing;
    if (waiting !== null) {
      this.#writing.waiting = null;
      settleAll(waiting, socketDestroyed());
    }
    callback(err);
    // `close` is emitted after the ticks of this turn, as by a `net.Socket`: one of them may add a
    // listener.
    setImmediate(() => this.emit('close', Boolean(err)));
    // Otherwise tools that look for open handles see the socket until garbage is collected.
    this[kAsyncScope].emitDestroy();
  }
}

supportProxies(WritingSocket);

const netPrototype = Socket.prototype;
const { write } = WritingSocket.prototype;

module.exports = { WritingSocket, countSent, hasCustomWrite };
