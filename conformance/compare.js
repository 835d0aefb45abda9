'use strict';

// Runs a scenario once on the original and once on the package under test, and reports the
// differences.

const { fork } = require('node:child_process');
const path = require('node:path');
const { inspect, isDeepStrictEqual } = require('node:util');
const { original, underTest } = require('./under-test.js');
const differences = require('./differences.js');

/** Longer than the deadline of child.js, which says what the scenario waits for. */
const KILL_AFTER_MS = 310_000;

function runOn(directory, scenario) {
  return new Promise((resolve, reject) => {
    const child = fork(path.join(__dirname, 'child.js'), [directory, scenario.name, original()], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    let output = '';
    let result;
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    child.on('message', (message) => {
      if (message.kind === 'result') result = message;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (!result) {
        const how = signal ? `killed by ${signal}` : `left with code ${code}`;
        result = { trace: {}, problem: `${how} without a result\n${output}` };
      } else if (output) {
        result.output = output;
      }
      resolve(result);
    });
  });
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
 * Compares one scenario.
 *
 * @returns {Promise<string[]>} descriptions of the problems; empty if the differences are as
 *   declared
 */
async function compare(scenario) {
  const directories = { original: original(), here: underTest() };
  const itself = directories.original === directories.here;
  const [first, second] = await Promise.all([
    runOn(directories.original, scenario),
    runOn(directories.here, scenario),
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

module.exports = { compare, runOn };
