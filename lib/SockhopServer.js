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
const { setImmediate } = require('./internal/real-timers.js');
const { kCall, kFigures, kTarget } = require('./internal/symbols.js');
const SockhopError = require('./SockhopError.js');
const SockhopSession = require('./SockhopSession.js');

/** Loads everything that a server needs. The first server calls it. */
const parts = late(() => ({
  ...require('./internal/messaging/calls.js'),
  ...require('./internal/server/acceptor.js'),
  ...require('./internal/server/broadcaster.js'),
  ...require('./internal/server/response-stream-maps.js'),
  ...require('./internal/server/server-connections.js'),
  ...require('./internal/server/server-handlers.js'),
  dispatcher: require('./internal/native/dispatcher.js'),
  options: require('./internal/options/options.js'),
  ...require('./internal/errors/errors.js'),
  ...require('./internal/errors/explanations.js'),
}));

/** Parts for rarely used options and methods. */
const load = {
  callbacks: late(() => require('./internal/messaging/send-callbacks.js').SendCallbacks),
  channelErrors: late(() => require('./internal/messaging/channel-errors.js')),
  cluster: late(() => require('./internal/cluster/cluster.js')),
  drain: late(() => require('./internal/server/drain.js')),
  formatAddress: late(() => require('./internal/addresses.js').formatAddress),
  metrics: late(() => require('./internal/stats/metrics.js')),
  payloads: late(() => require('./internal/messaging/payloads.js')),
  pings: late(() => require('./internal/ping-interval.js').setPingInterval),
  pingsOfSockets: late(() => require('./internal/server/pings-of-sockets.js').PingsOfSockets),
  requests: late(() => require('./SockhopRequest.js').SockhopRequest),
  tls: late(() => require('./internal/tls/tls-server.js')),
};

/** The attributes of a property that is made by assignment. */
const OWN_PROPERTY = { configurable: true, enumerable: true, writable: true };

/**
 * A server: listens, makes a session for each connection, and exchanges messages with all clients.
 *
 * @fires SockhopServer#connect (socket, session)
 * @fires SockhopServer#disconnect (socket, session)
 * @fires SockhopServer#receive (object, meta)
 * @fires SockhopServer#request (request, response, meta)
 * @fires SockhopServer#error (err, socket, session)
 */
class SockhopServer extends native.SockhopServer {
  /** Handles the events of channels and listeners: emits messages and errors to the program. */
  #handlers;
  /** The connections with their sessions and channels. */
  #connections;
  /** Makes the listener, and makes it listen and close. */
  #acceptor;
  /** Sends messages to all clients. */
  #broadcaster;
  /** Makes the connections secure; null without TLS: @type {?TlsServer} */
  #tls;
  /** The listener that `close()` is closing: `server.server` until it is closed. */
  #closing = null;
  /** Made by the option `cluster`, or when the program reads `cluster`: @type {?SockhopCluster} */
  #cluster = null;

  /**
   * @param {object} [opts] see API.md for the options, their units and defaults
   * @throws {TypeError|RangeError} for an invalid option
   */
  constructor(opts = {}) {
    const {
      Acceptor,
      Broadcaster,
      dispatcher,
      options,
      ResponseStreamMaps,
      ServerConnections,
      ServerHandlers,
    } = parts();
    const checked = options.normalizeServerOptions(opts, {
      defaults: { session_type: SockhopSession },
    });
    super(dispatcher.queue, options.nativeSettings(checked));
    EventEmitter.call(this, { captureRejections: opts?.captureRejections });
    markTarget(this);
    this.path = checked.path;
    this.address = checked.address;
    this.port = checked.port;
    this.interval_timer = null;
    this._session_type = checked.session_type;
    this._sockets = [];
    this._sessions = [];
    this._res_stream_timeout = opts?.response_timeout;
    this._response_stream_maps = new ResponseStreamMaps(this, checked.response_timeout);
    this.#handlers = new ServerHandlers(this, checked, originalMethods, (channel) =>
      this.#connections.unregister(channel),
    );
    const tls = checked.ssl ? new (load.tls().TlsServer)(checked) : null;
    this.#tls = tls;
    this.#connections = new ServerConnections(this, {
      handlers: this.#handlers,
      options: checked,
      programOptions: opts,
      emitAsync: emit_async,
      tls,
    });
    const shared = { handlers: this.#handlers, connections: this.#connections, tls };
    this.#acceptor = new Acceptor(this, shared);
    this.#broadcaster = new Broadcaster(this, shared);
    this.server = this.#acceptor.createListener();
    if (checked.cluster !== null) this.#ownCluster();
  }

  /** The sockets of all clients, a live array. @type {net.Socket[]} */
  get sockets() {
    return this._sockets;
  }

  /**
   * The sessions of all clients, a live array: same index, same client.
   *
   * @type {SockhopSession[]}
   */
  get sessions() {
    return this._sessions;
  }

  /** The cluster of this server. @type {SockhopCluster} */
  get cluster() {
    return this.#ownCluster();
  }

  /** A program may use the name for a property of its own. */
  set cluster(value) {
    Object.defineProperty(this, 'cluster', { ...OWN_PROPERTY, value });
  }

  #ownCluster() {
    if (this.#connections.options.values === 'rich') throw load.channelErrors().richCluster();
    this.#cluster ??= new (load.cluster().SockhopCluster)(this, {
      connections: this.#connections,
      broadcaster: this.#broadcaster,
      settings: this.#connections.options.cluster,
    });
    return this.#cluster;
  }

  /** The callbacks that wait for an answer, by message ids. @type {Object<string, function>} */
  get _send_callbacks() {
    return this.#callbacks().view;
  }

  set _send_callbacks(object) {
    this.#callbacks().replace(object);
  }

  #callbacks() {
    this.#handlers.callbacks ??= new (load.callbacks())(
      () => this.#connections.channelsWithCallbacks,
    );
    return this.#handlers.callbacks;
  }

  /** "Sockhop" or "json". @type {string} */
  get _peer_type() {
    return this.#connections.options.peer_type;
  }

  /** Any value but "Sockhop" means "json" here, as in 1.8.4. */
  set _peer_type(type) {
    const connections = this.#connections;
    connections.options = this.#handlers.setPeerType(type, connections.channels);
  }

  /** Encodes messages. @type {ObjectBuffer} */
  get _encoding_objectbuffer() {
    return this.#handlers.encoder();
  }

  set _encoding_objectbuffer(buffer) {
    this.#handlers.encoding = buffer;
  }

  /** Decode the messages of the clients, in the order of the sockets. @type {ObjectBuffer[]} */
  get _objectbuffers() {
    const connections = this.#connections;
    return this._sockets.map((sock) => this.#handlers.decoder(connections.receivingChannel(sock)));
  }

  /** A program may use the name for a property of its own. */
  set _objectbuffers(value) {
    Object.defineProperty(this, '_objectbuffers', { ...OWN_PROPERTY, value });
  }

  /**
   * The pings that were sent last, at most four a client.
   *
   * @type {Map<net.Socket, SockhopPing[]>}
   */
  get pings() {
    return new (load.pingsOfSockets())(this._sockets, (sock) => this.#connections.channelOf(sock));
  }

  /** Assigning any value forgets all pings that were sent. */
  set pings(_) {
    this.#connections.forgetPings();
  }

  /** Emits an event after the current turn of the event loop. */
  emit_async(...args) {
    setImmediate(() => this.emit(...args));
  }

  // ---- listening --------------------------------------------------------------------------------

  /**
   * Listens on `path`, or on `address` and `port`, as they are now. If the program has assigned
   * another server to `server.server`, that server listens.
   *
   * @param {[object?]} args nothing, or one object with options: see API.md
   * @returns {Promise<net.Server>} fulfilled when it listens; rejects with Node's error
   *   (EADDRINUSE, ...), with ERR_SERVER_ALREADY_LISTEN, with ERR_SERVER_DRAINING, with an
   *   AbortError
   */
  listen(...args) {
    const how = parts().options.normalizeListenOptions(args, this);
    if (this.#handlers.drain !== null) return Promise.reject(stillDraining());
    if (this.server === this.#closing) this.server = this.#acceptor.createListener();
    const target = { path: this.path, address: this.address, port: this.port };
    const listen = () => this.#acceptor.listen(this.server, target, how);
    if (!this.#cluster?.hasEngine) return listen();
    const joined = this.#cluster.listen(() => {
      const listening = listen();
      // The event reports why it fails, so the program may ignore the promise.
      if (this.listenerCount('error') > 0) listening.catch(() => joined.catch(() => {}));
      return listening;
    }, how.signal);
    return joined;
  }

  /**
   * @returns {string|undefined} the IP address the server listens on; undefined on a path
   * @throws {SockhopError} ERR_NO_SOCKET while it does not listen
   */
  get_bound_address() {
    const bound = this.server.address();
    if (bound === null) {
      throw new SockhopError(
        'get_bound_address() needs a server that listens: call listen() first',
        'ERR_NO_SOCKET',
      );
    }
    return typeof bound === 'string' ? undefined : bound.address;
  }

  /**
   * Changes options of TLS for new connections, such as `cert` and `key` before they expire. Open
   * connections stay as they are.
   *
   * @param {object} opts options of `ssl_options`; those that are left out stay
   * @throws {TypeError} for an option that cannot be used, with Node's code; then nothing changes
   */
  set_secure_context(opts) {
    const checked = parts().options.checkSecureContext(opts, this.#tls !== null);
    this.#tls.change(checked);
  }

  // ---- sending ----------------------------------------------------------------------------------

  /**
   * Sends an object to one client.
   *
   * @param {net.Socket} sock
   * @param {*} object
   * @param {function(*, {type: string}): void} [callback] called when the client answers
   * @returns {Promise<void>} fulfilled when the kernel has the message; rejects with ERR_NO_SOCKET,
   *   ERR_SOCKET_DESTROYED, with V8's error if JSON cannot express the object
   * @throws {SockhopError} ERR_BAD_DATA for an object that is falsy, ERR_REMOTE_CALLBACK_TYPE
   * @throws {TypeError} for objects without a constructor
   */
  send(sock, object, callback) {
    if (!object) throw nothingToSend('send', object);
    const channel = (this[kTarget] ?? this).#channelTo(sock);
    return channel === null ? refused(sock) : channel.send(object, callback);
  }

  /** @returns {?MessageChannel} over which to send to a client; null without a socket */
  #channelTo(sock) {
    const channel = this.#connections.channelOf(sock);
    if (channel !== null && sock.destroyed) this.#handlers.onDeadSocket(channel);
    return channel;
  }

  /** Sends a message that is in its envelope. */
  _send_message(sock, message) {
    const channel = this.#channelTo(sock);
    return channel === null ? refused(sock) : channel.sendMessage(message);
  }

  /** Receives a message of a client. */
  _on_recieved_object(message, sock, session) {
    this.#connections.receivingChannel(sock, session).dispatch(message);
  }

  /** Receives a packet of a client's answer to a request. */
  _on_response_packet(sock, packet) {
    this._response_stream_maps.get(sock)?.get(packet.uuid)?.receive_packet(packet);
  }

  /** Answers a message of a client that has a callback. */
  _trigger_remote_callback(sock, id, object) {
    this.#connections.receivingChannel(sock).reply(id, object);
  }

  /**
   * Sends a request, which the client answers by a stream of packets.
   *
   * @param {net.Socket} sock
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default
   *   `response_timeout`
   * @returns {Promise<SockhopResponseReadableStream>} as the client's `request()`
   */
  request(sock, object, config) {
    if (this.#connections.options.peer_type === 'json') {
      return Promise.reject(parts().requestRefused());
    }
    if (object !== undefined && !load.payloads().isPayload(object)) {
      load.requests().from_data(object);
    }
    const channel = this.#connections.channelOf(sock);
    if (channel === null) return Promise.reject(parts().noSocket(sock));
    this.#connections.onQuestion(channel, 'request()');
    return channel.request(object, config);
  }

  /**
   * Sends an object to one client and waits for the answer.
   *
   * @param {net.Socket} sock
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default
   *   `callback_timeout`
   * @returns {Promise<*>} the answer; rejects as `send()`, with ERR_SOCKET_DESTROYED if the
   *   connection ends first, with ERR_CALLBACK_TIMEOUT, with an AbortError
   * @throws as `send()`, and for an invalid option
   */
  call(sock, object, config) {
    return this.#call(sock, object, config);
  }

  [kCall](sock, object, config) {
    return this.#call(sock, object, config);
  }

  #call(sock, object, config) {
    if (!object) throw nothingToSend('call', object);
    const channel = this.#channelTo(sock);
    if (channel === null) return Promise.reject(parts().noSocket(sock));
    this.#connections.onQuestion(channel, 'call()');
    return parts().call(channel, object, config);
  }

  /**
   * Sends an object to every client; with the option `cluster`, to those of all nodes. It is
   * serialized once, and the native side sends it.
   *
   * @param {*} object
   * @param {{local?: boolean, except?: string|string[]}} [options] `local`: to the clients of this
   *   server alone; `except`: the ids of up to 100 sessions that do not get it
   * @returns {Promise<undefined[]>} fulfilled when the kernel has the message for every client of
   *   this server, and the broker has it or it is held for the broker. Clients whose connections
   *   ended, or that "slow_consumer" leaves out, do not count. Rejects with ERR_CLUSTER_AWAY,
   *   ERR_CLUSTER_CLOSED, ERR_CLUSTER_TOO_LARGE
   * @throws as `send()`, if there is a client or a cluster
   */
  sendall(object, options) {
    if (options) parts().options.checkBroadcastOptions(options);
    const sendHere = () => this.#broadcaster.send(object);
    if (!this.#cluster?.hasEngine && !options?.except) return sendHere();
    if (!object) throw nothingToSend('sendall', object);
    return this.#ownCluster().sendToAll(object, options, sendHere);
  }

  // ---- ending -----------------------------------------------------------------------------------

  /**
   * Pings every client at an interval. A client that leaves four pings in a row unanswered is
   * disconnected.
   *
   * @param {number} [delay=0] in ms; 0 stops
   */
  ping(delay = 0) {
    load.pings()(this, delay, this.#connections);
  }

  /**
   * Ends one connection (FIN).
   *
   * @param {net.Socket} sock
   * @returns {Promise<void>}
   */
  kill_socket(sock) {
    const isSession = sock instanceof SockhopSession;
    if (isSession || typeof sock?.end !== 'function') return refused(sock);
    return new Promise((resolve) => {
      if (sock.destroyed) return resolve();
      sock.once?.('close', () => resolve());
      sock.end(() => resolve());
      sock.emit('end');
      if (sock.readyState === 'closed') resolve();
    });
  }

  /**
   * Ends all connections and stops pinging; the server continues to listen.
   *
   * @param {[]} args nothing: a callback is not called, and causes a warning
   * @returns {Promise<void[]>}
   */
  disconnect(...args) {
    if (typeof args[0] === 'function') parts().options.warnOfCallback('disconnect()', args[0]);
    this.ping(0);
    return Promise.all([...this._sockets].map((sock) => this.kill_socket(sock)));
  }

  /**
   * Ends all connections and stops listening. It may be called again, and so may `listen()`.
   *
   * @param {[{grace?: number}?]} args nothing, or one object with options: `grace` is the time in ms
   *   in which requests and callbacks in flight may be answered
   * @returns {Promise<number|undefined>} fulfilled when all is closed; with a grace, with the number
   *   of connections that were cut at its end. Rejects with a TypeError or RangeError for the grace
   */
  async close(...args) {
    const { dispatcher, options } = parts();
    const { grace } = options.normalizeCloseOptions(args[0]);
    const listener = this.server;
    this.#closing = listener;
    const closed = this.#acceptor.close(listener, grace > 0);
    try {
      if (grace > 0) return await this.#drain(grace, closed);
      this.#handlers.drain?.cut();
      this.#connections.abortStarting();
      const disconnected = dispatcher.withoutDispatch(() => this.disconnect());
      await Promise.all([disconnected, closed, this.#cluster?.close()]);
    } finally {
      // The program, or listen(), may have assigned another one.
      if (this.server === listener) this.server = this.#acceptor.createListener();
    }
  }

  async #drain(grace, closed) {
    let { drain } = this.#handlers;
    if (drain !== null) drain.limit(grace);
    else {
      const { Drain } = load.drain();
      drain = new Drain(this, { handlers: this.#handlers, connections: this.#connections });
      this.#handlers.drain = drain;
      drain.limit(grace);
      drain.begin(closed);
    }
    const [cut] = await Promise.all([drain.finished, closed]);
    this.#handlers.drain = null;
    // The cluster is left only now, because other nodes could still answer requests of the
    // sessions.
    await this.#cluster?.close();
    return cut;
  }

  /** Whether `close()` waits for the answers that are in flight. @type {boolean} */
  get draining() {
    return this.#handlers.drain !== null;
  }

  /** A program may use the name for a property of its own. */
  set draining(value) {
    Object.defineProperty(this, 'draining', { ...OWN_PROPERTY, value });
  }

  /** @returns {object} figures; API.md names them */
  stats() {
    return this.#figures();
  }

  #figures() {
    const figures = this.#connections.figures();
    return this.#cluster?.hasEngine ? { ...figures, cluster: this.#cluster.stats() } : figures;
  }

  /**
   * The figures of `stats()` in the OpenMetrics text format, for Prometheus.
   *
   * @param {{labels?: object, others?: Array<SockhopClient|SockhopServer>}} [opts]
   * @returns {string}
   * @throws {TypeError} for `labels` or `others` of a wrong type
   */
  metrics(opts) {
    return load.metrics().openMetrics(this, parts().options.normalizeMetricsOptions(opts));
  }

  [kFigures]() {
    const bound = this.server?.address?.() ?? null;
    const { path, address, port } = this;
    return {
      role: 'server',
      endpoint:
        typeof bound === 'string'
          ? bound
          : (path ?? load.formatAddress()(bound ?? { address, port })),
      figures: this.#figures(),
    };
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const where = this.path ?? `${this.address}:${this.server?.address?.()?.port ?? this.port}`;
    const state = this.server?.listening ? 'listening' : 'not listening';
    const count = this._sockets.length;
    return `${this.constructor.name} { ${stylize(where, 'string')}, ${state}, ${count} connection${count === 1 ? '' : 's'} }`;
  }

  static {
    tolerateUnconstructed(SockhopServer.prototype, (object) => #handlers in object);
  }
}

/** The error of `send()`, `sendall()` and `call()` for an object that is falsy. */
const nothingToSend = (method, object) =>
  parts().explain(
    new SockhopError(`SockhopServer ${method}() requires a socket and data`, 'ERR_BAD_DATA'),
    `${method}() needs something to send. Received ${String(object) || '""'}`,
  );

/** The promise of `send()` without a socket. */
function refused(sock) {
  const { handledRejection, noSocket } = parts();
  return handledRejection(noSocket(sock));
}

function stillDraining() {
  return new SockhopError(
    'listen() must wait until the promise of close({ grace }) is fulfilled',
    'ERR_SERVER_DRAINING',
  );
}

supportProxies(SockhopServer, ['send']);

/** The methods that messages pass through, before a program replaces them. */
const originalMethods = messageMethodsOf(SockhopServer.prototype);
const { emit_async } = SockhopServer.prototype;

module.exports = SockhopServer;
