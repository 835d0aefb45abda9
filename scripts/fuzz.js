'use strict';

// `npm run fuzz -- <target> [seconds]`: searches for inputs that break a promise of the code.
//
//   framer       any chunking of a stream gives the same frames            (cargo-fuzz)
//   envelope     control envelopes are read as a plain JSON parser does    (cargo-fuzz)
//   connection   a connection against a model of what must come of it      (cargo-fuzz)
//   objectbuffer ObjectBuffer against the original's, object by object     (JavaScript)
//   all          each of them for so many seconds
//
// The first three need a nightly toolchain (`rustup toolchain install nightly`) and cargo-fuzz, which is installed
// if it is missing. Inputs that reach new code are kept in fuzz/corpus, those that fail in fuzz/artifacts.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const FUZZ = path.join(ROOT, 'fuzz');
const DEFAULT_SECONDS = 60;

/** libFuzzer's options of each target, and whether it has seeds and a dictionary. */
const RUST_TARGETS = {
  framer: ['-max_len=4096'],
  envelope: ['-max_len=5000', `-dict=${path.join(FUZZ, 'envelope.dict')}`],
  connection: ['-max_len=600', '-timeout=30'],
};

function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  });
  if (error) throw error;
  return signal ?? status;
}

function answers(command, args) {
  const { status } = spawnSync(command, args, { stdio: 'ignore' });
  return status === 0;
}

function prepare() {
  if (!answers('cargo', ['+nightly', '--version'])) {
    throw new Error('fuzzing needs a nightly toolchain: rustup toolchain install nightly');
  }
  if (answers('cargo', ['fuzz', '--version'])) return;
  console.log(
    'fuzz: cargo-fuzz is missing; installing it (once, some minutes): cargo install cargo-fuzz --locked',
  );
  if (run('cargo', ['install', 'cargo-fuzz', '--locked']) !== 0) {
    throw new Error('cargo-fuzz could not be installed');
  }
}

function fuzzRust(target, seconds) {
  prepare();
  const corpus = path.join(FUZZ, 'corpus', target);
  const seeds = path.join(FUZZ, 'seeds', target);
  fs.mkdirSync(corpus, { recursive: true });
  const directories = fs.existsSync(seeds) ? [corpus, seeds] : [corpus];
  const options = [...RUST_TARGETS[target], `-max_total_time=${seconds}`, '-print_final_stats=1'];
  // Connections that are lingering at the end are no leak.
  const env = { ...process.env, ASAN_OPTIONS: `detect_leaks=0:${process.env.ASAN_OPTIONS ?? ''}` };
  return run('cargo', ['+nightly', 'fuzz', 'run', target, ...directories, '--', ...options], {
    env,
  });
}

function fuzzObjectBuffer(seconds) {
  return run(process.execPath, [path.join(FUZZ, 'objectbuffer.js'), String(seconds)]);
}

function main([target = 'all', time = DEFAULT_SECONDS]) {
  const seconds = Number(time);
  if (!(seconds > 0)) throw new Error(`"${time}" is no number of seconds`);
  const all = [...Object.keys(RUST_TARGETS), 'objectbuffer'];
  const targets = target === 'all' ? all : [target];
  for (const name of targets) {
    if (!all.includes(name)) {
      throw new Error(`there is no target "${name}", the targets are ${all.join(', ')}, all`);
    }
    console.log(`\nfuzz: ${name} for ${seconds} s`);
    const outcome = name === 'objectbuffer' ? fuzzObjectBuffer(seconds) : fuzzRust(name, seconds);
    if (outcome !== 0) {
      console.error(`fuzz: ${name} found something (${outcome}); the input is in fuzz/artifacts`);
      process.exitCode = 1;
    }
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(`fuzz: ${error.message}`);
  process.exitCode = 2;
}
