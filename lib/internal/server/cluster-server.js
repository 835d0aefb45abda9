'use strict';

const net = require('node:net');

/** Whether what listens here is shared with other processes. The module is loaded by who listens, as by `net`. */
const inCluster = () => require('node:cluster').isWorker;

/**
 * Where Node's own server accepts: a worker's share of an address that the workers of `node:cluster` listen on
 * together, a descriptor that listens already, options that only `net` knows. It gets the connections, unread;
 * their descriptors go to the native side.
 */
class Share extends net.Server {
  #listener;
  /** Connections it gave to the native side that are open. */
  #open = 0;
  /** Who waits for the last of them. */
  #waiting = [];

  /**
   * @param {object} native the native listener: `adopt(fd)` takes a duplicate of a descriptor
   * @param {Listener} listener
   */
  constructor(native, listener) {
    super();
    this.#listener = listener;
    // It is taken over in the turn in which it comes, before libuv has read any of it.
    this.on('connection', (stream) => {
      let connection;
      try {
        connection = native.adopt(stream._handle?.fd ?? -1);
      } catch {
        // There is no descriptor, or none left for a duplicate. It is as good as one that the program brings.
        return listener.emit('connection', stream);
      }
      const { localAddress, localPort, localFamily } = stream;
      const { remoteAddress, remotePort, remoteFamily } = stream;
      stream.destroy();
      if (connection === null) {
        const ends = [
          localAddress,
          localPort,
          localFamily,
          remoteAddress,
          remotePort,
          remoteFamily,
        ];
        listener.refused(remotePort === undefined ? null : ends);
      } else this.#track(listener.accepted(connection));
    });
  }

  #track(socket) {
    this.#open += 1;
    socket.once('close', () => {
      this.#open -= 1;
      if (this.#open === 0) for (const done of this.#waiting.splice(0)) done();
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
        // It goes on by itself.
        this.on('error', (err) => this.#listener.onListenerError(err));
        // What keeps the process alive is decided elsewhere.
        this.unref();
        resolve();
      });
    });
    this.listen(...args);
    return started;
  }

  /** Listens no more. */
  stop() {
    super.close();
  }

  /** Node calls this when the worker is to leave the cluster, and waits until its connections have ended. */
  close(callback) {
    super.close(() => {
      if (this.#open === 0) callback?.();
      else if (callback) this.#waiting.push(callback);
    });
    this.#listener.close();
    return this;
  }
}

module.exports = { Share, inCluster };
