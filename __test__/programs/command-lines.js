'use strict';

// Runs command lines that end at once, one after the other, and prints a line with the result of
// each. A process for each would take a tenth of a second of processor time.

const { main } = require('../../lib/internal/cli/main.js');

const NAMES = ['stdout', 'stderr'];

/** What bin.js would end with, and print. */
async function resultOf(args) {
  const result = { code: null, stdout: '', stderr: '' };
  const writes = NAMES.map((name) => process[name].write);
  for (const name of NAMES) {
    process[name].write = (text) => {
      result[name] += text;
      return true;
    };
  }
  try {
    result.code = await main(args);
  } finally {
    for (const [index, name] of NAMES.entries()) process[name].write = writes[index];
  }
  return result;
}

async function runAll(lines) {
  // Each run adds a listener to the standard output.
  process.stdout.setMaxListeners(0);
  for (const args of lines) console.log(JSON.stringify(await resultOf(args)));
}

runAll(JSON.parse(process.argv[2]));
