'use strict';

const { diagnostics } = require('../diagnostics.js');
const { kDeliver, kDeliverMessage, kGroups, kJoin, kLeaveGroup } = require('../native/classes.js');
const { broadcasts, nextId } = require('../native/dispatcher.js');
const { tolerateLeftOut } = require('../server/broadcaster.js');
const { countBroadcast } = require('../../SockhopSocket.js');
const { kConnection, kTransmit } = require('../symbols.js');
const { hasExceptions } = require('../transport/broadcast-exceptions.js');
const { flushAllWrites } = require('../transport/write-coalescer.js');
const { decode, frame } = require('./payload.js');

/** Nothing is left to be sent. */
const SENT = Promise.resolve();

/**
 * Sends one payload to many local clients: to all, or to the members of a group.
 *
 * The native side has the connections of all groups, and sends to them on its own threads. The time
 * on this thread therefore does not grow with their number. Connections that it does not have, and
 * those to which the program itself writes, are served from here.
 */
class Delivery {
  #server;
  #connections;
  #broadcaster;
  /** The native side has the same groups, by connections. @type {Map<string, Set<Member>>} */
  #groups = new Map();

  /**
   * @param {SockhopServer} server
   * @param {ServerConnections} connections
   * @param {Broadcaster} broadcaster
   */
  constructor(server, connections, broadcaster) {
    this.#server = server;
    this.#connections = connections;
    this.#broadcaster = broadcaster;
  }

  // ---- groups -----------------------------------------------------------------------------------

  /** The names of the groups with local members: @type {Iterable<string>} */
  get groupNames() {
    return this.#groups.keys();
  }

  /** @returns {ReadonlySet<Member>} */
  membersOf(group) {
    return this.#groups.get(group) ?? new Set();
  }

  /** @returns {boolean} whether this is the first member */
  join(member, group) {
    let members = this.#groups.get(group);
    const isFirst = members === undefined;
    if (isFirst) {
      members = new Set();
      this.#groups.set(group, members);
    }
    members.add(member);
    this.#joinNatively(member.channel, group);
    return isFirst;
  }

  /** @returns {boolean} whether there is no member left */
  leave(member, group) {
    const { isNative, socket } = member.channel;
    // The native side itself takes a connection that is over out of its groups.
    if (isNative && !member.hasEnded) this.#server[kLeaveGroup](socket[kConnection], group);
    const members = this.#groups.get(group);
    members?.delete(member);
    if (members?.size !== 0) return false;
    this.#groups.delete(group);
    return true;
  }

  /** The session of a member has started: messages to its groups reach it from now on. */
  enter({ channel, groups }) {
    for (const group of groups) this.#joinNatively(channel, group);
  }

  /** The native side has a connection from the start of its session on. */
  #joinNatively(channel, group) {
    if (channel.isNative && this.#connections.isListed(channel)) {
      this.#server[kJoin](channel.socket[kConnection], group);
    }
  }

  // ---- sending ----------------------------------------------------------------------------------

  /** Whether the native side can send to all clients, none of which the program has changed. */
  get isNative() {
    return this.#broadcaster.isUniform && !hasExceptions() && !this.#isSeen;
  }

  /** Whether the program sees each message that is sent. */
  get #isSeen() {
    return this.#connections.options.debug || diagnostics.message.hasSubscribers;
  }

  /**
   * @param {{type: string, json: string}} payload
   * @param {Set<MessageChannel>} except
   * @returns {Promise} fulfilled when the kernel has it for every client that gets it
   */
  toAll(payload, except) {
    const count = Math.max(0, this.#server._sockets.length - except.size);
    // The result is that of a server without a cluster.
    return this.#send(null, payload, except).then(() => new Array(count).fill(null));
  }

  /** The same, for the members of a group. */
  toGroup(group, payload, except) {
    return this.#send(group, payload, except);
  }

  #send(group, payload, except) {
    const text = this.#textOf(payload);
    const { length } = text;
    let done;
    const deliver = (ids) => {
      const id = nextId();
      done = new Promise((resolve) => {
        broadcasts.set(id, () => resolve());
      });
      return this.#server[kDeliver](text, length, group, ids, id);
    };
    const sent = this.#distribute(group, except, { deliver, payload: () => payload, length });
    return Promise.all([done, sent]);
  }

  /**
   * Passes a message of another node to all clients. Its bytes do not become a string, unless a
   * client needs one.
   *
   * @param {Line} line
   * @param {Set<MessageChannel>} except
   * @returns {Promise}
   */
  passToAll(line, except) {
    return this.#pass(null, line, except);
  }

  /** The same, for the members of a group. */
  passToGroup(group, line, except) {
    return this.#pass(group, line, except);
  }

  #pass(group, line, except) {
    const { bytes } = line;
    return this.#distribute(group, except, {
      deliver: (ids) => this.#server[kDeliverMessage](bytes, this.#jsonMode, group, ids),
      payload: () => ({ type: line.type, json: line.payload() }),
      length: bytes.length,
    });
  }

  /**
   * Passes several messages of another node to all clients, or to the members of a group, if the
   * native side sends to all of them.
   *
   * @param {?string} group null for all clients
   * @param {Run} run
   * @param {Set<MessageChannel>} except
   * @returns {boolean} false if nothing is sent
   */
  passRun(group, { bytes, count }, except) {
    flushAllWrites();
    if (!this.#canSendNatively() || !this.#hasOnlyNative) return false;
    const reached = this.#server[kDeliverMessage](bytes, this.#jsonMode, group, idsOf(except));
    this.#count(group, except, reached, count);
    return true;
  }

  /**
   * @param {?string} group null for all clients
   * @param {Set<MessageChannel>} except
   * @param {object} message
   * @param {function(?number[]): number} message.deliver has the native side send it, and returns
   *   the number of connections
   * @param {function(): {type: string, json: string}} message.payload
   * @param {number} message.length in characters, about
   * @returns {Promise} fulfilled when it is sent to the clients to which it is sent from here
   */
  #distribute(group, except, { deliver, payload, length }) {
    if (!this.#canSendNatively()) {
      return this.#sendToEach(this.#channelsOf(group, except), payload());
    }
    // Earlier messages to single clients leave first.
    flushAllWrites();
    const reached = deliver(idsOf(except));
    if (this.#hasOnlyNative) {
      this.#count(group, except, reached);
      return SENT;
    }
    const others = this.#channelsOf(group, except).filter(
      ({ socket, handlers, isNative }) => !(isNative && countBroadcast(socket, handlers, length)),
    );
    return others.length === 0 ? SENT : this.#sendToEach(others, payload());
  }

  /** Counts messages that the native side sends, for the figures of the server. */
  #count(group, except, reached, messages = 1) {
    const connections = this.#connections;
    if (group === null) {
      connections.broadcastCount += messages;
      for (const channel of except) channel.earlierBroadcasts += messages;
      return;
    }
    const isMember = ({ socket }) => this.#server[kGroups](socket[kConnection]).includes(group);
    connections.deliveredCount += messages * (reached - [...except].filter(isMember).length);
  }

  /**
   * @returns {boolean} whether the native side may send: a program changed nothing in how messages
   *   are sent, and has taken no socket out of the list
   */
  #canSendNatively() {
    const { _sockets: sockets } = this.#server;
    const { nativeCount } = this.#connections;
    if (nativeCount === 0 || nativeCount > sockets.length || this.#isSeen) return false;
    return this.#connections.channelOf(sockets[0])?.endpointSendsThroughProgram() === false;
  }

  /** Whether the native side has all connections, and no method of the program has to be called. */
  get #hasOnlyNative() {
    return this.#connections.nativeCount === this.#server._sockets.length && !hasExceptions();
  }

  /** @returns {MessageChannel[]} those of all clients, or of the members of a group */
  #channelsOf(group, except) {
    const connections = this.#connections;
    const channels =
      group === null
        ? connections.channels.filter((channel) => channel !== null)
        : [...this.membersOf(group)]
            .map(({ channel }) => channel)
            .filter((channel) => connections.isListed(channel));
    return channels.filter((channel) => !except.has(channel));
  }

  get #jsonMode() {
    return this.#connections.options.peer_type === 'json';
  }

  #textOf(payload) {
    return frame(payload, this.#jsonMode) + this.#connections.options.terminator[1];
  }

  #sendToEach(channels, payload) {
    if (channels.length === 0) return SENT;
    const text = this.#textOf(payload);
    return Promise.all(
      channels.map((channel) => this.#sendTo(channel, text, payload).catch(tolerateLeftOut)),
    );
  }

  async #sendTo(channel, text, payload) {
    const { socket } = channel;
    if (socket.destroyed) return undefined;
    if (this.#isSeen || channel.sendsThroughProgram()) {
      return this.#server.send(socket, decode(payload));
    }
    return channel.transport[kTransmit](text, false);
  }
}

/** @returns {?number[]} the ids of the connections that the native side has */
function idsOf(channels) {
  if (channels.size === 0) return null;
  return [...channels]
    .filter(({ isNative }) => isNative)
    .map(({ socket }) => socket[kConnection].id);
}

module.exports = { Delivery };
