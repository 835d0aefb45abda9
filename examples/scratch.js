'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Creates a path for a Unix socket. Its directory is removed when the process ends. */
function scratchPath() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'example-'));
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  return path.join(directory, 'socket');
}

module.exports = { scratchPath };
