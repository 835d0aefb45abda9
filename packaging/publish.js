// Publishes assembled packages, the main package last, so that it never depends on one that is not there.
//
//   node packaging/publish.js <directory>         a dry run: npm packs and checks, and uploads nothing
//   node packaging/publish.js <directory> --yes   publishes; on GitHub with provenance

const fs = require('node:fs');
const path = require('node:path');

const { bindingPackageName } = require('../lib/internal/native/platform.js');
const { npmCommand, run } = require('./commands.js');
const { TARGETS } = require('./targets.js');

const MAIN = 'sockhop-native';

const manifestOf = (directory) =>
  JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8'));

/** An interrupted publication can be started again: published packages stay. */
function isPublished({ name, version }, options) {
  try {
    return run(npmCommand('view', `${name}@${version}`, 'version'), options).trim() === version;
  } catch {
    return false;
  }
}

/**
 * @param {string[]} directories in the order of publication
 * @param {{ yes: boolean, flags?: string[], options?: object }} settings
 */
function publish(directories, { yes, flags = [], options }) {
  for (const directory of directories) {
    const manifest = manifestOf(directory);
    const label = `${manifest.name}@${manifest.version}`;
    if (yes && isPublished(manifest, options)) {
      console.log(`${label} is published already`);
      continue;
    }
    const command = npmCommand('publish', directory, '--access', 'public', '--ignore-scripts');
    // Programs that name no version must not install a pre-release.
    command.push('--tag', manifest.version.includes('-') ? 'next' : 'latest');
    run([...command, ...flags, ...(yes ? [] : ['--dry-run'])], options);
    console.log(`${label} ${yes ? 'published' : 'would be published'}`);
  }
}

/** The directories of a whole release; a package that is missing would make programs on its platform fail. */
function completeRelease(directory) {
  const names = [...TARGETS.map(({ tag }) => bindingPackageName(tag)), MAIN];
  const missing = names.filter((name) => !fs.existsSync(path.join(directory, name)));
  if (missing.length > 0) throw new Error(`missing in ${directory}: ${missing.join(', ')}`);
  return names.map((name) => path.join(directory, name));
}

function main(argv) {
  const [directory] = argv.filter((arg) => arg !== '--yes');
  if (!directory) throw new Error('usage: node packaging/publish.js <directory> [--yes]');
  const yes = argv.includes('--yes');
  const directories = completeRelease(path.resolve(directory));
  if (yes && !manifestOf(directories.at(-1)).repository) {
    throw new Error('packaging/publisher.json names no repository');
  }
  const onGitHub = process.env.GITHUB_ACTIONS === 'true';
  publish(directories, { yes, flags: yes && onGitHub ? ['--provenance'] : [] });
}

module.exports = { publish };

if (require.main === module) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
