'use strict';

const { EventEmitter } = require('node:events');
const net = require('node:net');

const native = require('./internal/native/binding.js');
const { Listener, notRunning } = require('./internal/server/listener.js');
const { MessageChannel } = require('./internal/messaging/message-channel.js');
const { handledRejection, messageMethodsOf } = require('./internal/messaging/handlers.js');
const { isPayload } = require('./internal/messaging/payloads.js');
const { SendCallbacks } = require('./internal/messaging/send-callbacks.js');
const SockhopError = require('./SockhopError.js');
const { SockhopRequest } = require('./SockhopRequest.js');
const { ServerHandlers } = require('./internal/server/server-handlers.js');
const SockhopSession = require('./SockhopSession.js');
const { flushAllWrites } = require('./internal/transport/write-coalescer.js');
const { countBroadcast, isSocketOf, SockhopSocket } = require('./SockhopSocket.js');
const {
  UnreadStreamTransport,
  StreamTransport,
} = require('./internal/transport/stream-transport.js');
const TimedMap = require('./TimedMap.js');
const { UnavailableTransport } = require('./internal/transport/transport.js');
const { explain } = require('./internal/errors/explanations.js');
const { diagnostics } = require('./internal/diagnostics.js');
const { envelope } = require('./internal/messaging/envelope.js');
const { abortError, idleTimeout, requestRefused } = require('./internal/errors/errors.js');
const { broadcasts, queue, nextId, throwUncaught } = require('./internal/native/dispatcher.js');
const options = require('./internal/options/options.js');
const {
  kConnection,
  kStopPreSessionReading,
  kHasCustomWrite,
  kChannel,
  kRoundTrip,
  kStartingSessions,
  kTraffic,
  kTransmit,
} = require('./internal/symbols.js');
const { nextTick, setImmediate } = require('./internal/real-timers.js');
const { tolerateUnconstructed } = require('./internal/unconstructed.js');
const { markTarget, supportProxies } = require('./internal/proxy-support.js');
const { sumTraffic } = require('./internal/stats/stats.js');

const noop = () => {};

/** Node's own. Where a program has another in its place, it is that which makes `server.server`. */
const { createServer } = net;

/** A property as assignment makes it. */
const OWN_PROPERTY = { configurable: true, enumerable: true, writable: true };

/** Why a client may not get what is sent to all. */
const LEFT_OUT = ['ERR_SOCKET_DESTROYED', 'ERR_BACKPRESSURE', 'ERR_SLOW_CONSUMER'];

/**
 * A server: listens, gives every connection a session, and talks to all of them.
 *
 * @fires SockhopServer#connect (socket, session)
 * @fires SockhopServer#disconnect (socket, session)
 * @fires SockhopServer#receive (object, meta)
 * @fires SockhopServer#request (request, response, meta)
 * @fires SockhopServer#error (err, socket, session)
 */
class SockhopServer extends EventEmitter {
  #native;
  #options;
  #handlers;
  /** Sockets whose session is still starting. */
  #starting = new Set();
  /** Streams the program brought, and who is behind them. */
  #adopted = new WeakMap();
  /** How many of the sockets the native side sends to, when all are sent to. */
  #reached = 0;
  /** A promise tells of the error that the listener emits. */
  #told = false;
  /** What the program passed, and what of it was in force: a change counts for new connections. */
  #given;
  #reading;
  /** Peers that are gone, with callbacks, whose `disconnect` is to be told. */
  #leaving = new Set();
  /** Sums of connections that are over. */
  #past = sumTraffic([]);

  /**
   * @param {object} [opts] see API.md for the options, their units and defaults
   * @throws {TypeError|RangeError} for an option that is not what it must be
   */
  constructor(opts = {}) {
    const checked = options.normalizeServerOptions(opts, {
      defaults: { session_type: SockhopSession },
    });
    super({ captureRejections: opts?.captureRejections });
    markTarget(this);
    this.#native = new native.SockhopServer(queue, options.nativeSettings(checked));
    this.#options = checked;
    this.#given = opts;
    this.#reading = readingOf(opts);
    this.path = checked.path;
    this.address = checked.address;
    this.port = checked.port;
    this.interval_timer = null;
    this._session_type = checked.session_type;
    this._sockets = [];
    this._sessions = [];
    this._res_stream_timeout = opts?.response_timeout;
    this._response_stream_maps = new Map();
    this.#handlers = new ServerHandlers(this, checked, originalMethods, (channel) =>
      this.#unregister(channel),
    );
    this.server = this.#newListener();
  }

  #newListener() {
    const listener =
      net.createServer === createServer
        ? new Listener(this.#native, this.#handlers, this.#options.max_connections)
        : net.createServer();
    listener.on('error', (err) => {
      diagnostics.error.publish({ server: this, error: err });
      if (!this.#told || this.listenerCount('error') > 0) this.emit('error', err, null, null);
    });
    listener.on('connection', (stream) => {
      // A socket of the listener's own comes here once; all else is a stream, whose bytes are read in JavaScript.
      if (this.#handlers.unclaimedSockets.delete(stream)) this.#accept(stream);
      else this.#adopt(stream);
    });
    return listener;
  }

  /** The sockets of all clients, a live array. @type {net.Socket[]} */
  get sockets() {
    return this._sockets;
  }

  /** The sessions of all clients, a live array: same index, same client. @type {SockhopSession[]} */
  get sessions() {
    return this._sessions;
  }

  /** The callbacks that wait for an answer, by the ids of their messages. @type {Object<string, function>} */
  get _send_callbacks() {
    return this.#callbacks().view;
  }

  set _send_callbacks(object) {
    this.#callbacks().replace(object);
  }

  #callbacks() {
    this.#handlers.callbacks ??= new SendCallbacks(() => [
      ...this._sockets.map((sock) => this.#channelOf(sock)).filter((channel) => channel !== null),
      ...this.#leaving,
    ]);
    return this.#handlers.callbacks;
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
    for (const sock of this._sockets) this.#channelOf(sock)?.setPeerType(this.#options);
  }

  /** What messages are made bytes with. @type {ObjectBuffer} */
  get _encoding_objectbuffer() {
    return this.#handlers.encoder();
  }

  set _encoding_objectbuffer(buffer) {
    this.#handlers.encoding = buffer;
  }

  /** What the bytes of each client are read with: same index, same client. @type {ObjectBuffer[]} */
  get _objectbuffers() {
    return this._sockets.map((sock) => this.#handlers.decoder(this.#speaker(sock)));
  }

  /** The name is the program's, too. */
  set _objectbuffers(value) {
    Object.defineProperty(this, '_objectbuffers', { ...OWN_PROPERTY, value });
  }

  /** The pings sent of late. @type {Map<net.Socket, SockhopPing[]>} */
  get pings() {
    return new Map(this._sockets.map((sock) => [sock, this.#channelOf(sock)?.pings ?? []]));
  }

  /** Assigned, all pings sent so far are forgotten. */
  set pings(_) {
    this.#forgetPings();
  }

  /** Emits an event after the current turn of the event loop, so that it interrupts nobody. */
  emit_async(...args) {
    setImmediate(() => this.emit(...args));
  }

  // ---- connections ----------------------------------------------------------------------------

  /** A new native connection. */
  #accept(sock) {
    const channel = new MessageChannel(this.#handlers, this.#options);
    channel.attachNative(sock);
    this.#admit(sock, channel);
  }

  /** A stream that the program brings: `server.server.emit('connection', stream)`, as with `net`. */
  #adopt(stream) {
    const channel = new MessageChannel(this.#handlers, this.#options);
    channel.attachStream(stream, new StreamTransport(stream, this.#options, channel));
    this.#adopted.set(stream, channel);
    this.#admit(stream, channel);
  }

  /** A new connection: its session starts, then the program is told, then it is read. */
  async #admit(sock, channel) {
    // A session may write before it has started.
    const early = (err) => this.#handlers.reportError(err, channel);
    sock.on('error', early);
    this.#starting.add(sock);
    try {
      const { terminator, allow_non_objects } = readingOf(this.#given);
      if (
        terminator !== this.#reading.terminator ||
        allow_non_objects !== this.#reading.allow_non_objects
      ) {
        this.#handlers.decoder(channel, { terminator, allow_non_objects });
      }
      channel.session = await this._session_type._from_socket(sock, this);
    } catch (err) {
      this.#starting.delete(sock);
      this.#refuse(sock, err);
      return;
    }
    sock.removeListener('error', early);
    // close() may have ended it meanwhile.
    if (!this.#starting.delete(sock)) return;
    this.#register(sock, channel);
  }

  /** The session did not start. @throws what the program threw, if nobody listens for errors */
  #refuse(sock, err) {
    sock.end();
    sock.destroy();
    diagnostics.error.publish({ server: this, socket: sock, error: err });
    if (this.listenerCount('error') === 0) throw err;
    this.emit('error', err, sock, SockhopSession[kStartingSessions].get(sock) ?? null);
  }

  #register(sock, channel) {
    const { session } = channel;
    this._sockets.push(sock);
    this._sessions.push(session);
    this._response_stream_maps.set(
      sock,
      new TimedMap({
        timeout: this._res_stream_timeout || this.#options.response_timeout,
        ref: false,
      }),
    );
    if (channel.isNative) {
      sock[kStopPreSessionReading]();
      this.#native.add(sock[kConnection]);
      this.#reached += 1;
    }

    // A native socket knows its peer: the same listeners serve all of them.
    const end = channel.isNative ? socketEnded : () => channel.onConnectionOver();
    sock.on('end', end);
    sock.on('close', end);
    sock.on('error', channel.isNative ? socketFailed : (err) => channel.onSocketError(err));
    const { idle_timeout } = this.#options;
    if (idle_timeout > 0) {
      sock.setTimeout?.(idle_timeout, () => {
        try {
          this.#handlers.reportError(idleTimeout(idle_timeout), channel);
        } finally {
          sock.destroy();
        }
      });
    }
    const isPlain = this.emit_async === emit_async;
    if (!isPlain) this.emit_async('connect', sock, session);
    setImmediate(() => {
      try {
        diagnostics.connect.publish({ server: this, socket: sock, session });
        if (isPlain) this.emit('connect', sock, session);
      } finally {
        if (sock.destroyed) channel.onConnectionOver();
        else channel.start();
      }
    });
  }

  /** The connection is over, whoever ended it. */
  #unregister(channel) {
    const { socket: sock, session } = channel;
    // The session still finds its socket among the server's when it begins to end.
    const ended = this.#endSession(sock, session);
    const index = this._sockets.indexOf(sock);
    if (index >= 0) {
      this._sockets.splice(index, 1);
      this._sessions.splice(index, 1);
    }
    if (channel.isNative) {
      this.#native.remove(sock[kConnection].id);
      this.#reached -= 1;
    }
    this.#past = { ...sumTraffic([this.#past, channel.transport[kTraffic]()]), queued_bytes: 0 };
    channel.stopTimeouts();
    // A listener of `disconnect` may look for what is not answered.
    const waits = channel.pendingCallbacks > 0;
    if (waits) this.#leaving.add(channel);
    const streams = this._response_stream_maps.get(sock);
    this._response_stream_maps.delete(sock);
    sock.destroy();
    streams?.stop();
    ended.then(() => {
      const isPlain = this.emit_async === emit_async;
      if (!isPlain) this.emit_async('disconnect', sock, session);
      setImmediate(() => {
        try {
          diagnostics.disconnect.publish({ server: this, socket: sock, session });
          if (isPlain) this.emit('disconnect', sock, session);
        } finally {
          this.#leaving.delete(channel);
          channel.close();
        }
      });
    });
  }

  /** Fulfilled whatever comes of it: the connection is as over as can be. */
  async #endSession(sock, session) {
    try {
      await session.end();
    } catch (err) {
      // The program's mistake, not the peer's.
      diagnostics.error.publish({ server: this, socket: sock, session, error: err });
      if (this.listenerCount('error') > 0) this.emit_async('error', err, sock, session);
      else nextTick(() => Promise.reject(err));
    }
  }

  // ---- listening -------------------------------------------------------------------------------

  /**
   * Listens on `path`, or on `address` and `port`, as they are now. If the program has put another server in
   * place of `server.server`, that one listens.
   *
   * @param {[{signal?: AbortSignal, exclusive?: boolean}?]} args nothing, or one object with options: aborting
   *   `signal` closes the listener; `exclusive`, in a worker of `node:cluster`, shares the address with no other
   * @returns {Promise<net.Server>} fulfilled when it listens; rejects with Node's error (EADDRINUSE, ...),
   *   with ERR_SERVER_ALREADY_LISTEN, with an AbortError
   */
  listen(...args) {
    const { signal, exclusive } = options.normalizeCallOptions('listen', args, this);
    const listener = this.server;
    const where = { path: this.path, address: this.address, port: this.port };
    if (listener.listen !== Listener.prototype.listen) {
      const listening = listenWith(listener, where, signal, exclusive);
      // Who listens for errors knows already; where nobody does, the promise tells.
      this.#told = true;
      const settled = () => {
        this.#told = false;
      };
      listening.then(settled, settled);
      if (this.listenerCount('error') > 0) listening.catch(noop);
      return listening;
    }
    const promise = listener.open(where, signal, exclusive).catch((err) => {
      this.#told = true;
      try {
        if (err.syscall) listener.emit('error', err);
      } catch (thrown) {
        throwUncaught(thrown);
      } finally {
        this.#told = false;
      }
      throw err;
    });
    // Who listens for errors knows already.
    if (this.listenerCount('error') > 0) promise.catch(noop);
    return promise;
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

  // ---- sending ---------------------------------------------------------------------------------

  /** The peer behind a socket; null for what cannot be written to. Throws nothing. */
  #channelOf(sock) {
    const own = sock instanceof SockhopSocket ? sock[kChannel] : null;
    return own ?? this.#adopted.get(sock) ?? this.#stranger(sock);
  }

  /** A socket that no listener gave this server: it is sent to, and not read. */
  #stranger(sock) {
    if (typeof sock?.write !== 'function') return null;
    const channel = new MessageChannel(this.#handlers, this.#options);
    channel.attachStream(sock, new UnreadStreamTransport(sock, this.#options, channel));
    this.#adopted.set(sock, channel);
    return channel;
  }

  /**
   * Sends an object to one client.
   *
   * @param {net.Socket} sock
   * @param {*} object
   * @param {function(*, {type: string}): void} [callback] called when the client answers
   * @returns {Promise<void>} fulfilled when the kernel has it; rejects with ERR_NO_SOCKET,
   *   ERR_SOCKET_DESTROYED, with what V8 says of an object that is not JSON
   * @throws {SockhopError} ERR_BAD_DATA for an object that is falsy, ERR_REMOTE_CALLBACK_TYPE
   * @throws {TypeError} for objects without a constructor
   */
  send(sock, object, callback) {
    if (!object) {
      throw explain(
        new SockhopError('SockhopServer send() requires a socket and data', 'ERR_BAD_DATA'),
        `send() needs something to send. Received ${String(object) || '""'}`,
      );
    }
    const channel = this.#channelOf(sock);
    if (channel === null) return handledRejection(noSocket(sock));
    if (sock.destroyed) this.#handlers.onDeadSocket(channel);
    return channel.send(object, callback);
  }

  /** Sends a message that is an envelope already. */
  _send_message(sock, message) {
    const channel = this.#channelOf(sock);
    if (channel === null) return handledRejection(noSocket(sock));
    if (sock.destroyed) this.#handlers.onDeadSocket(channel);
    return channel.sendMessage(message);
  }

  /** A message of a client. */
  _on_recieved_object(message, sock, session) {
    this.#speaker(sock, session).dispatch(message);
  }

  /** A packet of an answer of a client. */
  _on_response_packet(sock, packet) {
    this._response_stream_maps.get(sock)?.get(packet.uuid)?.receive_packet(packet);
  }

  /** Answers a message of a client that asks for it. */
  _trigger_remote_callback(sock, id, object) {
    this.#speaker(sock).reply(id, object);
  }

  /** The peer behind a socket that is said to have sent something; of one without a socket, too. */
  #speaker(sock, session) {
    let channel = this.#channelOf(sock);
    if (channel === null) {
      channel = new MessageChannel(this.#handlers, this.#options);
      const unavailable = new UnavailableTransport(() => handledRejection(noSocket(sock)));
      channel.attachStream(sock, unavailable);
    }
    channel.session ??= session ?? null;
    return channel;
  }

  /**
   * Asks one client for a stream of answers.
   *
   * @param {net.Socket} sock
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config] `timeout` in ms, default `response_timeout`
   * @returns {Promise<SockhopResponseReadableStream>} as the client's `request()`
   */
  request(sock, object, config) {
    if (this.#options.peer_type === 'json') return Promise.reject(requestRefused());
    if (object !== undefined && !isPayload(object)) SockhopRequest.from_data(object);
    const channel = this.#channelOf(sock);
    if (channel === null) return Promise.reject(noSocket(sock));
    return channel.request(object, config);
  }

  /**
   * Sends an object to every client. It is made text once, and sent by the runtime.
   *
   * @param {*} object
   * @returns {Promise<undefined[]>} fulfilled when the kernel has it for every client whose connection
   *   lives, or did when it was called, and that is not left out by "slow_consumer"
   * @throws as `send()`, if there is a client
   */
  sendall(object) {
    const handlers = this.#handlers;
    let reached = 0;
    let sendsThroughProgram = false;
    for (const sock of [...this._sockets]) {
      if (sock.destroyed) sock.emit('end');
      else if (isSocketOf(sock, handlers)) {
        if (reached === 0) sendsThroughProgram ||= sock[kChannel].endpointSendsThroughProgram();
        reached += 1;
        if (sock[kHasCustomWrite]) sendsThroughProgram = true;
      } else sendsThroughProgram ||= this.#channelOf(sock)?.sendsThroughProgram() !== false;
    }
    if (this._sockets.length === 0) return Promise.resolve([]);
    // The list is the program's, too: a socket that was taken out of it gets nothing.
    const all = reached === this.#reached;
    const isRare = !all || !object || this.#options.debug || this.#options.peer_type === 'json';
    if (isRare || sendsThroughProgram) {
      // Rare: one by one has all the checks, and is seen by the program.
      const send = async (sock) => this.send(sock, object);
      if (!object) return Promise.all(this._sockets.map((sock) => this.send(sock, object)));
      return Promise.all(this._sockets.map((sock) => send(sock).catch(leftOut)));
    }
    let text;
    try {
      text = envelope(object) + this.#options.terminator[1];
    } catch (err) {
      if (!isPayload(object)) throw err;
      return Promise.reject(err);
    }
    // What was sent to one of them before goes out before.
    flushAllWrites();
    const id = nextId();
    const count = this._sockets.length;
    const { length } = text;
    const others = [];
    const done = broadcastDone(id, count);
    this.#native.broadcast(text, length, id);
    for (const sock of this._sockets) {
      if (countBroadcast(sock, handlers, length)) continue;
      const channel = this.#channelOf(sock);
      if (channel === null) others.push(handledRejection(noSocket(sock)));
      else others.push(channel.transport[kTransmit](text).catch(leftOut));
    }
    return others.length === 0 ? done : Promise.all([done, ...others]).then(([all]) => all);
  }

  // ---- ending ----------------------------------------------------------------------------------

  /**
   * Pings every client at an interval; one that leaves four in a row unanswered is disconnected.
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
    for (const sock of this._sockets) this.#channelOf(sock)?.forgetPings();
  }

  #beat() {
    const channels = this._sockets.map((sock) => this.#channelOf(sock));
    // The native side knows nothing of adopted streams, nor of a program that wants to see the pings, or has.
    if (channels.every((channel) => channel?.isPingedNatively())) this.#native.beat();
    else for (const channel of channels) channel?.sendPing();
  }

  /**
   * Ends one connection (FIN).
   *
   * @param {net.Socket} sock
   * @returns {Promise<void>}
   */
  kill_socket(sock) {
    if (typeof sock?.end !== 'function') return handledRejection(noSocket(sock));
    return new Promise((resolve) => {
      if (sock.destroyed) return resolve();
      sock.once?.('close', () => resolve());
      sock.end(() => resolve());
      sock.emit('end');
      if (sock.readyState === 'closed') resolve();
    });
  }

  /**
   * Ends all connections and stops pinging; the server goes on listening.
   *
   * @returns {Promise<void[]>}
   */
  disconnect() {
    this.ping(0);
    return Promise.all([...this._sockets].map((sock) => this.kill_socket(sock)));
  }

  /**
   * Ends all connections and stops listening. A second call does no harm, and `listen()` works again.
   *
   * @returns {Promise<void>}
   */
  async close() {
    const listener = this.server;
    const closed = new Promise((resolve) => {
      if (!(listener instanceof Listener)) listener.close(() => resolve());
      else if (!listener.listening) resolve();
      // Before the program's own listeners: one that throws takes the event from those behind it.
      else listener.prependOnceListener('close', resolve);
      if (listener instanceof Listener) listener.close();
    });
    this.server = this.#newListener();
    for (const sock of this.#starting) {
      this.#starting.delete(sock);
      sock.end();
      sock.destroy();
    }
    await Promise.all([this.disconnect(), closed]);
  }

  /** @returns {object} figures; API.md names them */
  stats() {
    const channels = this._sockets.map((sock) => this.#channelOf(sock));
    const trips = channels
      .map((channel) => channel.transport[kRoundTrip]())
      .filter((trip) => trip !== null);
    return {
      connections: this._sockets.length,
      ...sumTraffic([this.#past, ...channels.map((channel) => channel.transport[kTraffic]())]),
      pending_callbacks: channels.reduce((count, channel) => count + channel.pendingCallbacks, 0),
      ...this.#handlers.limits,
      round_trip: trips.length > 0 ? Math.max(...trips) : null,
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

supportProxies(SockhopServer);

/** What options say of reading. */
function readingOf({ terminator, allow_non_objects }) {
  return { terminator: Array.isArray(terminator) ? terminator[0] : terminator, allow_non_objects };
}

function socketEnded() {
  this[kChannel].onConnectionOver();
}

function socketFailed(err) {
  this[kChannel].onSocketError(err);
}

/** A server that the program chose listens, as it does. */
function listenWith(server, { path, address, port }, signal, exclusive) {
  const where = path ? { path } : { port, host: address };
  const plain = path ? [path] : [port, address];
  const args = signal || exclusive ? [{ ...where, signal, exclusive }] : plain;
  return new Promise((resolve, reject) => {
    // What is closed before it listens says nothing else.
    const closed = () => reject(signal?.aborted ? abortError(signal) : notRunning());
    server.once?.('error', reject);
    server.once?.('close', closed);
    server.listen(...args, () => {
      server.removeListener?.('error', reject);
      server.removeListener?.('close', closed);
      resolve(server);
    });
  });
}

/** The methods that messages pass through, before a program has others in their places. */
const originalMethods = messageMethodsOf(SockhopServer.prototype);
const { emit_async } = SockhopServer.prototype;

/** What is sent to all has its promise made here, in a scope that keeps neither the object nor its text for it. */
function broadcastDone(id, count) {
  return new Promise((resolve) => {
    broadcasts.set(id, () => resolve(new Array(count).fill(null)));
  });
}

/** What became of one client is no failure of sending to all. */
function leftOut(err) {
  if (!LEFT_OUT.includes(err.code)) throw err;
}

function noSocket(sock) {
  return new SockhopError(
    sock
      ? 'This socket does not belong to a SockhopServer'
      : 'SockhopServer sending requires a socket',
    'ERR_NO_SOCKET',
  );
}

module.exports = SockhopServer;
