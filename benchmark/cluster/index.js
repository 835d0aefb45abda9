// Servers in several processes that act as one: `npm run bench -- cluster`.
//
// Each peer has 4 nodes of 250 clients each, or one process with 1,000. The clients are plain sockets
// in one process. Node 0 sends to all, a batch at a time, and each batch ends when every client has
// all its bytes. Peers take turns in several rounds; a figure is the median of the rounds.

const { fork, spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { environmentOf, findProgram } = require('../../scripts/brokers.js');
const { machine } = require('../lib/machine.js');
const { installPeers } = require('../lib/setup.js');
const { clusterPlot } = require('./plot.js');

const RESULTS = path.join(__dirname, '..', 'results');
const NODES = 4;
const CLIENTS = 1000;
const BATCH = 25;
const MESSAGE = { text: 'x'.repeat(140) };
const CALLS = 400;

const SOCKHOP = 'sockhop-node.js';
const SOCKET_IO = 'socketio-node.js';

/** name, label, program, nodes, what the program gets, and the broker. */
const PEERS = [
  {
    name: 'native-nats',
    label: 'sockhop-native, NATS',
    program: SOCKHOP,
    broker: 'nats',
    config: { engine: 'nats' },
  },
  {
    name: 'native-redis',
    label: 'sockhop-native, Redis',
    program: SOCKHOP,
    broker: 'redis',
    config: { engine: 'redis' },
  },
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
];

/** A process that answers calls. */
class Remote {
  #calls = new Map();
  #lastCall = 0;
  #send;

  constructor(send) {
    this.#send = send;
    this.ready = new Promise((resolve) => {
      this.onReady = resolve;
    });
  }

  onMessage({ ready, call, result, error }) {
    if (ready) return this.onReady();
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }

  do(method, ...args) {
    this.#lastCall += 1;
    const call = this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#send({ call, method, args });
    });
  }
}

function start(file, argument = '') {
  const child = fork(path.join(__dirname, file), [argument], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const remote = new Remote((message) => child.send(message, () => {}));
  child.on('message', (message) => remote.onMessage(message));
  return { remote, child };
}

/** Starts workers of one primary process. */
function startWorkers(file, argument, count) {
  const child = fork(path.join(__dirname, file), [argument, 'primary'], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const remotes = [];
  child.on('message', ({ worker, ...message }) => remotes[worker - 1]?.onMessage(message));
  for (let n = 1; n <= count; n += 1) {
    remotes.push(new Remote((message) => child.send({ worker: n, ...message }, () => {})));
    child.send({ fork: true });
  }
  return { remotes, children: [child] };
}

// ---- brokers -------------------------------------------------------------------------------------

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const BROKERS = {
  nats: {
    program: 'nats-server',
    scheme: 'nats',
    args: (port) => ['-a', '127.0.0.1', '-p', String(port)],
  },
  redis: {
    program: 'redis-server',
    scheme: 'redis',
    args: (port) => [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--save',
      '',
      '--appendonly',
      'no',
    ],
  },
};

/** @returns {Promise<?{url: string, stop: Function}>} null: it is not installed */
async function startBroker(name) {
  const { program, scheme, args } = BROKERS[name];
  const file = findProgram(program);
  if (file === null) return null;
  const port = await freePort();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-bench-'));
  const child = spawn(file, args(port), {
    cwd: directory,
    stdio: 'ignore',
    env: environmentOf(file),
  });
  for (let isUp = false; !isUp; ) {
    isUp = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  }
  const stop = () => {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  };
  return { url: `${scheme}://127.0.0.1:${port}`, stop };
}

// ---- one peer ------------------------------------------------------------------------------------

async function startPeer({ program, nodes: count = NODES, primary, config }, url) {
  const argument = JSON.stringify({ ...config, url });
  if (primary) return startWorkers(program, argument, count);
  const started = Array.from({ length: count }, () => start(program, argument));
  return {
    remotes: started.map(({ remote }) => remote),
    children: started.map(({ child }) => child),
  };
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Broadcasts for some time: how many a second, and the processor time of each, in microseconds. */
async function broadcasts(nodes, clients, ms) {
  const [sender] = nodes;
  await clients.do('reset');
  await sender.do('send', 1, MESSAGE);
  const bytes = await clients.do('settled');
  const before = await Promise.all(nodes.map((node) => node.do('times')));
  const began = performance.now();
  let count = 0;
  await clients.do('reset');
  while (performance.now() - began < ms) {
    const sent = sender.do('send', BATCH, MESSAGE);
    count += BATCH;
    await clients.do('got', bytes * count);
    await sent;
  }
  const seconds = (performance.now() - began) / 1000;
  const after = await Promise.all(nodes.map((node) => node.do('times')));
  const spent = after.map((times, n) => ({
    process: (times.process - before[n].process) / count,
    thread: (times.thread - before[n].thread) / count,
  }));
  const receivers = spent.length > 1 ? spent.slice(1) : spent;
  return {
    rate: count / seconds,
    process: sum(spent.map(({ process: time }) => time)),
    thread: sum(receivers.map(({ thread }) => thread)) / receivers.length,
  };
}

/** Calls from node 0 to a client of node 1, one after another and 100 in flight. */
async function calls([first, second], clients) {
  const [id] = await second.do('ids');
  await clients.do('answering', true);
  await first.do('calls', id, 100, 10);
  const one = await first.do('calls', id, CALLS, 1);
  const many = await first.do('calls', id, CALLS * 5, 100);
  await clients.do('answering', false);
  return { call: one.median, calls: many.rate };
}

async function measure(peer, url, ms) {
  const { remotes: nodes, children } = await startPeer(peer, url);
  const { remote: clients, child } = start('clients.js');
  try {
    await Promise.all([...nodes, clients].map(({ ready }) => ready));
    await Promise.all(nodes.map((node) => node.do('ready', nodes.length)));
    const ports = await Promise.all(nodes.map((node) => node.do('port')));
    const kind = peer.program === SOCKET_IO ? 'socket.io' : 'sockhop';
    await clients.do('connect', ports, CLIENTS / ports.length, kind);
    const result = await broadcasts(nodes, clients, ms);
    if (peer.program === SOCKHOP && nodes.length > 1)
      Object.assign(result, await calls(nodes, clients));
    return result;
  } finally {
    for (const one of [...children, child]) one.kill('SIGKILL');
  }
}

// ---- the run -------------------------------------------------------------------------------------

const COLUMNS = [
  ['rate', 'broadcasts/s', 0],
  ['process', "servers' CPU a broadcast, µs", 0],
  ['thread', 'JavaScript thread of a receiving node, µs', 1],
  ['call', 'call to a session of another node, ms', 2],
  ['calls', 'calls/s, 100 in flight', 0],
];

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function table(peers) {
  const rows = peers.map(({ label, figures }) => [
    label,
    ...COLUMNS.map(([key, , digits]) => figures[key]?.toFixed(digits) ?? ''),
  ]);
  const head = ['peer', ...COLUMNS.map(([, title]) => title)];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/**
 * @param {{rounds: number, ms: number, save: boolean, only: ?string[]}} options
 */
async function run({ rounds, ms, save, only }) {
  const brokers = {};
  const peers = [];
  try {
    for (const name of Object.keys(BROKERS)) {
      brokers[name] = await startBroker(name);
      if (brokers[name] === null)
        console.error(`no ${BROKERS[name].program}: peers over it are left out`);
    }
    const measured = PEERS.filter(({ name, broker }) => {
      return (broker === undefined || brokers[broker] !== null) && (!only || only.includes(name));
    });
    for (const peer of measured) peers.push({ ...peer, results: [] });
    for (let round = 0; round < rounds; round += 1) {
      for (const peer of peers) {
        process.stderr.write(`round ${round + 1} of ${rounds}: ${peer.label} ...\n`);
        peer.results.push(await measure(peer, brokers[peer.broker]?.url, ms));
      }
    }
  } finally {
    for (const broker of Object.values(brokers)) broker?.stop();
  }
  const result = {
    workload: {
      name: 'cluster',
      nodes: NODES,
      clients: CLIENTS,
      bytes: JSON.stringify(MESSAGE).length,
    },
    machine: machine(),
    date: new Date().toISOString().slice(0, 10),
    peers: peers.map(({ name, label, results }) => ({
      name,
      label,
      figures: Object.fromEntries(
        COLUMNS.filter(([key]) => results[0][key] !== undefined).map(([key]) => [
          key,
          median(results.map((one) => one[key])),
        ]),
      ),
    })),
  };
  console.log(table(result.peers));
  if (!save) return;
  fs.writeFileSync(path.join(RESULTS, 'cluster.json'), `${JSON.stringify(result, null, 2)}\n`);
  fs.writeFileSync(path.join(RESULTS, 'cluster.svg'), clusterPlot(result));
}

const help = `Usage: npm run bench -- cluster [options]

Compares clusters of this package with socket.io 4 and its adapters: messages to all clients, and calls
to a client of another node.

Options:
  --peers <a,b>   of ${PEERS.map(({ name }) => name).join(', ')} (default: all)
  --rounds <n>    rounds of each peer (default 5)
  --ms <n>        duration of the broadcasts of one round in milliseconds (default 3000)
  --no-save       only print
`;

/** @param {string[]} argv the arguments after "cluster" */
async function main(argv) {
  const { values } = parseArgs({
    args: argv,
    options: {
      peers: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      ms: { type: 'string', default: '3000' },
      'no-save': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(help);
  installPeers((line) => console.error(line));
  await run({
    rounds: Number(values.rounds),
    ms: Number(values.ms),
    only: values.peers?.split(','),
    save: !values['no-save'] && values.peers === undefined,
  });
}

module.exports = { main };
