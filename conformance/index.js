'use strict';

// node conformance [part of a name ...] [--trace] Runs the scenarios whose names contain one of the
// parts (all by default), and prints the differences.

const { all } = require('./scenarios.js');
const { compare, endRunners, runOn } = require('./compare.js');
const { original, underTest } = require('./under-test.js');

const CONCURRENCY = 4;

async function main() {
  const args = process.argv.slice(2);
  const parts = args.filter((arg) => !arg.startsWith('--'));
  const chosen = all.filter(
    ({ name }) => parts.length === 0 || parts.some((part) => name.includes(part)),
  );
  if (args.includes('--trace')) {
    for (const scenario of chosen) {
      for (const directory of new Set([original(), underTest()])) {
        console.log(`${scenario.name} on ${directory}`);
        console.dir(await runOn(directory, scenario), { depth: null, maxArrayLength: null });
      }
    }
    return;
  }
  const started = Date.now();
  let failed = 0;
  const queue = [...chosen];
  const worker = async () => {
    for (let scenario = queue.shift(); scenario; scenario = queue.shift()) {
      const problems = await compare(scenario);
      if (problems.length === 0) continue;
      failed++;
      console.log(`${scenario.name}\n  ${problems.join('\n  ')}\n`);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  endRunners();
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`${chosen.length - failed} of ${chosen.length} scenarios as declared (${seconds} s)`);
  process.exitCode = failed === 0 ? 0 : 1;
}

main();
