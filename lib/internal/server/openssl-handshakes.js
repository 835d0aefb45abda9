'use strict';

const tls = require('node:tls');

/**
 * Secures the connections of a listener through Node's `tls.Server`, for options that only OpenSSL
 * supports.
 */
class OpensslHandshakes {
  /** @type {import('./listener.js').Listener} */
  #listener;
  /** @type {import('../tls/tls-server.js').TlsServer} */
  #tls;
  /** Never listens: connections are given to it. */
  #server;
  /** The accepted streams whose handshake is under way, each with the address of the client. */
  #running = new Map();
  /** Those that wait for their turn. */
  #waiting = [];

  /**
   * @param {Listener} listener
   * @param {TlsServer} tlsServer
   */
  constructor(listener, tlsServer) {
    this.#listener = listener;
    this.#tls = tlsServer;
    this.#server = tls.createServer(tlsServer.nodeOptions);
    this.#server.on('secureConnection', (stream) => {
      this.#finished(stream);
      listener.acceptedStream(stream);
    });
    this.#server.on('tlsClientError', (err, stream) => {
      const { authorizationError } = stream;
      const [address, port] = this.#finished(stream) ?? [];
      stream.destroy();
      listener.opensslFailed(err, { authorizationError, address, port });
    });
  }

  /** @param {net.Socket} accepted nothing was read from it */
  take(accepted) {
    if (this.#listener.isFull(this.#running.size + this.#waiting.length)) {
      const { localAddress, localPort, localFamily } = accepted;
      const { remoteAddress, remotePort, remoteFamily } = accepted;
      const local = [localAddress, localPort, localFamily];
      accepted.destroy();
      this.#listener.refused(
        remotePort === undefined ? null : [...local, remoteAddress, remotePort, remoteFamily],
      );
      return;
    }
    this.#waiting.push(accepted);
    this.#begin();
  }

  #begin() {
    while (this.#waiting.length > 0 && this.#running.size < this.#tls.maxHandshakes) {
      const accepted = this.#waiting.shift();
      this.#running.set(accepted, [accepted.remoteAddress, accepted.remotePort]);
      this.#server.emit('connection', accepted);
    }
  }

  /**
   * The handshake of a stream is over, either way.
   *
   * @returns {Array|undefined} the address and port of the client
   */
  #finished(stream) {
    // The stream below it, which Node keeps there.
    const accepted = stream._parent;
    const client = this.#running.get(accepted);
    this.#running.delete(accepted);
    this.#begin();
    return client;
  }

  /** Abandons the handshakes. */
  stop() {
    for (const accepted of [...this.#running.keys(), ...this.#waiting]) accepted.destroy();
    this.#running.clear();
    this.#waiting.length = 0;
    this.#server.removeAllListeners();
  }
}

module.exports = { OpensslHandshakes };
