'use strict';

const { clearTimeout, nextTick, setTimeout } = require('../internal/real-timers.js');

const { JetStreamLog } = require('../internal/cluster/jetstream-log.js');

const noop = () => {};

/** The status of a message that the server sends if a subject has no subscriber. */
const NO_RESPONDERS = 503;
/** How long a connection that this engine makes waits between attempts, in ms. */
const RECONNECT_MS = 250;

/** Schemes of URLs that the clients take; without one, a URL is a host with a port. */
const SCHEMES = ['nats', 'tls'];

/** Packages of the client, the first one that is installed is used. */
const PACKAGES = ['@nats-io/transport-node', 'nats'];

/** @returns {object} the package that is installed */
function loadClient() {
  for (const name of PACKAGES) {
    try {
      return require(name);
    } catch (err) {
      if (err.code !== 'MODULE_NOT_FOUND') throw err;
    }
  }
  throw new Error(`A cluster over NATS needs one of these packages: ${PACKAGES.join(', ')}`);
}

/** The error by which the server refuses a publication or a subscription, of either package. */
const operationOf = ({ error, permissionContext }) => error ?? permissionContext;

/** A subscription of a connection, and the error with which the server has refused it. */
class Subscription {
  #made;
  /** @type {?Error} */
  refusal = null;

  constructor(connection, subject, onMessage) {
    this.#made = connection.subscribe(subject, {
      callback: (err, message) => {
        if (err) this.refusal = err;
        else onMessage(message);
      },
    });
  }

  end() {
    this.#made.unsubscribe();
  }
}

/**
 * An engine over NATS core.
 *
 * @implements {ClusterEngine}
 */
class NatsEngine {
  #options;
  #given;
  #connection = null;
  #host = null;
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  #inbox = null;
  /** The messages that the server keeps. @type {?JetStreamLog} */
  #log = null;
  /** Bytes that the server has not confirmed. */
  #pending = 0;
  /** Whether the connection has lost its server. */
  #isDown = false;
  /** Calls that wait until the server can be reached again. @type {Function[]} */
  #waiting = [];
  /** The confirmation that is asked for at the end of this tick. @type {?Promise<void>} */
  #confirmation = null;

  name = 'nats';
  wildcards = true;

  /** @param {object} given a connection, or options for one */
  constructor(given) {
    if (typeof given?.publish === 'function') this.#given = given;
    else this.#options = given;
  }

  async open(host) {
    this.#host = host;
    const connection = this.#given ?? (await this.#connect(host));
    if (this.#host !== host) {
      // close() was called meanwhile.
      if (!this.#given) connection.close().catch(noop);
      throw new Error('The engine was closed');
    }
    this.#connection = connection;
    checkVersion(connection.info);
    this.#watch(connection).catch(noop);
    connection.closed?.().then(() => {
      if (this.#connection === connection) this.#onDown(closedForGood());
    }, noop);
    this.#inbox = new Subscription(connection, `${host.inbox}.*`, (reply) => this.#onReply(reply));
    await this.#confirmed();
    return { max_payload: connection.info.max_payload };
  }

  /**
   * Tries until the server can be reached. The option `waitOnFirstConnect` of the client does so as
   * well, but continues after `close()` and keeps the process alive.
   *
   * @returns {Promise<object>} a connection that this package owns
   */
  async #connect(host) {
    const { connect } = loadClient();
    for (;;) {
      try {
        return await connect({
          maxReconnectAttempts: -1,
          reconnectTimeWait: RECONNECT_MS,
          reconnectJitter: RECONNECT_MS,
          // Otherwise the client gives up when the server refuses its credentials twice.
          ignoreAuthErrorAbort: true,
          ...this.#options,
        });
      } catch (err) {
        if (this.#host !== host) throw err;
        host.state(false, withServers(err, this.#options));
      }
      let timer;
      await new Promise((resolve) => {
        timer = setTimeout(resolve, RECONNECT_MS);
        this.#waiting.push(resolve);
      });
      clearTimeout(timer);
      if (this.#host !== host) throw new Error('The engine was closed');
    }
  }

  /** The server reports that the subject of a message has no subscriber. */
  #onReply({ subject, headers }) {
    if (headers?.code !== NO_RESPONDERS) return;
    this.#host?.nobody(Number(subject.slice(subject.lastIndexOf('.') + 1)));
  }

  async #watch(connection) {
    for await (const status of connection.status()) {
      if (this.#connection !== connection) return;
      const { type } = status;
      if (type === 'disconnect') this.#onDown(lost(status.server ?? status.data));
      else if (type === 'reconnect') await this.#onUp();
      else if (type === 'error') this.#onError(status);
    }
  }

  #onError(status) {
    const { operation, subject } = operationOf(status) ?? {};
    const err = status.error ?? new Error(`NATS: ${status.data}`);
    if (operation === 'publish') this.#host?.denied?.(subject, err);
    // The server no longer accepts the credentials.
    else if (operation === undefined && this.#isDown) this.#host?.state(false, err);
  }

  #onDown(err) {
    this.#isDown = true;
    this.#pending = 0;
    this.#host?.state(false, err);
  }

  /** The client has made all subscriptions again. */
  async #onUp() {
    try {
      await this.#connection.flush();
    } catch {
      // The connection is lost again.
      return;
    }
    this.#isDown = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#host?.state(true);
  }

  /** @returns {Promise<void>} fulfilled when the server has taken all subscriptions made before */
  async #confirmed() {
    while (this.#host !== null) {
      try {
        if (!this.#isDown) return await this.#flushAtTickEnd();
      } catch {
        // The connection is lost.
        if (this.#host === null) return;
        this.#isDown = true;
      }
      await new Promise((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** One confirmation for all subscriptions of a tick: each is a system call. */
  #flushAtTickEnd() {
    this.#confirmation ??= new Promise((resolve) => {
      const connection = this.#connection;
      nextTick(() => {
        this.#confirmation = null;
        resolve(connection.flush());
      });
    });
    return this.#confirmation;
  }

  async subscribe(subject) {
    let subscription = this.#subscriptions.get(subject);
    if (subscription === undefined) {
      subscription = new Subscription(this.#connection, subject, (message) => {
        this.#host?.deliver(message.subject, message.data);
      });
      this.#subscriptions.set(subject, subscription);
    }
    await this.#confirmed();
    if (this.#inbox.refusal !== null) throw this.#inbox.refusal;
    if (subscription.refusal === null) return;
    // The client has ended it.
    this.#subscriptions.delete(subject);
    throw subscription.refusal;
  }

  async unsubscribe(subject) {
    const subscription = this.#subscriptions.get(subject);
    this.#subscriptions.delete(subject);
    // A subscription that replaces it in this tick is made first, because the client drops messages
    // for a subscription that has ended.
    await null;
    if (this.#subscriptions.has(subject)) await this.#confirmed();
    subscription?.end();
  }

  publish(subject, bytes, ticket) {
    if (this.#isDown) return;
    try {
      const options = ticket === undefined ? undefined : { reply: `${this.#host.inbox}.${ticket}` };
      this.#connection.publish(subject, bytes, options);
      this.#pending += bytes.length;
    } catch {
      // The connection is closed, which `flush()` reports.
    }
  }

  async record(subject, length) {
    this.#log = new JetStreamLog(this.#connection, subject);
    await this.#log.create(subject, length);
  }

  position() {
    return this.#log.position();
  }

  read(position) {
    return this.#log.read(position);
  }

  async flush() {
    if (this.#isDown) throw lost();
    const pending = this.#pending;
    await this.#connection.flush();
    if (this.#isDown) throw lost();
    this.#pending = Math.max(0, this.#pending - pending);
  }

  pending() {
    return this.#pending;
  }

  async close() {
    const connection = this.#connection;
    this.#host = null;
    this.#connection = null;
    for (const resolve of this.#waiting.splice(0)) resolve();
    this.#isDown = false;
    this.#pending = 0;
    if (connection === null) return;
    for (const subscription of [this.#inbox, ...this.#subscriptions.values()]) subscription?.end();
    this.#inbox = null;
    this.#log = null;
    this.#subscriptions.clear();
    if (!this.#given) await connection.close();
  }
}

/** @param {string} [server] its address */
const lost = (server) =>
  new Error(`The connection to the NATS server${server ? ` ${server}` : ''} is lost`);

const closedForGood = () =>
  new Error(
    'The connection to the NATS server is closed and does not reconnect: set its option "maxReconnectAttempts" to -1',
  );

/** @throws {Error} for a server that does not report subjects without subscribers */
function checkVersion({ headers, version }) {
  if (headers === true) return;
  throw new Error(`The NATS server ${version} is too old: a cluster needs version 2.2 or newer`);
}

/** A URL: its scheme, its credentials and the rest. */
const URL_PARTS = /^(?:([^/?#@]*):\/\/)?(?:([^/?#]*)@)?(.+)$/;

/** The server of the client's default. */
const DEFAULT_SERVER = '127.0.0.1:4222';

/** The client's errors for a failed attempt to connect do not name the servers. */
function withServers(err, { servers = DEFAULT_SERVER, port }) {
  const tried = port === undefined ? [servers].flat() : [`127.0.0.1:${port}`];
  const places = tried.map((server) => URL_PARTS.exec(server)?.[3]);
  return new Error(`${err.message} (NATS at ${places.join(', ')})`, { cause: err });
}

/**
 * The client takes no credentials from a URL, and TLS only if the server asks for it.
 *
 * @param {string} url
 * @returns {object} options of the client
 * @throws {TypeError} for another scheme; without the URL, which may have a password
 */
function optionsOf(url) {
  const [, scheme = SCHEMES[0], credentials, servers] = URL_PARTS.exec(url) ?? [];
  if (servers === undefined || !SCHEMES.includes(scheme)) {
    const got = servers === undefined ? 'an empty string' : `one with the scheme "${scheme}"`;
    throw new TypeError(
      `nats() needs a URL such as "nats://host:4222" or "tls://host:4222"; it got ${got}`,
    );
  }
  const options = scheme === 'tls' ? { servers, tls: {} } : { servers };
  if (credentials === undefined) return options;
  const [user, pass] = credentials.split(/:(.*)/s).map(decodeURIComponent);
  return pass === undefined ? { ...options, token: user } : { ...options, user, pass };
}

/**
 * @param {object | string} given a connection of `@nats-io/transport-node` or `nats`, which the
 *   program closes; or a URL or options of `connect()`, for a connection that the server makes at
 *   `listen()` and closes at `close()`
 * @returns {NatsEngine} for the option `cluster` of one server
 * @throws {TypeError}
 */
function nats(given) {
  if (typeof given === 'string') return new NatsEngine(optionsOf(given));
  if (typeof given === 'object' && given !== null) return new NatsEngine(given);
  throw new TypeError(
    'nats() needs a connection of "@nats-io/transport-node" or "nats", a URL, or options of its connect()',
  );
}

exports.nats = nats;
