// The test runners that programs use: tests that use the package pass in them, and leave nothing behind that keeps a runner
// from ending.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');
const { stripVTControlCharacters } = require('node:util');

const { installRelease } = require('./installed.js');

const tool = (...names) => path.join(__dirname, 'node_modules', ...names);

/** A test with the globals that both runners have. */
const TEST = `
const { client, server } = require('sockhop');

test('a client gets its answer', async () => {
  const s = new server({ port: 0 });
  s.on('receive', (object, meta) => meta.callback({ twice: object.value * 2 }));
  const listener = await s.listen();
  const c = new client({ port: listener.address().port });
  await c.connect();
  const answer = await new Promise((resolve) => c.send({ value: 21 }, resolve));
  expect(answer).toEqual({ twice: 42 });
  const disconnected = new Promise((resolve) => s.on('disconnect', resolve));
  await c.disconnect();
  await disconnected;
  await s.close();
});
`;

/** The package is loaded once, and Jest resets its modules before a client or server is made. */
const RESET = `
const sockhop = require('sockhop');

test('the parts of the package belong together', async () => {
  jest.resetModules();
  const s = new sockhop.server({ port: 0 });
  s.on('receive', (object, meta) => meta.callback(object));
  const listener = await s.listen();
  const c = new sockhop.client({ port: listener.address().port });
  await expect(c.send({ early: true })).rejects.toBeInstanceOf(sockhop.error);
  await c.connect();
  // More than it takes until both ends send binary messages.
  for (let n = 0; n < 200; n++) {
    if (n % 20 === 0) jest.resetModules();
    const object = { n, list: [1, 2, 3] };
    expect(await new Promise((resolve) => c.send(object, resolve))).toEqual(object);
  }
  expect(c.socket).toBeInstanceOf(sockhop.SockhopSocket);
  await c.disconnect();
  await s.close();
});
`;

/** Leaves a client that keeps connecting after the end of its file, while the next file runs. */
const RECONNECTING = `
const { client, server } = require('sockhop');

test('a client without a server tries again and again', async () => {
  const s = new server({ port: 0 });
  const { port } = (await s.listen()).address();
  await s.close();
  const c = new client({ port, auto_reconnect_interval: 20 });
  c.auto_reconnect = true;
  c.on('error', () => {});
  await c.connect().catch(() => {});
  await new Promise((resolve) => c.on('reconnecting', (attempt) => attempt === 20 && resolve()));
});
`;

/**
 * For tests of what Jest does when it runs a test: Babel, which compiles the tests by default, takes a fifth of the time.
 */
const WITHOUT_BABEL = '--transform={}';

/** More than one, so that a runner uses more than one process or thread, and one after the other. */
const FILES = ['first.test.js', 'second.test.js', 'third.test.js'];

describe('tests that use the package', () => {
  let app;
  let remove;

  before(() => {
    ({ directory: app, remove } = installRelease());
    for (const name of FILES) fs.writeFileSync(path.join(app, name), TEST);
  });

  after(() => remove());

  /** Runs a test runner. Its output has no colours, regardless of the environment. */
  function run(...command) {
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, command, {
      cwd: app,
      encoding: 'utf8',
      env: { ...process.env, CI: 'true' },
      // Longer than any runner waits for open handles.
      timeout: 120_000,
    });
    return { status, signal, output: stripVTControlCharacters(stdout + stderr) };
  }

  function runTests(...command) {
    const { status, signal, output } = run(...command);
    assert.equal(status, 0, `${signal ?? ''}\n${output}`);
    assert.doesNotMatch(output, /open handle|did not exit|prevents|hanging|timed out/i);
    return output;
  }

  for (const workers of ['--runInBand', '--maxWorkers=2']) {
    it(`pass in Jest with ${workers}, which finds no open handle`, () => {
      // The first run has the settings of a project that has none.
      const settings = workers === '--runInBand' ? [] : [WITHOUT_BABEL];
      const output = runTests(
        tool('jest/bin/jest.js'),
        workers,
        '--detectOpenHandles',
        ...settings,
      );
      assert.match(output, /Tests: +3 passed, 3 total/);
    });
  }

  it('pass in Jest if all timers are faked before the package is loaded, again for each test', () => {
    const faked = '--fakeTimers={"enableGlobally":true}';
    const output = runTests(
      tool('jest/bin/jest.js'),
      faked,
      WITHOUT_BABEL,
      '--resetModules',
      '--detectOpenHandles',
    );
    assert.match(output, /Tests: +3 passed, 3 total/);
  });

  /** Runs files that only one test of this file has. */
  function runAlone(files, ...options) {
    const directory = path.join(app, 'alone');
    fs.mkdirSync(directory);
    fs.writeFileSync(path.join(directory, 'package.json'), '{}');
    for (const [name, text] of Object.entries(files)) {
      fs.writeFileSync(path.join(directory, name), text);
    }
    try {
      return run(tool('jest/bin/jest.js'), '--rootDir=alone', WITHOUT_BABEL, ...options);
    } finally {
      fs.rmSync(directory, { recursive: true });
    }
  }

  it('pass in Jest if it resets modules between the package and its first server', () => {
    const { status, output } = runAlone({ 'reset.test.js': RESET });
    assert.equal(status, 0, output);
  });

  it('pass in Jest while a client that another file has left connects again', () => {
    const files = { 'first.test.js': RECONNECTING, 'second.test.js': RECONNECTING };
    const { status, output } = runAlone(files, '--runInBand', '--forceExit');
    assert.equal(status, 0, output);
    assert.doesNotMatch(output, /torn down/);
  });

  it('that leave a server open are named by Jest, with the line that listens', () => {
    const files = { 'open.test.js': TEST.replace('await s.close();', '') };
    const { output } = runAlone(files, '--detectOpenHandles', '--forceExit');
    assert.match(output, /open handles[\s\S]*> +\d+ \| .*await s\.listen\(\)/);
  });

  for (const pool of ['threads', 'forks', 'vmThreads']) {
    it(`pass in Vitest with the pool "${pool}", which ends by itself`, () => {
      const output = runTests(tool('vitest/vitest.mjs'), 'run', '--globals', `--pool=${pool}`);
      assert.match(output, /Tests +3 passed \(3\)/);
    });
  }
});
