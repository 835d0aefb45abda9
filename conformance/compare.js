'use strict';

// Runs a scenario once on the original and once on the package under test, and reports the
// differences.

const { fork } = require('node:child_process');
const path = require('node:path');
const { inspect, isDeepStrictEqual } = require('node:util');
const { original, underTest } = require('./under-test.js');
const differences = require('./differences.js');

/** Longer than the deadline of child.js, which reports the trace of an unfinished scenario. */
const KILL_AFTER_MS = 310_000;
/** The number of scenarios that one process runs. A process costs much more than most scenarios. */
const SCENARIOS_PER_PROCESS = 8;

/** A process that runs scenarios on one package. */
class Runner {
  #child;
  #output = '';
  #result = null;
  #onResult = null;
  #closed;
  /** How many scenarios it may still run. */
  left;

  constructor(directory, scenarios) {
    this.left = scenarios;
    this.#child = fork(path.join(__dirname, 'child.js'), [directory, original()], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const collect = (chunk) => {
      this.#output += chunk;
    };
    this.#child.stdout.on('data', collect);
    this.#child.stderr.on('data', collect);
    this.#child.on('message', (message) => {
      if (message.kind !== 'result') return;
      this.#result = message;
      this.#onResult?.();
    });
    this.#closed = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => {
        this.left = 0;
        resolve(signal ? `killed by ${signal}` : `left with code ${code}`);
      });
    });
  }

  /** @returns {Promise<{trace: object, problem?: string, output?: string}>} */
  async run(name) {
    this.left -= 1;
    this.#result = null;
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), KILL_AFTER_MS);
    const done = new Promise((resolve) => {
      this.#onResult = resolve;
    });
    const isLast = this.left === 0;
    this.#child.send({ kind: 'scenario', data: name, isLast }, () => {});
    const how = await (isLast ? this.#closed : Promise.race([done, this.#closed]));
    clearTimeout(timer);
    const output = this.#output;
    this.#output = '';
    if (!this.#result) return { trace: {}, problem: `${how} without a result\n${output}` };
    return output ? { ...this.#result, output } : this.#result;
  }

  /** Ends the process, if it runs no scenario. */
  end() {
    if (this.left > 0) this.#child.disconnect();
  }
}

/** Processes that wait for a scenario, by their packages. @type {Map<string, Runner[]>} */
const idle = new Map();

/** Runs a scenario in a process that may have run others. */
async function runShared(directory, { name }) {
  if (!idle.has(directory)) idle.set(directory, []);
  const runner = idle.get(directory).pop() ?? new Runner(directory, SCENARIOS_PER_PROCESS);
  const result = await runner.run(name);
  if (runner.left > 0) idle.get(directory).push(runner);
  return result;
}

/** Runs a scenario in a new process. */
function runOn(directory, { name }) {
  return new Runner(directory, 1).run(name);
}

/** Ends the processes that wait for a scenario. */
function endRunners() {
  for (const runner of [...idle.values()].flat()) runner.end();
  idle.clear();
}

/** Returns { source: { original, here } } for each source whose traces differ. */
function diff(traces) {
  const found = {};
  const sources = new Set([...Object.keys(traces.original), ...Object.keys(traces.here)]);
  for (const source of [...sources].sort()) {
    const pair = { original: traces.original[source] ?? [], here: traces.here[source] ?? [] };
    if (!isDeepStrictEqual(pair.original, pair.here)) found[source] = pair;
  }
  return found;
}

/** Declared values may be patterns, because V8's messages depend on its version. */
function matches(actual, declared) {
  if (declared instanceof RegExp) return typeof actual === 'string' && declared.test(actual);
  if (Array.isArray(declared)) {
    return (
      Array.isArray(actual) &&
      actual.length === declared.length &&
      declared.every((item, i) => matches(actual[i], item))
    );
  }
  if (declared && typeof declared === 'object') {
    const keys = Object.keys(declared);
    return (
      actual !== null &&
      typeof actual === 'object' &&
      keys.length === Object.keys(actual).length &&
      keys.every((key) => matches(actual[key], declared[key]))
    );
  }
  return isDeepStrictEqual(actual, declared);
}

const lines = (entries) =>
  entries.map((entry) => `      ${JSON.stringify(entry)}`).join('\n') || '      (nothing)';

function show(source, pair) {
  return `  ${source}\n    original:\n${lines(pair.original)}\n    here:\n${lines(pair.here)}`;
}

/**
 * Compares one scenario. At first the scenario shares its processes with others. If there is a
 * problem, which others may have caused, the scenario runs again in new processes, and that result
 * counts.
 *
 * @returns {Promise<string[]>} descriptions of the problems; empty if the differences are as
 *   declared
 */
async function compare(scenario) {
  const problems = await compareBy(runShared, scenario);
  return problems.length === 0 ? problems : compareBy(runOn, scenario);
}

async function compareBy(run, scenario) {
  const directories = { original: original(), here: underTest() };
  const itself = directories.original === directories.here;
  const [first, second] = await Promise.all([
    run(directories.original, scenario),
    run(directories.here, scenario),
  ]);
  const problems = [];
  if (first.problem) problems.push(`on the original: ${first.problem}`);
  if (second.problem) problems.push(`on the package under test: ${second.problem}`);
  if (Object.keys(first.trace).length === 0 && !first.problem) problems.push('the trace is empty');

  const found = diff({ original: first.trace, here: second.trace });
  const declared = itself ? [] : differences.filter((entry) => entry.scenario === scenario.name);
  for (const entry of declared) {
    const pair = found[entry.source];
    if (!pair) {
      problems.push(
        `declared difference did not occur (${entry.row}):\n` +
          show(entry.source, {
            original: first.trace[entry.source] ?? [],
            here: second.trace[entry.source] ?? [],
          }),
      );
      continue;
    }
    delete found[entry.source];
    for (const side of ['original', 'here']) {
      if (!matches(pair[side], entry[side])) {
        problems.push(
          `declared difference (${entry.row}), but '${side}' is not as declared:\n${show(entry.source, pair)}\n` +
            `    declared:\n${entry[side].map((item) => `      ${inspect(item, { depth: null, breakLength: Infinity })}`).join('\n')}`,
        );
      }
    }
  }
  for (const [source, pair] of Object.entries(found))
    problems.push(`unexpected difference:\n${show(source, pair)}`);
  return problems;
}

module.exports = { compare, endRunners, runOn };
