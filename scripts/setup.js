'use strict';

// `npm run setup`: installs the development dependencies and builds the native binding, unless they
// are up to date. `npm start` and `npm test` run this first.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { installBrokers } = require('./brokers');
const { build, stale } = require('./build');

const ROOT = path.dirname(__dirname);
const OLDEST_NODE = 18;

function readPackages(lockFile) {
  return JSON.parse(fs.readFileSync(lockFile, 'utf8')).packages;
}

/**
 * Compares the installed packages with package-lock.json. The dates of files are not reliable after
 * a checkout, and a new installation would remove node_modules while other processes may use it.
 * @returns {false | string} why the dependencies have to be installed, or false if they need not
 */
function dependenciesMissing(directory) {
  let installed;
  try {
    installed = readPackages(path.join(directory, 'node_modules', '.package-lock.json'));
  } catch {
    return 'there are none yet';
  }
  const wanted = readPackages(path.join(directory, 'package-lock.json'));
  const changed = Object.entries(wanted).find(([name, { version, optional }]) => {
    if (name === '') return false;
    return installed[name] ? installed[name].version !== version : !optional;
  });
  return changed ? `${changed[0].replace('node_modules/', '')} is not the wanted version` : false;
}

function installDependencies(directory) {
  const args = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'];
  args.push('--loglevel=error');
  // If npm runs this script, use the same npm, which may not be on the PATH.
  const npm = process.env.npm_execpath;
  const result = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], { cwd: directory, stdio: ['ignore', 2, 2] })
    : spawnSync('npm', args, { cwd: directory, stdio: ['ignore', 2, 2] });
  if (result.error) throw new Error(`npm could not be run: ${result.error.message}`);
  if (result.status !== 0) throw new Error('npm ci failed, see above');
}

/**
 * @param {{ forTests?: boolean }} [options] without tests, no brokers are needed
 * @throws {Error} with a message for the user if something is missing that cannot be installed
 */
function setup({ forTests = true } = {}) {
  const began = Date.now();
  const say = (text) => {
    const elapsed = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
    console.error(`set-up ${elapsed} s  ${text}`);
  };

  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    throw new Error(`Node ${OLDEST_NODE} or newer is needed, this is ${process.version}`);
  }

  const toInstall = dependenciesMissing(ROOT);
  if (toInstall) {
    say(`installing the development dependencies: ${toInstall}`);
    installDependencies(ROOT);
  }

  const toBuild = stale();
  if (toBuild) {
    say(`building the native binding: ${toBuild} (the first build takes some minutes)`);
    build();
  }

  if (forTests) installBrokers(say);

  say(toInstall || toBuild ? 'ready' : 'dependencies and native binding are up to date');
}

module.exports = { dependenciesMissing, installDependencies, setup };

if (require.main === module) {
  try {
    setup();
  } catch (error) {
    console.error(`set-up failed: ${error.message}`);
    process.exitCode = 1;
  }
}
