'use strict';

/* A Redis Cluster on loopback: processes of redis-server that share the 16,384 slots. */

const { Redis } = require('ioredis');

const { freePort } = require('./addresses.js');
const { cleanup } = require('./cleanup.js');
const { deadline, turn } = require('./deadline.js');

const SLOTS = 16_384;
/** After this silence of a master the others elect one of its replicas, in ms. */
const NODE_TIMEOUT = 1000;
const PATIENCE = 60_000;

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

/**
 * A running Redis Cluster.
 *
 * @param {object} t the test context
 * @param {function(...string): Promise<object>} startServer starts a redis-server with arguments
 * @param {object} [size]
 * @param {number} [size.masters]
 * @param {number} [size.replicas] of the first masters, one each
 */
async function startRedisCluster(t, startServer, { masters = 3, replicas = 0 } = {}) {
  const members = [];
  for (let n = 0; n < masters + replicas; n += 1) {
    const busPort = await freePort();
    const broker = await startServer(
      ...`--cluster-enabled yes --cluster-config-file nodes.conf --cluster-port ${busPort}`.split(
        ' ',
      ),
      ...`--cluster-node-timeout ${NODE_TIMEOUT} --cluster-require-full-coverage no`.split(' '),
      ...'--cluster-replica-validity-factor 0'.split(' '),
    );
    members.push(new Member(t, broker, busPort));
  }
  const [first] = members;
  for (const { port, busPort } of members.slice(1)) {
    await first.cluster('MEET', '127.0.0.1', port, busPort);
  }
  for (let n = 0; n < masters; n += 1) {
    const [from, to] = [n, n + 1].map((part) => Math.floor((part * SLOTS) / masters));
    await members[n].cluster('ADDSLOTSRANGE', from, to - 1);
  }
  const isComplete = async () => {
    for (const member of members) {
      const { cluster_known_nodes: known, cluster_slots_ok: slots } = await member.info();
      if (Number(known) !== members.length || Number(slots) !== SLOTS) return false;
    }
    return true;
  };
  await untilAsync(isComplete, 'the servers know each other and all slots');
  for (let n = 0; n < replicas; n += 1) {
    await members[masters + n].cluster('REPLICATE', await members[n].id());
  }
  const isReplicated = async () => {
    for (const { admin } of members.slice(masters)) {
      if (!/master_link_status:up/.test(await admin.info('replication'))) return false;
    }
    return true;
  };
  await untilAsync(isReplicated, 'the replicas have their masters');
  return {
    members,
    isComplete,
    stop: () => Promise.all(members.map(({ broker }) => broker.stop())),
    async start() {
      await Promise.all(members.map(({ broker }) => broker.start()));
      await untilAsync(isComplete, 'the servers have found each other again');
    },
  };
}

/** Waits until a question to a server has the answer true. */
async function untilAsync(question, what) {
  const ask = async () => {
    while (!(await question())) await turn();
  };
  await deadline(ask(), what, PATIENCE);
}

module.exports = { startRedisCluster, untilAsync };
