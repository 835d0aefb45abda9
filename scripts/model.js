'use strict';

// `npm run model`: checks every interleaving of the hand-over between the runtime and JavaScript, with loom, on the
// very code that is built, and of the switch between the readers those with up to two preemptions (some minutes).
// LOOM_MAX_PREEMPTIONS=3 is more thorough, LOOM_MAX_DURATION=20 ends each model after so many seconds.

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
      // A directory of its own: other flags would have everything else compiled again.
      CARGO_TARGET_DIR: path.join(target, 'loom'),
      RUSTFLAGS: `${process.env.RUSTFLAGS ?? ''} --cfg sockhop_loom`.trim(),
    },
  },
);
if (error) throw error;
process.exitCode = signal ? 1 : status;
