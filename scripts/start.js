'use strict';

// `npm start`: sets everything up, then runs the demonstration.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { setup } = require('./setup');

try {
  setup({ forTests: false });
  const demo = path.join(path.dirname(__dirname), 'examples', 'demo');
  process.exitCode = spawnSync(process.execPath, [demo], { stdio: 'inherit' }).status ?? 1;
} catch (error) {
  console.error(`set-up failed: ${error.message}`);
  process.exitCode = 1;
}
