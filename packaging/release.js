// Makes a release of the checkout: sets the version everywhere, dates the section of the changelog, commits, and tags.
// The workflow .github/workflows/release.yml builds, tests and publishes the tag once it is pushed.
//
//   npm run release -- 1.2.3         shows the changes
//   npm run release -- 1.2.3 --yes   makes them

const fs = require('node:fs');
const path = require('node:path');

const { run } = require('./commands.js');

const ROOT = path.dirname(__dirname);
const git = (...args) => run(['git', ...args], { cwd: ROOT }).trim();
const read = (name) => fs.readFileSync(path.join(ROOT, name), 'utf8');

/** Replaces the one match of a pattern. */
function replaceOnce(text, pattern, replacement) {
  if (!pattern.test(text)) throw new Error(`nothing matches ${pattern}`);
  return text.replace(pattern, replacement);
}

function editPackageLock(text, version) {
  const lock = JSON.parse(text);
  lock.version = version;
  lock.packages[''].version = version;
  return `${JSON.stringify(lock, null, 2)}\n`;
}

const editCargoLock = (text, version) =>
  replaceOnce(text, /(\nname = "sockhop-native"\nversion = ")[^"]+/, `$1${version}`);

function editChangelog(text, version) {
  if (text.includes(`\n## ${version} `)) {
    throw new Error(`CHANGELOG.md has a section "${version}" already`);
  }
  const [, section = ''] = /\n## Unreleased\n([\s\S]*?)(?=\n## |$)/.exec(text) ?? [];
  if (section.trim() === '') throw new Error('CHANGELOG.md has nothing under "Unreleased"');
  const date = new Date().toISOString().slice(0, 10);
  return text.replace('\n## Unreleased\n', `\n## Unreleased\n\n## ${version} - ${date}\n`);
}

/** The files that have the version, and how each gets another one. */
const EDITS = {
  'package.json': (text, version) => replaceOnce(text, /(\n {2}"version": ")[^"]+/, `$1${version}`),
  'package-lock.json': editPackageLock,
  'Cargo.toml': (text, version) => replaceOnce(text, /(\nversion = ")[^"]+/, `$1${version}`),
  'Cargo.lock': editCargoLock,
  'fuzz/Cargo.lock': editCargoLock,
  'lib/internal/native/version.js': (text, version) =>
    replaceOnce(text, /(VERSION = ')[^']+/, `$1${version}`),
  'CHANGELOG.md': editChangelog,
};

const SEMVER = /^(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$/;

/** Whether version `next` comes after `current`; a pre-release comes before its release. */
function isLater(next, current) {
  const [, ...a] = SEMVER.exec(next);
  const [, ...b] = SEMVER.exec(current);
  for (let i = 0; i < 3; i++) {
    if (a[i] !== b[i]) return Number(a[i]) > Number(b[i]);
  }
  if (a[3] === undefined || b[3] === undefined) return a[3] === undefined && b[3] !== undefined;
  return a[3].localeCompare(b[3], 'en', { numeric: true }) > 0;
}

function check(version) {
  if (!SEMVER.test(version))
    throw new Error(`"${version}" is not a version, such as 1.2.3 or 1.2.3-rc.1`);
  const { version: current } = JSON.parse(read('package.json'));
  if (!isLater(version, current)) throw new Error(`${version} does not come after ${current}`);
  if (git('tag', '--list', `v${version}`) !== '') throw new Error(`there is a tag v${version}`);
  const changes = git('status', '--porcelain');
  if (changes !== '') throw new Error(`commit first:\n${changes}`);
}

/** The lines of `after` that `before` does not have. */
function newLines(before, after) {
  const old = new Set(before.split('\n'));
  return after.split('\n').filter((line) => !old.has(line));
}

function main(argv) {
  const [version] = argv.filter((arg) => arg !== '--yes');
  if (version === undefined) throw new Error('usage: npm run release -- <version> [--yes]');
  check(version);
  const edited = Object.entries(EDITS).map(([name, edit]) => {
    const before = read(name);
    const after = edit(before, version);
    for (const line of newLines(before, after)) console.log(`${name}: ${line.trim()}`);
    return { name, after };
  });
  if (!argv.includes('--yes')) {
    console.log('Nothing was changed. With --yes these files are written, committed and tagged.');
    return;
  }
  for (const { name, after } of edited) fs.writeFileSync(path.join(ROOT, name), after);
  git('commit', '--quiet', '--message', `Release ${version}`, '--', ...Object.keys(EDITS));
  git('tag', '--annotate', `v${version}`, '--message', `Version ${version}`);
  console.log(`Committed and tagged v${version}. To publish it: git push --follow-tags`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
