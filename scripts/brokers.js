'use strict';

// Finds the brokers that the tests of clusters run on. If they are not installed, `npm test` puts
// them into the directory of build products, which needs no rights of an administrator. The
// packages of Debian are downloaded and unpacked there, and nothing is installed.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Outside of node_modules, which `npm ci` removes. */
const CACHE = path.join(path.dirname(__dirname), 'target', 'brokers');
/** Where Debian has programs that are not on every user's PATH. */
const SYSTEM_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin'];

/** Each broker, with its program and the packages of Debian that it needs beyond a plain system. */
const BROKERS = {
  nats: { program: 'nats-server', packages: ['nats-server'] },
  redis: {
    program: 'redis-server',
    packages: ['redis-server', 'redis-tools', 'libatomic1', 'libjemalloc2', 'liblzf1'],
  },
};

/**
 * @param {string} name of a program
 * @returns {?string} its place; null if it is not there
 */
function findProgram(name) {
  const directories = [
    ...(process.env.PATH ?? '').split(path.delimiter).filter(Boolean),
    ...SYSTEM_DIRECTORIES,
    path.join(CACHE, 'usr', 'bin'),
    path.join(CACHE, 'usr', 'sbin'),
  ];
  const places = directories.map((directory) => path.join(directory, name));
  return places.find((place) => fs.existsSync(place)) ?? null;
}

/** @returns {object} the environment in which a program of the cache finds its libraries */
function environmentOf(program) {
  if (!program.startsWith(CACHE)) return process.env;
  const libraries = path.join(CACHE, 'usr', 'lib');
  const own = fs
    .readdirSync(libraries, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => path.join(libraries, name));
  return { ...process.env, LD_LIBRARY_PATH: [libraries, ...own].join(path.delimiter) };
}

/** Loads and unpacks packages of Debian. @returns {boolean} whether that was possible */
function unpack(packages) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-brokers-'));
  const run = (command, args) =>
    spawnSync(command, args, { cwd: directory, stdio: 'ignore', timeout: 120_000 }).status === 0;
  try {
    if (!run('apt-get', ['download', ...packages])) return false;
    fs.mkdirSync(CACHE, { recursive: true });
    return fs.readdirSync(directory).every((file) => run('dpkg', ['-x', file, CACHE]));
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Puts the brokers that are missing into the cache, where that is possible.
 *
 * @param {function(string): void} say
 * @returns {boolean} whether all are there
 */
function installBrokers(say) {
  let areThere = true;
  for (const [name, { program, packages }] of Object.entries(BROKERS)) {
    if (findProgram(program) !== null) continue;
    const isThere = unpack(packages) && findProgram(program) !== null;
    areThere &&= isThere;
    say(
      isThere
        ? `${program} is in the cache, for the tests of clusters`
        : `there is no ${program}: tests of clusters over ${name} will be skipped`,
    );
  }
  return areThere;
}

module.exports = { BROKERS, environmentOf, findProgram, installBrokers };

if (require.main === module && !installBrokers((text) => console.error(text))) process.exitCode = 1;
