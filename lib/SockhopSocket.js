'use strict';

const { AsyncResource } = require('node:async_hooks');
const net = require('node:net');
const { Duplex } = require('node:stream');

const { PreSessionReader } = require('./internal/transport/pre-session-reader.js');
const {
  sockets,
  KeepAlive,
  dispatchSoon,
  throwUncaught,
} = require('./internal/native/dispatcher.js');
const { PendingConnection } = require('./internal/transport/pending-connection.js');
const { SentPings } = require('./internal/transport/sent-pings.js');
const { WriteBatch, WriteCoalescer } = require('./internal/transport/write-coalescer.js');
const SockhopError = require('./SockhopError.js');
const { displayedEndpoint } = require('./internal/transport/addresses.js');
const { socketDestroyed } = require('./internal/errors/errors.js');
const { systemError } = require('./internal/errors/system-errors.js');
const handles = require('./internal/native/node-handles.js');
const { formatAddress } = require('./internal/transport/format-address.js');
const {
  kAttachConnection,
  kSetBytesOnly,
  kMarkConnected,
  kConnection,
  kOnUnresponsive,
  kWriteBatch,
  kOnEnd,
  kOnError,
  kClearPings,
  kFlush,
  kHasShownPings,
  kNextPing,
  kOnPong,
  kPings,
  kOnFlushed,
  kReleaseRetained,
  kStopPreSessionReading,
  kHasCustomWrite,
  kMoveToStream,
  kCanWriteNow,
  kWriteMessage,
  kChannel,
  kOnFrame,
  kOnRawBytes,
  kResumeNativeWrites,
  kRetain,
  kRoundTrip,
  kAsyncScope,
  kSetShowControl,
  kStartReading,
  kOnTooLarge,
  kTraffic,
  kTransmit,
  kWriteBytes,
} = require('./internal/symbols.js');
const { clearTimeout, nextTick, setTimeout } = require('./internal/real-timers.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');

/** Answers of the native `write` that are no position in the stream. */
const WRITTEN = 0;
const CLOSED = -1;
const REFUSED = -2;

/** No `highWaterMark` of a socket is below this. */
const LEAST_MARK = 16 * 1024;

const noop = () => {};

const refused = () =>
  new SockhopError(
    'The peer reads too slowly: "send_high_water_mark" bytes wait for it already',
    'ERR_BACKPRESSURE',
  );

const cutOff = () =>
  new SockhopError(
    'The peer reads too slowly and is cut off: "send_high_water_mark" bytes waited for it',
    'ERR_SLOW_CONSUMER',
  );

/** Why a connection cannot be given to another process. */
function cannotMove({ encrypted }) {
  if (encrypted) {
    const err = new TypeError('A connection with TLS cannot be given to another process');
    err.code = 'ERR_INVALID_HANDLE_TYPE';
    return err;
  }
  return new SockhopError(
    'The connection cannot be given to another process while something that was sent waits for the peer: wait for ' +
      'send(), or the callback of write(), first',
    'ERR_BACKPRESSURE',
  );
}

/** The position that a stand-in waits for. */
const position = Symbol('position');

/**
 * Stands for bytes that the native side has and the kernel has not: to a Writable it is a chunk of that length, so its
 * `writableLength`, the answers of `write()` and `drain` tell of what `send()` has waiting as of what `write()` has.
 */
function placeholder(length, where) {
  const chunk = Buffer.alloc(0);
  Object.defineProperty(chunk, 'length', { value: length });
  chunk[position] = where;
  return chunk;
}

const bytesOf = ({ chunk, encoding }) =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;

const release = (socket) => socket[kResumeNativeWrites]();

function drained(socket) {
  if (socket.listenerCount('drain') > 0 && socket.writableLength === 0) socket.emit('drain');
}

/** A callback of the program's may throw: that is no matter of the writes behind it. */
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
 * Whether a socket, and not a Proxy of one, belongs to a client or server.
 *
 * @type {function(object, object): boolean}
 */
let isSocketOf;

/**
 * Counts a broadcast of `length` characters that the native side sends. False: the native side leaves out this socket, to
 * which the program writes bytes, and does not know one of another server.
 *
 * @type {function(object, object, number): boolean}
 */
let countBroadcast;

/**
 * The socket of one connection: a `net.Socket` to the program, backed by a native connection.
 *
 * Nothing passes through the stream machinery unless the program uses it: frames go from the native side
 * straight to the peer, and raw `data` is only handed over while somebody listens to it.
 */
class SockhopSocket extends net.Socket {
  #connection;
  #scope = new AsyncResource('SOCKHOPSOCKET');
  #keepAlive = new KeepAlive();
  /** Gets the frames: @type {{receive(text: string): void, dead(): void, tooLarge(limit: number): void}} */
  #channel = null;
  /** Made when something is sent. */
  #coalescer = null;
  /** Who waits for the kernel to have the stream up to a position: {position, settle}, in order. */
  #waiting = null;
  /** So far the kernel has the stream, as was told. */
  #flushed = 0;
  /** Of what the Writable counts: so much the native side has. The rest waits in the Writable. */
  #handedOver = 0;
  /** The program writes bytes of its own, in this tick or behind a cork: the native side sends nothing of its own. */
  #holdsNativeWrites = false;
  #isOver = false;
  /** The peer gets the frames. */
  #started = false;
  /** While the program reads it before: @type {?PreSessionReader} */
  #preSessionReader = null;
  /** The program has called resume(), and not for listeners. */
  #resumed = false;
  #addresses = null;
  /** The program's `setTimeout()` was to fire, and bytes had moved: fires when that is as long ago. */
  #timeoutTimer = null;
  /** Node's own handle on a duplicate of the descriptor, once the program has asked for it. */
  #handle = null;
  /** The native side does not read: the handle was looked at in this tick, or is a `tls.TLSSocket`'s. */
  #isHandleExposed = false;
  /** Told when the socket is destroyed: @type {?function(): void} */
  #onReleased;
  /** The pings, once the program has read them: @type {?SentPings} */
  #sentPings = null;
  #messagesOut = 0;
  #messagesIn = 0;
  #messagesRefused = 0;
  /** Pings and pongs are shown to the peer. */
  #showsControl = false;
  /** The program's codec finds the frames. */
  #bytesOnly = false;
  /** The package reads it, or will as soon as it begins. */
  #isReadByPackage = false;
  /** The program has taken that away, see `listeners()`. */
  #isListenerRemoved = false;
  /** Stands for the package among the listeners of `data`. */
  #ownListener = null;
  /** Raw bytes are listened to. */
  #isRawEnabled = false;
  /** The stream is full of what nobody has read yet, and the native side waits for that. */
  #isFull = false;
  /** The stream machinery emits `data`. */
  #inStream = false;
  /** Settles what was written before there was a connection: @type {?function(): void} */
  #settlePendingWrites = null;

  /**
   * @param {object} connection the native connection, or what stands in for it until `kAttachConnection`
   * @param {function(): void} [released] told when the socket is destroyed
   */
  constructor(connection, released = null) {
    super({ allowHalfOpen: false });
    markTarget(this);
    this.#connection = connection;
    this.#onReleased = released;
    this.#isReadByPackage = connection instanceof PendingConnection;
    if (this.#isReadByPackage) this.connecting = true;
    else sockets.set(connection.id, this);
    this.#keepAlive.start();
  }

  static {
    isSocketOf = (sock, handlers) =>
      #channel in sock && sock.#channel !== null && sock.#channel.isOf(handlers);
    countBroadcast = (sock, handlers, length) => {
      if (
        !isSocketOf(sock, handlers) ||
        sock.#channel.transport !== sock ||
        sock.#holdsNativeWrites
      )
        return false;
      sock.#messagesOut += 1;
      if (sock.timeout) sock._unrefTimer?.();
      // Asking `listenerCount()` for each of many sockets takes as long as the rest.
      if (sock._events.drain !== undefined) {
        sock.#updateWritableLength();
        sock.#drainSoon(length);
      }
      return true;
    };
  }

  // ---- for this package -------------------------------------------------------------------------

  /** The native connection. */
  get [kConnection]() {
    return this.#connection;
  }

  /** The asynchronous context that its events are told in: that of `connect()`; none on a server, as with `net`. */
  get [kAsyncScope]() {
    return this.#scope;
  }

  /** Who gets the frames from now on. */
  set [kChannel](channel) {
    this.#channel = channel;
  }

  get [kChannel]() {
    return this.#channel;
  }

  /** The session has started: what comes from now on is for the peer. */
  [kStopPreSessionReading]() {
    this.#isReadByPackage = true;
    this.#preSessionReader?.stop();
  }

  /** There is a connection: it gets what was written so far. */
  [kAttachConnection](connection) {
    this[kFlush]();
    const pending = this.#connection;
    this.#connection = connection;
    this.#addresses = null;
    sockets.set(connection.id, this);
    const sent = pending.handOver(connection);
    if (sent === WRITTEN) this.#settlePendingWrites = () => this[kOnFlushed](pending.position);
  }

  /** The program is to know that it is connected. */
  [kMarkConnected](tell) {
    this.connecting = false;
    try {
      tell();
    } finally {
      this.#settlePendingWrites?.();
      this.#settlePendingWrites = null;
    }
    this.emit('connect');
    this.emit('ready');
  }

  /** Another stream connects in the place of this one, and gets what was written so far. */
  [kMoveToStream](stream) {
    this[kFlush]();
    const pending = this.#connection;
    pending.moveTo(stream, (err) => {
      if (!err) this[kOnFlushed](pending.position);
      this.destroy();
    });
  }

  /** Begins to read. */
  [kStartReading]() {
    if (this.#isOver) return;
    this.#isReadByPackage = true;
    if (this.#preSessionReader === null && this.readableLength === 0) return this.#startReading();
    this.#preSessionReader ??= new PreSessionReader(this, this.#connection);
    this.#preSessionReader.handOver(this.#channel.options, {
      receive: (text) => {
        try {
          this[kOnFrame](text);
        } catch (err) {
          throwUncaught(err);
        }
      },
      tooLarge: (limit) => this[kOnTooLarge](limit),
      begin: (pending) => {
        if (this.#bytesOnly && pending.length > 0) this.#channel.receiveBytes(pending);
        this.#startReading();
      },
    });
  }

  /** Who listens to 'readable' reads by itself, and a stream counts that as paused. */
  #isPaused() {
    return this.isPaused() && this.listenerCount('readable') === 0;
  }

  #startReading() {
    this.#preSessionReader = null;
    this.#started = true;
    // What a handler of the 'connect' event has sent.
    this[kFlush]();
    const paused = this.#isPaused();
    if (this.#connection.start(paused || this.#isHandleExposed)) dispatchSoon();
  }

  /**
   * Sends the text of a frame, with its terminator: at once if nothing is under way, with the rest of its burst otherwise.
   *
   * @param {string} text
   * @returns {Promise<null>} fulfilled when the kernel has it; rejects with ERR_SOCKET_DESTROYED or
   *   ERR_BACKPRESSURE
   */
  [kTransmit](text, prompt) {
    if (this.#isOver || this.destroyed || this.writableEnded) {
      const promise = Promise.reject(socketDestroyed());
      promise.catch(noop);
      return promise;
    }
    if (this.write !== write || netPrototype.write !== netWrite)
      return this[kWriteBytes](Buffer.from(text));
    this.#messagesOut += 1;
    this.#coalescer ??= new WriteCoalescer(this);
    return this.#coalescer.push(text, prompt);
  }

  /** Whether `write()` is the program's, which then sees all that is sent. */
  get [kHasCustomWrite]() {
    return this.write !== write || netPrototype.write !== netWrite;
  }

  /** Sends the bytes of a message with `write()`, as a program would. */
  [kWriteBytes](bytes) {
    const promise = new Promise((resolve, reject) => {
      this.write(bytes, (err) => {
        if (err) reject(socketDestroyed());
        else resolve(err);
      });
    });
    promise.catch(noop);
    this.#messagesOut += 1;
    return promise;
  }

  /** The program's own methods send pings if `throughProgram`; else the native side does. */
  [kNextPing](throughProgram) {
    const connection = this.#connection;
    let ping = null;
    this.#sentPings?.applyProgramChanges(connection);
    if (!throughProgram) connection.beat();
    else if (connection.duePing()) ping = this[kPings].at(-1);
    this.#sentPings?.update(connection);
    return ping;
  }

  get [kPings]() {
    this.#sentPings ??= new SentPings();
    return this.#sentPings.update(this.#connection);
  }

  get [kHasShownPings]() {
    return this.#sentPings !== null;
  }

  /** The native side forgets its own, see `clearPings()` of the native client and server. */
  [kClearPings]() {
    this.#sentPings = null;
  }

  [kOnPong](message, text) {
    this.#connection.pong(text ?? JSON.stringify(message));
  }

  /** Whether pings and pongs are frames like all others, for the peer to answer. */
  [kSetShowControl](on) {
    if (on === this.#showsControl || this.#isOver) return;
    this.#showsControl = on;
    this.#connection.setShowControl(on);
  }

  /** Has the peer fed with bytes, which the program's own codec reads. Before the start. */
  [kSetBytesOnly]() {
    if (this.#isListenerRemoved) return;
    this.#bytesOnly = true;
    this.#connection.setBytesOnly();
  }

  /** So much that has been delivered still waits for the program: it counts as unread. */
  [kRetain](amount) {
    if (!this.#isOver) this.#connection.retain(amount);
  }

  /** The program has taken so much of that. */
  [kReleaseRetained](amount) {
    if (!this.#isOver) this.#connection.giveBack(amount);
  }

  /** Hands over what has gathered, now. */
  [kFlush]() {
    this.#coalescer?.flush();
  }

  /** Whether nothing waits for the kernel, or behind bytes that the program writes. */
  [kCanWriteNow]() {
    return this.#waiting === null && !(this.#holdsNativeWrites && this.#hasProgramBytesQueued());
  }

  /** Sends one message. */
  [kWriteMessage](text) {
    const sent = this.#connection.write(text, text.length);
    if (sent === WRITTEN) {
      this.#drainSoon(text.length);
      if (this.timeout) this._unrefTimer?.();
      return Promise.resolve(null);
    }
    const batch = new WriteBatch();
    batch.messages = 1;
    this.#afterWrite(sent, text, batch);
    return batch.promise;
  }

  /** Sends what has gathered. */
  [kWriteBatch](text, batch) {
    if (this.#holdsNativeWrites && this.#hasProgramBytesQueued())
      this.#writeAfterProgramBytes(text, batch);
    else this.#afterWrite(this.#connection.write(text, text.length), text, batch);
  }

  #afterWrite(sent, text, batch) {
    if (sent === REFUSED) this.#countRefused(batch);
    this.#settle(sent, (err) => batch.settle(err));
    if (sent > WRITTEN) this.#addPlaceholder(Buffer.byteLength(text), sent);
    else if (batch.messages === 1) this.#drainSoon(text.length);
    if (this.timeout) this._unrefTimer?.();
  }

  #countRefused({ messages }) {
    this.#messagesRefused += messages;
    this.#messagesOut -= messages;
  }

  /** Whether the Writable has bytes that the native side has not: they come first. */
  #hasProgramBytesQueued() {
    return this.writableCorked > 0 || super.writableLength > this.#handedOver;
  }

  /** Sends text behind the bytes that the program has written. */
  #writeAfterProgramBytes(text, batch) {
    const { send_high_water_mark, slow_consumer } = this.#channel?.options ?? {};
    if (super.writableLength >= send_high_water_mark && slow_consumer !== 'wait') {
      this.#countRefused(batch);
      this.#settle(REFUSED, (err) => batch.settle(err));
      if (slow_consumer === 'disconnect') this.destroy(cutOff());
      return;
    }
    super.write(Buffer.from(text), (err) => batch.settle(err ? socketDestroyed() : null));
  }

  /** Has the Writable count what waits for the kernel. */
  #addPlaceholder(length, where) {
    if (this.destroyed || this.writableEnded) return;
    this.#handedOver += length;
    super.write(placeholder(length, where));
  }

  /** Has the Writable count what else waits: what was sent to all, and answers to pings. */
  #updateWritableLength() {
    this[kFlush]();
    if (this.#isOver || this.destroyed || this.writableEnded) return;
    const [queued, where] = this.#connection.waiting();
    if (queued > this.#handedOver) this.#addPlaceholder(queued - this.#handedOver, where);
  }

  /** A `drain` follows a chunk that is as large as the mark, also if the kernel took it at once. */
  #drainSoon(length) {
    if (length < LEAST_MARK || length < this.writableHighWaterMark) return;
    if (this.#waiting === null) nextTick(drained, this);
  }

  /** What becomes of a write that was answered with `sent`. */
  #settle(sent, settle) {
    if (sent > WRITTEN) {
      this.#waiting ??= [];
      this.#waiting.push({ position: sent, settle });
    } else if (sent === WRITTEN) settle();
    else if (sent === CLOSED) settle(socketDestroyed());
    else settle(this.#channel?.options.slow_consumer === 'disconnect' ? cutOff() : refused());
  }

  /** @returns {boolean} false if the socket is no longer to be given frames */
  [kOnFrame](text) {
    if (this.#isListenerRemoved) return false;
    if (this.timeout) this._unrefTimer?.();
    this.#messagesIn += 1;
    this.#channel?.receive(text);
    return !this.#isOver;
  }

  [kOnRawBytes](bytes) {
    if (this.#isOver) return;
    if (this.#preSessionReader !== null) {
      if (this.timeout) this._unrefTimer?.();
      this.#preSessionReader.received(bytes);
      return;
    }
    if (this.#bytesOnly) {
      this.#messagesIn += 1;
      this.#channel?.receiveBytes(bytes);
    }
    if (!this.#isRawEnabled || this.push(bytes) || this.listenerCount('readable') === 0) return;
    // Who listens to 'readable' reads in its own time: no more is read of the peer meanwhile.
    this.#isFull = true;
    this.#connection.pause();
  }

  [kOnTooLarge](limit) {
    this.#channel?.onTooLarge(limit);
  }

  /** The peer sent FIN. */
  [kOnEnd]() {
    if (this.#preSessionReader !== null) return this.#preSessionReader.received(null);
    this.push(null);
    // Nobody may be reading this stream; 'end' is for those who listen all the same.
    if (this.readableFlowing !== true && this.listenerCount('readable') === 0) super.resume();
  }

  [kOnError](errno, syscall) {
    this.destroy(errno === 0 ? cutOff() : systemError(-errno, syscall));
  }

  [kOnFlushed](where) {
    this.#flushed = where;
    const waiting = this.#waiting;
    if (waiting === null) return;
    const later = waiting.findIndex(({ position: wanted }) => wanted > where);
    if (later < 0) this.#waiting = null;
    settleAll(later < 0 ? waiting : waiting.splice(0, later));
    if (this.timeout) this._unrefTimer?.();
  }

  [kOnUnresponsive]() {
    this.#channel?.onUnresponsive();
  }

  /** Counters: @returns {object} */
  [kTraffic]() {
    const { bytesIn, bytesOut, queued, refused } = this.#connection.traffic();
    return {
      messages_received: this.#messagesIn,
      // Broadcasts are counted for every peer, and refused out of sight.
      messages_sent: this.#messagesOut - refused,
      bytes_received: bytesIn,
      bytes_sent: bytesOut,
      queued_bytes: queued + (this.#coalescer?.length ?? 0),
      refused_messages: this.#messagesRefused + refused,
    };
  }

  /** What the last answered ping took, in ms: @returns {?number} */
  [kRoundTrip]() {
    return this.#connection.roundTrip() ?? null;
  }

  // ---- the stream's side ------------------------------------------------------------------------

  _read() {
    if (this.#isFull) return this.#resumeReading();
    if (this.#started || this.#isOver || this.#isHandleExposed || this.connecting) return;
    this.#preSessionReader ??= new PreSessionReader(this, this.#connection);
    this.#preSessionReader.read();
  }

  /** The stream has room again, or is not read by the program any more. */
  #resumeReading() {
    this.#isFull = false;
    if (!this.#isOver && !this.#isHandleExposed) this.#connection.resume();
  }

  write(chunk, encoding, callback) {
    this.#flushBeforeWrite();
    return super.write(chunk, encoding, callback);
  }

  end(chunk, encoding, callback) {
    if (!this.#isOver) this.#flushBeforeWrite();
    return super.end(chunk, encoding, callback);
  }

  cork() {
    this.#flushBeforeWrite();
    super.cork();
  }

  uncork() {
    super.uncork();
    if (this.#holdsNativeWrites) nextTick(release, this);
  }

  /** What was sent goes before what the program writes now; what is sent, or answered, from now on goes behind it. */
  #flushBeforeWrite() {
    this[kFlush]();
    if (this.#holdsNativeWrites) return;
    this.#holdsNativeWrites = true;
    this.#connection.hold(true);
    nextTick(release, this);
  }

  /** The tick is over, or what was behind a cork has left. */
  [kResumeNativeWrites]() {
    if (!this.#holdsNativeWrites || this.#hasProgramBytesQueued()) return;
    this.#holdsNativeWrites = false;
    if (!this.#isOver) this.#connection.hold(false);
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

  _write(chunk, encoding, callback) {
    this._writev([{ chunk, encoding }], callback);
  }

  _writev(chunks, callback) {
    let length = 0;
    let sent = WRITTEN;
    const bytes = [];
    for (const entry of chunks) {
      length += entry.chunk.length;
      const where = entry.chunk[position];
      if (where === undefined) bytes.push(entry);
      else if (where > this.#flushed) sent = where;
    }
    if (bytes.length > 0) {
      const all = bytes.length === 1 ? bytesOf(bytes[0]) : Buffer.concat(bytes.map(bytesOf));
      for (const { chunk } of bytes) this.#handedOver += chunk.length;
      sent = this.#connection.writeBytes(all);
      if (this.#holdsNativeWrites) nextTick(release, this);
    }
    this.#settle(sent, (err) => {
      this.#handedOver -= length;
      callback(err);
    });
    if (this.timeout) this._unrefTimer?.();
  }

  _final(callback) {
    this[kFlush]();
    const sent = this.#connection.end();
    if (this.#connection.isPaired()) dispatchSoon();
    // A connection that is gone is as ended as can be.
    if (sent === CLOSED) callback();
    else this.#settle(sent, callback);
  }

  _destroy(err, callback) {
    this[kFlush]();
    this.#isOver = true;
    this.connecting = false;
    this.setTimeout(0);
    this.#handle?.close();
    this.#handle = null;
    this.#connection.close(false);
    if (this.#connection.isPaired()) dispatchSoon();
    sockets.delete(this.#connection.id);
    this.#keepAlive.stop();
    this.#onReleased?.();
    this.#onReleased = null;
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    if (waiting.length > 0) settleAll(waiting, socketDestroyed());
    callback(err);
    nextTick(() => this.emit('close', Boolean(err)));
  }

  resetAndDestroy() {
    if (!this.destroyed) {
      this[kFlush]();
      this.#connection.close(true);
    }
    return this.destroy();
  }

  on(event, listener) {
    // The constructor of net.Socket listens before there is a connection.
    if (#connection in this) this.#enableRawFor(event);
    return super.on(event, listener);
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    if (#connection in this) this.#enableRawFor(event);
    super.prependListener(event, listener);
    // on() would do so.
    if (event === 'data' && this.readableFlowing === null) this.resume();
    return this;
  }

  removeListener(event, listener) {
    super.removeListener(event, listener);
    if (#connection in this) {
      if (event === 'data' && listener === this.#ownListener) this.#removeOwnListener();
      this.#disableRawIfUnused();
    }
    return this;
  }

  off(event, listener) {
    return this.removeListener(event, listener);
  }

  removeAllListeners(...events) {
    super.removeAllListeners(...events);
    if (#connection in this) {
      if (events.length === 0 || events[0] === 'data') this.#removeOwnListener();
      this.#disableRawIfUnused();
    }
    return this;
  }

  listeners(event) {
    return this.#withOwnListener(event, super.listeners(event));
  }

  rawListeners(event) {
    return this.#withOwnListener(event, super.rawListeners(event));
  }

  /** In 1.8.4 a listener of `data` reads the messages. A program may take it away, call it, and put it back. */
  #withOwnListener(event, listeners) {
    if (event !== 'data' || !this.#isReadByPackage || this.#isListenerRemoved) return listeners;
    this.#ownListener ??= (chunk) => this.#channel?.receiveBytes(chunk);
    return [this.#ownListener, ...listeners];
  }

  /** That listener is gone: the program has the socket for itself. */
  #removeOwnListener() {
    if (!this.#isReadByPackage || this.#isListenerRemoved) return;
    this.#isListenerRemoved = true;
    this.#bytesOnly = false;
    this.#connection.setBytesOnly();
  }

  /** Has raw bytes handed over, too, if `event` tells of them. */
  #enableRawFor(event) {
    if (event !== 'data' && event !== 'readable') return;
    this.#isRawEnabled = true;
    this.#connection.setRaw(true);
  }

  /** Nobody listens to raw bytes any more, if that is so. */
  #disableRawIfUnused() {
    if (!this.#isRawEnabled || this.listenerCount('data') + this.listenerCount('readable') > 0)
      return;
    this.#isRawEnabled = false;
    this.#connection.setRaw(false);
    if (this.#isFull) this.#resumeReading();
    // What comes behind the bytes that it was listened for is the server's, unless the program throws it away.
    if (!this.#resumed) this.#preSessionReader?.keep();
  }

  push(chunk, encoding) {
    return #connection in this
      ? this.#runInStream(super.push, chunk, encoding)
      : super.push(chunk, encoding);
  }

  read(size) {
    return #connection in this ? this.#runInStream(super.read, size) : super.read(size);
  }

  unshift(chunk, encoding) {
    return this.#runInStream(super.unshift, chunk, encoding);
  }

  #runInStream(method, ...args) {
    const before = this.#inStream;
    this.#inStream = true;
    try {
      return method.apply(this, args);
    } finally {
      this.#inStream = before;
    }
  }

  /** A test may say what a peer would: `data` that does not come from the stream is read as the peer's. */
  emit(event, ...args) {
    if (event === 'data' && #connection in this && !this.#inStream && !this.#isListenerRemoved) {
      this.#channel?.receiveBytes(args[0]);
    }
    return super.emit(event, ...args);
  }

  /** Stops reading. Pings of the peer go unanswered: it will find this side dead. */
  pause() {
    this.#connection.pause();
    return super.pause();
  }

  resume() {
    if (this.listenerCount('data') + this.listenerCount('readable') === 0) this.#resumed = true;
    if (!this.#isHandleExposed) this.#connection.resume();
    return super.resume();
  }

  /** The timer of `setTimeout()` has fired. Bytes that only the native side has seen are activity as well. */
  _onTimeout() {
    this.#stopTimeoutTimer();
    if (!this.timeout || this.destroyed) return;
    const left = this.timeout - this.#connection.silence();
    if (left < 1) return this.emit('timeout');
    this.#timeoutTimer = setTimeout(() => this._onTimeout(), left);
    this.#timeoutTimer.unref?.();
  }

  /** The program sent something, or was told something: the time begins anew. */
  _unrefTimer() {
    this.#stopTimeoutTimer();
    super._unrefTimer?.();
  }

  setTimeout(ms, callback) {
    if (#connection in this) this.#stopTimeoutTimer();
    return super.setTimeout(ms, callback);
  }

  #stopTimeoutTimer() {
    if (this.#timeoutTimer === null) return;
    clearTimeout(this.#timeoutTimer);
    this.#timeoutTimer = null;
  }

  ref() {
    this.#keepAlive.enabled = true;
    return this;
  }

  unref() {
    this.#keepAlive.enabled = false;
    return this;
  }

  setNoDelay(on = true) {
    this.#connection.setNoDelay(Boolean(on));
    return this;
  }

  setKeepAlive(on = false, initialDelay = 0) {
    this.#connection.setKeepAlive(Boolean(on), Number(initialDelay) || 0);
    return this;
  }

  // ---- addresses and counters ----------------------------------------------------------------

  #endpoints() {
    this.#addresses ??= this.#connection.addresses().map((end) => end && displayedEndpoint(end));
    return this.#addresses;
  }

  _getsockname() {
    const [local] = this.#endpoints();
    return local?.family ? local : {};
  }

  _getpeername() {
    const [, remote] = this.#endpoints();
    return remote?.family ? remote : {};
  }

  address() {
    const { address, family, port } = this._getsockname();
    return address === undefined ? {} : { address, family, port };
  }

  get localAddress() {
    return this._getsockname().address;
  }

  get localPort() {
    return this._getsockname().port;
  }

  get localFamily() {
    return this._getsockname().family;
  }

  get remoteAddress() {
    return this._getpeername().address;
  }

  get remotePort() {
    return this._getpeername().port;
  }

  get remoteFamily() {
    return this._getpeername().family;
  }

  get bytesRead() {
    return this.#connection.traffic().bytesIn;
  }

  /** The constructor of Bun's net.Socket sets it. */
  set bytesRead(_) {}

  get bytesWritten() {
    const { bytesOut, queued } = this.#connection.traffic();
    return (
      bytesOut + queued + (this.#coalescer?.length ?? 0) + super.writableLength - this.#handedOver
    );
  }

  get pending() {
    return this.#isOver || this.connecting;
  }

  /**
   * Node's handle, for programs that look at its descriptor, and for Node where it gives a connection to another
   * process or to a `tls.TLSSocket`, which reads it in place of the native side.
   */
  get _handle() {
    // The constructor of net.Socket comes before there is a connection.
    if (!handles.exist || !(#connection in this) || this.#isOver || this.connecting) return null;
    this.#handle ??= handles.ofConnection(this.#connection.duplicate());
    if (this.#handle !== null) this.#exposeHandle();
    return this.#handle;
  }

  #exposeHandle() {
    if (this.#isHandleExposed) return;
    this.#isHandleExposed = true;
    this.#connection.pause();
    process.nextTick(() => {
      if (this.#isOver || this.#handle === null || handles.isTaken(this.#handle)) return;
      this.#isHandleExposed = false;
      if (!this.#started) {
        // The stream may have asked for more.
        this.#connection.resume();
        if (this._readableState.reading) this._read();
      } else if (!this.#isPaused()) this.#connection.resume();
    });
  }

  /** Node takes the handle away as it sends it to another process, which has the connection from then on. */
  set _handle(handle) {
    if (handle !== null || !(#connection in this) || this.#handle === null || this.#isOver) return;
    this[kFlush]();
    if (!this.#connection.release()) throw cannotMove(this);
    this.#handle = null;
    // What was read of it before is delivered yet.
    dispatchSoon();
    setImmediate(() => this.destroy());
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const ends = this.#endpoints().map(formatAddress);
    const where = ends.filter((name) => name !== null).map((name) => stylize(name, 'string'));
    const state = this.destroyed ? 'closed' : this.connecting ? 'connecting' : 'open';
    return `${this.constructor.name} { ${[where.join(' to '), state].filter(Boolean).join(', ')} }`;
  }
}

supportProxies(SockhopSocket);

const netPrototype = net.Socket.prototype;
/** As it is before a program wraps it: Node's `net.Socket` has it from `Duplex`. */
const netWrite =
  process.versions.bun === undefined && process.versions.deno === undefined
    ? Duplex.prototype.write
    : net.Socket.prototype.write;
const { write } = SockhopSocket.prototype;

module.exports = { countBroadcast, isSocketOf, SockhopSocket };
