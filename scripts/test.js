'use strict';

// `npm test`: gets everything ready, then runs every check there is. A failing step does not keep
// the others from running; a table at the end says how each went.
//
//   npm test -- --only node,rust          only these steps
//   npm test -- __test__/client.test.js   only these files of the step "node"

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { environment } = require('./build');
const { rustMissing } = require('./fuzz');
const { setup } = require('./setup');

const ROOT = path.dirname(__dirname);
/** No step is near it; it ends a run in which something waits for ever. */
const STEP_LIMIT_MS = 20 * 60 * 1000;
const TEST_LIMIT_MS = 5 * 60 * 1000;

const NODE = process.execPath;
const inRoot = (...names) => path.join(ROOT, ...names);
const nodeModule = (...names) => inRoot('node_modules', ...names);

function findTests(directory) {
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) return findTests(file);
    return entry.name.endsWith('.test.js') ? [file] : [];
  });
}

function nodeTestOptions() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  const options = ['--test', '--test-reporter=spec'];
  // Node 18 has neither; it runs a file at a time per spare processor.
  if (major > 20 || (major === 20 && minor >= 11)) {
    options.push('--test-concurrency=2', `--test-timeout=${TEST_LIMIT_MS}`);
  }
  return options;
}

/**
 * The steps in order. `unless` gives the reason to leave a step out, if there is one, `note` what was left out of one
 * that ran.
 */
const STEPS = [
  {
    name: 'biome',
    title: 'JavaScript: format and lint',
    command: () => [NODE, nodeModule('@biomejs/biome/bin/biome'), 'check', '--error-on-warnings'],
  },
  {
    name: 'rustfmt',
    title: 'Rust: format',
    command: () => ['cargo', 'fmt', '--check'],
  },
  {
    name: 'clippy',
    title: 'Rust: lint',
    command: () => ['cargo', 'clippy', '--all-targets', '--', '-D', 'warnings'],
  },
  {
    name: 'types',
    title: 'Type declarations',
    unless: () => !fs.existsSync(inRoot('__test__/types')) && 'there is no __test__/types',
    command: () => [NODE, nodeModule('typescript/bin/tsc'), '-p', inRoot('__test__/types')],
  },
  {
    name: 'rust',
    title: 'Rust: tests of wire and net',
    // A test binary has no Node around it to provide the N-API functions.
    command: () => ['cargo', 'test', '--no-default-features'],
  },
  {
    name: 'node',
    title: 'Node: tests of the package',
    command: ({ files }) => [
      NODE,
      ...nodeTestOptions(),
      ...(files.length > 0 ? files : findTests(inRoot('__test__'))),
    ],
  },
  {
    name: 'readers',
    title: 'Node: what is read by one reader alone, the runtime, then the event loop',
    command: () => [NODE, inRoot('scripts/readers.js'), ...nodeTestOptions()],
  },
  {
    name: 'network',
    title: 'Node: interoperability byte by byte, then with delays',
    command: () => [NODE, inRoot('scripts/network.js'), ...nodeTestOptions()],
  },
  {
    name: 'runtimes',
    title: 'Node, Bun and Deno: the packed package on other versions and runtimes',
    unless: () =>
      (process.platform !== 'linux' || process.arch !== 'x64') &&
      `the runtimes are fetched for linux-x64, this is ${process.platform}-${process.arch}`,
    command: () => [NODE, inRoot('scripts/runtimes.js')],
  },
  {
    name: 'conformance',
    title: "Conformance: the original's own tests, and both side by side",
    unless: () =>
      !fs.existsSync(inRoot('scripts/conformance.js')) && 'there is no scripts/conformance.js',
    // Five in a row where it counts: the suites are full of races.
    command: () => [NODE, inRoot('scripts/conformance.js'), '--runs', process.env.CI ? '5' : '1'],
  },
  {
    name: 'model',
    title: 'Rust: every interleaving of the concurrent parts',
    // Of the large ones, what can be tried in this time; `npm run model` goes on.
    env: { LOOM_MAX_DURATION: '15' },
    command: () => [NODE, inRoot('scripts/model.js')],
  },
  {
    name: 'fuzz',
    title: 'Fuzzing, a minute of each target',
    note: () => rustMissing() && `only objectbuffer: ${rustMissing()}`,
    command: () => [NODE, inRoot('scripts/fuzz.js'), 'all', '60'],
  },
  {
    name: 'soak',
    title: 'A minute of mixed load',
    command: () => [NODE, inRoot('scripts/soak.js'), '1', '--out', inRoot('target/soak')],
  },
  {
    name: 'audit',
    title: 'What the package is made of',
    // cargo-deny takes some minutes to compile, once.
    command: () => [NODE, inRoot('scripts/audit.js'), ...(process.env.CI ? ['--install'] : [])],
  },
];

function parse(argv) {
  const wanted = { only: null, files: [] };
  const rest = [...argv];
  while (rest.length > 0) {
    const arg = rest.shift();
    if (arg === '--only') wanted.only = (rest.shift() ?? '').split(',');
    else if (arg.startsWith('--only=')) wanted.only = arg.slice('--only='.length).split(',');
    else if (arg.startsWith('-')) throw new Error(`unknown option ${arg}`);
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

function run(step, wanted) {
  const [program, ...args] = step.command(wanted);
  const result = spawnSync(program, args, {
    cwd: ROOT,
    env: { ...environment(), ...step.env },
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: STEP_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  if (result.error) return result.error.message;
  if (result.signal) return `ended by ${result.signal}`;
  return result.status === 0 ? null : `exit code ${result.status}`;
}

function timed(name, action) {
  const began = Date.now();
  const failure = action();
  return { name, failure, seconds: (Date.now() - began) / 1000 };
}

function main(argv) {
  const wanted = parse(argv);
  const results = [];

  results.push(
    timed('set-up', () => {
      try {
        setup();
        return null;
      } catch (error) {
        console.error(`set-up failed: ${error.message}`);
        return error.message.split('\n')[0];
      }
    }),
  );

  for (const step of STEPS) {
    if (wanted.only && !wanted.only.includes(step.name)) continue;
    const reason = step.unless?.();
    if (reason) {
      results.push({ name: step.name, skipped: reason });
      continue;
    }
    console.log(`\n=== ${step.name}: ${step.title} ===`);
    results.push({ ...timed(step.name, () => run(step, wanted)), note: step.note?.() });
  }

  console.log('\n=== Summary ===');
  for (const { name, failure, skipped, seconds, note } of results) {
    const verdict = skipped ? 'left out' : failure ? 'FAILED' : 'passed';
    const time = skipped ? '' : `${seconds.toFixed(1)} s`;
    const line = `${name.padEnd(12)} ${verdict.padEnd(8)} ${time.padStart(8)}  ${skipped ?? failure ?? (note || '')}`;
    console.log(line.trimEnd());
  }
  process.exitCode = results.some(({ failure }) => failure) ? 1 : 0;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
