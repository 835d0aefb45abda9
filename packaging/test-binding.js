// Runs the core suites with the binding of this platform in target/bindings, as `node packaging/build.js` makes it.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { platformTag } = require('../lib/internal/native/platform.js');
const { builtBinding } = require('./build.js');

const ROOT = path.dirname(__dirname);

const SUITES = [
  'callbacks',
  'client',
  'interop-framing',
  'interop-json',
  'interop-messages',
  'limits',
  'named-pipes',
  'reconnect',
  'request',
  'server',
  'session',
  'tls',
  'workers',
];

const files = SUITES.map((name) => path.join(ROOT, '__test__', `${name}.test.js`));
const binding = builtBinding(platformTag());
const { status } = spawnSync(process.execPath, ['--test', ...process.argv.slice(2), ...files], {
  cwd: ROOT,
  env: { ...process.env, SOCKHOP_NATIVE_BINDING: binding },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
