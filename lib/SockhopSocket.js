'use strict';

const { late } = require('./internal/late.js');
const { connectionName, debug } = require('./internal/diagnostics.js');
const { connectionError } = require('./internal/errors/system-errors.js');
const { takeOffer, textOf } = require('./internal/messaging/message-codec.js');
const { dispatchSoon, throwUncaught } = require('./internal/native/dispatcher.js');
const { supportProxies } = require('./internal/proxy-support.js');
const {
  kChannel,
  kConnection,
  kFlush,
  kIsHandleInUse,
  kIsOver,
  kOfferBinary,
  kOnBinaryFrame,
  kOnDrainListeners,
  kOnEnd,
  kOnError,
  kOnFrame,
  kOnHandleUnused,
  kOnRawBytes,
  kOnTooLarge,
  kOnUnresponsive,
  kReleaseRetained,
  kRetain,
  kSetBytesOnly,
  kSetShowControl,
  kStartReading,
  kStopPreSessionReading,
  kTarget,
  kTraffic,
  kUncountFrame,
} = require('./internal/symbols.js');
const { INITIAL_READING, Reading } = require('./internal/transport/reading.js');
const {
  WritingSocket,
  countSent,
  hasCustomWrite,
} = require('./internal/transport/writing-socket.js');

/** Parts for programs that read in `start()` of a session, see late.js. */
const loadPreSessionReader = late(
  () => require('./internal/transport/pre-session-reader.js').PreSessionReader,
);

/**
 * Whether a socket belongs to a client or server. A Proxy of a socket does not.
 *
 * @type {function(object, ChannelHandlers): boolean}
 */
let isSocketOf;

/**
 * Whether a listener of a server has made a socket that the server has not taken over yet.
 *
 * @type {function(*, ChannelHandlers): boolean}
 */
let isUnclaimed;

/**
 * Counts a message to all clients that the native side sends. False: it skips this socket, because
 * the program writes bytes to it, or because it belongs to another server.
 *
 * @type {function(object, ChannelHandlers, number): boolean} with the length of the message in
 *   characters
 */
let countBroadcast;

/**
 * The socket of one connection: a `net.Socket` to the program, and the native transport of a
 * message channel. The first of three layers handles the connection (`ConnectionSocket`), the
 * second one sending (`WritingSocket`), and this one receiving.
 *
 * Frames go from the native side to the channel without passing the stream. The stream gets raw
 * bytes only while the program listens to `data` or `readable`, and before its session has started.
 *
 * @implements {Transport}
 */
class SockhopSocket extends WritingSocket {
  /** @type {?MessageChannel} */
  #channel = null;
  /** The handlers of the client or server that the socket belongs to. */
  #handlers;
  /** Whether the channel gets frames. */
  #hasStarted = false;
  /** Whether the package reads the socket, or will when it starts. */
  #isReadByPackage = false;
  #messagesReceived = 0;
  /** How many messages had arrived when the peer was first offered binary frames; or -1. */
  #offeredAt = -1;
  #reading = INITIAL_READING;

  /**
   * @param {object} connection the native connection, or a PendingConnection until
   *   `kAttachConnection`
   * @param {function(): void} [onDestroyed] called when the socket is destroyed
   * @param {ChannelHandlers} [handlers] of the server whose listener makes the socket
   */
  constructor(connection, onDestroyed = null, handlers = null) {
    super(connection, onDestroyed);
    this.#handlers = handlers;
    this.#isReadByPackage = this.connecting;
  }

  static {
    isSocketOf = (socket, handlers) =>
      #channel in socket && socket.#channel !== null && socket.#handlers === handlers;
    isUnclaimed = (socket, handlers) =>
      socket instanceof SockhopSocket &&
      #channel in socket &&
      socket.#channel === null &&
      socket.#handlers === handlers;
    countBroadcast = (socket, handlers, length) =>
      isSocketOf(socket, handlers) && socket.#channel.isNative && countSent(socket, length);
  }

  /** Returns a state of reading that this socket may change. */
  #ownReading() {
    if (this.#reading === INITIAL_READING) this.#reading = new Reading();
    return this.#reading;
  }

  set [kChannel](channel) {
    const socket = this[kTarget] ?? this;
    socket.#channel = channel;
    socket.#handlers = channel.handlers;
  }

  get [kChannel]() {
    return (this[kTarget] ?? this).#channel;
  }

  // ---- the start of reading ---------------------------------------------------------------------

  /** The session has started: bytes that arrive from now on are for the channel. */
  [kStopPreSessionReading]() {
    this.#isReadByPackage = true;
    this.#reading.preSessionReader?.stop();
  }

  [kStartReading]() {
    if (this[kIsOver]) return;
    this.#isReadByPackage = true;
    if (this.#reading.preSessionReader === null && this.readableLength === 0)
      return this.#startReading();
    const reading = this.#ownReading();
    reading.preSessionReader ??= new (loadPreSessionReader())(this, this[kConnection]);
    reading.preSessionReader.handOver(this.#channel.options, {
      receive: (text) => {
        try {
          this[kOnFrame](text);
        } catch (err) {
          throwUncaught(err);
        }
      },
      tooLarge: (limit) => this[kOnTooLarge](limit),
      begin: (pending) => {
        if (this.#reading.bytesOnly && pending.length > 0) this.#channel.receiveBytes(pending);
        this.#startReading();
      },
    });
  }

  #startReading() {
    if (this.#reading.preSessionReader !== null) this.#reading.preSessionReader = null;
    this.#hasStarted = true;
    if (this.emit !== emit) this.#noticeOwnEmit();
    // Messages that a handler of `connect` has sent.
    this[kFlush]();
    if (this[kConnection].start(this.#isPaused() || this[kIsHandleInUse])) dispatchSoon();
  }

  /** A stream with a listener of `readable` counts as paused, although its program reads it. */
  #isPaused() {
    return this.isPaused() && this.listenerCount('readable') === 0;
  }

  /** Node's handle was read, but nothing has taken it: the native side continues to read. */
  [kOnHandleUnused]() {
    if (!this.#hasStarted) {
      // The stream may have asked for more in the meantime.
      this[kConnection].resume();
      if (this._readableState.reading) this._read();
    } else if (!this.#isPaused()) this[kConnection].resume();
  }

  [kSetShowControl](on) {
    if (on === this.#reading.showsControl || this[kIsOver]) return;
    this.#ownReading().showsControl = on;
    this[kConnection].setShowControl(on || this.#reading.isRawMade);
  }

  /**
   * Accepts binary frames from the peer.
   *
   * @returns {boolean} false while they cannot be accepted: the program reads bytes
   */
  [kOfferBinary]() {
    const { isRawEnabled, isListenerRemoved, bytesOnly } = this.#reading;
    if (!this.#hasStarted || this[kIsOver] || this[kIsHandleInUse]) return false;
    if (hasCustomWrite(this)) return false;
    if (isRawEnabled || isListenerRemoved || bytesOnly) return false;
    if (this.#offeredAt < 0) this.#offeredAt = this.#messagesReceived;
    this[kConnection].offerBinary();
    return true;
  }

  [kSetBytesOnly]() {
    if (this.#reading.isListenerRemoved) return;
    this.#ownReading().bytesOnly = true;
    this[kConnection].setBytesOnly();
  }

  [kRetain](amount) {
    if (!this[kIsOver]) this[kConnection].retain(amount);
  }

  [kReleaseRetained](amount) {
    if (!this[kIsOver]) this[kConnection].releaseRetained(amount);
  }

  // ---- events of the native connection ----------------------------------------------------------

  /** @returns {boolean} false if the socket takes no more frames */
  [kOnFrame](text) {
    if (this.#reading.isListenerRemoved) return this.#passMade(text);
    if (this.emit !== emit) this.#noticeOwnEmit();
    if (this.timeout) this._unrefTimer?.();
    this.#messagesReceived += 1;
    const { isRawMade, awaitsRaw } = this.#reading;
    this.#channel?.receive(text);
    if (isRawMade || (this.#reading.isRawEnabled && this.#beginsToMakeRaw())) {
      const shown = this.#channel?.codec?.shown(text) ?? text;
      if (shown !== '' || text === '') this.#pushMade(shown);
    } else if (awaitsRaw) this.#pushRaw(Buffer.from(text + this.#channel.options.terminator[0]));
    return !this[kIsOver];
  }

  /** Only the program reads, and it gets a text frame. */
  #passMade(text) {
    const message = this.#channel === null ? text : takeOffer(this.#channel, text);
    return message === '' && text !== '' ? !this[kIsOver] : this.#pushMade(message);
  }

  /** Like `kOnFrame`, for a binary frame: ranges of a text and of bytes. */
  [kOnBinaryFrame](text, start, end, bytes, from, to) {
    if (this.emit !== emit) this.#noticeOwnEmit();
    if (this.timeout) this._unrefTimer?.();
    const { isListenerRemoved, isRawMade } = this.#reading;
    const message = this.#channel?.decode(text, start, end, bytes, from, to) ?? null;
    if (message === null) return !this[kIsOver];
    const json = isRawMade ? textOf(this.#channel, message) : '';
    if (json === null) return !this[kIsOver];
    if (isListenerRemoved) return this.#pushMade(json);
    this.#messagesReceived += 1;
    this.#channel.receiveDecoded(message, to - from);
    if (isRawMade) this.#pushMade(json);
    return !this[kIsOver];
  }

  /** The listener of raw bytes gets a frame. */
  #pushMade(text) {
    if (!this.#reading.isRawMade || this[kIsOver]) return false;
    this.#pushRaw(Buffer.from(text + this.#channel.options.terminator[0]));
    return !this[kIsOver];
  }

  /** A control frame is not a message. */
  [kUncountFrame]() {
    this.#messagesReceived -= 1;
  }

  [kOnRawBytes](bytes) {
    if (this[kIsOver]) return;
    if (this.#reading.awaitsRaw) this.#reading.awaitsRaw = false;
    if (this.#reading.preSessionReader !== null) {
      if (this.timeout) this._unrefTimer?.();
      this.#reading.preSessionReader.received(bytes);
      return;
    }
    if (this.#reading.bytesOnly) {
      this.#messagesReceived += 1;
      this.#channel?.receiveBytes(bytes);
    }
    const { isListenerRemoved, isRawEnabled, isRawMade } = this.#reading;
    // After the peer's FAREWELL, they follow frames that were converted to bytes.
    if (isRawEnabled && (!isRawMade || isListenerRemoved)) this.#pushRaw(bytes);
  }

  #pushRaw(bytes) {
    if (this.#runInStream(super.push, bytes) || this.listenerCount('readable') === 0) return;
    // A listener of `readable` reads at its own pace: no more is read from the peer until the
    // stream has room.
    debug?.(
      '%s: reading stops, the program has %d bytes to read',
      connectionName(this),
      this.readableLength,
    );
    this.#ownReading().isFull = true;
    this[kConnection].pause();
  }

  [kOnTooLarge](limit) {
    this.#channel?.onTooLarge(limit);
  }

  /** The peer has sent FIN. */
  [kOnEnd]() {
    if (this.#reading.preSessionReader !== null)
      return this.#reading.preSessionReader.received(null);
    this.push(null);
    // A stream that is not read emits no `end`, which the package and programs listen to.
    if (this.readableFlowing !== true && this.listenerCount('readable') === 0) super.resume();
  }

  [kOnError](kind, number, syscall) {
    this.destroy(connectionError(kind, number, syscall));
  }

  [kOnUnresponsive]() {
    this.#channel?.onUnresponsive();
  }

  [kTraffic]() {
    return { messages_received: this.#messagesReceived, ...super[kTraffic]() };
  }

  // ---- the stream -------------------------------------------------------------------------------

  _read() {
    if (this.#reading.isFull) return this.#resumeReading();
    // Once the session has started, bytes wait for the server, also in a stream that flows.
    if (this.#hasStarted || this.#isReadByPackage || this[kIsOver] || this[kIsHandleInUse]) return;
    const reading = this.#ownReading();
    reading.preSessionReader ??= new (loadPreSessionReader())(this, this[kConnection]);
    reading.preSessionReader.read();
  }

  #resumeReading() {
    debug?.('%s: reading goes on', connectionName(this));
    this.#reading.isFull = false;
    if (!this[kIsOver] && !this[kIsHandleInUse]) this[kConnection].resume();
  }

  /**
   * Stops reading. Pings of the peer are not answered meanwhile: it will find this side
   * unresponsive.
   */
  pause() {
    this[kConnection].pause();
    return super.pause();
  }

  resume() {
    if (this.#programListeners() === 0) this.#ownReading().resumedByProgram = true;
    if (!this[kIsHandleInUse]) this[kConnection].resume();
    return super.resume();
  }

  /** A test of the program may push bytes: the package reads them as the peer's. */
  push(chunk, encoding) {
    if (!(#channel in this)) return super.push(chunk, encoding);
    return this.#put(super.push, chunk !== null && this.readableLength === 0, chunk, encoding);
  }

  read(size) {
    return #channel in this ? this.#runInStream(super.read, size) : super.read(size);
  }

  unshift(chunk, encoding) {
    return this.#put(super.unshift, true, chunk, encoding);
  }

  /** The package also reads these bytes when the stream emits them. */
  #put(method, isForPackage, chunk, encoding) {
    const isRead = isForPackage && this.#hasStarted && !this.#reading.isListenerRemoved;
    if (isRead) this.#ownReading().unshifted += Buffer.byteLength(chunk, encoding);
    const result = this.#runInStream(method, chunk, encoding);
    // To the program the stream flows, because the package reads it. Otherwise it has no `end`.
    const isShown = isRead || (chunk === null && this.#hasStarted);
    if (isShown && this.readableFlowing === null) super.resume();
    return result;
  }

  #runInStream(method, ...args) {
    const reading = this.#ownReading();
    const before = reading.inStream;
    reading.inStream = true;
    try {
      return method.apply(this, args);
    } finally {
      reading.inStream = before;
    }
  }

  /** A program may emit `data` itself, as a test does: then the channel reads it as the peer's. */
  emit(event, ...args) {
    if (
      event === 'data' &&
      #channel in this &&
      !this.#reading.inStream &&
      !this.#reading.isListenerRemoved
    ) {
      this.#channel?.receiveBytes(args[0]);
      super.emit(event, ...args);
      // In 1.8.4 a listener of the package reads them.
      return true;
    }
    if (event === 'data' && #channel in this && this.#reading.unshifted > 0) {
      this.#receiveUnshifted(args[0]);
    }
    return super.emit(event, ...args);
  }

  /** The program has wrapped `emit()`, which also sees `data` of frames that were read already. */
  #noticeOwnEmit() {
    if (this.#reading.isRawEnabled || this.#reading.isListenerRemoved) return;
    this.#enableRawFor('data', true);
    if (this.readableFlowing === null) super.resume();
  }

  /** The stream emits bytes, and the program has put the first of them there. */
  #receiveUnshifted(chunk) {
    const bytes = Buffer.from(chunk);
    const length = Math.min(bytes.length, this.#reading.unshifted);
    this.#reading.unshifted -= length;
    if (!this.#reading.isListenerRemoved) this.#channel?.receiveBytes(bytes.subarray(0, length));
  }

  // ---- listeners of raw bytes -------------------------------------------------------------------

  on(event, listener) {
    // The constructor of net.Socket listens before there is a connection.
    if (#channel in this) this.#enableRawFor(event);
    super.on(event, listener);
    if (event === 'drain') this[kOnDrainListeners]();
    return this;
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    if (#channel in this) this.#enableRawFor(event);
    super.prependListener(event, listener);
    if (event === 'drain') this[kOnDrainListeners]();
    // on() does the same.
    if (event === 'data' && this.readableFlowing === null) this.resume();
    return this;
  }

  removeListener(event, listener) {
    super.removeListener(event, listener);
    if (#channel in this) {
      if (event === 'data' && listener === this.#reading.ownListener) this.#removeOwnListener();
      if (event === 'drain') this[kOnDrainListeners]();
      this.#disableRawIfUnused();
    }
    return this;
  }

  off(event, listener) {
    return this.removeListener(event, listener);
  }

  removeAllListeners(...events) {
    super.removeAllListeners(...events);
    if (#channel in this) {
      if (events.length === 0 || events[0] === 'data') this.#removeOwnListener();
      this[kOnDrainListeners]();
      this.#disableRawIfUnused();
    }
    return this;
  }

  listeners(event) {
    return this.#withOwnListener(event, super.listeners(event));
  }

  listenerCount(event, ...listener) {
    const count = super.listenerCount(event, ...listener);
    return event === 'data' && listener.length === 0 && this.#hasOwnListener() ? count + 1 : count;
  }

  eventNames() {
    const names = super.eventNames();
    return this.#hasOwnListener() && !names.includes('data') ? ['data', ...names] : names;
  }

  /** How many listeners the program has for raw bytes. */
  #programListeners() {
    return super.listenerCount('data') + super.listenerCount('readable');
  }

  #hasOwnListener() {
    return #channel in this && this.#isReadByPackage && !this.#reading.isListenerRemoved;
  }

  rawListeners(event) {
    return this.#withOwnListener(event, super.rawListeners(event));
  }

  /**
   * In 1.8.4 a listener of `data` reads the messages. A program may remove it, call it, and add it
   * again.
   */
  #withOwnListener(event, listeners) {
    if (event !== 'data' || !this.#hasOwnListener()) return listeners;
    const reading = this.#ownReading();
    reading.ownListener ??= (chunk) => this.#channel?.receiveBytes(chunk);
    return [reading.ownListener, ...listeners];
  }

  /** The program has removed that listener: from now on only the program reads the socket. */
  #removeOwnListener() {
    if (!this.#isReadByPackage || this.#reading.isListenerRemoved) return;
    const reading = this.#ownReading();
    reading.isListenerRemoved = true;
    reading.bytesOnly = false;
    if (this.#mustMakeRaw()) {
      this.#makeRaw(true);
      this[kConnection].expectBytes();
    } else this[kConnection].setBytesOnly();
    this.#channel?.codec?.leave(this);
  }

  /** Turns raw bytes on in the native side; `isLate`: also for frames that it has read already. */
  #enableRawFor(event, isLate = false) {
    if (event !== 'data' && event !== 'readable') return;
    const reading = this.#ownReading();
    reading.isRawEnabled = true;
    if (reading.isRawMade) return;
    if (!reading.isListenerRemoved && this.#mustMakeRaw()) this.#makeRaw(true);
    else if (isLate) {
      reading.awaitsRaw = true;
      this[kConnection].beginRaw();
    } else this[kConnection].setRaw(true);
  }

  /**
   * Whether frames must be converted to raw bytes. A peer that sends messages after the offer and
   * makes none itself does not use this package: its bytes may be those of another protocol.
   */
  #mustMakeRaw() {
    if (this.#offeredAt < 0 || this.#channel?.codec?.isOver) return false;
    const isUnknown = this.#messagesReceived <= this.#offeredAt;
    return isUnknown || this.#channel?.codec?.hasPeerOffered === true;
  }

  /** @returns {boolean} whether the peer has made an offer after all, since the program reads */
  #beginsToMakeRaw() {
    if (this.#reading.isRawMade || !this.#mustMakeRaw()) return false;
    this[kConnection].setRaw(false);
    this.#makeRaw(true);
    return true;
  }

  /** Starts or stops converting all frames to raw bytes, including pings and pongs. */
  #makeRaw(on) {
    const reading = this.#ownReading();
    if (on && !reading.isListenerRemoved) this.#channel?.codec?.withdraw(this);
    reading.isRawMade = on;
    this[kConnection].setShowControl(on || reading.showsControl);
  }

  #disableRawIfUnused() {
    if (!this.#reading.isRawEnabled || this.#programListeners() > 0 || this.emit !== emit) return;
    this.#reading.isRawEnabled = false;
    if (!this.#reading.isRawMade) this[kConnection].setRaw(false);
    else if (!this.#reading.isListenerRemoved) this.#makeRaw(false);
    if (this.#reading.isFull) this.#resumeReading();
    // Bytes that follow are for the server, unless the program has asked to discard them.
    if (!this.#reading.resumedByProgram) this.#reading.preSessionReader?.keep();
  }
}

supportProxies(SockhopSocket, [kChannel]);

const { emit } = SockhopSocket.prototype;

module.exports = { countBroadcast, isSocketOf, isUnclaimed, SockhopSocket };
