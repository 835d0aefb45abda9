'use strict';

const { AsyncResource } = require('node:async_hooks');
const net = require('node:net');

const { displayedEndpoint } = require('./addresses.js');
const { countException } = require('./broadcast-exceptions.js');
const { cannotHandOver } = require('./connection-errors.js');
const { formatAddress } = require('./format-address.js');
const { PendingConnection } = require('./pending-connection.js');
const { SentPings } = require('./sent-pings.js');
const { sockets, KeepAlive, dispatchSoon } = require('../native/dispatcher.js');
const handles = require('../native/node-handles.js');
const { markTarget, supportProxies } = require('../proxy-support.js');
const { clearTimeout, setImmediate, setTimeout } = require('../real-timers.js');
const {
  kAsyncScope,
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

/**
 * The first of three layers of a `SockhopSocket`: a `net.Socket` that is backed by a native
 * connection. It has the connection from its beginning to its end, and the properties, time-outs
 * and options of `net.Socket` that are those of the connection.
 */
class ConnectionSocket extends net.Socket {
  /** The native connection, or a PendingConnection while there is none. */
  #connection;
  /**
   * The asynchronous context of events: on a client that of `connect()`, on a server a new one, as
   * `net` does it.
   */
  #asyncScope = new AsyncResource('SOCKHOPSOCKET');
  #keepAlive = new KeepAlive();
  #isOver = false;
  #addresses = null;
  /**
   * Fires `setTimeout()` later, because bytes have moved since the timer of net.Socket was started.
   */
  #timeoutTimer = null;
  /** Whether this counts as an exception for broadcasts, because it has a time-out. */
  #isTimeoutCounted = false;
  /**
   * Node's own handle on a duplicate of the descriptor, once the program or Node has read
   * `_handle`.
   */
  #handle = null;
  /**
   * Whether the native side does not read: `_handle` was read in this tick, or a `tls.TLSSocket`
   * has it.
   */
  #isHandleInUse = false;
  /** @type {?function(): void} */
  #onDestroyed;
  /** The pings, once the program has read them: @type {?SentPings} */
  #sentPings = null;

  /**
   * @param {object} connection the native connection, or a PendingConnection
   * @param {function(): void} [onDestroyed] called when the socket is destroyed
   */
  constructor(connection, onDestroyed = null) {
    super({ allowHalfOpen: false });
    markTarget(this);
    this.#connection = connection;
    this.#onDestroyed = onDestroyed;
    if (connection instanceof PendingConnection) this.connecting = true;
    else sockets.set(connection.id, this);
    this.#keepAlive.start();
  }

  get [kConnection]() {
    return this.#connection;
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
    this.#addresses = null;
    sockets.set(connection.id, this);
  }

  /** Closes the connection and lets go of everything that belongs to it. */
  [kCloseConnection]() {
    this.#isOver = true;
    this.connecting = false;
    this.setTimeout(0);
    this.#countTimeout();
    this.#handle?.close();
    this.#handle = null;
    this.#connection.close(false);
    if (this.#connection.hasLoopbackPeer()) dispatchSoon();
    sockets.delete(this.#connection.id);
    this.#keepAlive.stop();
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

  get pending() {
    return this.#isOver || this.connecting;
  }

  // ---- pings: the native side sends and answers them --------------------------------------------

  [kNextPing](throughProgram) {
    const connection = this.#connection;
    let ping = null;
    this.#sentPings?.applyProgramChanges(connection);
    if (!throughProgram) connection.ping();
    else if (connection.nextPing()) ping = this[kPings].at(-1);
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

  /** The native client or server makes the connection forget its pings. */
  [kClearPings]() {
    this.#sentPings = null;
  }

  [kOnPong](message, text) {
    this.#connection.pong(text ?? JSON.stringify(message));
  }

  [kRoundTrip]() {
    return this.#connection.roundTrip() ?? null;
  }

  // ---- time-outs and options --------------------------------------------------------------------

  /**
   * The timer of net.Socket has fired. Bytes that only the native side has seen are activity, too.
   */
  _onTimeout() {
    this.#stopTimeoutTimer();
    if (!this.timeout || this.destroyed) return;
    const left = this.timeout - this.#connection.idleTime();
    if (left < 1) return this.emit('timeout');
    this.#timeoutTimer = setTimeout(() => this._onTimeout(), left);
    this.#timeoutTimer.unref?.();
  }

  /** Something was sent or delivered: the time begins anew. */
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
    if (hasTimeout === this.#isTimeoutCounted) return;
    this.#isTimeoutCounted = hasTimeout;
    countException(hasTimeout);
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

  // ---- addresses --------------------------------------------------------------------------------

  /** @returns {[?object, ?object]} this end and the peer's */
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

  /** The constructor of Bun's net.Socket assigns it. */
  set bytesRead(_) {}

  // ---- Node's handle ----------------------------------------------------------------------------

  /**
   * Node's handle. Programs read its descriptor. Node uses it to send the connection to another
   * process, and gives it to a `tls.TLSSocket`, which then reads in place of the native side.
   */
  get _handle() {
    // The constructor of net.Socket reads it before there is a connection.
    if (!handles.exist || !(#connection in this) || this.#isOver || this.connecting) return null;
    this.#handle ??= handles.ofConnection(this.#connection.duplicate());
    if (this.#handle !== null) this.#pauseForHandle();
    return this.#handle;
  }

  /**
   * The native side does not read until the next tick: by then a `tls.TLSSocket` may have taken the
   * handle.
   */
  #pauseForHandle() {
    if (this.#isHandleInUse) return;
    this.#isHandleInUse = true;
    this.#connection.pause();
    process.nextTick(() => {
      if (this.#isOver || this.#handle === null || handles.isTaken(this.#handle)) return;
      this.#isHandleInUse = false;
      this[kOnHandleUnused]();
    });
  }

  get [kIsHandleInUse]() {
    return this.#isHandleInUse;
  }

  /**
   * Node sets it to null as it sends the handle to another process, which has the connection from
   * then on.
   */
  set _handle(handle) {
    if (handle !== null || !(#connection in this) || this.#handle === null || this.#isOver) return;
    this[kFlush]();
    if (!this.#connection.release()) throw cannotHandOver(this);
    this.#handle = null;
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
