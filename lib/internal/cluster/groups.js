'use strict';

const { outOfRange } = require('../options/kinds.js');
const { clearTimeout, setTimeout } = require('../real-timers.js');
const { away, noSession } = require('./errors.js');
const { checkGroupName } = require('./subjects.js');

/** How many groups a session may be in. */
const MAX_GROUPS = 1000;

/**
 * The groups of the local sessions, and the subscriptions that bring their messages.
 *
 * A group has a subscription of its own, until there are too many: then all groups of a shard share
 * one, if the engine can do that.
 */
class Groups {
  #delivery;
  /** @type {?Membership} */
  #membership = null;
  #maxExact;
  #timeout;
  /** The groups with local members, by their shards: @type {Map<number, Set<string>>} */
  #shards = new Map();
  /** The shards that have one subscription for all their groups. */
  #shared = new Set();
  /** How many groups have a subscription of their own. */
  #exact = 0;
  /** Is called when the members of a group change: @type {function(string): void} */
  #onChange;

  /**
   * @param {Delivery} delivery
   * @param {object} settings
   * @param {number} settings.maxExact the option `max_exact_groups`
   * @param {number} settings.timeout the option `request_timeout`
   * @param {function(string): void} settings.onChange
   */
  constructor(delivery, { maxExact, timeout, onChange }) {
    this.#delivery = delivery;
    this.#maxExact = maxExact;
    this.#timeout = timeout;
    this.#onChange = onChange;
  }

  /** This server joins its cluster. @returns {void} */
  attach(membership) {
    this.#membership = membership;
    for (const group of this.#delivery.groupNames) this.#subscribe(group).catch(() => {});
  }

  /** This server has left its cluster. */
  detach() {
    this.#membership = null;
    this.#shards.clear();
    this.#shared.clear();
    this.#exact = 0;
  }

  /**
   * @param {Member} member
   * @param {string} group
   * @returns {Promise<void>} fulfilled when messages that are published from now on arrive
   */
  async join(member, group) {
    checkGroupName(group);
    if (member.hasEnded) throw noSession('any more');
    const { groups } = member;
    if (groups.size >= MAX_GROUPS && !groups.has(group)) {
      throw outOfRange('The number of groups of a session', `<= ${MAX_GROUPS}`, groups.size + 1);
    }
    const isNew = !groups.has(group);
    groups.add(group);
    if (isNew && this.#delivery.join(member, group)) this.#subscribe(group).catch(() => {});
    if (isNew) this.#onChange(group);
    await this.#confirmed(group);
  }

  /** @returns {Promise<void>} */
  async leave(member, group) {
    checkGroupName(group);
    if (!member.groups.delete(group)) return;
    this.#leave(member, group);
  }

  /** The session of a member has ended. */
  leaveAll(member) {
    for (const group of member.groups) this.#leave(member, group);
    member.groups.clear();
  }

  #leave(member, group) {
    if (this.#delivery.leave(member, group)) this.#unsubscribe(group);
    this.#onChange(group);
  }

  // ---- subscriptions ----------------------------------------------------------------------------

  /** @returns {Promise<void>} fulfilled when the subscription of a group is confirmed */
  async #confirmed(group) {
    const membership = this.#membership;
    if (membership === null) return;
    const subscribed = membership.subscriptions.confirmed(this.#subjectOf(group));
    if (subscribed === null) return;
    let timer;
    const patience = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(away(`the subscription was not confirmed for ${this.#timeout} ms`)),
        this.#timeout,
      );
    });
    try {
      await Promise.race([subscribed, patience]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The subject whose subscription brings the messages of a group. */
  #subjectOf(group) {
    const { subjects } = this.#membership;
    const { subject, shard } = subjects.group(group);
    return this.#shared.has(shard) ? subjects.shard(shard) : subject;
  }

  async #subscribe(group) {
    if (this.#membership === null) return;
    const { subject, shard } = this.#membership.subjects.group(group);
    let groups = this.#shards.get(shard);
    if (groups === undefined) {
      groups = new Set();
      this.#shards.set(shard, groups);
    }
    groups.add(group);
    if (this.#shared.has(shard)) return;
    this.#exact += 1;
    const subscribed = this.#membership.subscriptions.add(subject);
    if (this.#exact > this.#maxExact && this.#membership.canShare) this.#share();
    await subscribed;
  }

  #unsubscribe(group) {
    if (this.#membership === null) return;
    const { subjects, subscriptions, nodes } = this.#membership;
    const { subject, shard } = subjects.group(group);
    const groups = this.#shards.get(shard);
    groups.delete(group);
    if (groups.size === 0) this.#shards.delete(shard);
    if (!this.#shared.has(shard)) {
      this.#exact -= 1;
      if (subscriptions.remove(subject)) nodes.forgetSubject(subject);
    } else if (groups.size === 0) {
      this.#shared.delete(shard);
      subscriptions.remove(subjects.shard(shard));
    }
  }

  /** Makes all groups of the fullest shard share one subscription, and gives up their own. */
  #share() {
    let fullest;
    let most = 0;
    for (const [shard, { size }] of this.#shards) {
      if (this.#shared.has(shard) || size <= most) continue;
      fullest = shard;
      most = size;
    }
    if (fullest === undefined) return;
    const { subjects, subscriptions } = this.#membership;
    const groups = [...this.#shards.get(fullest)];
    this.#shared.add(fullest);
    this.#exact -= groups.length;
    // A message that arrives over both meanwhile is recognised by its number, and dropped.
    subscriptions.add(subjects.shard(fullest)).then(
      () => {
        for (const group of groups) subscriptions.remove(subjects.group(group).subject);
      },
      () => {},
    );
  }
}

module.exports = { Groups };
