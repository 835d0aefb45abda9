'use strict';

const { throwUncaught } = require('../native/dispatcher.js');
const { BadLine, read, readRun, signedParts } = require('./line.js');
const { isParcel, unpack } = require('./parcels.js');
const { placeOf } = require('./subjects.js');

/** How many other nodes there may be. */
const MAX_NODES = 1000;
/** How many nodes that do not belong to the cluster are remembered. */
const MAX_INCOMPATIBLE = 1000;

/**
 * Receives messages for a membership: checks where each one comes from, drops those that arrived
 * before, reports gaps, and passes the others on by their kinds.
 */
class Receiver {
  /** @type {Membership} */
  #membership;
  /** @type {Heartbeats} */
  #heartbeats;
  /** Null: messages have no signatures. @type {?Signer} */
  #signer;
  /** Take messages by their kinds: @type {Map<string, function(Line, string): void>} */
  #handlers;
  /** Take several messages at once, by their kinds: @type {Map<string, function(Run): boolean>} */
  #runHandlers;
  /** @type {function({node: string, missed: number, since: Date}): void} */
  #onGap;
  /** Nodes of other kinds of peers or versions. */
  #incompatible = new Set();

  /**
   * @param {Membership} membership
   * @param {object} parts
   * @param {Heartbeats} parts.heartbeats
   * @param {?Signer} parts.signer
   * @param {Map<string, Function>} parts.handlers
   * @param {Map<string, Function>} parts.runHandlers
   * @param {Function} parts.onGap
   */
  constructor(membership, { heartbeats, signer, handlers, runHandlers, onGap }) {
    this.#membership = membership;
    this.#heartbeats = heartbeats;
    this.#signer = signer;
    this.#handlers = handlers;
    this.#runHandlers = runHandlers;
    this.#onGap = onGap;
  }

  /**
   * @param {string} subject
   * @param {Uint8Array} bytes a message, or several that were published as one
   */
  receive(subject, bytes) {
    try {
      if (!isParcel(bytes)) this.#receiveOne(subject, bytes);
      else if (!this.#receiveRun(subject, bytes)) {
        for (const message of unpack(bytes)) this.#receiveOne(subject, message);
      }
    } catch (err) {
      if (!(err instanceof BadLine)) throw err;
      this.#membership.refusals.add(err.reason, subject);
    }
  }

  /**
   * Passes messages to all clients, or to a group, on together, without looking at each.
   *
   * @returns {boolean} false if each message must be received separately
   */
  #receiveRun(subject, bytes) {
    const { id, state, subjects, nodes, counters } = this.#membership;
    if (state === 'closed' || this.#signer !== null) return false;
    const run = readRun(bytes);
    // A node also receives its own messages. Heartbeats are never gathered.
    if (run?.node === id) return true;
    const pass = this.#runHandlers.get(run?.kind);
    if (pass === undefined || this.#incompatible.has(run.node)) return false;
    if (subjects.kindOf(subject) !== placeOf(run.kind)) return false;
    const node = nodes.get(run.node);
    if (node.hasReceived(subject, run.seq) || !pass(run)) return false;
    node.isDuplicate(subject, run.lastSeq);
    counters.received += run.count;
    if (run.kind === 'A') this.#countMissed(node, node.receivedBroadcast(run.bseq, run.lastBseq));
    return true;
  }

  #receiveOne(subject, bytes) {
    const { id, state, refusals } = this.#membership;
    if (state === 'closed') return;
    try {
      const line = read(bytes);
      if (line.node === id) this.#receiveOwn(line, subject, bytes);
      else if (this.#accepts(line, subject, bytes)) this.#dispatch(line, subject);
    } catch (err) {
      // An error of the program must not reach the client of the broker.
      if (err instanceof BadLine) refusals.add(err.reason, subject);
      else throwUncaught(err);
    }
  }

  #receiveOwn(line, subject, bytes) {
    if (line.kind !== 'H' || !this.#isAuthentic(line, subject, bytes)) return;
    if (line.extra().t === this.#heartbeats.since) this.#membership.onHeardSelf();
    else this.#membership.onSameId();
  }

  #isAuthentic(line, subject, bytes) {
    if (this.#signer === null) return true;
    if (this.#signer.verify(subject, signedParts(bytes, line), line.signature)) return true;
    this.#membership.refusals.add('signature', line.node);
    return false;
  }

  /** Whether a message comes from a node of this cluster, and for the first time. */
  #accepts(line, subject, bytes) {
    const { subjects, nodes, counters } = this.#membership;
    const { node: id, kind, seq } = line;
    if (this.#incompatible.has(id) && kind !== 'H') return false;
    if (!this.#isAuthentic(line, subject, bytes)) return false;
    if (subjects.kindOf(subject) !== placeOf(kind)) throw new BadLine('malformed');
    const node = nodes.get(id);
    // The time in its heartbeat shows that signed messages are not those of an earlier recording.
    if (this.#signer !== null && node.lastHeard === 0 && kind !== 'H') return false;
    if (node.isDuplicate(subject, seq)) {
      counters.duplicates += 1;
      return false;
    }
    return true;
  }

  #dispatch(line, subject) {
    const { kind } = line;
    if (kind === 'H') return this.#onHeartbeat(line);
    const { nodes, counters } = this.#membership;
    const node = nodes.get(line.node);
    if (kind === 'B') return node.isUp ? this.#membership.onNodeGone(node, 'left') : undefined;
    counters.received += 1;
    if (placeOf(kind) === 'all') this.#countMissed(node, node.receivedBroadcast(line.bseq));
    // Later versions may have further kinds.
    this.#handlers.get(kind)?.(line, subject);
  }

  #countMissed(node, missed) {
    if (missed === 0) return;
    const { counters } = this.#membership;
    counters.gaps += 1;
    counters.missed += missed;
    this.#onGap({ node: node.id, missed, since: new Date(node.lastHeard || Date.now()) });
  }

  #onHeartbeat(line) {
    const { nodes, refusals } = this.#membership;
    const extra = line.extra();
    const isTooMany = !nodes.isUp(line.node) && nodes.size >= MAX_NODES;
    const objection = isTooMany ? 'too many nodes' : this.#heartbeats.objection(extra);
    if (objection !== null) {
      if (this.#incompatible.size >= MAX_INCOMPATIBLE) this.#incompatible.clear();
      this.#incompatible.add(line.node);
      refusals.add(objection, line.node);
      return;
    }
    this.#incompatible.delete(line.node);
    const node = nodes.get(line.node);
    if (!this.#membership.isBehind) {
      this.#countMissed(node, node.receivedHeartbeat(line.bseq, extra.c));
    }
    this.#heartbeats.heard(node, extra);
    this.#membership.onNodeHeard(node);
  }
}

module.exports = { Receiver };
