'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, describe, it } = require('node:test');

const { bindingFileName, platformTag } = require('../lib/internal/native/platform.js');

const ROOT = path.dirname(__dirname);
const TAG = platformTag();
/** Where the loader is. */
const NATIVE = 'lib/internal/native';
const BINDING = path.join(ROOT, bindingFileName(TAG));

/** Requires `module` in a process of its own; gives the error as the program would see it. */
function requireIn(directory, module, { env = {}, preload } = {}) {
  const program = `
    try {
      const loaded = require(${JSON.stringify(module)});
      console.log(JSON.stringify({ keys: Object.keys(loaded) }));
    } catch (error) {
      const { name, code, message } = error;
      console.log(JSON.stringify({ name, code, message, cause: String(error.cause) }));
    }`;
  const { stdout, stderr, status, error } = spawnSync(
    process.execPath,
    [...(preload ? ['--require', preload] : []), '--eval', program],
    { cwd: directory, encoding: 'utf8', env: { ...process.env, ...env }, timeout: 60_000 },
  );
  assert.equal(error, undefined);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('the name of the binding', () => {
  it('follows the spelling of napi-rs and is one of the targets in package.json', () => {
    const { napi } = require('../package.json');
    const names = { x86_64: 'x64', aarch64: 'arm64' };
    const tags = napi.targets.map((target) => {
      const [cpu, , platform, abi] = target.split('-');
      return [platform, names[cpu], abi].filter(Boolean).join('-');
    });
    assert.ok(tags.includes(TAG), `${TAG} is not among ${tags.join(', ')}`);
  });

  it('tells glibc from musl as Node itself does', { skip: process.platform !== 'linux' }, () => {
    const { glibcVersionRuntime } = process.report.getReport().header;
    assert.equal(TAG.split('-')[2], glibcVersionRuntime ? 'gnu' : 'musl');
  });

  it('is that of musl for an executable with the loader of musl', {
    skip: process.platform !== 'linux',
  }, () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-musl-'));
    const executable = path.join(directory, 'node');
    fs.writeFileSync(executable, '\x7fELF...\0/lib/ld-musl-x86_64.so.1\0');
    const before = process.execPath;
    try {
      process.execPath = executable;
      assert.equal(platformTag(), `linux-${process.arch}-musl`);
    } finally {
      process.execPath = before;
      fs.rmSync(directory, { recursive: true });
    }
  });
});

describe('loading the binding', () => {
  let directory;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-binding-'));
    fs.mkdirSync(path.join(directory, NATIVE), { recursive: true });
    for (const name of ['binding.js', 'platform.js']) {
      fs.copyFileSync(path.join(ROOT, NATIVE, name), path.join(directory, NATIVE, name));
    }
  });

  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  it('takes the file beside the package', () => {
    fs.copyFileSync(BINDING, path.join(directory, bindingFileName(TAG)));
    const { keys } = requireIn(directory, `./${NATIVE}/binding`);
    assert.deepEqual(keys, Object.keys(require(BINDING)));
    assert.notEqual(keys.length, 0);
  });

  it('takes the package of the platform if there is no file', () => {
    const home = path.join(directory, 'node_modules', `sockhop-native-${TAG}`);
    fs.mkdirSync(home, { recursive: true });
    fs.writeFileSync(path.join(home, 'package.json'), JSON.stringify({ main: 'binding.node' }));
    fs.copyFileSync(BINDING, path.join(home, 'binding.node'));
    const { keys } = requireIn(directory, `./${NATIVE}/binding`);
    assert.deepEqual(keys, Object.keys(require(BINDING)));
  });

  it('takes the file named by SOCKHOP_NATIVE_BINDING before all others', () => {
    fs.writeFileSync(path.join(directory, bindingFileName(TAG)), 'never read');
    fs.copyFileSync(BINDING, path.join(directory, 'mine.node'));
    const { keys } = requireIn(directory, `./${NATIVE}/binding`, {
      env: { SOCKHOP_NATIVE_BINDING: './mine.node' },
    });
    assert.deepEqual(keys, Object.keys(require(BINDING)));
  });

  it('without any binding names the platform, what was looked for, and the remedy', () => {
    const { name, code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(name, 'Error');
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, new RegExp(`on ${TAG} \\(Node ${process.version}\\)`));
    assert.match(message, new RegExp(`${bindingFileName(TAG)}: no such file`));
    assert.match(message, new RegExp(`the package sockhop-native-${TAG}: not installed`));
    assert.ok(message.includes(`"npm run build" in ${fs.realpathSync(directory)}`), message);
    assert.match(message, /Rust toolchain/);
  });

  it('says in what way a damaged file does not load', () => {
    fs.writeFileSync(path.join(directory, bindingFileName(TAG)), 'this is no shared library');
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, /\.node: .*(too short|invalid ELF|not a mach-o|slice is not valid)/i);
  });

  it('says so if the file is made for another processor', {
    skip: process.platform !== 'linux',
  }, () => {
    // The machine is two bytes in the header of an ELF file; 0xf3 is RISC-V.
    const bytes = fs.readFileSync(BINDING);
    bytes.writeUInt16LE(0xf3, 18);
    fs.writeFileSync(path.join(directory, bindingFileName(TAG)), bytes);
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, /\.node: .*(machine|ELF|architecture|cannot open)/i);
  });

  it('does not fall back when SOCKHOP_NATIVE_BINDING names a missing file', () => {
    fs.copyFileSync(BINDING, path.join(directory, bindingFileName(TAG)));
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`, {
      env: { SOCKHOP_NATIVE_BINDING: './nowhere.node' },
    });
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, /\.\/nowhere\.node \(from SOCKHOP_NATIVE_BINDING\): no such file/);
  });

  it('says on Windows that Windows is not supported, instead of how to build', () => {
    const preload = path.join(directory, 'windows.js');
    fs.writeFileSync(preload, "Object.defineProperty(process, 'platform', { value: 'win32' });");
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`, { preload });
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, /on win32-/);
    assert.match(message, /Windows is not supported yet/);
    assert.doesNotMatch(message, /npm run build/);
  });
});
