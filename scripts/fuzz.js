'use strict';

// `npm run fuzz -- <target> [seconds]`: searches for inputs that violate an invariant.
//
//   framer       the division into chunks does not change the frames       (cargo-fuzz)
//   envelope     pings and pongs are read as a plain JSON parser does      (cargo-fuzz)
//   cluster_line a message of another node is parsed completely or refused (cargo-fuzz)
//   connection   a connection behaves like a model of it                   (cargo-fuzz)
//   tls          a server's end of TLS reads only data of its client       (cargo-fuzz)
//   objectbuffer ObjectBuffer returns the same as that of the original     (JavaScript)
//   codec        payloads arrive as through JSON; bytes are values or errors (JavaScript)
//   all          all targets for this number of seconds, two at a time
//
// `npm run fuzz -- all 10 codec=30`: all targets for 10 seconds, but `codec` for 30.
//
// The compiler refuses `unsafe` in the code that the targets test. `--address-sanitizer` builds them
// with AddressSanitizer, which also checks the memory accesses of the dependencies. Without it, a
// target tries two to three times as many inputs in a second.
//
// All but the last two need a nightly toolchain (`rustup toolchain install nightly`) and cargo-fuzz,
// which is installed below target/tools. Each run starts with all inputs in fuzz/seeds, whatever
// the time. Inputs that reach new code are stored in fuzz/corpus, and failing ones in
// fuzz/artifacts.
//
// `npm run fuzz -- <target> seeds`: writes fuzz/seeds from fuzz/seeds and fuzz/corpus, with the
// fewest inputs that reach the same code.

const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { install, toolEnvironment } = require('./tools');

const ROOT = path.dirname(__dirname);
const FUZZ = path.join(ROOT, 'fuzz');
const DEFAULT_SECONDS = 60;
const SIDE_BY_SIDE = 2;
/** The number of lines that are printed of a target that ran at the same time as another. */
const LAST_LINES = 25;
/** The maximum size of the seeds of each target. */
const SEED_BYTES = 80_000;

/** The options of libFuzzer for each target. */
const RUST_TARGETS = {
  framer: ['-max_len=4096'],
  envelope: ['-max_len=5000', `-dict=${path.join(FUZZ, 'envelope.dict')}`],
  cluster_line: ['-max_len=2000'],
  connection: ['-max_len=600', '-timeout=60'],
  tls: ['-max_len=1500', '-timeout=60'],
};
const SCRIPTS = ['objectbuffer', 'codec'];
const ALL = [...Object.keys(RUST_TARGETS), ...SCRIPTS];

/** @returns {false | string} the reason why the Rust targets cannot run here, or false */
function rustMissing() {
  const { status } = spawnSync('cargo', ['+nightly', '--version'], {
    env: toolEnvironment(),
    stdio: 'ignore',
  });
  return status !== 0 && 'there is no nightly toolchain (rustup toolchain install nightly)';
}

/** The option of the command line, and the sanitizer of the targets. */
const WITH_SANITIZER = '--address-sanitizer';
const sanitizer = process.argv.includes(WITH_SANITIZER) ? 'address' : 'none';

function cargoFuzz(subcommand, ...args) {
  // Connections that linger at the end are not a leak.
  const options = `detect_leaks=0:${process.env.ASAN_OPTIONS ?? ''}`;
  const env = { ...toolEnvironment(), ASAN_OPTIONS: options };
  return ['cargo', ['+nightly', 'fuzz', subcommand, '--sanitizer', sanitizer, ...args], env];
}

function prepare() {
  install('cargo-fuzz');
  const [command, args, env] = cargoFuzz('build');
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error || status !== 0) throw new Error('the targets could not be built');
}

/** The seeds of a target, a list of base64 texts in one file. */
const seedFile = (target) => path.join(FUZZ, 'seeds', `${target}.json`);

function readSeeds(target) {
  const file = seedFile(target);
  if (!fs.existsSync(file)) return [];
  return JSON.parse(fs.readFileSync(file, 'utf8')).map((text) => Buffer.from(text, 'base64'));
}

/** Writes a line for each seed, so that a diff shows the changed seeds only. */
function writeSeeds(target, seeds) {
  const lines = seeds.map((bytes) => `  ${JSON.stringify(bytes.toString('base64'))}`);
  fs.writeFileSync(seedFile(target), `[\n${lines.join(',\n')}\n]\n`);
}

/** Writes inputs to files of a directory, with the names that libFuzzer uses. */
function unpack(inputs, directory) {
  fs.mkdirSync(directory, { recursive: true });
  for (const bytes of inputs) {
    const name = createHash('sha1').update(bytes).digest('hex');
    fs.writeFileSync(path.join(directory, name), bytes);
  }
}

/** The directory to which libFuzzer adds inputs. */
function corpusOf(target) {
  const corpus = path.join(FUZZ, 'corpus', target);
  fs.mkdirSync(corpus, { recursive: true });
  return corpus;
}

/** A directory with the seeds of a target. */
function seedsOf(target) {
  const directory = path.join(ROOT, 'target', 'fuzz-seeds', target);
  fs.rmSync(directory, { recursive: true, force: true });
  unpack(readSeeds(target), directory);
  return directory;
}

function command(target, seconds) {
  if (SCRIPTS.includes(target)) {
    const script = path.join(FUZZ, `${target}.js`);
    return [process.execPath, [script, String(seconds)], process.env];
  }
  const options = [...RUST_TARGETS[target], `-max_total_time=${seconds}`, '-print_final_stats=1'];
  return cargoFuzz('run', target, corpusOf(target), seedsOf(target), '--', ...options);
}

/** Runs one target. If another runs at the same time, only the end of the output is printed. */
async function fuzz(target, seconds, alone) {
  console.log(`fuzz: ${target} for ${seconds}${Number(seconds) ? ' s' : ''}`);
  const [program, args, env] = command(target, seconds);
  const stdio = alone ? 'inherit' : 'pipe';
  const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', stdio, stdio] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text) => {
      said = (said + text).slice(-100_000);
    });
  }
  const [code, signal] = await once(child, 'close');
  const failed = (signal ?? code) !== 0;
  if (!alone) {
    const lines = said.trimEnd().split('\n');
    console.log(`\nfuzz: ${target}\n${lines.slice(failed ? 0 : -LAST_LINES).join('\n')}\n`);
  }
  if (failed) {
    console.error(
      `fuzz: ${target} found something (${signal ?? code}); the input is in fuzz/artifacts`,
    );
    process.exitCode = 1;
  }
}

/** Writes the seeds of a target: the fewest inputs that reach the same code, the smallest first. */
function keepSeeds(target) {
  const corpus = corpusOf(target);
  unpack(readSeeds(target), corpus);
  const [program, args, env] = cargoFuzz('cmin', target, corpus);
  const { status } = spawnSync(program, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`the corpus of ${target} could not be reduced`);
  const found = fs
    .readdirSync(corpus)
    .map((name) => fs.readFileSync(path.join(corpus, name)))
    .sort((a, b) => a.length - b.length || a.compare(b));
  let bytes = 0;
  const kept = found.filter(({ length }) => {
    bytes += length;
    return bytes <= SEED_BYTES;
  });
  writeSeeds(target, kept);
  console.log(`fuzz: ${kept.length} seeds of ${found.length} inputs for ${target}`);
}

function secondsOf(text) {
  if (!(Number(text) > 0)) throw new Error(`"${text}" is not a number of seconds`);
  return Number(text);
}

async function main([target = 'all', time = DEFAULT_SECONDS, ...exceptions]) {
  let targets = target === 'all' ? ALL : [target];
  if (!targets.every((name) => ALL.includes(name))) {
    throw new Error(`there is no target "${target}", the targets are ${ALL.join(', ')}, all`);
  }
  const missing = rustMissing();
  if (missing && target === 'all') {
    targets = targets.filter((name) => !(name in RUST_TARGETS));
    console.log(`fuzz: only ${targets}: ${missing}`);
  } else if (missing && target in RUST_TARGETS) {
    throw new Error(missing);
  }
  if (targets.some((name) => name in RUST_TARGETS)) prepare();

  if (time === 'seeds') {
    for (const name of targets) {
      if (name in RUST_TARGETS) keepSeeds(name);
      else await fuzz(name, 'seeds', true);
    }
    return;
  }
  const times = new Map(targets.map((name) => [name, secondsOf(time)]));
  for (const exception of exceptions) {
    const [name, seconds] = exception.split('=');
    if (!ALL.includes(name)) throw new Error(`"${exception}" is not <target>=<seconds>`);
    if (times.has(name)) times.set(name, secondsOf(seconds));
  }
  // The longest begin, so that both processors are used to the end.
  const waiting = [...times].sort(([, a], [, b]) => b - a);
  const next = async () => {
    while (waiting.length > 0) await fuzz(...waiting.shift(), targets.length === 1);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
}

module.exports = { rustMissing };

if (require.main === module) {
  main(process.argv.slice(2).filter((arg) => arg !== WITH_SANITIZER)).catch((error) => {
    console.error(`fuzz: ${error.message}`);
    process.exitCode = 2;
  });
}
