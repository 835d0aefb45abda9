'use strict';

const noop = () => {};

/** The largest message that Redis takes, in bytes. */
const MAX_PAYLOAD = 512 * 1024 * 1024;
/** How many subscriptions one command makes. */
const CHUNK = 1000;

const isPattern = (subject) => subject.endsWith('.*');

/*
 * The two clients differ in names and events. Each is wrapped into a publisher and a subscriber of
 * one form.
 */

/** Two connections of `ioredis`. */
class IoRedis {
  #publisher;
  #subscriber;
  #isSharded;
  #isOwn;
  #onState = noop;

  constructor(client, { isSharded, isOwn }) {
    this.#publisher = client;
    this.#isSharded = isSharded;
    this.#isOwn = isOwn;
  }

  get isReady() {
    return this.#publisher.status === 'ready' && this.#subscriber.status === 'ready';
  }

  open(onMessage, onState) {
    this.#subscriber = this.#isSharded
      ? this.#publisher.duplicate([], { shardedSubscribers: true })
      : this.#publisher.duplicate();
    const subscriber = this.#subscriber;
    subscriber.on('error', onState);
    subscriber.on('messageBuffer', (channel, bytes) => onMessage(String(channel), bytes));
    subscriber.on('smessageBuffer', (channel, bytes) => onMessage(String(channel), bytes));
    subscriber.on('pmessageBuffer', (_, channel, bytes) => onMessage(String(channel), bytes));
    this.#onState = () => onState();
    for (const client of [this.#publisher, subscriber]) {
      client.on('ready', this.#onState);
      client.on('close', this.#onState);
    }
    if (this.#isOwn) this.#publisher.on('error', onState);
    if (subscriber.status === 'wait') subscriber.connect().catch(noop);
    if (this.#publisher.status === 'wait') this.#publisher.connect().catch(noop);
  }

  async subscribe(channels, patterns) {
    const verb = this.#isSharded ? 'ssubscribe' : 'subscribe';
    if (channels.length > 0) await this.#subscriber[verb](...channels);
    if (patterns.length > 0) await this.#subscriber.psubscribe(...patterns);
  }

  unsubscribe(subject) {
    if (isPattern(subject)) return this.#subscriber.punsubscribe(subject);
    return this.#isSharded
      ? this.#subscriber.sunsubscribe(subject)
      : this.#subscriber.unsubscribe(subject);
  }

  publish(channel, bytes) {
    return this.#isSharded
      ? this.#publisher.spublish(channel, bytes)
      : this.#publisher.publish(channel, bytes);
  }

  ping() {
    return this.#publisher.ping();
  }

  close() {
    for (const client of [this.#publisher, this.#subscriber]) {
      client?.off('ready', this.#onState);
      client?.off('close', this.#onState);
    }
    this.#subscriber?.disconnect();
    if (this.#isOwn) this.#publisher.disconnect();
  }
}

/** Two connections of `@redis/client`, or of `redis`, which contains it. */
class NodeRedis {
  #publisher;
  #subscriber;
  #isSharded;
  #isOwn;
  #onState = noop;
  #onMessage = noop;

  constructor(client, { isSharded, isOwn }) {
    this.#publisher = client;
    this.#isSharded = isSharded;
    this.#isOwn = isOwn;
  }

  get isReady() {
    return isReady(this.#publisher) && isReady(this.#subscriber);
  }

  open(onMessage, onState) {
    this.#subscriber = this.#publisher.duplicate();
    const subscriber = this.#subscriber;
    this.#onState = (err) => onState(err);
    this.#onMessage = (bytes, channel) => onMessage(String(channel), bytes);
    for (const client of [this.#publisher, subscriber]) {
      for (const event of ['ready', 'end', 'error', 'reconnecting'])
        client.on(event, this.#onState);
    }
    subscriber.connect().catch(noop);
    if (this.#isOwn) this.#publisher.connect().catch(noop);
  }

  async subscribe(channels, patterns) {
    const subscriber = this.#subscriber;
    for (const channel of channels) {
      if (this.#isSharded) await subscriber.sSubscribe(channel, this.#onMessage, true);
    }
    if (channels.length > 0 && !this.#isSharded) {
      await subscriber.subscribe(channels, this.#onMessage, true);
    }
    if (patterns.length > 0) await subscriber.pSubscribe(patterns, this.#onMessage, true);
  }

  unsubscribe(subject) {
    if (isPattern(subject)) return this.#subscriber.pUnsubscribe(subject);
    return this.#isSharded
      ? this.#subscriber.sUnsubscribe(subject)
      : this.#subscriber.unsubscribe(subject);
  }

  publish(channel, bytes) {
    return this.#isSharded
      ? this.#publisher.sPublish(channel, bytes)
      : this.#publisher.publish(channel, bytes);
  }

  ping() {
    return this.#publisher.ping();
  }

  close() {
    for (const client of [this.#publisher, this.#subscriber]) {
      for (const event of ['ready', 'end', 'reconnecting']) client?.off(event, this.#onState);
    }
    this.#publisher.off('error', this.#onState);
    destroy(this.#subscriber);
    if (this.#isOwn) destroy(this.#publisher);
  }
}

/** A client of one server has `isReady`, one of a cluster `isOpen` alone. */
const isReady = (client) => client.isReady ?? client.isOpen;

function destroy(client) {
  try {
    if (typeof client.destroy === 'function') client.destroy();
    else client.disconnect().catch(noop);
  } catch {
    // It is closed already.
  }
}

/** Packages of the client, the first one that is installed is used. */
const PACKAGES = ['ioredis', '@redis/client', 'redis'];

/** @returns {object} a client that this package owns */
function clientFor(url) {
  for (const name of PACKAGES) {
    let found;
    try {
      found = require(name);
    } catch (err) {
      if (err.code !== 'MODULE_NOT_FOUND') throw err;
      continue;
    }
    if (name !== 'ioredis') return found.createClient({ url });
    const Redis = found.Redis ?? found;
    return new Redis(url, { lazyConnect: true, retryStrategy: (n) => Math.min(50 * n, 500) });
  }
  throw new Error(`A cluster over Redis needs one of these packages: ${PACKAGES.join(', ')}`);
}

/**
 * An engine over the publish and subscribe of Redis or Valkey.
 *
 * @implements {ClusterEngine}
 */
class RedisEngine {
  #makeClients;
  #clients = null;
  #host = null;
  #subjects = new Set();
  #isUp = false;
  /** Whether the host knows that the server is reached: `open()` tells it the first time. */
  #isReported = false;
  /** Counts the connections, so that a confirmation of an earlier one does not count. */
  #epoch = 0;
  /** Bytes that the server has not confirmed. */
  #pending = 0;
  /** Calls that wait for the server to be back. @type {Function[]} */
  #waiting = [];

  name = 'redis';

  constructor(makeClients, isSharded) {
    this.#makeClients = makeClients;
    this.wildcards = !isSharded;
  }

  async open(host) {
    this.#host = host;
    this.#clients = this.#makeClients();
    this.#clients.open(
      (channel, bytes) => this.#host?.deliver(channel, bytes),
      (err) => this.#review(err),
    );
    this.#review();
    await this.#reached();
    this.#isReported = true;
    return { max_payload: MAX_PAYLOAD };
  }

  /**
   * A connection has changed its state.
   *
   * @param {Error} [err] the reason, if it could not reach the server
   */
  #review(err) {
    if (err && !this.#isReported) this.#host?.state(false, err);
    const { isReady } = this.#clients ?? { isReady: false };
    if (isReady === this.#isUp) return;
    this.#isUp = isReady;
    this.#epoch += 1;
    this.#pending = 0;
    if (isReady) this.#onUp(this.#epoch);
    else if (this.#isReported) {
      this.#host?.state(false, new Error('The connection to the Redis server is lost'));
    }
  }

  async #onUp(epoch) {
    try {
      await this.#subscribe([...this.#subjects]);
    } catch {
      // The connection is lost again, or the server refuses the subscriptions.
      return;
    }
    if (epoch !== this.#epoch) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (this.#isReported) this.#host?.state(true);
  }

  async #subscribe(subjects) {
    for (let at = 0; at < subjects.length; at += CHUNK) {
      const chunk = subjects.slice(at, at + CHUNK);
      await this.#clients.subscribe(
        chunk.filter((subject) => !isPattern(subject)),
        chunk.filter(isPattern),
      );
    }
  }

  #reached() {
    return new Promise((resolve) => {
      if (this.#isUp) resolve();
      else this.#waiting.push(resolve);
    });
  }

  async subscribe(subject) {
    this.#subjects.add(subject);
    while (this.#host !== null) {
      const epoch = this.#epoch;
      try {
        if (this.#isUp) {
          await this.#subscribe([subject]);
          return;
        }
      } catch (err) {
        if (epoch === this.#epoch && this.#isUp) throw err;
      }
      await this.#reached();
    }
  }

  async unsubscribe(subject) {
    this.#subjects.delete(subject);
    if (this.#isUp) await this.#clients.unsubscribe(subject).catch(noop);
  }

  publish(subject, bytes, ticket) {
    if (!this.#isUp) return;
    this.#pending += bytes.length;
    this.#clients.publish(subject, bytes).then((count) => {
      if (count === 0 && ticket !== undefined) this.#host?.nobody(ticket);
    }, noop);
  }

  async flush() {
    if (!this.#isUp) throw new Error('The connection to the Redis server is lost');
    const epoch = this.#epoch;
    const pending = this.#pending;
    await this.#clients.ping();
    if (epoch !== this.#epoch) throw new Error('The connection to the Redis server was lost');
    this.#pending = Math.max(0, this.#pending - pending);
  }

  pending() {
    return this.#pending;
  }

  async close() {
    this.#host = null;
    this.#isUp = false;
    this.#isReported = false;
    this.#epoch += 1;
    this.#clients?.close();
    this.#clients = null;
    this.#subjects.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/**
 * @param {object | string} given a client of `ioredis`, `@redis/client` or `redis`, which the
 *   program closes; or a URL, for a client that the server makes at `listen()` and closes at
 *   `close()`
 * @param {{sharded?: boolean}} [options] `sharded`: uses the sharded channels of Redis Cluster;
 *   default: whether the client is one of a cluster
 * @returns {RedisEngine} for the option `cluster` of one server
 * @throws {TypeError}
 */
function redis(given, { sharded } = {}) {
  const isOwn = typeof given === 'string';
  const example = isOwn ? null : given;
  if (!isOwn && typeof given?.duplicate !== 'function') {
    throw new TypeError(
      'redis() needs a client of "ioredis", "@redis/client" or "redis", or the URL of a server',
    );
  }
  const isSharded = sharded ?? (example?.isCluster === true || isNodeCluster(example));
  const makeClients = () => {
    const client = isOwn ? clientFor(given) : given;
    const Clients = typeof client.pSubscribe === 'function' ? NodeRedis : IoRedis;
    return new Clients(client, { isSharded, isOwn });
  };
  return new RedisEngine(makeClients, isSharded);
}

/** Only clients of a cluster know its masters. */
const isNodeCluster = (client) => Array.isArray(client?.masters);

exports.redis = redis;
