'use strict';

const { tolerateLeftOut } = require('../server/broadcaster.js');
const { kTransmit } = require('../symbols.js');
const { decode, frame } = require('./payload.js');

/**
 * Sends the text of one payload to many local clients: to all, or to the members of a group.
 *
 * This is the only module that knows how messages between nodes reach the sockets of clients.
 */
class Delivery {
  #server;
  #connections;
  /** @type {Map<string, Set<Member>>} */
  #groups = new Map();

  /**
   * @param {SockhopServer} server
   * @param {ServerConnections} connections
   */
  constructor(server, connections) {
    this.#server = server;
    this.#connections = connections;
  }

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
    return isFirst;
  }

  /** @returns {boolean} whether there is no member left */
  leave(member, group) {
    const members = this.#groups.get(group);
    members?.delete(member);
    if (members?.size !== 0) return false;
    this.#groups.delete(group);
    return true;
  }

  /**
   * @param {{type: string, json: string}} payload
   * @param {Set<MessageChannel>} except
   * @returns {Promise<undefined[]>} fulfilled when the kernel has it for every client that gets it
   */
  toAll(payload, except) {
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
    return this.#send(channels, payload);
  }

  #send(channels, payload) {
    if (channels.length === 0) return Promise.resolve([]);
    const { options } = this.#connections;
    const text = frame(payload, options.peer_type === 'json') + options.terminator[1];
    return Promise.all(
      channels.map((channel) => this.#sendTo(channel, text, payload).catch(tolerateLeftOut)),
    );
  }

  async #sendTo(channel, text, payload) {
    const { socket } = channel;
    if (socket.destroyed) return undefined;
    if (channel.sendsThroughProgram()) return this.#server.send(socket, decode(payload));
    return channel.transport[kTransmit](text, false);
  }
}

module.exports = { Delivery };
