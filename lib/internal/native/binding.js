'use strict';

// Finds and loads the native half of the package, and passes its exports on.

const path = require('node:path');

const { bindingFileName, bindingPackageName, PACKAGE_ROOT, platformTag } = require('./platform.js');
const { VERSION } = require('./version.js');

/** Loaded for an error, because each file delays the start of a program. */
const loadBindingError = () => require('./binding-error.js').bindingError;

/** The error of a source that gave no binding. */
class Failure {
  constructor(error) {
    this.error = error;
  }
}

/** Requires a file by a computed name. A `require` made for that file also works in a bundle. */
const requireComputed = (file) => require('node:module').createRequire(file)(file);

// The requests below are literal, and each is inside a `try` of its function: bundlers and file
// tracers follow only such requests, and tolerate a missing file only there. `PLATFORM_TAGS` has
// the same tags.

/**
 * Requires the file next to index.js: a binding that was built in a checkout, or in the installed
 * package.
 */
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
    return new Failure(error);
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
    return new Failure(error);
  }
}

/** Requires the file that the environment names. */
function requireOverride(override) {
  try {
    return requireComputed(path.resolve(override));
  } catch (error) {
    return new Failure(error);
  }
}

const SOURCES = [
  { name: bindingFileName, load: requireFile },
  { name: (tag) => `the package ${bindingPackageName(tag)}`, load: requirePackage },
];

const overrideSource = (override) => ({
  name: () => `${override} (from SOCKHOP_NATIVE_BINDING)`,
  load: () => requireOverride(override),
});

/** The error of a binding that was built from another version of this package, or null. */
function versionError(binding) {
  if (binding.VERSION === VERSION) return null;
  const found = binding.VERSION ?? 'unknown';
  return new Error(`its version is ${found}, the version of sockhop-native is ${VERSION}`);
}

function loadBinding() {
  const tag = platformTag();
  const override = process.env.SOCKHOP_NATIVE_BINDING;
  const attempts = [];
  for (const { name, load } of override ? [overrideSource(override)] : SOURCES) {
    const result = load(tag);
    const error = result instanceof Failure ? result.error : versionError(result);
    if (error === null) return result;
    attempts.push({ source: name(tag), error });
  }
  throw loadBindingError()(tag, attempts, override);
}

module.exports = loadBinding();
