// The packages that the benchmark compares.

/** How many processes a peer has by default. */
const NODES = 4;

const SOCKHOP = 'sockhop-node.js';
const SOCKET_IO = 'socketio-node.js';
const BROKER_CLIENT = 'broker-node.js';

/**
 * @typedef {object} Peer
 * @property {string} name
 * @property {string} label
 * @property {string} program that each node runs
 * @property {number} nodes how many processes there are
 * @property {string} [broker] the broker that the peer needs
 * @property {boolean} [primary] whether the nodes are workers of one process
 * @property {object} config the settings that the program gets
 */

/** @type {Peer[]} */
const PEERS = [
  { name: 'broker-nats', label: 'NATS alone', program: BROKER_CLIENT, broker: 'nats' },
  { name: 'broker-redis', label: 'Redis alone', program: BROKER_CLIENT, broker: 'redis' },
  { name: 'native-nats', label: 'sockhop-native, NATS', program: SOCKHOP, broker: 'nats' },
  { name: 'native-redis', label: 'sockhop-native, Redis', program: SOCKHOP, broker: 'redis' },
  {
    name: 'native-workers',
    label: 'sockhop-native, workers',
    program: SOCKHOP,
    primary: true,
    config: { engine: 'workers' },
  },
  {
    name: 'native-one',
    label: 'sockhop-native, one process',
    program: SOCKHOP,
    nodes: 1,
    config: {},
  },
  {
    name: 'socketio-redis',
    label: 'socket.io, redis-adapter',
    program: SOCKET_IO,
    broker: 'redis',
    config: { adapter: 'redis' },
  },
  {
    name: 'socketio-streams',
    label: 'socket.io, redis-streams-adapter',
    program: SOCKET_IO,
    broker: 'redis',
    config: { adapter: 'streams' },
  },
  {
    name: 'socketio-cluster',
    label: 'socket.io, cluster-adapter',
    program: SOCKET_IO,
    primary: true,
    config: { adapter: 'cluster' },
  },
  {
    name: 'socketio-one',
    label: 'socket.io, one process',
    program: SOCKET_IO,
    nodes: 1,
    config: {},
  },
].map((peer) => ({ nodes: NODES, config: { engine: peer.broker }, ...peer }));

module.exports = { BROKER_CLIENT, NODES, PEERS, SOCKET_IO, SOCKHOP };
