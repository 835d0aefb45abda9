// Servers in several processes that act as one: `npm run bench -- cluster`.
//
// Each peer has 4 nodes of 250 clients each, or one process with 1,000. The clients are plain sockets
// in one process. Node 0 sends to all, a batch at a time, and each batch ends when every client has
// all its bytes. Peers take turns in several rounds; a figure is the median of the rounds.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { describeMachine, machine } = require('../lib/machine.js');
const { installPeers } = require('../lib/setup.js');
const { BROKERS, startBroker } = require('./brokers.js');
const { BYTES, CLIENTS, measure } = require('./measurements.js');
const { NODES, PEERS, SOCKET_IO } = require('./peers.js');
const { clusterPlot } = require('./plot.js');

const RESULTS = path.join(__dirname, '..', 'results');
const RESULT_FILE = path.join(RESULTS, 'cluster.json');
/** The guide, with the tables between two marks. */
const GUIDE = path.join(__dirname, '..', '..', 'docs', 'cluster.md');
const MARKS = ['<!-- tables: written by npm run bench -- cluster -->', '<!-- end of tables -->'];

/** The tables: each figure with its title and its digits. */
const TABLES = {
  'Messages to all': [
    ['rate', 'broadcasts/s', 0],
    ['process', "servers' CPU a broadcast, µs", 0],
    ['thread', 'JavaScript thread of a receiving node, µs', 1],
  ],
  'Calls to a session of another node': [
    ['call', 'one at a time, ms', 2],
    ['callRatio', 'as round trips of the broker', 1],
    ['calls', 'calls/s, 100 in flight', 0],
    ['asking', 'JavaScript thread of the asking node, µs', 1],
    ['answering', 'JavaScript thread of the answering node, µs', 1],
  ],
  Groups: [
    ['group', "servers' CPU a message to a group of 10, µs", 0],
    ['groupRatio', 'as messages to the same group in 40 sessions', 2],
    ['hereRate', 'changes/s, by the node of the session', 0],
    ['here', 'JavaScript thread a change, µs', 1],
    ['elsewhereRate', 'changes/s, by another node', 0],
    ['elsewhere', 'JavaScript thread a change, µs', 1],
  ],
  'Idle servers': [
    ['idle', 'CPU a second and node, µs', 0],
    ['heap', 'JavaScript heap a session, bytes', 0],
  ],
};

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

function table(title, columns, peers) {
  const shown = peers.filter(({ figures }) => columns.some(([key]) => figures[key] !== undefined));
  const rows = shown.map(({ label, figures }) => [
    label,
    ...columns.map(([key, , digits]) => figures[key]?.toFixed(digits) ?? ''),
  ]);
  const head = [title, ...columns.map(([, name]) => name)];
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Compares calls with the round trips of the same broker in the same round. */
function addRatios(peers, round) {
  for (const { broker, results } of peers) {
    const alone = peers.find((one) => one.name === `broker-${broker}`)?.results[round];
    const figures = results[round];
    if (alone !== undefined && figures.call !== undefined) {
      figures.callRatio = figures.call / alone.call;
    }
  }
}

/** The median of each figure over the rounds. */
function figuresOf(results) {
  return Object.fromEntries(
    Object.keys(results[0]).map((key) => [key, median(results.map((one) => one[key]))]),
  );
}

/** The rounds of each peer, after those that were saved before. @returns {object[]} in their order */
function withSaved(peers) {
  const saved = fs.existsSync(RESULT_FILE)
    ? JSON.parse(fs.readFileSync(RESULT_FILE, 'utf8')).peers
    : [];
  const resultsOf = (list, name) => list.find((one) => one.name === name)?.results ?? [];
  const all = PEERS.map(({ name, label }) => {
    const results = [...resultsOf(saved, name), ...resultsOf(peers, name)];
    return { name, label, results };
  });
  return all.filter(({ results }) => results.length > 0);
}

/**
 * @param {{rounds: number, ms: number, save: boolean, add: boolean, only: ?string[]}} options
 */
async function run({ rounds, ms, save, add, only }) {
  const brokers = {};
  const peers = [];
  try {
    for (const name of Object.keys(BROKERS)) brokers[name] = await startBroker(name);
    const measured = PEERS.filter(({ name, broker }) => {
      return (broker === undefined || brokers[broker] !== null) && (!only || only.includes(name));
    });
    if (measured.some(({ program }) => program === SOCKET_IO)) {
      installPeers((line) => console.error(line));
    }
    for (const peer of measured) peers.push({ ...peer, results: [] });
    for (let round = 0; round < rounds; round += 1) {
      for (const peer of peers) {
        process.stderr.write(`round ${round + 1} of ${rounds}: ${peer.label} ...\n`);
        peer.results.push(await measure(peer, brokers[peer.broker]?.url, ms));
      }
      addRatios(peers, round);
    }
  } finally {
    for (const broker of Object.values(brokers)) broker?.stop();
  }
  const result = {
    workload: { name: 'cluster', nodes: NODES, clients: CLIENTS, bytes: BYTES },
    machine: machine(),
    date: new Date().toISOString().slice(0, 10),
    peers: (add ? withSaved(peers) : peers).map(({ name, label, results }) => {
      return { name, label, figures: figuresOf(results), results };
    }),
  };
  const tables = Object.entries(TABLES).map(([title, columns]) => {
    return table(title, columns, result.peers);
  });
  console.log(`${tables.join('\n\n')}\n`);
  if (!save) return;
  fs.writeFileSync(RESULT_FILE, `${JSON.stringify(result, null, 2)}\n`);
  fs.writeFileSync(path.join(RESULTS, 'cluster.svg'), clusterPlot(result));
  updateGuide(`${describeMachine(result.machine)}, ${result.date}:\n\n${tables.join('\n\n')}`);
}

/** Replaces the tables of the guide. */
function updateGuide(text) {
  const [before, rest] = fs.readFileSync(GUIDE, 'utf8').split(MARKS[0]);
  const [, after] = rest.split(MARKS[1]);
  fs.writeFileSync(GUIDE, [before, MARKS[0], `\n${text}\n\n`, MARKS[1], after].join(''));
}

const help = `Usage: npm run bench -- cluster [options]

Compares clusters of this package with socket.io 4 and its adapters: messages to all clients, calls to
a client of another node, groups, and idle servers. "NATS alone" and "Redis alone" are
programs that use the client of the broker for the same messages, and nothing else.

Options:
  --peers <a,b>   of ${PEERS.map(({ name }) => name).join(', ')} (default: all)
  --rounds <n>    rounds of each peer (default 5)
  --ms <n>        duration of the messages to all in one round in milliseconds (default 3000)
  --add           add the rounds to those that are saved, also with --peers, and save all
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
      add: { type: 'boolean', default: false },
      'no-save': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(help);
  await run({
    rounds: Number(values.rounds),
    ms: Number(values.ms),
    only: values.peers?.split(','),
    add: values.add,
    save: !values['no-save'] && (values.add || values.peers === undefined),
  });
}

module.exports = { main };
