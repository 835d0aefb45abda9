// Releases that are refused before anything is uploaded. The rehearsal publishes to a registry of its own.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, describe, it } = require('node:test');

const { assemble } = require('./assemble.js');
const { bindingPackageName } = require('../lib/internal/native/platform.js');
const { BINDING, TAG } = require('./installed.js');
const { TARGETS } = require('./targets.js');

describe('publishing', () => {
  let scratch;

  beforeEach(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-publish-'));
  });

  afterEach(() => fs.rmSync(scratch, { recursive: true, force: true }));

  function publish(directory, ...args) {
    const env = {
      ...process.env,
      // Nothing listens there, and a dry run does not need it.
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_fetch_retries: '0',
    };
    delete env.GITHUB_REPOSITORY;
    const command = [path.join(__dirname, 'publish.js'), directory, ...args];
    return spawnSync(process.execPath, command, { encoding: 'utf8', env });
  }

  /** A release with a text in place of each binding, which nothing here loads: npm compresses a binding for a second. */
  function completeRelease() {
    const text = path.join(__dirname, '..', 'LICENSE');
    assemble(scratch, new Map(TARGETS.map(({ tag }) => [tag, text])));
    return scratch;
  }

  it('refuses a release that lacks the package of a platform, and names it', () => {
    assemble(scratch, new Map([[TAG, BINDING]]));
    const { status, stderr } = publish(scratch);
    assert.equal(status, 1);
    for (const { tag } of TARGETS.filter((target) => target.tag !== TAG)) {
      assert.ok(stderr.includes(bindingPackageName(tag)), stderr);
    }
    assert.ok(!stderr.includes(bindingPackageName(TAG)), stderr);
  });

  it('refuses a release without a repository, which provenance needs', () => {
    const { status, stderr } = publish(completeRelease(), '--yes');
    assert.equal(status, 1);
    assert.match(stderr, /packaging\/publisher\.json names no repository/);
  });

  it('without --yes packs and uploads nothing, the main package last', () => {
    const { status, stdout, stderr } = publish(completeRelease());
    assert.equal(status, 0, stderr);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, TARGETS.length + 1);
    assert.ok(lines.every((line) => line.endsWith(' would be published')));
    assert.match(lines.at(-1), /^sockhop-native@/);
  });
});
