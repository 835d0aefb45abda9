'use strict';

const { fork } = require('node:child_process');
const path = require('node:path');
const { cleanup } = require('./cleanup.js');
const { deadline } = require('./deadline.js');
const { EventLog } = require('./event-log.js');
const { implementations } = require('./implementations.js');

const PROGRAM = path.join(__dirname, '..', 'peers', 'peer.js');

/** Another process that runs clients and servers of one implementation. */
class PeerProcess {
  #child;
  #calls = new Map();
  #actors = new Map();
  #lastCall = 0;
  #lastActor = 0;
  #gone = null;

  /** @param {'native' | 'original'} implementation */
  constructor(implementation) {
    this.implementation = implementation;
    this.#child = fork(PROGRAM, [implementations[implementation]], { serialization: 'advanced' });
    this.#child.on('message', (message) => this.#onMessage(message));
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.#gone = new Error(`the ${implementation} peer is gone (${signal ?? `code ${code}`})`);
        for (const { reject } of this.#calls.values()) reject(this.#gone);
        for (const actor of this.#actors.values()) actor.break(this.#gone);
        resolve({ code, signal });
      });
    });
  }

  get alive() {
    return this.#gone === null;
  }

  /** A new client or server in that process. It ends with the test, if a test is given. */
  async create(t, role, options) {
    const id = ++this.#lastActor;
    const actor = new Actor(this, id);
    this.#actors.set(id, actor);
    await this.call(id, 'create', [role, options]);
    if (t) {
      cleanup(t, async () => {
        if (this.alive) await this.call(id, 'dispose', []);
        this.#actors.delete(id);
      });
    }
    return actor;
  }

  client(t, options) {
    return this.create(t, 'client', options);
  }

  server(t, options) {
    return this.create(t, 'server', options);
  }

  call(actor, method, args) {
    if (this.#gone) return Promise.reject(this.#gone);
    const call = ++this.#lastCall;
    const promise = new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#child.send({ call, actor, method, args });
    });
    return deadline(promise, `${method} in the ${this.implementation} peer`).finally(() =>
      this.#calls.delete(call),
    );
  }

  /** Kills the process, so that it cannot end its connections. */
  async kill() {
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    if (this.alive) this.#child.disconnect();
    await this.exited;
  }

  #onMessage({ call, result, error, actor, event }) {
    if (event) {
      this.#actors.get(actor)?.push(event);
    } else if (error) {
      this.#calls.get(call)?.reject(Object.assign(new Error(error.message), error));
    } else {
      this.#calls.get(call)?.resolve(result);
    }
  }
}

/**
 * A client or server in another process: its events are the log's entries, its methods are those of
 * the peer program.
 */
class Actor extends EventLog {
  #process;
  #id;

  constructor(process, id) {
    super();
    this.#process = process;
    this.#id = id;
  }

  /** @param {string} method @param {...any} args */
  do(method, ...args) {
    return this.#process.call(this.#id, method, args);
  }
}

/** Processes that are started on first use and shared by the tests of a file. */
class PeerPool {
  #processes = new Map();

  /** The process of that implementation and name; a new one if it has died. */
  get(implementation, name = 'peer') {
    const key = `${implementation}/${name}`;
    let process = this.#processes.get(key);
    if (!process?.alive) {
      process = new PeerProcess(implementation);
      this.#processes.set(key, process);
    }
    return process;
  }

  async close() {
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
  }
}

module.exports = { PeerPool, PeerProcess };
