'use strict';

const os = require('node:os');

const { VERSION } = require('../native/version.js');
const { clearTimeout, now, setImmediate, setTimeout, wallClock } = require('../real-timers.js');

/** The versions of messages between nodes that this package speaks. */
const VERSIONS = [1];
/** Beyond this many nodes the interval grows, by this many ms a node. */
const MANY_NODES = 100;
const MS_PER_NODE = 10;
/** The longest time between two turns that counts as heard, as a multiple of the interval. */
const LONGEST_TURN = 1.5;
/** The longest name of a host, and the longest version, in characters. */
const MAX_TEXT = 255;
/** How far the clocks of nodes that sign may differ, in ms. */
const MAX_SKEW_MS = 300_000;

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isShortText = (value) => typeof value === 'string' && value.length <= MAX_TEXT;

/**
 * Sends the heartbeats of a node, and notices which other nodes are in the cluster.
 *
 * Silence of others counts only while this node hears itself. Time without the broker, without its
 * answers, or without a turn of the event loop does not count.
 */
class Heartbeats {
  #membership;
  #interval;
  #nodeTimeout;
  #describe;
  #isSigned;
  #timer = null;
  #lastTurn = 0;
  /** The time in which this node reached the broker, in ms. */
  #clock = 0;
  /** When this node heard itself last, on the clock; null since it reached the broker. */
  #selfHeardAt = null;
  /** The time in which this node has heard itself, in ms, and when that was counted. */
  #heardTime = 0;
  #countedAt = 0;
  /** When this node reached the broker, on the clock. */
  #arrivedAt = 0;
  /** The questions of other nodes that the next heartbeat answers, in pairs of node and number. */
  #questions = [];
  /** How often this node has reached the broker. */
  #arrivals = 0;
  #since = 0;

  /**
   * @param {object} membership
   * @param {object} settings
   * @param {number} settings.interval in ms
   * @param {number} settings.nodeTimeout in ms
   * @param {boolean} settings.isSigned
   * @param {function(): {sessions: number, peerType: string}} settings.describe
   */
  constructor(membership, { interval, nodeTimeout, isSigned, describe }) {
    this.#membership = membership;
    this.#interval = interval;
    this.#nodeTimeout = nodeTimeout;
    this.#isSigned = isSigned;
    this.#describe = describe;
  }

  /** The time between two heartbeats, in ms. */
  get interval() {
    const nodes = this.#membership.nodes.size + 1;
    return nodes > MANY_NODES ? Math.max(this.#interval, nodes * MS_PER_NODE) : this.#interval;
  }

  /** When this node was started, in ms since 1970. */
  get since() {
    return this.#since;
  }

  /** The content of a heartbeat of this node. */
  get details() {
    const { sessions } = this.#describe();
    return {
      sessions,
      since: this.#since,
      host: os.hostname(),
      pid: process.pid,
      version: VERSION,
    };
  }

  start() {
    this.#since = wallClock();
    this.#lastTurn = now();
    this.#schedule();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule() {
    this.#timer = setTimeout(() => this.#turn(), this.interval);
    this.#timer.unref?.();
  }

  #turn() {
    const { interval } = this;
    const time = now();
    const passed = Math.min(time - this.#lastTurn, LONGEST_TURN * interval);
    this.#lastTurn = time;
    this.#schedule();
    if (!this.#membership.isLinked) return;
    this.#clock += passed;
    this.send();
    if (this.#clock - (this.#selfHeardAt ?? this.#arrivedAt) > this.#nodeTimeout) {
      this.#membership.onDeaf();
    }
  }

  /** Sends a heartbeat. It asks for answers until this node knows that it is heard. */
  send() {
    const membership = this.#membership;
    const { sessions, peerType } = this.#describe();
    const extra = {
      v: VERSIONS,
      p: peerType,
      s: sessions,
      t: this.#since,
      h: os.hostname(),
      i: process.pid,
      n: VERSION,
      c: membership.outbox.confirmed,
    };
    if (this.#selfHeardAt === null || membership.isRejoining) extra.q = this.#arrivals;
    if (this.#questions.length > 0) extra.r = this.#questions.splice(0);
    if (this.#isSigned) extra.w = wallClock();
    membership.publishUnkept('H', membership.subjects.heartbeats, extra);
  }

  /** The broker is reached: announces this node, and waits to hear itself and the others. */
  announce() {
    this.#arrivals += 1;
    this.#arrivedAt = this.#clock;
    this.#selfHeardAt = null;
    this.send();
  }

  /** @returns {boolean} whether this is the first heartbeat since the broker was reached */
  heardSelf() {
    const isFirst = this.#selfHeardAt === null;
    this.#heardTime = isFirst ? this.#heardTime : this.#hearing;
    this.#countedAt = now();
    this.#selfHeardAt = this.#clock;
    if (!isFirst) this.#findSilent();
    return isFirst;
  }

  /** The time in which this node has heard itself, if it still does. */
  get #hearing() {
    const passed = now() - this.#countedAt;
    return this.#heardTime + Math.min(passed, LONGEST_TURN * this.interval);
  }

  #findSilent() {
    const longest = Math.max(this.#nodeTimeout, 3 * this.interval);
    for (const node of this.#membership.nodes.up) {
      if (this.#heardTime - node.heardAt > longest) this.#membership.onNodeGone(node, 'silent');
    }
  }

  /**
   * @param {object} extra of a heartbeat
   * @returns {?string} why the node does not belong to this cluster; null if it does
   */
  objection(extra) {
    if (!Array.isArray(extra.v) || !extra.v.some((one) => VERSIONS.includes(one))) return 'version';
    if (extra.p !== this.#describe().peerType) return 'peer type';
    if (this.#isSigned && !(Math.abs(wallClock() - extra.w) <= MAX_SKEW_MS)) return 'old signature';
    const { s, c, t, i, h, n } = extra;
    const isUsable = [s, c, t, i].every(isCount) && [h, n].every(isShortText);
    return isUsable ? null : 'malformed';
  }

  /** Another node was heard. */
  heard(node, extra) {
    node.heardAt = this.#selfHeardAt === null ? this.#heardTime : this.#hearing;
    node.lastHeard = wallClock();
    // Only a node that hears this one is back: a heartbeat may have waited in a client.
    node.isBack ||= this.#answers(extra.r);
    node.details = {
      sessions: extra.s,
      since: extra.t,
      host: extra.h,
      pid: extra.i,
      version: extra.n,
    };
    if (Number.isSafeInteger(extra.q)) this.#answerSoon(node.id, extra.q);
  }

  /** Whether a heartbeat answers one that this node has sent since it reached the broker. */
  #answers(answered) {
    const { id } = this.#membership;
    return (
      Array.isArray(answered) &&
      answered.some((one) => one?.[0] === id && one[1] === this.#arrivals)
    );
  }

  /** One heartbeat answers all nodes that have asked in this turn of the event loop. */
  #answerSoon(node, number) {
    this.#questions.push([node, number]);
    if (this.#questions.length > 1) return;
    setImmediate(() => {
      if (this.#membership.isLinked && this.#questions.length > 0) this.send();
      this.#questions = [];
    });
  }
}

module.exports = { Heartbeats };
