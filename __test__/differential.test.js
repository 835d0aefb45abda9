'use strict';

// Every scenario of conformance/scenarios runs once on the original and once on this package. The
// traces are equal except for the differences that conformance/differences.js declares.

const assert = require('node:assert/strict');
const { after, describe, it } = require('node:test');
const { compare, endRunners } = require('../conformance/compare.js');
const differences = require('../conformance/differences.js');
const rows = require('../conformance/rows.js');
const { all } = require('../conformance/scenarios.js');

describe('differential run against sockhop 1.8.4', { concurrency: 4 }, () => {
  after(endRunners);

  for (const scenario of all) {
    it(scenario.name, { timeout: 700_000 }, async () => {
      const problems = await compare(scenario);
      assert.equal(problems.length, 0, problems.join('\n'));
    });
  }
});

describe('the scenarios', () => {
  it('are sixty or more', () => assert.ok(all.length >= 60, `${all.length}`));

  it('cover every row of the definition of drop-in', () => {
    const covered = new Set(all.flatMap((scenario) => scenario.rows));
    assert.deepEqual(
      Object.keys(rows).filter((row) => !covered.has(row)),
      [],
    );
    assert.deepEqual(
      [...covered].filter((row) => !(row in rows)),
      [],
    );
  });

  it('are named by the declared differences, each with its reason', () => {
    const names = new Set(all.map(({ name }) => name));
    for (const { scenario, source, row } of differences) {
      assert.ok(names.has(scenario), scenario);
      assert.ok(source && row, scenario);
    }
  });
});
