'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const TESTS = path.join(__dirname, '..', '__test__');

/**
 * Runs test files of the package once for each value of an environment variable. Arguments of the
 * process are options for Node's test runner. The exit code is 0 if all tests passed.
 *
 * @param {string} variable
 * @param {string[]} values
 * @param {function(string, string): boolean} wanted selects the files, by their names and a value
 * @param {object} [env] further variables. `SOCKHOP_BRIEF` shortens long messages
 */
function runSuites(variable, values, wanted, env = {}) {
  const names = fs.readdirSync(TESTS).filter((name) => name.endsWith('.test.js'));
  let failed = false;
  for (const value of values) {
    console.log(`${variable}=${value}`);
    const files = names.filter((name) => wanted(name, value)).map((name) => path.join(TESTS, name));
    const { status } = spawnSync(process.execPath, [...process.argv.slice(2), ...files], {
      env: { ...process.env, SOCKHOP_BRIEF: '1', ...env, [variable]: value },
      stdio: 'inherit',
    });
    failed ||= status !== 0;
  }
  process.exitCode = failed ? 1 : 0;
}

module.exports = { runSuites };
