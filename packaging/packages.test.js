// The packages of a release, as a registry gets them.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');

const { bindingFileName, bindingPackageName } = require('../lib/internal/native/platform.js');
const { brokenLinks } = require('../__test__/support/links.js');
const manifest = require('../package.json');
const { assemble } = require('./assemble.js');
const { npmCommand, run } = require('./commands.js');
const { BINDING, TAG } = require('./installed.js');
const { targetOf } = require('./targets.js');

const ATTW = path.join(__dirname, 'node_modules/@arethetypeswrong/cli/dist/index.js');

describe('the packages of a release', () => {
  let scratch;
  let directories;
  let main;
  let binding;
  /** What `npm pack` made of each directory: the file, and the names of the files in it. */
  let packed;

  before(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-packages-'));
    directories = assemble(scratch, new Map([[TAG, BINDING]]));
    main = path.join(scratch, 'sockhop-native');
    binding = path.join(scratch, bindingPackageName(TAG));
    packed = new Map(directories.map((directory) => [directory, pack(directory)]));
  });

  after(() => fs.rmSync(scratch, { recursive: true, force: true }));

  const manifestOf = (directory) =>
    JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));

  /** Runs `npm pack` once for each directory, because that takes almost a second. */
  function pack(directory) {
    const command = npmCommand('pack', '--json', '--loglevel=error', '--pack-destination', scratch);
    const [{ filename, files }] = Object.values(JSON.parse(run(command, { cwd: directory })));
    return { tarball: path.join(scratch, filename), files: files.map((file) => file.path) };
  }

  const filesOf = (directory) => packed.get(directory).files;

  it('are the main package and, published before it, those it depends on', () => {
    assert.deepEqual(directories, [binding, main]);
    assert.deepEqual(manifestOf(main).optionalDependencies, {
      [bindingPackageName(TAG)]: manifest.version,
    });
  });

  it('contain no binary and no source of Rust in the main package, and run no scripts', () => {
    const build = /\.(node|rs)$|^Cargo|^scripts\//;
    const files = filesOf(main);
    assert.deepEqual(
      files.filter((file) => build.test(file)),
      [],
    );
    for (const file of ['index.js', 'index.d.ts', 'README.md', 'LICENSE']) {
      assert.ok(files.includes(file), `${file} is missing`);
    }
    const { scripts, devDependencies, dependencies } = manifestOf(main);
    assert.deepEqual([scripts, devDependencies, dependencies], [undefined, undefined, undefined]);
  });

  it('have documents whose links lead to files and headings of the same package', () => {
    for (const directory of directories) {
      const documents = filesOf(directory).filter((name) => name.endsWith('.md'));
      const read = (name) => fs.readFileSync(path.join(directory, name), 'utf8');
      const exists = (name) => fs.existsSync(path.join(directory, name));
      assert.notEqual(documents.length, 0);
      assert.deepEqual(brokenLinks(documents, { read, exists }), []);
    }
  });

  it('contain the binding in the package of its platform alone, with its licence', () => {
    const files = [bindingFileName(TAG), 'LICENSE', 'README.md', 'package.json'];
    assert.deepEqual(filesOf(binding).sort(), files.sort());
    const { os: systems, cpu, libc, version, scripts } = manifestOf(binding);
    const target = targetOf(TAG);
    assert.deepEqual(
      [systems, cpu, libc],
      [[target.os], [target.cpu], target.libc && [target.libc]],
    );
    assert.deepEqual([version, scripts], [manifest.version, undefined]);
  });

  it('cause no error or suggestion of publint', async () => {
    const { publint } = await import('publint');
    const { formatMessage } = await import('publint/utils');
    for (const directory of directories) {
      const { buffer: tarball } = new Uint8Array(fs.readFileSync(packed.get(directory).tarball));
      const { messages } = await publint({ pack: { tarball } });
      const texts = messages.map((message) => formatMessage(message, manifestOf(directory)));
      assert.deepEqual(texts, [], path.basename(directory));
    }
  });

  it('have the command, and the clients of brokers as optional peers', () => {
    const wanted = require('../package.json');
    const packed = JSON.parse(fs.readFileSync(path.join(main, 'package.json'), 'utf8'));
    for (const field of ['bin', 'peerDependencies', 'peerDependenciesMeta']) {
      assert.deepEqual(packed[field], wanted[field]);
    }
    assert.ok(fs.existsSync(path.join(main, packed.bin['sockhop-native'])));
  });

  it('have declarations that every module resolution of TypeScript finds, on every path', () => {
    const classes = fs.readdirSync(path.join(main, 'lib')).filter((name) => name.endsWith('.js'));
    const paths = classes.flatMap((name) => [`lib/${name}`, `lib/${path.basename(name, '.js')}`]);
    const { tarball } = packed.get(main);
    const args = [ATTW, tarball, '--format', 'json', '--include-entrypoints', ...paths];
    // The tool exits before a pipe has taken all of its output, so the output goes to a file.
    const file = path.join(scratch, 'attw.json');
    const output = fs.openSync(file, 'w');
    spawnSync(process.execPath, args, { stdio: ['ignore', output, 'inherit'] });
    fs.closeSync(output);
    const { problems = {}, analysis } = JSON.parse(fs.readFileSync(file, 'utf8'));
    // If a module exports only a class, the tool reports the static methods of the class as missing
    // exports.
    const isStatic = ({ kind, missing, implementationFileName }) => {
      if (kind !== 'NamedExports') return false;
      const loaded = require(`../lib/${path.basename(implementationFileName)}`);
      return missing.every((name) => name in loaded);
    };
    const found = Object.values(problems).flat();
    assert.deepEqual(
      found.filter((problem) => !isStatic(problem)),
      [],
    );
    for (const name of paths) assert.ok(analysis.entrypoints[`./${name}`], `${name} was checked`);
  });
});
