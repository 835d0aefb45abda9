'use strict';

/*
 * Runs the suites that receive anything once with every connection read by the runtime, and once with every
 * connection read by the event loop. (Otherwise a connection changes from one to the other by what comes.)
 * Arguments are options for Node's test runner.
 */

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const TESTS = path.join(__dirname, '..', '__test__');
const SUITES =
  /^(interop-.*|client|server|session|callbacks|ping|faults|limits|handlers)\.test\.js$/;

const files = fs
  .readdirSync(TESTS)
  .filter((name) => SUITES.test(name))
  .map((name) => path.join(TESTS, name));

let failed = false;
for (const reader of ['runtime', 'loop']) {
  console.log(`SOCKHOP_READER=${reader}`);
  const { status } = spawnSync(process.execPath, [...process.argv.slice(2), ...files], {
    env: { ...process.env, SOCKHOP_READER: reader },
    stdio: 'inherit',
  });
  failed ||= status !== 0;
}
process.exitCode = failed ? 1 : 0;
