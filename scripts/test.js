'use strict';

// `npm test`: sets everything up, and runs the checks that a contributor needs many times a day:
// format, lint, types, the tests of Rust, and the tests of the package. `npm run test:all` runs
// every check. Steps run in lanes side by side. A failing step does not stop the others, and a
// table at the end has the result of each, its duration, and its processor time.
//
//   npm test -- --only node,rust          the named steps, out of all
//   npm test -- __test__/client.test.js   the named test files
//   npm run test:all -- --rest            every check that `npm test` leaves out
//   npm test -- --repeat-failed           a failed step with processes and sockets runs once more,
//                                         alone, and the table has both results

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');

const { environment } = require('./build');
const { rustMissing } = require('./fuzz');

const ROOT = path.dirname(__dirname);
/** Ends a step that hangs. No step takes nearly as long, even on a busy machine. */
const STEP_LIMIT_MS = 40 * 60 * 1000;
/** Ends a test file that hangs. */
const TEST_LIMIT_MS = 15 * 60 * 1000;
/** The time between two lines that report a running step whose output is held back. */
const PROGRESS_MS = 60 * 1000;
/** The set-up runs alone for this time, which is enough to find that everything is up to date. */
const SET_UP_MS = 2000;

const NODE = process.execPath;
const inRoot = (...names) => path.join(ROOT, ...names);
const nodeModule = (...names) => inRoot('node_modules', ...names);

/**
 * Test files that take long because they repeat, wait or apply load. `npm test` leaves them to `npm
 * run test:all`.
 */
const SLOW = [
  'chaos.test.js',
  'event-loop.test.js',
  'exactly-once.test.js',
  'exit.test.js',
  'hostile.test.js',
  'memory.test.js',
  'workers.test.js',
];
const isSlow = (file) => SLOW.includes(path.basename(file));

function findTests(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) return findTests(file);
    return entry.name.endsWith('.test.js') ? [file] : [];
  });
}

/**
 * @param {number} [concurrency] the number of test files that run at the same time. Two steps with
 *   tests of Node run side by side, and half of their time is waiting
 */
function nodeTestOptions(concurrency = 3) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const options = ['--test', '--test-reporter=spec'];
  // Node 18 has neither option. It runs one file at a time for each processor but one.
  if (major > 20 || (major === 20 && minor >= 11)) {
    options.push(`--test-concurrency=${concurrency}`, `--test-timeout=${TEST_LIMIT_MS}`);
  }
  return options;
}

/** The number of test files that run at the same time if no other step has tests of Node. */
const CONCURRENCY_ALONE = 4;

/**
 * The kinds of steps. Those of `NODE` run tests of Node. Those of `COMPUTE` have the lowest priority
 * and use the time in which the others leave a processor idle. Those of `AFTER_NODE` begin when the
 * tests of Node have ended.
 */
const Kind = Object.freeze({ NODE: 'node', COMPUTE: 'compute', AFTER_NODE: 'after-node' });

/**
 * The steps of a kind that run side by side. Each begins when the one before it has ended, in the
 * order of `STEPS`, so that the lanes end at about the same time. There are three lanes of COMPUTE,
 * because each step partly uses only one processor, for example for the last crate of a build.
 */
const LANES = Object.freeze({ [Kind.NODE]: 2, [Kind.COMPUTE]: 3, [Kind.AFTER_NODE]: 1 });

/**
 * The steps, in the order in which those of a kind begin. Long ones come early. `clippy`, `rust` and
 * `model` build into the same directory, where one waits for the other, so they begin at different
 * times.
 *
 * @typedef {object} Step
 * @property {string} name
 * @property {string} title
 * @property {string} kind
 * @property {boolean} [daily] `npm test` runs it
 * @property {boolean} [canRepeat] it runs processes that other load can delay
 * @property {boolean} [needsCargoOnly] it may begin before the set-up has ended
 * @property {function({files: string[], all: boolean}): string[]} command
 * @property {object} [env]
 * @property {function(): string | false} [unless] the reason to leave the step out
 * @property {function(): string | false} [note] the part of the step that was left out
 */

/** @type {Step[]} */
const STEPS = [
  {
    name: 'rustfmt',
    title: 'Rust: format',
    kind: Kind.COMPUTE,
    needsCargoOnly: true,
    daily: true,
    command: () => ['cargo', 'fmt', '--check'],
  },
  {
    name: 'clippy',
    title: 'Rust: lint',
    kind: Kind.COMPUTE,
    needsCargoOnly: true,
    daily: true,
    command: () => ['cargo', 'clippy', '--all-targets', '--', '-D', 'warnings'],
  },
  {
    name: 'fuzz',
    title: 'Fuzzing: every seed, then some seconds of each target',
    kind: Kind.COMPUTE,
    note: () => rustMissing() && `only objectbuffer and codec: ${rustMissing()}`,
    command: () => [NODE, inRoot('scripts/fuzz.js'), 'all', '5', 'codec=15'],
  },
  {
    name: 'biome',
    title: 'JavaScript: format and lint',
    kind: Kind.COMPUTE,
    daily: true,
    command: () => [NODE, nodeModule('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings'],
  },
  {
    name: 'types',
    title: 'Type declarations',
    kind: Kind.COMPUTE,
    daily: true,
    command: () => [NODE, nodeModule('typescript/bin/tsc'), '-p', inRoot('__test__/types')],
  },
  {
    name: 'clone',
    title: 'A fresh clone: npm start, and a package that builds its binding',
    kind: Kind.COMPUTE,
    canRepeat: true,
    unless: () =>
      !fs.existsSync(inRoot('.git')) && 'these files are no clone, whose commits could be cloned',
    command: () => ['bash', inRoot('.ci/clone')],
  },
  {
    name: 'rust',
    title: 'Rust: tests of the layers below Node',
    kind: Kind.COMPUTE,
    needsCargoOnly: true,
    daily: true,
    // A test binary runs without Node, which provides the N-API functions.
    command: () => ['cargo', 'test', '--no-default-features'],
  },
  {
    name: 'node',
    title: 'Node: tests of the package',
    kind: Kind.NODE,
    canRepeat: true,
    daily: true,
    command: ({ files, all }) => [
      NODE,
      ...nodeTestOptions(all ? undefined : CONCURRENCY_ALONE),
      ...(files.length > 0 ? files : findTests(inRoot('__test__')).filter((f) => !isSlow(f))),
    ],
  },
  {
    name: 'runtimes',
    title: 'Node, Bun and Deno: the packed package on other versions and runtimes',
    kind: Kind.NODE,
    canRepeat: true,
    unless: () =>
      (process.platform !== 'linux' || process.arch !== 'x64') &&
      `the runtimes are fetched for linux-x64, this is ${process.platform}-${process.arch}`,
    command: () => [NODE, inRoot('scripts/runtimes.js')],
  },
  {
    name: 'readers',
    title: 'Node: connections read by one reader alone, the runtime, then the event loop',
    kind: Kind.NODE,
    canRepeat: true,
    command: () => [NODE, inRoot('scripts/readers.js'), ...nodeTestOptions()],
  },
  {
    name: 'node-slow',
    title: 'Node: tests of the package that take long',
    kind: Kind.NODE,
    canRepeat: true,
    // The steps "readers" and "runtimes" repeat the same tests, with other readers and runtimes.
    env: process.env.CI ? { SOCKHOP_REPEAT: '5' } : {},
    command: () => [NODE, ...nodeTestOptions(), ...findTests(inRoot('__test__')).filter(isSlow)],
  },
  {
    name: 'packaging',
    title: 'Packaging: declarations, bundlers and test runners with the packages of a release',
    kind: Kind.NODE,
    canRepeat: true,
    unless: () =>
      Number.parseInt(process.versions.node, 10) < 20 && 'the tools need Node 20 or newer',
    command: () => [NODE, inRoot('packaging/check.js')],
  },
  {
    name: 'clustered',
    title: 'Node: servers in a cluster over memory, in the tests of servers without one',
    kind: Kind.NODE,
    canRepeat: true,
    command: () => [NODE, inRoot('scripts/clustered.js'), ...nodeTestOptions()],
  },
  {
    name: 'network',
    title: 'Node: interoperability byte by byte, then with delays',
    kind: Kind.NODE,
    canRepeat: true,
    command: () => [NODE, inRoot('scripts/network.js'), ...nodeTestOptions()],
  },
  {
    name: 'model',
    title: 'Rust: every interleaving of the concurrent parts',
    kind: Kind.COMPUTE,
    needsCargoOnly: true,
    // Ends each large model after this number of interleavings, which a quiet machine tries in some 10
    // seconds; `npm run model` completes them.
    env: { LOOM_MAX_PERMUTATIONS: '100000' },
    command: () => [NODE, inRoot('scripts/model.js')],
  },
  {
    name: 'soak',
    title: 'A minute of mixed load',
    kind: Kind.COMPUTE,
    command: () => [NODE, inRoot('scripts/soak.js'), '1', '--out', inRoot('target/soak')],
  },
  {
    name: 'audit',
    title: 'Licences, sources, versions and advisories of the dependencies',
    kind: Kind.COMPUTE,
    command: () => [NODE, inRoot('scripts/audit.js'), ...(process.env.CI ? ['--install'] : [])],
  },
  {
    name: 'conformance',
    title: "Conformance: the original's own tests, and both side by side",
    kind: Kind.AFTER_NODE,
    canRepeat: true,
    // The original's suites have time limits of 10 ms, so only steps with the lowest priority run
    // beside them. Five runs in CI show their races.
    command: () => [NODE, inRoot('scripts/conformance.js'), '--runs', process.env.CI ? '5' : '1'],
  },
];

/** The set-up runs before the steps. Steps that need only cargo do not wait for its end. */
const SET_UP = { name: 'set-up', command: () => [NODE, inRoot('scripts/setup.js')] };

function parse(argv) {
  const wanted = { all: false, rest: false, repeatFailed: false, only: null, files: [] };
  const rest = [...argv];
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg === '--all') wanted.all = true;
    else if (arg === '--rest') wanted.rest = true;
    else if (arg === '--repeat-failed') wanted.repeatFailed = true;
    else if (arg === '--only') wanted.only = (rest.shift() ?? '').split(',');
    else if (arg.startsWith('--only=')) wanted.only = arg.slice('--only='.length).split(',');
    else if (arg.startsWith('-')) throw new Error(`unknown option ${arg}; see scripts/test.js`);
    else wanted.files.push(path.resolve(arg));
  }
  if (wanted.files.length > 0) wanted.only ??= ['node'];
  const names = STEPS.map(({ name }) => name);
  const unknown = wanted.only?.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new Error(`there is no step "${unknown}", the steps are ${names.join(', ')}`);
  }
  return wanted;
}

function isWanted(step, { all, rest, only }) {
  if (only) return only.includes(step.name);
  return rest ? !step.daily : all || step.daily;
}

const secondsSince = (began) => (Date.now() - began) / 1000;

/**
 * @returns {number} the processor time of the child processes that have ended, with theirs, in
 *   seconds; NaN if the system does not report it
 */
function secondsOfChildren() {
  try {
    const stat = fs.readFileSync('/proc/self/stat', 'latin1');
    // The name of the program, in brackets, may contain spaces. `cutime` and `cstime` are in ticks
    // of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {
    return Number.NaN;
  }
}

/** The processor time of the steps that have ended. */
let counted = secondsOfChildren();

/**
 * Runs a command to its end.
 * @returns {Promise<{failure: string | null, computed: number}>} how it failed, and its processor
 *   time in seconds
 */
function execute([program, ...args], { env, kind }, output) {
  return new Promise((resolve) => {
    const priority = kind === Kind.COMPUTE ? os.constants.priority.PRIORITY_LOW : 0;
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...environment(), ...env },
      stdio: ['ignore', output, output],
    });
    if (priority && child.pid) os.setPriority(child.pid, priority);
    const timer = setTimeout(() => child.kill('SIGKILL'), STEP_LIMIT_MS);
    let computed = Number.NaN;
    const end = (failure) => {
      clearTimeout(timer);
      resolve({ failure, computed });
    };
    child.on('error', (error) => end(error.message));
    // No other child ends between these two events and the reading of the counter.
    child.on('exit', () => {
      const total = secondsOfChildren();
      computed = total - counted;
      counted = total;
    });
    child.on('close', (code, signal) => {
      if (signal) end(`ended by ${signal}`);
      else end(code === 0 ? null : `exit code ${code}`);
    });
  });
}

/** Runs a step whose output is printed whole when it has ended. */
async function runHeld(step, wanted) {
  const file = path.join(inRoot('target'), `test-${step.name}-${process.pid}.log`);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const output = fs.openSync(file, 'w');
  const began = Date.now();
  const progress = setInterval(() => {
    console.log(`... ${step.name} has run for ${secondsSince(began).toFixed(0)} s`);
  }, PROGRESS_MS);
  try {
    return await execute(step.command(wanted), step, output);
  } finally {
    clearInterval(progress);
    fs.closeSync(output);
    const text = fs.readFileSync(file, 'utf8').trimEnd();
    console.log(`\n=== ${step.name}: ${step.title} ===\n${text}\n=== end of ${step.name} ===\n`);
    fs.rmSync(file);
  }
}

function runShown(step, wanted) {
  console.log(`\n=== ${step.name}: ${step.title} ===`);
  return execute(step.command(wanted), step, 'inherit');
}

async function setUp(results) {
  const began = Date.now();
  const { failure, computed } = await execute(SET_UP.command(), SET_UP, 'inherit');
  results.set(SET_UP, { failure, seconds: secondsSince(began), computed });
}

/** Runs the first of the waiting steps, then the next one, until none is left. */
async function runLane(waiting, held, wanted, results, isSetUp) {
  for (let step = waiting.shift(); step; step = waiting.shift()) {
    if (!step.needsCargoOnly) await isSetUp;
    const reason = step.unless?.();
    if (reason) {
      results.set(step, { skipped: reason });
      continue;
    }
    const began = Date.now();
    const { failure, computed } = await (held ? runHeld : runShown)(step, wanted);
    results.set(step, { failure, seconds: secondsSince(began), computed, note: step.note?.() });
  }
}

/**
 * Runs failed steps again, one at a time. A step that passes then has a test that depends on the
 * load of the machine. The table says so, because such a test is a defect.
 */
async function repeatFailed(steps, wanted, results) {
  for (const step of steps) {
    const result = results.get(step);
    if (!step.canRepeat || !result.failure) continue;
    console.log(`\n${step.name} FAILED (${result.failure}); it runs once more, alone`);
    const { failure } = await runShown(step, wanted);
    const note = `FAILED first (${result.failure}), passed when it ran alone: mend that test`;
    results.set(step, { ...result, failure, note });
  }
}

function summaryLine(name, { failure, skipped, seconds, computed = Number.NaN, note }) {
  const verdict = skipped ? 'left out' : failure ? 'FAILED' : 'passed';
  const time = skipped ? '' : `${seconds.toFixed(1)} s`;
  const cpu = Number.isNaN(computed) ? '' : `cpu ${computed.toFixed(0)} s`;
  const remark = skipped ?? failure ?? (note || '');
  const line = `${name.padEnd(12)} ${verdict.padEnd(8)} ${time.padStart(8)} ${cpu.padStart(10)}`;
  return `${line}  ${remark}`.trimEnd();
}

async function main(argv) {
  const wanted = parse(argv);
  const began = Date.now();
  const results = new Map();

  results.set(SET_UP, null);
  const steps = STEPS.filter((step) => isWanted(step, wanted));
  for (const step of steps) results.set(step, null);
  const kinds = Object.values(Kind).filter((kind) => steps.some((step) => step.kind === kind));
  counted = secondsOfChildren();
  const isSetUp = setUp(results);
  // The output of the set-up comes before that of the steps, unless there is much to set up.
  await Promise.race([isSetUp, wait(SET_UP_MS, null, { ref: false })]);
  const run = (kind) => {
    const waiting = steps.filter((step) => step.kind === kind);
    // One lane prints the output of its steps while they run.
    const held = (lane) => kind !== kinds[0] || lane > 0;
    const lanes = Array.from({ length: LANES[kind] }, (_, lane) =>
      runLane(waiting, held(lane), wanted, results, isSetUp),
    );
    return Promise.all(lanes);
  };
  const testsOfNode = run(Kind.NODE);
  await Promise.all([testsOfNode, run(Kind.COMPUTE), testsOfNode.then(() => run(Kind.AFTER_NODE))]);
  if (wanted.repeatFailed) await repeatFailed(steps, wanted, results);

  console.log('\n=== Summary ===');
  for (const [step, result] of results) console.log(summaryLine(step.name, result));
  console.log(`${'in all'.padEnd(12)} ${`${secondsSince(began).toFixed(1)} s`.padStart(17)}`);
  process.exitCode = [...results.values()].some((result) => result.failure) ? 1 : 0;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
