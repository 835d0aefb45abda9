'use strict';

const { once } = require('node:events');
const { cleanup } = require('./cleanup.js');
const { deadline } = require('./deadline.js');
const { EventLog } = require('./event-log.js');
const impl = require('./impl.js');

/** Heartbeats of tests. */
const QUICK = { heartbeat_interval: 100, node_timeout: 1000 };

/** How long nodes of tests try to join, and wait for others, in ms: enough for a busy machine. */
const JOIN_TIMEOUT = 120_000;
const PATIENT = { join_timeout: JOIN_TIMEOUT, request_timeout: 60_000 };

const EVENTS = ['up', 'down', 'node_up', 'node_down', 'gap', 'refused', 'remote'];

/** Records the events of `server.cluster`. */
function recordCluster(server) {
  const log = new EventLog();
  for (const name of EVENTS) server.cluster.on(name, (...args) => log.push({ name, args }));
  return log;
}

/** A server that is a node, listening, with its clients. */
class TestNode {
  constructor(t, server) {
    this.t = t;
    this.server = server;
    this.cluster = server.cluster;
    this.log = recordCluster(server);
    this.clients = [];
  }

  /** A client of this node, with the objects that it receives, and the id of its session. */
  async client() {
    const client = new impl.client({ port: this.server.server.address().port });
    const log = new EventLog();
    client.on('receive', (object, meta) => log.push({ name: 'receive', object, meta }));
    client.on('disconnect', () => log.push({ name: 'disconnect' }));
    const connected = once(this.server, 'connect');
    await client.connect();
    cleanup(this.t, () => client.disconnect());
    const [sock, session] = await deadline(connected, 'the session of a client');
    const id = this.cluster.id_of(session);
    this.clients.push(client);
    return { client, log, session, sock, id };
  }

  /** Resolves when this node knows that many nodes, itself included. */
  async knows(count) {
    while (this.cluster.nodes.size !== count) {
      await deadline(
        Promise.race([once(this.cluster, 'node_up'), once(this.cluster, 'node_down')]),
        () => `${count} nodes; there are ${this.cluster.nodes.size}`,
      );
    }
  }
}

/**
 * A server that has joined a cluster.
 *
 * @param {object} engine
 * @param {object} [options] of the cluster
 * @param {object} [serverOptions]
 */
async function startNode(t, engine, options = {}, serverOptions = {}) {
  const server = new impl.server({
    port: 0,
    cluster: { engine, ...QUICK, ...PATIENT, ...options },
    ...serverOptions,
  });
  const node = new TestNode(t, server);
  cleanup(t, () => server.close());
  await server.listen();
  return node;
}

/** Nodes that know each other. */
async function startNodes(t, broker, count, options = {}, serverOptions = {}) {
  const nodes = [];
  for (let n = 0; n < count; n += 1) {
    nodes.push(await startNode(t, await broker.engine(), options, serverOptions));
  }
  await Promise.all(nodes.map((node) => node.knows(count)));
  return nodes;
}

module.exports = { JOIN_TIMEOUT, QUICK, TestNode, recordCluster, startNode, startNodes };
