'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const test = require('node:test');

const IN_PROGRESS = 20;
const ROUNDS = 40_000;
/** Each entry holds an array of this many elements, about 1.6 KB. */
const ELEMENTS = 200;
/** In MB. Without renewal, about a quarter of the 64 MB that are removed stays. */
const MAX_GROWTH = 5;

const programs = {
  'a TimedMap': `
    const TimedMap = require(${JSON.stringify(require.resolve('../lib/TimedMap.js'))});
    const map = new TimedMap({ timeout: 60_000 });
    const add = (i) => map.set(i, new Array(${ELEMENTS}).fill(i));
    const remove = (i) => map.delete(i);
    const end = () => map.stop();`,
  'callbacks that wait': `
    const file = ${JSON.stringify(require.resolve('../lib/internal/messaging/pending-callbacks.js'))};
    const { PendingCallbacks } = require(file);
    const callbacks = new PendingCallbacks();
    const tickets = [];
    const add = (i) => {
      const payload = new Array(${ELEMENTS}).fill(i);
      tickets.push(callbacks.reserve());
      callbacks.add(tickets.at(-1), () => payload);
    };
    const remove = () => callbacks.take(tickets.shift().id);
    const end = () => callbacks.clear();`,
};

for (const [name, program] of Object.entries(programs)) {
  test(`entries that are removed from ${name} are garbage of the young generation`, () => {
    const source = `
      const v8 = require('node:v8');
      const used = () =>
        v8.getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')
          .space_used_size;
      ${program}
      for (let i = 0; i < ${IN_PROGRESS}; i++) add(i);
      // Moves the table of the map to the old generation.
      gc();
      gc();
      const before = used();
      for (let i = ${IN_PROGRESS}; i < ${ROUNDS}; i++) {
        remove(i - ${IN_PROGRESS});
        add(i);
      }
      console.log((used() - before) / 1e6);
      end();`;
    const options = { encoding: 'utf8', timeout: 600_000 };
    const run = spawnSync(process.execPath, ['--expose-gc', '-e', source], options);
    assert.equal(run.status, 0, run.stderr);
    const growth = Number(run.stdout);
    assert.ok(growth < MAX_GROWTH, `the old generation has grown by ${growth} MB`);
  });
}
