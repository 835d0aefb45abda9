// Builds the binding of a target as for a release: stripped, and on Linux linked by zig. Zig needs
// no system of the target, and links against an old glibc.
//
//   node packaging/build.js               for this machine
//   node packaging/build.js <tag>...      for others; rustup must have their targets
//
// The files are put into target/bindings.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { bindingFileName, platformTag } = require('../lib/internal/native/platform.js');
const { environment } = require('../scripts/build.js');
const { run } = require('./commands.js');
const { OLDEST_GLIBC, TARGETS, targetOf } = require('./targets.js');

const ROOT = path.dirname(__dirname);
const CARGO_TARGET = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
const BINDINGS = path.join(ROOT, 'target', 'bindings');
const BUILD_LIMIT_MS = 60 * 60 * 1000;

/** Python packages: the linker, and the subcommand of cargo that uses it. */
const ZIG_PACKAGES = ['ziglang==0.15.2', 'cargo-zigbuild==0.24.1'];
const ZIG = path.join(
  CARGO_TARGET,
  'tools',
  `zig-${ZIG_PACKAGES.join('-').replace(/[^\w.]+/g, '-')}`,
);

/** The file of the binding of a target, once it is built. */
const builtBinding = (tag) => path.join(BINDINGS, bindingFileName(tag));

/** The targets that the Rust toolchain of this machine has a standard library for. */
function buildable() {
  const sysroot = run(['rustc', '--print', 'sysroot'], { env: environment() }).trim();
  return TARGETS.filter(({ triple, os }) => {
    const library = path.join(sysroot, 'lib', 'rustlib', triple, 'lib');
    // The linker of macOS comes with macOS only.
    return fs.existsSync(library) && (os === 'linux' || os === process.platform);
  });
}

function installZig() {
  if (fs.existsSync(path.join(ZIG, 'bin', 'cargo-zigbuild'))) return;
  console.log(`installing ${ZIG_PACKAGES.join(' and ')} from PyPI`);
  const partial = `${ZIG}.${process.pid}`;
  run(['python3', '-m', 'pip', 'install', '--quiet', '--target', partial, ...ZIG_PACKAGES]);
  fs.renameSync(partial, ZIG);
}

function zigEnvironment() {
  installZig();
  const env = environment();
  env.PATH = `${path.join(ZIG, 'bin')}${path.delimiter}${env.PATH}`;
  env.CARGO_ZIGBUILD_ZIG_PATH = path.join(ZIG, 'ziglang', 'zig');
  return env;
}

/**
 * The newest version of glibc that a binding asks the system for.
 * @param {string} file
 * @returns {string | null} null if it needs no glibc
 */
function requiredGlibc(file) {
  const names = fs.readFileSync(file, 'latin1').match(/GLIBC_2\.\d+/g) ?? [];
  const minors = names.map((name) => Number(name.slice('GLIBC_2.'.length)));
  return minors.length > 0 ? `2.${Math.max(...minors)}` : null;
}

const minorOf = (version) => Number(version.split('.')[1]);

function checkGlibc({ libc }, file) {
  const required = requiredGlibc(file);
  if (libc === 'musl' && required) throw new Error(`${file} needs glibc`);
  if (libc === 'glibc' && minorOf(required) > minorOf(OLDEST_GLIBC)) {
    throw new Error(`${file} needs glibc ${required}, and is to need no more than ${OLDEST_GLIBC}`);
  }
}

/**
 * @param {string} tag
 * @returns {string} the file of the binding
 */
function build(tag) {
  const target = targetOf(tag);
  const { triple, os, libc } = target;
  const byZig = os === 'linux';
  const env = byZig ? zigEnvironment() : environment();
  env.CARGO_PROFILE_RELEASE_STRIP = 'symbols';
  if (libc === 'musl') {
    // A shared library needs the C library of the process that loads it.
    env.RUSTFLAGS = `${env.RUSTFLAGS ?? ''} -C target-feature=-crt-static`.trim();
  }
  if (os === 'win32') {
    // Node is linked with its C library, so the machine may lack a shared one that the binding
    // could load.
    env.RUSTFLAGS = `${env.RUSTFLAGS ?? ''} -C target-feature=+crt-static`.trim();
  }
  const args = [byZig ? 'zigbuild' : 'build', '--lib', '--release', '--locked', '--target'];
  args.push(libc === 'glibc' ? `${triple}.${OLDEST_GLIBC}` : triple);
  const { status, error } = spawnSync('cargo', args, {
    cwd: ROOT,
    env,
    stdio: ['ignore', 2, 2],
    timeout: BUILD_LIMIT_MS,
  });
  if (error) throw error;
  if (status !== 0) throw new Error(`cargo ${args.join(' ')} failed, see above`);

  const name = { darwin: 'libsockhop_native.dylib', win32: 'sockhop_native.dll' }[os];
  const library = path.join(CARGO_TARGET, triple, 'release', name ?? 'libsockhop_native.so');
  checkGlibc(target, library);
  fs.mkdirSync(BINDINGS, { recursive: true });
  const file = builtBinding(tag);
  fs.copyFileSync(library, file);
  return file;
}

module.exports = { build, buildable, builtBinding, requiredGlibc };

if (require.main === module) {
  const tags = process.argv.slice(2);
  try {
    for (const tag of tags.length > 0 ? tags : [platformTag()]) {
      const file = build(tag);
      const glibc = requiredGlibc(file);
      const size = (fs.statSync(file).size / 1e6).toFixed(2);
      console.log(`${file}: ${size} MB${glibc ? `, needs glibc ${glibc}` : ''}`);
    }
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
