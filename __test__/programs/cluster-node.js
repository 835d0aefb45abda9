'use strict';

// Nodes of a cluster in a separate process, one after another. The process carries out the commands
// of the test, and reports the events of `server.cluster`. With the engine "workers" it is a worker
// of node:cluster, and its primary process passes the messages on.

const nodeCluster = require('node:cluster');
const { setTimeout: delay } = require('node:timers/promises');

const { SockhopServer } = require('../..');
const { nats } = require('../../lib/cluster/nats.js');
const { redis } = require('../../lib/cluster/redis.js');
const { relay, workers } = require('../../lib/cluster/workers.js');

const engines = { nats, redis, workers: () => workers() };

const EVENTS = ['up', 'down', 'node_up', 'node_down', 'gap', 'refused', 'remote'];

/** How long a node tries to join, in ms: long enough for a busy machine. */
const JOIN_TIMEOUT = 120_000;

/** The time between two looks at a condition, in ms. */
const LOOK = 10;

/** Sends numbered messages to all clients at an interval. */
class Sender {
  #server;
  #from;
  #timer = null;
  #change = null;
  sent = 0;
  refused = [];

  constructor(server) {
    this.#server = server;
  }

  start(from, interval) {
    this.#from = from;
    this.pace(interval);
  }

  /** Continues at another interval, after some more messages. */
  pace(interval, after = 0) {
    this.#change = { interval, last: this.sent + after };
    if (after === 0) this.#continue();
  }

  stop() {
    clearInterval(this.#timer);
  }

  #continue() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#send(), this.#change.interval);
    this.#change = null;
  }

  #send() {
    this.sent += 1;
    const { sent: n } = this;
    this.#server
      .sendall({ from: this.#from, n })
      .catch((err) => this.refused.push({ n, code: err.code }));
    if (this.#change?.last === n) this.#continue();
  }
}

/**
 * A node with a server of its own.
 *
 * @param {object} config
 * @param {function(object): void} send to the test; nothing is sent after the answer to `close`
 */
function makeNode({ engine, url, options, port = 0 }, send) {
  const cluster = { engine: engines[engine](url), join_timeout: JOIN_TIMEOUT, ...options };
  const server = new SockhopServer({ port, cluster });
  let isClosed = false;
  const report = (message) => {
    if (!isClosed) send(message);
  };
  /** Resolves when a condition holds, of whose changes not all are events. */
  const until = async (condition) => {
    while (!isClosed && !condition()) await delay(LOOK);
  };
  for (const name of EVENTS) {
    server.cluster.on(name, (...args) => {
      const plain = args.map((arg) => (arg instanceof Error ? arg.message : arg));
      report({ event: name, args: plain, time: Date.now() });
    });
  }
  server.on('error', (err) => report({ event: 'error', args: [err.code] }));
  server.on('connect', (sock, session) => {
    report({ event: 'connect', args: [server.cluster.id_of(session), sock.remotePort] });
  });
  server.on('receive', (_, meta) => meta.callback?.({ pid: process.pid }));

  const sender = new Sender(server);
  const commands = {
    listen: async () => {
      const listener = await server.listen();
      return { port: listener.address().port, node: server.cluster.node };
    },
    startSending: (from, interval) => sender.start(from, interval),
    pace: (interval, after) => sender.pace(interval, after),
    stopSending: () => {
      sender.stop();
      return { sent: sender.sent, refused: sender.refused };
    },
    call: async (name, ...args) => (await server.cluster[name](...args)) ?? null,
    /** Resolves when this node knows that many nodes, itself included. */
    knows: (count) => until(() => server.cluster.nodes.size === count),
    /** Resolves when this node knows that many clients of all nodes. */
    counts: (clients) => until(() => server.cluster.count() === clients),
    stats: () => server.stats().cluster,
    /** An operation on a session of any node; resolves with its result or the code of its error. */
    session: async (id, method, ...args) => {
      const began = Date.now();
      try {
        const result = await server.cluster.session(id)[method](...args);
        return { result: result ?? null, ms: Date.now() - began };
      } catch (err) {
        return { code: err.code, ms: Date.now() - began };
      }
    },
    ask: (id, object) =>
      new Promise((resolve, reject) => {
        server.cluster.session(id).send(object, resolve).catch(reject);
      }),
    join: (number, group) => server.cluster.join(server.sessions[number], group),
    group: async (name, method, ...args) =>
      (await server.cluster.group(name)[method](...args)) ?? null,
    /** Sends numbers to the other nodes in the last tick, and exits. */
    sayAndExit: () => {
      process.on('exit', () => server.cluster.emit_remote('last', 3));
      setImmediate(() => {
        server.cluster.emit_remote('last', 1);
        server.cluster.emit_remote('last', 2);
        process.exit();
      });
    },
    close: () => {
      sender.stop();
      return server.close();
    },
  };
  return async ({ call, method, args }) => {
    let answer;
    try {
      answer = { call, result: await commands[method](...args) };
    } catch (err) {
      answer = { call, error: err.message, code: err.code };
    }
    report(answer);
    if (method === 'close') isClosed = true;
  };
}

/** Carries out the commands for one node after another; the command `open` makes the next one. */
function run() {
  const send = (message) => process.connected && process.send(message, () => {});
  let carryOut = null;
  process.on('message', (message) => {
    if (message.open !== undefined) carryOut = makeNode(message.open, send);
    // Those without a call are of node:cluster.
    else if (message.call !== undefined) carryOut(message);
  });
}

if (nodeCluster.isWorker || process.argv[2] !== 'primary') run();
else {
  relay();
  process.on('message', ({ worker: id, fork, kill, ...message }) => {
    if (fork) {
      const worker = nodeCluster.fork();
      worker.on('message', (answer) => process.send({ ...answer, worker: worker.id }));
      worker.on('exit', () => process.send({ event: 'exit', worker: worker.id, args: [] }));
      worker.once('online', () => process.send({ event: 'online', worker: worker.id, args: [] }));
    } else if (kill) nodeCluster.workers[id].process.kill(kill);
    else nodeCluster.workers[id].send(message);
  });
}
