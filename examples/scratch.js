'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** A path for a Unix socket in a directory of its own that goes away with the process. */
function scratchPath() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'example-'));
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'socket');
}

module.exports = { scratchPath };
