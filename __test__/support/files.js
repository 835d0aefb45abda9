'use strict';

const fs = require('node:fs');
const path = require('node:path');

const ROOT = path.join(__dirname, '..', '..');

/**
 * The files of a folder of the project and of those in it, without installed packages.
 *
 * @param {string} folder relative to the root of the project, with forward slashes
 * @returns {string[]} the same way, sorted
 */
function filesIn(folder) {
  const entries = fs.readdirSync(path.join(ROOT, folder), { withFileTypes: true });
  const own = entries.filter(({ name }) => name !== 'node_modules');
  const files = own.flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? filesIn(name) : [name];
  });
  return files.sort();
}

module.exports = { filesIn };
