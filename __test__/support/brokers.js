'use strict';

/*
 * The brokers of the tests of clusters. A test starts its own broker, on loopback and in a separate
 * directory, and ends it by its process id. The programs are those on the PATH, or those that "npm
 * run setup" has put into target/brokers.
 */

const { spawn } = require('node:child_process');
const cluster = require('node:cluster');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { after } = require('node:test');
const { setTimeout: delay } = require('node:timers/promises');

const { memory, MemoryBus } = require('../../lib/cluster/memory.js');
const { nats } = require('../../lib/cluster/nats.js');
const { redis } = require('../../lib/cluster/redis.js');
const { relay } = require('../../lib/cluster/workers.js');
const { environmentOf, findProgram } = require('../../scripts/brokers.js');
const { freePort, temporaryDirectory } = require('./addresses.js');
const { cleanup } = require('./cleanup.js');
const { deadline } = require('./deadline.js');
const { startRedisCluster } = require('./redis-cluster.js');

const ENGINE_WORKER = path.join(__dirname, '..', 'programs', 'engine-worker.js');

/**
 * The answer of a program at a port of the loopback interface to a request, until it has a pattern;
 * null if the connection ends before.
 */
function answerAt(port, request, pattern) {
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(port, '127.0.0.1', () => socket.write(request));
    socket.setEncoding('latin1').on('data', (more) => {
      answer += more;
      if (pattern.test(answer)) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(pattern.test(answer) ? answer : null));
  });
}

/** Resolves when a broker answers at its port, or has ended: another program may have taken it. */
async function untilAnswered(port, child, { request, end, isOwn }) {
  while (child.exitCode === null) {
    const answer = await answerAt(port, request, end);
    if (answer !== null && isOwn(answer, child)) return;
    await delay(20);
  }
}

/** Whether all threads of a process are stopped; true if the system does not report it. */
function isStopped(pid) {
  const tasks = `/proc/${pid}/task`;
  if (!fs.existsSync(tasks)) return true;
  return fs.readdirSync(tasks).every((task) => {
    const stat = fs.readFileSync(`${tasks}/${task}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] === 'T';
  });
}

/**
 * The request by which each broker shows that it is ready and which process it is: a nats-server
 * returns its name, and a redis-server its process id.
 */
const GREETINGS = {
  'nats-server': {
    request: '',
    end: /\r\n/,
    isOwn: (answer, { spawnargs }) =>
      answer.includes(`"server_name":"${spawnargs[spawnargs.indexOf('--name') + 1]}"`),
  },
  'redis-server': {
    request: 'INFO server\r\n',
    end: /process_id:\d+\r|^-/,
    isOwn: (answer, { pid }) => answer.startsWith('-NO') || answer.includes(`process_id:${pid}\r`),
  },
};

/** A server program of a broker: it can be killed and started again on the same port. */
class BrokerProcess {
  #program;
  #argumentsFor;
  #greeting;
  #directory;
  #child = null;

  constructor(t, name, argumentsFor) {
    this.#program = findProgram(name);
    this.#greeting = GREETINGS[name];
    this.#argumentsFor = argumentsFor;
    this.#directory = temporaryDirectory(t);
    cleanup(t, () => this.stop());
  }

  /** A broker that is started again uses the same port. */
  async start() {
    const isFirst = this.port === undefined;
    for (let attempt = 0; attempt < (isFirst ? 10 : 1); attempt++) {
      if (isFirst) this.port = await freePort();
      const child = spawn(this.#program, this.#argumentsFor(this.port, this.#directory), {
        cwd: this.#directory,
        stdio: 'ignore',
        env: environmentOf(this.#program),
      });
      this.#child = child;
      const answered = untilAnswered(this.port, child, this.#greeting);
      await deadline(answered, `${this.#program} to accept connections`);
      if (child.exitCode === null) return;
    }
    throw new Error(`${this.#program} has ended with ${this.#child.exitCode}`);
  }

  /** The broker does nothing until `resume()`, and its connections stay open. */
  async suspend() {
    this.#child.kill('SIGSTOP');
    // The other threads of the process continue until one of them has taken the signal.
    while (!isStopped(this.#child.pid)) await delay(1);
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  /** Kills the broker. */
  async stop() {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGKILL');
    });
  }
}

/** The name of each nats-server of this process, which it sends to its clients. */
const natsName = (port) => `sockhop-${process.pid}-${port}`;
const NATS_ARGUMENTS = (port) => ['-a', '127.0.0.1', '-p', `${port}`, '--name', natsName(port)];

const REDIS_ARGUMENTS = (port, directory) =>
  `--bind 127.0.0.1 --port ${port} --appendonly no --dir ${directory}`
    .split(' ')
    .concat('--save', '');

/** Clients of a broker that the test owns, as a program would. */
class ClientsOfTest {
  #close = [];

  constructor(t) {
    cleanup(t, () => Promise.all(this.#close.map((close) => close())));
  }

  add(close) {
    this.#close.push(close);
  }
}

/** A nats-server with its own configuration, a text. */
async function startNatsServer(t, configuration) {
  const broker = new BrokerProcess(t, 'nats-server', (port, directory) => {
    const file = path.join(directory, 'nats.conf');
    fs.writeFileSync(file, configuration);
    return [...NATS_ARGUMENTS(port), '-c', file];
  });
  await broker.start();
  return broker;
}

/** A redis-server with further arguments. */
async function startRedisServer(t, ...more) {
  const broker = new BrokerProcess(t, 'redis-server', (port, directory) => [
    ...REDIS_ARGUMENTS(port, directory),
    ...more,
  ]);
  await broker.start();
  return broker;
}

async function startNats(t, client) {
  const broker = new BrokerProcess(t, 'nats-server', NATS_ARGUMENTS);
  await broker.start();
  const clients = new ClientsOfTest(t);
  const { connect } = require(client);
  return {
    start: () => broker.start(),
    stop: () => broker.stop(),
    suspend: () => broker.suspend(),
    resume: () => broker.resume(),
    port: broker.port,
    async engine(port = broker.port) {
      const connection = await connect({
        servers: `nats://127.0.0.1:${port}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 100,
        reconnectJitter: 50,
      });
      clients.add(() => connection.close());
      return nats(connection);
    },
    url: (port = broker.port) => nats(`nats://127.0.0.1:${port}`),
  };
}

async function startRedis(t, makeClient) {
  const broker = new BrokerProcess(t, 'redis-server', REDIS_ARGUMENTS);
  await broker.start();
  const clients = new ClientsOfTest(t);
  return {
    start: () => broker.start(),
    stop: () => broker.stop(),
    suspend: () => broker.suspend(),
    resume: () => broker.resume(),
    port: broker.port,
    async engine(port = broker.port) {
      const { client, close } = await makeClient(port);
      clients.add(close);
      return redis(client);
    },
    url: (port = broker.port) => redis(`redis://127.0.0.1:${port}`),
  };
}

async function ioredisClient(port) {
  const { Redis } = require('ioredis');
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 100 });
  client.on('error', () => {});
  return { client, close: () => client.disconnect() };
}

async function nodeRedisClient(port) {
  const { createClient } = require('@redis/client');
  const client = createClient({
    socket: { port, host: '127.0.0.1', reconnectStrategy: () => 100 },
  });
  client.on('error', () => {});
  await client.connect();
  return { client, close: () => client.destroy() };
}

/** Ends the brokers that the tests of a file share. */
const endings = [];
const fileContext = { after: (ending) => endings.push(ending) };
after(async () => {
  for (const ending of endings) await ending();
});

/** Three masters, which find each other once for all tests of a file. */
let sharedCluster = null;
function startSharedCluster() {
  const start = (...args) => startRedisServer(fileContext, ...args);
  sharedCluster ??= startRedisCluster(fileContext, start);
  return sharedCluster;
}

/** Engines with a client of a Redis Cluster. */
async function startShardedRedis(t, makeClient) {
  const cluster = await startSharedCluster();
  const clients = new ClientsOfTest(t);
  return {
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    isOrdered: false,
    url: null,
    async engine() {
      const { client, close } = await makeClient(cluster.members.map(({ port }) => port));
      clients.add(close);
      return redis(client);
    },
  };
}

async function ioredisCluster(ports) {
  const { Cluster } = require('ioredis');
  const client = new Cluster(
    ports.map((port) => ({ port, host: '127.0.0.1' })),
    { clusterRetryStrategy: () => 100 },
  );
  client.on('error', () => {});
  return { client, close: () => client.disconnect() };
}

/** The first client of each cluster. Its duplicates share the class that the package makes for it. */
const firstClients = new Map();

async function nodeRedisCluster(ports) {
  const { createCluster } = require('@redis/client');
  const rootNodes = ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }));
  const defaults = { socket: { reconnectStrategy: () => 100 } };
  const first = firstClients.get(ports.join());
  const client = first?.duplicate() ?? createCluster({ rootNodes, defaults });
  if (!first) firstClients.set(ports.join(), client);
  client.on('error', () => {});
  await client.connect();
  return { client, close: () => client.destroy() };
}

/** An engine in a worker of this process, which passes the messages between its workers. */
class EngineOfWorker {
  #worker;
  #host = null;
  #calls = new Map();
  #lastCall = 0;

  name = 'workers';
  wildcards = true;

  constructor(worker) {
    this.#worker = worker;
    worker.on('message', ({ call, result, error, event, args = [] }) => {
      if (event === 'deliver') this.#host?.deliver(args[0], Buffer.from(args[1], 'latin1'));
      else if (event === 'nobody') this.#host?.nobody(...args);
      const waiting = this.#calls.get(call);
      this.#calls.delete(call);
      if (error !== undefined) waiting?.reject(new Error(error));
      else waiting?.resolve(result);
    });
  }

  #call(method, ...args) {
    this.#lastCall += 1;
    const call = this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#worker.send({ call, method, args });
    });
  }

  open(host) {
    this.#host = host;
    return this.#call('open', host.inbox);
  }

  subscribe(subject) {
    return this.#call('subscribe', subject);
  }

  unsubscribe(subject) {
    return this.#call('unsubscribe', subject);
  }

  publish(subject, bytes, ticket) {
    this.#call('publish', subject, Buffer.from(bytes).toString('latin1'), ticket);
  }

  flush() {
    return this.#call('flush');
  }

  pending() {
    return 0;
  }

  close() {
    return this.#call('close');
  }
}

async function startWorkers(t) {
  relay();
  cluster.setupPrimary({ exec: ENGINE_WORKER, execArgv: [] });
  const engine = async () => {
    const worker = cluster.fork();
    const exited = once(worker, 'exit');
    cleanup(t, () => {
      worker.process.kill('SIGKILL');
      return exited;
    });
    await deadline(once(worker, 'message'), 'a worker to start', 120_000);
    return new EngineOfWorker(worker);
  };
  return { engine, canStop: false, url: null };
}

function startMemory() {
  const bus = new MemoryBus();
  return {
    start: async () => bus.start(),
    stop: async () => bus.stop(),
    engine: async () => memory({ bus }),
    url: () => memory({ bus }),
    bus,
  };
}

const required = (process.env.SOCKHOP_BROKERS ?? '').split(',').filter(Boolean);

/** @returns {string | false} why tests on a broker are skipped */
function missing(broker, program) {
  if (findProgram(program) !== null) return false;
  if (required.includes(broker)) {
    throw new Error(`SOCKHOP_BROKERS asks for ${broker}, and there is no ${program}`);
  }
  return `skipped: no ${program}`;
}

const noNats = missing('nats', 'nats-server');
const noRedis = missing('redis', 'redis-server');

/**
 * Every engine with every client. The broker of `start()` has `engine()`, with a client of the test,
 * and `url()`, with one that the engine makes. `stop()` and `start()` end it and start it again,
 * unless `canStop` is false. Subjects have an order of their own if `isOrdered` is false.
 *
 * @type {{name: string, skip: string | false, start: function(object): Promise<object>}[]}
 */
const brokers = [
  { name: 'memory', skip: false, start: async () => startMemory() },
  { name: 'workers of node:cluster', skip: false, start: startWorkers },
  {
    name: '@nats-io/transport-node',
    skip: noNats,
    start: (t) => startNats(t, '@nats-io/transport-node'),
  },
  { name: 'nats 2', skip: noNats, start: (t) => startNats(t, 'nats') },
  { name: 'ioredis', skip: noRedis, start: (t) => startRedis(t, ioredisClient) },
  { name: '@redis/client', skip: noRedis, start: (t) => startRedis(t, nodeRedisClient) },
  {
    name: 'ioredis, sharded over a Redis Cluster',
    skip: noRedis,
    start: (t) => startShardedRedis(t, ioredisCluster),
  },
  {
    name: '@redis/client, sharded over a Redis Cluster',
    skip: noRedis,
    start: (t) => startShardedRedis(t, nodeRedisCluster),
  },
];

module.exports = {
  brokers,
  ioredisCluster,
  noNats,
  noRedis,
  nodeRedisCluster,
  startNatsServer,
  startRedisServer,
};
