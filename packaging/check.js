// Checks how the package is published, installed and bundled. The tools for that have a lock file of their own, and are
// installed here, so that nobody else waits for them.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { dependenciesMissing, installDependencies } = require('../scripts/setup.js');

const reason = dependenciesMissing(__dirname);
if (reason) {
  console.log(`installing the tools of packaging/: ${reason}`);
  installDependencies(__dirname);
}

const tests = fs.readdirSync(__dirname).filter((name) => name.endsWith('.test.js'));
const files = tests.map((name) => path.join(__dirname, name));
const { status } = spawnSync(
  process.execPath,
  ['--test', '--test-reporter=spec', ...process.argv.slice(2), ...files],
  { stdio: 'inherit' },
);
process.exitCode = status ?? 1;
