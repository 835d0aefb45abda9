'use strict';

const { randomBytes } = require('node:crypto');

const { clearTimeout, setTimeout } = require('../real-timers.js');
const { closed, notHeard, denied, notJoined, notJoinedInTime } = require('./errors.js');
const { Heartbeats } = require('./heartbeats.js');
const { Nodes } = require('./nodes.js');
const { Publisher } = require('./publisher.js');
const { Receiver } = require('./receiver.js');
const { Refusals } = require('./refusals.js');
const { Replay } = require('./replay.js');
const { Signer } = require('./signing.js');
const { Subjects } = require('./subjects.js');
const { Subscriptions } = require('./subscriptions.js');

const noop = () => {};

/** 96 random bits, as 16 characters. */
const NODE_ID_BYTES = 12;
/** How long the goodbye may take, in ms. */
const GOODBYE_MS = 1000;
/** How many reasons for the loss of the broker are reported until it is reached. */
const MAX_REASONS = 10;

/**
 * The membership of a server in a cluster, from one `join()` to `leave()`. It follows the state of
 * the broker and of the other nodes, and decides when messages may leave.
 *
 * @typedef {'joining' | 'up' | 'down' | 'closed'} MembershipState
 */
class Membership {
  #engine;
  #settings;
  #events;
  #heartbeats;
  #publisher;
  #receiver;
  /** Reads missed messages; null without the option. @type {?Replay} */
  #replay;
  /** Whether the engine is open and has subscribed to the subjects that every node receives. */
  #isOpen = false;
  /** Ends the wait of `join()`. @type {?{resolve: Function, reject: Function}} */
  #joining = null;
  #markOpened;
  /** Fulfilled when the engine can subscribe. */
  #opened = new Promise((resolve) => {
    this.#markOpened = resolve;
  });
  /** Whether the subscriptions of every node were asked for. */
  #isSubscribing = false;
  #rejoinTimer = null;
  /** Runs `#retry()`'s task. */
  #retryTimer = null;
  /** The reasons that were reported since the broker was last reached. @type {Set<string>} */
  #told = new Set();
  #lastError;

  id = drawId();
  /** @type {MembershipState} */
  state = 'joining';
  /** Whether the engine reaches the broker. */
  isLinked = false;
  /** Whether messages wait for other nodes that were there before an outage. */
  isRejoining = false;
  /** Whether this node has not heard itself for too long. */
  #isDeaf = false;
  nodes = new Nodes();
  counters = { published: 0, received: 0, duplicates: 0, gaps: 0, missed: 0, lost: 0 };

  /**
   * @param {object} settings the checked option `cluster`
   * @param {object} parts
   * @param {Map<string, Function>} parts.handlers
   * @param {Map<string, Function>} parts.runHandlers
   * @param {object} parts.events its methods are called at changes
   * @param {function(): {sessions: number, peerType: string}} parts.describe
   * @param {number} parts.maxMessageSize
   */
  constructor(settings, { handlers, runHandlers, events, describe, maxMessageSize }) {
    const { engine, prefix, secret } = settings;
    this.#engine = engine;
    this.#settings = settings;
    this.#events = events;
    this.subjects = new Subjects(prefix, engine.wildcards);
    this.subscriptions = new Subscriptions(engine, this.#opened, (err) => denied(prefix, err));
    this.refusals = new Refusals((what) => events.refused(what));
    const signer = secret === null ? null : new Signer(secret);
    this.#publisher = new Publisher(this, {
      engine,
      signer,
      maxMessageSize,
      holdSize: settings.hold_size,
      holdTime: settings.hold_time,
    });
    this.outbox = this.#publisher.outbox;
    this.#replay =
      settings.replay === 0
        ? null
        : new Replay(engine, {
            subject: this.subjects.all,
            length: settings.replay,
            interval: settings.heartbeat_interval,
            nodeTimeout: settings.node_timeout,
            deliver: (bytes) => this.#receiver.receive(this.subjects.all, bytes),
          });
    this.#heartbeats = new Heartbeats(this, {
      interval: settings.heartbeat_interval,
      nodeTimeout: settings.node_timeout,
      isSigned: secret !== null,
      describe,
    });
    this.#receiver = new Receiver(this, {
      heartbeats: this.#heartbeats,
      signer,
      handlers,
      runHandlers,
      onGap: (gap) => events.gap(gap),
    });
  }

  /** The time between two heartbeats, in ms. */
  get interval() {
    return this.#heartbeats.interval;
  }

  /** Whether one subscription can bring the messages of many groups. */
  get canShare() {
    return this.#engine.wildcards;
  }

  /** Whether earlier messages to all clients may still arrive. */
  get isBehind() {
    return this.#replay?.isBehind === true;
  }

  /** Like `cluster.nodes` shows this node. */
  get info() {
    return { id: this.id, ...this.#heartbeats.details, last_heard: Date.now() };
  }

  // ---- joining and leaving ----------------------------------------------------------------------

  /** @returns {Promise<void>} fulfilled when this node can be reached; rejects with ERR_CLUSTER_JOIN */
  async join() {
    const { join_timeout: timeout } = this.#settings;
    this.#heartbeats.start();
    const joined = new Promise((resolve, reject) => {
      this.#joining = { resolve, reject };
    });
    this.#tryToOpen();
    if (timeout === 0) {
      joined.catch(noop);
      return;
    }
    const timer = setTimeout(
      () => this.#joining?.reject(notJoinedInTime(timeout, this.#lastError)),
      timeout,
    );
    try {
      await joined;
    } catch (err) {
      await this.leave();
      throw err;
    } finally {
      clearTimeout(timer);
      this.#joining = null;
    }
  }

  async #tryToOpen() {
    try {
      await this.#open();
    } catch (err) {
      if (this.state === 'closed') return;
      this.#cannotJoin(err);
      if (this.#settings.join_timeout !== 0) return;
      await this.#engine.close().catch(noop);
      this.#retry(() => this.#tryToOpen());
    }
  }

  async #open() {
    const { max_payload } = await this.#engine.open({
      inbox: this.subjects.node(this.id),
      deliver: (subject, bytes) => {
        if (!this.#replay?.holds(subject, bytes)) this.#receiver.receive(subject, bytes);
      },
      state: (isUp, cause) => this.#onLink(isUp, cause),
      nobody: (ticket) => {
        for (const one of this.outbox.ticketsOf(ticket)) this.#events.nobody(one);
      },
      denied: (subject, cause) => this.#onDenied(subject, cause),
    });
    if (this.state === 'closed') return;
    this.#publisher.limitPayload(max_payload);
    await this.#replay?.prepare();
    this.#markOpened();
    await this.#subscribe();
    if (this.state === 'closed') return;
    this.#isOpen = true;
    this.#onLink(true);
  }

  #subscribe() {
    if (this.#isSubscribing) return this.subscriptions.renew();
    this.#isSubscribing = true;
    const { all, heartbeats } = this.subjects;
    const subjects = [all, heartbeats, this.subjects.node(this.id)];
    return Promise.all(subjects.map((subject) => this.subscriptions.add(subject)));
  }

  /** Runs a task after an interval, unless this node leaves. */
  #retry(task) {
    if (this.state === 'closed') return;
    this.#retryTimer = setTimeout(task, this.interval);
    this.#retryTimer.unref?.();
  }

  /** An error that does not go away by waiting. */
  #cannotJoin(err) {
    this.#lastError = err;
    if (this.#settings.join_timeout === 0) this.#tell(notJoined(err));
    else this.#joining?.reject(notJoined(err));
  }

  /** Emits `down` with the reason, each reason once. */
  #tell(err) {
    if (this.#told.has(err.message) || this.#told.size >= MAX_REASONS) return;
    this.#told.add(err.message);
    this.#events.down(err);
  }

  /** Announces that this node leaves. @returns {Promise<void>} */
  async leave() {
    if (this.state === 'closed') return;
    const { isLinked } = this;
    this.state = 'closed';
    this.isLinked = false;
    this.#heartbeats.stop();
    clearTimeout(this.#rejoinTimer);
    clearTimeout(this.#retryTimer);
    this.#replay?.close();
    this.#joining?.reject(closed());
    this.counters.lost += this.outbox.close().length;
    if (isLinked) await this.#goodbye();
    this.nodes.clear();
    await this.#engine.close().catch(noop);
  }

  /**
   * Announces to the other nodes that this node leaves, without waiting for a broker that does not
   * answer. Afterwards the broker reports that messages to this node have no receiver.
   */
  async #goodbye() {
    let timer;
    const patience = new Promise((resolve) => {
      timer = setTimeout(resolve, GOODBYE_MS);
    });
    const said = async () => {
      await this.#engine.unsubscribe(this.subjects.node(this.id));
      await this.#engine.flush();
      this.publishUnkept('B', this.subjects.heartbeats, {});
      await this.#engine.flush();
    };
    await Promise.race([said().catch(noop), patience]);
    clearTimeout(timer);
  }

  // ---- the state of the broker ------------------------------------------------------------------

  #onLink(isUp, cause) {
    if (this.state === 'closed') return;
    if (!isUp) this.#lose(cause);
    // `#open()` makes the first subscriptions, and reports the link afterwards.
    else if (this.#isOpen && !this.isLinked) this.#rejoin();
  }

  /** The broker is not reached, or not yet. */
  #lose(cause) {
    this.isLinked = false;
    this.#lastError = cause;
    this.outbox.hold();
    clearTimeout(this.#rejoinTimer);
    this.isRejoining = false;
    if (this.state === 'up') {
      this.state = 'down';
      this.#replay?.hold();
    }
    if (this.state === 'down') this.#tell(cause);
    else if (this.#settings.join_timeout === 0) this.#tell(notJoined(cause));
  }

  #rejoin() {
    this.isLinked = true;
    for (const node of this.nodes.up) node.isBack = false;
    this.#heartbeats.announce();
  }

  /**
   * This node does not hear itself, although the engine reports the broker as reached. If the
   * broker was only silent, the subscriptions stay. After it has confirmed a new subscription, a
   * broker may still deliver a message for the old one, which would be lost.
   */
  onDeaf() {
    const areSubscriptionsLost = this.#isDeaf;
    this.#isDeaf = true;
    this.#lose(notHeard());
    if (areSubscriptionsLost) this.#renew();
    else this.#awaitAnswer();
  }

  /** Waits until the broker answers, and then announces this node again. */
  async #awaitAnswer() {
    if (this.isLinked) return;
    try {
      await this.#engine.flush();
    } catch {
      // The engine reports that the broker is away.
      this.#retry(() => this.#awaitAnswer());
      return;
    }
    this.#onLink(true);
  }

  async #renew() {
    if (this.isLinked) return;
    try {
      await this.subscriptions.renew();
      this.#onLink(true);
    } catch (err) {
      if (this.isLinked || this.state === 'closed') return;
      this.#lose(err);
      this.#retry(() => this.#renew());
    }
  }

  /** The broker refuses messages of this node to a subject. */
  #onDenied(subject, cause) {
    if (this.state === 'closed') return;
    const err = denied(this.#settings.prefix, cause);
    if (this.state === 'joining') {
      this.#cannotJoin(err);
      return;
    }
    if (subject !== this.subjects.heartbeats) this.counters.lost += 1;
    this.refusals.add('permission', subject, err);
    this.#events.denied(subject, err);
  }

  #releaseWhenAllAreBack() {
    if (this.isRejoining && this.nodes.up.every(({ isBack }) => isBack)) this.#release();
  }

  #release() {
    clearTimeout(this.#rejoinTimer);
    this.isRejoining = false;
    this.outbox.release();
  }

  // ---- publishing -------------------------------------------------------------------------------

  /**
   * @param {Content} content
   * @returns {?SockhopError} if it cannot be published
   */
  refusal(content) {
    if (this.state === 'closed') return closed();
    return this.tooLarge(content) ?? this.outbox.refusal(content.size);
  }

  /** @returns {?SockhopError} if a message is too large for the cluster */
  tooLarge(content) {
    return this.#publisher.tooLarge(content);
  }

  /**
   * Publishes a message, which is kept until the broker has it. `refusal()` must have been asked.
   *
   * @param {string} kind
   * @param {string} subject
   * @param {Content} content
   * @param {number} [ticket] for the report that it has no receiver
   * @returns {Kept}
   */
  publish(kind, subject, content, ticket) {
    return this.#publisher.publish(kind, subject, content, ticket);
  }

  /** Publishes a message that is worth nothing later. */
  publishUnkept(kind, subject, extra) {
    this.#publisher.publishUnkept(kind, subject, extra);
  }

  // ---- the other nodes --------------------------------------------------------------------------

  /** The broker has returned a heartbeat of this node. */
  onHeardSelf() {
    this.#isDeaf = false;
    if (!this.#heartbeats.heardSelf()) return;
    this.state = 'up';
    this.#replay?.catchUp();
    this.#told.clear();
    this.isRejoining = true;
    this.#rejoinTimer = setTimeout(() => this.#release(), this.#settings.rejoin_time);
    this.#rejoinTimer.unref?.();
    this.#joining?.resolve();
    this.#events.up();
    this.#releaseWhenAllAreBack();
  }

  /** Another node of this cluster has sent a heartbeat. */
  onNodeHeard(node) {
    node.hasLeft = false;
    if (!node.isUp) {
      node.isUp = true;
      this.#events.nodeUp(node);
    }
    this.#releaseWhenAllAreBack();
  }

  /** @param {'left' | 'silent'} reason */
  onNodeGone(node, reason) {
    node.isUp = false;
    node.hasLeft = reason === 'left';
    node.goneAt = Date.now();
    this.#events.nodeDown(node, reason);
    this.#releaseWhenAllAreBack();
  }

  /** Another node has drawn the same id. */
  onSameId() {
    this.refusals.add('id in use', this.id);
    const old = this.subjects.node(this.id);
    this.id = drawId();
    this.subscriptions.remove(old);
    this.subscriptions.add(this.subjects.node(this.id)).catch(noop);
    this.#heartbeats.announce();
  }
}

/** @returns {string} the id of a node */
function drawId() {
  return randomBytes(NODE_ID_BYTES).toString('base64url');
}

module.exports = { Membership, drawId };
