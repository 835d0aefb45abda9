// Bundles a program that uses the package, and runs the bundle in a directory with nothing else in it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, afterEach, before, beforeEach, describe, it } = require('node:test');
const { promisify } = require('node:util');

const { bindingFileName, bindingPackageName } = require('../lib/internal/native/platform.js');
const { run } = require('./commands.js');
const { bareEnvironment, installRelease, TAG } = require('./installed.js');
const { converse, start } = require('./programs.js');

const tool = (...names) => path.join(__dirname, 'node_modules', ...names);

describe('a program that uses the package and is bundled', () => {
  let app;
  let remove;
  let elsewhere;

  before(() => {
    ({ directory: app, remove } = installRelease());
  });

  after(() => remove());

  beforeEach(() => {
    elsewhere = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-bundle-'));
  });

  afterEach(() => fs.rmSync(elsewhere, { recursive: true, force: true }));

  const runBundle = (name) =>
    converse([process.execPath, name], { cwd: elsewhere, env: bareEnvironment(elsewhere) });

  it('by esbuild, which copies files with the extension .node, runs', async () => {
    const { build } = require('esbuild');
    const { warnings } = await build({
      absWorkingDir: app,
      entryPoints: ['program.js'],
      bundle: true,
      platform: 'node',
      loader: { '.node': 'copy' },
      outdir: elsewhere,
      logLevel: 'silent',
    });
    assert.deepEqual(warnings, []);
    await runBundle('program.js');
  });

  it('by webpack with node-loader runs, with warnings for the other platforms only', async () => {
    const stats = await promisify(require('webpack'))({
      context: app,
      mode: 'production',
      target: 'node',
      entry: './program.js',
      output: { path: elsewhere, filename: 'program.js' },
      // A minifier that renames classes changes the types of messages.
      optimization: { minimize: false },
      node: { __dirname: false },
      module: { rules: [{ test: /\.node$/, loader: 'node-loader' }] },
      resolveLoader: { modules: [tool()] },
      ignoreWarnings: [/Can't resolve '.*sockhop-native[.-]/],
    });
    assert.equal(stats.hasErrors() || stats.hasWarnings(), false, stats.toString());
    await runBundle('program.js');
  });

  it('by ncc runs', async () => {
    run(
      [
        process.execPath,
        tool('@vercel/ncc/dist/ncc/cli.js'),
        'build',
        'program.js',
        '-o',
        elsewhere,
      ],
      {
        cwd: app,
      },
    );
    await runBundle('index.js');
  });

  it('by rollup, with the binding copied next to the bundle, runs', async () => {
    const { rollup } = require('rollup');
    const copyBinding = {
      name: 'copy-binding',
      generateBundle() {
        const name = bindingPackageName(TAG);
        const source = fs.readFileSync(require.resolve(name, { paths: [app] }));
        this.emitFile({ type: 'asset', fileName: `node_modules/${name}.node`, source });
      },
    };
    const bundle = await rollup({
      input: path.join(app, 'program.js'),
      external: [/^sockhop-native-/],
      plugins: [
        require('@rollup/plugin-node-resolve')({ preferBuiltins: true }),
        require('@rollup/plugin-commonjs')(),
        copyBinding,
      ],
      onwarn: ({ message }) => assert.fail(message),
    });
    await bundle.write({ dir: elsewhere, format: 'cjs' });
    await bundle.close();
    await runBundle('program.js');
  });

  it('by the file tracer of Vercel has its files copied, the binding included', async () => {
    const { nodeFileTrace } = require('@vercel/nft');
    const { fileList } = await nodeFileTrace([path.join(app, 'program.js')], { base: app });
    for (const file of fileList) {
      fs.mkdirSync(path.join(elsewhere, path.dirname(file)), { recursive: true });
      fs.copyFileSync(path.join(app, file), path.join(elsewhere, file));
    }
    await runBundle('program.js');
  });

  describe('without the binding', () => {
    beforeEach(async () => {
      await require('esbuild').build({
        absWorkingDir: app,
        entryPoints: ['program.js'],
        bundle: true,
        platform: 'node',
        external: ['*.node', 'sockhop-native-*'],
        outdir: elsewhere,
        logLevel: 'silent',
      });
    });

    it('says that it is a bundle, and what to do', async () => {
      const { code, errors } = await start([process.execPath, 'program.js', 'server'], {
        cwd: elsewhere,
        env: bareEnvironment(elsewhere),
      }).ended;
      assert.equal(code, 1);
      assert.match(errors, /ERR_SOCKHOP_BINDING/);
      assert.match(errors, /part of a bundle without a binding/);
    });

    it('runs with the file that SOCKHOP_NATIVE_BINDING names', async () => {
      const binding = path.join(app, 'node_modules', bindingPackageName(TAG), bindingFileName(TAG));
      await converse([process.execPath, 'program.js'], {
        cwd: elsewhere,
        env: { ...bareEnvironment(elsewhere), SOCKHOP_NATIVE_BINDING: binding },
      });
    });
  });
});
