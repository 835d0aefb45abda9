'use strict';

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const path = require('node:path');
const { after } = require('node:test');
const { deadline } = require('./deadline.js');

const PROGRAM = path.join(__dirname, '..', 'programs', 'fresh-copies.js');

/** The process of this file, from the first call on; it is replaced if it has ended. */
let current = null;

function start() {
  const child = fork(PROGRAM, { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  const started = { child, stderr: '', hasEnded: false };
  child.stderr.setEncoding('utf8').on('data', (text) => {
    started.stderr += text;
  });
  // "close" does not follow a call of disconnect() here.
  started.exited = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      started.hasEnded = true;
      resolve({ code, signal });
    });
  });
  return started;
}

/**
 * Runs a function with a copy of the package that nothing has used before, in a process that all
 * calls share. Functions run one at a time.
 *
 * @param {(sockhop: object, argument: any) => any} main uses nothing else of its file
 * @param {any} [argument] anything that survives JSON
 * @returns {Promise<{name: string, code: string, message: string}[]>} the warnings of the process
 */
async function warningsWithin(main, argument = null) {
  if (current === null || current.hasEnded) current = start();
  const { child, exited } = current;
  const told = new Promise((resolve) => child.once('message', resolve));
  child.send({ source: String(main), argument });
  const answer = await deadline(
    Promise.race([told, exited]),
    () => `the function to end\n${current.stderr}`,
  );
  assert.equal(answer.error, undefined, answer.error);
  assert.ok(answer.warnings, `the process has ended: ${JSON.stringify(answer)}\n${current.stderr}`);
  return answer.warnings;
}

// The functions have left nothing open that would keep the process from ending.
after(async () => {
  if (current === null || current.hasEnded) return;
  const { child, exited } = current;
  child.disconnect();
  try {
    const end = await deadline(exited, () => `the process to end by itself\n${current.stderr}`);
    assert.deepEqual(end, { code: 0, signal: null }, current.stderr);
  } finally {
    child.kill('SIGKILL');
  }
});

module.exports = { warningsWithin };
