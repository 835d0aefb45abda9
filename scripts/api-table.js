'use strict';

// Prints the test of each row of the 1.x API, and fails if a row has no test.
//
//   node scripts/api-table.js
//
// The rows are in conformance/api-rows.json. The test of a row has exactly the name of the row.

const fs = require('node:fs');
const path = require('node:path');

const REPO = path.resolve(__dirname, '..');
const TESTS = path.join(REPO, '__test__');

/** The name and the line of every `it('name'` and `row('name'` in a file. */
function namesIn(file) {
  const found = [];
  const source = fs.readFileSync(file, 'utf8');
  for (const match of source.matchAll(/\b(?:it|row)\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)) {
    const line = source.slice(0, match.index).split('\n').length;
    found.push({ name: match[2].replace(/\\(.)/g, '$1'), line });
  }
  return found;
}

function table() {
  const rows = JSON.parse(fs.readFileSync(path.join(REPO, 'conformance', 'api-rows.json'), 'utf8'));
  const places = new Map();
  for (const file of fs.readdirSync(TESTS).sort()) {
    if (!/^api-.*\.test\.js$/.test(file)) continue;
    for (const { name, line } of namesIn(path.join(TESTS, file))) {
      places.set(name, `__test__/${file}:${line}`);
    }
  }
  return rows.map(({ row, since }) => ({ row, since, test: places.get(row) }));
}

function main() {
  const all = table();
  const width = Math.max(...all.map(({ row }) => row.length));
  for (const { row, since, test } of all) {
    console.log(`${since}  ${row.padEnd(width)}  ${test ?? 'NO TEST'}`);
  }
  const holes = all.filter(({ test }) => !test);
  console.log(`${all.length} rows, ${holes.length} without a test`);
  process.exitCode = holes.length === 0 ? 0 : 1;
}

if (require.main === module) main();

module.exports = { table };
