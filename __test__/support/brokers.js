'use strict';

/*
 * The brokers that tests of clusters run on. A test starts its own one, on loopback, in a directory
 * of its own, and ends it by its process id. The programs are those on the PATH, or those that
 * "npm run setup" has put into the cache of the project.
 */

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');

const { memory, MemoryBus } = require('../../lib/cluster/memory.js');
const { nats } = require('../../lib/cluster/nats.js');
const { redis } = require('../../lib/cluster/redis.js');
const { freePort, temporaryDirectory } = require('./addresses.js');
const { cleanup } = require('./cleanup.js');
const { deadline } = require('./deadline.js');

const CACHE = path.join(__dirname, '..', '..', 'node_modules', '.cache', 'brokers');

/** The place of a program; null if it is not installed. */
function findProgram(name) {
  const directories = [
    ...(process.env.PATH ?? '').split(path.delimiter),
    '/usr/sbin',
    path.join(CACHE, 'usr', 'bin'),
    path.join(CACHE, 'usr', 'sbin'),
  ];
  for (const directory of directories) {
    const file = path.join(directory, name);
    if (directory !== '' && fs.existsSync(file)) return file;
  }
  return null;
}

/** Resolves when something accepts connections on a port of the loopback interface. */
async function accepting(port, child) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the broker has ended with ${child.exitCode}`);
    const isOpen = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.unref();
      socket.once('close', () => resolve(false));
      setTimeout(() => socket.destroy(), 1000).unref();
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await delay(20);
  }
}

/** A server program of a broker: it can be killed and started again on the same port. */
class BrokerProcess {
  #program;
  #argumentsFor;
  #directory;
  #child = null;

  constructor(t, program, argumentsFor) {
    this.#program = program;
    this.#argumentsFor = argumentsFor;
    this.#directory = temporaryDirectory(t);
    cleanup(t, () => this.stop());
  }

  async start() {
    this.port ??= await freePort();
    const libraries = path.join(CACHE, 'usr', 'lib');
    const child = spawn(this.#program, this.#argumentsFor(this.port, this.#directory), {
      cwd: this.#directory,
      stdio: 'ignore',
      env: { ...process.env, LD_LIBRARY_PATH: libraries },
    });
    this.#child = child;
    await deadline(accepting(this.port, child), `${this.#program} to accept connections`);
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

const NATS_ARGUMENTS = (port) => ['-a', '127.0.0.1', '-p', String(port)];

const REDIS_ARGUMENTS = (port, directory) =>
  `--bind 127.0.0.1 --port ${port} --appendonly no --dir ${directory}`
    .split(' ')
    .concat('--save', '');

/** Clients of a broker that belong to the test, as to a program. */
class ClientsOfTest {
  #close = [];

  constructor(t) {
    cleanup(t, () => Promise.all(this.#close.map((close) => close())));
  }

  add(close) {
    this.#close.push(close);
  }
}

async function startNats(t, client) {
  const broker = new BrokerProcess(t, findProgram('nats-server'), NATS_ARGUMENTS);
  await broker.start();
  const clients = new ClientsOfTest(t);
  const { connect } = require(client);
  return {
    start: () => broker.start(),
    stop: () => broker.stop(),
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
  const broker = new BrokerProcess(t, findProgram('redis-server'), REDIS_ARGUMENTS);
  await broker.start();
  const clients = new ClientsOfTest(t);
  return {
    start: () => broker.start(),
    stop: () => broker.stop(),
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
 * Every engine with every client.
 *
 * @type {{name: string, skip: string | false, start: function(object): Promise<object>}[]}
 */
const brokers = [
  { name: 'memory', skip: false, start: async () => startMemory() },
  {
    name: '@nats-io/transport-node',
    skip: noNats,
    start: (t) => startNats(t, '@nats-io/transport-node'),
  },
  { name: 'nats 2', skip: noNats, start: (t) => startNats(t, 'nats') },
  { name: 'ioredis', skip: noRedis, start: (t) => startRedis(t, ioredisClient) },
  { name: '@redis/client', skip: noRedis, start: (t) => startRedis(t, nodeRedisClient) },
];

module.exports = { brokers, findProgram };
