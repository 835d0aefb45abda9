'use strict';

// The object that a scenario receives: the package, raw peers, the original in another process, and
// the trace.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Describer } = require('./describe.js');
const { freePort } = require('../__test__/support/addresses.js');
const { RawServer, connectRaw } = require('./wire.js');

class Context {
  #sources = new Map();
  #describer;
  #scratch;
  #mail = [];
  #readers = [];
  #peers = [];

  /**
   * @param {string} directory the directory of the package under test
   * @param {string} scenario the name of the scenario, to start its peer
   * @param {string} original the directory of the original, for peers
   */
  constructor(directory, scenario, original) {
    this.directory = directory;
    this.original = original;
    this.scenario = scenario;
    this.sockhop = require(directory);
    this.#describer = new Describer(this.sockhop.session);
    this.#scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sh-'));
    this.#describer.hide(this.#scratch, '<dir>');
  }

  /** Loads a file of the package, such as `lib/ObjectBuffer.js`. */
  lib(name) {
    return require(path.join(this.directory, 'lib', name));
  }

  // --- the trace ---------------------------------------------------------------------------

  /**
   * Adds a line to the trace. Lines of one source are compared in order; sources are independent.
   */
  log(source, ...entry) {
    if (!this.#sources.has(source)) this.#sources.set(source, []);
    this.#sources.get(source).push(entry.map((item) => this.#describer.value(item)));
  }

  /** Logs the given events with their arguments. */
  watch(emitter, source, events) {
    for (const event of events) {
      emitter.on(event, (...args) => this.log(source, `'${event}'`, ...args));
    }
    return emitter;
  }

  /** Logs the result of a promise, and returns when it is settled. Never throws. */
  async outcome(source, label, promise) {
    try {
      const value = await promise;
      // The original passes on the argument of Node's write callback, which is null or undefined,
      // depending on the version.
      this.log(source, label, 'fulfilled', value ?? '<nothing>');
      return value;
    } catch (error) {
      this.log(source, label, 'rejected', error);
      return undefined;
    }
  }

  /** Logs the result of a call: an exception, or the result of its promise. */
  async attempt(source, label, call) {
    let returned;
    try {
      returned = call();
    } catch (error) {
      this.log(source, label, 'threw', error);
      return undefined;
    }
    if (typeof returned?.then === 'function') return this.outcome(source, label, returned);
    this.log(source, label, 'returned', returned);
    return returned;
  }

  /** Logs whether a promise is settled; for promises that may stay pending. */
  track(source, label, promise) {
    let state = 'pending';
    let value;
    promise.then(
      (result) => {
        state = 'fulfilled';
        value = result;
      },
      (error) => {
        state = 'rejected';
        value = error;
      },
    );
    return () =>
      state === 'pending' ? this.log(source, label, state) : this.log(source, label, state, value);
  }

  hide(value, placeholder) {
    return this.#describer.hide(value, placeholder);
  }

  name(object, label) {
    return this.#describer.name(object, label);
  }

  trace() {
    const trace = {};
    for (const source of [...this.#sources.keys()].sort()) {
      trace[source] = Describer.numberUuids(this.#sources.get(source));
    }
    for (const peer of this.#peers) {
      for (const [source, entries] of Object.entries(peer.trace ?? {}))
        trace[`peer: ${source}`] = entries;
    }
    return trace;
  }

  // --- waiting -----------------------------------------------------------------------------

  /** Returns the arguments of the next event of any name. */
  next(emitter, event) {
    return new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  }

  /** Resolves with the arguments of the next `count` events. */
  times(emitter, event, count) {
    return new Promise((resolve) => {
      const all = [];
      const listener = (...args) => {
        all.push(args);
        if (all.length === count) {
          emitter.removeListener(event, listener);
          resolve(all);
        }
      };
      emitter.on(event, listener);
    });
  }

  async until(predicate) {
    while (!predicate()) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  /**
   * Waits for a number of round trips over a separate connection, so that a busy machine waits
   * longer. Used to check that nothing more happens; a scenario waits for other things by event.
   */
  async quiesce(trips = 25) {
    const echo = await RawServer.listen();
    const socket = await connectRaw({ port: echo.port });
    const far = await echo.next();
    for (let i = 1; i <= trips; i++) {
      await socket.write('.');
      await far.receivedBytes(i);
      await far.write('.');
      await socket.receivedBytes(i);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    socket.destroy();
    await echo.close();
  }

  // --- the two sides -----------------------------------------------------------------------

  socketPath(name = 's') {
    return path.join(this.#scratch, name);
  }

  async port() {
    return this.hide(await freePort(), '<port>');
  }

  async rawServer(at, options) {
    const server = await RawServer.listen(at, options);
    if (typeof at !== 'string') this.hide(server.port, '<port>');
    return server;
  }

  async rawClient(endpoint) {
    return connectRaw(typeof endpoint === 'string' ? { path: endpoint } : endpoint);
  }

  client(options) {
    const client = new this.sockhop.client(options);
    this.name(client, '<client>');
    return client;
  }

  server(options) {
    const server = new this.sockhop.server(options);
    this.name(server, '<server>');
    return server;
  }

  /** Starts a server on a Unix socket, or on a TCP port with `tcp`. */
  async listening(options = {}, { tcp = false } = {}) {
    const endpoint = tcp
      ? { port: await this.port() }
      : { path: options.path ?? this.socketPath() };
    const server = this.server({ ...endpoint, ...options });
    await server.listen();
    return { server, endpoint };
  }

  /** Connects a client of the package to a raw peer. */
  async connected(options = {}, { tcp = false } = {}) {
    const raw = await this.rawServer(tcp ? undefined : this.socketPath());
    const endpoint = tcp ? { port: raw.port } : { path: this.socketPath() };
    const client = this.client({ ...endpoint, ...options });
    await client.connect();
    const connection = await raw.next();
    return { client, connection, raw };
  }

  /** Connects a raw peer to a server of the package, and waits for its 'connect' event. */
  async accepted(options = {}, where = {}) {
    const { server, endpoint } = await this.listening(options, where);
    const arrived = this.next(server, 'connect');
    const connection = await this.rawClient(endpoint.path ?? endpoint);
    const [sock, session] = await arrived;
    return { server, endpoint, connection, sock, session };
  }

  // --- the original in another process -----------------------------------------------------

  /** Runs the scenario's `peer` function on the original, in another process. */
  peer(argument) {
    const child = fork(
      path.join(__dirname, 'child.js'),
      [this.original, this.original, this.scenario],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    const peer = { trace: undefined };
    const mail = [];
    const readers = [];
    peer.done = new Promise((resolve) => {
      child.on('message', (message) => {
        if (message.kind === 'result') {
          peer.trace = message.trace;
          resolve();
        } else if (readers.length > 0) {
          readers.shift()(message.data);
        } else {
          mail.push(message.data);
        }
      });
      child.once('exit', resolve);
    });
    peer.post = (data) => child.send({ kind: 'mail', data });
    peer.message = () =>
      mail.length > 0
        ? Promise.resolve(mail.shift())
        : new Promise((resolve) => readers.push(resolve));
    peer.post(argument ?? null);
    this.#peers.push(peer);
    return peer;
  }

  /** In the peer: a message to or from the scenario. */
  post(data) {
    process.send({ kind: 'mail', data });
  }

  message() {
    return this.#mail.length > 0
      ? Promise.resolve(this.#mail.shift())
      : new Promise((resolve) => this.#readers.push(resolve));
  }

  deliver(data) {
    if (this.#readers.length > 0) this.#readers.shift()(data);
    else this.#mail.push(data);
  }

  /** Waits for the other processes. Connections of this process end with it. */
  async finish() {
    for (const peer of this.#peers) await peer.done;
  }

  cleanUp() {
    fs.rmSync(this.#scratch, { recursive: true, force: true });
  }
}

module.exports = { Context };
