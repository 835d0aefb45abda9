'use strict';

const { AsyncResource } = require('node:async_hooks');

const { late } = require('../late.js');
const { displayedEndpoint, formatAddress } = require('../addresses.js');
const { countException } = require('./broadcast-exceptions.js');
const { cannotConnectAgain, cannotHandOver } = require('../errors/errors.js');
const { systemError } = require('../errors/system-errors.js');
const { sockets, changeActive, dispatchSoon } = require('../native/dispatcher.js');
const { Socket } = require('../originals.js');
const { markTarget, supportProxies } = require('../proxy-support.js');
const { clearTimeout, setImmediate, setTimeout } = require('../real-timers.js');
const {
  kAsyncScope,
  kChannel,
  kClearPings,
  kCloseConnection,
  kConnection,
  kFlush,
  kHasShownPings,
  kIsHandleInUse,
  kIsOver,
  kNextPing,
  kOnHandleUnused,
  kOnPong,
  kPings,
  kReplaceConnection,
  kRoundTrip,
} = require('../symbols.js');

/** Parts for properties that few programs read, see late.js. */
const load = {
  handles: late(() => require('../native/node-handles.js')),
  sentPings: late(() => require('./sent-pings.js').SentPings),
};

/**
 * The state of a connection that differs from its initial value on few sockets: those with a
 * time-out, or whose handle, addresses or pings a program reads. The others share one object, which
 * keeps an idle connection small.
 */
class Usage {
  /** Whether the program lets the process end although the connection is open. */
  isUnref = false;
  /** Fires `setTimeout()` later: bytes have moved since the timer of net.Socket was started. */
  timeoutTimer = null;
  /** Whether this counts as an exception for broadcasts, because it has a time-out. */
  isTimeoutCounted = false;
  /**
   * Node's own handle on a duplicate of the descriptor, once the program or Node has read
   * `_handle`.
   */
  handle = null;
  /**
   * Whether the native side does not read: `_handle` was read in this tick, or a `tls.TLSSocket`
   * has it.
   */
  isHandleInUse = false;
  /** This end and the peer's: @type {?Array} */
  addresses = null;
  /** The process of the peer, once the program has asked: @type {?object} */
  credentials = null;
  /** The pings, once the program has read them: @type {?SentPings} */
  sentPings = null;
}

const INITIAL_USAGE = Object.freeze(new Usage());

/**
 * The options for the constructor of net.Socket. It copies the options and adds the last three to
 * the copy. They are named here, because V8 otherwise gives each copy a hidden class of its own,
 * and then the constructor of a socket takes 5 µs instead of 0.2.
 */
const STREAM_OPTIONS = {
  allowHalfOpen: false,
  emitClose: undefined,
  autoDestroy: undefined,
  decodeStrings: undefined,
};

/**
 * @param {object} pong that has come as a binary frame
 * @returns {?string} null if JSON cannot express it: then it answers no ping
 */
function textOf(pong) {
  try {
    return JSON.stringify(pong);
  } catch {
    return null;
  }
}

/**
 * The first of three layers of a `SockhopSocket`: a `net.Socket` that is backed by a native
 * connection. It handles the connection from its beginning to its end, and the properties,
 * time-outs and options of `net.Socket` that concern the connection.
 */
class ConnectionSocket extends Socket {
  /** The native connection, or a PendingConnection while there is none. */
  #connection;
  /**
   * The asynchronous context of events: on a client that of `connect()`, on a server a new one, as
   * `net` does it.
   */
  #asyncScope = new AsyncResource('SOCKHOPSOCKET');
  #isOver = false;
  #usage = INITIAL_USAGE;
  /** @type {?function(): void} */
  #onDestroyed;

  /**
   * @param {object} connection the native connection, or a PendingConnection
   * @param {function(): void} [onDestroyed] called when the socket is destroyed
   */
  constructor(connection, onDestroyed = null) {
    super(STREAM_OPTIONS);
    markTarget(this);
    this.#connection = connection;
    this.#onDestroyed = onDestroyed;
    if (connection.isPending) this.connecting = true;
    else sockets.set(connection.id, this);
    changeActive(1);
  }

  get [kConnection]() {
    return this.#connection;
  }

  /** Returns a state of usage that this socket may change. */
  #ownUsage() {
    if (this.#usage === INITIAL_USAGE) this.#usage = new Usage();
    return this.#usage;
  }

  get [kAsyncScope]() {
    return this.#asyncScope;
  }

  /** Whether the connection is closed on this side. */
  get [kIsOver]() {
    return this.#isOver;
  }

  /** The native connection takes the place of the PendingConnection. */
  [kReplaceConnection](connection) {
    this.#connection = connection;
    if (this.#usage.addresses !== null) this.#usage.addresses = null;
    sockets.set(connection.id, this);
  }

  /** Closes the connection and releases everything that belongs to it. */
  [kCloseConnection]() {
    if (!this.#isOver && !this.#usage.isUnref) changeActive(-1);
    this.#isOver = true;
    this.connecting = false;
    this.setTimeout(0);
    this.#countTimeout();
    if (this.#usage.handle !== null) {
      this.#usage.handle.close();
      this.#usage.handle = null;
    }
    this.#connection.close(false);
    if (this.#connection.hasLoopbackPeer()) dispatchSoon();
    sockets.delete(this.#connection.id);
    this.#onDestroyed?.();
    this.#onDestroyed = null;
  }

  resetAndDestroy() {
    if (!this.destroyed) {
      this[kFlush]();
      this.#connection.close(true);
    }
    return this.destroy();
  }

  /**
   * As with a `net.Socket`, this is an error while the socket is connected.
   *
   * @throws {SockhopError} if the connection is over
   */
  connect() {
    if (this.#isOver) throw cannotConnectAgain();
    return this.destroy(systemError(this.connecting ? 'EALREADY' : 'EISCONN', 'connect'));
  }

  get pending() {
    return this.#isOver || this.connecting;
  }

  // ---- pings: the native side sends and answers them --------------------------------------------

  [kNextPing](throughProgram) {
    const connection = this.#connection;
    let ping = null;
    this.#usage.sentPings?.applyProgramChanges(connection);
    if (!throughProgram) connection.ping();
    else if (connection.nextPing()) ping = this[kPings].at(-1);
    this.#usage.sentPings?.update(connection);
    return ping;
  }

  get [kPings]() {
    const usage = this.#ownUsage();
    usage.sentPings ??= new (load.sentPings())();
    return usage.sentPings.update(this.#connection);
  }

  get [kHasShownPings]() {
    return this.#usage.sentPings !== null;
  }

  [kClearPings]() {
    this.#connection.clearPings();
    if (this.#usage.sentPings !== null) this.#usage.sentPings = null;
  }

  [kOnPong](message, text) {
    const pong = text ?? textOf(message);
    if (pong !== null) this.#connection.pong(pong);
    this.#usage.sentPings?.update(this.#connection);
    this.#usage.sentPings?.answered(message.data);
  }

  [kRoundTrip]() {
    return this.#connection.roundTrip() ?? null;
  }

  // ---- time-outs and options --------------------------------------------------------------------

  /**
   * The timer of net.Socket has fired. Bytes that only the native side has seen count as activity
   * as well.
   */
  _onTimeout() {
    this.#stopTimeoutTimer();
    if (!this.timeout || this.destroyed) return;
    const left = this.timeout - this.#connection.idleTime();
    if (left < 1) return this.emit('timeout');
    const usage = this.#ownUsage();
    usage.timeoutTimer = setTimeout(() => this._onTimeout(), left);
    usage.timeoutTimer.unref?.();
  }

  /** Bytes were sent or delivered: the timeout starts again. */
  _unrefTimer() {
    this.#stopTimeoutTimer();
    super._unrefTimer?.();
  }

  setTimeout(ms, callback) {
    // The constructor of net.Socket may call it.
    if (!(#connection in this)) return super.setTimeout(ms, callback);
    this.#stopTimeoutTimer();
    super.setTimeout(ms, callback);
    this.#countTimeout();
    return this;
  }

  #countTimeout() {
    const hasTimeout = this.timeout > 0 && !this.#isOver;
    if (hasTimeout === this.#usage.isTimeoutCounted) return;
    this.#ownUsage().isTimeoutCounted = hasTimeout;
    countException(hasTimeout);
  }

  #stopTimeoutTimer() {
    if (this.#usage.timeoutTimer === null) return;
    clearTimeout(this.#usage.timeoutTimer);
    this.#usage.timeoutTimer = null;
  }

  ref() {
    this.#setUnref(false);
    return this;
  }

  unref() {
    this.#setUnref(true);
    return this;
  }

  #setUnref(isUnref) {
    if (isUnref === this.#usage.isUnref) return;
    this.#ownUsage().isUnref = isUnref;
    if (!this.#isOver) changeActive(isUnref ? -1 : 1);
  }

  setNoDelay(on = true) {
    this.#connection.setNoDelay(Boolean(on));
    return this;
  }

  setKeepAlive(on = false, initialDelay = 0) {
    this.#connection.setKeepAlive(Boolean(on), Number(initialDelay) || 0);
    return this;
  }

  // ---- addresses --------------------------------------------------------------------------------

  /** @returns {[?object, ?object]} this end and the peer's */
  #endpoints() {
    const usage = this.#ownUsage();
    usage.addresses ??= this.#connection.addresses().map((end) => end && displayedEndpoint(end));
    return usage.addresses;
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

  /**
   * The process at the other end of a Unix socket; null for TCP, and if the connection was over
   * before the first look.
   *
   * @type {?{pid: ?number, uid: number, gid: number}}
   */
  get peer_credentials() {
    if (!(#connection in this)) return null;
    if (this.#usage.credentials === null && !this.#isOver) {
      const found = this.#connection.peerCredentials() ?? null;
      if (found !== null) this.#ownUsage().credentials = { ...found, pid: found.pid ?? null };
    }
    return this.#usage.credentials;
  }

  /** A program may use the name for a property of its own. */
  set peer_credentials(value) {
    Object.defineProperty(this, 'peer_credentials', {
      configurable: true,
      enumerable: true,
      writable: true,
      value,
    });
  }

  get bytesRead() {
    return this.#connection.traffic().bytesIn;
  }

  /** The constructor of Bun's net.Socket assigns it. */
  set bytesRead(_) {}

  // ---- Node's handle ----------------------------------------------------------------------------

  /**
   * Node's handle. Programs read its descriptor. Node uses it to send the connection to another
   * process, and gives it to a `tls.TLSSocket`, which then reads instead of the native side.
   */
  get _handle() {
    // The constructor of net.Socket reads it before there is a connection.
    if (!(#connection in this) || this.#isOver || this.connecting) return null;
    const handles = load.handles();
    if (!handles.exist) return null;
    const usage = this.#ownUsage();
    usage.handle ??= handles.ofConnection(this.#connection.duplicate());
    if (usage.handle !== null) this.#pauseForHandle();
    return usage.handle;
  }

  /**
   * The native side does not read until the next tick: by then a `tls.TLSSocket` may have taken the
   * handle.
   */
  #pauseForHandle() {
    if (this.#usage.isHandleInUse) return;
    this.#ownUsage().isHandleInUse = true;
    this.#connection.pause();
    process.nextTick(() => {
      const { handle } = this.#usage;
      if (this.#isOver || handle === null || load.handles().isTaken(handle)) return;
      this.#usage.isHandleInUse = false;
      this[kOnHandleUnused]();
    });
  }

  get [kIsHandleInUse]() {
    return this.#usage.isHandleInUse;
  }

  /**
   * Node sets it to null as it sends the handle to another process, which has the connection from
   * then on.
   */
  set _handle(handle) {
    if (handle !== null || !(#connection in this) || this.#usage.handle === null || this.#isOver)
      return;
    // The other process may only read JSON.
    this[kChannel]?.codec?.handOver(this);
    this[kFlush]();
    if (!this.#connection.release()) throw cannotHandOver(this);
    this.#usage.handle = null;
    // Bytes that were read before belong to this process.
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

supportProxies(ConnectionSocket);

module.exports = { ConnectionSocket };
