#!/usr/bin/env node

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { createCertificates } = require('./lib/certificate.js');
const { machine } = require('./lib/machine.js');
const { FLOOR, floorLabel, measure } = require('./lib/measure.js');
const { overviewPlot, workloadPlot } = require('./lib/plot.js');
const { updateReadme } = require('./lib/readme.js');
const { markdown, textTable, transportNames } = require('./lib/report.js');
const { setUp } = require('./lib/setup.js');
const peers = require('./peers');
const workloads = require('./workloads');

const NATIVE = path.join(__dirname, 'peers', 'native.js');
const RESULTS = path.join(__dirname, 'results');
const ROUNDS = 7;
const ROUND_MS = 400;
const QUICK_ROUNDS = 3;
const QUICK_ROUND_MS = 200;

const help = `Usage: npm run bench -- [workload ...] [options]

Compares this package with sockhop 1.8.4 and others over the loopback interface. The peers take turns
in one run, and each end is a separate process. Without a workload all are run, which takes about 35
minutes; "core" is the first four, about 3 minutes.

Workloads:
${workloads.names.map((name) => `  ${name.padEnd(15)} ${workloads.get(name).title}`).join('\n')}
  core            ${workloads.core.join(', ')}
  fairness        fairness-1, -4 and -16; "oneway", "object", "fanin" and so on work in the same way
  oneway-log      the payloads are ${workloads.payloadNames.slice(1).join(', ')}: each with
                  oneway, roundtrip, callbacks, fanin and fanout
  all             all workloads
  cluster         clusters of servers, with options of its own: npm run bench -- cluster --help

Options:
  --payload <a,b>     only the workloads that send these payloads: ${workloads.payloadNames.join(', ')};
                      "oneway fanout --payload log" runs oneway-log and fanout-log
  --peers <a,b>       of ${peers.names.join(', ')} (default: all)
  --transports <a,b>  of tcp, unix (default: both, where the workload has both)
  --rounds <n>        rounds of each peer (default ${ROUNDS}; fewer if a workload takes long)
  --ms <n>            duration of one round in milliseconds (default ${ROUND_MS}, and 250 with payloads
                      other than text)
  --quick             ${QUICK_ROUNDS} rounds of ${QUICK_ROUND_MS} ms, for trials; do not publish such results
  --output <dir>      the directory for results (default: benchmark/results)
  --no-save           only print
  --redraw            measure nothing; write the plots and the page from the stored results
  --list              print the names of the workloads
  --help              this text

Results are stored only from runs with all peers and without --quick, unless --output names a directory.
There is a JSON file and an SVG for each workload, and a README.md and an overview.svg for all of them.

Environment:
  SOCKHOP_UNDER_TEST  the package to measure instead of this one: a path, or the name of a package
                      that is installed in benchmark/
`;

/**
 * Shows the current step on a line of standard error, which is overwritten on a terminal: the
 * number of finished measurements, the current one, and about how long the others will take.
 */
class Progress {
  #terminal = process.stderr.isTTY === true;
  #title = '';
  #total;
  #started = 0;
  #begin = Date.now();

  /** @param {number} total the number of measurements: workloads times transports */
  constructor(total) {
    this.#total = total;
  }

  title(text) {
    const left = this.#timeLeft();
    this.#started++;
    this.#title = `[${this.#started}/${this.#total}] ${text}${left}`;
    if (!this.#terminal) {
      process.stderr.write(`${this.#title} ...\n`);
    }
  }

  /**
   * Estimates the time by the mean of the finished measurements; returns nothing before the first.
   */
  #timeLeft() {
    if (this.#started === 0) {
      return '';
    }
    const mean = (Date.now() - this.#begin) / this.#started;
    const seconds = Math.round((mean * (this.#total - this.#started)) / 1000);
    return seconds < 100
      ? `, about ${seconds} s left`
      : `, about ${Math.round(seconds / 60)} min left`;
  }

  step(text) {
    if (this.#terminal) {
      const columns = (process.stderr.columns || 80) - 1;
      process.stderr.write(`\r\x1b[K${`${this.#title}  ${text}`.slice(0, columns)}`);
    }
  }

  note(text) {
    this.clear();
    process.stderr.write(`  ${text}\n`);
  }

  clear() {
    if (this.#terminal) {
      process.stderr.write('\r\x1b[K');
    }
  }
}

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      payload: { type: 'string' },
      peers: { type: 'string' },
      transports: { type: 'string' },
      rounds: { type: 'string' },
      ms: { type: 'string' },
      quick: { type: 'boolean', default: false },
      output: { type: 'string' },
      'no-save': { type: 'boolean', default: false },
      redraw: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    help: values.help,
    list: values.list,
    redraw: values.redraw,
    workloads: chosenWorkloads(positionals, values.payload),
    peers: choice('--peers', values.peers, peers.names),
    transports: choice('--transports', values.transports, ['tcp', 'unix']),
    rounds: count('--rounds', values.rounds),
    ms: count('--ms', values.ms) ?? (values.quick ? QUICK_ROUND_MS : undefined),
    quick: values.quick,
    output: outputOf(values),
  };
}

function chosenWorkloads(kinds, payload) {
  if (payload !== undefined) {
    const wanted = choice('--payload', payload, workloads.payloadNames);
    const found = workloads.withPayloads(wanted, kinds);
    if (found.length === 0) {
      throw new Error(`--payload: none of ${kinds.join(', ')} sends ${wanted.join(' or ')}`);
    }
    return found;
  }
  const chosen = kinds.length === 0 ? ['all'] : kinds;
  const names = chosen.flatMap((name) => {
    if (name === 'all') {
      return workloads.names;
    }
    return name === 'core' ? workloads.core : workloads.select(name);
  });
  return [...new Set(names)];
}

function choice(option, text, allowed) {
  if (text === undefined) {
    return allowed;
  }
  const wanted = text.split(',').filter((name) => name !== '');
  const unknown = wanted.find((name) => !allowed.includes(name));
  if (unknown !== undefined || wanted.length === 0) {
    throw new Error(`${option}: "${unknown ?? text}" is not one of ${allowed.join(', ')}`);
  }
  return allowed.filter((name) => wanted.includes(name));
}

function count(option, text) {
  if (text === undefined) {
    return undefined;
  }
  if (!/^[1-9]\d*$/.test(text)) {
    throw new Error(`${option}: "${text}" is not a whole number above 0`);
  }
  return Number(text);
}

/** Partial results must not replace complete ones; they are stored only with --output. */
function outputOf(values) {
  if (values['no-save']) {
    return null;
  }
  if (values.output !== undefined) {
    return path.resolve(values.output);
  }
  const partial = values.quick || values.peers !== undefined || values.transports !== undefined;
  return partial || process.env.SOCKHOP_UNDER_TEST !== undefined ? null : RESULTS;
}

const transportsOf = (definition, settings) =>
  definition.transports.filter((each) => settings.transports.includes(each));

/** The parts of a definition that are stored with a result. */
function describe({ name, title, unit, better, columns }) {
  return { name, title, unit, better, columns, timed: !name.match(/^(object|idle)/) };
}

async function runWorkload(name, settings, { binary, certificates, progress }) {
  const definition = workloads.get(name);
  const wanted = definition.rounds ?? ROUNDS;
  const rounds = settings.rounds ?? (settings.quick ? Math.min(QUICK_ROUNDS, wanted) : wanted);
  const transports = transportsOf(definition, settings);
  const ms = settings.ms ?? definition.ms ?? ROUND_MS;
  const result = {
    workload: describe(definition),
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    rounds,
    ms,
    transports: {},
  };
  if (definition.generator && binary === null) {
    progress.note(`${name} left out: it needs the load generator`);
    return null;
  }
  for (const transport of transports) {
    progress.title(`${name} over ${transportNames[transport]}`);
    const entries = await measure({
      definition,
      transport,
      names: settings.peers,
      rounds,
      ms,
      binary,
      certificates,
      progress,
    });
    progress.clear();
    result.transports[transport] = entries;
    const heading = `${name}: ${definition.title}, ${transportNames[transport]}`;
    process.stdout.write(`\n${heading}\n${textTable(result.workload, entries)}\n`);
  }
  return transports.length === 0 ? null : result;
}

function save(directory, result) {
  fs.mkdirSync(directory, { recursive: true });
  store(directory, result);
  const all = stored(directory);
  fs.writeFileSync(path.join(directory, 'overview.svg'), overviewPlot(all));
  fs.writeFileSync(path.join(directory, 'README.md'), markdown(all));
  if (directory === RESULTS) updateReadme(all);
}

function store(directory, result) {
  const { name } = result.workload;
  fs.writeFileSync(path.join(directory, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  fs.writeFileSync(path.join(directory, `${name}.svg`), workloadPlot(result));
}

function stored(directory) {
  return workloads.all
    .map((name) => path.join(directory, `${name}.json`))
    .filter((file) => fs.existsSync(file))
    .map((file) => JSON.parse(fs.readFileSync(file, 'utf8')));
}

/**
 * Writes all plots and the page again, with the present titles and labels and the stored figures.
 */
function redraw(directory) {
  const results = stored(directory);
  for (const result of results) {
    const definition = workloads.get(result.workload.name);
    result.workload = describe(definition);
    for (const entry of Object.values(result.transports).flat()) {
      entry.label = entry.name === FLOOR ? floorLabel(definition) : peers.load(entry.name).label;
    }
    store(directory, result);
  }
  if (results.length > 0) save(directory, results[0]);
}

/** Fails early and with one message, instead of once for each workload. */
function checkUnderTest() {
  const child = spawnSync(process.execPath, ['-e', 'require(process.argv[1]).check()', NATIVE], {
    encoding: 'utf8',
  });
  if (child.status !== 0) {
    const reason = child.stderr.split('\n').find((line) => /Error:/.test(line)) ?? child.stderr;
    throw new Error(`the package does not load; "npm run build" first?\n${reason.trim()}`);
  }
}

async function main() {
  const settings = options();
  if (settings.help) {
    process.stdout.write(help);
    return;
  }
  if (settings.list) {
    process.stdout.write(`${workloads.names.join('\n')}\n`);
    return;
  }
  if (settings.redraw) {
    redraw(settings.output ?? RESULTS);
    return;
  }
  const measurements = settings.workloads.map(
    (name) => transportsOf(workloads.get(name), settings).length,
  );
  const progress = new Progress(measurements.reduce((sum, each) => sum + each, 0));
  const { binary } = setUp((line) => process.stderr.write(`${line} ...\n`));
  if (settings.peers.includes('native')) {
    checkUnderTest();
  }
  const shared = { binary, certificates: createCertificates(), progress };
  const { cpu, cores, system, node } = machine();
  process.stdout.write(`${cpu}, ${cores} cores, ${system}, Node ${node}\n`);
  const begin = Date.now();
  for (const name of settings.workloads) {
    const result = await runWorkload(name, settings, shared);
    if (result !== null && settings.output !== null) {
      save(settings.output, result);
    }
  }
  const seconds = Math.round((Date.now() - begin) / 1000);
  const kept = settings.output === null ? 'not stored' : path.relative('.', settings.output) || '.';
  process.stdout.write(`\n${seconds} s; results: ${kept}\n`);
}

const isCluster = process.argv[2] === 'cluster';

(isCluster ? require('./cluster').main(process.argv.slice(3)) : main()).catch((error) => {
  process.stderr.write(`\nbenchmark: ${error.message}\n`);
  process.exit(1);
});
