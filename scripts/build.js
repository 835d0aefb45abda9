'use strict';

// Builds the native binding for this machine and puts it next to index.js:
//
//   node scripts/build.js              release build
//   node scripts/build.js --debug      quick build with debug assertions
//   node scripts/build.js --if-stale   only if a source is newer than the binding
//   node scripts/build.js --tracing    with log events of the Rust code, see CONTRIBUTING.md
//
// packaging/build.js builds the binding for other targets, and for releases.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { bindingFileName, platformTag } = require('../lib/internal/native/platform.js');

const ROOT = path.dirname(__dirname);
const BINDING = path.join(ROOT, bindingFileName(platformTag()));
/** napi writes the types of the binding there while it compiles: see native-types.js. */
const TYPES = path.join(ROOT, 'target', 'napi-types');
const SOURCES = ['src', 'Cargo.toml', 'Cargo.lock', 'build.rs', '.cargo', 'rust-toolchain.toml'];

/**
 * The time of the last change below `file`, in ms. Directories count, so that a deleted file is
 * noticed.
 */
function newest(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  const inside = fs.readdirSync(file).map((name) => newest(path.join(file, name)));
  return Math.max(stat.mtimeMs, ...inside);
}

/**
 * @returns {false | string} why the release binding has to be built, or false if it is up to date
 */
function stale() {
  const stat = fs.statSync(BINDING, { throwIfNoEntry: false });
  if (!stat) return 'there is none yet';
  if (stat.mtimeMs < 1000) return 'the present one is a debug build';
  const changed = SOURCES.find((name) => newest(path.join(ROOT, name)) > stat.mtimeMs);
  return changed ? `${changed} has changed` : false;
}

/**
 * The environment for cargo. The directory of rustup is added to the PATH, in case no profile has
 * done so.
 */
function environment() {
  const env = { ...process.env };
  const home = env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');
  env.PATH = `${env.PATH ?? ''}${path.delimiter}${path.join(home, 'bin')}`;
  if (platformTag().endsWith('-musl')) {
    // A shared library needs the C library of the process that loads it.
    env.RUSTFLAGS = `${env.RUSTFLAGS ?? ''} -C target-feature=-crt-static`.trim();
  }
  return env;
}

/**
 * Builds the binding and moves it into place.
 * @param {{ debug?: boolean, tracing?: boolean }} [options] `tracing` is a feature of the crate
 * @returns {string} the path of the binding
 * @throws {Error} if cargo is missing or the build failed
 */
function build({ debug = false, tracing = false } = {}) {
  const args = ['build', '--lib', '--message-format=json-render-diagnostics'];
  if (!debug) args.push('--release');
  if (tracing) args.push('--features', 'tracing');
  fs.mkdirSync(TYPES, { recursive: true });
  const began = new Date();
  const result = spawnSync('cargo', args, {
    cwd: ROOT,
    env: { ...environment(), NAPI_TYPE_DEF_TMP_FOLDER: TYPES },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    // This script reads the JSON on stdout; the messages on stderr are for the user.
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (result.error?.code === 'ENOENT') {
    throw new Error(
      'cargo was not found. The native part is built from Rust sources: install a toolchain ' +
        'from https://rustup.rs (or the packages "cargo" and "rustc" of your system), and run ' +
        'the same command again.',
    );
  }
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`cargo ${args.join(' ')} failed, see above`);

  const library = result.stdout
    .split('\n')
    .filter((line) => line.includes('"compiler-artifact"') && line.includes('"cdylib"'))
    .flatMap((line) => JSON.parse(line).filenames)
    .find((name) => /sockhop_native\.(so|dylib|dll)$/.test(name));
  if (!library) throw new Error('cargo built no library sockhop_native');

  // The file is renamed into place, so that a process that has loaded the old file keeps it.
  const partial = `${BINDING}.${process.pid}`;
  fs.copyFileSync(library, partial);
  // A source that changes during the build is newer than the binding. A binding for debugging gets a
  // very old date, so that `stale()` does not take it for a release build.
  const date = debug || tracing ? new Date(0) : began;
  fs.utimesSync(partial, date, date);
  fs.renameSync(partial, BINDING);
  return BINDING;
}

function main(argv) {
  const unknown = argv.find((arg) => !['--debug', '--if-stale', '--tracing'].includes(arg));
  if (unknown) throw new Error(`unknown option ${unknown}`);
  if (argv.includes('--if-stale') && !stale()) return;
  const debug = argv.includes('--debug');
  const file = build({ debug, tracing: argv.includes('--tracing') });
  // `npm pack --json` runs this script and uses stdout for its own output.
  console.error(`built ${path.basename(file)} (${debug ? 'debug' : 'release'})`);
}

module.exports = { TYPES, build, environment, stale };

if (require.main === module) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
