'use strict';

const { EventEmitter } = require('node:events');

const { diagnostics } = require('../diagnostics.js');
const { abortError, handledRejection } = require('../errors/errors.js');
const { isPayload } = require('../messaging/payloads.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { invalidValue, outOfRange } = require('../options/kinds.js');
const { CLUSTER_DEFAULTS } = require('../options/options.js');
const { alreadyListening, notRunning } = require('../server/listener.js');
const { CLUSTER_FIGURES } = require('../stats/figures.js');
const { Delivery } = require('./delivery.js');
const { closed } = require('./errors.js');
const { Executor } = require('./executor.js');
const { Groups } = require('./groups.js');
const { GroupHandle, SessionHandle, handled } = require('./handles.js');
const { BadLine } = require('./line.js');
const { Members, parseId } = require('./members.js');
const { Membership, drawId } = require('./membership.js');
const { Operations } = require('./operations.js');
const { content, encode } = require('./payload.js');
const { Questions } = require('./questions.js');
const { RemoteSessions } = require('./remote-sessions.js');

/** How many sessions a message may leave out. */
const MAX_EXCEPT = 100;
const NOBODY = new Set();

const parsed = (line) => {
  try {
    return line.payload() === '' ? undefined : JSON.parse(line.payload());
  } catch {
    throw new BadLine('malformed');
  }
};

/** The cluster that each engine belongs to, as long as its server listens. */
const clusterOf = new WeakMap();

/**
 * The servers of many processes as one: `server.cluster`.
 *
 * @fires SockhopCluster#up
 * @fires SockhopCluster#down (err)
 * @fires SockhopCluster#node_up (node)
 * @fires SockhopCluster#node_down (node, reason)
 * @fires SockhopCluster#gap ({node, missed, since})
 * @fires SockhopCluster#refused ({reason, from})
 * @fires SockhopCluster#remote (name, object, node)
 */
class SockhopCluster extends EventEmitter {
  #server;
  #connections;
  #settings;
  /** From `listen()` to `close()`: @type {?Membership} */
  #membership = null;
  /** Whether `listen()` waits for the broker. */
  #isJoining = false;
  #delivery;
  #members;
  #groups;
  #operations;
  #executor;
  #questions;
  #sessions;
  /** The id of this node while it is in no cluster. */
  #aloneId = drawId();
  /** Sums of the memberships before this one. */
  #past = {};

  /**
   * @param {SockhopServer} server
   * @param {object} parts
   * @param {ServerConnections} parts.connections
   * @param {Broadcaster} parts.broadcaster
   * @param {?object} parts.settings the checked option `cluster`; null without one
   */
  constructor(server, { connections, broadcaster, settings }) {
    super();
    this.#server = server;
    this.#connections = connections;
    this.#settings = settings;
    const { request_timeout: timeout, max_exact_groups: maxExact } = settings ?? CLUSTER_DEFAULTS;
    const membership = () => this.#membership;
    this.#delivery = new Delivery(server, connections, broadcaster);
    this.#members = new Members(connections, {
      start: (member) => this.#delivery.enter(member),
      end: (member) => this.#groups.leaveAll(member),
    });
    this.#operations = new Operations(membership, timeout);
    this.#questions = new Questions(membership, this.#delivery, this.#operations);
    this.#groups = new Groups(this.#delivery, {
      maxExact,
      timeout,
      onChange: (group) => this.#questions.forget(group),
    });
    const parts = { server, connections, members: this.#members, groups: this.#groups };
    this.#executor = new Executor({ ...parts, membership });
    this.#sessions = new RemoteSessions({
      ...parts,
      operations: this.#operations,
      requestTimeout: timeout,
      ownId: () => this.node,
      isKnown: (node) => this.#membership?.nodes.isUp(node) ?? false,
      sendControl: (node, extra) => this.#sendTo(node, 'C', extra),
    });
  }

  // ---- state ------------------------------------------------------------------------------------

  /** The id of this node, a new one at each `listen()`. @type {string} */
  get node() {
    return this.#membership?.id ?? this.#aloneId;
  }

  /** @type {'alone' | 'joining' | 'up' | 'down' | 'closed'} */
  get state() {
    return this.#settings === null ? 'alone' : (this.#membership?.state ?? 'closed');
  }

  /** The nodes of the cluster by their ids, this one included. @type {Map<string, object>} */
  get nodes() {
    const membership = this.#membership;
    const nodes = new Map();
    if (membership === null) return nodes;
    nodes.set(membership.id, membership.info);
    for (const node of membership.nodes.up) nodes.set(node.id, node.info);
    return nodes;
  }

  /** @returns {number} the clients of all nodes, as reported by the last heartbeats */
  count() {
    return this.#server._sockets.length + (this.#membership?.nodes.sessions ?? 0);
  }

  // ---- sessions and groups ----------------------------------------------------------------------

  /**
   * @param {SockhopSession | net.Socket} session of this server, or its socket
   * @returns {string} the address of the session, on all nodes
   * @throws {SockhopError} ERR_CLUSTER_NO_SESSION
   */
  id_of(session) {
    return `${this.node}.${this.#members.of(session).number}`;
  }

  /**
   * @param {string} id as `id_of()` returns it, on any node
   * @returns {SessionHandle}
   * @throws {TypeError} for a value that is not an id
   */
  session(id) {
    return new SessionHandle(id, parseId(id), this.#sessions);
  }

  /**
   * @param {SockhopSession | net.Socket} session of this server
   * @param {string} group
   * @returns {Promise<void>} fulfilled when messages that are published to the group from now on
   *   arrive
   */
  join(session, group) {
    return handled((async () => this.#groups.join(this.#members.of(session), group))());
  }

  /**
   * @param {SockhopSession | net.Socket} session of this server
   * @param {string} group
   * @returns {Promise<void>}
   */
  leave(session, group) {
    return handled((async () => this.#groups.leave(this.#members.of(session), group))());
  }

  /** @returns {Set<string>} the groups of a session of this server */
  groups_of(session) {
    return new Set(this.#members.of(session).groups);
  }

  /**
   * @param {string} name
   * @returns {GroupHandle}
   * @throws {TypeError | RangeError} for a value that is not a name
   */
  group(name) {
    return new GroupHandle(name, {
      send: (group, object, options) => this.#sendToGroup(group, object, options),
      count: (group) => this.#questions.count(group),
      ids: (group) => this.#questions.ids(group, this.node),
    });
  }

  /**
   * Makes the other nodes emit `remote`.
   *
   * @param {string} name
   * @param {*} object
   * @returns {Promise<void>} fulfilled when the broker has it
   */
  emit_remote(name, object) {
    return encoded(object, false, (payload) => {
      const message = content({ e: String(name) }, payload);
      return handled(this.#publish('V', (subjects) => subjects.all, message));
    });
  }

  #sendToGroup(group, object, options) {
    const ids = checkExcept(options?.except);
    return encoded(object, this.#jsonMode, (payload) => {
      const message = content(ids.length === 0 ? { g: group } : { g: group, x: ids }, payload);
      const sendHere = () => this.#delivery.toGroup(group, payload, this.#channelsOf(ids));
      return this.#both(sendHere, 'G', (subjects) => subjects.group(group).subject, message);
    });
  }

  /**
   * Sends an object to all clients of all nodes: `server.sendall()`.
   *
   * @param {*} object
   * @param {{local?: boolean, except?: string | string[]}} [options]
   * @param {function(): Promise} sendToLocal to all clients of this server
   * @returns {Promise}
   */
  sendToAll(object, options, sendToLocal) {
    const { local: isLocal = false, except } = options ?? {};
    const ids = checkExcept(except);
    if (ids.length === 0 && (isLocal || this.#settings === null)) return sendToLocal();
    return encoded(object, this.#jsonMode, (payload) => {
      // Where the native side cannot send, a program may have to see the object itself.
      const sendHere = () =>
        ids.length > 0 || this.#delivery.isNative
          ? this.#delivery.toAll(payload, this.#channelsOf(ids))
          : sendToLocal();
      if (isLocal || this.#settings === null) return sendHere();
      const message = content(ids.length === 0 ? undefined : { x: ids }, payload);
      return this.#both(sendHere, 'A', (subjects) => subjects.all, message);
    });
  }

  /** Sends a message to local clients, and then publishes it. */
  #both(sendHere, kind, subjectOf, message) {
    const tooLarge = this.#membership?.tooLarge(message) ?? null;
    if (tooLarge !== null) return handledRejection(tooLarge);
    const local = sendHere();
    if (this.#settings === null) return local;
    const published = this.#publish(kind, subjectOf, message);
    return handled(Promise.all([local, published]).then(([result]) => result));
  }

  async #publish(kind, subjectOf, message) {
    const membership = this.#membership;
    if (this.#settings === null) return;
    const refusal = membership === null ? closed() : membership.refusal(message);
    if (refusal !== null) {
      if (membership !== null) membership.counters.lost += 1;
      throw refusal;
    }
    membership.publish(kind, subjectOf(membership.subjects), message);
    await membership.outbox.ready();
  }

  get #jsonMode() {
    return this.#connections.options.peer_type === 'json';
  }

  /** The channels of those ids that belong to this node. */
  #channelsOf(ids) {
    if (ids.length === 0) return NOBODY;
    const channels = new Set();
    for (const { node, number } of ids.map(parseId)) {
      const member = node === this.node ? this.#members.numbered(number) : undefined;
      if (member !== undefined) channels.add(member.channel);
    }
    return channels;
  }

  #sendTo(node, kind, extra) {
    const membership = this.#membership;
    const message = content(extra);
    if (membership === null || membership.refusal(message) !== null) return;
    membership.publish(kind, membership.subjects.node(node), message);
  }

  // ---- joining and leaving, for the server ------------------------------------------------------

  get hasEngine() {
    return this.#settings !== null;
  }

  /**
   * Joins the cluster, if there is one, and then listens.
   *
   * @param {function(): Promise<net.Server>} listen
   * @param {AbortSignal} [signal] of `server.listen()`
   * @returns {Promise<net.Server>}
   */
  async listen(listen, signal) {
    if (this.#isJoining) throw alreadyListening();
    if (this.#settings === null || this.#membership !== null || signal?.aborted) return listen();
    const { engine } = this.#settings;
    if ((clusterOf.get(engine) ?? this) !== this) throw engineInUse(engine);
    clusterOf.set(engine, this);
    const membership = new Membership(this.#settings, {
      handlers: this.#handlers(),
      runHandlers: this.#runHandlers(),
      events: this.#events(),
      describe: () => ({
        sessions: this.#server._sockets.length,
        peerType: this.#connections.options.peer_type,
      }),
      maxMessageSize: this.#connections.options.max_message_size,
    });
    this.#membership = membership;
    const onAbort = () => membership.leave();
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#isJoining = true;
    try {
      await membership.join();
      this.#isJoining = false;
      this.#groups.attach(membership);
      return await listen();
    } catch (err) {
      if (this.#membership === membership) await this.close();
      throw this.#isJoining ? joinError(err, signal) : err;
    } finally {
      this.#isJoining = false;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Leaves the cluster. @returns {Promise<void>} */
  async close() {
    const membership = this.#membership;
    if (membership === null) return;
    this.#executor.flush();
    this.#membership = null;
    this.#groups.detach();
    this.#operations.close();
    this.#sessions.requests.close(closed());
    this.#executor.close();
    this.#questions.close();
    await membership.leave();
    // The server may listen again already.
    if (this.#membership === null) clusterOf.delete(this.#settings.engine);
    for (const [name, value] of Object.entries(statsOf(membership))) {
      this.#past[name] = (this.#past[name] ?? 0) + value;
    }
  }

  /** @returns {object} the figure `cluster` of `stats()` */
  stats() {
    const stats = Object.fromEntries(Object.keys(CLUSTER_FIGURES).map((name) => [name, 0]));
    stats.up = this.state === 'up' ? 1 : 0;
    stats.nodes = this.nodes.size;
    stats.held_bytes = this.#membership?.outbox.bytes ?? 0;
    for (const figures of [this.#past, this.#membership && statsOf(this.#membership)]) {
      for (const [name, value] of Object.entries(figures ?? {})) stats[name] += value;
    }
    return stats;
  }

  // ---- from other nodes -------------------------------------------------------------------------

  #handlers() {
    const sessions = this.#sessions;
    return new Map([
      ...this.#executor.handlers,
      ['A', (line) => this.#onBroadcast(line)],
      ['G', (line) => this.#onGroupMessage(line)],
      ['C', (line) => this.#onConfirmation(line.node, line.extra())],
      ['R', (line) => this.#onAnswer(line)],
      ['P', (line) => this.#onPacket(line)],
      [
        'X',
        (line) => {
          const extra = line.extra();
          if (!sessions.requests.onEnd(line.node, extra)) this.#operations.forgetAnswer(extra.k);
        },
      ],
      ['?', (line) => this.#questions.answer(line.node, line.extra())],
      ['!', (line) => this.#questions.onAnswer(line.node, line.extra())],
      ['V', (line) => this.#onRemoteEvent(line)],
    ]);
  }

  /** Functions that pass on messages that were published as one; each returns whether it did. */
  #runHandlers() {
    return new Map([
      ['A', (run) => this.#delivery.passRun(null, run, this.#exceptOf(run.extra()))],
      [
        'G',
        (run) => {
          const extra = run.extra();
          if (this.#delivery.membersOf(extra.g).size === 0) return true;
          return this.#delivery.passRun(extra.g, run, this.#exceptOf(extra));
        },
      ],
    ]);
  }

  #onRemoteEvent(line) {
    const { e: name } = line.extra();
    if (typeof name !== 'string') throw new BadLine('malformed');
    this.#notify('remote', name, parsed(line), line.node);
  }

  #onBroadcast(line) {
    handled(this.#delivery.passToAll(line, this.#exceptOf(line.extra())));
  }

  #onGroupMessage(line) {
    const extra = line.extra();
    if (this.#delivery.membersOf(extra.g).size === 0) return;
    handled(this.#delivery.passToGroup(extra.g, line, this.#exceptOf(extra)));
  }

  /** The channels that the extra fields of another node leave out. @throws {BadLine} */
  #exceptOf({ x: ids }) {
    return ids === undefined ? NOBODY : this.#channelsOf(checkedIds(ids));
  }

  #onConfirmation(node, extra) {
    // The asking node of a request reports how much of the answer it has taken.
    if (extra.w !== undefined || extra.stop === true) this.#executor.onStreamControl(node, extra);
    else this.#operations.onConfirmed(node, extra);
  }

  #onAnswer(line) {
    this.#operations.onAnswer(line.node, line.extra().k, parsed(line), line.type);
  }

  #onPacket(line) {
    const { node, type } = line;
    const { length } = line.payload();
    this.#sessions.requests.onPacket(node, line.extra(), parsed(line), type, length);
  }

  // ---- events -----------------------------------------------------------------------------------

  #events() {
    return {
      up: () => this.#notify('up'),
      down: (err) => this.#notify('down', err),
      nodeUp: (node) => this.#notify('node_up', node.info),
      nodeDown: (node, reason) => {
        this.#operations.onNodeGone(node.id);
        this.#sessions.requests.onNodeGone(node.id);
        this.#executor.onNodeGone(node.id);
        this.#questions.onNodeGone(node.id);
        this.#notify('node_down', node.info, reason);
      },
      gap: (details) => this.#notify('gap', details),
      refused: (details) => this.#notify('refused', details),
      nobody: (ticket) => this.#operations.onNobody(ticket),
      denied: (subject, err) => this.#operations.onDenied(subject, err),
    };
  }

  [Symbol.for('nodejs.util.inspect.custom')](_depth, { stylize }) {
    const { size } = this.nodes;
    const nodes = `${size} node${size === 1 ? '' : 's'}`;
    return `${this.constructor.name} { ${stylize(this.node, 'string')}, ${this.state}, ${nodes} }`;
  }

  /** An error of a listener must not keep this node from handling the next message. */
  #notify(event, ...details) {
    try {
      diagnostics.cluster.publish({ server: this.#server, event, details });
      this.emit(event, ...details);
    } catch (err) {
      throwUncaught(err);
    }
  }
}

/** The error of `listen()` is that of a server without a cluster if the program has ended it. */
function joinError(err, signal) {
  if (signal?.aborted) return abortError(signal);
  return err.code === 'ERR_CLUSTER_CLOSED' ? notRunning() : err;
}

/**
 * Encodes an object, and passes it on. An error of the program's own code rejects, as that of
 * `send()` does.
 *
 * @param {*} object
 * @param {boolean} jsonMode
 * @param {function({type: string, json: string}): Promise} use
 * @returns {Promise}
 * @throws {TypeError} for a value that cannot be sent
 */
function encoded(object, jsonMode, use) {
  let payload;
  try {
    payload = encode(object, jsonMode);
  } catch (err) {
    if (!isPayload(object)) throw err;
    return Promise.reject(err);
  }
  return use(payload);
}

const engineInUse = (engine) =>
  invalidValue(
    'The "options.cluster.engine" property',
    'an engine that no other server uses: each server needs one of its own',
    engine,
  );

/**
 * @param {string | string[]} [except]
 * @returns {string[]}
 * @throws {TypeError | RangeError}
 */
function checkExcept(except) {
  if (except === undefined || except === null) return [];
  const ids = Array.isArray(except) ? except : [except];
  if (ids.length > MAX_EXCEPT) {
    throw outOfRange('The number of sessions in "except"', `<= ${MAX_EXCEPT}`, ids.length);
  }
  for (const id of ids) parseId(id);
  return ids;
}

/** Ids of another node. @throws {BadLine} */
function checkedIds(ids) {
  try {
    return checkExcept(ids);
  } catch {
    throw new BadLine('malformed');
  }
}

function statsOf({ counters, outbox, refusals }) {
  return { ...counters, republished: outbox.republished, refused: refusals.count };
}

module.exports = { SockhopCluster };
