'use strict';

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');

const { bindingFileName, platformTag } = require('../lib/internal/native/platform.js');
const manifest = require('../package.json');
const { filesIn } = require('./support/files.js');
const { brokenLinks } = require('./support/links.js');

const ROOT = path.dirname(__dirname);
const BINDING = bindingFileName(platformTag());
const DEEP_PATHS = [
  'ClusterSession',
  'ObjectBuffer',
  'SockhopClient',
  'SockhopError',
  'SockhopPing',
  'SockhopRequest',
  'SockhopServer',
  'SockhopSession',
];

function run(program, args, options) {
  const result = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000, ...options });
  const report = `${program} ${args.join(' ')}\n${result.error ?? ''}${result.stdout}${result.stderr}`;
  assert.equal(result.status, 0, report);
  return result.stdout;
}

/** A program written for the original; `load` defines `client`, `server` and `session`. */
const userProgram = (load) => `
${load}

class Widget {
  constructor(id) { this.id = id; }
}

class Greeter extends session {
  constructor(...args) {
    super(...args);
    this.greeted = 0;
  }
  async start() { this.started = true; }
  greet(name) {
    this.greeted += 1;
    return 'hello ' + name;
  }
}

const log = {};
const s = new server({ port: 0, session_type: Greeter });
s.on('receive', (object, meta) => {
  log.type = meta.type;
  log.started = meta.session.started;
  log.session = meta.session.constructor.name;
  meta.callback(meta.session.greet(object.id));
});

(async () => {
  const listener = await s.listen();
  const c = new client({ port: listener.address().port });
  await c.connect();
  log.answer = await new Promise((resolve) => c.send(new Widget(7), resolve));
  await c.disconnect();
  await s.close();
  console.log(JSON.stringify(log));
})();
`;

describe('the packed package', () => {
  let scratch;
  let home;
  let packed;

  /** An environment with nothing but Node: no toolchain, no settings. */
  const bare = () => ({ PATH: path.dirname(process.execPath), HOME: scratch });

  function runProgram(name, source) {
    fs.writeFileSync(path.join(home, name), source);
    const options = { cwd: home, env: bare(), timeout: 90_000 };
    return JSON.parse(run(process.execPath, [name], options));
  }

  before(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-package-'));
    const pack = ['pack', '--json', '--loglevel=error', '--pack-destination', scratch];
    const answer = JSON.parse(run('npm', pack, { cwd: ROOT }));
    // A list until npm 10, by name of the package since.
    [packed] = Object.values(answer);

    home = path.join(scratch, 'empty');
    fs.mkdirSync(home);
    fs.writeFileSync(path.join(home, 'package.json'), '{ "private": true }');
    const tarball = path.join(scratch, packed.filename);
    const install = ['install', '--ignore-scripts', '--offline', '--no-audit', '--no-fund'];
    install.push('--cache', path.join(scratch, 'cache'), `sockhop@file:${tarball}`);
    run('npm', install, { cwd: home });
  });

  after(() => fs.rmSync(scratch, { recursive: true, force: true }));

  it('contains the documents, the declarations and the binding of this platform', () => {
    const files = packed.files.map((file) => file.path);
    const wanted = [
      'package.json',
      'index.js',
      'index.d.ts',
      'lib/internal/native/binding.js',
      BINDING,
    ];
    wanted.push('README.md', 'API.md', 'MIGRATION.md', 'CHANGELOG.md', 'LICENSE');
    wanted.push('SECURITY.md', 'RELIABILITY.md', 'ARCHITECTURE.md');
    wanted.push(
      'docs/command-line.md',
      'docs/cluster.md',
      'docs/deploying.md',
      'docs/platforms.md',
      'docs/reconnecting.md',
      'docs/observing.md',
      'docs/testing.md',
      'docs/performance-notes.md',
      'docs/reliability-figures.md',
    );
    wanted.push('examples/scratch.js', 'examples/chat/index.js');
    wanted.push(...filesIn('lib'));
    assert.deepEqual(
      wanted.filter((name) => !files.includes(name)),
      [],
      'missing from the tarball',
    );
  });

  it('contains the sources of the binding, and no tests or tools', () => {
    const files = packed.files.map((file) => file.path);
    for (const name of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src/lib.rs', 'scripts/build.js']) {
      assert.ok(files.includes(name), `${name} is missing`);
    }
    const known =
      /^(lib|src|examples)\/|^docs\/[\w-]+\.md$|^[^/]+\.(js|d\.ts|md|node|json|toml|lock|rs)$|^LICENSE$|^scripts\/build\.js$/;
    assert.deepEqual(
      files.filter((name) => !known.test(name)),
      [],
    );
  });

  it('has documents whose links lead to files and headings of the package', () => {
    const installed = path.join(home, 'node_modules', 'sockhop');
    const documents = packed.files
      .map(({ path: name }) => name)
      .filter((name) => name.endsWith('.md'));
    const read = (name) => fs.readFileSync(path.join(installed, name), 'utf8');
    const exists = (name) => fs.existsSync(path.join(installed, name));
    assert.ok(documents.length >= 15);
    assert.deepEqual(brokenLinks(documents, { read, exists }), []);
  });

  it('has examples that run where it is installed', () => {
    const options = { cwd: home, env: bare(), timeout: 90_000 };
    const output = run(process.execPath, ['node_modules/sockhop/examples/chat'], options);
    assert.match(output, /^Ada hears Charles: Does the engine run\?$/m);
  });

  it('depends on nothing at run time and runs nothing when it is installed', () => {
    const installed = path.join(home, 'node_modules');
    const visible = fs.readdirSync(installed).filter((name) => !name.startsWith('.'));
    assert.deepEqual(visible, ['sockhop']);
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
      assert.equal(manifest.scripts[name], undefined, `there is a script ${name}`);
    }
    assert.ok(!fs.existsSync(path.join(installed, 'sockhop', 'binding.gyp')));
  });

  const expected = { type: 'Widget', started: true, session: 'Greeter', answer: 'hello 7' };

  it('runs a CommonJS program written for the original', () => {
    const load = "const { client, server, session } = require('sockhop');";
    assert.deepEqual(runProgram('program.js', userProgram(load)), expected);
  });

  it('runs an ES module written for the original', () => {
    const load = "import { client, server, session } from 'sockhop';";
    assert.deepEqual(runProgram('program.mjs', userProgram(load)), expected);
  });

  it('gives the classes under their deep paths, with and without .js', () => {
    const source = `
      const all = require('sockhop');
      const names = ${JSON.stringify(DEEP_PATHS)};
      console.log(JSON.stringify(names.map((name) => {
        const loaded = require('sockhop/lib/' + name);
        return [name, typeof loaded, loaded === require('sockhop/lib/' + name + '.js')];
      })));`;
    const loaded = runProgram('deep.js', source);
    for (const [name, type, same] of loaded) {
      assert.ok(type === 'function' || type === 'object', `${name} is a ${type}`);
      assert.ok(same, `${name} and ${name}.js differ`);
    }
    assert.equal(loaded.length, DEEP_PATHS.length);
  });

  it('gives index.js and package.json by name, and no internal file', () => {
    const source = `
      const read = (name) => {
        try {
          return typeof require(name);
        } catch ({ code }) {
          return code;
        }
      };
      const names = ['', '/index', '/index.js', '/package.json', '/lib/internal/symbols.js'];
      for (const engine of ['memory', 'nats', 'redis', 'workers']) names.push('/cluster/' + engine);
      console.log(JSON.stringify(names.map((name) => read('sockhop' + name))));`;
    assert.deepEqual(runProgram('paths.js', source), [
      ...Array(4).fill('object'),
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
      ...Array(4).fill('object'),
    ]);
  });

  it('without its binding says which platform lacks one and how to build it', () => {
    const copy = path.join(scratch, 'copy');
    fs.cpSync(path.join(home, 'node_modules', 'sockhop'), path.join(copy, 'node_modules/sockhop'), {
      recursive: true,
      filter: (name) => !name.endsWith('.node'),
    });
    const source = `
      try {
        require('sockhop');
        console.log('{}');
      } catch ({ code, message }) {
        console.log(JSON.stringify({ code, message }));
      }`;
    fs.writeFileSync(path.join(copy, 'program.js'), source);
    const output = run(process.execPath, ['program.js'], { cwd: copy, env: bare() });
    const { code, message } = JSON.parse(output);
    assert.equal(code, 'ERR_SOCKHOP_BINDING');
    assert.ok(message.includes(platformTag()), message);
    assert.ok(message.includes(`${BINDING}: no such file`), message);
    assert.match(message, /"npm run build" in /);
  });
});
