'use strict';

// `node scripts/reliability.js [check ...] [--seconds <n>]`: runs the checks of RELIABILITY.md that
// yield figures, and writes docs/reliability-figures.md. Without a name all checks run, which takes
// about half an hour. `page` runs nothing and writes the page from the records of earlier runs.
//
//   hostile         malformed inputs, on this package and on the original
//   exactly-once    the accounting of messages, on this package and on the original
//   slow-consumers  clients that stop reading, with each policy
//   fuzz            all fuzz targets
//
// `--seconds` is the duration of each run of `exactly-once` and `fuzz`. The figures of
// `npm run soak` and `npm run bench:memory` are read from benchmark/results, where these commands
// write them.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { provenance } = require('../benchmark/lib/machine.js');

const ROOT = path.dirname(__dirname);
const RECORDS = path.join(ROOT, 'docs', 'reliability-figures.json');
const PAGE = path.join(ROOT, 'docs', 'reliability-figures.md');
const RESULTS = path.join(ROOT, 'benchmark', 'results');

const NAMES = { native: 'sockhop-native', original: 'sockhop 1.8.4' };
const FUZZ_TARGETS = ['framer', 'envelope', 'connection', 'objectbuffer', 'codec'];
const ACCOUNT_SECONDS = 300;
const FUZZ_SECONDS = 300;
/** The original crashes and loses messages within seconds; a longer run would show nothing new. */
const ORIGINAL_SECONDS = 30;

const count = (value) => (value === undefined ? '' : value.toLocaleString('en'));
/** `exactly-once.js` stores at most 20 violations and then "and more". */
const violationCount = ({ violations }) =>
  violations.at(-1) === 'and more' ? 'more than 20' : count(violations.length);
const both = (server, client) => `${count(server)} and ${count(client)}`;

/**
 * @typedef {object} Check
 * @property {string} title
 * @property {function(number | undefined): Run[]} runs
 * @property {function({output: string, errors: string, failed: boolean}): object} read turns the
 *   output of a run into its figures
 * @property {[string, function(object): string][]} rows label and value of each figure
 *
 * @typedef {object} Run
 * @property {string} label the heading of its column
 * @property {string[]} args of `node`
 */

/** @type {Object<string, Check>} */
const CHECKS = {
  hostile: {
    title: 'Hostile inputs',
    runs: () =>
      Object.entries(NAMES).map(([implementation, label]) => ({
        label,
        args: ['__test__/chaos/hostile.js', '--implementation', implementation],
      })),
    read: lastJson,
    rows: [
      ['inputs to a server and to a client', (f) => both(f.server.inputs, f.client.inputs)],
      ['processes that ended', (f) => both(f.server.died, f.client.died)],
      ['inputs without a reaction within 15 s', (f) => both(f.server.stuck, f.client.stuck)],
    ],
  },
  'exactly-once': {
    title: 'Message accounting',
    runs: (seconds) =>
      Object.entries(NAMES).map(([implementation, label]) => {
        const duration =
          seconds ?? (implementation === 'native' ? ACCOUNT_SECONDS : ORIGINAL_SECONDS);
        const args = ['--seconds', String(duration), '--clients', '50', '--seed', '7'];
        return {
          label,
          args: ['__test__/chaos/exactly-once.js', ...args, '--implementation', implementation],
        };
      }),
    read: lastJson,
    rows: [
      ['seconds', (f) => count(f.seconds)],
      ['messages received', (f) => count(f.messages)],
      ['callbacks', (f) => count(f.callbacks)],
      ['connections', (f) => count(f.connections)],
      ['processes killed', (f) => count(f.killed)],
      [
        'directions of connections closed in order, checked for lost messages',
        (f) => count(f.verified),
      ],
      ['messages on these connections', (f) => count(f.verified_messages)],
      ['messages lost', (f) => count(f.lost)],
      ['crashes', (f) => count(f.crashed)],
      ['violations: lost, duplicated, reordered, wrong answers', violationCount],
    ],
  },
  'slow-consumers': {
    title: 'Slow consumers',
    runs: () => [
      slowConsumers('"drop"', '--policy', 'drop'),
      slowConsumers('"disconnect"', '--policy', 'disconnect'),
      slowConsumers('"wait"', '--policy', 'wait', '--megabytes', '64', '--stopped', '20'),
      slowConsumers(
        NAMES.original,
        '--implementation',
        'original',
        '--megabytes',
        '64',
        '--stopped',
        '20',
      ),
    ],
    read: lastJson,
    rows: [
      ['megabytes broadcast', (f) => count(f.megabytes)],
      ['clients that stopped reading', (f) => count(f.stopped)],
      ['growth of resident memory, MiB', (f) => count(Math.round(f.memory_growth))],
      ['messages refused', (f) => count(f.refused_messages)],
      ['clients disconnected', (f) => count(f.slow_consumers)],
      [
        'time until all readers have a message, readers alone: median, p99, ms',
        (f) => `${f.p50_alone}, ${f.p99_alone}`,
      ],
      ['the same with the stopped clients: median, p99, ms', (f) => `${f.p50}, ${f.p99}`],
    ],
  },
  fuzz: {
    title: 'Fuzzing',
    runs: (seconds = FUZZ_SECONDS) =>
      FUZZ_TARGETS.map((target) => ({
        label: target,
        args: ['scripts/fuzz.js', target, String(seconds)],
      })),
    read: fuzzFigures,
    rows: [
      ['executions', (f) => count(f.executions)],
      ['seconds', (f) => count(f.seconds)],
      ['faults found', (f) => count(f.found)],
    ],
  },
};

function slowConsumers(label, ...options) {
  return { label, args: ['__test__/chaos/slow-consumers.js', ...options] };
}

function lastJson({ output }) {
  return JSON.parse(output.trimEnd().split('\n').at(-1));
}

/** libFuzzer prints its final statistics, and the scripts in fuzz a line of their own. */
function fuzzFigures({ output, errors, failed }) {
  const [, executions] =
    /^stat::number_of_executed_units: (\d+)/m.exec(errors) ??
    [...output.matchAll(/^(?:objectbuffer|codec): (\d+) executions/gm)].at(-1) ??
    [];
  if (executions === undefined) throw new Error('the output has no number of executions');
  const [, seconds] = /^fuzz: \w+ for (\d+)/m.exec(output);
  return { executions: Number(executions), seconds: Number(seconds), found: failed ? 1 : 0 };
}

async function execute(name, { label, args }) {
  console.log(`${name}, ${label}: node ${args.join(' ')}`);
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors += text;
  });
  const [code] = await once(child, 'close');
  // An exit code of 1 reports a fault, which is a figure. Anything else is no result.
  if (code !== 0 && code !== 1) throw new Error(`exit code ${code}\n${errors}`);
  const command = `node ${args.join(' ')}`;
  const figures = CHECKS[name].read({ output, errors, failed: code === 1 });
  return { check: name, label, command, ...provenance(), figures };
}

const escapePipes = (text) => text.replaceAll('|', '\\|');

function originOf({ command, date, commit, machine }) {
  return `- ${[`\`${command}\``, date, commit && `commit ${commit}`, machine].filter(Boolean).join(', ')}`;
}

/** The section of one check: a table with a column for each run, and the origin of each column. */
function section(title, rows, records) {
  const line = (cells) => `| ${cells.map(escapePipes).join(' | ')} |`;
  return [
    `## ${title}`,
    '',
    line(['', ...records.map(({ label }) => label)]),
    line(['---', ...records.map(() => '---:')]),
    ...rows.map(([label, value]) => line([label, ...records.map(({ figures }) => value(figures))])),
    '',
    ...new Set(records.map(originOf)),
    '',
  ].join('\n');
}

/**
 * The result of `npm run soak` or `npm run bench:memory`, as a record with one column for each
 * process.
 */
function stored(file, command, pick) {
  const where = path.join(RESULTS, file);
  if (!fs.existsSync(where)) return [];
  const result = JSON.parse(fs.readFileSync(where, 'utf8'));
  const { date, commit, machine } = result;
  return pick(result).map(([label, figures]) => ({
    label,
    command,
    date,
    commit,
    machine,
    figures,
  }));
}

function longRuns() {
  const soak = stored('soak.json', 'npm run soak -- 30', (result) =>
    Object.entries(result.counts).map(([role, counts]) => [
      role,
      {
        ...counts,
        early: result.growth[`${role} rss`].early,
        late: result.growth[`${role} rss`].late,
        violations: result.violations.length,
        minutes: result.minutes,
      },
    ]),
  );
  const cycles = stored('cycles.json', 'npm run bench:memory', (result) =>
    Object.entries(result.resident).map(([role, memory]) => [
      role,
      { ...memory, ...result.end[role], cycles: result.cycles, faults: result.faults.length },
    ]),
  );
  const mib = (value) => value.toFixed(1);
  return [
    section(
      'Soak',
      [
        ['minutes', (f) => count(f.minutes)],
        ['connections', (f) => count(f.connections)],
        [
          'messages, received by the server or sent by the clients',
          (f) => count(f.received ?? f.sent),
        ],
        ['callbacks answered', (f) => count(f.callbacks)],
        ['resident memory in the second quarter, median, MiB', (f) => mib(f.early)],
        ['resident memory in the last quarter, median, MiB', (f) => mib(f.late)],
        ['violations, of all processes together', (f) => count(f.violations)],
      ],
      soak,
    ),
    section(
      'Connection cycles',
      [
        ['connections', (f) => count(f.cycles)],
        ['highest resident memory in the first half, MiB', (f) => mib(f.first_half)],
        ['highest resident memory in the last quarter, MiB', (f) => mib(f.last_quarter)],
        [
          'descriptors, handles and threads at the end',
          (f) => `${f.descriptors}, ${f.handles}, ${f.threads}`,
        ],
        ['faults, of both processes together', (f) => count(f.faults)],
      ],
      cycles,
    ),
  ];
}

function page(records) {
  const parts = [
    '# Reliability figures',
    '',
    'Written by `node scripts/reliability.js`. [RELIABILITY.md](../RELIABILITY.md) describes the checks.',
    '',
  ];
  for (const [name, { title, rows }] of Object.entries(CHECKS)) {
    const own = records.filter(({ check }) => check === name);
    if (own.length > 0) parts.push(section(title, rows, own));
  }
  return `${[...parts, ...longRuns()].join('\n').trimEnd()}\n`;
}

function readRecords() {
  return fs.existsSync(RECORDS) ? JSON.parse(fs.readFileSync(RECORDS, 'utf8')) : [];
}

async function main(argv) {
  const names = [...argv];
  const at = names.indexOf('--seconds');
  const seconds = at < 0 ? undefined : Number(names.splice(at, 2)[1]);
  if (at >= 0 && !(seconds > 0)) throw new Error('--seconds needs a number above 0');
  const onlyPage = names[0] === 'page' && names.length === 1;
  const unknown = onlyPage ? undefined : names.find((name) => !(name in CHECKS));
  if (unknown !== undefined) {
    throw new Error(
      `there is no check "${unknown}", the checks are ${Object.keys(CHECKS).join(', ')}`,
    );
  }
  const wanted = names.length > 0 ? names : Object.keys(CHECKS);
  for (const name of onlyPage ? [] : wanted) {
    const records = [];
    for (const run of CHECKS[name].runs(seconds)) records.push(await execute(name, run));
    // A check replaces its own records as a whole, so that its columns belong together.
    const kept = readRecords().filter(({ check }) => check !== name);
    fs.writeFileSync(RECORDS, `${JSON.stringify([...kept, ...records], null, 1)}\n`);
  }
  fs.writeFileSync(PAGE, page(readRecords()));
  console.log(`written: ${path.relative(ROOT, PAGE)}`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`reliability: ${error.message}`);
  process.exitCode = 2;
});
