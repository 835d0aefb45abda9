'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { after } = require('node:test');
const { cleanup } = require('./cleanup.js');
const { deadline, until } = require('./deadline.js');
const { EventLog } = require('./event-log.js');
const impl = require('./impl.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'cluster-node.js');

/** How long an outage and the reactions to it may take on a busy machine, in ms. */
const PATIENCE = 60_000;

/** A node of a cluster in a process of its own; its events are the entries of its log. */
class NodeProcess extends EventLog {
  #send;
  #calls = new Map();
  #lastCall = 0;
  #hasEnded = false;
  clients = [];

  /** @param {function(object): void} send to the process */
  constructor(t, send) {
    super();
    this.t = t;
    this.#send = send;
  }

  /** Opens a new server with a new identity in the process. */
  async open(config) {
    this.#send({ open: config });
    Object.assign(this, await this.do('listen'));
  }

  onMessage({ call, result, error, code, event, args, time }) {
    if (event !== undefined) return this.push({ name: event, args, time });
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(Object.assign(new Error(error), { code }));
  }

  /** The process has ended, and answers no more calls. */
  end() {
    this.#hasEnded = true;
    for (const { reject } of this.#calls.values()) reject(new Error('the process has ended'));
    this.#calls.clear();
  }

  do(method, ...args) {
    this.#lastCall += 1;
    const call = this.#lastCall;
    const answered = new Promise((resolve, reject) => {
      if (this.#hasEnded) return reject(new Error('the process has ended'));
      this.#calls.set(call, { resolve, reject });
      this.#send({ call, method, args });
    });
    return deadline(answered, `${method} of a node`, PATIENCE);
  }

  /** Resolves when this node knows that many nodes, itself included. */
  async knows(count) {
    await this.do('knows', count);
  }

  /** Resolves when this node knows that many clients of all nodes. */
  async counts(clients) {
    await this.do('counts', clients);
  }

  /** A client of this node, with the numbers that it gets from each sender, and its session's id. */
  async client() {
    const client = new impl.client({ port: this.port });
    const one = { client, got: new Map(), isDisconnected: false };
    client.on('receive', (object, meta) => {
      if (object.ask) return meta.callback?.({ answer: object.ask });
      if (!one.got.has(object.from)) one.got.set(object.from, []);
      one.got.get(object.from).push(object.n);
    });
    client.on('error', () => {});
    client.on('disconnect', () => {
      one.isDisconnected = true;
    });
    await client.connect();
    cleanup(this.t, () => client.disconnect());
    const { localPort } = client.socket;
    const { args } = await this.next('connect', (entry) => entry.args[1] === localPort);
    [one.id] = args;
    this.clients.push(one);
    return one;
  }
}

/** The processes without a node, which the next tests use: starting one costs more than a node. */
const idle = [];
after(() => Promise.all(idle.map((runner) => runner.end())));

/** A process that runs one node after another. */
class Runner {
  #child = fork(PROGRAM, [], { execArgv: [] });
  #node = null;
  #hasEnded = false;
  #hasGotSignal = false;

  constructor() {
    this.#child.on('message', (message) => this.#node.onMessage(message));
    // This event follows the last message.
    this.ended = once(this.#child, 'close').then(() => {
      this.#hasEnded = true;
      this.#node?.end();
    });
  }

  /** A process that no test has stopped, and whose last node has closed in order. */
  static take() {
    while (idle.length > 0) {
      const runner = idle.pop();
      if (!runner.#hasEnded) return runner;
    }
    return new Runner();
  }

  /** A node with a new server. */
  async open(t, config) {
    this.#node = new NodeProcess(t, (message) => this.#child.send(message, () => {}));
    this.#node.kill = (signal) => this.kill(signal);
    await this.#node.open(config);
    return this.#node;
  }

  kill(signal) {
    this.#hasGotSignal = true;
    return this.#child.kill(signal);
  }

  /** Closes the node in order, or ends the process if the test has disturbed it. */
  async release() {
    if (this.#hasEnded || this.#hasGotSignal) return this.end();
    try {
      await this.#node.do('close');
      idle.push(this);
    } catch (err) {
      // A test may make its process exit.
      if (this.#hasEnded) return;
      await this.end();
      throw err;
    }
  }

  /** Ends the process, also if it is stopped. */
  end() {
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGKILL');
    return this.ended;
  }
}

/** Starts a node in a process that the test may kill: `kill(signal)`. */
async function startNodeProcess(t, config) {
  const runner = Runner.take();
  cleanup(t, () => runner.release());
  return runner.open(t, config);
}

/** Starts workers of one primary process, each of which is a node. */
async function startWorkerProcesses(t, count, config) {
  const child = fork(PROGRAM, ['primary'], { execArgv: [] });
  const nodes = new Map();
  const online = new EventLog();
  child.on('message', ({ worker, ...message }) => {
    if (message.event === 'online') online.push({ name: 'online', worker });
    nodes.get(worker)?.onMessage(message);
  });
  cleanup(t, () => child.kill('SIGKILL'));
  for (let n = 0; n < count; n += 1) {
    child.send({ fork: true });
    const { worker } = await online.next('online', undefined, PATIENCE);
    const node = new NodeProcess(t, (message) => child.send({ worker, ...message }, () => {}));
    node.kill = (signal) => child.send({ worker, kill: signal });
    nodes.set(worker, node);
    await node.open({ engine: 'workers', ...config });
  }
  return [...nodes.values()];
}

/** A proxy between a node and its broker, whose connections a test can cut. */
async function startCutter(t, port) {
  const open = new Set();
  let isCut = false;
  const server = net.createServer((near) => {
    near.on('error', () => {});
    if (isCut) return near.destroy();
    const far = net.connect(port, '127.0.0.1');
    far.on('error', () => near.destroy());
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  cleanup(t, () => {
    cut();
    server.close();
  });
  return {
    port: server.address().port,
    cut,
    mend: () => {
      isCut = false;
    },
  };
}

/** Waits until a client has that number of a sender, or a later one. */
const untilGot = (client, from, number) =>
  until(
    () => client.got.get(from)?.at(-1) >= number,
    `a client has number ${number} of sender ${from}`,
    PATIENCE,
  );

module.exports = { PATIENCE, startCutter, startNodeProcess, startWorkerProcesses, untilGot };
