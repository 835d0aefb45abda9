'use strict';

const tls = require('node:tls');

const { clearTimeout, now, setTimeout } = require('../real-timers.js');
const { handshakeTimedOut } = require('../tls/tls-errors.js');

/** How long a handshake may take while others wait for their turn, in ms. */
const PATIENCE_MS = 3000;

/**
 * Secures the connections of a listener through Node's `tls.Server`, for options that only OpenSSL
 * supports.
 */
class OpensslHandshakes {
  /** @type {import('./listener.js').Listener} */
  #listener;
  /** @type {import('../tls/tls-server.js').TlsServer} */
  #tls;
  /**
   * A server of Node that never listens: connections are handed to it. Created for the settings in
   * `#context`.
   */
  #server = null;
  #context = null;
  /**
   * The accepted streams whose handshake is under way, oldest first, each with the address of the
   * client and the time when it began.
   */
  #running = new Map();
  /** Fires when the oldest handshake has to make room for another, or has waited too long. */
  #timer = null;
  /** The accepted streams whose handshake has made room for another, and was reported. */
  #abandoned = new WeakSet();
  /** Handshakes that wait for their turn, oldest first, with the time of their arrival. */
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
      const client = this.#finished(stream);
      stream.destroy();
      if (!this.#isStopped && !this.#abandoned.has(stream._parent)) {
        this.#listener.opensslFailed(err, { authorizationError, ...client });
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
    this.#waiting.push({ accepted, since: now() });
    this.#begin();
  }

  #begin() {
    while (this.#waiting.length > 0 && this.#running.size < this.#tls.maxHandshakes) {
      const { accepted } = this.#waiting.shift();
      this.#running.set(accepted, { client: clientOf(accepted), since: now() });
      this.#currentServer().emit('connection', accepted);
    }
    this.#watch();
  }

  /**
   * While others wait, no handshake takes longer than PATIENCE_MS, and none waits longer than it
   * may take.
   */
  #watch() {
    if (this.#timer !== null || this.#waiting.length === 0) return;
    const [{ since }] = this.#running.values();
    const due = Math.min(since + PATIENCE_MS, this.#waiting[0].since + this.#tls.handshakeTimeout);
    this.#timer = setTimeout(() => this.#makeRoom(), Math.max(1, due - now()));
    this.#timer.unref?.();
  }

  #endLateOnes() {
    const latest = now() - this.#tls.handshakeTimeout;
    while (this.#waiting.length > 0 && this.#waiting[0].since <= latest) {
      const { accepted } = this.#waiting.shift();
      const client = clientOf(accepted);
      accepted.destroy();
      this.#listener.opensslFailed(handshakeTimedOut(), client);
    }
  }

  #makeRoom() {
    this.#timer = null;
    this.#endLateOnes();
    const latest = now() - PATIENCE_MS;
    let wanted = this.#waiting.length;
    for (const [accepted, { client, since }] of this.#running) {
      if (wanted === 0 || since > latest) break;
      wanted -= 1;
      this.#running.delete(accepted);
      this.#abandoned.add(accepted);
      accepted.destroy();
      this.#listener.opensslFailed(handshakeTimedOut(), client);
    }
    if (!this.#isStopped) this.#begin();
  }

  /**
   * The handshake of a stream is over, either way.
   *
   * @returns {object|undefined} the address and port of the client
   */
  #finished(stream) {
    // The stream below it, which Node keeps there.
    const accepted = stream._parent;
    const running = this.#running.get(accepted);
    this.#running.delete(accepted);
    this.#begin();
    return running?.client;
  }

  /** How many handshakes are under way, or wait for their turn. */
  get size() {
    return this.#running.size + this.#waiting.length;
  }

  /** Abandons the handshakes. */
  stop() {
    this.#isStopped = true;
    this.#tls.opensslHandshakes.delete(this);
    for (const accepted of this.#running.keys()) accepted.destroy();
    for (const { accepted } of this.#waiting) accepted.destroy();
    this.#running.clear();
    this.#waiting.length = 0;
    clearTimeout(this.#timer);
  }
}

/** The address and port of the client that an error names. */
function clientOf({ remoteAddress: address, remotePort: port }) {
  return { address, port };
}

module.exports = { OpensslHandshakes };
