'use strict';

const { late } = require('../late.js');
const { diagnostics } = require('../diagnostics.js');
const { handledRejection } = require('../errors/errors.js');
const { isOfProgramOn } = require('../errors/report-error.js');
const { makeChannel } = require('../messaging/channels.js');
const { typeName } = require('../messaging/payloads.js');
const { isPeerDraining } = require('../messaging/ping-answers.js');
const { kMarks } = require('../native/classes.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { pastTraffic, sumTraffic } = require('../stats/stats.js');
const { kMarkConnected, kFlush, kQueued, kRoundTrip, kSize, kTraffic } = require('../symbols.js');
const { SockhopSocket } = require('../../SockhopSocket.js');
const { ConnectAttempt } = require('./connect-attempt.js');
const { cancelled, discarded, noServer, notConnected } = require('./connect-errors.js');

/** Parts that few clients need, see late.js. */
const load = {
  figures: late(() => require('../stats/snapshot.js')),
  offlineQueue: late(() => require('./offline-queue.js').OfflineQueue),
  servers: late(() => require('./servers.js').MultiServerAttempt),
  streams: late(() => require('../transport/stream-transport.js')),
  unavailable: late(() => require('../transport/transport.js').UnavailableTransport),
};

const { __lookupSetter__: lookupSetter } = Object.prototype;

/** Messages that belong to one connection: they do not wait for the next one. */
const OF_A_CONNECTION = new Set(['SockhopPing', 'SockhopPong', 'SockhopResponsePacket']);

/**
 * The one connection that a client has at a time: its socket, its channel, and the attempt to make
 * it.
 *
 * The current socket is `client._socket`, which a program may read and assign.
 */
class ClientConnection {
  /** The handlers that channels report to. */
  #handlers;
  /** Knows whether the client reconnects by itself. */
  #reconnector;
  /** The setter of `socket`, before a program replaces it. */
  #setSocket;
  /**
   * The channel of the connection whose `disconnect` event is being emitted.
   *
   * @type {?MessageChannel}
   */
  #leaving = null;
  /** Keeps messages while there is no connection: @type {?OfflineQueue} */
  #offline = null;
  #connected = false;
  /** The attempt at one server: @type {?ConnectAttempt} */
  #attempt = null;
  /** The attempt at all servers of `addresses`: @type {?MultiServerAttempt} */
  #serversAttempt = null;
  /** The attempt whose socket is being assigned: @type {?ConnectAttempt} */
  #assigning = null;
  /** How many connections there were, and how many of them with TLS. */
  #opened = 0;
  #handshakes = 0;
  /** The sums of the connections that are over. */
  #past = sumTraffic([]);

  /**
   * @param {SockhopClient} client
   * @param {object} parts
   * @param {object} parts.options as checked
   * @param {object} parts.handlers
   * @param {import('./reconnector.js').Reconnector} parts.reconnector
   * @param {function} parts.setSocket the setter of `socket`, before a program replaces it
   */
  constructor(client, { options, handlers, reconnector, setSocket }) {
    this.client = client;
    this.#setSocket = setSocket;
    this.options = options;
    this.#handlers = handlers;
    this.#reconnector = reconnector;
    // Messages must not be written to a socket whose server may be given up for the next one.
    if (options.offline_queue > 0 || options.addresses !== null) {
      this.#offline = new (load.offlineQueue())(handlers);
    }
    /** The channel over the current socket: @type {?MessageChannel} */
    this.channel = null;
    /**
     * Why there is no connection: the error of the last attempt or connection; null if there is
     * none.
     *
     * @type {?Error}
     */
    this.lastError = null;
    /** The code, or the message, of the last failed attempt: @type {?string} */
    this.lastConnectError = null;
    /** Whether an earlier attempt found that the server needs OpenSSL. */
    this.needsOpenssl = false;
  }

  /** Whether there is a connection. */
  get connected() {
    return this.#connected;
  }

  set connected(on) {
    this.#connected = on;
    if (on) this.lastError = null;
    this.#reconnector.setState(this.state);
  }

  /** The attempt in progress, which may be cancelled: @type {?(ConnectAttempt|MultiServerAttempt)} */
  get attempt() {
    return this.#serversAttempt ?? this.#attempt;
  }

  /** @returns {'idle'|'connecting'|'connected'} */
  get state() {
    if (this.#connected) return 'connected';
    return this.attempt === null ? 'idle' : 'connecting';
  }

  /** Begins an attempt. @returns {Promise<void>} */
  connect(signal) {
    return this.options.addresses === null ? this.#tryServer(signal) : this.#tryServers(signal);
  }

  /** Tries the server at the place that the properties of the client name. */
  #tryServer(signal) {
    this.#attempt = new ConnectAttempt(this, signal);
    this.#reconnector.setState(this.state);
    return this.#attempt.start();
  }

  async #tryServers(signal) {
    const { client, options } = this;
    const attempt = new (load.servers())(options, {
      signal,
      connect: (place) => {
        Object.assign(client, place);
        return this.#tryServer(signal);
      },
      cancel: (err) => {
        this.#serversAttempt = null;
        this.#attempt?.cancel(err);
      },
    });
    this.#serversAttempt = attempt;
    try {
      await attempt.run();
    } catch (err) {
      if (options.offline_queue === 0) this.#offline.discard(noServer());
      throw err;
    } finally {
      if (this.#serversAttempt === attempt) this.#serversAttempt = null;
      this.#reconnector.setState(this.state);
    }
  }

  /** The attempt at one server is over. */
  attemptEnded() {
    this.#attempt = null;
  }

  /**
   * Makes the socket of an attempt the current one: by the property, if the program has a setter of
   * its own for it.
   */
  assign(socket, attempt) {
    if (lookupSetter.call(this.client, 'socket') === this.#setSocket) {
      return this.adopt(socket, attempt);
    }
    this.#assigning = attempt;
    try {
      this.client.socket = socket;
    } finally {
      this.#assigning = null;
    }
    if (attempt.socket !== socket) this.adopt(socket, attempt);
  }

  /** Makes a stream that the program brings the current socket. */
  adoptStream(stream) {
    if (this.#assigning !== null) return this.adopt(stream, this.#assigning);
    this.attempt?.cancel(cancelled());
    this.adopt(stream);
    // A stream that is connected already emits no event.
    if (stream.connecting) {
      stream.once(stream.encrypted ? 'secureConnect' : 'connect', () => {
        if (this.client._socket !== stream || this.connected) return;
        this.connected = true;
        try {
          this.#emitConnect(stream);
        } finally {
          this.#sendWaiting();
        }
      });
    } else if (!stream.destroyed) {
      this.connected = true;
      this.#opened += 1;
    }
    this.channel.start();
    this.#sendWaiting();
  }

  /**
   * Makes a socket the current one, and listens to it.
   *
   * @param {import('node:stream').Duplex} socket
   * @param {?ConnectAttempt} [attempt] connects the socket. If the attempt had another socket
   *   before, its channel continues over this one, with the callbacks that wait for an answer.
   */
  adopt(socket, attempt = null) {
    const channel = attempt?.socket ? this.channel : makeChannel(this.#handlers, this.options);
    this.channel = channel;
    this.client._socket = socket;
    if (attempt) attempt.socket = socket;
    if (socket instanceof SockhopSocket) {
      channel.attachNative(socket);
    } else {
      const { StreamTransport } = load.streams();
      channel.attachStream(socket, new StreamTransport(socket, this.options, channel));
    }
    this.#listen(socket, channel, attempt);
  }

  #listen(socket, channel, attempt) {
    const isConnecting = () => attempt?.isConnecting(socket) === true;
    const isCurrent = () => this.client._socket === socket && this.channel === channel;
    const over = () => {
      if (isCurrent() && !isConnecting()) this.client._end_socket();
    };
    let hasEnded = false;
    socket.on('end', () => {
      hasEnded = !isConnecting();
      over();
    });
    socket.on('close', () => {
      // A test of the program may emit it: the connection continues, as in 1.8.4.
      if (socket.destroyed === false) return;
      if (isConnecting()) attempt.cancel(cancelled());
      // A program may have replaced _end_socket(), which 1.8.4 calls once.
      else if (!hasEnded) over();
    });
    socket.on('error', (err) => {
      if (this.client._socket === socket && isConnecting()) return attempt.cancel(err);
      // The text is compared, as in 1.8.4, because a program may emit errors without a code.
      const text = String(err);
      const reconnects = this.#reconnector.enabled;
      if (!isCurrent()) {
        const isExpected = reconnects && /ECONNREFUSED|This socket is closed/.test(text);
        // The error of a failed attempt has rejected the promise of connect().
        if (isExpected || err === this.lastError || !isOfProgramOn(err, channel)) return;
        return this.#handlers.onSocketError(err, channel);
      }
      this.lastError = err;
      if (text.includes('ECONNRESET')) return over();
      if (reconnects && text.includes('This socket is closed')) return over();
      try {
        if (!reconnects || !text.includes('ECONNREFUSED'))
          this.#handlers.onSocketError(err, channel);
      } finally {
        // An error that the program emits does not end the connection.
        if (socket.destroyed) over();
      }
    });
  }

  /** An attempt has connected its socket. `resolve` fulfills the promise of connect(). */
  established(socket, resolve) {
    this.connected = true;
    const { channel } = this;
    const announce = () => {
      try {
        this.#emitConnect(socket);
      } finally {
        resolve(this.#whenReady(channel));
        this.#sendWaiting();
        if (!socket.destroyed) this.channel?.start();
      }
    };
    if (!(socket instanceof SockhopSocket)) return announce();
    const { idle_timeout } = this.options;
    if (idle_timeout > 0) {
      socket.setTimeout(idle_timeout, () => this.#handlers.onIdle(channel));
    }
    socket[kMarkConnected](announce);
  }

  /**
   * With rich values: @returns {Promise<void>|undefined} fulfilled when the server has announced
   * that it takes them
   */
  #whenReady(channel) {
    return channel.ready?.catch((err) => {
      this.lastError = err;
      this.lastConnectError = err.code;
      // The socket is destroyed, and emits `close` later than this promise rejects.
      if (this.channel === channel) this.#endSafely();
      throw err;
    });
  }

  /** Like `end()`, but an error of the program's handler is thrown later, as an uncaught one. */
  #endSafely() {
    try {
      this.client._end_socket();
    } catch (err) {
      throwUncaught(err);
    }
  }

  #emitConnect(socket) {
    this.#opened += 1;
    if (socket.encrypted) this.#handshakes += 1;
    diagnostics.connect.publish({ client: this.client, socket });
    this.client.emit('connect', socket);
    this.#handlers.checkEvents();
  }

  /** An attempt has failed; `isEmitted`: its socket also emits the error. */
  attemptFailed(socket, err, isEmitted) {
    this.#handlers.limits.count(err);
    // The program itself may have ended the attempt.
    if (err.code !== 'ERR_SOCKET_DESTROYED') {
      this.lastError = err;
      this.lastConnectError = err.code ?? err.message;
    }
    this.#reconnector.setState(this.state);
    if (this.client._socket !== socket) return;
    this.channel?.close();
    this.channel = null;
    socket?.destroy(isEmitted ? err : undefined);
  }

  /**
   * Sends all collected messages, then FIN. As in 1.8.4, the socket is destroyed and the waiting
   * callbacks are discarded before `disconnect` is emitted.
   */
  finish() {
    const { _socket: socket, _response_stream_map: streams } = this.client;
    this.channel?.transport[kFlush]();
    socket.end();
    socket.destroy();
    streams.stop(this.#askedRequests());
  }

  /** Ends the connection: `disconnect` is emitted if there was one. */
  end() {
    const { client } = this;
    const socket = client._socket;
    const wasConnected = this.connected;
    this.connected = false;
    if (socket) this.#leave();
    const leaving = this.#leaving;
    // Requests that a handler of 'disconnect' makes go over the next connection.
    const asked = this.#askedRequests();
    try {
      if (wasConnected) {
        diagnostics.disconnect.publish({ client, socket });
        client.emit('disconnect', socket);
      }
    } finally {
      leaving?.close();
      if (this.#leaving === leaving) this.#leaving = null;
      if (socket) {
        // A handler of 'disconnect' may have assigned a new socket, or sent over this one.
        if (client._socket === socket) client._socket = null;
        if (this.channel?.socket === socket) this.channel = null;
        socket.destroy();
        client._response_stream_map.stop(asked);
      }
    }
  }

  /** @returns {string[]} the ids of the requests that a socket has got */
  #askedRequests() {
    const streams = this.client._response_stream_map._map ?? new Map();
    return Array.from(streams)
      .filter(([, [stream]]) => !stream[kQueued]?.isWaiting)
      .map(([id]) => id);
  }

  #leave() {
    this.#past = pastTraffic(this.traffic);
    this.#leaving = this.channel;
    this.channel?.stopTimeouts();
    this.channel = null;
  }

  /** The channels that may have callbacks which wait for an answer: @returns {MessageChannel[]} */
  get channels() {
    const waiting = this.#offline?.currentChannel ?? null;
    return [this.channel, this.#leaving, waiting].filter((channel) => channel !== null);
  }

  // ---- sending ----------------------------------------------------------------------------------

  /**
   * The channel for an object: that of the connection, or of the messages that wait for one; null
   * if there is neither.
   *
   * @param {*} object
   * @returns {?MessageChannel}
   */
  channelFor(object) {
    return this.#sendsNow() ? this.#sendingChannel() : this.#waitingChannel(typeName(object));
  }

  /** Like `channelFor()`, for a message in its envelope. */
  channelForMessage(message) {
    return this.#sendsNow() ? this.#sendingChannel() : this.#waitingChannel(message?.type);
  }

  #sendingChannel() {
    const { channel, client } = this;
    if (this.#connected || channel?.socket === client._socket) return channel;
    return this.#channelOfSubstitute(client._socket) ?? channel;
  }

  /** The channel over a stand-in for a socket that a test has assigned to `client._socket`. */
  #channelOfSubstitute(socket) {
    if (typeof socket?.write !== 'function' || socket.destroyed) return null;
    const channel = makeChannel(this.#handlers, this.options);
    const { UnreadStreamTransport } = load.streams();
    channel.attachStream(socket, new UnreadStreamTransport(socket, this.options, channel));
    this.channel = channel;
    return channel;
  }

  #waitingChannel(type) {
    return OF_A_CONNECTION.has(type) ? this.channel : this.#offline.channel;
  }

  /**
   * Whether messages need not wait: there is no queue, or there seems to be a connection to the
   * server.
   */
  #sendsNow() {
    if (this.#offline === null) return true;
    if (this.options.offline_queue === 0) return this.state !== 'connecting';
    if (!this.#connected || this.channel === null || isPeerDraining(this.channel)) return false;
    const { socket } = this.channel;
    return !socket.destroyed && !socket.writableEnded;
  }

  /** Sends the messages that waited for a connection. */
  #sendWaiting() {
    if (this.#sendsNow()) this.#offline?.leaveBy(this.channel);
  }

  /** The program disconnects: the messages that wait for a connection are not sent. */
  discardWaiting() {
    this.#offline?.discard(discarded());
  }

  #waitingFigures() {
    const { length = 0, bytes = 0 } = this.#offline ?? {};
    return { offline_messages: length, offline_bytes: bytes };
  }

  /**
   * The channel for a client that is not connected: it reports the same mistakes, and sends
   * nothing. As in 1.8.4, it reports the missing connection rather than a value that is not an
   * object.
   */
  get absentChannel() {
    const options = { ...this.options, debug: false, allow_non_objects: true };
    const channel = makeChannel(this.#handlers, options);
    channel.transport = new (load.unavailable())(() => handledRejection(notConnected()));
    return channel;
  }

  /** The sums of this connection and those before it. */
  get traffic() {
    return sumTraffic([this.#past, this.channel?.transport[kTraffic]()]);
  }

  /** @returns {object} the figures of stats() */
  figures() {
    const { client, channel, connected, attempt } = this;
    const { receive, send } = client[kMarks]();
    const { callbackFigures, connectionFigures } = load.figures();
    return {
      ...connectionFigures(connected ? [channel] : []),
      connecting: attempt === null ? 0 : 1,
      handshaking_connections: 0,
      starting_connections: 0,
      opened_connections: this.#opened,
      handshakes: this.#handshakes,
      ...this.traffic,
      receive_marks: receive,
      send_marks: send,
      ...this.#waitingFigures(),
      pending_requests: client._response_stream_map?.[kSize] ?? 0,
      ...callbackFigures([channel, this.#offline?.currentChannel]),
      ...this.#handlers.limits,
      round_trip: channel?.transport[kRoundTrip]() ?? null,
      last_connect_error: this.lastConnectError,
    };
  }

  /** The pings of the connection, also while its `disconnect` is emitted. */
  get pings() {
    return (this.channel ?? this.#leaving)?.pings ?? [];
  }

  forgetPings() {
    this.channel?.forgetPings();
  }

  ping() {
    if (this.connected) this.channel.sendPing();
  }
}

module.exports = { ClientConnection };
