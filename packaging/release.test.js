// Releases of a clone of the checkout, in a directory of its own.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');

const { run } = require('./commands.js');

const ROOT = path.dirname(__dirname);
const AUTHOR = { GIT_AUTHOR_NAME: 'Test', GIT_AUTHOR_EMAIL: 'test@localhost' };
const COMMITTER = { GIT_COMMITTER_NAME: 'Test', GIT_COMMITTER_EMAIL: 'test@localhost' };

describe('npm run release', { skip: !fs.existsSync(path.join(ROOT, '.git')) }, () => {
  let clone;
  const options = () => ({ cwd: clone, env: { ...process.env, ...AUTHOR, ...COMMITTER } });
  const git = (...args) => run(['git', ...args], options()).trim();
  const read = (name) => fs.readFileSync(path.join(clone, name), 'utf8');

  before(() => {
    clone = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-release-'));
    run(['git', 'clone', '--quiet', '--depth=1', `file://${ROOT}`, clone]);
    // The state to be tested is that of the files, committed or not.
    fs.copyFileSync(path.join(__dirname, 'release.js'), path.join(clone, 'packaging/release.js'));
    git('add', '--all');
    git('commit', '--quiet', '--allow-empty', '--message', 'The files of the checkout');
  });

  after(() => fs.rmSync(clone, { recursive: true, force: true }));

  function release(...args) {
    const command = ['packaging/release.js', ...args];
    const { status, stdout, stderr } = spawnSync(process.execPath, command, {
      ...options(),
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  it('shows the changes and makes none, without --yes', () => {
    const before = git('rev-parse', 'HEAD');
    const { status, stdout } = release('98.7.6');
    assert.equal(status, 0);
    for (const name of ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock']) {
      assert.match(stdout, new RegExp(`^${name}: .*98\\.7\\.6`, 'm'));
    }
    assert.match(stdout, /^CHANGELOG\.md: ## 98\.7\.6 - \d{4}-\d\d-\d\d$/m);
    assert.deepEqual(
      [git('rev-parse', 'HEAD'), git('tag'), git('status', '--porcelain')],
      [before, '', ''],
    );
  });

  for (const [version, reason] of [
    ['1.2', /not a version/],
    ['0.0.1', /does not come after/],
    ['0.1.0-rc.1', /does not come after/],
  ]) {
    it(`refuses ${version}`, () => {
      const { status, stderr } = release(version, '--yes');
      assert.equal(status, 1);
      assert.match(stderr, reason);
    });
  }

  it('refuses while something is not committed', () => {
    fs.writeFileSync(path.join(clone, 'new.txt'), 'new');
    const { status, stderr } = release('98.7.6', '--yes');
    fs.rmSync(path.join(clone, 'new.txt'));
    assert.equal(status, 1);
    assert.match(stderr, /commit first:\n\?\? new\.txt/);
  });

  it('with --yes sets the version everywhere, dates the changelog, commits, and tags', () => {
    const { version } = JSON.parse(read('package.json'));
    assert.equal(release('98.7.6', '--yes').status, 0);
    assert.deepEqual(
      [git('status', '--porcelain'), git('tag'), git('log', '-1', '--format=%s')],
      ['', 'v98.7.6', 'Release 98.7.6'],
    );
    assert.equal(git('rev-parse', 'v98.7.6^{commit}'), git('rev-parse', 'HEAD'));
    assert.equal(JSON.parse(read('package.json')).version, '98.7.6');
    const lock = JSON.parse(read('package-lock.json'));
    assert.deepEqual([lock.version, lock.packages[''].version], ['98.7.6', '98.7.6']);
    for (const name of ['Cargo.toml', 'Cargo.lock', 'fuzz/Cargo.lock']) {
      assert.match(read(name), /name = "sockhop-native"\nversion = "98\.7\.6"/, name);
    }
    assert.match(read('lib/internal/native/version.js'), /VERSION = '98\.7\.6';/);
    assert.match(read('CHANGELOG.md'), /\n## Unreleased\n\n## 98\.7\.6 - /);
    assert.equal(git('diff', '--numstat', 'HEAD~', '--', 'package-lock.json').split('\t')[0], '2');
    assert.notEqual(version, '98.7.6');
  });

  it('refuses a second release with nothing in the changelog', () => {
    const { status, stderr } = release('98.7.7');
    assert.equal(status, 1);
    assert.match(stderr, /nothing under "Unreleased"/);
  });
});
