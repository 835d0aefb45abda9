#!/usr/bin/env node

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { createCertificates } = require('./lib/certificate.js');
const { machine } = require('./lib/machine.js');
const { measure } = require('./lib/measure.js');
const { overviewPlot, workloadPlot } = require('./lib/plot.js');
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

Measures this package side by side with sockhop 1.8.4 and others, over the loopback. The peers are
taken in turn in one run, each end in a process of its own. Without a workload all are run, which
takes about 25 minutes; "core" is the first four, about 3 minutes.

Workloads:
${workloads.names.map((name) => `  ${name.padEnd(15)} ${workloads.get(name).title}`).join('\n')}
  core            ${workloads.core.join(', ')}
  fairness        fairness-1, -4 and -16; so with "oneway", "object", "fanin" and the like
  all             all of them

Options:
  --peers <a,b>       of ${peers.names.join(', ')} (default: all)
  --transports <a,b>  of tcp, unix (default: both, where the workload has both)
  --rounds <n>        rounds a peer (default ${ROUNDS}; fewer where a workload takes long)
  --ms <n>            how long one round sends, in milliseconds (default ${ROUND_MS})
  --quick             ${QUICK_ROUNDS} rounds of ${QUICK_ROUND_MS} ms: to try things out, not to quote
  --output <dir>      where results are written (default: benchmark/results)
  --no-save           only print
  --list              names of the workloads
  --help              this text

Results are kept only from runs with all peers, without --quick, unless --output names a directory:
one JSON file and one SVG a workload, and README.md and overview.svg of all results in there.

Environment:
  SOCKHOP_UNDER_TEST  the package to measure in place of this one: a path, or the name of a package
                      installed in benchmark/
`;

/** What is happening now, on one line of standard error that is written over on a terminal. */
class Progress {
  #terminal = process.stderr.isTTY === true;
  #title = '';

  title(text) {
    this.#title = text;
    if (!this.#terminal) {
      process.stderr.write(`${text} ...\n`);
    }
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
      peers: { type: 'string' },
      transports: { type: 'string' },
      rounds: { type: 'string' },
      ms: { type: 'string' },
      quick: { type: 'boolean', default: false },
      output: { type: 'string' },
      'no-save': { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const chosen = positionals.length === 0 ? ['all'] : positionals;
  const names = chosen.flatMap((name) => {
    if (name === 'all') {
      return workloads.names;
    }
    return name === 'core' ? workloads.core : workloads.select(name);
  });
  return {
    help: values.help,
    list: values.list,
    workloads: [...new Set(names)],
    peers: choice('--peers', values.peers, peers.names),
    transports: choice('--transports', values.transports, ['tcp', 'unix']),
    rounds: count('--rounds', values.rounds),
    ms: count('--ms', values.ms) ?? (values.quick ? QUICK_ROUND_MS : ROUND_MS),
    quick: values.quick,
    output: outputOf(values),
  };
}

function choice(option, text, allowed) {
  if (text === undefined) {
    return allowed;
  }
  const wanted = text.split(',').filter((name) => name !== '');
  const unknown = wanted.find((name) => !allowed.includes(name));
  if (unknown !== undefined || wanted.length === 0) {
    throw new Error(`${option}: "${unknown ?? text}" is none of ${allowed.join(', ')}`);
  }
  return allowed.filter((name) => wanted.includes(name));
}

function count(option, text) {
  if (text === undefined) {
    return undefined;
  }
  if (!/^[1-9]\d*$/.test(text)) {
    throw new Error(`${option}: "${text}" is no whole number above 0`);
  }
  return Number(text);
}

/** Half a result must not take the place of a whole one: that needs --output. */
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

async function runWorkload(name, settings, { binary, certificates, progress }) {
  const definition = workloads.get(name);
  const { title, unit, better, columns } = definition;
  const wanted = definition.rounds ?? ROUNDS;
  const rounds = settings.rounds ?? (settings.quick ? Math.min(QUICK_ROUNDS, wanted) : wanted);
  const transports = definition.transports.filter((each) => settings.transports.includes(each));
  const result = {
    workload: { name, title, unit, better, columns, timed: !name.match(/^(object|idle)/) },
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    rounds,
    ms: settings.ms,
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
      ms: settings.ms,
      binary,
      certificates,
      progress,
    });
    progress.clear();
    result.transports[transport] = entries;
    const heading = `${name}: ${title}, ${transportNames[transport]}`;
    process.stdout.write(`\n${heading}\n${textTable(result.workload, entries)}\n`);
  }
  return transports.length === 0 ? null : result;
}

function save(directory, result) {
  fs.mkdirSync(directory, { recursive: true });
  const { name } = result.workload;
  fs.writeFileSync(path.join(directory, `${name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  fs.writeFileSync(path.join(directory, `${name}.svg`), workloadPlot(result));
  const all = workloads.names
    .map((each) => path.join(directory, `${each}.json`))
    .filter((file) => fs.existsSync(file))
    .map((file) => JSON.parse(fs.readFileSync(file, 'utf8')));
  fs.writeFileSync(path.join(directory, 'overview.svg'), overviewPlot(all));
  fs.writeFileSync(path.join(directory, 'README.md'), markdown(all));
}

/** Better one clear line now than a failed peer in every table. */
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
  const progress = new Progress();
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
  const kept = settings.output === null ? 'not kept' : path.relative('.', settings.output) || '.';
  process.stdout.write(`\n${seconds} s; results: ${kept}\n`);
}

main().catch((error) => {
  process.stderr.write(`\nbenchmark: ${error.message}\n`);
  process.exit(1);
});
