const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { freeAddress, openEnds, targetOf } = require('./ends.js');
const { End, Generator } = require('./processes.js');
const { summary } = require('./stats.js');
const peers = require('../peers');

/** The name of a floor among the peers. */
const FLOOR = 'floor';

/**
 * Measures one workload over one transport. All peers are started and warmed up, and then take
 * turns, A B C A B C ..., so that changes of the machine affect all of them.
 *
 * @param {object} settings
 * @param {object} settings.definition the workload
 * @param {string} settings.transport 'tcp' or 'unix'
 * @param {string[]} settings.names the peers
 * @param {number} settings.rounds the number of rounds
 * @param {number} settings.ms the duration of a round
 * @param {string|null} settings.binary the path of the load generator
 * @param {object} settings.certificates for workloads over TLS
 * @param {object} settings.progress { step(text), note(text) }
 * @returns {Promise<object[]>} an entry for each peer: rounds, summary and ratio, or the problem
 */
async function measure(settings) {
  const { rounds, progress } = settings;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-benchmark-'));
  const contestants = contestantsOf(settings, directory);
  try {
    for (const contestant of contestants) {
      progress.step(`starting ${contestant.label}`);
      await attempt(contestant, progress, () => contestant.start());
    }
    for (let round = 0; round < rounds; round++) {
      for (const contestant of contestants) {
        if (contestant.problem === null && round < contestant.limit) {
          progress.step(`round ${round + 1}/${rounds}  ${contestant.label}`);
          await attempt(contestant, progress, async () => {
            contestant.rounds.push(await contestant.round());
          });
        }
      }
    }
  } finally {
    await Promise.all(contestants.map((contestant) => contestant.stop()));
    fs.rmSync(directory, { recursive: true, force: true });
  }
  return evaluate(contestants, settings.definition);
}

/** A peer that fails is left out of this workload, and the others continue. */
async function attempt(contestant, progress, work) {
  try {
    await work();
  } catch (error) {
    contestant.problem = error.message.split('\n', 3).join(' ').trim();
    const verdict = error instanceof peers.Unsupported ? 'left out' : 'failed';
    progress.note(`${contestant.label} ${verdict}: ${contestant.problem}`);
    await contestant.stop();
  }
}

function contestantsOf(settings, directory) {
  const { definition, transport, names } = settings;
  const list = [];
  for (const name of names) {
    const peer = peers.load(name);
    const limit = definition.limits?.[name] ?? Number.POSITIVE_INFINITY;
    const able =
      peer.transports.includes(transport) &&
      (!definition.tls || peer.tls) &&
      (!definition.original || peer.speaksSockhop === true);
    if (able && limit > 0) {
      list.push(new Contestant(name, peer, limit, settings, directory));
    }
  }
  const { floor } = definition;
  if (floor?.transports.includes(transport) && (settings.binary !== null || floor.actions)) {
    list.push(new Floor(settings, directory));
  }
  return list;
}

/** A peer during one workload: its processes and its results. */
class Contestant {
  rounds = [];
  problem = null;
  version = null;
  #settings;
  #directory;
  #running = [];
  #ends = {};

  constructor(name, peer, limit, settings, directory) {
    this.name = name;
    this.peer = peer;
    this.label = peer.label;
    this.limit = limit;
    this.#settings = settings;
    this.#directory = directory;
  }

  async start() {
    if (this.#settings.definition.fresh) {
      return;
    }
    await this.#open();
    const ms = Math.min(this.#settings.ms, 300);
    await this.#measure({ ms, warm: true });
  }

  async round() {
    if (!this.#settings.definition.fresh) {
      return this.#measure({ ms: this.#settings.ms });
    }
    await this.#open();
    try {
      return await this.#measure({ ms: this.#settings.ms });
    } finally {
      await this.stop();
    }
  }

  async stop() {
    await Promise.all(this.#running.splice(0).map((process) => process.stop()));
  }

  #measure(options) {
    return this.#settings.definition.round({ ...this.#ends, peer: this.peer, ...options });
  }

  async #open() {
    const { definition, transport, certificates, binary } = this.#settings;
    const address = await freeAddress(transport, this.#directory, this.name);
    const { ends, version } = await openEnds({
      definition,
      transport,
      address,
      name: this.name,
      peer: this.peer,
      certificates,
      binary,
      keep: (process) => this.#keep(process),
    });
    this.#ends = ends;
    this.version = version;
  }

  #keep(process) {
    this.#running.push(process);
    return process;
  }
}

/** The same work without any package; it takes turns with the peers. */
class Floor {
  name = FLOOR;
  rounds = [];
  problem = null;
  version = null;
  limit = Number.POSITIVE_INFINITY;
  #settings;
  #directory;
  #running = [];
  #ends = {};

  constructor(settings, directory) {
    this.label = floorLabel(settings.definition);
    this.#settings = settings;
    this.#directory = directory;
  }

  async start() {
    const { definition, transport, binary } = this.#settings;
    if (definition.floor.actions) {
      const end = this.#keep(new End());
      await end.call('openFloor', { workload: definition.name });
      this.#ends = { end };
    } else {
      const address = await freeAddress(transport, this.#directory, this.name);
      this.#ends = await definition.floor.start({
        target: targetOf(address),
        generator: async (args) => this.#keep(await Generator.start(binary, args)),
      });
    }
    await this.#measure(Math.min(this.#settings.ms, 300));
  }

  round() {
    return this.#measure(this.#settings.ms);
  }

  async stop() {
    await Promise.all(this.#running.splice(0).map((process) => process.stop()));
  }

  #measure(ms) {
    return this.#settings.definition.floor.round({ ...this.#ends, ms });
  }

  #keep(process) {
    this.#running.push(process);
    return process;
  }
}

/**
 * A ratio compares a peer with the reference in the same round, so that a slow moment of the
 * machine affects both. More than 1 is better than the reference, for every unit.
 */
function evaluate(contestants, { better, columns }) {
  const reference = contestants.find(({ name }) => name === peers.reference)?.rounds ?? [];
  return contestants.map(({ name, label, version, rounds, problem }) => {
    const ratios = rounds.map(({ value }, round) => {
      // A slow reference has fewer rounds; its last one is used for the others.
      const other = (reference[round] ?? reference.at(-1))?.value;
      return better === 'higher' ? value / other : other / value;
    });
    const figures = {};
    for (const key of ['value', ...columns.map((column) => column.key)]) {
      figures[key] = summary(rounds.map((round) => round[key]));
    }
    return { name, label, version, problem, figures, ratio: summary(ratios), rounds };
  });
}

const floorLabel = ({ floor }) => `without a package: ${floor.label}`;

module.exports = { FLOOR, floorLabel, measure };
