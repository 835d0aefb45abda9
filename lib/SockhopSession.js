'use strict';

const { EventEmitter } = require('node:events');
const util = require('node:util');

const native = require('./internal/native/classes.js');
const { kCall, kFailedSessions } = require('./internal/symbols.js');

/** Own properties that `util.inspect()` does not show. */
const INTERNAL = ['_events', '_eventsCount', '_maxListeners', '_sock', '_server'];

/**
 * The state that a server keeps for one connection; programs extend it. When it has started, it
 * adds the connection to the broadcasts and pings of the server.
 */
class SockhopSession extends native.SockhopSession {
  /** The sessions whose start() failed, by their sockets: only an `error` event shows them. */
  static [kFailedSessions] = new WeakMap();

  /**
   * @param {net.Socket} [sock] a subclass may call `super()` without it: the server sets it after
   *   the construction
   * @param {SockhopServer} [server]
   */
  constructor(sock, server) {
    super();
    EventEmitter.call(this);
    this._sock = sock;
    this._server = server;
  }

  /** @type {net.Socket} */
  get sock() {
    return this._sock;
  }

  /** @type {SockhopServer} */
  get server() {
    return this._server;
  }

  /**
   * Sends an object to this client. Further arguments are ignored, so that the method can be passed
   * to `forEach()`; `server.send()` takes a callback.
   *
   * @param {*} object
   * @returns {Promise<void>} as `server.send()`
   */
  send(object) {
    return this.server.send(this.sock, object);
  }

  /** Sends an envelope. */
  _send_message(message) {
    return this.server._send_message(this.sock, message);
  }

  /**
   * Asks this client for a stream of answers.
   *
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<SockhopResponseReadableStream>} as `server.request()`
   */
  request(object, config) {
    return this.server.request(this.sock, object, config);
  }

  /**
   * Sends an object to this client and waits for the answer.
   *
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<*>} as `server.call()`
   */
  call(object, config) {
    return this.server[kCall](this.sock, object, config);
  }

  /**
   * Ends the connection.
   *
   * @returns {Promise<void>}
   */
  kill() {
    return this.server.kill_socket(this.sock);
  }

  /**
   * To be overridden: prepares the session. The server calls it for every new connection, and waits
   * for it before it emits `connect` or reads messages. If it rejects, the connection ends.
   *
   * @virtual
   * @returns {Promise<void>}
   */
  async start() {}

  /**
   * To be overridden: releases the session. The server calls it when the connection is over, and
   * waits for it before it emits `disconnect`.
   *
   * @virtual
   * @returns {Promise<void>}
   */
  async end() {}

  /**
   * Constructs and starts a session for a connection.
   *
   * @param {net.Socket} sock
   * @param {SockhopServer} server
   * @returns {Promise<SockhopSession>} fulfilled when it has started
   */
  static async _from_socket(sock, server) {
    const session = new this(sock, server);
    session._sock ??= sock;
    session._server ??= server;
    try {
      await session.start();
    } catch (err) {
      SockhopSession[kFailedSessions].set(sock, session);
      throw err;
    }
    return session;
  }

  [util.inspect.custom](depth, options) {
    if (depth !== null && depth < 0) return `[${this.constructor.name}]`;
    const { sock, server } = this;
    const own = Object.entries(this).filter(([name]) => !INTERNAL.includes(name));
    const shown = { sock, server, ...Object.fromEntries(own) };
    return `${this.constructor.name} ${util.inspect(shown, { ...options, depth })}`;
  }
}

module.exports = SockhopSession;
