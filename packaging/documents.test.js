// The documents agree with the files that decide about platforms.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');

const { OLDEST_GLIBC, TARGETS } = require('./targets.js');

const ROOT = path.dirname(__dirname);
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');

/** The tables of a document: for each the header, and the first cells of its rows. */
function tablesOf(text) {
  const tables = text.match(/^\|.*\n\| ---.*\n(?:\|.*\n)+/gm);
  return tables.map((table) => {
    const [header, , ...rows] = table.trim().split('\n');
    return { header, firstCells: rows.map((row) => row.split('|')[1].trim()) };
  });
}

describe('the documents', () => {
  it('have a row for every target in each table of packages', () => {
    const tables = tablesOf(read('docs/platforms.md'));
    const ofPackages = tables.filter(({ header }) => header.startsWith('| package |'));
    assert.equal(ofPackages.length, 3);
    const tags = TARGETS.map(({ tag }) => tag).sort();
    for (const { header, firstCells } of ofPackages) {
      const named = firstCells.flatMap((cell) =>
        [...cell.matchAll(/`(?:sockhop-native-)?([\w-]+)`/g)].map(([, tag]) => tag),
      );
      assert.deepEqual(named.sort(), tags, header);
    }
  });

  it('name the versions of Node, glibc and Rust that the package needs', () => {
    const readme = read('README.md').replace(/\s+/g, ' ');
    const node = /(\d+)/.exec(require('../package.json').engines.node)[1];
    const rust = /^rust-version = "(.*)"$/m.exec(read('Cargo.toml'))[1];
    for (const version of [`Node ${node}`, `glibc ${OLDEST_GLIBC}`, `Rust ${rust}`]) {
      assert.ok(readme.includes(`${version} `), version);
    }
  });
});
