// Assembles the packages of a release: the main package without binaries and sources of Rust, and
// one for each binding.
//
//   node packaging/assemble.js <directory> <file.node>...
//
// `npm pack` in a checkout makes another package, which needs no others: it has the binding of the
// machine, and the sources to build one.

const fs = require('node:fs');
const path = require('node:path');

const { bindingFileName, bindingPackageName } = require('../lib/internal/native/platform.js');
const manifest = require('../package.json');
const { npmCommand, run } = require('./commands.js');
const publisher = require('./publisher.json');
const { targetOf } = require('./targets.js');

const ROOT = path.dirname(__dirname);

/**
 * Files that only a checkout and its own `npm pack` have: the binding, and the files needed to
 * build it.
 */
const BUILD_FILES = /^(src\/|scripts\/|build\.rs$|Cargo\.(toml|lock)$|[^/]+\.node$)/;

/**
 * The fields of package.json that programs and registries read. Only a checkout needs the others.
 */
const MAIN_FIELDS = [
  'name',
  'version',
  'description',
  'keywords',
  'license',
  'author',
  'type',
  'main',
  'types',
  'exports',
  'typesVersions',
  'bin',
  'engines',
  'peerDependencies',
  'peerDependenciesMeta',
];

const SHARED_FIELDS = ['version', 'license', 'author', 'type', 'engines'];

const pick = (names) => Object.fromEntries(names.map((name) => [name, manifest[name]]));

/**
 * The fields that name the publisher: those of publisher.json, or of the repository whose workflow
 * this runs in.
 */
function publisherFields() {
  const fields = Object.entries(publisher).filter(([, value]) => value !== null);
  const { GITHUB_SERVER_URL: host, GITHUB_REPOSITORY: name } = process.env;
  if (!publisher.repository && host && name) {
    fields.push(['repository', { type: 'git', url: `git+${host}/${name}.git` }]);
  }
  return Object.fromEntries(fields);
}

function writeManifest(directory, fields) {
  const text = `${JSON.stringify(fields, null, 2)}\n`;
  fs.writeFileSync(path.join(directory, 'package.json'), text);
}

/**
 * The files that `npm pack` of the checkout would pack, except those that are only needed to build.
 * @returns {string[]}
 */
function mainFiles() {
  const answer = JSON.parse(
    run(npmCommand('pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'), {
      cwd: ROOT,
    }),
  );
  // The answer is a list up to npm 10, and an object with the names of packages in later versions.
  const [{ files }] = Object.values(answer);
  return files.map((file) => file.path).filter((file) => !BUILD_FILES.test(file));
}

let known;

/**
 * The same files. npm is asked once for each process, or not at all if the environment variable
 * SOCKHOP_MAIN_FILES has the list, in JSON.
 */
function knownFiles() {
  const { SOCKHOP_MAIN_FILES: list } = process.env;
  known ??= list ? JSON.parse(list) : mainFiles();
  return known;
}

function assembleMain(directory, tags) {
  for (const file of knownFiles()) {
    fs.mkdirSync(path.join(directory, path.dirname(file)), { recursive: true });
    fs.copyFileSync(path.join(ROOT, file), path.join(directory, file));
  }
  const version = manifest.version;
  writeManifest(directory, {
    ...pick(MAIN_FIELDS),
    ...publisherFields(),
    optionalDependencies: Object.fromEntries(tags.map((tag) => [bindingPackageName(tag), version])),
  });
}

function assembleBinding(directory, tag, file) {
  const { os, cpu, libc } = targetOf(tag);
  const name = bindingPackageName(tag);
  fs.mkdirSync(directory, { recursive: true });
  fs.copyFileSync(file, path.join(directory, bindingFileName(tag)));
  fs.copyFileSync(path.join(ROOT, 'LICENSE'), path.join(directory, 'LICENSE'));
  fs.writeFileSync(
    path.join(directory, 'README.md'),
    `# ${name}\n\nThe native binding of \`sockhop-native\` for ${tag}. Install \`sockhop-native\`, which depends on it.\n`,
  );
  writeManifest(directory, {
    name,
    description: `The native binding of sockhop-native for ${tag}`,
    ...pick(SHARED_FIELDS),
    ...publisherFields(),
    main: bindingFileName(tag),
    files: [bindingFileName(tag)],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
  });
}

/**
 * @param {string} directory where to put the packages, each in a directory with its name
 * @param {Map<string, string>} bindings the file of each tag
 * @returns {string[]} the directories in the order in which they are published: the main package needs the others
 */
function assemble(directory, bindings) {
  fs.rmSync(directory, { recursive: true, force: true });
  const directories = [];
  for (const [tag, file] of bindings) {
    const home = path.join(directory, bindingPackageName(tag));
    assembleBinding(home, tag, file);
    directories.push(home);
  }
  const main = path.join(directory, manifest.name);
  assembleMain(main, [...bindings.keys()]);
  return [...directories, main];
}

/** The tag in the name of each file: `sockhop-native.<tag>.node`. */
function bindingsOf(files) {
  return new Map(
    files.map((file) => {
      const tag = /^sockhop-native\.(.+)\.node$/.exec(path.basename(file))?.[1];
      return [targetOf(tag).tag, file];
    }),
  );
}

module.exports = { assemble, bindingsOf, mainFiles };

if (require.main === module) {
  const [directory, ...files] = process.argv.slice(2);
  if (files.length === 0) {
    console.error('usage: node packaging/assemble.js <directory> <file.node>...');
    process.exitCode = 2;
  } else {
    for (const home of assemble(path.resolve(directory), bindingsOf(files))) console.log(home);
  }
}
