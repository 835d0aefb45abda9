'use strict';

// `npm run types:native`: writes lib/internal/native/native.d.ts, the types of the binding. napi
// makes them from the sources while it compiles. __test__/native-types.test.js fails if the file is
// not up to date.

const fs = require('node:fs');
const path = require('node:path');

const { TYPES, build, stale } = require('./build.js');

const ROOT = path.dirname(__dirname);
const FILE = path.join(ROOT, 'lib', 'internal', 'native', 'native.d.ts');

const HEADER =
  '// The binding, as src/node exports it. Written by "npm run types:native": do not edit.\n';

/** @returns {Promise<?string>} the types of the last build; null if it was made elsewhere */
async function generate() {
  if (!fs.existsSync(path.join(TYPES, 'sockhop-native'))) return null;
  // An ES module, for the versions of Node that napi supports.
  const { generateTypeDef } = await import('@napi-rs/cli');
  const { dts } = await generateTypeDef({
    typeDefDir: TYPES,
    cwd: ROOT,
    noDtsHeader: true,
    constEnum: false,
  });
  return `${HEADER}\n${dts.trim()}\n`;
}

async function main() {
  if (stale() || (await generate()) === null) build();
  const types = await generate();
  if (types === null)
    throw new Error('the build has made no types: remove target/release, and try again');
  fs.writeFileSync(FILE, types);
}

module.exports = { FILE, generate };

if (require.main === module) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
