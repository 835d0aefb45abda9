'use strict';

const { Server } = require('../originals.js');

/**
 * Listens and accepts instead of the native side: on an address that workers of `node:cluster`
 * share, on a descriptor that listens already, or with options that only `net` has. It passes the
 * descriptors of its connections, unread, to the native side.
 */
class ClusterServer extends Server {
  /** The listener that this accepts for: @type {import('./listener.js').Listener} */
  #listener;
  /** Secures the connections in JavaScript. */
  #openssl;
  /** How many of its connections are open. */
  #openCount = 0;
  /** Callbacks of close() that are called when the last connection is closed. */
  #closeCallbacks = [];

  /**
   * @param {object} native the native listener: `adopt(fd)` takes a duplicate of a descriptor
   * @param {Listener} listener
   * @param {?import('./openssl-handshakes.js').OpensslHandshakes} [openssl] takes the connections in
   *   the place of the native side
   */
  constructor(native, listener, openssl = null) {
    super({ pauseOnConnect: openssl !== null });
    this.#listener = listener;
    this.#openssl = openssl;
    if (openssl === null) this.on('connection', (stream) => this.#passOn(native, stream));
    else this.on('connection', (stream) => openssl.take(stream));
  }

  /**
   * Gives a connection to the native side, in the turn in which it came: libuv has not read from it
   * yet.
   */
  #passOn(native, stream) {
    const listener = this.#listener;
    let connection;
    try {
      connection = native.adopt(stream._handle?.fd ?? -1);
    } catch (err) {
      if (listener.isSecure) {
        stream.destroy();
        listener.onListenerError(err);
        return;
      }
      // There is no descriptor, or no further one for the duplicate: the server reads the stream in
      // JavaScript.
      listener.emit('connection', stream);
      return;
    }
    const { localAddress, localPort, localFamily } = stream;
    const { remoteAddress, remotePort, remoteFamily } = stream;
    stream.destroy();
    // The listener will track it once it is secure.
    if (connection === true) return;
    if (connection !== false) this.track(listener.accepted(connection));
    else if (remotePort === undefined) listener.refused(null);
    else {
      listener.refused([
        localAddress,
        localPort,
        localFamily,
        remoteAddress,
        remotePort,
        remoteFamily,
      ]);
    }
  }

  /** Makes the cluster wait for a connection. */
  track(socket) {
    this.#openCount += 1;
    socket.once('close', () => {
      this.#openCount -= 1;
      if (this.#openCount > 0) return;
      for (const callback of this.#closeCallbacks.splice(0)) callback();
    });
  }

  /**
   * @param {Array} args of `net.Server#listen()`
   * @returns {Promise<void>} rejects with Node's error
   * @throws Node's errors of arguments
   */
  start(args) {
    const started = new Promise((resolve, reject) => {
      this.once('error', reject);
      this.once('listening', () => {
        this.removeListener('error', reject);
        // An error does not stop it.
        this.on('error', (err) => this.#listener.onListenerError(err));
        // The listener decides whether the process is kept alive.
        this.unref();
        resolve();
      });
    });
    this.listen(...args);
    return started;
  }

  /** Stops listening, and abandons the handshakes that are under way. */
  stop() {
    super.close();
    this.#openssl?.stop();
  }

  /** Node calls this when the worker leaves the cluster, and waits for the callback. */
  close(callback) {
    super.close(() => {
      if (this.#openCount === 0) callback?.();
      else if (callback) this.#closeCallbacks.push(callback);
    });
    this.#listener.close();
    return this;
  }
}

module.exports = { ClusterServer };
