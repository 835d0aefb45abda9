'use strict';

const { cleanup } = require('./cleanup.js');
const { spawn } = require('node:child_process');
const { deadline } = require('./deadline.js');
const { EventLog } = require('./event-log.js');
const { implementations } = require('./implementations.js');

/**
 * Runs a function as a Node program of its own.
 *
 * The function gets the package under test and the given argument, and must not use anything else
 * of its file. The lines that it prints are the entries `line` of the result's log.
 *
 * @param {object} t the test context; a program that still runs at the end of the test is killed
 * @param {(sockhop: object, argument: any) => any} main
 * @param {any} [argument] anything that survives JSON
 * @param {{ flags?: string[], env?: object }} [options] flags for Node, and variables in addition
 *   to those of this process
 */
function program(t, main, argument = null, { flags = [], env = {} } = {}) {
  const source = `(${main})(require(${JSON.stringify(implementations.native)}), ${JSON.stringify(argument)});`;
  const child = spawn(process.execPath, [...flags, '-e', source], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = new EventLog();
  let rest = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) log.push({ name: 'line', text: line });
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const closed = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      log.break(new Error(`the program has ended (${signal ?? `code ${code}`})\n${stderr}`));
      resolve({ code, signal, stderr, lines: log.all('line').map(({ text }) => text) });
    });
  });
  cleanup(t, () => {
    child.kill('SIGKILL');
    return closed;
  });
  return {
    log,
    pid: child.pid,
    /** Waits for a line; the text, or a predicate for it. */
    line: (wanted) =>
      log
        .next('line', ({ text }) => (typeof wanted === 'function' ? wanted(text) : text === wanted))
        .then(({ text }) => text),
    /** Waits until the program has ended by itself. */
    ended: (ms) =>
      deadline(
        closed,
        () =>
          `the program to end by itself; it printed: ${log
            .all('line')
            .map(({ text }) => text)
            .join(' | ')}\n${stderr}`,
        ms,
      ),
  };
}

module.exports = { program };
