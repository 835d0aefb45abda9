'use strict';

// `npm run model`: checks the synchronization between threads with loom, on the code that is
// released. Loom tries every interleaving, except that the models of the reader state have at most
// two preemptions. It takes some minutes. LOOM_MAX_PREEMPTIONS=3 is more thorough.
// LOOM_MAX_PERMUTATIONS=20000 ends each model after that many interleavings.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.dirname(__dirname);

/**
 * Builds the tests of the crate with the locks and atomics of loom. Only the crate itself gets the
 * flag, so that the tests of `npm test` and these share the dependencies.
 *
 * @returns {string} the executable
 */
function build() {
  const args = ['rustc', '--no-default-features', '--lib', '--profile', 'test'];
  args.push('--message-format=json-render-diagnostics', '--', '--cfg', 'sockhop_loom');
  const { status, error, stdout } = spawnSync('cargo', args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw error;
  if (status !== 0) throw new Error('the models could not be built');
  const artifacts = stdout.split('\n').filter((line) => line.includes('"compiler-artifact"'));
  const { executable } = artifacts
    .map((line) => JSON.parse(line))
    .findLast((one) => one.executable);
  return executable;
}

// An interleaving maps a stack for each of its threads. Models that run at the same time compete for
// the lock on the memory map, and take longer than one after the other.
const args = ['loom::', '--test-threads=1'];
const { status, signal, error } = spawnSync(build(), args, { cwd: ROOT, stdio: 'inherit' });
if (error) throw error;
process.exitCode = signal ? 1 : status;
