'use strict';

const { AsyncResource } = require('node:async_hooks');
const net = require('node:net');

const { listeners, KeepAlive, nextId, throwUncaught } = require('../native/dispatcher.js');
const { abortError } = require('../errors/errors.js');
const { systemError } = require('../errors/system-errors.js');
const handles = require('../native/node-handles.js');
const { SockhopSocket } = require('../../SockhopSocket.js');
const { formatAddress } = require('../transport/format-address.js');
const { lookup } = require('../client/lookup.js');
const { displayedEndpoint, socketName } = require('../transport/addresses.js');
const options = require('../options/options.js');
const { Share, inCluster } = require('./cluster-server.js');
const { nextTick } = require('../real-timers.js');
const { markTarget, supportProxies } = require('../proxy-support.js');

/** As many connections may wait to be accepted as Node lets wait. */
const BACKLOG = 511;

/** Until Node 21 a `maxConnections` of 0 meant as many as there are. */
const ZERO_IS_NONE = Number.parseInt(process.versions.node, 10) >= 21;

/**
 * What listens for a server: a `net.Server` to the program, backed by a native listener.
 *
 * @fires Listener#listening
 * @fires Listener#connection (socket)
 * @fires Listener#error (err)
 * @fires Listener#drop (?ends): a connection was turned away because there are as many as there may be
 * @fires Listener#close
 */
class Listener extends net.Server {
  #server;
  #handlers;
  #id = nextId();
  #native = null;
  #path = null;
  #keepAlive = new KeepAlive();
  /** The option of the server; what the program assigns counts instead. */
  #limit;
  /** @type {*} as assigned */
  #maxConnections;
  /** Accepted sockets that are not destroyed. */
  #open = 0;
  /** It was closed, and that is not told yet: connections are open. */
  #closing = false;
  /** What is being opened: @type {?object} */
  #opening = null;
  /** Node's own server, where it accepts: @type {?Share} */
  #share = null;
  /** Node's own handle on a duplicate of the descriptor, once something has asked for it. */
  #handle = null;
  /** The asynchronous context of `listen()`. */
  #scope = null;
  #signal = null;
  #onAbort = () => this.close();

  /**
   * @param {object} server the native server
   * @param {ServerHandlers} handlers
   * @param {number} limit how many connections may be open at a time
   */
  constructor(server, handlers, limit) {
    super();
    markTarget(this);
    this.#server = server;
    this.#handlers = handlers;
    this.#limit = limit;
    // net.Server may make an own property of it.
    Object.defineProperty(this, 'maxConnections', {
      configurable: true,
      enumerable: true,
      get: () => this.#maxConnections,
      set: (max) => {
        this.#maxConnections = max;
        this.#native?.setMaxConnections(this.#most);
      },
    });
  }

  /** How many connections may be open at a time. */
  get #most() {
    const max = this.#maxConnections;
    if (max === undefined || max === null) return this.#limit;
    return max || ZERO_IS_NONE ? Number(max) : Number.POSITIVE_INFINITY;
  }

  /**
   * Listens for a server.
   *
   * @param {{path: ?string, address: string, port: number}} where
   * @param {AbortSignal} [signal]
   * @param {boolean} [exclusive=false] shares with no other process
   * @returns {Promise<Listener>} rejects with Node's error
   */
  async open({ path, address, port }, signal, exclusive = false) {
    if (signal?.aborted) throw abortError(signal);
    if (this.#native || this.#opening) throw alreadyListening();
    const endpoint = path
      ? { path: options.checkPath('The "path" property', path) }
      : {
          host: options.checkAddress('The "address" property', address),
          port: options.checkPort('The "port" property', port),
        };
    await this.#begin({ ...endpoint, signal, exclusive });
    return this;
  }

  /**
   * Listens as `net.Server#listen()` does, with the same arguments.
   *
   * @throws Node's errors of arguments; what the system says comes as an `error` event
   */
  listen(...args) {
    if (this.#native || this.#opening) throw alreadyListening();
    const callback = typeof args.at(-1) === 'function' ? args.at(-1) : null;
    const endpoint = plainEndpoint(args);
    const begun = endpoint
      ? this.#begin(endpoint)
      : this.#beginInFront(callback ? args.slice(0, -1) : args);
    if (callback) this.once('listening', callback);
    begun.catch((err) => {
      // A signal that is aborted closes it, and that is no error of `net`.
      if (err.code === 'ABORT_ERR' || err.code === 'ERR_SERVER_NOT_RUNNING') return;
      nextTick(() => this.emit('error', err));
    });
    return this;
  }

  async #begin({ path, host, port, backlog = BACKLOG, signal, exclusive = false }) {
    const opening = {};
    this.#opening = opening;
    this.#scope = new AsyncResource('SOCKHOPSERVER');
    const check = () => {
      if (signal?.aborted) throw abortError(signal);
      if (this.#opening !== opening) throw notRunning();
    };
    try {
      const address = !host || net.isIP(host) !== 0 ? host : (await lookup(host, false))[0].address;
      check();
      if (!exclusive && inCluster()) {
        await this.#join([path ? { path, backlog } : { host: address, port, backlog }], check);
      } else this.#bind({ path, address, port }, backlog);
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
    await this.#opened(path, signal);
  }

  /** Has Node listen where the native side cannot: on a descriptor, or with options that only `net` has. */
  #beginInFront(args) {
    const opening = {};
    this.#opening = opening;
    this.#scope = new AsyncResource('SOCKHOPSERVER');
    const check = () => {
      if (this.#opening !== opening) throw notRunning();
    };
    let joined;
    try {
      joined = this.#join(args, check);
    } catch (err) {
      this.#opening = null;
      throw err;
    }
    return joined
      .finally(() => {
        if (this.#opening === opening) this.#opening = null;
      })
      .then(() => this.#opened(null, undefined));
  }

  /** @throws Node's error */
  #bind({ path, address, port }, backlog) {
    const at = (endpoint) => {
      const place = path ? { path: socketName(path) } : endpoint;
      const result = this.#server.listenAt(this.#id, place, backlog);
      return result.errno === undefined ? result : listenError(result, endpoint);
    };
    let bound;
    if (path) bound = at({ path });
    else if (address) bound = at({ address, port });
    else {
      // As Node: every address of both families, or of the one there is.
      bound = at({ address: '::', port });
      if (bound instanceof Error && bound.code !== 'EADDRINUSE') {
        bound = at({ address: '0.0.0.0', port });
      }
    }
    if (bound instanceof Error) throw bound;
    this.#native = bound;
  }

  /**
   * Listens where other workers of the cluster do, or where Node can alone.
   *
   * @param {Array} args of `net.Server#listen()`
   * @throws Node's errors of arguments
   */
  #join(args, check) {
    const native = this.#server.listenElsewhere(this.#id);
    if (native.errno !== undefined) throw listenError(native, {});
    const share = new Share(native, this);
    const undo = () => {
      share.stop();
      native.close();
    };
    let started;
    try {
      started = share.start(args);
    } catch (err) {
      undo();
      throw err;
    }
    return started.then(check).then(
      () => {
        this.#share = share;
        this.#native = native;
      },
      (err) => {
        undo();
        throw err;
      },
    );
  }

  /** It listens: tells of it in the next tick. */
  #opened(path, signal) {
    this.#path = path || null;
    if (path) this._pipeName = path;
    listeners.set(this.#id, this);
    this.#native.setMaxConnections(this.#most);
    this.#keepAlive.start();
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    const native = this.#native;
    return new Promise((resolve) => {
      nextTick(() => {
        try {
          if (this.#native === native) this.emit('listening');
        } catch (err) {
          // It listens all the same.
          throwUncaught(err);
        }
        resolve();
      });
    });
  }

  // ---- from the native side ------------------------------------------------------------------

  /**
   * A connection: the socket is for the program, too, as with `net`. Its own events have no part in the
   * context of `listen()`.
   *
   * @returns {SockhopSocket}
   */
  accepted(connection) {
    const socket = new SockhopSocket(connection, () => this.#released());
    this.#handlers.unclaimedSockets.add(socket);
    this.#open += 1;
    this._connections = this.#open;
    socket.server = this;
    this.#scope.runInAsyncScope(this.emit, this, 'connection', socket);
    return socket;
  }

  #released() {
    this.#open -= 1;
    this._connections = this.#open;
    this.#closeIfDrained();
  }

  /** @param {?Array} [ends] of TCP: address, port and family of this end and the other */
  refused(ends) {
    this.#scope.runInAsyncScope(this.#refused, this, ends);
  }

  #refused(ends) {
    try {
      if (ends) this.emit('drop', dropped(ends));
      else this.emit('drop');
    } catch (err) {
      throwUncaught(err);
    }
    // What the program told the listener is between the two, as with `net`.
    this.#handlers.onConnectionRefused(this.#most, this.#most !== this.#limit);
  }

  failed(errno, syscall) {
    this.onListenerError(systemError(-errno, syscall));
  }

  onListenerError(err) {
    this.#scope.runInAsyncScope(this.#handlers.reportServerError, this.#handlers, err);
  }

  // ---- net.Server ----------------------------------------------------------------------------

  get listening() {
    return this.#native !== null;
  }

  address() {
    if (this.#native === null) return null;
    if (this.#path !== null) return this.#path;
    if (this.#share !== null) return this.#share.address();
    return displayedEndpoint(this.#native.address());
  }

  /** Node's handle, where it gives the listener to another process. Nothing is accepted through it. */
  get _handle() {
    // The constructor of net.Server comes before the fields.
    if (!(#native in this) || this.#native === null) return null;
    if (this.#share !== null) return this.#share._handle;
    this.#handle ??= handles.ofListener(this.#native.duplicate());
    return this.#handle;
  }

  /** The constructor of net.Server sets it. */
  set _handle(_) {}

  getConnections(callback) {
    nextTick(callback, null, this.#open);
    return this;
  }

  get connections() {
    return this.#open;
  }

  ref() {
    this.#keepAlive.enabled = true;
    return this;
  }

  unref() {
    this.#keepAlive.enabled = false;
    return this;
  }

  /** Stops listening; connections stay, and `close` is emitted when the last of them is gone. */
  close(callback) {
    const running = this.#native !== null;
    // What is being opened notices.
    this.#opening = null;
    if (typeof callback === 'function') {
      this.once('close', running ? callback : () => callback(notRunning()));
    }
    if (running) {
      this.#native.close();
      this.#native = null;
      this.#handle?.close();
      this.#handle = null;
      this.#share?.stop();
      this.#share = null;
      this.#signal?.removeEventListener('abort', this.#onAbort);
      this.#signal = null;
      listeners.delete(this.#id);
      this.#keepAlive.stop();
    }
    this.#closing = true;
    this.#closeIfDrained();
    return this;
  }

  #closeIfDrained() {
    if (!this.#closing || this.#open > 0 || this.#native !== null) return;
    this.#closing = false;
    nextTick(() => this.emit('close'));
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const address = this.address();
    if (address === null) return 'Listener { not listening }';
    const where = formatAddress(typeof address === 'string' ? { address } : address);
    return `Listener { ${stylize(where, 'string')}, ${this.connections} open }`;
  }
}

supportProxies(Listener);

if (typeof Symbol.asyncDispose === 'symbol' && Symbol.asyncDispose in net.Server.prototype) {
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

/** The options of `net.Server#listen()` that the native side knows; with any other one, Node listens. */
const PLAIN_OPTIONS = ['port', 'host', 'path', 'backlog', 'exclusive'];

/**
 * @param {Array} args of `net.Server#listen()`
 * @returns {?{path: string}|{host: ?string, port: number}} null for what is Node's to do, or to refuse
 */
function plainEndpoint(args) {
  const [first, second, third] = args;
  let given;
  if (first === undefined || first === null || typeof first === 'function') given = { port: 0 };
  else if (typeof first === 'object') {
    const names = Object.keys(first).filter((name) => first[name] !== undefined);
    if (!names.every((name) => PLAIN_OPTIONS.includes(name))) return null;
    given = 'port' in first && (first.port ?? null) === null ? { ...first, port: 0 } : { ...first };
  } else if (typeof first === 'string' && !(Number(first) >= 0)) given = { path: first };
  else given = { port: first };
  if (typeof second === 'string') given.host ??= second;
  const backlog = given.backlog || count(second) || count(third) || BACKLOG;
  const { path, host, exclusive } = given;
  if (given.port !== undefined) {
    const port = typeof given.port === 'string' && given.port.trim() ? +given.port : given.port;
    const valid = Number.isInteger(port) && port >= 0 && port <= 0xffff;
    if (!valid || (host && typeof host !== 'string')) return null;
    return { host: host || undefined, port, backlog, exclusive };
  }
  return typeof path === 'string' && path !== '' && !(Number(path) >= 0)
    ? { path, backlog, exclusive }
    : null;
}

/** @returns {number} the backlog that an argument stands for, or 0 */
function count(value) {
  return typeof value !== 'function' && Number(value) > 0 ? Number(value) : 0;
}

/** What Node tells of a connection that it drops. */
function dropped([localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily]) {
  return { localAddress, localPort, localFamily, remoteAddress, remotePort, remoteFamily };
}

function listenError({ errno, syscall }, { path, address, port }) {
  // libuv calls a directory that is missing a lack of permission.
  const code = path && errno === 2 ? 'EACCES' : -errno;
  return systemError(code, syscall, path ?? address, path ? -1 : port);
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

module.exports = { Listener, notRunning };
