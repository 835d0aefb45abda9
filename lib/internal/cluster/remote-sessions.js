'use strict';

const { callbackNotAFunction, callbackOfJsonPeer } = require('../messaging/channel-errors.js');
const { requestRefused } = require('../errors/errors.js');
const { noSession } = require('./errors.js');
const { encode } = require('./payload.js');
const { RemoteRequests } = require('./remote-requests.js');

/**
 * Operations on sessions of any node, by their addresses: done here for sessions of this node, and
 * asked of the other node otherwise.
 */
class RemoteSessions {
  #server;
  #connections;
  #members;
  #groups;
  #operations;
  #requests;
  /** @type {function(): string} the id of this node */
  #ownId;
  /** @type {function(string): boolean} whether a node is in the cluster */
  #isKnown;

  /**
   * @param {object} parts
   * @param {SockhopServer} parts.server
   * @param {ServerConnections} parts.connections
   * @param {Members} parts.members
   * @param {Groups} parts.groups
   * @param {Operations} parts.operations
   * @param {number} parts.requestTimeout the option `request_timeout`
   * @param {function(): string} parts.ownId
   * @param {function(string): boolean} parts.isKnown
   * @param {function(string, object): void} parts.sendControl
   */
  constructor(parts) {
    this.#server = parts.server;
    this.#connections = parts.connections;
    this.#members = parts.members;
    this.#groups = parts.groups;
    this.#operations = parts.operations;
    this.#ownId = parts.ownId;
    this.#isKnown = parts.isKnown;
    this.#requests = new RemoteRequests(parts.operations, parts.requestTimeout, parts.sendControl);
  }

  get requests() {
    return this.#requests;
  }

  get #jsonMode() {
    return this.#connections.options.peer_type === 'json';
  }

  /** @returns {?Member} of this node; null for a session of another @throws ERR_CLUSTER_NO_SESSION */
  #local({ node, number }) {
    if (node !== this.#ownId()) return null;
    const member = this.#members.numbered(number);
    if (member === undefined) throw noSession(`${node}.${number}`);
    return member;
  }

  async send(address, object, callback) {
    if (callback && this.#jsonMode) throw callbackOfJsonPeer();
    if (callback && typeof callback !== 'function') throw callbackNotAFunction();
    const local = this.#local(address);
    if (local !== null) return this.#server.send(local.channel.socket, object, callback);
    const payload = encode(object, this.#jsonMode);
    const { node, number } = address;
    const ticket = this.#operations.nextTicket();
    const extra = callback ? { s: number, a: 1 } : { s: number };
    if (callback) this.#operations.expectAnswer(node, ticket, callback);
    try {
      await this.#operations.call(node, 'S', { ticket, extra, payload });
    } catch (err) {
      if (callback && wasNotDone(err)) this.#operations.forgetAnswer(ticket);
      throw err;
    }
  }

  async request(address, object, config) {
    if (this.#jsonMode) throw requestRefused();
    const local = this.#local(address);
    if (local !== null) return this.#server.request(local.channel.socket, object, config);
    const { response_timeout } = this.#connections.options;
    const timeout = this.#server._res_stream_timeout || response_timeout;
    return this.#requests.send(address, encode(object, false), config, timeout);
  }

  async kill(address) {
    const local = this.#local(address);
    if (local === null) await this.#call(address, 'K');
    else await this.#server.kill_socket(local.channel.socket);
  }

  async join(address, group) {
    const local = this.#local(address);
    if (local === null) await this.#call(address, 'J', { g: group });
    else await this.#groups.join(local, group);
  }

  async leave(address, group) {
    const local = this.#local(address);
    if (local === null) await this.#call(address, 'L', { g: group });
    else await this.#groups.leave(local, group);
  }

  async exists(address) {
    try {
      if (this.#local(address) === null) await this.#call(address, 'E');
      return true;
    } catch (err) {
      if (err.code === 'ERR_CLUSTER_NO_SESSION') return false;
      // A node that is still counted may only have lost the broker.
      if (err.code === 'ERR_CLUSTER_NO_NODE' && !this.#isKnown(address.node)) return false;
      throw err;
    }
  }

  #call({ node, number }, kind, extra = {}) {
    const ticket = this.#operations.nextTicket();
    return this.#operations.call(node, kind, { ticket, extra: { s: number, ...extra } });
  }
}

/** Whether an error says that the client did not get the message, so that no answer can come. */
function wasNotDone({ code }) {
  return code !== 'ERR_CLUSTER_TIMEOUT';
}

module.exports = { RemoteSessions };
