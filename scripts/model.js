'use strict';

// `npm run model`: checks the synchronization between threads with loom, on the code that is
// released. Loom tries every interleaving, except that the models of the reader state have at most
// two preemptions. It takes some minutes. LOOM_MAX_PREEMPTIONS=3 is more thorough.
// LOOM_MAX_DURATION=20 ends each model after 20 seconds.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const ROOT = path.dirname(__dirname);
const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');

const { status, signal, error } = spawnSync(
  'cargo',
  ['test', '--no-default-features', '--lib', 'loom::'],
  {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      // A separate directory, because other flags would cause everything else to be compiled again.
      CARGO_TARGET_DIR: path.join(target, 'loom'),
      RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg sockhop_loom`.trim(),
    },
  },
);
if (error) throw error;
process.exitCode = signal ? 1 : status;
