'use strict';

const { throwUncaught } = require('../native/dispatcher.js');
const realTimers = require('../real-timers.js');
const { SockhopPing } = require('../../SockhopPing.js');
const { kSize, kTraffic } = require('../symbols.js');

/**
 * The time between two checks of the connections, in ms. An answer, a timeout, an abort, or bytes
 * that the kernel accepts can complete the work of a connection, and the next check finds it.
 */
const CHECK_INTERVAL_MS = 10;

/** Marks a connection without a ping yet, because its `connect` must be emitted first. */
const AWAITS_CONNECT = Symbol('awaits connect');

const noop = () => {};

/**
 * Ends the connections of a server that has stopped listening. Each ends as soon as neither side
 * owes the other an answer, and all of them end after the grace period.
 *
 * Messages of the peer may be on their way when the server stops. So each connection begins with a
 * ping: everything that the peer sent before it read the ping comes before the pong.
 */
class Drain {
  /** The public object, whose methods a program may override. */
  #server;
  /** @type {import('./server-handlers.js').ServerHandlers} */
  #handlers;
  /** @type {import('./server-connections.js').ServerConnections} */
  #connections;
  /**
   * The connections that are not over, each with the id of the ping that its peer has not answered
   * yet; null if it has.
   *
   * @type {Map<MessageChannel, string|symbol|null>}
   */
  #pings = new Map();
  #graceTimer = null;
  /** Whether the listener has no connections left, and accepts no more. */
  #isListenerClosed = false;
  /** Whether the grace period is over: connections that come now are ended at once. */
  #isCut = false;
  #cutCount = 0;
  #finish;
  /** Fulfilled with the number of connections that were cut, when none is left. */
  finished = new Promise((resolve) => {
    this.#finish = resolve;
  });

  /**
   * @param {object} server
   * @param {object} parts
   * @param {object} parts.handlers
   * @param {object} parts.connections
   */
  constructor(server, { handlers, connections }) {
    this.#server = server;
    this.#handlers = handlers;
    this.#connections = connections;
  }

  /**
   * Notifies the sessions, and begins to end the connections.
   *
   * @param {Promise<void>} closed fulfilled when the listener is closed
   */
  begin(closed) {
    const channels = this.#connections.channels.filter((channel) => channel !== null);
    for (const channel of channels) this.add(channel);
    this.#emit(this.#server);
    for (const channel of channels) this.tell(channel);
    closed.then(() => {
      this.#isListenerClosed = true;
    });
    this.#look();
  }

  /** @param {number} grace in ms, from now on; replaces that of an earlier call */
  limit(grace) {
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(() => this.cut(), grace);
  }

  /** Adds a connection whose session has started. */
  add(channel) {
    this.#pings.set(channel, AWAITS_CONNECT);
    if (this.#isCut) this.#cut(channel);
  }

  /** Notifies the session of a connection, and pings the peer. */
  tell(channel) {
    if (this.#pings.get(channel) !== AWAITS_CONNECT) return;
    // A peer that has ended its direction cannot answer, and sends no more.
    const isSilent = channel.options.peer_type === 'json' || channel.socket.readableEnded;
    if (isSilent) this.#pings.set(channel, null);
    else {
      const ping = new SockhopPing();
      // A client with an offline queue keeps later messages for its next connection.
      ping.draining = true;
      this.#pings.set(channel, ping._id);
      channel.updateShowControl();
      if (channel.sendsThroughProgram()) this.#handlers.callSend(channel, ping);
      else channel.sendMessage({ type: 'SockhopPing', data: ping }).catch(noop);
    }
    this.#emit(channel.session);
  }

  #emit(emitter) {
    try {
      emitter?.emit?.('draining');
    } catch (err) {
      throwUncaught(err);
    }
  }

  /** A pong has arrived. */
  onPong(channel, pong) {
    const id = this.#pings.get(channel);
    if (id && pong?._id === id) this.#pings.set(channel, null);
  }

  /** The peer has ended its direction, and continues to read. */
  onPeerEnd(channel) {
    if (this.#pings.get(channel) !== AWAITS_CONNECT) this.#pings.set(channel, null);
  }

  /** A connection is over. */
  forget(channel) {
    this.#pings.delete(channel);
  }

  #look() {
    for (const [channel, ping] of this.#pings) {
      if (ping === null && !this.#isOwed(channel)) this.#end(channel);
    }
    const isDone = this.#pings.size === 0 && this.#connections.startingCount === 0;
    if (isDone && this.#isListenerClosed) {
      clearTimeout(this.#graceTimer);
      this.#finish(this.#cutCount);
    } else realTimers.setTimeout(() => this.#look(), CHECK_INTERVAL_MS);
  }

  /** Whether one side owes the other an answer, or bytes wait for the kernel. */
  #isOwed(channel) {
    return (
      channel.owedAnswers > 0 ||
      (!channel.socket.readableEnded && this.#peerOwes(channel)) ||
      channel.transport[kTraffic]().queued_bytes > 0
    );
  }

  #peerOwes(channel) {
    return channel.pendingCallbacks > 0 || this.#handlers.responseStreams(channel)?.[kSize] > 0;
  }

  /** Ends all connections now. */
  cut() {
    this.#isCut = true;
    for (const channel of [...this.#pings.keys()]) this.#cut(channel);
    this.#count(this.#connections.abortStarting());
  }

  #cut(channel) {
    this.#count(1);
    this.#end(channel);
  }

  #count(count) {
    this.#cutCount += count;
    this.#handlers.limits.cut_connections += count;
  }

  #end(channel) {
    this.#pings.delete(channel);
    this.#server.kill_socket(channel.socket)?.catch?.(noop);
  }
}

module.exports = { Drain };
