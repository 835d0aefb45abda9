'use strict';

const { AsyncResource } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');

const native = require('./internal/native/binding.js');
const { PendingConnection } = require('./internal/transport/pending-connection.js');
const { MessageChannel } = require('./internal/messaging/message-channel.js');
const { abortError, requestRefused } = require('./internal/errors/errors.js');
const { handledRejection, messageMethodsOf } = require('./internal/messaging/handlers.js');
const { isPayload } = require('./internal/messaging/payloads.js');
const { SendCallbacks } = require('./internal/messaging/send-callbacks.js');
const { describeAttempt, explain } = require('./internal/errors/explanations.js');
const SockhopError = require('./SockhopError.js');
const { SockhopSocket } = require('./SockhopSocket.js');
const { SockhopTlsSocket } = require('./internal/transport/tls-socket.js');
const { StreamTransport } = require('./internal/transport/stream-transport.js');
const TimedMap = require('./TimedMap.js');
const { UnavailableTransport } = require('./internal/transport/transport.js');
const { tolerateUnconstructed } = require('./internal/unconstructed.js');
const { sumTraffic } = require('./internal/stats/stats.js');
const {
  interleaveFamilies,
  attemptDelay,
  socketName,
} = require('./internal/transport/addresses.js');
const { systemError } = require('./internal/errors/system-errors.js');
const { queue, clients, KeepAlive, nextId } = require('./internal/native/dispatcher.js');
const { ClientHandlers } = require('./internal/client/client-handlers.js');
const { lookup } = require('./internal/client/lookup.js');
const options = require('./internal/options/options.js');
const { ReconnectTimer } = require('./internal/client/reconnect-timer.js');
const {
  kAttachConnection,
  kMarkConnected,
  kFlush,
  kMoveToStream,
  kRoundTrip,
  kTraffic,
} = require('./internal/symbols.js');
const { SockhopRequest } = require('./SockhopRequest.js');
const { diagnostics } = require('./internal/diagnostics.js');
const secure = require('./internal/tls/tls.js');
const { setImmediate } = require('./internal/real-timers.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');

/** What the native side calls a connection with the client's own port. */
const ITSELF = 'connect itself';

/**
 * Node's own functions for connecting. Where a program has others in their places, it is they that connect. A
 * `createConnection` that was replaced before this package was loaded is not Node's, which has two names.
 */
const nodes = {
  createConnection: net.createConnection === net.connect ? net.connect : null,
  connect: net.Socket.prototype.connect,
  tlsConnect: tls.connect,
};

/**
 * A client: at most one connection to a server, which it can make again by itself.
 *
 * @fires SockhopClient#connect (socket)
 * @fires SockhopClient#disconnect (socket)
 * @fires SockhopClient#receive (object, meta)
 * @fires SockhopClient#request (request, response)
 * @fires SockhopClient#error (err)
 */
class SockhopClient extends EventEmitter {
  #native;
  #id;
  #options;
  #connected = false;
  /** The attempt under way: @type {?{number: number, socket, resolve, reject, timer, signal, onAbort}} */
  #attempt = null;
  #autoReconnect = false;
  #reconnectTimer;
  /** The asynchronous context in which `auto_reconnect` was turned on. */
  #reconnecting = null;
  /** @type {?MessageChannel} */
  #channel = null;
  /** The one whose `disconnect` is being told: @type {?MessageChannel} */
  #leaving = null;
  #handlers;
  /** The dispatcher calls these with the number of an attempt to connect. */
  #attemptEvents = {
    failed: (number, ...how) => {
      const attempt = this.#attempt;
      if (attempt?.number === number) {
        attempt.scope.runInAsyncScope(this.#failed, this, attempt, ...how);
      }
    },
    connected: (number, connection) => {
      const attempt = this.#attempt;
      if (attempt?.number !== number) connection.close(false);
      else attempt.scope.runInAsyncScope(this.#arrived, this, attempt, connection);
    },
  };
  #keepAlive = new KeepAlive();
  /** The server is one that only OpenSSL gets on with. */
  #needsOpenssl = false;
  /** Sums of connections that are over. */
  #past = { messages_received: 0, messages_sent: 0, bytes_received: 0, bytes_sent: 0 };

  /**
   * @param {object} [opts] see API.md for the options, their units and defaults
   * @throws {TypeError|RangeError} for an option that is not what it must be
   */
  constructor(opts = {}) {
    const checked = options.normalizeClientOptions(opts);
    const id = nextId();
    super({ captureRejections: opts?.captureRejections });
    markTarget(this);
    this.#native = new native.SockhopClient(queue, id, options.nativeSettings(checked));
    this.#id = id;
    this.#options = checked;
    this.path = checked.path;
    this.address = checked.address;
    this.port = checked.port;
    this.interval_timer = null;
    this._socket = undefined;
    this._connect_timeout = checked.connect_timeout;
    this._auto_reconnect_interval = checked.auto_reconnect_interval;
    this._ssl = checked.ssl;
    this._ssl_options = checked.ssl_options;
    this._auto_reconnect_interval = checked.auto_reconnect_interval;
    this._response_stream_map = new TimedMap({ timeout: checked.response_timeout, ref: false });
    this.#handlers = new ClientHandlers(this, checked, originalMethods);
    this.#reconnectTimer = new ReconnectTimer(this, checked.auto_reconnect_interval);
    this._auto_reconnect_timer = this.#reconnectTimer.handle;
  }

  /** Whether there is a connection. @type {boolean} */
  get connected() {
    return this.#connected;
  }

  /** Whether the client connects by itself, at the interval, whenever it is not. @type {boolean} */
  get auto_reconnect() {
    return this._auto_reconnect;
  }

  set auto_reconnect(on) {
    this._auto_reconnect = on;
  }

  get _auto_reconnect() {
    return this.#autoReconnect;
  }

  set _auto_reconnect(on) {
    const changed = Boolean(on) !== Boolean(this.#autoReconnect);
    this.#autoReconnect = on;
    if (!changed) return;
    this.#reconnecting = on ? new AsyncResource('SOCKHOPCLIENT') : null;
    this.#reconnectTimer.on = Boolean(on);
    this.#track();
  }

  /** Whether a connection is being made. @type {boolean} */
  get _connecting() {
    return this.#attempt !== null;
  }

  set _connecting(on) {
    if (!on && this.#attempt) this.#giveUp(this.#attempt, givenUp());
  }

  /** While it is about to connect, the client is known to the dispatcher, and an attempt keeps the process alive. */
  #track() {
    if (this.#attempt || this.#autoReconnect) clients.set(this.#id, this.#attemptEvents);
    else clients.delete(this.#id);
    if (this.#attempt) this.#keepAlive.start();
    else this.#keepAlive.stop();
  }

  /** Whether `sending` and `received` are emitted. @type {boolean} */
  get debug() {
    return this.#options.debug;
  }

  /** The name is the program's, too: assigned, it is a property of its own and changes nothing. */
  set debug(value) {
    Object.defineProperty(this, 'debug', {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }

  /** The current socket. Assigning one adopts it: any Duplex stream that is connected will do. */
  get socket() {
    return this._socket;
  }

  set socket(stream) {
    if (typeof stream?.on !== 'function' || typeof stream.write !== 'function') {
      throw new TypeError(
        'The socket of a client must be a Duplex stream: a net.Socket, a tls.TLSSocket or the like',
      );
    }
    if (this.#attempt) this.#giveUp(this.#attempt, givenUp());
    this.#adopt(stream);
    // An adopted stream is connected as soon as it says so; one that already is says nothing more.
    if (stream.connecting) {
      stream.once(stream.encrypted ? 'secureConnect' : 'connect', () => this.#adopted(stream));
    } else if (!stream.destroyed) {
      this.#connected = true;
    }
    this.#channel.start();
  }

  #adopted(stream) {
    if (this._socket !== stream || this.#connected) return;
    this.#connected = true;
    diagnostics.connect.publish({ client: this, socket: stream });
    this.emit('connect', stream);
  }

  /** What messages are made bytes with, and read with. @type {ObjectBuffer} */
  get _objectbuffer() {
    return this.#handlers.decoder();
  }

  set _objectbuffer(buffer) {
    this.#handlers.objectBuffer = buffer;
  }

  /** The callbacks that wait for an answer, by the ids of their messages. @type {Object<string, function>} */
  get _send_callbacks() {
    return this.#callbacks().view;
  }

  set _send_callbacks(object) {
    this.#callbacks().replace(object);
  }

  #callbacks() {
    this.#handlers.callbacks ??= new SendCallbacks(() =>
      [this.#channel, this.#leaving].filter((channel) => channel !== null),
    );
    return this.#handlers.callbacks;
  }

  /** As `connected`, to be assigned as well. */
  get _connected() {
    return this.#connected;
  }

  set _connected(on) {
    this.#connected = Boolean(on);
  }

  /** "Sockhop" or "json". @type {string} */
  get _peer_type() {
    return this.#options.peer_type;
  }

  /** Anything but "Sockhop" means "json" here, as in 1.8.4. */
  set _peer_type(type) {
    const peer_type = type === 'Sockhop' ? type : 'json';
    if (peer_type === this.#options.peer_type) return;
    this.#options = { ...this.#options, peer_type };
    this.#handlers.options = this.#options;
    // The native side keeps to what it was made for.
    this.#handlers.isRetyped = true;
    this.#channel?.setPeerType(this.#options);
  }

  /** The pings sent of late, oldest first. @type {SockhopPing[]} */
  get pings() {
    return this.#channel?.pings ?? [];
  }

  /** Assigned, all pings sent so far are forgotten. */
  set pings(_) {
    this.#forgetPings();
  }

  /** Connects, if the client is to do so by itself and is not connected or connecting. */
  _perform_auto_reconnect() {
    if (!this.#autoReconnect || this.#connected || this.#attempt) return;
    this.#reconnecting.runInAsyncScope(() => this.connect().catch((err) => this.#missed(err)));
  }

  /** Nobody holds the promise of an attempt of the client's own. */
  #missed(err) {
    // The program itself gave it up.
    if (err.code === 'ERR_SOCKET_DESTROYED' || !this.#autoReconnect) return;
    this.#handlers.limits.failed_reconnects += 1;
    // That nobody listens yet is what reconnecting is for. (A name may have an address of a family that is not there.)
    const refused = [err, ...(err.errors ?? [])].some(({ code }) => code === 'ECONNREFUSED');
    if (!refused) this.#handlers.emitError(err);
  }

  /**
   * Connects to `path`, or to `address` and `port`, as they are now.
   *
   * @param {[{signal?: AbortSignal}?]} args nothing, or one object with options
   * @returns {Promise<void>} fulfilled after the `connect` event; rejects with Node's error if the server
   *   refuses, with "Timeout exceeded on connect()" after `connect_timeout`, with ERR_MULTICONNECT while
   *   another call is under way, with an AbortError
   */
  connect(...args) {
    const { signal } = options.normalizeCallOptions('connect', args, this);
    if (signal?.aborted) return Promise.reject(abortError(signal));
    if (this.#connected) return Promise.resolve();
    if (this.#attempt) {
      return Promise.reject(
        new SockhopError(
          'You have already called connect() once. Still trying to connect!',
          'ERR_MULTICONNECT',
        ),
      );
    }
    return new Promise((resolve, reject) => {
      const attempt = {
        number: -1,
        where: null,
        endpoints: [],
        plan: null,
        timer: null,
        resolve,
        reject,
        signal,
        onAbort: null,
        /** What the program has as `client.socket` meanwhile. */
        socket: null,
        lasting: false,
        /** The asynchronous context of `connect()`. */
        scope: new AsyncResource('SOCKHOPCLIENT'),
      };
      this.#attempt = attempt;
      this.#track();
      if (signal) {
        attempt.onAbort = () => this.#giveUp(attempt, abortError(signal));
        signal.addEventListener('abort', attempt.onAbort, { once: true });
      }
      this.#begin(attempt);
    });
  }

  async #begin(attempt) {
    // The time for looking up a name counts.
    attempt.timer = setTimeout(() => this.#late(attempt), this._connect_timeout);
    attempt.timer?.unref?.();
    try {
      attempt.where = this.#where();
      if (this._ssl) {
        attempt.plan = this.#planTls(attempt.where);
        if (attempt.plan === null) return this.#beginOpenssl(attempt);
        this.#adopt(new SockhopTlsSocket(new PendingConnection(this.#options)), attempt);
      } else {
        if (isNetReplaced()) return this.#beginNet(attempt);
        this.#adopt(new SockhopSocket(new PendingConnection(this.#options)), attempt);
      }
      attempt.endpoints = await resolveAddress(attempt.where, attempt.socket);
      if (this.#attempt !== attempt) return;
      const places = attempt.endpoints.map(({ path, address, port }) =>
        path ? { path: socketName(path) } : { address, port },
      );
      attempt.number = this.#native.connectTo(places, attemptDelay(), 0, attempt.plan?.client);
    } catch (err) {
      this.#giveUp(attempt, err);
    }
  }

  /** Time is up. After a program was busy for long, the connection may be there and yet to be told. */
  #late(attempt) {
    const how = { ssl: this.#options.ssl, late: true };
    setImmediate(() => this.#giveUp(attempt, describeAttempt(timedOut(), attempt.where, how)));
  }

  /** Where to connect to, as the options are now. */
  #where() {
    if (this.path) return { path: options.checkPath('The "path" property', this.path) };
    const port = options.checkPort('The "port" property', this.port);
    return { address: options.checkAddress('The "address" property', this.address), port };
  }

  /** How the native side makes a secure connection; null if OpenSSL has to. */
  #planTls({ address }) {
    if (this.#needsOpenssl || isNetReplaced() || tls.connect !== nodes.tlsConnect) return null;
    return secure.plan(this._ssl_options, address, this.#options.handshake_timeout);
  }

  /** Connects through Node's sockets, or what the program has in their place. */
  #beginNet(attempt) {
    const { path, address, port } = attempt.where;
    this.#beginStream(attempt, (connected) =>
      path ? net.createConnection(path, connected) : net.createConnection(port, address, connected),
    );
  }

  /** Connects through Node's own TLS. */
  #beginOpenssl(attempt) {
    const { path, address, port } = attempt.where;
    const ssl_options = this._ssl_options;
    const stream = this.#beginStream(attempt, (connected) =>
      path
        ? tls.connect(path, ssl_options, connected)
        : tls.connect(port, address, ssl_options, connected),
    );
    let clock = null;
    stream.once('connect', () => {
      if (stream.destroyed) return;
      const late = () => this.#giveUp(attempt, secure.handshakeTimedOut());
      clock = setTimeout(late, this.#options.handshake_timeout);
      clock.unref?.();
    });
    stream.once('close', () => clearTimeout(clock));
    stream.once('secureConnect', () => {
      clearTimeout(clock);
      if (attempt.lasting) this.#needsOpenssl = true;
    });
  }

  /**
   * @param {object} attempt
   * @param {function(function(): void): import('node:stream').Duplex} open is given a function to call once the
   *   stream is connected
   * @returns {import('node:stream').Duplex}
   */
  #beginStream(attempt, open) {
    let stream = null;
    let isEarly = false;
    const connected = () => {
      if (stream === null) isEarly = true;
      else if (this.#attempt === attempt) this.#established(attempt, stream);
    };
    stream = open(connected);
    const before = attempt.socket;
    this.#adopt(stream, attempt);
    before?.[kMoveToStream](stream);
    if (isEarly) setImmediate(connected);
    return stream;
  }

  /**
   * What rustls would not do, OpenSSL may; and if not, it says why in the words of Node.
   *
   * @param {object} attempt
   * @param {boolean} lasting whether later attempts begin with OpenSSL, if this one gets on with the server by it
   */
  #tryOpenssl(attempt, lasting) {
    this.#native.detach();
    attempt.number = -1;
    attempt.lasting = lasting;
    try {
      this.#beginOpenssl(attempt);
    } catch (err) {
      this.#giveUp(attempt, err);
    }
  }

  /**
   * An attempt ends without a connection.
   *
   * @param {object} attempt
   * @param {Error} err why
   * @param {boolean} [told=false] whether it is an error of the socket, too
   */
  #giveUp(attempt, err, told = false) {
    if (this.#attempt !== attempt) return;
    this.#handlers.limits.count(err);
    describeAttempt(err, attempt.where, { ssl: this.#options.ssl });
    this.#detachAttempt(attempt);
    this.#native.detach();
    attempt.reject(err);
    if (this._socket !== attempt.socket) return;
    this.#channel?.close();
    this.#channel = null;
    attempt.socket?.destroy(told ? err : undefined);
  }

  #detachAttempt(attempt) {
    this.#attempt = null;
    clearTimeout(attempt.timer);
    this.#track();
    if (attempt.onAbort) attempt.signal.removeEventListener('abort', attempt.onAbort);
  }

  /** @param {Array} failures a place among the endpoints, an errno and a call, for each endpoint that was tried */
  #failed(attempt, failures) {
    const [, errno, syscall] = failures;
    if (syscall === 'handshake timeout') {
      return this.#giveUp(attempt, secure.handshakeTimedOut());
    }
    // A connection that broke may hold next time; a server that is of another mind will stay so.
    if (syscall === 'handshake') return this.#tryOpenssl(attempt, errno === 0);
    const errors = [];
    for (let at = 0; at < failures.length; at += 3) {
      errors.push(
        connectError(attempt.endpoints[failures[at]], failures[at + 1], failures[at + 2]),
      );
    }
    if (errors.length === 0) this.#giveUp(attempt, timedOut());
    else this.#giveUp(attempt, errors.length === 1 ? errors[0] : allFailed(errors), true);
  }

  #arrived(attempt, connection) {
    const { socket } = attempt;
    if (socket.destroyed) return connection.close(false);
    if (attempt.plan === null) socket[kAttachConnection](connection);
    else if (!this.#isTrusted(attempt, connection)) return;
    // A server in this process has accepted it just now, and starts its session first.
    setImmediate(() => {
      if (this.#attempt === attempt) this.#established(attempt, socket);
    });
  }

  /** Whether a secure connection is one with the right server; if not, the attempt ends or goes on otherwise. */
  #isTrusted(attempt, connection) {
    let verdict;
    try {
      verdict = attempt.plan.judge(connection.agreement());
    } catch (err) {
      // The program's own check threw.
      verdict = { error: err };
    }
    if (verdict.details) {
      attempt.socket[kAttachConnection](connection, verdict.details);
      return true;
    }
    connection.close(false);
    if (verdict.again) {
      // The certificate stays the same, whatever OpenSSL makes of it.
      this.#needsOpenssl = true;
      this.#tryOpenssl(attempt, true);
    } else this.#giveUp(attempt, verdict.error, true);
    return false;
  }

  /** A connection is there. */
  #established(attempt, socket) {
    this.#detachAttempt(attempt);
    this.#connected = true;
    const channel = this.#channel;
    const tell = () => {
      try {
        diagnostics.connect.publish({ client: this, socket });
        this.emit('connect', socket);
      } finally {
        attempt.resolve();
        if (!socket.destroyed) this.#channel?.start();
      }
    };
    if (!(socket instanceof SockhopSocket)) return tell();
    const { idle_timeout } = this.#options;
    if (idle_timeout > 0) {
      socket.setTimeout(idle_timeout, () => this.#handlers.onIdle(channel));
    }
    socket[kMarkConnected](tell);
  }

  /**
   * Makes `socket` the current one, and listens to what becomes of it.
   *
   * @param {import('node:stream').Duplex} socket
   * @param {?object} [attempt] that is to connect it. If it had another one before, what waits for answers there
   *   waits for them here.
   */
  #adopt(socket, attempt = null) {
    const channel = attempt?.socket
      ? this.#channel
      : new MessageChannel(this.#handlers, this.#options);
    this.#channel = channel;
    this._socket = socket;
    if (attempt) attempt.socket = socket;
    if (socket instanceof SockhopSocket) {
      channel.attachNative(socket);
    } else {
      channel.attachStream(socket, new StreamTransport(socket, this.#options, channel));
    }
    const isConnecting = () =>
      attempt !== null && attempt === this.#attempt && attempt.socket === socket;
    const over = () => {
      if (this._socket === socket && this.#channel === channel && !isConnecting())
        this._end_socket();
    };
    socket.on('end', over);
    socket.on('close', () => {
      if (isConnecting()) this.#giveUp(attempt, givenUp());
      else over();
    });
    socket.on('error', (err) => {
      if (this._socket !== socket) return;
      if (isConnecting()) return this.#giveUp(attempt, err);
      // An attempt that failed has told of it.
      if (this.#channel !== channel) return;
      if (err.code === 'ECONNRESET') return over();
      try {
        if (!this.#autoReconnect || err.code !== 'ECONNREFUSED') this.#handlers.reportError(err);
      } finally {
        // An error that the program emits does not end the connection.
        if (socket.destroyed) over();
      }
    });
  }

  /** Ends the current connection: `disconnect` is emitted if there was one. */
  _end_socket() {
    const socket = this._socket;
    const was = this.#connected;
    this.#connected = false;
    if (socket) {
      this.#native.detach();
      this.#account();
      this.#leaving = this.#channel;
      this.#channel?.stopTimeouts();
      this.#channel = null;
    }
    const leaving = this.#leaving;
    // What a handler of 'disconnect' asks goes to the next connection.
    const asked = [...(this._response_stream_map._map?.keys() ?? [])];
    try {
      if (was) {
        diagnostics.disconnect.publish({ client: this, socket });
        this.emit('disconnect', socket);
      }
    } finally {
      leaving?.close();
      if (this.#leaving === leaving) this.#leaving = null;
      if (socket) {
        // A handler of 'disconnect' may have made a new one.
        if (this._socket === socket) this._socket = null;
        socket.destroy();
        this._response_stream_map.stop(asked);
      }
    }
  }

  #account() {
    this.#past = {
      ...sumTraffic([this.#past, this.#channel?.transport[kTraffic]()]),
      queued_bytes: 0,
    };
  }

  /**
   * @returns {string} the IP address this end of the connection has
   * @throws {SockhopError} ERR_NO_SOCKET while not connected
   */
  get_bound_address() {
    if (!this._socket) {
      throw new SockhopError(
        'get_bound_address() needs a connection: call connect() first',
        'ERR_NO_SOCKET',
      );
    }
    return this._socket.address().address;
  }

  /**
   * Sends an object to the server.
   *
   * @param {*} object anything JSON can express that has a constructor
   * @param {function(*, {type: string}): void} [callback] called when the server answers
   * @returns {Promise<void>} fulfilled when the kernel has it; rejects with ERR_SOCKET_DESTROYED while not
   *   connected or if the connection dies, with what V8 says of an object that is not JSON
   * @throws {TypeError} for null, undefined and objects without a constructor
   * @throws {SockhopError} ERR_REMOTE_CALLBACK_TYPE
   */
  send(object, callback) {
    const channel = this.#channel;
    if (channel !== null) return channel.send(object, callback);
    // The same mistakes are reported, connected or not.
    return this.#absent.send(object, callback);
  }

  /** Stands in for a server while there is none. */
  get #absent() {
    const channel = new MessageChannel(this.#handlers, { ...this.#options, debug: false });
    channel.transport = new UnavailableTransport(() => handledRejection(notConnected()));
    return channel;
  }

  /**
   * Sends a message that is an envelope already.
   *
   * @param {object} message
   * @returns {Promise<void>} as `send()`
   */
  _send_message(message) {
    return this.#channel === null
      ? handledRejection(notConnected())
      : this.#channel.sendMessage(message);
  }

  /** A message of the server. */
  _on_recieved_object(message) {
    (this.#channel ?? this.#absent).dispatch(message);
  }

  /** A packet of an answer of the server. */
  _on_response_packet(packet) {
    this._response_stream_map.get(packet.uuid)?.receive_packet(packet);
  }

  /** Answers a message of the server that asks for it. */
  _trigger_remote_callback(id, object) {
    if (this.#channel === null) throw notConnected();
    this.#channel.reply(id, object);
  }

  /**
   * Asks the server for a stream of answers.
   *
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default `response_timeout`
   * @returns {Promise<SockhopResponseReadableStream>} fulfilled when the request is sent; rejects with
   *   ERR_REQUEST_TYPE with `peer_type: "json"`, with ERR_SOCKET_DESTROYED, with an AbortError
   * @throws {TypeError} for null, undefined and objects without a constructor
   */
  request(object, config) {
    if (this.#options.peer_type === 'json') return Promise.reject(requestRefused());
    if (object !== undefined && !isPayload(object)) SockhopRequest.from_data(object);
    if (this.#channel === null) return Promise.reject(notConnected());
    return this.#channel.request(object, config);
  }

  /**
   * Pings the server at an interval; when four in a row go unanswered, the connection is ended. Goes on
   * over reconnects, until `disconnect()`.
   *
   * @param {number} [delay=0] in ms; 0 stops
   */
  ping(delay = 0) {
    const ms = delay
      ? options.checkMilliseconds('The "delay" argument', delay, '0 stops pinging')
      : 0;
    clearInterval(this.interval_timer);
    this.interval_timer = null;
    this.#forgetPings();
    if (ms) {
      // A connection keeps the process alive, not the pinging of it.
      this.interval_timer = setInterval(() => this.#beat(), ms);
      this.interval_timer.unref?.();
    }
  }

  #forgetPings() {
    this.#native.clearPings();
    this.#channel?.forgetPings();
  }

  #beat() {
    if (!this.#connected) return;
    this.#channel.sendPing();
  }

  /**
   * Ends the connection (FIN), or the attempt; stops reconnecting and pinging.
   *
   * @returns {Promise<void>}
   */
  disconnect() {
    this._auto_reconnect = false;
    this.ping(0);
    if (this.#attempt) {
      this.#giveUp(
        this.#attempt,
        new SockhopError('disconnect() was called while connecting', 'ERR_SOCKET_DESTROYED'),
      );
    }
    if (this._socket) {
      this.#channel?.transport[kFlush]();
      this._socket.end();
      this._end_socket();
    }
    return Promise.resolve();
  }

  /** @returns {object} figures; API.md names them */
  stats() {
    const transport = this.#channel?.transport;
    return {
      connections: this.#connected ? 1 : 0,
      ...sumTraffic([this.#past, transport?.[kTraffic]()]),
      pending_callbacks: this.#channel?.pendingCallbacks ?? 0,
      ...this.#handlers.limits,
      round_trip: transport?.[kRoundTrip]() ?? null,
    };
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.disconnect();
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const where = this.path ?? `${this.address}:${this.port}`;
    const state = this.#connected ? 'connected' : this.#attempt ? 'connecting' : 'not connected';
    return `${this.constructor.name} { ${stylize(where, 'string')}, ${state} }`;
  }

  static {
    tolerateUnconstructed(SockhopClient.prototype, (object) => #id in object);
  }
}

supportProxies(SockhopClient);

/** The methods that messages pass through, before a program has others in their places. */
const originalMethods = messageMethodsOf(SockhopClient.prototype);

/** The addresses to try for a place to connect to, in their order. */
async function resolveAddress({ path, address, port }, socket) {
  if (path) return [{ path }];
  if (net.isIP(address) !== 0) return [{ address, port }];
  let found;
  try {
    found = await lookup(address, true);
  } catch (err) {
    socket.emit('lookup', err, undefined, undefined, address);
    throw err;
  }
  for (const entry of found) socket.emit('lookup', null, entry.address, entry.family, address);
  return interleaveFamilies(found).map((entry) => ({ address: entry.address, port }));
}

/** Why one address could not be connected to. */
function connectError({ path, address, port }, errno, call) {
  const itself = call === ITSELF;
  const err = systemError(-errno, itself ? 'connect' : call, path ?? address, port);
  if (itself) {
    err.message +=
      ': nobody listens there, and the client had been connected to itself, by its own port';
  }
  return err;
}

/** Why none of the addresses of a name could be connected to, as Node has it: the code is that of the first. */
function allFailed(errors) {
  const err = new AggregateError(errors, errors.map(({ message }) => message).join(', '));
  err.code = errors[0].code;
  return err;
}

function isNetReplaced() {
  const { createConnection, connect } = nodes;
  return (
    (createConnection !== null && net.createConnection !== createConnection) ||
    net.Socket.prototype.connect !== connect
  );
}

const timedOut = () => new Error('Timeout exceeded on connect()');

const givenUp = () =>
  new SockhopError('The attempt to connect was given up', 'ERR_SOCKET_DESTROYED');

const notConnected = () =>
  explain(
    new SockhopError('Client unable to send() - socket has been destroyed', 'ERR_SOCKET_DESTROYED'),
    'The client is not connected',
  );

module.exports = SockhopClient;
