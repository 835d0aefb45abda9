'use strict';

/* A Redis Cluster on loopback: processes of redis-server that share the 16,384 slots. */

const { Redis } = require('ioredis');

const { freePort } = require('./addresses.js');
const { cleanup } = require('./cleanup.js');
const { deadline, pause } = require('./deadline.js');

const SLOTS = 16_384;
/** After this silence of a master the others elect one of its replicas, in ms. */
const NODE_TIMEOUT = 1000;
const PATIENCE = 60_000;
/** The time between two questions to the servers while they find each other, in ms. */
const INTERVAL = 20;

/** One server, with a connection to give it commands. */
class Member {
  #admin = null;

  constructor(t, broker, busPort) {
    this.t = t;
    this.broker = broker;
    this.busPort = busPort;
  }

  get port() {
    return this.broker.port;
  }

  get admin() {
    if (this.#admin === null) {
      this.#admin = new Redis(this.port, '127.0.0.1', { retryStrategy: () => 50 });
      this.#admin.on('error', () => {});
      cleanup(this.t, () => this.#admin.disconnect());
    }
    return this.#admin;
  }

  cluster(...command) {
    return this.admin.cluster(...command);
  }

  /** The fields of CLUSTER INFO. */
  async info() {
    const text = await this.cluster('INFO');
    return Object.fromEntries(text.split('\r\n').map((line) => line.split(':')));
  }

  async id() {
    return String(await this.cluster('MYID'));
  }
}

/** Masters that share all slots, and perhaps replicas of some. */
class RedisCluster {
  members = [];
  #t;
  #startServer;

  /**
   * @param {object} t the test context
   * @param {function(...string): Promise<object>} startServer starts a redis-server with arguments
   */
  constructor(t, startServer) {
    this.#t = t;
    this.#startServer = startServer;
  }

  async form(masters) {
    for (let n = 0; n < masters; n += 1) await this.#add();
    for (let n = 0; n < masters; n += 1) {
      const [from, to] = [n, n + 1].map((part) => Math.floor((part * SLOTS) / masters));
      await this.members[n].cluster('ADDSLOTSRANGE', from, to - 1);
    }
    await this.#untilComplete();
  }

  async #add() {
    const busPort = await freePort();
    const broker = await this.#startServer(
      ...`--cluster-enabled yes --cluster-config-file nodes.conf --cluster-port ${busPort}`.split(
        ' ',
      ),
      ...`--cluster-node-timeout ${NODE_TIMEOUT} --cluster-require-full-coverage no`.split(' '),
      ...'--cluster-replica-validity-factor 0 --repl-diskless-sync-delay 0'.split(' '),
    );
    const member = new Member(this.#t, broker, busPort);
    const [first] = this.members;
    await first?.cluster('MEET', '127.0.0.1', member.port, busPort);
    this.members.push(member);
    return member;
  }

  /** Resolves when all running servers know each other and who has which slots. */
  #untilComplete(members = this.members) {
    const isComplete = async () => {
      for (const member of members) {
        const { cluster_known_nodes: known, cluster_slots_ok: slots } = await member.info();
        if (Number(known) !== this.members.length || Number(slots) !== SLOTS) return false;
      }
      return true;
    };
    return untilAsync(isComplete, 'the servers know each other and all slots');
  }

  async addReplica(master) {
    const replica = await this.#add();
    await this.#untilComplete();
    await replica.cluster('REPLICATE', await master.id());
    const isReady = async () =>
      /master_link_status:up/.test(await replica.admin.info('replication'));
    await untilAsync(isReady, 'the replica has its master');
    return replica;
  }

  /** The master that has the slot of a channel. */
  async ownerOf(channel) {
    const [first] = this.members;
    const slot = await first.cluster('KEYSLOT', channel);
    const ranges = await first.cluster('SLOTS');
    const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to);
    return this.members.find((member) => member.port === port);
  }

  /** Gives the slot of a channel, without keys, to another master. */
  async move(channel, target) {
    const owner = await this.ownerOf(channel);
    const slot = await owner.cluster('KEYSLOT', channel);
    const [from, to] = [await owner.id(), await target.id()];
    await target.cluster('SETSLOT', slot, 'IMPORTING', from);
    await owner.cluster('SETSLOT', slot, 'MIGRATING', to);
    await target.cluster('SETSLOT', slot, 'NODE', to);
    await owner.cluster('SETSLOT', slot, 'NODE', to);
  }

  stop() {
    return Promise.all(this.members.map(({ broker }) => broker.stop()));
  }

  async start() {
    await Promise.all(this.members.map(({ broker }) => broker.start()));
    await this.#untilComplete();
  }
}

/** A Redis Cluster that is ready: see the constructor for the arguments. */
async function startRedisCluster(t, startServer, masters = 3) {
  const cluster = new RedisCluster(t, startServer);
  await cluster.form(masters);
  return cluster;
}

/** Waits until a question to a server has the answer true. */
async function untilAsync(question, what) {
  const ask = async () => {
    while (!(await question())) await pause(INTERVAL);
  };
  await deadline(ask(), what, PATIENCE);
}

module.exports = { startRedisCluster };
