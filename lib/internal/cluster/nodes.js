'use strict';

/** How long the numbers of a node that is gone are kept, in ms. */
const MEMORY_MS = 3_600_000;
/** How many subjects of a node are remembered with their numbers. */
const MAX_SUBJECTS = 65_536;
/** How many nodes that are gone are remembered. */
const MAX_REMEMBERED = 1000;

/** Another node, as this one knows it. */
class OtherNode {
  /** The numbers of the last messages, by their subjects: @type {Map<string, number>} */
  #last = new Map();
  /** The number of the last broadcast that arrived; null before the first message of the node. */
  #bseq = null;
  /** A number that a heartbeat has confirmed, and whose broadcast has not arrived. */
  #missing = 0;

  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** Whether it is in the cluster now. */
    this.isUp = false;
    /** Whether it has said goodbye. */
    this.hasLeft = false;
    /** When it was heard last, on the clock of the heartbeats. */
    this.heardAt = 0;
    /** When it was heard last, as a date. */
    this.lastHeard = 0;
    /** Whether it has heard this node since that reached the broker again. */
    this.isBack = true;
    /** The content of its last heartbeat. */
    this.details = { sessions: 0, since: 0, host: '', pid: 0, version: '' };
    this.goneAt = 0;
  }

  /**
   * @param {string} subject
   * @param {number} seq
   * @returns {boolean} whether the message has arrived before
   */
  isDuplicate(subject, seq) {
    if (this.hasReceived(subject, seq)) return true;
    this.#last.set(subject, seq);
    if (this.#last.size > MAX_SUBJECTS) this.#forgetFirstSubject();
    return false;
  }

  /** @returns {boolean} whether a message has arrived before; it does not count as arrived */
  hasReceived(subject, seq) {
    return seq <= (this.#last.get(subject) ?? 0);
  }

  /** Forgets a subject, from which nothing more is expected. */
  forgetSubject(subject) {
    this.#last.delete(subject);
  }

  /** A map keeps the order of insertion, so the first subject is the oldest. */
  #forgetFirstSubject() {
    const [first] = this.#last.keys();
    this.#last.delete(first);
  }

  /**
   * Broadcasts have arrived.
   *
   * @param {number} bseq of the first one
   * @param {number} [last] of the last one
   * @returns {number} how many before them have not
   */
  receivedBroadcast(bseq, last = bseq) {
    const missed = this.#bseq === null ? 0 : Math.max(0, bseq - this.#bseq - 1);
    this.#bseq = Math.max(this.#bseq ?? 0, last);
    return missed;
  }

  /**
   * A heartbeat has arrived.
   *
   * @param {number} published the number of the last broadcast that the node has published
   * @param {number} confirmed the same of the last that the broker has confirmed
   * @returns {number} how many broadcasts have not arrived, of those that should have since the
   *   heartbeat before
   */
  receivedHeartbeat(published, confirmed) {
    if (this.#bseq === null) this.#bseq = published;
    const missed = Math.max(0, this.#missing - this.#bseq);
    if (missed > 0) this.#bseq = this.#missing;
    this.#missing = confirmed;
    return missed;
  }

  /** Like `cluster.nodes` shows it. */
  get info() {
    return { id: this.id, ...this.details, last_heard: this.lastHeard };
  }
}

/** The other nodes of a cluster: those that are in it, and those that were. */
class Nodes {
  /** @type {Map<string, OtherNode>} */
  #all = new Map();

  /** @returns {OtherNode} */
  get(id) {
    let node = this.#all.get(id);
    if (node === undefined) {
      this.#forgetOld();
      node = new OtherNode(id);
      node.goneAt = Date.now();
      this.#all.set(id, node);
    }
    return node;
  }

  /** @returns {boolean} whether a node is in the cluster now */
  isUp(id) {
    return this.#all.get(id)?.isUp === true;
  }

  /** @returns {boolean} whether a node has said goodbye */
  hasLeft(id) {
    return this.#all.get(id)?.hasLeft === true;
  }

  /** The nodes that are in the cluster now: @returns {OtherNode[]} */
  get up() {
    return [...this.#all.values()].filter(({ isUp }) => isUp);
  }

  get size() {
    let count = 0;
    for (const { isUp } of this.#all.values()) if (isUp) count += 1;
    return count;
  }

  /** The clients of the other nodes. */
  get sessions() {
    let count = 0;
    for (const { isUp, details } of this.#all.values()) if (isUp) count += details.sessions;
    return count;
  }

  forgetSubject(subject) {
    for (const node of this.#all.values()) node.forgetSubject(subject);
  }

  clear() {
    this.#all.clear();
  }

  #forgetOld() {
    const before = Date.now() - MEMORY_MS;
    const gone = [...this.#all.values()].filter(({ isUp }) => !isUp);
    const tooMany = gone.length - MAX_REMEMBERED;
    gone.forEach(({ id, goneAt }, i) => {
      if (goneAt < before || i < tooMany) this.#all.delete(id);
    });
  }
}

module.exports = { Nodes };
