'use strict';

const { AsyncResource } = require('node:async_hooks');
const { isIP } = require('node:net');

const { late } = require('../late.js');
const { kListen, kListenElsewhere, kListenOn } = require('../native/classes.js');
const { listeners, KeepAlive, nextId, throwUncaught } = require('../native/dispatcher.js');
const { debug } = require('../diagnostics.js');
const { abortError } = require('../errors/errors.js');
const { listenError, systemError } = require('../errors/system-errors.js');
const { Server } = require('../originals.js');
const { SockhopSocket } = require('../../SockhopSocket.js');
const { displayedEndpoint, formatAddress, socketName } = require('../addresses.js');
const {
  inCluster,
  nativeOptions,
  needsNode,
  netOptions,
  placeOf,
  plainPlace,
} = require('./listen-place.js');
const { nextTick } = require('../real-timers.js');
const { markTarget, supportProxies } = require('../proxy-support.js');

/** Parts that few listeners need, see late.js. */
const load = {
  aborts: late(() => require('../abort-signals.js')),
  clusterServer: late(() => {
    // Reads a connection that has no descriptor, or for which there is no further one.
    require('../transport/stream-transport.js');
    return require('./cluster-server.js').ClusterServer;
  }),
  handles: late(() => require('../native/node-handles.js')),
  lookup: late(() => require('../transport/lookup.js')),
  openssl: late(() => require('./openssl-handshakes.js').OpensslHandshakes),
  tlsSocket: late(() => require('../transport/tls-socket.js').SockhopTlsSocket),
};

/** Before Node 21 a `maxConnections` of 0 meant no limit. */
const ZERO_IS_NONE = Number.parseInt(process.versions.node, 10) >= 21;

/** The properties of the argument of a `drop` event. */
const DROP_DETAILS = [
  'localAddress',
  'localPort',
  'localFamily',
  'remoteAddress',
  'remotePort',
  'remoteFamily',
];

/** Whether the constructor of net.Server defines the property `maxConnections`. */
const HAS_OWN_LIMIT = Object.hasOwn(new Server(), 'maxConnections');

/**
 * Listens for a server: a `net.Server` to the program, backed by a native listener.
 *
 * @fires Listener#listening
 * @fires Listener#connection (socket)
 * @fires Listener#error (err)
 * @fires Listener#drop (?ends): a connection was closed at once because of the limit of connections
 * @fires Listener#close
 */
class Listener extends Server {
  /** Makes native listeners: @type {SockhopServer} */
  #server;
  /** The handlers that this reports errors and refused connections to. */
  #handlers;
  /** Names this listener in events of the native side. */
  #id = nextId();
  /** The native listener, while this listens: @type {?object} */
  #native = null;
  /** The path that this listens on; null for an address. */
  #path = null;
  /** Keeps the process alive while this listens. */
  #keepAlive = new KeepAlive();
  /** The limit of connections that the server was constructed with. */
  #defaultLimit;
  /** Secures the connections; null without TLS: @type {?import('../tls/tls-server.js').TlsServer} */
  #tls;
  /** The class of sockets with TLS; null without TLS. */
  #TlsSocket = null;
  /** `maxConnections` as the program assigned it: @type {*} */
  #maxConnections;
  /** How many accepted sockets are not destroyed. */
  #openCount = 0;
  /** Whether `close` is still to be emitted, because connections are open. */
  #isClosing = false;
  /** Identifies the call of listen() that is under way: @type {?object} */
  #opening = null;
  /** Accepts instead of the native side: @type {?ClusterServer} */
  #clusterServer = null;
  /** Node's handle on a duplicate of the descriptor; made when `_handle` is read. */
  #handle = null;
  /** How many connections of the native listener were reported to this object. */
  #acceptedCount = 0;
  /** How many connections the native listener has accepted in all, once it is closed. */
  #finalCount = 0;
  /** Whether close() accepts the connections that wait in the kernel. */
  #acceptsWaiting = false;
  /** The asynchronous context of listen(). */
  #scope = null;
  /** Detaches the signal of listen(), which then no longer closes this listener. */
  #ignoreSignal = () => {};
  /** One function for all sockets. */
  #onSocketDestroyed = () => {
    this.#openCount -= 1;
    this._connections = this.#openCount;
    this.#closeIfDrained();
  };

  /**
   * @param {SockhopServer} server
   * @param {ServerHandlers} handlers
   * @param {number} limit how many connections may be open at a time
   * @param {?TlsServer} [tls]
   */
  constructor(server, handlers, limit, tls = null) {
    super();
    markTarget(this);
    this.#server = server;
    this.#handlers = handlers;
    this.#defaultLimit = limit;
    this.#tls = tls;
    if (tls !== null) this.#TlsSocket = load.tlsSocket();
    if (HAS_OWN_LIMIT) {
      const property = Object.getOwnPropertyDescriptor(Listener.prototype, 'maxConnections');
      Object.defineProperty(this, 'maxConnections', { ...property, enumerable: true });
    }
  }

  /** The property of `net.Server`. @type {number|undefined} */
  get maxConnections() {
    return this.#maxConnections;
  }

  set maxConnections(max) {
    // The constructor of net.Server may assign it.
    if (!(#maxConnections in this)) return;
    this.#maxConnections = max;
    this.#native?.setMaxConnections(this.#connectionLimit);
  }

  /** How many connections may be open at a time. */
  get #connectionLimit() {
    const max = this.#maxConnections;
    if (max === undefined || max === null) return this.#defaultLimit;
    return max || ZERO_IS_NONE ? Number(max) : Number.POSITIVE_INFINITY;
  }

  /**
   * Listens for a server.
   *
   * @param {{path: ?string, address: string, port: number}} target
   * @param {object} how the options of listen(), checked
   * @returns {Promise<Listener>} rejects with Node's error
   */
  async open(target, how) {
    if (how.signal?.aborted) throw abortError(how.signal);
    if (this.#native || this.#opening) throw alreadyListening();
    await this.#begin(placeOf(target, how), how);
    return this;
  }

  /**
   * Listens as `net.Server#listen()` does, with the same arguments.
   *
   * @throws Node's errors for invalid arguments; an error of the system is emitted
   */
  listen(...args) {
    if (this.#native || this.#opening) throw alreadyListening();
    const callback = typeof args.at(-1) === 'function' ? args.at(-1) : null;
    const place = plainPlace(args);
    const begun = place
      ? this.#begin(place, { backlog: place.backlog, exclusive: place.exclusive })
      : this.#beginThroughNode(callback ? args.slice(0, -1) : args);
    if (callback) this.once('listening', callback);
    begun.catch((err) => {
      // For `net` it is no error to close a server before it listens, or to abort its signal.
      if (err.code === 'ABORT_ERR' || err.code === 'ERR_SERVER_NOT_RUNNING') return;
      nextTick(() => this.emit('error', err));
    });
    return this;
  }

  async #begin({ fd, path, host, port }, how) {
    const { signal } = how;
    const opening = {};
    this.#opening = opening;
    this.#scope = new AsyncResource('SOCKHOPSERVER');
    const check = () => {
      if (signal?.aborted) throw abortError(signal);
      if (this.#opening !== opening) throw notRunning();
    };
    try {
      this.#tls?.prepare();
      const address = !host || isIP(host) !== 0 ? host : await addressOf(host);
      check();
      const isShared = !(how.exclusive || how.reuse_port || how.reusePort) && inCluster();
      const place = fd === undefined ? (path ? { path } : { host: address, port }) : { fd };
      if (this.#usesOpenssl && path && !isShared && load.handles().areDescriptors) {
        await this.#listenAtFile(path, how, check);
      } else if (this.#usesOpenssl || needsNode(place, how) || isShared) {
        await this.#listenThroughNode([netOptions(place, { ...how, signal: null })], check);
      } else if (fd !== undefined) this.#listenOn(fd, how.backlog);
      else this.#listenNatively({ path, address, port }, nativeOptions(how, address));
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
    await this.#announce(path ?? this.#inheritedPath(), signal);
  }

  /** Makes Node listen on a descriptor, or with options that only `net` has. */
  #beginThroughNode(args) {
    const opening = {};
    this.#opening = opening;
    this.#scope = new AsyncResource('SOCKHOPSERVER');
    const check = () => {
      if (this.#opening !== opening) throw notRunning();
    };
    let started;
    try {
      this.#tls?.prepare();
      started = this.#listenThroughNode(args, check);
    } catch (err) {
      this.#opening = null;
      throw err;
    }
    return started
      .finally(() => {
        if (this.#opening === opening) this.#opening = null;
      })
      .then(() => this.#announce(null, undefined));
  }

  /** Listens on a descriptor. @throws Node's error */
  #listenOn(fd, backlog) {
    const result = this.#server[kListenOn](this.#id, fd, backlog, this.#tls?.acceptor);
    if (result.errno !== undefined) throw listenError(result, {});
    this.#native = result;
  }

  /** The path of a socket that another process has bound. */
  #inheritedPath() {
    if (this.#clusterServer !== null) return null;
    const { address, family } = this.#native.address() ?? {};
    return family ? null : (address ?? null);
  }

  /** Whether only OpenSSL supports the options of TLS. */
  get #usesOpenssl() {
    return this.#tls !== null && this.#tls.acceptor === null;
  }

  /** @throws Node's error */
  #listenNatively({ path, address, port }, how) {
    const listenAt = (endpoint) => {
      const nativeEndpoint = path ? { path: socketName(path) } : endpoint;
      const acceptor = this.#tls?.acceptor;
      const result = this.#server[kListen](this.#id, nativeEndpoint, how, acceptor);
      return result.errno === undefined ? result : listenError(result, endpoint);
    };
    let result;
    if (path) result = listenAt({ path });
    else if (address) result = listenAt({ address, port });
    else {
      // As in Node: all addresses of both families, or of IPv4 if there is no IPv6.
      result = listenAt({ address: '::', port });
      if (result instanceof Error && result.code !== 'EADDRINUSE') {
        result = listenAt({ address: '0.0.0.0', port });
      }
    }
    if (result instanceof Error) throw result;
    this.#native = result;
  }

  /** Makes Node accept at a file that the native side makes, because Node has no options for it. */
  #listenAtFile(path, how, check) {
    const bound = [{ path: socketName(path) }, nativeOptions(how)];
    const native = this.#server[kListenElsewhere](this.#id, undefined, ...bound);
    if (native.errno !== undefined) throw listenError(native, { path });
    const { backlog } = nativeOptions(how);
    return this.#acceptThroughNode(native, [{ fd: native.duplicate(), backlog }], check);
  }

  /**
   * Makes Node listen and accept.
   *
   * @param {Array} args of `net.Server#listen()`
   * @param {function(): void} check throws if this was closed meanwhile
   * @returns {Promise<void>} rejects with Node's error
   * @throws Node's errors for invalid arguments
   */
  #listenThroughNode(args, check) {
    const native = this.#server[kListenElsewhere](this.#id, this.#tls?.acceptor);
    if (native.errno !== undefined) throw listenError(native, {});
    return this.#acceptThroughNode(native, args, check);
  }

  /** @param {object} native the native listener, which does not accept; it is closed if Node fails */
  #acceptThroughNode(native, args, check) {
    // On Windows a connection that Node accepts has no descriptor, so OpenSSL secures it.
    const usesOpenssl = this.#usesOpenssl || (this.#tls !== null && !load.handles().areDescriptors);
    const openssl = usesOpenssl ? new (load.openssl())(this, this.#tls) : null;
    const clusterServer = new (load.clusterServer())(native, this, openssl);
    const undo = () => {
      clusterServer.stop();
      native.close();
    };
    let started;
    try {
      started = clusterServer.start(args);
    } catch (err) {
      undo();
      throw err;
    }
    return started.then(check).then(
      () => {
        this.#clusterServer = clusterServer;
        this.#native = native;
      },
      (err) => {
        undo();
        throw err;
      },
    );
  }

  /** Emits `listening`, in the next tick. @returns {Promise<void>} fulfilled afterwards */
  #announce(path, signal) {
    this.#path = path || null;
    this.#acceptedCount = 0;
    this.#finalCount = 0;
    if (path) this._pipeName = path;
    listeners.set(this.#id, this);
    this.#native.setMaxConnections(this.#connectionLimit);
    this.#keepAlive.start();
    debug?.('Listener: listens on %s', this.#displayedAddress());
    if (signal) this.#ignoreSignal = load.aborts().onAbort(signal, () => this.close());
    const native = this.#native;
    return new Promise((resolve) => {
      nextTick(() => {
        try {
          if (this.#native === native) this.emit('listening');
        } catch (err) {
          // The error of a handler does not stop the listener.
          throwUncaught(err);
        }
        resolve();
      });
    });
  }

  // ---- from the native side ---------------------------------------------------------------------

  /**
   * Emits the socket of a new connection, as `net.Server` does. Unlike this event, the events of
   * the socket are not emitted in the asynchronous context of listen().
   *
   * @param {object} connection the native connection
   * @returns {SockhopSocket}
   */
  accepted(connection) {
    this.#acceptedCount += 1;
    if (this.#tls === null) {
      return this.#emitConnection(
        new SockhopSocket(connection, this.#onSocketDestroyed, this.#handlers),
      );
    }
    const details = this.#tls.detailsOf(connection);
    const socket = this.#emitConnection(
      new this.#TlsSocket(connection, details, this.#onSocketDestroyed, this.#handlers),
    );
    this.#clusterServer?.track(socket);
    return socket;
  }

  /** Emits a stream that OpenSSL has secured. */
  acceptedStream(stream) {
    stream.once('close', this.#onSocketDestroyed);
    this.#clusterServer?.track(stream);
    this.#emitConnection(stream);
  }

  #emitConnection(socket) {
    this.#openCount += 1;
    this._connections = this.#openCount;
    socket.server = this;
    socket._server = this;
    this.#scope.runInAsyncScope(this.emit, this, 'connection', socket);
    if (this.#native === null && this.#acceptedCount === this.#finalCount) this.#forget();
    return socket;
  }

  /** Whether the limit of connections is reached, counting `more` that are not emitted yet. */
  isFull(more) {
    return this.#openCount + more >= this.#connectionLimit;
  }

  /** Whether connections are secured before they are emitted. */
  get isSecure() {
    return this.#tls !== null;
  }

  /** A client did not complete the TLS handshake: see `TlsServer#failure()` for the arguments. */
  handshakeFailed(...failure) {
    this.#reportHandshake(this.#tls.failure(...failure));
  }

  /** Like `handshakeFailed`, for a handshake of OpenSSL. */
  opensslFailed(err, client) {
    const failure = this.#tls.opensslFailure(err, client);
    if (failure !== null) this.#reportHandshake(failure);
  }

  #reportHandshake(err) {
    this.#scope.runInAsyncScope(this.#handlers.onHandshakeFailed, this.#handlers, err);
  }

  /**
   * A connection was closed at once because of the limit.
   *
   * @param {?Array} [ends] of TCP: address, port and family of this end and of the peer
   */
  refused(ends) {
    this.#scope.runInAsyncScope(this.#refused, this, ends);
  }

  #refused(ends) {
    try {
      if (ends) this.emit('drop', dropDetails(ends));
      else this.emit('drop');
    } catch (err) {
      throwUncaught(err);
    }
    const limit = this.#connectionLimit;
    // A limit that the program assigned to the listener causes no error, as with `net`.
    this.#handlers.onConnectionRefused(limit, limit !== this.#defaultLimit);
  }

  /** The native listener could not accept, because a system call failed. */
  failed(_kind, errno, syscall) {
    this.onListenerError(systemError(-errno, syscall));
  }

  onListenerError(err) {
    this.#scope.runInAsyncScope(this.#handlers.reportServerError, this.#handlers, err);
  }

  // ---- net.Server -------------------------------------------------------------------------------

  get listening() {
    return this.#native !== null;
  }

  address() {
    if (this.#native === null) return null;
    if (this.#path !== null) return this.#path;
    if (this.#clusterServer !== null) return this.#clusterServer.address();
    return displayedEndpoint(this.#native.address());
  }

  /** Node's handle, which Node sends to another process. Nothing is accepted through it. */
  get _handle() {
    // The constructor of net.Server reads it before there are private fields.
    if (!(#native in this) || this.#native === null) return null;
    if (this.#clusterServer !== null) return this.#clusterServer._handle;
    this.#handle ??= load.handles().ofListener(this.#native.duplicate());
    return this.#handle;
  }

  /** The constructor of net.Server assigns it. */
  set _handle(_) {}

  getConnections(callback) {
    nextTick(callback, null, this.#openCount);
    return this;
  }

  get connections() {
    return this.#openCount;
  }

  ref() {
    this.#keepAlive.enabled = true;
    return this;
  }

  unref() {
    this.#keepAlive.enabled = false;
    return this;
  }

  /** Stops listening. Connections stay open; `close` is emitted when the last of them is closed. */
  close(callback) {
    const running = this.#native !== null;
    // A call of listen() that is under way notices this.
    this.#opening = null;
    if (typeof callback === 'function') {
      this.once('close', running ? callback : () => callback(notRunning()));
    }
    if (running) {
      debug?.('Listener: stops listening on %s', this.#displayedAddress());
      this.#closeNative();
      this.#handle?.close();
      this.#handle = null;
      this.#clusterServer?.stop();
      this.#clusterServer = null;
      this.#ignoreSignal();
      this.#keepAlive.stop();
    }
    this.#isClosing = true;
    this.#closeIfDrained();
    return this;
  }

  /** Connections that wait in the kernel are accepted by the next close(), and not reset. */
  set acceptsWaiting(on) {
    this.#acceptsWaiting = on;
  }

  /** Closes the native listener. Its last accepted connections are still to be emitted. */
  #closeNative() {
    if (!this.#acceptsWaiting || this.#clusterServer !== null) this.#native.close();
    else this.#finalCount = this.#native.closeAfterAccepting();
    this.#native = null;
    if (this.#acceptedCount >= this.#finalCount) this.#forget();
  }

  #forget() {
    listeners.delete(this.#id);
    // Otherwise tools that look for open handles see a listening server until garbage is collected.
    this.#scope.emitDestroy();
  }

  #closeIfDrained() {
    if (!this.#isClosing || this.#openCount > 0 || this.#native !== null) return;
    if (this.#acceptedCount < this.#finalCount) return;
    this.#isClosing = false;
    nextTick(() => this.emit('close'));
  }

  /** The address as one text: `127.0.0.1:50000`, or a path. */
  #displayedAddress() {
    const address = this.address();
    return formatAddress(typeof address === 'string' ? { address } : address);
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    if (this.#native === null) return 'Listener { not listening }';
    const where = this.#displayedAddress();
    return `Listener { ${stylize(where, 'string')}, ${this.connections} open }`;
  }
}

supportProxies(Listener);

if (typeof Symbol.asyncDispose === 'symbol' && Symbol.asyncDispose in Server.prototype) {
  Object.defineProperty(Listener.prototype, Symbol.asyncDispose, {
    configurable: true,
    writable: true,
    async value() {
      if (!this.listening) return;
      await new Promise((resolve) => {
        this.close(resolve);
      });
    },
  });
}

/** The address that `net` listens on for a host name. */
async function addressOf(host) {
  const [found] = await load.lookup().lookup(host, false);
  return found.address;
}

/** The argument of a `drop` event. */
function dropDetails(ends) {
  return Object.fromEntries(DROP_DETAILS.map((name, index) => [name, ends[index]]));
}

function alreadyListening() {
  const err = new Error('Listen method has been called more than once without closing.');
  err.code = 'ERR_SERVER_ALREADY_LISTEN';
  return err;
}

function notRunning() {
  const err = new Error('Server is not running.');
  err.code = 'ERR_SERVER_NOT_RUNNING';
  return err;
}

module.exports = { Listener, alreadyListening, notRunning };
