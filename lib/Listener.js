'use strict';

const { AsyncResource } = require('node:async_hooks');
const dns = require('node:dns');
const net = require('node:net');

const { listeners, Hold, nextId, surface } = require('./Mailbox.js');
const { aborted } = require('./faults.js');
const { systemError } = require('./errors.js');
const { endName } = require('./names.js');
const options = require('./options.js');
const { Share, inCluster } = require('./Share.js');

/** As many connections may wait to be accepted as Node lets wait. */
const BACKLOG = 511;

/**
 * What listens for a server: a `net.Server` to the program, backed by a native listener.
 *
 * @fires Listener#listening
 * @fires Listener#error (err)
 * @fires Listener#drop: a connection was turned away because there are `maxConnections`
 * @fires Listener#close
 */
class Listener extends net.Server {
  #owner;
  #id = nextId();
  #native = null;
  #path = null;
  #hold = new Hold();
  #maxConnections = Number.POSITIVE_INFINITY;
  /** What is being opened: @type {?object} */
  #opening = null;
  /** In a worker of a cluster: @type {?Share} */
  #share = null;
  /** The asynchronous context of `listen()`. */
  #scope = null;
  #signal = null;
  #onAbort = () => this.close();

  /**
   * @param {{native: object, accepted: Function, refused: Function}} owner
   * @param {number} maxConnections
   */
  constructor(owner, maxConnections) {
    super();
    this.#owner = owner;
    this.#maxConnections = maxConnections;
    // net.Server makes an own property of it.
    Object.defineProperty(this, 'maxConnections', {
      configurable: true,
      enumerable: true,
      get: () => this.#maxConnections,
      set: (max) => {
        this.#maxConnections = max ?? Number.POSITIVE_INFINITY;
        this.#native?.setMaxConnections(this.#maxConnections);
      },
    });
  }

  /**
   * @param {{path: ?string, address: string, port: number}} where
   * @param {AbortSignal} [signal]
   * @param {boolean} [exclusive=false] shares with no other process
   * @returns {Promise<Listener>} rejects with Node's error
   */
  async open({ path, address, port }, signal, exclusive = false) {
    if (signal?.aborted) throw aborted(signal);
    if (this.#native || this.#opening) throw alreadyListening();
    const opening = {};
    this.#opening = opening;
    this.#scope = new AsyncResource('SOCKHOPSERVER');
    const check = () => {
      if (signal?.aborted) throw aborted(signal);
      if (this.#opening !== opening) throw notRunning();
    };
    try {
      const endpoint = path
        ? { path: options.checkPath('The "path" property', path) }
        : await this.#resolve(
            options.checkAddress('The "address" property', address),
            options.checkPort('The "port" property', port),
          );
      check();
      if (!exclusive && inCluster()) await this.#join(endpoint, check);
      else {
        const result = this.#owner.native.listenAt(this.#id, endpoint, BACKLOG);
        if (result.errno !== undefined) throw listenError(result, endpoint);
        this.#native = result;
      }
    } finally {
      if (this.#opening === opening) this.#opening = null;
    }
    this.#path = path || null;
    listeners.set(this.#id, this);
    this.#native.setMaxConnections(this.#maxConnections);
    this.#hold.take();
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    try {
      this.emit('listening');
    } catch (err) {
      // It listens all the same.
      surface(err);
    }
    return this;
  }

  /** Listens where other workers of the cluster do. */
  async #join(endpoint, check) {
    const { path, address, port } = endpoint;
    const native = this.#owner.native.listenElsewhere(this.#id);
    if (native.errno !== undefined) throw listenError(native, endpoint);
    const share = new Share(native, this);
    try {
      await share.start({ ...(path ? { path } : { host: address, port }), backlog: BACKLOG });
      check();
    } catch (err) {
      share.stop();
      native.close();
      throw err;
    }
    this.#share = share;
    this.#native = native;
  }

  async #resolve(host, port) {
    if (net.isIP(host) !== 0) return { address: host, port };
    const { address } = await dns.promises.lookup(host);
    return { address, port };
  }

  // ---- from the native side ------------------------------------------------------------------

  accepted(connection) {
    return this.#scope.runInAsyncScope(this.#owner.accepted, this.#owner, connection);
  }

  refused() {
    this.#scope.runInAsyncScope(this.#refused, this);
  }

  #refused() {
    try {
      this.emit('drop');
    } catch (err) {
      surface(err);
    }
    this.#owner.refused(this.#maxConnections);
  }

  failed(errno, syscall) {
    this.troubled(systemError(-errno, syscall));
  }

  troubled(err) {
    this.#scope.runInAsyncScope(this.#owner.failed, this.#owner, err);
  }

  // ---- net.Server ----------------------------------------------------------------------------

  get listening() {
    return this.#native !== null;
  }

  address() {
    if (this.#native === null) return null;
    if (this.#path !== null) return this.#path;
    const { address, family, port } = (this.#share ?? this.#native).address();
    return { address, family, port };
  }

  getConnections(callback) {
    const count = this.#native?.connectionCount() ?? 0;
    process.nextTick(callback, null, count);
    return this;
  }

  get connections() {
    return this.#native?.connectionCount() ?? 0;
  }

  ref() {
    this.#hold.wanted = true;
    return this;
  }

  unref() {
    this.#hold.wanted = false;
    return this;
  }

  /** Stops listening; connections stay. */
  close(callback) {
    // What is being opened notices.
    this.#opening = null;
    if (this.#native === null) {
      if (callback) process.nextTick(callback, notRunning());
      return this;
    }
    if (callback) this.once('close', callback);
    this.#native.close();
    this.#native = null;
    this.#share?.stop();
    this.#share = null;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#signal = null;
    listeners.delete(this.#id);
    this.#hold.release();
    process.nextTick(() => this.emit('close'));
    return this;
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const address = this.address();
    if (address === null) return 'Listener { not listening }';
    const where = endName(typeof address === 'string' ? { address } : address);
    return `Listener { ${stylize(where, 'string')}, ${this.connections} open }`;
  }
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

module.exports = { Listener };
