'use strict';

const { clearTimeout, setTimeout } = require('../internal/real-timers.js');

const noop = () => {};

/** The largest message that Redis takes, in bytes. */
const MAX_PAYLOAD = 512 * 1024 * 1024;
/** How many subscriptions one command makes. */
const CHUNK = 1000;
/** The time before something that has failed is tried again, in ms. */
const RETRY_MS = 250;
/** The longest time between two attempts to connect of a client that this package makes, in ms. */
const LONGEST_RECONNECT_MS = 500;

/** Schemes of URLs that the clients take. */
const SCHEMES = ['redis', 'rediss', 'valkey', 'valkeys'];

const isPattern = (subject) => subject.endsWith('.*');

/*
 * The two clients differ in names and events. Each is wrapped into a publisher and a subscriber of
 * one form.
 */

/** How many messages of a log are read at once. */
const BATCH = 500;
/** The type of texts and bytes in answers to `@redis/client`. */
const BLOB_STRING = 36;

/** Two connections of `ioredis`, each to one server or to a cluster. */
class IoRedis {
  #publisher;
  #subscriber;
  #isSharded;
  #isOwn;
  #onState = noop;
  #onBroken = noop;

  constructor(client, { isSharded, isOwn }) {
    this.#publisher = client;
    this.#isSharded = isSharded;
    this.#isOwn = isOwn;
  }

  get isReady() {
    return this.#publisher.status === 'ready' && this.#subscriber.status === 'ready';
  }

  open({ onMessage, onState, onBroken }) {
    this.#subscriber = this.#isSharded
      ? this.#publisher.duplicate([], { shardedSubscribers: true })
      : this.#publisher.duplicate();
    const subscriber = this.#subscriber;
    subscriber.on('error', onState);
    subscriber.on('messageBuffer', (channel, bytes) => onMessage(String(channel), bytes));
    subscriber.on('smessageBuffer', (channel, bytes) => onMessage(String(channel), bytes));
    subscriber.on('pmessageBuffer', (_, channel, bytes) => onMessage(String(channel), bytes));
    this.#onState = () => onState();
    this.#onBroken = () => onBroken(lost());
    for (const client of [this.#publisher, subscriber]) {
      client.on('ready', this.#onState);
      client.on('close', this.#onState);
      // One server of a cluster is away, or no longer belongs to it.
      client.on('-node', this.#onBroken);
    }
    if (this.#isOwn) this.#publisher.on('error', onState);
    if (subscriber.status === 'wait') subscriber.connect().catch(noop);
    if (this.#publisher.status === 'wait') this.#publisher.connect().catch(noop);
  }

  async subscribe(channels, patterns) {
    const subscriber = this.#subscriber;
    // Channels of one command have to be in one slot of a cluster.
    if (this.#isSharded) await Promise.all(channels.map((one) => subscriber.ssubscribe(one)));
    else if (channels.length > 0) await subscriber.subscribe(...channels);
    if (patterns.length > 0) await subscriber.psubscribe(...patterns);
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

  /** A command for the key that is its first argument; texts of the answer are bytes. */
  command(name, key, ...args) {
    return this.#publisher.callBuffer(name, key, ...args);
  }

  /** Asks every server that takes messages. */
  ping() {
    const publisher = this.#publisher;
    if (!publisher.isCluster) return publisher.ping();
    return Promise.all(publisher.nodes('master').map((node) => node.ping()));
  }

  close() {
    for (const client of [this.#publisher, this.#subscriber]) {
      client?.off('ready', this.#onState);
      client?.off('close', this.#onState);
      client?.off('-node', this.#onBroken);
    }
    this.#subscriber?.disconnect();
    if (this.#isOwn) this.#publisher.disconnect();
  }
}

/** The events of a client of `@redis/client` after which its state may be another one. */
const STATE_EVENTS = ['ready', 'connect', 'end', 'disconnect', 'error', 'reconnecting'];
/** The event of a client of a cluster when one server is away. */
const BROKEN_EVENT = 'node-reconnecting';

/** Two connections of `@redis/client`, or of `redis`, which contains it. */
class NodeRedis {
  #publisher;
  #subscriber;
  #isSharded;
  #isOwn;
  #onState = noop;
  #onBroken = noop;
  #onMessage = noop;
  #isClosed = false;

  constructor(client, { isSharded, isOwn }) {
    this.#publisher = client;
    this.#isSharded = isSharded;
    this.#isOwn = isOwn;
  }

  get isReady() {
    return isReady(this.#publisher) && isReady(this.#subscriber);
  }

  open({ onMessage, onState, onBroken }) {
    this.#subscriber = this.#publisher.duplicate();
    this.#onState = (err) => onState(err);
    this.#onBroken = () => onBroken(lost());
    this.#onMessage = (bytes, channel) => onMessage(String(channel), bytes);
    for (const client of [this.#publisher, this.#subscriber]) {
      for (const event of STATE_EVENTS) client.on(event, this.#onState);
      client.on(BROKEN_EVENT, this.#onBroken);
    }
    this.#connect(this.#subscriber);
    if (this.#isOwn) this.#connect(this.#publisher);
    else if (!this.#publisher.isOpen) onState(notConnected());
  }

  /** A client of one server retries by itself; one of a cluster does not if it fails at first. */
  async #connect(client) {
    while (!this.#isClosed) {
      try {
        await client.connect();
        return this.#onState();
      } catch (err) {
        if (this.#isClosed) return;
        this.#onState(err);
      }
      await new Promise((resolve) => {
        setTimeout(resolve, RETRY_MS).unref?.();
      });
    }
  }

  async subscribe(channels, patterns) {
    const subscriber = this.#subscriber;
    if (this.#isSharded) {
      await Promise.all(channels.map((one) => subscriber.sSubscribe(one, this.#onMessage, true)));
    } else if (channels.length > 0) {
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

  /** A command for the key that is its first argument; texts of the answer are bytes. */
  command(name, key, ...args) {
    const client = this.#publisher.withTypeMapping({ [BLOB_STRING]: Buffer });
    const command = [name, key, ...args.map((one) => (Buffer.isBuffer(one) ? one : String(one)))];
    return isNodeCluster(this.#publisher)
      ? client.sendCommand(key, false, command)
      : client.sendCommand(command);
  }

  /** Asks every server that takes messages. */
  ping() {
    const publisher = this.#publisher;
    if (!isNodeCluster(publisher)) return publisher.ping();
    const ping = async (master) => (await publisher.nodeClient(master)).ping();
    return Promise.all(publisher.masters.map(ping));
  }

  close() {
    this.#isClosed = true;
    for (const client of [this.#publisher, this.#subscriber]) {
      for (const event of STATE_EVENTS) if (event !== 'error') client?.off(event, this.#onState);
      client?.off(BROKEN_EVENT, this.#onBroken);
    }
    this.#publisher.off('error', this.#onState);
    destroy(this.#subscriber);
    if (this.#isOwn) destroy(this.#publisher);
  }
}

/** A client of one server has `isReady`, one of a cluster may only have `isOpen`. */
const isReady = (client) => client.isReady ?? client.isOpen;

/** Only clients of a cluster know its masters. */
const isNodeCluster = (client) => Array.isArray(client?.masters);

function destroy(client) {
  try {
    if (typeof client.destroy === 'function') client.destroy();
    else client.disconnect().catch(noop);
  } catch {
    // It is closed already.
  }
}

const lost = () => new Error('The connection to the Redis server is lost');
const notConnected = () =>
  new Error('The client of redis() is not connected: call connect() of the client before listen()');

/** An answer of the server, which begins with a code. */
const isAnswer = (err) => /^[A-Z]{3,} /.test(err?.message);
const isDenial = (err) => /^NOPERM /.test(err?.message);

/** @returns {Error} the same, with the remedy where it is known */
function explained(err) {
  if (!/^ERR unknown command .?s(subscribe|publish)/i.test(err?.message)) return err;
  return new Error(
    `Sharded channels need Redis 7 or newer; redis(client, { sharded: false }) uses others (${err.message})`,
    { cause: err },
  );
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
    const reconnectIn = (n) => Math.min(50 * n, LONGEST_RECONNECT_MS);
    // The cluster holds messages itself. If the client sent the last ones before the cluster sends
    // all, receivers would drop the earlier ones.
    if (name !== 'ioredis') {
      const socket = { reconnectStrategy: reconnectIn };
      return found.createClient({ url, socket, disableOfflineQueue: true });
    }
    const Redis = found.Redis ?? found;
    return new Redis(url, {
      lazyConnect: true,
      retryStrategy: reconnectIn,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
    });
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
  #isSharded;
  #subjects = new Set();
  #isUp = false;
  /** Whether the host knows that the server is reached: `open()` reports it the first time. */
  #isReported = false;
  /** Counts the connections, so that a confirmation of an earlier one does not count. */
  #epoch = 0;
  /** Bytes that the server has not confirmed. */
  #pending = 0;
  /** The messages that no server of a cluster has confirmed. @type {Set<Promise<void>>} */
  #unanswered = new Set();
  /** Calls that wait until the server can be reached again. @type {Function[]} */
  #waiting = [];
  /** End the waits for answers of the server. @type {Set<function(Error): void>} */
  #answers = new Set();
  /** The subject whose last messages a stream keeps. @type {?{subject: string, length: number}} */
  #log = null;
  /** Set after a failure, until it is tried again. */
  #timer = null;

  name = 'redis';

  constructor(makeClients, isSharded) {
    this.#makeClients = makeClients;
    this.#isSharded = isSharded;
    this.wildcards = !isSharded;
  }

  async open(host) {
    this.#host = host;
    this.#clients = this.#makeClients();
    this.#clients.open({
      onMessage: (channel, bytes) => this.#host?.deliver(channel, bytes),
      onState: (err) => this.#review(err),
      onBroken: (err) => {
        if (this.#isUp) this.#fail(err);
      },
    });
    this.#review();
    await this.#reached();
    if (this.#host !== host) throw new Error('The engine was closed');
    this.#isReported = true;
    return { max_payload: MAX_PAYLOAD };
  }

  /**
   * A connection has changed its state.
   *
   * @param {Error} [err] the reason, if it could not reach the server
   */
  #review(err) {
    if (err && !this.#isUp && (!this.#isReported || isAnswer(err))) this.#host?.state(false, err);
    const isReady = this.#clients?.isReady ?? false;
    if (isReady === this.#isUp || this.#timer !== null) return;
    this.#isUp = isReady;
    this.#forget();
    if (isReady) this.#onUp(this.#epoch);
    else if (this.#isReported) this.#host?.state(false, lost());
  }

  /** Messages that were published before will not be confirmed. */
  #forget() {
    this.#epoch += 1;
    this.#pending = 0;
    this.#unanswered.clear();
    for (const reject of this.#answers) reject(lost());
    this.#answers.clear();
  }

  /**
   * A client may forget a command when its connection is lost, and never settle the promise.
   *
   * @template T
   * @param {Promise<T>} promise of a client
   * @returns {Promise<T>} the same, which rejects if the connection is lost
   */
  #answered(promise) {
    return new Promise((resolve, reject) => {
      this.#answers.add(reject);
      promise.then(resolve, reject).finally(() => this.#answers.delete(reject));
    });
  }

  async #onUp(epoch) {
    try {
      await this.#subscribe([...this.#subjects]);
      await this.#answered(this.#clients.ping());
    } catch (err) {
      // The connection may be lost again.
      if (epoch === this.#epoch) this.#fail(err);
      return;
    }
    if (epoch !== this.#epoch) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
    if (this.#isReported) this.#host?.state(true);
  }

  /** A server refuses something or is away, although the client is connected: tries it again. */
  #fail(err) {
    this.#isUp = false;
    this.#forget();
    this.#host?.state(false, isAnswer(err) ? explained(err) : lost());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#review();
    }, RETRY_MS);
    this.#timer.unref?.();
  }

  async #subscribe(subjects) {
    for (let at = 0; at < subjects.length; at += CHUNK) {
      const chunk = subjects.slice(at, at + CHUNK);
      const channels = chunk.filter((subject) => !isPattern(subject));
      await this.#answered(this.#clients.subscribe(channels, chunk.filter(isPattern)));
    }
  }

  #reached() {
    return new Promise((resolve) => {
      if (this.#isUp || this.#host === null) resolve();
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
        if (epoch === this.#epoch && this.#isUp) {
          if (isAnswer(err) || !this.#isSharded) {
            this.#subjects.delete(subject);
            throw explained(err);
          }
          this.#fail(err);
        }
      }
      await this.#reached();
    }
  }

  async unsubscribe(subject) {
    this.#subjects.delete(subject);
    if (this.#isUp) await this.#answered(this.#clients.unsubscribe(subject)).catch(noop);
  }

  publish(subject, bytes, ticket) {
    if (!this.#isUp) return;
    const epoch = this.#epoch;
    this.#pending += bytes.length;
    if (subject === this.#log?.subject) this.#keep(bytes, epoch);
    const answered = this.#clients.publish(subject, bytes).then(
      (count) => {
        if (count === 0 && ticket !== undefined) this.#host?.nobody(ticket);
      },
      (err) => this.#onRefused(subject, epoch, err),
    );
    if (!this.#isSharded) return;
    this.#unanswered.add(answered);
    answered.then(() => this.#unanswered.delete(answered));
  }

  /** Adds a message to the stream. If that fails, nodes that miss the message report a gap. */
  #keep({ buffer, byteOffset, byteLength }, epoch) {
    const { subject, length } = this.#log;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    this.#clients.command('XADD', subject, 'MAXLEN', '~', length, '*', 'm', bytes).catch((err) => {
      if (isDenial(err)) this.#onRefused(subject, epoch, err);
    });
  }

  #onRefused(subject, epoch, err) {
    if (epoch !== this.#epoch || !this.#isUp) return;
    if (isDenial(err)) this.#host?.denied?.(subject, err);
    // The connection to a single server emits an event when it is lost.
    else if (this.#isSharded || isAnswer(err)) this.#fail(err);
  }

  async record(subject, length) {
    this.#log = { subject, length };
  }

  /** @returns {Promise<string>} the id of the last entry of the stream */
  async position() {
    const range = [this.#log.subject, '+', '-', 'COUNT', 1];
    const entries = await this.#answered(this.#clients.command('XREVRANGE', ...range));
    return entries.length === 0 ? '0-0' : String(entries[0][0]);
  }

  async *read(position) {
    let last = position;
    for (;;) {
      const range = [this.#log.subject, `(${last}`, '+', 'COUNT', BATCH];
      if (this.#clients === null) return;
      const entries = await this.#answered(this.#clients.command('XRANGE', ...range));
      for (const [, [, bytes]] of entries) yield bytes;
      if (entries.length < BATCH) return;
      last = String(entries.at(-1)[0]);
    }
  }

  async flush() {
    if (!this.#isUp) throw lost();
    const epoch = this.#epoch;
    const pending = this.#pending;
    // Each server of a cluster confirms its own messages.
    await this.#answered(this.#isSharded ? Promise.all(this.#unanswered) : this.#clients.ping());
    if (epoch !== this.#epoch) throw lost();
    this.#pending = Math.max(0, this.#pending - pending);
  }

  pending() {
    return this.#pending;
  }

  async close() {
    this.#host = null;
    this.#isUp = false;
    this.#isReported = false;
    this.#forget();
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#clients?.close();
    this.#clients = null;
    this.#log = null;
    this.#subjects.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** @throws {TypeError} for a URL of another program; it does not show the URL, which may have a password */
function checkUrl(url) {
  const scheme = /^([^/?#]*):\/\//.exec(url)?.[1];
  if (url !== '' && (scheme === undefined || SCHEMES.includes(scheme))) return;
  const got = url === '' ? 'an empty string' : `one with the scheme "${scheme}"`;
  throw new TypeError(
    `redis() needs a URL such as "redis://host:6379" or "rediss://host:6379"; it got ${got}`,
  );
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
  if (isOwn) checkUrl(given);
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

exports.redis = redis;
