'use strict';

const { EventEmitter } = require('node:events');

const native = require('./internal/native/classes.js');
const { late } = require('./internal/late.js');
const { messageMethodsOf } = require('./internal/messaging/message-methods.js');
const {
  markTarget,
  supportProxies,
  tolerateUnconstructed,
} = require('./internal/proxy-support.js');
const { kFigures, kTakeQueued, kTarget } = require('./internal/symbols.js');
const SockhopError = require('./SockhopError.js');

/** Loads everything that a client needs. The first client calls it. */
const parts = late(() => ({
  ...require('./internal/client/client-connection.js'),
  ...require('./internal/client/client-handlers.js'),
  ...require('./internal/client/reconnector.js'),
  ...require('./internal/messaging/calls.js'),
  diagnostics: require('./internal/diagnostics.js'),
  dispatcher: require('./internal/native/dispatcher.js'),
  errors: require('./internal/client/connect-errors.js'),
  options: require('./internal/options/options.js'),
  TimedMap: require('./TimedMap.js'),
  ...require('./internal/errors/errors.js'),
}));

/** Parts for rarely used methods. */
const load = {
  callbacks: late(() => require('./internal/messaging/send-callbacks.js').SendCallbacks),
  formatAddress: late(() => require('./internal/addresses.js').formatAddress),
  mistakes: late(() => require('./internal/options/mistakes.js')),
  metrics: late(() => require('./internal/stats/metrics.js').openMetrics),
  payloads: late(() => require('./internal/messaging/payloads.js')),
  pings: late(() => require('./internal/ping-interval.js').setPingInterval),
  requests: late(() => require('./SockhopRequest.js').SockhopRequest),
};

/**
 * A client has at most one connection to a server, and can reconnect by itself.
 *
 * @fires SockhopClient#connect (socket)
 * @fires SockhopClient#disconnect (socket)
 * @fires SockhopClient#reconnecting (attempt, delay, lastError)
 * @fires SockhopClient#receive (object, meta)
 * @fires SockhopClient#request (request, response)
 * @fires SockhopClient#error (err)
 */
class SockhopClient extends native.SockhopClient {
  /** Has the current socket with its channel, and the attempt to connect. */
  #connection;
  /** Connects again while `auto_reconnect` is on. */
  #reconnector;
  /** Handles the events of the channel: emits messages and errors to the program. */
  #handlers;

  /**
   * @param {object} [opts] see API.md for the options, their units and defaults
   * @throws {TypeError|RangeError} for an invalid option
   */
  constructor(opts = {}) {
    const { ClientConnection, ClientHandlers, dispatcher, options, Reconnector, TimedMap } =
      parts();
    const checked = options.normalizeClientOptions(opts);
    super(dispatcher.queue, options.nativeSettings(checked));
    EventEmitter.call(this, { captureRejections: opts?.captureRejections });
    markTarget(this);
    this.path = checked.path;
    this.address = checked.address;
    this.port = checked.port;
    // The properties name the server that was tried last.
    if (checked.addresses !== null) Object.assign(this, checked.addresses[0]);
    this.interval_timer = null;
    this._socket = undefined;
    this._connect_timeout = checked.connect_timeout;
    this._auto_reconnect_interval = checked.auto_reconnect_interval;
    this._ssl = checked.ssl;
    this._ssl_options = checked.ssl_options;
    this._response_stream_map = new TimedMap({ timeout: checked.response_timeout, ref: false });
    this.#handlers = new ClientHandlers(this, checked, originalMethods);
    this.#reconnector = new Reconnector(this, checked);
    this._auto_reconnect_timer = this.#reconnector.timer;
    this.#connection = new ClientConnection(this, {
      options: checked,
      handlers: this.#handlers,
      reconnector: this.#reconnector,
      setSocket,
    });
  }

  /** Whether there is a connection. @type {boolean} */
  get connected() {
    return this.#connection.connected;
  }

  /**
   * Whether the client connects by itself while it is not connected.
   *
   * @type {boolean}
   */
  get auto_reconnect() {
    return this._auto_reconnect;
  }

  set auto_reconnect(on) {
    this._auto_reconnect = on;
  }

  get _auto_reconnect() {
    return this.#reconnector.enabled;
  }

  set _auto_reconnect(on) {
    this.#reconnector.enabled = on;
  }

  /** Whether an attempt to connect is under way. Assigning false cancels it. @type {boolean} */
  get _connecting() {
    return this.#connection.attempt !== null;
  }

  set _connecting(on) {
    if (!on) this.#connection.attempt?.cancel(parts().errors.cancelled());
  }

  /** Whether `sending` and `received` are emitted. @type {boolean} */
  get debug() {
    return this.#connection.options.debug;
  }

  /** A program may use the name for a property of its own: that changes nothing here. */
  set debug(value) {
    Object.defineProperty(this, 'debug', {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }

  /** The current socket. Assigning a connected Duplex stream makes it the current socket. */
  get socket() {
    return this._socket;
  }

  set socket(stream) {
    if (typeof stream?.on !== 'function' || typeof stream.write !== 'function') {
      throw new TypeError(
        'The socket of a client must be a Duplex stream: a net.Socket, a tls.TLSSocket or the like',
      );
    }
    this.#connection.adoptStream(stream);
  }

  /** Encodes and decodes messages. @type {ObjectBuffer} */
  get _objectbuffer() {
    return this.#handlers.decoder();
  }

  set _objectbuffer(buffer) {
    this.#handlers.objectBuffer = buffer;
  }

  /** The callbacks that wait for an answer, by message ids. @type {Object<string, function>} */
  get _send_callbacks() {
    return this.#callbacks().view;
  }

  set _send_callbacks(object) {
    this.#callbacks().replace(object);
  }

  #callbacks() {
    this.#handlers.callbacks ??= new (load.callbacks())(() => this.#connection.channels);
    return this.#handlers.callbacks;
  }

  /** The value of `connected`, but writable as in 1.8.4. */
  get _connected() {
    return this.#connection.connected;
  }

  set _connected(on) {
    this.#connection.connected = Boolean(on);
  }

  /** "Sockhop" or "json". @type {string} */
  get _peer_type() {
    return this.#connection.options.peer_type;
  }

  /** Any value but "Sockhop" means "json" here, as in 1.8.4. */
  set _peer_type(type) {
    const connection = this.#connection;
    connection.options = this.#handlers.setPeerType(type, connection.channels);
  }

  /** The pings that were sent last, at most four, oldest first. @type {SockhopPing[]} */
  get pings() {
    return this.#connection.pings;
  }

  /** Assigning a value forgets all pings that were sent. An array may have pings of the program. */
  set pings(pings) {
    this.#connection.forgetPings();
    if (Array.isArray(pings)) this.#connection.pings.push(...pings);
  }

  /** Connects, if `auto_reconnect` is on and the client is neither connected nor connecting. */
  _perform_auto_reconnect() {
    if (!this.#waitsToReconnect()) return;
    this.#reconnector.run((attempt, delay) => {
      const { clientName, debug } = parts().diagnostics;
      debug?.('%s: reconnects, attempt %d', clientName(this), attempt);
      try {
        this.emit('reconnecting', attempt, delay, this.#connection.lastError);
      } finally {
        // A listener may have connected, or turned reconnecting off.
        if (this.#waitsToReconnect()) this.#reconnect();
      }
    });
  }

  #waitsToReconnect() {
    return this.#reconnector.enabled && this.#connection.state === 'idle';
  }

  #reconnect() {
    this.#handlers.limits.reconnect_attempts += 1;
    this.connect().catch((err) => this.#reconnectFailed(err));
  }

  #reconnectFailed(err) {
    // The program itself ended the attempt.
    if (err.code === 'ERR_SOCKET_DESTROYED' || !this.#reconnector.enabled) return;
    this.#handlers.limits.failed_reconnects += 1;
    // Reconnecting is for servers that do not listen yet. One address of a name may fail for
    // another reason.
    const isRefused = [err, ...(err.errors ?? [])].some(({ code }) => code === 'ECONNREFUSED');
    if (!isRefused) this.#handlers.emitError(err);
  }

  /**
   * Connects to `path`, or to `address` and `port`, as they are now.
   *
   * @param {[{signal?: AbortSignal}?]} args nothing, or one object with options
   * @returns {Promise<void>} fulfilled after the `connect` event; rejects with Node's error if the
   *   server refuses, with "Timeout exceeded on connect()" after `connect_timeout`, with
   *   ERR_MULTICONNECT while another call is under way, with an AbortError
   */
  connect(...args) {
    const { abortError, errors, options } = parts();
    const { signal } = options.normalizeCallOptions('connect', args, this);
    if (signal?.aborted) return Promise.reject(abortError(signal));
    if (this.#connection.connected) return Promise.resolve();
    if (this.#connection.attempt) return Promise.reject(errors.alreadyConnecting());
    return this.#connection.connect(signal);
  }

  /** Ends the current connection: `disconnect` is emitted if there was one. */
  _end_socket() {
    this.#connection.end();
  }

  /**
   * @returns {string} the IP address of this end of the connection
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
   * @param {*} object a value that JSON can express and that has a constructor
   * @param {function(*, {type: string}): void} [callback] called when the server answers
   * @param {{timeout?: number, signal?: AbortSignal}} [config] limits the time in the offline queue
   * @returns {Promise<void>} fulfilled when the kernel has the message; rejects with
   *   ERR_SOCKET_DESTROYED while not connected or if the connection ends, with V8's error if JSON
   *   cannot express the object, with ERR_OFFLINE_QUEUE_FULL, ERR_SEND_TIMEOUT or an AbortError
   * @throws {TypeError} for null, undefined and objects without a constructor
   * @throws {SockhopError} ERR_REMOTE_CALLBACK_TYPE
   */
  send(object, callback, config = undefined) {
    const channel = (this[kTarget] ?? this).#channelFor(object);
    if (!config) return channel.send(object, callback);
    const { abortError, handledRejection, options } = parts();
    const limits = options.normalizeSendOptions(config);
    if (limits.signal?.aborted) return handledRejection(abortError(limits.signal));
    channel.transport[kTakeQueued]?.();
    const sent = channel.send(object, callback);
    channel.transport[kTakeQueued]?.()?.limit(limits);
    return sent;
  }

  /** @returns {MessageChannel} for an object; without a connection or a queue one that refuses it */
  #channelFor(object) {
    const connection = this.#connection;
    const channel = connection.channelFor(object);
    if (channel !== null) return channel;
    if (this._socket === undefined && !this.#reconnector.enabled) load.mistakes().warnOfNoConnect();
    return connection.absentChannel;
  }

  /**
   * Sends a message that is in its envelope.
   *
   * @param {object} message
   * @returns {Promise<void>} as `send()`
   */
  _send_message(message) {
    const channel = this.#connection.channelForMessage(message);
    if (channel !== null) return channel.sendMessage(message);
    const { errors, handledRejection } = parts();
    return handledRejection(errors.notConnected());
  }

  /** Receives a message of the server. */
  _on_recieved_object(message) {
    (this.#connection.channel ?? this.#connection.absentChannel).dispatch(message);
  }

  /** Receives a packet of the server's answer to a request. */
  _on_response_packet(packet) {
    this._response_stream_map.get(packet.uuid)?.receive_packet(packet);
  }

  /** Answers a message of the server that has a callback. */
  _trigger_remote_callback(id, object) {
    const { channel } = this.#connection;
    if (channel === null) throw parts().errors.notConnected();
    channel.reply(id, object);
  }

  /**
   * Sends a request, which the server answers by a stream of packets.
   *
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default
   *   `response_timeout`
   * @returns {Promise<SockhopResponseReadableStream>} fulfilled when the request is sent; rejects
   *   with ERR_REQUEST_TYPE with `peer_type: "json"`, with ERR_SOCKET_DESTROYED, with an AbortError
   * @throws {TypeError} for null, undefined and objects without a constructor
   */
  request(object, config) {
    if (this.#connection.options.peer_type === 'json') {
      return Promise.reject(parts().requestRefused());
    }
    if (object !== undefined && !load.payloads().isPayload(object)) {
      load.requests().from_data(object);
    }
    const channel = this.#connection.channelFor(object);
    return channel === null
      ? Promise.reject(parts().errors.notConnected())
      : channel.request(object, config);
  }

  /**
   * Sends an object and waits for the answer.
   *
   * @param {*} object as for `send()`
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default
   *   `callback_timeout`
   * @returns {Promise<*>} the answer; rejects as `send()`, with ERR_SOCKET_DESTROYED if the
   *   connection ends first, with ERR_CALLBACK_TIMEOUT, with an AbortError
   * @throws as `send()`, and for an invalid option
   */
  call(object, config) {
    return parts().call(this.#channelFor(object), object, config);
  }

  /**
   * Pings the server at an interval, over reconnects, until `disconnect()`. After four unanswered
   * pings in a row the connection is ended.
   *
   * @param {number} [delay=0] in ms; 0 stops
   */
  ping(delay = 0) {
    load.pings()(this, delay, this.#connection);
  }

  /**
   * Ends the connection (FIN) or the attempt to connect; stops reconnecting and pinging.
   *
   * @param {[]} args nothing: a callback is not called, and causes a warning
   * @returns {Promise<void>}
   */
  disconnect(...args) {
    if (typeof args[0] === 'function') parts().options.warnOfCallback('disconnect()', args[0]);
    this._auto_reconnect = false;
    this.ping(0);
    this.#connection.attempt?.cancel(parts().errors.disconnected());
    this.#connection.discardWaiting();
    if (this._socket) {
      this.#connection.finish();
      this._end_socket();
    }
    return Promise.resolve();
  }

  /** @returns {object} figures; API.md names them */
  stats() {
    return this.#connection.figures();
  }

  /**
   * The figures of `stats()` in the OpenMetrics text format, for Prometheus.
   *
   * @param {{labels?: object, others?: Array<SockhopClient|SockhopServer>}} [opts]
   * @returns {string}
   * @throws {TypeError} for `labels` or `others` of a wrong type
   */
  metrics(opts) {
    return load.metrics()(this, parts().options.normalizeMetricsOptions(opts));
  }

  [kFigures]() {
    return {
      role: 'client',
      endpoint: this.path ?? load.formatAddress()(this),
      figures: this.#connection.figures(),
    };
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.disconnect();
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const where = this.path ?? `${this.address}:${this.port}`;
    const { state: now } = this.#connection;
    const state = now === 'idle' ? 'not connected' : now;
    return `${this.constructor.name} { ${stylize(where, 'string')}, ${state} }`;
  }

  static {
    tolerateUnconstructed(SockhopClient.prototype, (object) => #connection in object);
  }
}

supportProxies(SockhopClient, ['send']);

/** The methods that messages pass through, before a program replaces them. */
const originalMethods = messageMethodsOf(SockhopClient.prototype);
const { set: setSocket } = Object.getOwnPropertyDescriptor(SockhopClient.prototype, 'socket');

module.exports = SockhopClient;
