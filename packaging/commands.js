const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { dependenciesMissing, installDependencies } = require('../scripts/setup.js');

/**
 * Runs a command to its end.
 * @param {string[]} command the program and its arguments
 * @param {import('node:child_process').SpawnSyncOptions} [options]
 * @returns {string} its standard output
 * @throws {Error} with all of its output if it fails
 */
function run([program, ...args], options) {
  const result = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 300_000,
    maxBuffer: 64 * 1024 * 1024,
    ...options,
  });
  if (result.status === 0) return result.stdout;
  const reason = result.error?.message ?? result.signal ?? `exit code ${result.status}`;
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  throw new Error(`${program} ${args.join(' ')}: ${reason}\n${output}`);
}

/**
 * The script of npm: of the npm that runs this process, or of the one on the PATH.
 * @returns {string}
 */
function npmFile() {
  const own = process.env.npm_execpath;
  if (own?.endsWith('npm-cli.js')) return own;
  const directories = process.env.PATH.split(path.delimiter);
  const file = directories.map((name) => path.join(name, 'npm')).find(fs.existsSync);
  if (!file) throw new Error('there is no npm on the PATH');
  return fs.realpathSync(file);
}

/** The command line of npm. */
const npmCommand = (...args) => [process.execPath, npmFile(), ...args];

/** Installs the tools of this directory, unless they are there. They have a lock file of their own. */
function installTools() {
  const reason = dependenciesMissing(__dirname);
  if (!reason) return;
  console.log(`installing the tools of packaging/: ${reason}`);
  installDependencies(__dirname);
}

module.exports = { installTools, npmCommand, npmFile, run };
