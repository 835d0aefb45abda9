const { spawnSync } = require('node:child_process');

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

/** The command line of npm: the npm that runs this script, or the one on the PATH. */
function npmCommand(...args) {
  const own = process.env.npm_execpath;
  return own?.endsWith('npm-cli.js') ? [process.execPath, own, ...args] : ['npm', ...args];
}

module.exports = { npmCommand, run };
