'use strict';

// Runs the unchanged test suites of sockhop 1.8.4 and 1.6.0, which are part of their npm packages,
// on this package. Only the resolution of `../index.js` and `../lib/X.js` is redirected. Then runs
// the test suites of packages that use sockhop; there the resolution of `sockhop` is redirected.
//
//   node scripts/conformance.js [--runs N] [--suite 1.8|1.6|entangld|rest-over-sockets] [--verbose]
//
// SOCKHOP_UNDER_TEST   the package to run against (directory or specifier); default: this one
// SOCKHOP_18_DIR, SOCKHOP_16_DIR   unpacked originals; default: the development dependencies

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { REPO, original, packageDirectory, underTest } = require('../conformance/under-test.js');
const { networkNamespace } = require('./namespace');

// The suites and their sizes. `requires` is the number of distinct requests of a directory: Node
// caches repeated requests before it resolves them.
const SUITES = [
  { release: '1.8', tests: 78, requires: 5 },
  { release: '1.6', tests: 52, requires: 4 },
  // Some of its tests expect a message within 5 ms, which fails on a busy machine now and then.
  { uses: 'entangld', tests: 84, requires: 1, retries: 3 },
  { uses: 'rest-over-sockets', tests: 21, requires: 1, more: 'rest-over-sockets.js' },
];
const nameOf = ({ release, uses }) => release ?? uses;

// The suites use fixed ports. Their runs in one network namespace are therefore serial, and a port in
// use is reported.
const PORTS = [...Array.from({ length: 11 }, (_, i) => 50000 + i), 50032];
const OTHER_PORTS = [9876];
// The ports lie where the system takes the local ports of connections from, and one that was used
// for a connection stays taken for a minute.
const PORT_PATIENCE_MS = 90_000;
const RUN_DEADLINE_MS = 120_000;
/** The number of suites that run at the same time, if each has its own ports. */
const SIDE_BY_SIDE = 2;
/** Set in the environment of a process that runs in a network namespace. */
const INSIDE = 'SOCKHOP_CONFORMANCE_INSIDE';

function options(argv) {
  const found = { runs: 1, suites: SUITES, verbose: false };
  for (let i = 0; i < argv.length; i++) {
    if (argv[i] === '--runs') {
      found.runs = Number(argv[++i]);
    } else if (argv[i] === '--suite') {
      const name = argv[++i];
      found.suites = SUITES.filter((suite) => nameOf(suite) === name);
    } else if (argv[i] === '--verbose') {
      found.verbose = true;
    } else {
      throw new Error(`unknown option ${argv[i]}`);
    }
  }
  if (!Number.isInteger(found.runs) || found.runs < 1)
    throw new Error('--runs takes a number >= 1');
  if (found.suites.length === 0) {
    throw new Error(`--suite takes ${SUITES.map(nameOf).join(', ')}`);
  }
  return found;
}

const canListen = (port) =>
  new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });

async function portsFree() {
  const until = Date.now() + PORT_PATIENCE_MS;
  for (const port of [...PORTS, ...OTHER_PORTS]) {
    while (!(await canListen(port))) {
      if (Date.now() > until) {
        throw new Error(
          `port ${port} on 127.0.0.1 is taken by another program; the suites use the fixed ports ` +
            `${PORTS[0]} to ${PORTS.at(-1)} and ${OTHER_PORTS.join(', ')}, and need them free`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

function runOnce(suite, from, to, scratch) {
  const report = path.join(scratch, 'report.json');
  const trace = path.join(scratch, 'trace.txt');
  fs.rmSync(report, { force: true });
  fs.writeFileSync(trace, '');
  const hook = path.join(REPO, 'conformance', 'redirect.js');
  const mocha = require.resolve('mocha/bin/_mocha');
  const args = ['--exit', '--recursive'];
  args.push('--reporter', 'json', '--reporter-option', `output=${report}`);
  if (suite.retries) args.push('--retries', String(suite.retries));
  if (suite.more) args.push('./test', path.join(REPO, 'conformance', 'downstream', suite.more));

  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn(process.execPath, [mocha, ...args], {
      cwd: from,
      env: {
        ...process.env,
        NODE_OPTIONS: `${process.env.NODE_OPTIONS || ''} --require "${hook}"`.trim(),
        CONFORMANCE_ORIGINAL: from,
        CONFORMANCE_UNDER_TEST: to,
        CONFORMANCE_TRACE: trace,
        CONFORMANCE_USES: suite.uses ? '1' : '0',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), RUN_DEADLINE_MS);
    const collect = (chunk) => {
      output = (output + chunk).slice(-20_000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (!fs.existsSync(report)) {
        const how = signal ? `killed by ${signal}` : `exit code ${code}`;
        resolve({
          passes: 0,
          failures: [{ name: 'the suite itself', message: `${how}\n${output}` }],
        });
        return;
      }
      const parsed = JSON.parse(fs.readFileSync(report, 'utf8'));
      const failures = parsed.failures.map((test) => ({
        name: test.fullTitle,
        message: test.err.message || String(test.err.stack || 'no message'),
      }));
      const redirected = fs.readFileSync(trace, 'utf8').split('\n').filter(Boolean);
      const astray = redirected.filter((line) => !line.split(' ')[1].startsWith(to + path.sep));
      if (astray.length > 0) failures.push({ name: 'redirection', message: astray.join('\n') });
      if (redirected.length < suite.requires) {
        failures.push({
          name: 'redirection',
          message: `${redirected.length} requires were redirected, expected at least ${suite.requires}`,
        });
      }
      const ran = parsed.stats.passes + parsed.stats.failures;
      if (ran < suite.tests) {
        failures.push({
          name: 'completeness',
          message: `${ran} tests ran, expected ${suite.tests}`,
        });
      }
      resolve({ passes: parsed.stats.passes, failures });
    });
  });
}

/** Runs the command for one suite in a network namespace; resolves with whether it succeeded. */
function runInNamespace(words, suite) {
  const { runs, verbose } = suite;
  const args = [__filename, '--suite', nameOf(suite), '--runs', String(runs)];
  if (verbose) args.push('--verbose');
  return new Promise((resolve, reject) => {
    const [unshare, ...rest] = words;
    const child = spawn(unshare, [...rest, process.execPath, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, [INSIDE]: '1' },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      process.stdout.write(output);
      resolve(code === 0);
    });
  });
}

/**
 * Repeats the command for each suite in a network namespace of its own, if the system allows one. No
 * other connection can take the fixed ports there, so two suites run side by side: they mostly wait.
 *
 * @returns {Promise<boolean>} whether the suites have run in namespaces
 */
async function doneInNamespaces({ runs, suites, verbose }) {
  const words = networkNamespace(
    `echo ${PORTS[0]}-${PORTS.at(-1)} >/proc/sys/net/ipv4/ip_local_reserved_ports`,
  );
  if (words.length === 0) return false;
  console.log('each suite in a network namespace of its own');
  const waiting = suites.map((suite) => ({ ...suite, runs, verbose }));
  let failed = false;
  const lane = async () => {
    while (waiting.length > 0) failed = !(await runInNamespace(words, waiting.shift())) || failed;
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
  process.exitCode = failed ? 1 : 0;
  return true;
}

async function main() {
  const { runs, suites, verbose } = options(process.argv.slice(2));
  const to = fs.realpathSync(underTest());
  if (!process.env[INSIDE]) {
    console.log(`package under test: ${path.relative(process.cwd(), to) || '.'}`);
    if (await doneInNamespaces({ runs, suites, verbose })) return;
  }
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-conformance-'));
  let failed = 0;
  try {
    for (let run = 1; run <= runs; run++) {
      for (const suite of suites) {
        const from = fs.realpathSync(
          suite.uses ? packageDirectory(suite.uses) : original(suite.release),
        );
        await portsFree();
        const started = Date.now();
        const { passes, failures } = await runOnce(suite, from, to, scratch);
        const seconds = ((Date.now() - started) / 1000).toFixed(1);
        failed += failures.length;
        console.log(
          `run ${run}/${runs}, suite of ${suite.uses ?? `sockhop ${suite.release}`}: ` +
            `${passes} passed, ${failures.length} failed (${seconds} s)`,
        );
        for (const { name, message } of failures) {
          console.log(`  failed: ${name}`);
          const lines = message.trimEnd().split('\n');
          for (const line of verbose ? lines : lines.slice(0, 12)) console.log(`    ${line}`);
        }
      }
    }
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  console.log(failed === 0 ? 'every test passed' : `${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
