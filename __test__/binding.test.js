'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, describe, it } = require('node:test');

const {
  bindingFileName,
  bindingPackageName,
  PLATFORM_TAGS,
  platformTag,
} = require('../lib/internal/native/platform.js');
const { TARGETS } = require('../packaging/targets.js');

const ROOT = path.dirname(__dirname);
const TAG = platformTag();
/** The path of the loader. */
const NATIVE = 'lib/internal/native';
const BINDING = path.join(ROOT, bindingFileName(TAG));

/**
 * The option that enables Node's permission model, or null if this version has none that covers
 * addons.
 */
const PERMISSION = (() => {
  if (process.allowedNodeEnvironmentFlags.has('--permission')) return '--permission';
  if (process.allowedNodeEnvironmentFlags.has('--allow-addons')) return '--experimental-permission';
  return null;
})();

/**
 * An ELF executable as a dynamic loader sees it: 64 bits and one program header. There are `gap`
 * bytes between the header and the name of the loader, as in a binary that `patchelf` has changed.
 * Without a loader it is linked statically.
 */
function elfExecutable({ loader, gap = 0 }) {
  const PT_INTERP = 3;
  const PT_LOAD = 1;
  const header = Buffer.alloc(64);
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  const name = Buffer.from(`${loader ?? ''}\0`);
  const entry = Buffer.alloc(56);
  entry.writeUInt32LE(loader ? PT_INTERP : PT_LOAD, 0);
  entry.writeBigUInt64LE(BigInt(64 + 56 + gap), 8);
  entry.writeBigUInt64LE(BigInt(name.length), 32);
  return Buffer.concat([header, entry, Buffer.alloc(gap), name]);
}

/** Requires `module` in a separate process, and returns the error that the program would see. */
function requireIn(directory, module, { env = {}, preload, options = [] } = {}) {
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
    [...options, ...(preload ? ['--require', preload] : []), '--eval', program],
    { cwd: directory, encoding: 'utf8', env: { ...process.env, ...env }, timeout: 600_000 },
  );
  assert.equal(error, undefined);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

describe('the name of the binding', () => {
  it('is one of those that releases have packages for', () => {
    assert.deepEqual([...PLATFORM_TAGS].sort(), TARGETS.map(({ tag }) => tag).sort());
    assert.ok(PLATFORM_TAGS.includes(TAG), `${TAG} is not among ${PLATFORM_TAGS.join(', ')}`);
  });

  it('distinguishes glibc from musl as Node itself does', {
    skip: process.platform !== 'linux',
  }, () => {
    const { glibcVersionRuntime } = process.report.getReport().header;
    assert.equal(TAG.split('-')[2], glibcVersionRuntime ? 'gnu' : 'musl');
  });

  describe('on Linux', { skip: process.platform !== 'linux' }, () => {
    const cpu = process.arch;
    const suffix = cpu === 'arm' ? 'eabihf' : '';
    const before = process.execPath;
    let directory;

    beforeEach(() => {
      directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-elf-'));
    });

    afterEach(() => {
      process.execPath = before;
      fs.rmSync(directory, { recursive: true });
    });

    /** The tag in a process whose executable has these bytes. */
    function tagOf(bytes) {
      process.execPath = path.join(directory, 'node');
      fs.writeFileSync(process.execPath, bytes);
      return platformTag();
    }

    it('is that of musl for an executable with the loader of musl', () => {
      const executable = elfExecutable({ loader: '/lib/ld-musl-x86_64.so.1' });
      assert.equal(tagOf(executable), `linux-${cpu}-musl${suffix}`);
    });

    it('is that of musl for an executable that was patched to another path of the loader', () => {
      const loader = '/nix/store/0a1b-musl-1.2.5/lib/ld-musl-x86_64.so.1';
      const executable = elfExecutable({ loader, gap: 1 << 20 });
      assert.equal(tagOf(executable), `linux-${cpu}-musl${suffix}`);
    });

    it('is that of glibc for an executable that mentions the loader of musl and uses another', () => {
      const executable = elfExecutable({ loader: '/lib64/ld-linux-x86-64.so.2' });
      const tag = tagOf(Buffer.concat([executable, Buffer.from('/lib/ld-musl-x86_64.so.1\0')]));
      assert.equal(tag, `linux-${cpu}-gnu${suffix}`);
    });

    for (const [title, bytes] of [
      ['names no loader', elfExecutable({})],
      ['is no ELF file', Buffer.from('#!/bin/sh\n')],
      ['is empty', Buffer.alloc(0)],
    ]) {
      it(`is that of the loaded libraries if the executable ${title}`, () => {
        assert.equal(tagOf(bytes), TAG);
      });
    }

    it('is that of the loaded libraries if the executable cannot be read', () => {
      process.execPath = path.join(directory, 'missing');
      assert.equal(platformTag(), TAG);
    });
  });
});

describe('the loader', () => {
  it('has a literal request for the file and the package of each platform, and no other', () => {
    // Bundlers and file tracers follow nothing else.
    const source = fs.readFileSync(path.join(ROOT, NATIVE, 'binding.js'), 'utf8');
    const requests = [...source.matchAll(/require\('(?!node:)([^']+)'\)/g)].map(([, name]) => name);
    const expected = PLATFORM_TAGS.flatMap((tag) => [
      `../../../${bindingFileName(tag)}`,
      bindingPackageName(tag),
    ]);
    expected.push('./binding-error.js', './platform.js', './version.js');
    assert.deepEqual(requests.sort(), expected.sort());
  });
});

describe('loading the binding', () => {
  let directory;

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-binding-'));
    fs.mkdirSync(path.join(directory, NATIVE), { recursive: true });
    for (const name of fs.readdirSync(path.join(ROOT, NATIVE))) {
      fs.copyFileSync(path.join(ROOT, NATIVE, name), path.join(directory, NATIVE, name));
    }
    for (const name of ['package.json', 'Cargo.toml']) {
      fs.copyFileSync(path.join(ROOT, name), path.join(directory, name));
    }
  });

  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  it('takes the file next to the package', () => {
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

  it('has the version of the package, and so has the binding', () => {
    const { version } = require('../package.json');
    const { VERSION } = require('../lib/internal/native/version.js');
    assert.deepEqual([VERSION, require(BINDING).VERSION], [version, version]);
  });

  it('refuses a binding of another version, and names both versions', () => {
    const { version } = require('../package.json');
    fs.copyFileSync(BINDING, path.join(directory, bindingFileName(TAG)));
    const file = path.join(directory, NATIVE, 'version.js');
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(version, '98.7.6'));
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    const reason = `its version is ${version}, the version of sockhop-native is 98.7.6`;
    assert.ok(message.includes(`${bindingFileName(TAG)}: ${reason}`), message);
    assert.ok(message.includes(`the package sockhop-native-${TAG}: not installed`), message);
    assert.match(message, /npm run build/);
  });

  it('without any binding names the platform, the files it looked for, and the remedy', () => {
    const { name, code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(name, 'Error');
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, new RegExp(`on ${TAG} \\(Node ${process.version}\\)`));
    assert.match(message, new RegExp(`${bindingFileName(TAG)}: no such file`));
    assert.match(message, new RegExp(`the package sockhop-native-${TAG}: not installed`));
    assert.ok(message.includes(`"npm run build" in ${fs.realpathSync(directory)}`), message);
    assert.match(message, /Rust toolchain/);
  });

  describe('from an installed package that was published', () => {
    const OTHER = PLATFORM_TAGS.find((tag) => tag !== TAG);

    beforeEach(() => {
      const optionalDependencies = { [bindingPackageName(TAG)]: '9.8.7' };
      fs.writeFileSync(
        path.join(directory, 'package.json'),
        JSON.stringify({ name: 'sockhop-native', optionalDependencies }),
      );
      fs.rmSync(path.join(directory, 'Cargo.toml'));
    });

    it('without the package of the platform names it, the usual causes, and how to install it', () => {
      const { code, message } = requireIn(directory, `./${NATIVE}/binding`);
      assert.equal(code, 'ERR_SOCKHOP_BINDING');
      assert.match(message, /--omit=optional/);
      assert.match(message, /lock file/);
      assert.match(message, /glibc.*musl/);
      assert.ok(
        message.includes(`npm install --no-save ${bindingPackageName(TAG)}@9.8.7`),
        message,
      );
      assert.match(message, /clone of the repository/);
      assert.doesNotMatch(message, /npm run build|Installed for another platform/);
    });

    it('on a platform without a package says so, and lists those that have one', () => {
      const preload = path.join(directory, 'freebsd.js');
      const change = (name, value) =>
        `Object.defineProperty(process, '${name}', { value: '${value}' });\n`;
      fs.writeFileSync(preload, change('platform', 'freebsd') + change('arch', 'riscv64'));
      const { code, message } = requireIn(directory, `./${NATIVE}/binding`, { preload });
      assert.equal(code, 'ERR_SOCKHOP_BINDING');
      assert.match(message, /on freebsd-riscv64 \(Node/);
      assert.match(message, /the package sockhop-native-freebsd-riscv64: there is none for this/);
      const line = `There is no package for freebsd-riscv64. There are packages for ${PLATFORM_TAGS.join(', ')}.`;
      assert.ok(message.includes(line), message);
      assert.match(message, /clone of the repository/);
      assert.doesNotMatch(message, /npm install|--omit=optional/);
    });

    it('with the package of another platform says which is installed', () => {
      const foreign = path.join(directory, 'node_modules', bindingPackageName(OTHER));
      fs.mkdirSync(foreign, { recursive: true });
      fs.writeFileSync(path.join(foreign, 'package.json'), '{}');
      const { message } = requireIn(directory, `./${NATIVE}/binding`);
      const line = `Installed for another platform: ${bindingPackageName(OTHER)}.`;
      assert.ok(message.includes(line), message);
    });
  });

  it('from a bundle says how a bundle gets the binding, not how to build it', () => {
    fs.rmSync(path.join(directory, 'package.json'));
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`);
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.match(message, /part of a bundle/);
    assert.ok(message.includes(`copy ${bindingFileName(TAG)}`), message);
    assert.match(message, /SOCKHOP_NATIVE_BINDING/);
    assert.doesNotMatch(message, /npm run build|npm install/);
  });

  describe('in a process without addons', () => {
    const message = (options) => {
      fs.copyFileSync(BINDING, path.join(directory, bindingFileName(TAG)));
      const { code, message } = requireIn(directory, `./${NATIVE}/binding`, { options });
      assert.equal(code, 'ERR_SOCKHOP_BINDING');
      return message;
    };

    it('says which option of Node allows them', () => {
      const text = message(['--no-addons']);
      assert.match(text, /Native addons need --allow-addons/);
      assert.doesNotMatch(text, /npm run build/);
    });

    describe("by Node's permission model", { skip: PERMISSION === null }, () => {
      const options = () => [PERMISSION, `--allow-fs-read=${fs.realpathSync(directory)}/`];

      it('says the same', () => {
        assert.match(message(options()), /Native addons need --allow-addons/);
      });

      it('loads with --allow-addons, and may read no other file', () => {
        fs.copyFileSync(BINDING, path.join(directory, bindingFileName(TAG)));
        const { keys } = requireIn(directory, `./${NATIVE}/binding`, {
          options: [...options(), '--allow-addons'],
        });
        assert.deepEqual(keys, Object.keys(require(BINDING)));
      });
    });
  });

  it('says why a damaged file does not load', () => {
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

  for (const [title, make, reason] of [
    ['a directory', (file) => fs.mkdirSync(file), 'a directory, not a file'],
    ['no file', () => {}, 'no such file'],
    [
      'a file with another name',
      (file) => fs.copyFileSync(BINDING, file),
      'its name does not end in ".node"',
    ],
  ]) {
    it(`says so if SOCKHOP_NATIVE_BINDING names ${title}`, () => {
      const file = path.join(directory, 'mine');
      make(file);
      const { code, message } = requireIn(directory, `./${NATIVE}/binding`, {
        env: { SOCKHOP_NATIVE_BINDING: file },
      });
      assert.equal(code, 'ERR_SOCKHOP_BINDING');
      assert.ok(message.includes(`${file} (from SOCKHOP_NATIVE_BINDING): ${reason}`), message);
    });
  }

  it('gives the same advice on Windows as elsewhere', () => {
    const preload = path.join(directory, 'windows.js');
    fs.writeFileSync(preload, "Object.defineProperty(process, 'platform', { value: 'win32' });");
    const { code, message } = requireIn(directory, `./${NATIVE}/binding`, { preload });
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    const tag = `win32-${process.arch}-msvc`;
    assert.match(message, new RegExp(`on ${tag}`));
    assert.ok(message.includes(`${bindingFileName(tag)}: no such file`), message);
    assert.ok(message.includes(`the package ${bindingPackageName(tag)}: not installed`), message);
  });
});
