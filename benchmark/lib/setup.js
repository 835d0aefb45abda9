const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const binary = path.join(root, 'native', 'target', 'release', 'sockhop-loadgen');

/**
 * Installs the peers with npm and builds the load generator with cargo, unless that has been done.
 *
 * @param {function(string)} tell prints a line for the user
 * @returns {{binary: string|null}} the load generator, or `null` if it cannot be built
 */
function setUp(tell) {
  installPeers(tell);
  return { binary: buildGenerator(tell) };
}

function installPeers(tell) {
  const lock = path.join(root, 'package-lock.json');
  // npm writes this file last, so an interrupted installation is repeated.
  const installed = path.join(root, 'node_modules', '.package-lock.json');
  if (modified(installed) >= modified(lock)) {
    return;
  }
  tell('installing the peers (npm ci --prefix benchmark)');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  run(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root });
  const now = new Date();
  fs.utimesSync(installed, now, now);
}

function buildGenerator(tell) {
  if (process.platform !== 'linux') {
    tell('no load generator (it needs Linux): workloads and floors that use it are left out');
    return null;
  }
  const crate = path.join(root, 'native');
  const sources = ['Cargo.toml', 'Cargo.lock', 'src']
    .map((name) => path.join(crate, name))
    .flatMap((name) =>
      fs.statSync(name).isDirectory()
        ? fs.readdirSync(name).map((file) => path.join(name, file))
        : [name],
    );
  if (modified(binary) >= Math.max(...sources.map(modified))) {
    return binary;
  }
  tell('building the load generator (cargo build --release, in benchmark/native)');
  run('cargo', ['build', '--release', '--locked', '--quiet', '--target-dir', 'target'], {
    cwd: crate,
  });
  const now = new Date();
  fs.utimesSync(binary, now, now);
  return binary;
}

function modified(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Prints to standard error, because standard output is for the tables. */
function run(command, args, options) {
  const { status, error } = spawnSync(command, args, { ...options, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    throw new Error(`"${command} ${args.join(' ')}" failed${error ? `: ${error.message}` : ''}`);
  }
}

module.exports = { installPeers, buildGenerator, setUp };
