'use strict';

// Command-line tools written in Rust that a script needs. They are installed below target/tools, in the version
// named here, and used from there: nothing of it touches what is installed elsewhere on the machine.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { environment } = require('./build');

const ROOT = path.dirname(__dirname);
const TOOLS = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'tools');

const VERSIONS = { 'cargo-fuzz': '0.13.2', 'cargo-deny': '0.20.2' };

/** The environment in which `cargo <tool>` is the one installed here. */
function toolEnvironment() {
  const env = environment();
  env.PATH = `${path.join(TOOLS, 'bin')}${path.delimiter}${env.PATH}`;
  return env;
}

/** Whether a tool is there in the version that is wanted. */
function installed(name) {
  const binary = path.join(TOOLS, 'bin', name);
  if (!fs.existsSync(binary)) return false;
  const { stdout } = spawnSync(binary, [name.replace('cargo-', ''), '--version'], {
    encoding: 'utf8',
  });
  return stdout?.trim().endsWith(` ${VERSIONS[name]}`) ?? false;
}

/**
 * Installs a tool unless it is there.
 * @throws {Error} if that fails: there is no cargo, or no registry
 */
function install(name) {
  if (installed(name)) return;
  const version = VERSIONS[name];
  const args = ['install', name, '--locked', '--version', version, '--root', TOOLS];
  console.log(`installing ${name} (once, some minutes): cargo ${args.join(' ')}`);
  const { status, error } = spawnSync('cargo', args, {
    cwd: ROOT,
    // A toolchain that is good enough to compile the package compiles its tools.
    env: environment(),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error || status !== 0) {
    throw new Error(
      `${name} ${version} could not be installed${error ? `: ${error.message}` : ''}`,
    );
  }
}

module.exports = { TOOLS, install, installed, toolEnvironment };
