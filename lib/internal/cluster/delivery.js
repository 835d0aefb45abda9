'use strict';

const { diagnostics } = require('../diagnostics.js');
const { kDeliver, kJoin, kLeaveGroup } = require('../native/classes.js');
const { broadcasts, nextId } = require('../native/dispatcher.js');
const { tolerateLeftOut } = require('../server/broadcaster.js');
const { countBroadcast } = require('../../SockhopSocket.js');
const { kConnection, kTransmit } = require('../symbols.js');
const { hasExceptions } = require('../transport/broadcast-exceptions.js');
const { flushAllWrites } = require('../transport/write-coalescer.js');
const { decode, frame } = require('./payload.js');

/**
 * Sends the text of one payload to many local clients: to all, or to the members of a group.
 *
 * The native side does it, if it has all connections and the program changed nothing in how messages
 * are sent; otherwise each client gets the message by itself. This is the only module that knows how
 * messages between nodes reach the sockets of clients.
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
    if (this.#connections.isListed(member.channel)) this.#joinNatively(member.channel, group);
    return isFirst;
  }

  /** The session of a member has started: the native side knows its connection now. */
  enter({ channel, groups }) {
    for (const group of groups) this.#joinNatively(channel, group);
  }

  #joinNatively({ isNative, socket }, group) {
    if (isNative) this.#server[kJoin](socket[kConnection], group);
  }

  /** @returns {boolean} whether there is no member left */
  leave(member, group) {
    const members = this.#groups.get(group);
    members?.delete(member);
    const { isNative, socket } = member.channel;
    // The native side itself takes a connection that is over out of its groups.
    if (isNative && !member.hasEnded) this.#server[kLeaveGroup](socket[kConnection], group);
    if (members?.size !== 0) return false;
    this.#groups.delete(group);
    return true;
  }

  // ---- sending ----------------------------------------------------------------------------------

  /** Whether the native side can send to all clients. */
  get isNative() {
    return (
      this.#broadcaster.isUniform &&
      !hasExceptions() &&
      !this.#connections.options.debug &&
      !diagnostics.message.hasSubscribers
    );
  }

  /**
   * @param {{type: string, json: string}} payload
   * @param {Set<MessageChannel>} except
   * @returns {Promise<undefined[]>} fulfilled when the kernel has it for every client that gets it
   */
  toAll(payload, except) {
    if (this.isNative) {
      this.#connections.broadcastCount += 1;
      for (const channel of except) channel.earlierBroadcasts += 1;
      return this.#sendNatively(null, payload, except);
    }
    return this.#send(
      this.#connections.channels.filter((channel) => channel !== null && !except.has(channel)),
      payload,
    );
  }

  /** The same, for the members of a group. */
  toGroup(group, payload, except) {
    const channels = [...this.membersOf(group)]
      .map(({ channel }) => channel)
      .filter((channel) => this.#connections.isListed(channel) && !except.has(channel));
    if (channels.length === 0) return Promise.resolve([]);
    if (!this.isNative) return this.#send(channels, payload);
    const { handlers } = channels[0];
    for (const { socket } of channels) countBroadcast(socket, handlers, payload.json.length);
    return this.#sendNatively(group, payload, except);
  }

  #sendNatively(group, payload, except) {
    const text = this.#frame(payload);
    const ids = [...except].map(({ socket }) => socket[kConnection].id);
    // Messages that were sent to single clients before leave first.
    flushAllWrites();
    const id = nextId();
    const done = new Promise((resolve) => {
      broadcasts.set(id, () => resolve([]));
    });
    this.#server[kDeliver](text, text.length, group, ids.length === 0 ? null : ids, id);
    return done;
  }

  #frame(payload) {
    const { peer_type, terminator } = this.#connections.options;
    return frame(payload, peer_type === 'json') + terminator[1];
  }

  #send(channels, payload) {
    const text = this.#frame(payload);
    return Promise.all(
      channels.map((channel) => this.#sendTo(channel, text, payload).catch(tolerateLeftOut)),
    );
  }

  async #sendTo(channel, text, payload) {
    const { socket } = channel;
    if (socket.destroyed) return undefined;
    const isSeen = diagnostics.message.hasSubscribers || this.#connections.options.debug;
    if (isSeen || channel.sendsThroughProgram()) return this.#server.send(socket, decode(payload));
    return channel.transport[kTransmit](text, false);
  }
}

module.exports = { Delivery };
