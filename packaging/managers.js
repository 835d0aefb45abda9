// The package managers of the rehearsal: how each adds a package to the directory it runs in, and how Node then runs a
// program there.

const fs = require('node:fs');
const path = require('node:path');

const { npmFile } = require('./commands.js');

const tool = (...names) => path.join(__dirname, 'node_modules', ...names);

/**
 * @typedef {object} Manager
 * @property {string} name
 * @property {string} script
 * @property {function({ directory: string, url: string, scratch: string }): void} [prepare] writes its settings
 * @property {function({ url: string, scratch: string }): string[]} add the arguments in front of the package
 * @property {string[]} [nodeOptions] for programs
 */

/** Yarn 4 has its settings in a file. */
const prepareYarn4 =
  (linker) =>
  ({ directory, url, scratch }) => {
    const settings = [
      `nodeLinker: ${linker}`,
      `npmRegistryServer: "${url}"`,
      'unsafeHttpWhitelist: ["127.0.0.1"]',
      'enableScripts: false',
      'enableTelemetry: false',
      'enableImmutableInstalls: false',
      'enableGlobalCache: false',
      // Otherwise Yarn refuses packages that were published in the last days.
      'npmMinimalAgeGate: 0',
      `globalFolder: "${path.join(scratch, 'yarn4')}"`,
    ];
    fs.writeFileSync(path.join(directory, '.yarnrc.yml'), `${settings.join('\n')}\n`);
    // Makes the directory a separate project.
    fs.writeFileSync(path.join(directory, 'yarn.lock'), '');
  };

const YARN_4 = tool('@yarnpkg', 'cli-dist', 'bin', 'yarn.js');

const npmFlags = ({ url, scratch }) => [
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  `--registry=${url}`,
  `--cache=${path.join(scratch, 'npm')}`,
];

/** @type {Manager[]} */
const MANAGERS = [
  {
    name: 'npm',
    script: npmFile(),
    add: (settings) => ['install', ...npmFlags(settings)],
  },
  {
    name: 'pnpm',
    script: tool('pnpm', 'bin', 'pnpm.cjs'),
    add: ({ url, scratch }) => [
      'add',
      '--ignore-scripts',
      `--registry=${url}`,
      `--store-dir=${path.join(scratch, 'pnpm')}`,
    ],
  },
  {
    name: 'yarn 1',
    script: tool('yarn', 'bin', 'yarn.js'),
    add: ({ url, scratch }) => [
      'add',
      '--ignore-scripts',
      '--non-interactive',
      `--registry=${url}`,
      `--cache-folder=${path.join(scratch, 'yarn1')}`,
    ],
  },
  {
    name: 'yarn 4',
    script: YARN_4,
    prepare: prepareYarn4('node-modules'),
    add: () => ['add'],
  },
  {
    name: "yarn 4 with Plug'n'Play",
    script: YARN_4,
    prepare: prepareYarn4('pnp'),
    add: () => ['add'],
    nodeOptions: ['--require', './.pnp.cjs'],
  },
];

/** The version of a manager, which its package.json states: to run it would take longer. */
const releaseOf = ({ script }) => require(path.join(script, '..', '..', 'package.json')).version;

module.exports = { MANAGERS, npmFlags, releaseOf };
