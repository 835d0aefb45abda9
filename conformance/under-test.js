'use strict';

// Finds the two packages to compare. Each is a directory with an `index.js` and a `lib/`, because
// programs also require files of `lib/`.

const fs = require('node:fs');
const path = require('node:path');

const REPO = path.resolve(__dirname, '..');

/**
 * Finds the directory of a package by a directory, by a file in it, or by a module specifier.
 *
 * @param {string} spec absolute or relative path, or a package name that resolves from this
 *   repository
 * @returns {string} absolute directory
 * @throws {Error} naming the specifier if there is no such package
 */
function packageDirectory(spec) {
  const asPath = path.resolve(spec);
  if (path.isAbsolute(spec) || spec.startsWith('.')) {
    if (!fs.existsSync(asPath)) throw new Error(`no package at ${asPath}`);
    return fs.statSync(asPath).isDirectory() ? asPath : path.dirname(asPath);
  }
  try {
    return path.dirname(require.resolve(`${spec}/package.json`, { paths: [REPO] }));
  } catch {
    throw new Error(`cannot find the package '${spec}'; run 'npm ci' first`);
  }
}

/** The package under test: that of SOCKHOP_UNDER_TEST, or this repository. */
const underTest = () => packageDirectory(process.env.SOCKHOP_UNDER_TEST || REPO);

/**
 * A release of the original, installed by npm or named by SOCKHOP_18_DIR / SOCKHOP_16_DIR.
 *
 * @param {'1.8' | '1.6'} release
 */
const original = (release = '1.8') =>
  packageDirectory(process.env[`SOCKHOP_${release.replace('.', '')}_DIR`] || `sockhop-${release}`);

module.exports = { REPO, packageDirectory, underTest, original };
