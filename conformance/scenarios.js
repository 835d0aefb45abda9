'use strict';

// All scenarios of scenarios/*.js, by name. A file exports an array of
// { name, rows, role, run(ctx), peer?(ctx, argument) }.

const fs = require('node:fs');
const path = require('node:path');

const directory = path.join(__dirname, 'scenarios');
const all = [];
for (const file of fs.readdirSync(directory).sort()) {
  if (!file.endsWith('.js')) continue;
  for (const scenario of require(path.join(directory, file))) {
    if (all.some((other) => other.name === scenario.name)) {
      throw new Error(`two scenarios are named '${scenario.name}'`);
    }
    all.push({ file, ...scenario });
  }
}

function find(name) {
  const scenario = all.find((candidate) => candidate.name === name);
  if (!scenario) throw new Error(`no scenario is named '${name}'`);
  return scenario;
}

module.exports = { all, find };
