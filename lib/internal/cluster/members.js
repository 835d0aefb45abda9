'use strict';

const { Renewal } = require('../renewal.js');
const { noSession } = require('./errors.js');
const { invalidType, invalidValue } = require('../options/kinds.js');

const ID = /^([A-Za-z0-9_-]{16})\.(\d{1,15})$/;

/**
 * @param {*} id of a session
 * @returns {{node: string, number: number}}
 * @throws {TypeError}
 */
function parseId(id) {
  const expected = 'a string that id_of() has returned';
  if (typeof id !== 'string') throw invalidType('The id of a session', expected, id);
  const found = ID.exec(id);
  if (found === null) throw invalidValue('The id of a session', expected, id);
  return { node: found[1], number: Number(found[2]) };
}

/** A local session that has an id or is in a group. */
class Member {
  /** The names of its groups: @type {Set<string>} */
  groups = new Set();
  /** The functions to call when the session has ended: @type {?Map<function(): void, true>} */
  #endings = null;
  /** @type {?Renewal} */
  #renewal = null;

  constructor(channel, number) {
    this.channel = channel;
    this.number = number;
    this.hasEnded = false;
  }

  /** @param {function(): void} call when the session has ended */
  addEnding(call) {
    this.#renewal ??= new Renewal();
    this.#endings = this.#renewal.renew(this.#endings ?? new Map());
    this.#endings.set(call, true);
  }

  /** It need not be called any more. */
  dropEnding(call) {
    if (this.#endings?.delete(call)) this.#renewal.countRemoval();
  }

  callEndings() {
    const endings = this.#endings;
    this.#endings = null;
    for (const call of endings?.keys() ?? []) call();
  }
}

/**
 * The local sessions that have ids or groups: a session gets its number with the first use of it.
 */
class Members {
  #connections;
  #onStart;
  #onEnd;
  /** @type {WeakMap<MessageChannel, Member>} */
  #ofChannel = new WeakMap();
  /** @type {Map<number, Member>} */
  #byNumber = new Map();
  #lastNumber = 0;

  /**
   * @param {ServerConnections} connections
   * @param {object} on
   * @param {function(Member): void} on.start is called when the session of a member has started
   * @param {function(Member): void} on.end is called when the connection of a member has ended
   */
  constructor(connections, { start, end }) {
    this.#connections = connections;
    this.#onStart = start;
    this.#onEnd = end;
    connections.watch({
      onListed: (channel) => this.#start(channel),
      onOver: (channel) => this.#end(channel),
    });
  }

  /**
   * @param {SockhopSession | net.Socket} which a session of this server, or its socket
   * @returns {Member} which may have ended
   * @throws {SockhopError} ERR_CLUSTER_NO_SESSION
   */
  of(which) {
    const channel = this.#connections.ownChannel(which);
    const member = channel === null ? undefined : this.#ofChannel.get(channel);
    if (member !== undefined) return member;
    if (channel === null || !this.#connections.isOpen(channel))
      throw noSession('of this server here');
    return this.#add(channel);
  }

  #add(channel) {
    this.#lastNumber += 1;
    const member = new Member(channel, this.#lastNumber);
    this.#ofChannel.set(channel, member);
    this.#byNumber.set(member.number, member);
    return member;
  }

  /** @returns {Member | undefined} */
  numbered(number) {
    return this.#byNumber.get(number);
  }

  /** A session may have joined groups while it started. */
  #start(channel) {
    const member = this.#ofChannel.get(channel);
    if (member !== undefined) this.#onStart(member);
  }

  #end(channel) {
    const member = this.#ofChannel.get(channel);
    if (member === undefined) return;
    this.#byNumber.delete(member.number);
    member.hasEnded = true;
    this.#onEnd(member);
    member.callEndings();
  }
}

module.exports = { Members, parseId };
