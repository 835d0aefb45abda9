'use strict';

// Profiles one side of a workload of the benchmark and prints the functions that take most of the
// time:
//
//   npm run profile                                    the server of oneway-64
//   npm run profile -- roundtrip --side client --ms 5000
//   npm run profile -- --help
//
// There are two runs, because the profilers would disturb each other. The first uses Node's
// --cpu-prof, which sees the JavaScript thread. The second uses perf (Linux), which sees every
// thread, native code and the kernel.

const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');

const { createCertificates } = require('../benchmark/lib/certificate.js');
const { freeAddress, openEnds } = require('../benchmark/lib/ends.js');
const { buildGenerator } = require('../benchmark/lib/setup.js');
const peers = require('../benchmark/peers');
const workloads = require('../benchmark/workloads');
const { summarizeCpuProfile, summarizePerf } = require('./profile-summary.js');

const ROOT = path.dirname(__dirname);
/**
 * The number of samples of perf per second. It is a prime, so samples do not coincide with the
 * timers of a program.
 */
const PERF_FREQUENCY = 997;
const WARM_UP_MS = 300;

const HELP = `Usage: npm run profile -- [workload] [options]

Workloads: ${workloads.names.join(', ')} (default: oneway-64)

Options:
  --side <server|client>     the process that is profiled (default: server)
  --transport <tcp|unix>     (default: tcp)
  --peer <name>              of ${peers.names.join(', ')} (default: native)
  --ms <n>                   how long each of the two runs sends (default: 3000)
  --top <n>                  how many functions are shown of each part (default: 15)
  --output <directory>       (default: target/profile/<workload>-<side>)
  --help                     this text
`;

function optionsOf(argv) {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      side: { type: 'string', default: 'server' },
      transport: { type: 'string', default: 'tcp' },
      peer: { type: 'string', default: 'native' },
      ms: { type: 'string', default: '3000' },
      top: { type: 'string', default: '15' },
      output: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const [workload = 'oneway-64'] = positionals;
  const { help, side, transport, peer } = values;
  const number = (name) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value > 0) return value;
    throw new Error(`--${name} must be an integer above 0, not "${values[name]}"`);
  };
  const definition = workloads.get(workload);
  const isOneOf = (name, value, allowed) => {
    if (!allowed.includes(value)) {
      throw new Error(`--${name} of ${workload} must be one of ${allowed.join(', ')}`);
    }
  };
  isOneOf('side', side, definition.client ? ['server', 'client'] : ['server']);
  isOneOf('transport', transport, definition.transports);
  isOneOf('peer', peer, peers.names);
  return {
    help,
    definition,
    side,
    transport,
    peer,
    ms: number('ms'),
    top: number('top'),
    output: path.resolve(
      values.output ?? path.join(ROOT, 'target', 'profile', `${workload}-${side}`),
    ),
  };
}

/**
 * Runs the workload once, with the profiled side in a process with more options.
 *
 * @param {object} settings
 * @param {string[]} execArgv options of Node for the profiled side
 * @param {function(number): Promise<function(): Promise<void>>} observe begins to watch a process,
 *   and returns a function that ends it
 * @returns {Promise<object>} the figures of the workload
 */
async function run(settings, execArgv, observe) {
  const { definition, side, transport, ms } = settings;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-profile-'));
  const running = [];
  try {
    const peer = peers.load(settings.peer);
    const { ends } = await openEnds({
      ...settings,
      address: await freeAddress(transport, directory, settings.peer),
      name: settings.peer,
      peer,
      keep: (started) => {
        running.push(started);
        return started;
      },
      execArgv: { [side]: execArgv },
    });
    await definition.round({ ...ends, peer, ms: Math.min(ms, WARM_UP_MS), warm: true });
    const stop = await observe(ends[side].pid);
    let figures;
    try {
      figures = await definition.round({ ...ends, peer, ms });
    } finally {
      await stop();
    }
    await ends[side].exit();
    return figures;
  } finally {
    await Promise.all(running.map((each) => each.stop()));
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

const noObserver = async () => async () => {};

async function profileWithNode(settings) {
  const name = 'javascript.cpuprofile';
  const file = path.join(settings.output, name);
  const execArgv = ['--cpu-prof', `--cpu-prof-dir=${settings.output}`, `--cpu-prof-name=${name}`];
  const figures = await run(settings, execArgv, noObserver);
  return { file, figures, profile: JSON.parse(fs.readFileSync(file, 'utf8')) };
}

/** @returns {string|null} why perf cannot be used here */
function perfMissing() {
  if (process.platform !== 'linux') return 'perf is a tool of Linux';
  const { error, status } = spawnSync('perf', ['--version'], { stdio: 'ignore' });
  if (error || status !== 0) {
    return 'perf is not installed (the package is "linux-perf" on Debian, "linux-tools-generic" on Ubuntu, "perf" on others)';
  }
  return null;
}

/** The error for a process that perf may not watch, for example in a container. */
const NOT_ALLOWED =
  'the system did not permit it: see "sysctl kernel.perf_event_paranoid", and run it outside of a container';

async function profileWithPerf(settings) {
  const file = path.join(settings.output, 'perf.data');
  let pid = 0;
  let messages = '';
  const observe = async (watched) => {
    pid = watched;
    // perf starts with its events disabled, and acknowledges that it has enabled them.
    const args = ['record', '-q', '-F', `${PERF_FREQUENCY}`, '-g', '-o', file, '-p', `${watched}`];
    args.push('--delay=-1', '--control=fd:3,4');
    const perf = spawn('perf', args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });
    perf.stderr.on('data', (text) => {
      messages += text;
    });
    const [, , , control, acknowledgement] = perf.stdio;
    // A perf that may not watch the process ends at once.
    control.on('error', () => {});
    const ended = once(perf, 'close');
    control.write('enable\n');
    await Promise.race([once(acknowledgement, 'data'), ended]);
    return async () => {
      perf.kill('SIGINT');
      await ended;
    };
  };
  // perf finds the names of compiled JavaScript in a file that V8 writes. V8 also writes a log, which
  // nothing here needs.
  const log = path.join(settings.output, 'v8.log');
  const execArgv = ['--perf-basic-prof', '--no-logfile-per-isolate', `--logfile=${log}`];
  await run(settings, execArgv, observe);
  fs.rmSync(log, { force: true });
  const names = `/tmp/perf-${pid}.map`;
  try {
    const report = perfReport(file, 'dso,symbol');
    const threads = perfReport(file, 'comm');
    if (report === '') return { missing: `${NOT_ALLOWED}\n${messages.trim()}` };
    const text = path.join(settings.output, 'perf.txt');
    fs.writeFileSync(text, report);
    return { file, text, report, threads };
  } finally {
    fs.rmSync(names, { force: true });
  }
}

/**
 * The samples of a recording by a key, as lines of fields with tabs between them; empty if there
 * are none.
 */
function perfReport(file, key) {
  const args = ['report', '-i', file, '--stdio', '--no-children', '-g', 'none', '--sort', key];
  const { stdout } = spawnSync('perf', [...args, '-F', `overhead,${key}`, '-t', '\t'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n');
}

async function main(argv) {
  const settings = optionsOf(argv);
  if (settings.help) {
    process.stdout.write(HELP);
    return;
  }
  const { definition, side, transport, ms, top, output } = settings;
  fs.mkdirSync(output, { recursive: true });
  settings.certificates = definition.tls ? createCertificates() : undefined;
  settings.binary = definition.generator ? buildGenerator((line) => console.error(line)) : null;

  const node = await profileWithNode(settings);
  const value = Math.round(node.figures.value).toLocaleString('en');
  console.log(`${definition.name} over ${transport}, the ${side}, ${ms} ms of each run`);
  console.log(`${definition.title}: ${value} ${definition.unit} (a profiled process is slower)\n`);
  console.log(summarizeCpuProfile(node.profile, { root: ROOT, top }));

  const reason = perfMissing();
  const perf = reason === null ? await profileWithPerf(settings) : { missing: reason };
  if (perf.missing) {
    console.log(`Native code and the kernel are missing here: ${perf.missing}.`);
  } else {
    console.log(summarizePerf(perf.report, perf.threads, { root: ROOT, top }));
  }

  const shown = (file) => path.relative(process.cwd(), file);
  console.log('Files');
  console.log(`  ${shown(node.file)}  opens in the performance panel of Chrome's DevTools`);
  if (perf.file) {
    console.log(`  ${shown(perf.text)}  every function that perf saw`);
    console.log(`  ${shown(perf.file)}  "perf report -i" shows the callers of native functions`);
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`profile: ${error.message}`);
  process.exitCode = 1;
});
