'use strict';

const dns = require('node:dns');
const net = require('node:net');

const { listeners, Hold, nextId } = require('./Mailbox.js');
const { aborted } = require('./faults.js');
const { systemError } = require('./errors.js');
const options = require('./options.js');

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
  #opening = false;

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
   * @returns {Promise<Listener>} rejects with Node's error
   */
  async open({ path, address, port }, signal) {
    if (signal?.aborted) throw aborted(signal);
    if (this.#native || this.#opening) throw alreadyListening();
    this.#opening = true;
    try {
      const endpoint = path
        ? { path: options.checkPath('The "path" property', path) }
        : await this.#resolve(
            options.checkAddress('The "address" property', address),
            options.checkPort('The "port" property', port),
          );
      if (signal?.aborted) throw aborted(signal);
      const result = this.#owner.native._listenAt(this.#id, endpoint, BACKLOG);
      if (result.errno !== undefined) throw listenError(result, endpoint);
      this.#native = result;
    } finally {
      this.#opening = false;
    }
    this.#path = path || null;
    listeners.set(this.#id, this);
    this.#native.setMaxConnections(this.#maxConnections);
    this.#hold.take();
    if (signal) signal.addEventListener('abort', () => this.close(), { once: true });
    this.emit('listening');
    return this;
  }

  async #resolve(host, port) {
    if (net.isIP(host) !== 0) return { address: host, port };
    const { address } = await dns.promises.lookup(host);
    return { address, port };
  }

  // ---- from the native side ------------------------------------------------------------------

  accepted(connection) {
    this.#owner.accepted(connection);
  }

  refused() {
    this.emit('drop');
    this.#owner.refused(this.#maxConnections);
  }

  failed(errno, syscall) {
    const err = systemError(-errno, syscall);
    this.#owner.failed(err);
  }

  // ---- net.Server ----------------------------------------------------------------------------

  get listening() {
    return this.#native !== null;
  }

  address() {
    if (this.#native === null) return null;
    if (this.#path !== null) return this.#path;
    const { address, family, port } = this.#native.address();
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
    if (this.#native === null) {
      if (callback) process.nextTick(callback, notRunning());
      return this;
    }
    if (callback) this.once('close', callback);
    this.#native.close();
    this.#native = null;
    listeners.delete(this.#id);
    this.#hold.release();
    process.nextTick(() => this.emit('close'));
    return this;
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
