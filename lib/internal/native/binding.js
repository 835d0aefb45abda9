'use strict';

// Finds and loads the native half of the package, and exports what it exports.

const { createRequire } = require('node:module');
const path = require('node:path');

const { bindingError } = require('./binding-error.js');
const { bindingFileName, bindingPackageName, PACKAGE_ROOT, platformTag } = require('./platform.js');

/** A source of the binding, and the error of loading from it. */
class Attempt {
  constructor(source, error) {
    this.source = source;
    this.error = error;
  }
}

/** Requires a file by a computed name. A `require` made for that file works in a bundle, too. */
const requireComputed = (file) => createRequire(file)(file);

// The requests below are literal, and each is inside a `try` of its function: bundlers and file tracers follow only such
// requests, and tolerate a missing file only there. `PLATFORM_TAGS` has the same tags.

/** Requires the file beside index.js: a binding that was built in a checkout, or in the installed package. */
function requireFile(tag) {
  try {
    switch (tag) {
      case 'darwin-arm64':
        return require('../../../sockhop-native.darwin-arm64.node');
      case 'darwin-x64':
        return require('../../../sockhop-native.darwin-x64.node');
      case 'linux-arm-gnueabihf':
        return require('../../../sockhop-native.linux-arm-gnueabihf.node');
      case 'linux-arm64-gnu':
        return require('../../../sockhop-native.linux-arm64-gnu.node');
      case 'linux-arm64-musl':
        return require('../../../sockhop-native.linux-arm64-musl.node');
      case 'linux-x64-gnu':
        return require('../../../sockhop-native.linux-x64-gnu.node');
      case 'linux-x64-musl':
        return require('../../../sockhop-native.linux-x64-musl.node');
      case 'win32-arm64-msvc':
        return require('../../../sockhop-native.win32-arm64-msvc.node');
      case 'win32-x64-msvc':
        return require('../../../sockhop-native.win32-x64-msvc.node');
      default:
        return requireComputed(path.join(PACKAGE_ROOT, bindingFileName(tag)));
    }
  } catch (error) {
    return new Attempt(bindingFileName(tag), error);
  }
}

/** Requires the package that contains the binding of the platform. */
function requirePackage(tag) {
  try {
    switch (tag) {
      case 'darwin-arm64':
        return require('sockhop-native-darwin-arm64');
      case 'darwin-x64':
        return require('sockhop-native-darwin-x64');
      case 'linux-arm-gnueabihf':
        return require('sockhop-native-linux-arm-gnueabihf');
      case 'linux-arm64-gnu':
        return require('sockhop-native-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('sockhop-native-linux-arm64-musl');
      case 'linux-x64-gnu':
        return require('sockhop-native-linux-x64-gnu');
      case 'linux-x64-musl':
        return require('sockhop-native-linux-x64-musl');
      case 'win32-arm64-msvc':
        return require('sockhop-native-win32-arm64-msvc');
      case 'win32-x64-msvc':
        return require('sockhop-native-win32-x64-msvc');
      default:
        throw new Error('there is none for this platform');
    }
  } catch (error) {
    return new Attempt(`the package ${bindingPackageName(tag)}`, error);
  }
}

/** Requires the file that the environment names. */
function requireOverride(override) {
  try {
    return requireComputed(path.resolve(override));
  } catch (error) {
    return new Attempt(`${override} (from SOCKHOP_NATIVE_BINDING)`, error);
  }
}

function load() {
  const tag = platformTag();
  const override = process.env.SOCKHOP_NATIVE_BINDING;
  const sources = override ? [() => requireOverride(override)] : [requireFile, requirePackage];

  const attempts = [];
  for (const source of sources) {
    const result = source(tag);
    if (!(result instanceof Attempt)) return result;
    attempts.push(result);
  }
  throw bindingError(tag, attempts, override);
}

module.exports = load();
