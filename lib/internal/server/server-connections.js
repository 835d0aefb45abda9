'use strict';

const { late } = require('../late.js');
const { diagnostics } = require('../diagnostics.js');
const { handledRejection, idleTimeout } = require('../errors/errors.js');
const { explain } = require('../errors/explanations.js');
const { isOfProgram, reportError } = require('../errors/report-error.js');
const { isPingedNatively } = require('../messaging/channel-pings.js');
const { makeChannel } = require('../messaging/channels.js');
const native = require('../native/classes.js');
const { invalidValue } = require('../options/kinds.js');
const { nextTick, setImmediate } = require('../real-timers.js');
const SockhopError = require('../../SockhopError.js');
const SockhopSession = require('../../SockhopSession.js');
const { SockhopSocket } = require('../../SockhopSocket.js');
const { addTraffic, pastTraffic, sumTraffic } = require('../stats/stats.js');
const {
  kChannel,
  kConnection,
  kRoundTrip,
  kFailedSessions,
  kSize,
  kStopPreSessionReading,
  kTraffic,
} = require('../symbols.js');

/** Parts that few servers need, see late.js. */
const load = {
  earlyQuestions: late(() => require('./early-questions.js')),
  figures: late(() => require('../stats/snapshot.js')),
  halfOpen: late(() => require('./half-open.js').HalfOpenConnections),
  streams: late(() => require('../transport/stream-transport.js')),
  unavailable: late(() => require('../transport/transport.js').UnavailableTransport),
};

/**
 * The connections of a server, from the start of their sessions to the end of them.
 *
 * Sockets and sessions are listed in `server._sockets` and `server._sessions`, which a program may
 * read and change.
 */
class ServerConnections {
  /** The public object, for which events are emitted. */
  #server;
  /** The handlers that channels report to. */
  #handlers;
  /** Emits the events of a server that has no `emit_async()` of its own. */
  #emitAsync;
  /** Sockets whose sessions are starting. */
  #starting = new Set();
  /** The channels of streams, by the streams. */
  #streamChannels = new WeakMap();
  /** Native sessions of this package, by the channels of their connections. */
  #ownSessions = new WeakMap();
  /** The connections of the server's list, if they are watched: @type {?Set<MessageChannel>} */
  #listed = null;
  /** The cluster of the server, if it watches the connections. */
  #watcher = null;
  /**
   * Channels with callbacks whose connections are over and whose `disconnect` is still to be
   * emitted.
   */
  #leaving = new Set();
  /** With the option `allow_half_open`: @type {?HalfOpenConnections} */
  #halfOpen = null;
  /** The sums of the connections that are over. */
  #past = sumTraffic([]);
  /** How many connections there were, and how many of them with TLS. */
  #opened = 0;
  #handshakes = 0;
  /** Counts the handshakes that fail; null without TLS. */
  #tls;
  /** The options as the program passed them: it may change some of them for new connections. */
  #programOptions;
  /** The decoding options at construction. */
  #decoding;

  /**
   * @param {object} server
   * @param {object} parts
   * @param {object} parts.handlers
   * @param {object} parts.options as checked
   * @param {object} parts.programOptions as the program passed them
   * @param {function} parts.emitAsync the method that a program may override
   * @param {?import('../tls/tls-server.js').TlsServer} parts.tls
   */
  constructor(server, { handlers, options, programOptions, emitAsync, tls }) {
    this.#server = server;
    this.#tls = tls;
    this.#handlers = handlers;
    this.#emitAsync = emitAsync;
    this.#programOptions = programOptions;
    this.#decoding = decodingOf(programOptions);
    this.options = options;
    if (options.allow_half_open) {
      this.#halfOpen = new (load.halfOpen())(server, options.response_timeout);
    }
    /** How many sockets the native side broadcasts to. */
    this.nativeCount = 0;
    /** How many broadcasts went to all native sockets, and were not counted by each. */
    this.broadcastCount = 0;
    /** How many messages to groups were sent by the native side, and not counted by each socket. */
    this.deliveredCount = 0;
  }

  // ---- new connections --------------------------------------------------------------------------

  /** Takes a socket of the native listener. */
  accept(socket) {
    const channel = makeChannel(this.#handlers, this.options);
    channel.attachNative(socket);
    if (this.#halfOpen !== null) socket.allowHalfOpen = true;
    this.#admit(socket, channel);
  }

  /**
   * Takes a stream that the program brings: `server.server.emit('connection', stream)`, as with
   * `net`.
   */
  adopt(stream) {
    const channel = makeChannel(this.#handlers, this.options);
    const { StreamTransport } = load.streams();
    channel.attachStream(stream, new StreamTransport(stream, this.options, channel));
    this.#streamChannels.set(stream, channel);
    this.#admit(stream, channel);
  }

  /** Starts the session of a new connection; then the connection is listed, announced and read. */
  async #admit(socket, channel) {
    // A session may write before it has started.
    const onError = (err) => this.#handlers.onSocketError(err, channel);
    socket.on('error', onError);
    this.#starting.add(socket);
    // The session may send a request before it has started.
    this.#server._response_stream_maps.set(socket, null);
    try {
      this.#applyDecodingOptions(channel);
      channel.session = await this.#server._session_type._from_socket(socket, this.#server);
      // A program may do without sessions by null.
      if (channel.session === undefined) throwNoSession();
    } catch (err) {
      this.#starting.delete(socket);
      this.#end(channel);
      this.#refuse(channel, err);
      return;
    }
    socket.removeListener('error', onError);
    // close() may have ended the connection meanwhile.
    if (this.#starting.delete(socket)) this.#register(socket, channel);
    else this.#end(channel);
  }

  /** Ends a connection whose session has not started. No question to the peer will be answered. */
  #cut(channel) {
    const { socket } = channel;
    socket.end();
    socket.destroy();
    this.#takeStreams(socket)?.stop();
    channel.stopTimeouts();
    channel.close();
  }

  /** @returns {TimedMap|null|undefined} the response streams of a connection that is over */
  #takeStreams(socket) {
    const maps = this.#server._response_stream_maps;
    // Not the map's own get(), which would make one for a socket that has none.
    const streams = Map.prototype.get.call(maps, socket);
    maps.delete(socket);
    return streams;
  }

  /** Decodes a new connection with the program's current options, if it has changed them. */
  #applyDecodingOptions(channel) {
    const decoding = decodingOf(this.#programOptions);
    const { terminator, allow_non_objects } = this.#decoding;
    if (decoding.terminator === terminator && decoding.allow_non_objects === allow_non_objects) {
      return;
    }
    this.#handlers.decoder(channel, decoding);
  }

  /**
   * Ends a connection whose session did not start.
   *
   * @throws the program's error, if the program does not listen for errors
   */
  #refuse(channel, err) {
    const server = this.#server;
    const { socket } = channel;
    const isPeers = isOfPeer(err, socket);
    this.#cut(channel);
    diagnostics.error.publish({ server, socket, error: err });
    const session = SockhopSession[kFailedSessions].get(socket) ?? null;
    if (isPeers) return reportError(server, err, socket, session);
    if (server.listenerCount('error') === 0) throw err;
    server.emit('error', err, socket, session);
  }

  #register(socket, channel) {
    const { session, isNative } = channel;
    const server = this.#server;
    this.#opened += 1;
    if (socket.encrypted) this.#handshakes += 1;
    server._sockets.push(socket);
    server._sessions.push(session);
    this.#listed?.add(channel);
    channel.transport[kStopPreSessionReading]();
    if (isNative) {
      this.#enter(channel);
      channel.earlierBroadcasts = this.broadcastCount;
      this.nativeCount += 1;
    }
    this.#watcher?.onListed(channel);
    // All native sockets share their listeners, which find the channel by the socket.
    const onOver = isNative ? onSocketEnd : () => channel.onConnectionOver();
    socket.on('end', this.#halfOpen === null ? onOver : () => this.#onEnd(channel));
    socket.on('close', isNative ? onSocketClose : () => onStreamClose(channel));
    socket.on('error', isNative ? onSocketError : (err) => channel.onSocketError(err));
    this.#limitIdleTime(socket, channel);
    this.#handlers.drain?.add(channel);
    this.#emitLater('connect', channel, () => {
      this.#handlers.checkEvents();
      if (socket.destroyed) return channel.onConnectionOver();
      channel.start();
      this.#handlers.drain?.tell(channel);
      // The program may have read to the end while the session started.
      if (this.#halfOpen !== null && socket.readableEnded) this.#onEnd(channel);
    });
  }

  /** `end` is emitted by the stream, and by each method that ends a connection. */
  #onEnd(channel) {
    const { socket } = channel;
    const isHalfOpen =
      socket.readableEnded && socket.allowHalfOpen && !socket.writableEnded && !socket.destroyed;
    if (!isHalfOpen) return channel.onConnectionOver();
    this.#halfOpen.add(channel);
    this.#handlers.drain?.onPeerEnd(channel);
  }

  /**
   * Lets broadcasts and pings reach a connection, through its session. If the program's session is
   * no native one, or has entered for another connection, a native session of this package takes
   * its place.
   */
  #enter(channel) {
    const server = this.#server;
    const { session } = channel;
    const connection = channel.socket[kConnection];
    if (native.enterServer(session, server, connection)) return;
    const own = new native.SockhopSession();
    native.enterServer(own, server, connection);
    this.#ownSessions.set(channel, own);
  }

  #leave(channel) {
    const session = this.#ownSessions.get(channel) ?? channel.session;
    session[native.kLeave]();
  }

  #limitIdleTime(socket, channel) {
    const { idle_timeout } = this.options;
    if (idle_timeout <= 0) return;
    socket.setTimeout?.(idle_timeout, () => {
      try {
        this.#handlers.reportError(idleTimeout(idle_timeout), channel);
      } finally {
        socket.destroy();
      }
    });
  }

  // ---- connections that are over ----------------------------------------------------------------

  /** Unlists a connection that is over, and ends its session. */
  unregister(channel) {
    const { socket, session } = channel;
    const server = this.#server;
    // When its end() begins, the session still finds its socket among those of the server.
    const ended = this.#endSession(socket, session);
    const index = server._sockets.indexOf(socket);
    if (index >= 0) {
      server._sockets.splice(index, 1);
      server._sessions.splice(index, 1);
    }
    this.#end(channel);
    if (channel.isNative) {
      this.#leave(channel);
      this.nativeCount -= 1;
    }
    this.#handlers.drain?.forget(channel);
    this.#halfOpen?.forget(channel);
    addTraffic(this.#past, pastTraffic(this.#trafficOf(channel)));
    channel.stopTimeouts();
    // A listener of `disconnect` may look for the callbacks that were not answered.
    if (channel.pendingCallbacks > 0) this.#leaving.add(channel);
    const streams = this.#takeStreams(socket);
    socket.destroy();
    streams?.stop();
    ended.then(() => {
      this.#emitLater('disconnect', channel, () => {
        this.#leaving.delete(channel);
        channel.close();
      });
    });
  }

  /** Always fulfilled: an error of the session's end() is reported. */
  async #endSession(socket, session) {
    const server = this.#server;
    try {
      await session.end();
    } catch (err) {
      diagnostics.error.publish({ server, socket, session, error: err });
      if (server.listenerCount('error') > 0) server.emit_async('error', err, socket, session);
      else if (isOfPeer(err, socket)) reportError(server, err, socket, session);
      // The error is the program's, not the peer's: it must not pass unnoticed.
      else nextTick(() => Promise.reject(err));
    }
  }

  /**
   * Emits `connect` or `disconnect` after this turn of the event loop, through `emit_async()` if
   * that is the program's.
   */
  #emitLater(event, { socket, session }, afterwards) {
    const server = this.#server;
    const isReplaced = server.emit_async !== this.#emitAsync;
    if (isReplaced) server.emit_async(event, socket, session);
    setImmediate(() => {
      try {
        diagnostics[event].publish({ server, socket, session });
        if (!isReplaced) server.emit(event, socket, session);
      } finally {
        afterwards();
      }
    });
  }

  /**
   * A session asks its client something. Before it has started, the answer is not read.
   *
   * @param {MessageChannel} channel
   * @param {string} method
   */
  onQuestion({ session, socket }, method) {
    if (session !== null || !this.#starting.has(socket)) return;
    load.earlyQuestions().watchEarlyQuestion(method, () => this.#starting.has(socket));
  }

  /** How many sessions are starting. */
  get startingCount() {
    return this.#starting.size;
  }

  /**
   * Ends the connections whose sessions are starting.
   *
   * @returns {number} how many
   */
  abortStarting() {
    const count = this.#starting.size;
    for (const socket of this.#starting) {
      this.#starting.delete(socket);
      this.#cut(this.channelOf(socket));
    }
    return count;
  }

  // ---- channels ---------------------------------------------------------------------------------

  /** @returns {?MessageChannel} the channel over a socket; null if nothing can be written to it */
  channelOf(socket) {
    const own = socket instanceof SockhopSocket ? socket[kChannel] : null;
    return own ?? this.#streamChannels.get(socket) ?? this.#channelOfStranger(socket);
  }

  /**
   * @param {SockhopSession|net.Socket} which a session of this server, or its socket
   * @returns {?MessageChannel} the channel of a connection that this server has or had; else null
   */
  ownChannel(which) {
    if (which === null || typeof which !== 'object') return null;
    const { _sockets: sockets, _sessions: sessions } = this.#server;
    const socket =
      typeof which.write === 'function'
        ? which
        : (which.sock ?? which._sock ?? sockets[sessions.indexOf(which)]);
    const own = socket instanceof SockhopSocket ? socket[kChannel] : null;
    const channel = own ?? this.#streamChannels.get(socket) ?? null;
    return channel?.handlers === this.#handlers ? channel : null;
  }

  /**
   * Keeps track of the connections for the cluster of the server.
   *
   * @param {object} watcher
   * @param {function(MessageChannel): void} watcher.onListed is called when a session has started
   * @param {function(MessageChannel): void} watcher.onOver is called when a connection is over
   */
  watch(watcher) {
    this.#listed = new Set(this.channels);
    this.#watcher = watcher;
  }

  #end(channel) {
    this.#listed?.delete(channel);
    this.#watcher?.onOver(channel);
  }

  /** @returns {boolean} whether a watched connection is among those of the server */
  isListed(channel) {
    return this.#listed.has(channel);
  }

  /** @returns {boolean} the same, or its session is starting */
  isOpen(channel) {
    return this.#starting.has(channel.socket) || this.isListed(channel);
  }

  /**
   * Makes a channel for a socket that this server did not accept: it is written to, and not read.
   */
  #channelOfStranger(socket) {
    if (typeof socket?.write !== 'function') return null;
    const channel = makeChannel(this.#handlers, this.options);
    const { UnreadStreamTransport } = load.streams();
    channel.attachStream(socket, new UnreadStreamTransport(socket, this.options, channel));
    this.#streamChannels.set(socket, channel);
    return channel;
  }

  /**
   * The channel for a message that a program passes in with a socket, which may be anything.
   */
  receivingChannel(socket, session) {
    let channel = this.channelOf(socket);
    if (channel === null) {
      channel = makeChannel(this.#handlers, this.options);
      const transport = new (load.unavailable())(() => handledRejection(noSocket(socket)));
      channel.attachStream(socket, transport);
    }
    channel.session ??= session;
    return channel;
  }

  /** The channels of the listed sockets: @returns {Array<?MessageChannel>} */
  get channels() {
    return this.#server._sockets.map((socket) => this.channelOf(socket));
  }

  /** The channels that may have callbacks which wait for an answer: @returns {MessageChannel[]} */
  get channelsWithCallbacks() {
    return [...this.channels.filter((channel) => channel !== null), ...this.#leaving];
  }

  /** @returns {object} the figures of stats() */
  figures() {
    const server = this.#server;
    const { channels } = this;
    const { receive, send } = server[native.kMarks]();
    const { callbackFigures, connectionFigures } = load.figures();
    const traffic = channels.map((channel) => this.#trafficOf(channel));
    const roundTrips = channels
      .map((channel) => channel?.transport[kRoundTrip]() ?? null)
      .filter((trip) => trip !== null);
    return {
      ...connectionFigures(channels),
      connecting: 0,
      handshaking_connections: 0,
      starting_connections: this.#starting.size,
      opened_connections: this.#opened,
      handshakes: this.#handshakes,
      ...sumTraffic([this.#past, { messages_sent: this.deliveredCount }, ...traffic]),
      receive_marks: receive,
      send_marks: send,
      offline_messages: 0,
      offline_bytes: 0,
      pending_requests: server._response_stream_maps[kSize] ?? 0,
      ...callbackFigures(channels),
      ...this.#handlers.limits,
      ...this.#tls?.figures,
      round_trip: roundTrips.length > 0 ? Math.max(...roundTrips) : null,
      last_connect_error: null,
    };
  }

  /** @returns {?object} null for an object in `server.sockets` that is not a stream */
  #trafficOf(channel) {
    if (channel === null) return null;
    const traffic = channel.transport[kTraffic]();
    const isListed = channel.isNative && channel.handlers === this.#handlers;
    if (isListed) traffic.messages_sent += this.broadcastCount - channel.earlierBroadcasts;
    return traffic;
  }

  // ---- pings ------------------------------------------------------------------------------------

  forgetPings() {
    for (const channel of this.channels) channel?.forgetPings();
  }

  /** Pings every client. */
  ping() {
    const { channels } = this;
    // The native side neither has streams, nor shows its pings to a program that looks at them.
    if (channels.every(isPingedNatively)) this.#server[native.kPing]();
    else for (const channel of channels) channel?.sendPing();
  }
}

/**
 * Whether the error of a session's `start()` or `end()` may be caused by its peer. A peer may
 * leave, or not read, while they send, which must not end the process.
 */
function isOfPeer(err, socket) {
  if (err instanceof SockhopError) return true;
  return socket.destroyed && !isOfProgram(err);
}

/** A program's `_from_socket()` has returned nothing. */
function throwNoSession() {
  throw invalidValue('The result of _from_socket()', 'a session, or a promise of one', undefined);
}

/** The options of decoding. */
function decodingOf({ terminator, allow_non_objects }) {
  return { terminator: Array.isArray(terminator) ? terminator[0] : terminator, allow_non_objects };
}

function onSocketEnd() {
  this[kChannel].onConnectionOver();
}

function onSocketClose() {
  onStreamClose(this[kChannel]);
}

/** A test of the program may emit `close` itself: the connection continues, as in 1.8.4. */
function onStreamClose(channel) {
  if (channel.socket.destroyed !== false) channel.onConnectionOver();
}

function onSocketError(err) {
  this[kChannel].onSocketError(err);
}

function noSocket(socket) {
  if (!socket) return new SockhopError('SockhopServer sending requires a socket', 'ERR_NO_SOCKET');
  const err = new SockhopError('This socket does not belong to a SockhopServer', 'ERR_NO_SOCKET');
  if (socket.sock) {
    return explain(err, 'It is a session: pass session.sock, or call its own send() or kill().');
  }
  if (socket.socket)
    return explain(err, 'Pass the socket, as in server.send(meta.socket, object).');
  return typeof socket.write === 'function'
    ? err
    : explain(
        err,
        'It is not a socket. The socket is the first argument: server.send(sock, object).',
      );
}

module.exports = { ServerConnections, noSocket };
