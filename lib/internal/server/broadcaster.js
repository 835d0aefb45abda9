'use strict';

const { late } = require('../late.js');
const { diagnostics } = require('../diagnostics.js');
const { envelope } = require('../messaging/envelope.js');
const { handledRejection } = require('../errors/errors.js');
const { publishBroadcast } = require('../messaging/observed.js');
const { isPayload } = require('../messaging/payloads.js');
const { kDeliver, kDeliverFrame } = require('../native/classes.js');
const { dispatchSoon, nextId } = require('../native/dispatcher.js');
const { countBroadcast, isSocketOf } = require('../../SockhopSocket.js');
const { kChannel, kHasCustomWrite, kTransmit } = require('../symbols.js');
const { hasExceptions } = require('../transport/broadcast-exceptions.js');
const { flushAllWrites } = require('../transport/write-coalescer.js');
const { hasCustomWrite } = require('../transport/writing-socket.js');
const { PendingBroadcasts } = require('./pending-broadcasts.js');
const { noSocket } = require('./server-connections.js');

/** Parts for `values: "rich"`, see late.js. */
const loadRichSender = late(() => require('../messaging/rich-sender.js'));

/** The codes of errors for which a broadcast leaves out a client. */
const LEFT_OUT = [
  'ERR_SOCKET_DESTROYED',
  'ERR_BACKPRESSURE',
  'ERR_SLOW_CONSUMER',
  'ERR_VALUES_UNSUPPORTED',
];

/**
 * Whether the native side may send a message to all of some sockets: each belongs to the server, is
 * not destroyed, and has the `write()` of the package. This reads only fields of the sockets: with
 * many of them, each other object costs a cache miss.
 */
function canBroadcastTo(sockets, handlers) {
  for (const socket of sockets) {
    if (!isSocketOf(socket, handlers) || socket.destroyed || hasCustomWrite(socket)) return false;
  }
  return true;
}

/**
 * Sends an object to all clients of a server: its text is made once, and the native side sends it.
 *
 * Where a program changed how messages are sent, the object is sent to each socket through
 * `server.send()`.
 */
class Broadcaster {
  /** The public object, whose `send()` a program may override. */
  #server;
  /** The handlers of the server, which distinguish its sockets from those of others. */
  #handlers;
  /** @type {import('./server-connections.js').ServerConnections} */
  #connections;
  /** The broadcasts that the native side has not reported as sent. */
  #pending = new PendingBroadcasts();

  /**
   * @param {object} server
   * @param {object} parts
   * @param {object} parts.handlers
   * @param {import('./server-connections.js').ServerConnections} parts.connections
   */
  constructor(server, { handlers, connections }) {
    this.#server = server;
    this.#handlers = handlers;
    this.#connections = connections;
  }

  /**
   * @param {*} object
   * @returns {Promise<undefined[]>} see `SockhopServer#sendall()`
   */
  send(object) {
    const { isUniform } = this;
    const canSendNatively = isUniform || this.#reviewSockets();
    if (this.#server._sockets.length === 0) return Promise.resolve([]);
    const { debug, peer_type, values } = this.#connections.options;
    if (!canSendNatively || !object || debug || peer_type === 'json') {
      return this.#sendToEach(object);
    }
    return values === 'rich'
      ? this.#sendRich(object, isUniform)
      : this.#sendNatively(object, isUniform);
  }

  /**
   * Whether the sockets are those of the native side, all of them, as the package made them.
   *
   * @type {boolean}
   */
  get isUniform() {
    const { _sockets: sockets } = this.#server;
    return (
      sockets.length > 0 &&
      sockets.length === this.#connections.nativeCount &&
      canBroadcastTo(sockets, this.#handlers) &&
      !sockets[0][kChannel].endpointSendsThroughProgram()
    );
  }

  /**
   * Ends the connections of sockets that are destroyed.
   *
   * @returns {boolean} whether the native side may send: each of its sockets is listed, and a
   *   program changed nothing in how messages are sent
   */
  #reviewSockets() {
    let nativeCount = 0;
    let sendsThroughProgram = false;
    for (const socket of [...this.#server._sockets]) {
      if (socket.destroyed) socket.emit('end');
      else if (isSocketOf(socket, this.#handlers)) {
        if (nativeCount === 0) {
          sendsThroughProgram ||= socket[kChannel].endpointSendsThroughProgram();
        }
        nativeCount += 1;
        if (socket[kHasCustomWrite]) sendsThroughProgram = true;
      } else {
        const channel = this.#connections.channelOf(socket);
        sendsThroughProgram ||= channel === null || channel.sendsThroughProgram();
      }
    }
    // A socket that the program removed from the list must get nothing, but the native side would
    // send to it.
    return nativeCount === this.#connections.nativeCount && !sendsThroughProgram;
  }

  #sendToEach(object) {
    const server = this.#server;
    const sockets = server._sockets;
    // server.send() throws for a falsy message, and so does sendall().
    if (!object) return Promise.all(sockets.map((socket) => server.send(socket, object)));
    // An exception of the program's own send() is thrown here, as in 1.8.4.
    const send = (socket) => Promise.resolve(server.send(socket, object));
    return Promise.all(sockets.map((socket) => send(socket).catch(tolerateLeftOut)));
  }

  /** Writes the message once, and sends it to each client that takes rich values, or will. */
  #sendRich(object, isUniform) {
    let frame;
    try {
      frame = loadRichSender().frameOf(object);
    } catch (err) {
      if (!isPayload(object)) throw err;
      return Promise.reject(err);
    }
    if (diagnostics.message.hasSubscribers) publishBroadcast(this.#server, object);
    if (isUniform && this.#allTakeFrames()) return this.#sendFrame(frame);
    const sent = this.#server._sockets.map((socket) => {
      const channel = this.#connections.channelOf(socket);
      if (channel === null) return handledRejection(noSocket(socket));
      return channel.codec.sendFrame(frame, false).catch(tolerateLeftOut);
    });
    return Promise.all(sent);
  }

  /** Whether the native side may send the same binary frame to all sockets, which are uniform. */
  #allTakeFrames() {
    // Messages that were sent to single clients leave first, and with them the announcement of
    // frames.
    flushAllWrites();
    if (hasExceptions()) return false;
    return this.#server._sockets.every((socket) => socket[kChannel].codec.takesFrames);
  }

  #sendFrame(frame) {
    const id = nextId();
    const done = this.#pending.add(id, this.#server._sockets.length);
    this.#server[kDeliverFrame](frame.bytesOfAll(), id);
    dispatchSoon();
    this.#connections.broadcastCount += 1;
    return done;
  }

  #sendNatively(object, isUniform) {
    let text;
    try {
      text = envelope(object) + this.#connections.options.terminator[1];
    } catch (err) {
      if (!isPayload(object)) throw err;
      return Promise.reject(err);
    }
    if (diagnostics.message.hasSubscribers) publishBroadcast(this.#server, object);
    // Earlier messages to single clients leave first.
    flushAllWrites();
    const sockets = this.#server._sockets;
    const id = nextId();
    const { length } = text;
    const done = this.#pending.add(id, sockets.length);
    this.#server[kDeliver](text, length, null, null, id);
    // The promise of a message that has left at the call is fulfilled before clients in this
    // process receive it.
    dispatchSoon();
    if (isUniform && !hasExceptions()) {
      this.#connections.broadcastCount += 1;
      return done;
    }
    const others = [];
    for (const socket of sockets) {
      if (countBroadcast(socket, this.#handlers, length)) continue;
      const channel = this.#connections.channelOf(socket);
      if (channel === null) others.push(handledRejection(noSocket(socket)));
      else others.push(channel.transport[kTransmit](text).catch(tolerateLeftOut));
    }
    return others.length === 0 ? done : Promise.all([done, ...others]).then(([all]) => all);
  }
}

/** The broadcast continues if a client is left out. @throws any other error */
function tolerateLeftOut(err) {
  if (!LEFT_OUT.includes(err.code)) throw err;
}

module.exports = { Broadcaster, tolerateLeftOut };
