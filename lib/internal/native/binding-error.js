'use strict';

// The error of a binding that does not load. It names the cause where that can be found out, and
// the remedy.

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const {
  bindingFileName,
  bindingPackageName,
  PACKAGE_ROOT,
  PLATFORM_TAGS,
} = require('./platform.js');

const MANIFEST = path.join(PACKAGE_ROOT, 'package.json');

/** @returns {object | null} the package.json of this package, or null in a bundle */
function readManifest() {
  try {
    const manifest = JSON.parse(fs.readFileSync(MANIFEST, 'utf8'));
    return manifest.name === 'sockhop-native' ? manifest : null;
  } catch {
    return null;
  }
}

/** Says why loading failed, without the stack that Node appends to "not found". */
function describeReason({ code, message }) {
  const [firstLine] = String(message).split('\n');
  if (code !== 'MODULE_NOT_FOUND') return firstLine;
  // Plug'n'Play of Yarn explains in its own words why a package is out of reach.
  if (!/^Cannot find (module|package)/.test(firstLine)) return firstLine;
  return /\.node['"]/.test(firstLine) ? 'no such file' : 'not installed';
}

/** Says why the file that SOCKHOP_NATIVE_BINDING names did not load. */
function describeOverride(override, error) {
  const stat = fs.statSync(override, { throwIfNoEntry: false });
  if (!stat) return 'no such file';
  if (stat.isDirectory()) return 'a directory, not a file';
  // Node takes a file with any other name for JavaScript.
  if (!override.endsWith('.node')) return 'its name does not end in ".node"';
  return describeReason(error);
}

/** The packages of other platforms that are installed where that of this platform is looked for. */
function foreignPackages(tag) {
  const { resolve } = createRequire(MANIFEST);
  return PLATFORM_TAGS.filter((other) => other !== tag)
    .map(bindingPackageName)
    .filter((name) => {
      try {
        resolve(`${name}/package.json`);
        return true;
      } catch {
        return false;
      }
    });
}

const RUN_WITH_ADDONS = [
  'Node was started with --no-addons, or with --permission and without --allow-addons.',
  'Native addons need --allow-addons.',
];

const bundleAdvice = (tag) => [
  'The package is part of a bundle without a binding that loads. Any of these helps:',
  `  - let the bundler copy ${bindingFileName(tag)} (docs/platforms.md of sockhop-native says how)`,
  '  - leave sockhop-native out of the bundle ("external") and install it next to the bundle',
  '  - set SOCKHOP_NATIVE_BINDING to the path of the file',
];

function installAdvice(tag, version) {
  const name = bindingPackageName(tag);
  const foreign = foreignPackages(tag);
  const causes = [
    'optional dependencies were left out (--omit=optional, --no-optional): install without that option',
    'the lock file was made on another platform and lists only its packages (an old npm does that):',
    '  delete it together with node_modules, and install again',
    'the lock file keeps an old version of that package: update it together with sockhop-native',
    'node_modules was copied from another platform, or from an image with another C library',
    '  (Debian has glibc, Alpine has musl): install where the program runs',
  ];
  return [
    `${name} comes as an optional dependency of sockhop-native.`,
    ...(foreign.length > 0 ? [`Installed for another platform: ${foreign.join(', ')}.`] : []),
    'Usual causes:',
    ...causes.map((line) => (line.startsWith(' ') ? `  ${line}` : `  - ${line}`)),
    `To install this package alone: npm install --no-save ${name}@${version}`,
  ];
}

/** Says so if no release has a package for the platform. */
function supportAdvice(tag) {
  if (PLATFORM_TAGS.includes(tag)) return [];
  return [`There is no package for ${tag}. There are packages for ${PLATFORM_TAGS.join(', ')}.`];
}

function buildAdvice() {
  if (!fs.existsSync(path.join(PACKAGE_ROOT, 'Cargo.toml'))) {
    return ['It can be built from a clone of the repository, see docs/platforms.md.'];
  }
  return [
    `Build it with "npm run build" in ${PACKAGE_ROOT}`,
    '(this needs a Rust toolchain, see https://rustup.rs).',
  ];
}

function advice(tag, attempts, override) {
  if (attempts.some(({ error }) => error.code === 'ERR_DLOPEN_DISABLED')) return RUN_WITH_ADDONS;
  if (override) return ['Correct SOCKHOP_NATIVE_BINDING, or remove it from the environment.'];

  const manifest = readManifest();
  if (!manifest) return [...supportAdvice(tag), ...bundleAdvice(tag)];
  const published = manifest.optionalDependencies?.[bindingPackageName(tag)];
  return [...(published ? installAdvice(tag, published) : supportAdvice(tag)), ...buildAdvice()];
}

/**
 * @param {string} tag of the platform
 * @param {{ source: string, error: Error }[]} attempts every source that was tried
 * @param {string | undefined} override the file that SOCKHOP_NATIVE_BINDING names
 * @returns {Error & { code: 'ERR_SOCKHOP_BINDING' }}
 */
function bindingError(tag, attempts, override) {
  const reasonOf = (error) =>
    override ? describeOverride(override, error) : describeReason(error);
  const tried = attempts.map(({ source, error }) => `  - ${source}: ${reasonOf(error)}`);
  const message = [
    // Most logs keep the first line of an error only.
    `sockhop-native has no native binding that loads on ${tag} (Node ${process.version}). Looked for:`,
    ...tried,
    ...advice(tag, attempts, override),
  ].join('\n');
  const error = new Error(message, { cause: attempts[attempts.length - 1].error });
  error.code = 'ERR_SOCKHOP_BINDING';
  return error;
}

module.exports = { bindingError };
