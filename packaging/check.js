// Checks that the package can be published, installed and bundled: the tests of this directory,
// then the rehearsal of a release. Arguments are options for Node's test runner.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { mainFiles } = require('./assemble.js');
const { installTools } = require('./commands.js');

installTools();
// npm lists the files once for all tests, because that takes more than a second.
const env = { ...process.env, SOCKHOP_MAIN_FILES: JSON.stringify(mainFiles()) };

function succeeds(...args) {
  return spawnSync(process.execPath, args, { stdio: 'inherit', env }).status === 0;
}

const tests = fs.readdirSync(__dirname).filter((name) => name.endsWith('.test.js'));
const files = tests.map((name) => path.join(__dirname, name));
const options = ['--test', '--test-reporter=spec', ...process.argv.slice(2)];
const results = [succeeds(...options, ...files), succeeds(path.join(__dirname, 'rehearse.js'))];
process.exitCode = results.every(Boolean) ? 0 : 1;
