'use strict';

const cluster = require('node:cluster');

const { clearTimeout, nextTick, setTimeout } = require('../internal/real-timers.js');

/*
 * The primary process of `node:cluster` passes messages between its workers, over the channels that
 * Node has opened between them. Messages of one turn of the event loop travel together.
 *
 * Bytes are latin1 text on the way, because a channel carries JSON by default.
 */

/** The key that distinguishes these messages from those of the program. */
const KEY = 'sockhop:cluster';

const noop = () => {};

/**
 * How long a worker waits for the primary process before it reports why it may not answer, in ms.
 */
const PATIENCE_MS = 1000;

/** The largest message, in bytes: a channel delays everything behind it. */
const MAX_PAYLOAD = 16 * 1024 * 1024;

/** The pattern that a subject matches: all subjects with the same parts but the last. */
const patternOf = (subject) => `${subject.slice(0, subject.lastIndexOf('.'))}.*`;

/** Sends steps over a channel, those of one turn together. */
class Batches {
  #send;
  /** @type {Array} */
  #steps = [];

  /** @param {function(Array): void} send */
  constructor(send) {
    this.#send = send;
  }

  push(...step) {
    this.#steps.push(step);
    if (isExiting) this.sendAll();
    else if (this.#steps.length === 1) nextTick(() => this.sendAll());
  }

  sendAll() {
    if (this.#steps.length === 0) return;
    const steps = this.#steps;
    this.#steps = [];
    this.#send(steps);
  }
}

/** The steps of the open engines of this process. @type {Set<Batches>} */
const leaving = new Set();
/** Whether the process is exiting, so that no tick follows. */
let isExiting = false;

process.on('exit', () => {
  isExiting = true;
  for (const batches of leaving) batches.sendAll();
});

// ---- in the primary ------------------------------------------------------------------------------

/** One engine, as the primary sees it: in a worker, or in the primary itself. */
class Port {
  subjects = new Set();

  /** @param {function(Array): void} send */
  constructor(send) {
    this.out = new Batches(send);
  }
}

/** Passes messages between ports. */
class Relay {
  /** @type {Map<string, Set<Port>>} */
  #subscribers = new Map();
  /** The ports of each worker, by the numbers of their engines. @type {Map<number, Map<number, Port>>} */
  #workers = new Map();

  start() {
    cluster.on('message', (worker, message) => {
      if (Array.isArray(message?.[KEY])) this.#onMessage(worker, message);
    });
    cluster.on('disconnect', (worker) => this.#onGone(worker));
    cluster.on('exit', (worker) => this.#onGone(worker));
  }

  #onMessage(worker, { [KEY]: steps, engine }) {
    const port = this.#portOf(worker, engine);
    for (const step of steps) this.run(port, step);
  }

  #portOf(worker, engine) {
    let ports = this.#workers.get(worker.id);
    if (ports === undefined) {
      ports = new Map();
      this.#workers.set(worker.id, ports);
    }
    let port = ports.get(engine);
    if (port === undefined) {
      port = new Port((steps) => {
        if (worker.isConnected()) worker.send({ [KEY]: steps, engine }, noop);
      });
      ports.set(engine, port);
    }
    return port;
  }

  #onGone(worker) {
    for (const port of this.#workers.get(worker.id)?.values() ?? []) this.#close(port);
    this.#workers.delete(worker.id);
  }

  /** @param {Port} port @param {[string, ...*]} step of an engine */
  run(port, [verb, subject, ...rest]) {
    if (verb === 'subscribe') this.#subscribe(port, subject);
    else if (verb === 'unsubscribe') this.#unsubscribe(port, subject);
    else if (verb === 'publish') this.#publish(port, subject, ...rest);
    else if (verb === 'close') this.#close(port);
    // Everything before it is passed on.
    else if (verb === 'flush') port.out.push('flushed', subject);
  }

  #subscribe(port, subject) {
    port.subjects.add(subject);
    let ports = this.#subscribers.get(subject);
    if (ports === undefined) {
      ports = new Set();
      this.#subscribers.set(subject, ports);
    }
    ports.add(port);
  }

  #unsubscribe(port, subject) {
    port.subjects.delete(subject);
    const ports = this.#subscribers.get(subject);
    ports?.delete(port);
    if (ports?.size === 0) this.#subscribers.delete(subject);
  }

  #publish(port, subject, text, ticket) {
    const exact = this.#subscribers.get(subject);
    const general = this.#subscribers.get(patternOf(subject));
    for (const one of exact ?? []) one.out.push('message', subject, text);
    for (const one of general ?? []) {
      if (!exact?.has(one)) one.out.push('message', subject, text);
    }
    const isHeard = exact !== undefined || general !== undefined;
    if (!isHeard && typeof ticket === 'number') port.out.push('nobody', ticket);
  }

  #close(port) {
    for (const subject of port.subjects) this.#unsubscribe(port, subject);
  }
}

let theRelay = null;

/**
 * Makes the primary process pass messages between the workers. Further calls do nothing.
 *
 * @throws {Error} in a worker
 */
function relay() {
  if (cluster.isWorker) {
    throw new Error('relay() belongs to the primary process: the workers use workers()');
  }
  if (theRelay !== null) return;
  theRelay = new Relay();
  theRelay.start();
}

// ---- in a worker, or in the primary as one more node ---------------------------------------------

let lastEngine = 0;

/** The way from a worker to the primary: @returns {{send: Function, stop: Function}} */
function channelOfWorker(engine, onSteps, onLost) {
  const onMessage = (message) => {
    if (Array.isArray(message?.[KEY]) && message.engine === engine) onSteps(message[KEY]);
  };
  process.on('message', onMessage);
  process.once('disconnect', onLost);
  return {
    send(steps, sent) {
      if (process.connected) process.send({ [KEY]: steps, engine }, sent);
    },
    stop() {
      process.off('message', onMessage);
      process.off('disconnect', onLost);
    },
  };
}

/** The same within the primary. */
function channelOfPrimary(onSteps) {
  relay();
  const port = new Port(onSteps);
  return {
    send(steps, sent) {
      for (const step of steps) theRelay.run(port, step);
      nextTick(sent);
    },
    stop() {},
  };
}

/**
 * An engine through the primary process of `node:cluster`.
 *
 * @implements {ClusterEngine}
 */
class WorkersEngine {
  #host = null;
  #channel = null;
  #out = null;
  #isLost = false;
  #pending = 0;
  /** Calls that wait for the primary, by their numbers. @type {Map<number, Function>} */
  #flushes = new Map();
  #lastFlush = 0;

  name = 'workers';
  wildcards = true;

  async open(host) {
    this.#host = host;
    lastEngine += 1;
    this.#isLost = false;
    const onSteps = (steps) => {
      for (const step of steps) this.#onStep(step);
    };
    this.#channel = cluster.isWorker
      ? channelOfWorker(lastEngine, onSteps, () => this.#onLost())
      : channelOfPrimary(onSteps);
    this.#out = new Batches((steps) => this.#send(steps));
    leaving.add(this.#out);
    const timer = setTimeout(() => {
      const text = 'The primary process does not answer: it has to call relay()';
      if (this.#host === host) host.state(false, new Error(text));
    }, PATIENCE_MS);
    timer.unref?.();
    try {
      await this.flush();
    } finally {
      clearTimeout(timer);
    }
    return { max_payload: MAX_PAYLOAD };
  }

  #send(steps) {
    const length = steps.reduce((sum, [, , text]) => sum + (text?.length ?? 0), 0);
    this.#pending += length;
    this.#channel?.send(steps, () => {
      this.#pending -= length;
    });
  }

  #onStep([verb, subject, text]) {
    if (verb === 'message') this.#host?.deliver(subject, Buffer.from(text, 'latin1'));
    else if (verb === 'nobody') this.#host?.nobody(subject);
    else if (verb === 'flushed') {
      const settle = this.#flushes.get(subject);
      this.#flushes.delete(subject);
      settle?.();
    }
  }

  #onLost() {
    const err = new Error('The channel to the primary process is closed');
    this.#isLost = true;
    for (const settle of this.#flushes.values()) settle(err);
    this.#flushes.clear();
    this.#host?.state(false, err);
  }

  async subscribe(subject) {
    this.#out.push('subscribe', subject);
    await this.flush();
  }

  async unsubscribe(subject) {
    this.#out.push('unsubscribe', subject);
  }

  publish(subject, bytes, ticket) {
    const { buffer, byteOffset, byteLength } = bytes;
    const text = Buffer.from(buffer, byteOffset, byteLength).toString('latin1');
    this.#out.push('publish', subject, text, ticket);
  }

  flush() {
    return new Promise((resolve, reject) => {
      if (this.#isLost) return reject(new Error('The channel to the primary process is closed'));
      this.#lastFlush += 1;
      this.#flushes.set(this.#lastFlush, (err) => (err ? reject(err) : resolve()));
      this.#out.push('flush', this.#lastFlush);
    });
  }

  pending() {
    return this.#pending;
  }

  async close() {
    const channel = this.#channel;
    this.#host = null;
    this.#channel = null;
    this.#flushes.clear();
    leaving.delete(this.#out);
    if (channel === null) return;
    channel.send([['close']], noop);
    channel.stop();
  }
}

/**
 * @returns {WorkersEngine} for the option `cluster` of one server, in each worker of `node:cluster`;
 *   the primary process has to call `relay()`
 */
function workers() {
  return new WorkersEngine();
}

exports.workers = workers;
exports.relay = relay;
