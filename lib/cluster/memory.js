'use strict';

const { setImmediate } = require('../internal/real-timers.js');

/** Memory takes messages of any length that a string can have. */
const MAX_PAYLOAD = 512 * 1024 * 1024;

/** The pattern of `<subject>.*`. */
const isPattern = (subject) => subject.endsWith('.*');
const matches = (pattern, subject) =>
  subject.length > pattern.length - 1 &&
  subject.startsWith(pattern.slice(0, -1)) &&
  !subject.slice(pattern.length - 1).includes('.');

/**
 * The bus that the servers of one process share. It passes the messages of each server to the
 * others, in order and in a later turn of the event loop.
 *
 * For tests it can lose messages, delay them and be away.
 */
class MemoryBus {
  /** @type {Set<MemoryEngine>} */
  #engines = new Set();
  #isUp = true;
  /** The last messages of one subject, with their positions: @type {?{subject: string, length: number, entries: object[]}} */
  #log = null;
  #position = 0;
  /** Messages that are on their way. */
  #queue = [];
  #isScheduled = false;

  /**
   * For tests: sees each message before it is delivered, and returns the messages to deliver
   * instead: none, several or other ones.
   *
   * @type {?function({subject: string, bytes: Uint8Array, engine: MemoryEngine}): object[]}
   */
  fault = null;

  /** For tests: the broker is away until `start()`. Messages that are on their way are lost. */
  stop() {
    this.#isUp = false;
    this.#queue = [];
    for (const engine of this.#engines) engine.onBus(new Error('The bus is stopped'));
  }

  /** For tests: the broker is back. */
  start() {
    this.#isUp = true;
    for (const engine of this.#engines) engine.onBus(null);
  }

  get isUp() {
    return this.#isUp;
  }

  add(engine) {
    this.#engines.add(engine);
  }

  remove(engine) {
    this.#engines.delete(engine);
  }

  /** Keeps the last messages of a subject. */
  record(subject, length) {
    this.#log ??= { subject, length, entries: [] };
  }

  get position() {
    return this.#position;
  }

  /** @returns {Uint8Array[]} the messages after a position that are kept */
  after(position) {
    const { entries } = this.#log;
    return entries.filter((entry) => entry.position > position).map(({ bytes }) => bytes);
  }

  /** @returns {boolean} whether an engine has subscribed to the subject */
  publish(subject, bytes) {
    if (subject === this.#log?.subject) {
      const { entries, length } = this.#log;
      this.#position += 1;
      entries.push({ position: this.#position, bytes });
      if (entries.length > length) entries.shift();
    }
    let isHeard = false;
    for (const engine of this.#engines) {
      if (!engine.listensTo(subject)) continue;
      isHeard = true;
      this.#queue.push({ subject, bytes, engine });
    }
    this.#schedule();
    return isHeard;
  }

  /** Calls a function after everything that was published before it is delivered. */
  afterwards(task) {
    this.#queue.push({ task });
    this.#schedule();
  }

  #schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      for (const entry of this.#queue.splice(0)) {
        if (entry.task !== undefined) entry.task();
        else if (this.fault === null) entry.engine.take(entry);
        else for (const one of this.fault(entry)) one.engine.take(one);
      }
    });
  }
}

/**
 * An engine in memory, for servers of one process.
 *
 * @implements {ClusterEngine}
 */
class MemoryEngine {
  #bus;
  #host = null;
  #subjects = new Set();
  #isCut = false;
  /** Calls of `subscribe()` and of `open()` that wait for the bus. @type {Function[]} */
  #waiting = [];

  name = 'memory';
  wildcards = true;

  constructor(bus) {
    this.#bus = bus;
  }

  get #isUp() {
    return this.#bus.isUp && !this.#isCut;
  }

  async open(host) {
    this.#host = host;
    this.#bus.add(this);
    if (!this.#isUp) host.state(false, new Error('The bus is away'));
    await this.#reached();
    return { max_payload: MAX_PAYLOAD };
  }

  #reached() {
    if (this.#isUp) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  async subscribe(subject) {
    this.#subjects.add(subject);
    await this.#reached();
  }

  async unsubscribe(subject) {
    this.#subjects.delete(subject);
  }

  publish(subject, bytes, ticket) {
    if (!this.#isUp || this.#bus.publish(subject, bytes) || ticket === undefined) return;
    this.#bus.afterwards(() => this.#host?.nobody(ticket));
  }

  flush() {
    return new Promise((resolve, reject) => {
      if (!this.#isUp) return reject(new Error('The bus is away'));
      this.#bus.afterwards(() => (this.#isUp ? resolve() : reject(new Error('The bus is away'))));
    });
  }

  pending() {
    return 0;
  }

  async record(subject, length) {
    this.#bus.record(subject, length);
  }

  async position() {
    if (!this.#isUp) throw new Error('The bus is away');
    return this.#bus.position;
  }

  async *read(position) {
    yield* this.#bus.after(position);
  }

  async close() {
    this.#bus.remove(this);
    this.#host = null;
    this.#subjects.clear();
    this.#waiting = [];
  }

  /** For tests: how many subjects it has subscribed to. */
  get subscriptions() {
    return this.#subjects.size;
  }

  /** For tests: only this engine loses its link to the bus, until `mend()`. */
  cut() {
    this.#isCut = true;
    this.#host?.state(false, new Error('The link to the bus is cut'));
  }

  /** For tests: the link is back. */
  mend() {
    this.#isCut = false;
    this.onBus(null);
  }

  // ---- for the bus ------------------------------------------------------------------------------

  onBus(err) {
    if (this.#isUp) {
      for (const resolve of this.#waiting.splice(0)) resolve();
      this.#host?.state(true);
    } else if (err !== null) this.#host?.state(false, err);
  }

  listensTo(subject) {
    if (!this.#isUp) return false;
    if (this.#subjects.has(subject)) return true;
    for (const one of this.#subjects) if (isPattern(one) && matches(one, subject)) return true;
    return false;
  }

  take({ subject, bytes }) {
    if (this.#isUp) this.#host?.deliver(subject, bytes);
  }
}

/** The bus of servers that name none. */
const shared = new MemoryBus();

/**
 * @param {{bus?: MemoryBus}} [options] `bus`: the servers that share it are one cluster; default:
 *   one for the whole process
 * @returns {MemoryEngine} for the option `cluster` of one server
 */
function memory({ bus = shared } = {}) {
  return new MemoryEngine(bus);
}

exports.memory = memory;
exports.MemoryBus = MemoryBus;
