const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const {
  bindingFileName,
  bindingPackageName,
  platformTag,
} = require('../lib/internal/native/platform.js');
const { assemble } = require('./assemble.js');
const { writeProgram } = require('./programs.js');

const ROOT = path.dirname(__dirname);
const TAG = platformTag();
const BINDING = path.join(ROOT, bindingFileName(TAG));

/**
 * A directory as `npm install sockhop@npm:sockhop-native` leaves it, with the program and the packages of a release in
 * node_modules.
 * @returns {{ directory: string, remove: function(): void }}
 */
function installRelease() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-installed-'));
  const packages = path.join(scratch, 'packages');
  assemble(packages, new Map([[TAG, BINDING]]));

  const directory = path.join(scratch, 'app');
  const modules = path.join(directory, 'node_modules');
  const copies = {
    'sockhop-native': 'sockhop',
    [bindingPackageName(TAG)]: bindingPackageName(TAG),
  };
  for (const [name, as] of Object.entries(copies)) {
    fs.cpSync(path.join(packages, name), path.join(modules, as), { recursive: true });
  }
  fs.writeFileSync(path.join(directory, 'package.json'), '{ "private": true }\n');
  writeProgram(path.join(directory, 'program.js'));
  return { directory, remove: () => fs.rmSync(scratch, { recursive: true, force: true }) };
}

/** An environment with nothing but Node: no toolchain, no settings. */
const bareEnvironment = (home) => ({ PATH: path.dirname(process.execPath), HOME: home });

module.exports = { bareEnvironment, BINDING, installRelease, TAG };
