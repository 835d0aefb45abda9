'use strict';

const { noSession } = require('./errors.js');
const { BadLine } = require('./line.js');
const { content, decode } = require('./payload.js');
const { AnsweredRequests } = require('./answered-requests.js');
const { Confirmations } = require('./confirmations.js');

/** Other nodes refuse types of more than 64 KiB. */
const MAX_TYPE_LENGTH = 16 * 1024;

/** @returns {*} the payload of a message @throws {BadLine} */
function payloadOf(line) {
  try {
    return decode({ type: line.type, json: line.payload() });
  } catch {
    throw new BadLine('malformed');
  }
}

/**
 * @param {*} data of a client's answer
 * @param {*} type that the client has given it, any value
 * @returns {?{type: string, json: string}} null for data that is nested too deep
 */
function answerOf(data, type) {
  const isType = typeof type === 'string' && type.length <= MAX_TYPE_LENGTH;
  try {
    return { type: isType ? type : '', json: JSON.stringify(data) ?? '' };
  } catch {
    return null;
  }
}

/**
 * Carries out the operations that other nodes request on sessions of this node, and confirms them.
 */
class Executor {
  #server;
  #members;
  #groups;
  /** @type {function(): ?Membership} */
  #membership;
  #requests;
  #confirmations;

  /**
   * @param {object} parts
   * @param {SockhopServer} parts.server
   * @param {Members} parts.members
   * @param {Groups} parts.groups
   * @param {function(): ?Membership} parts.membership
   */
  constructor({ server, members, groups, membership }) {
    this.#server = server;
    this.#members = members;
    this.#groups = groups;
    this.#membership = membership;
    this.#requests = new AnsweredRequests(server, (...reply) => this.#reply(...reply));
    this.#confirmations = new Confirmations((node, ticket) =>
      this.#reply(node, 'C', { k: ticket }),
    );
  }

  /** @returns {Map<string, function(Line): void>} the function that handles each kind of message */
  get handlers() {
    return new Map([
      ['S', (line) => this.#execute(line, payloadOf(line), this.#send)],
      ['Q', (line) => this.#execute(line, payloadOf(line), this.#request)],
      ['K', (line) => this.#execute(line, null, this.#kill)],
      [
        'J',
        (line) =>
          this.#execute(line, null, ({ member, extra }) => this.#groups.join(member, extra.g)),
      ],
      [
        'L',
        (line) =>
          this.#execute(line, null, ({ member, extra }) => this.#groups.leave(member, extra.g)),
      ],
      ['E', (line) => this.#execute(line, null, () => undefined)],
    ]);
  }

  /** The stream of answers to a request of another node is controlled by that node. */
  onStreamControl(node, extra) {
    this.#requests.control(node, extra);
  }

  onNodeGone(node) {
    this.#requests.endNode(node);
  }

  /** Sends waiting confirmations, while the other nodes can still be reached. */
  flush() {
    this.#confirmations.sendAll();
  }

  close() {
    this.#requests.close();
  }

  /** @throws {BadLine} */
  #execute(line, object, operation) {
    this.#confirm(line.node, line.extra(), object, operation);
  }

  /** Carries out an operation, and reports the result to the other node. */
  async #confirm(node, extra, object, operation) {
    try {
      const member = this.#members.numbered(extra.s);
      if (member === undefined) throw noSession(`${this.#membership()?.id}.${extra.s}`);
      const isConfirmed = await operation.call(this, { member, node, extra, object });
      if (!isConfirmed) this.#reply(node, 'C', { k: extra.k });
    } catch (err) {
      this.#reply(node, 'C', {
        k: extra.k,
        code: err?.code ?? 'ERR_BAD_DATA',
        message: err?.message,
      });
    }
  }

  /** @returns {Promise<boolean>} whether the message is confirmed otherwise */
  async #send({ member, node, extra: { a: wantsAnswer, k: ticket }, object }) {
    const { socket } = member.channel;
    if (!wantsAnswer) {
      await this.#server.send(socket, object);
      return false;
    }
    let isAnswered = false;
    let confirmation = null;
    const onEnd = () => this.#reply(node, 'X', { k: ticket });
    const onAnswer = (data, { type }) => {
      member.dropEnding(onEnd);
      const answer = answerOf(data, type);
      isAnswered = answer !== null && this.#reply(node, 'R', { k: ticket }, answer);
      if (isAnswered) confirmation?.drop();
      else onEnd();
    };
    member.addEnding(onEnd);
    try {
      await this.#server.send(socket, object, onAnswer);
    } catch (err) {
      member.dropEnding(onEnd);
      throw err;
    }
    if (!isAnswered) confirmation = this.#confirmations.add(node, ticket);
    return true;
  }

  #request({ member: { channel }, node, extra: { k: ticket, o: timeout }, object }) {
    return this.#requests.start(channel.socket, object, { node, ticket, timeout });
  }

  #kill({ member: { channel } }) {
    return this.#server.kill_socket(channel.socket);
  }

  /** @returns {boolean} whether another node can get it */
  #reply(node, kind, extra, payload) {
    const membership = this.#membership();
    const reply = content(extra, payload);
    if (membership === null || membership.refusal(reply) !== null) return false;
    membership.publish(kind, membership.subjects.node(node), reply);
    return true;
  }
}

module.exports = { Executor };
