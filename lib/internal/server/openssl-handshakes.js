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
  /** Never listens: connections are given to it. Made for the settings in `#context`. */
  #server = null;
  #context = null;
  /** The accepted streams whose handshake is under way, each with the address of the client. */
  #running = new Map();
  /** Those that wait for their turn. */
  #waiting = [];
  #isStopped = false;

  /**
   * @param {Listener} listener
   * @param {TlsServer} tlsServer
   */
  constructor(listener, tlsServer) {
    this.#listener = listener;
    this.#tls = tlsServer;
    // The options must be usable before the listener listens.
    this.#currentServer();
    tlsServer.opensslHandshakes.add(this);
  }

  /** The server for new connections: another one once the program has changed the options. */
  #currentServer() {
    const { context, nodeOptions } = this.#tls;
    if (this.#context === context) return this.#server;
    const server = tls.createServer(nodeOptions);
    server.on('secureConnection', (stream) => {
      this.#finished(stream);
      if (!this.#isStopped) this.#listener.acceptedStream(stream);
    });
    server.on('tlsClientError', (err, stream) => {
      const { authorizationError } = stream;
      const [address, port] = this.#finished(stream) ?? [];
      stream.destroy();
      if (!this.#isStopped) {
        this.#listener.opensslFailed(err, { authorizationError, address, port });
      }
    });
    this.#context = context;
    this.#server = server;
    return server;
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
      this.#currentServer().emit('connection', accepted);
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

  /** How many handshakes are under way, or wait for their turn. */
  get size() {
    return this.#running.size + this.#waiting.length;
  }

  /** Abandons the handshakes. */
  stop() {
    this.#isStopped = true;
    this.#tls.opensslHandshakes.delete(this);
    for (const accepted of [...this.#running.keys(), ...this.#waiting]) accepted.destroy();
    this.#running.clear();
    this.#waiting.length = 0;
  }
}

module.exports = { OpensslHandshakes };
