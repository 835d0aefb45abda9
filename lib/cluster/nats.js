'use strict';

const noop = () => {};

/** The status of a message that the server sends when nobody listens to a subject. */
const NO_RESPONDERS = 503;
/** How long a connection that this engine makes waits between attempts, in ms. */
const RECONNECT_MS = 250;

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
  /** @type {Map<string, object>} */
  #subscriptions = new Map();
  #inbox = null;
  /** Bytes that the server has not confirmed. */
  #pending = 0;
  /** Whether the connection has lost its server. */
  #isDown = false;
  /** Calls that wait for the server to be back. @type {Function[]} */
  #waiting = [];

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
    this.#watch(connection).catch(noop);
    this.#inbox = connection.subscribe(`${host.inbox}.*`, {
      callback: (_err, message) => this.#onReply(message),
    });
    await this.#confirmed();
    return { max_payload: connection.info.max_payload };
  }

  /**
   * Tries until the server can be reached. The option `waitOnFirstConnect` of the client does so as
   * well, but goes on after `close()` and keeps the process alive.
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
          ...this.#options,
        });
      } catch (err) {
        if (this.#host !== host) throw err;
        host.state(false, err);
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

  /** The server says that nobody listens to the subject of a message. */
  #onReply({ subject, headers }) {
    if (headers?.code !== NO_RESPONDERS) return;
    this.#host?.nobody(Number(subject.slice(subject.lastIndexOf('.') + 1)));
  }

  async #watch(connection) {
    for await (const { type, data } of connection.status()) {
      if (this.#connection !== connection) return;
      if (type === 'disconnect' || type === 'close') this.#onDown(data);
      else if (type === 'reconnect') await this.#onUp();
    }
    if (this.#connection === connection) this.#onDown('the connection is closed');
  }

  #onDown(what) {
    this.#isDown = true;
    this.#pending = 0;
    const where = typeof what === 'string' ? `: ${what}` : '';
    this.#host?.state(false, new Error(`The connection to the NATS server is lost${where}`));
  }

  /** The client has subscribed anew to everything. */
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
        if (!this.#isDown) return await this.#connection.flush();
      } catch {
        // The connection is lost.
        this.#isDown = true;
      }
      await new Promise((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  async subscribe(subject) {
    if (!this.#subscriptions.has(subject)) {
      const subscription = this.#connection.subscribe(subject, {
        callback: (err, message) => {
          if (!err) this.#host?.deliver(message.subject, message.data);
        },
      });
      this.#subscriptions.set(subject, subscription);
    }
    await this.#confirmed();
  }

  async unsubscribe(subject) {
    this.#subscriptions.get(subject)?.unsubscribe();
    this.#subscriptions.delete(subject);
  }

  publish(subject, bytes, ticket) {
    if (this.#isDown) return;
    try {
      const options = ticket === undefined ? undefined : { reply: `${this.#host.inbox}.${ticket}` };
      this.#connection.publish(subject, bytes, options);
      this.#pending += bytes.length;
    } catch {
      // The connection is closed: `flush()` tells.
    }
  }

  async flush() {
    if (this.#isDown) throw new Error('The connection to the NATS server is lost');
    const pending = this.#pending;
    await this.#connection.flush();
    if (this.#isDown) throw new Error('The connection to the NATS server is lost');
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
    for (const subscription of [this.#inbox, ...this.#subscriptions.values()]) {
      subscription.unsubscribe();
    }
    this.#subscriptions.clear();
    if (!this.#given) await connection.close();
  }
}

/**
 * @param {object | string} given a connection of `@nats-io/transport-node` or `nats`, which the
 *   program closes; or a URL or options of `connect()`, for a connection that the server makes at
 *   `listen()` and closes at `close()`
 * @returns {NatsEngine} for the option `cluster` of one server
 * @throws {TypeError}
 */
function nats(given) {
  if (typeof given === 'string') return new NatsEngine({ servers: given });
  if (typeof given === 'object' && given !== null) return new NatsEngine(given);
  throw new TypeError(
    'nats() needs a connection of "@nats-io/transport-node" or "nats", a URL, or options of its connect()',
  );
}

exports.nats = nats;
