'use strict';

// The documents and the declarations name everything that a program can meet: options, figures, codes of errors and
// warnings, variables of the environment. Most of it is generated from the tables that the package itself works with.
// Every document names and links only files and headings that exist.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { client, server } = require('../index.js');
const {
  normalizeClientOptions,
  normalizeServerOptions,
} = require('../lib/internal/options/options.js');
const { NODE_CODES, SOCKHOP_CODES } = require('../lib/internal/errors/codes.js');
const { OPTIONS } = require('../lib/internal/options/table.js');
const { withParts } = require('../scripts/reference.js');
const { filesIn } = require('./support/files.js');
const { brokenLinks } = require('./support/links.js');

const ROOT = path.join(__dirname, '..');
const read = (...names) => fs.readFileSync(path.join(ROOT, ...names), 'utf8');

const guide = read('API.md');
const declarations = read('index.d.ts');
const sources = filesIn('lib')
  .filter((name) => name.endsWith('.js'))
  .map((name) => read(name));

/** All that an expression finds in the sources, each once. */
function inSources(expression) {
  return new Set(sources.flatMap((source) => [...source.matchAll(expression)].map(([, it]) => it)));
}

/** The names that are not in a text as a word. */
const missing = (names, text) =>
  [...names].filter((name) => !new RegExp(`\\b${name}\\b`).test(text));

/** The text between two lines of the declarations. */
function declared(from, to) {
  const start = declarations.indexOf(from);
  assert.notEqual(start, -1, from);
  return declarations.slice(start, declarations.indexOf(to, start));
}

describe('API.md and index.d.ts', () => {
  it('name every figure of stats()', () => {
    const figures = new Set([
      ...Object.keys(new client().stats()),
      ...Object.keys(new server().stats()),
    ]);
    assert.ok(figures.size >= 18);
    assert.deepEqual(missing(figures, guide), []);
    assert.deepEqual(missing(figures, declared('export interface SockhopStats', '\n}\n')), []);
  });

  it('name every option', () => {
    const options = new Set([
      ...Object.keys(normalizeClientOptions()),
      ...Object.keys(normalizeServerOptions({}, { defaults: { session_type: null } })),
    ]);
    assert.ok(options.size >= 20);
    assert.deepEqual(missing(options, guide), []);
    const interfaces = declared('export interface SockhopOptions', 'export interface SessionClass');
    assert.deepEqual(missing(options, interfaces), []);
  });

  it('have the options, figures and codes of the tables, as "npm run reference" writes them', () => {
    assert.equal(withParts('API.md', guide), guide);
    assert.equal(withParts('index.d.ts', declarations), declarations);
  });

  it('name the code of every error and warning of this package', () => {
    // The code in a comparison may belong to an error of Node.
    const codes = inSources(/(?<!=== )'((?:ERR|SOCKHOP)_(?!SSL_)[A-Z_]+)'/g);
    assert.ok(codes.size >= 30);
    assert.deepEqual(missing(codes, guide), []);
  });

  it("name every variable of the environment that is this package's own", () => {
    const variables = inSources(/process\.env\.(SOCKHOP_[A-Z_]+)/g);
    assert.ok(variables.size >= 2);
    assert.deepEqual(missing(variables, guide), []);
  });
});

describe('the table of codes', () => {
  /** The codes of errors that the sources make, with `new SockhopError()` or by assignment. */
  const made = (expression) => [...inSources(expression)].sort();
  const NEW = /new SockhopError\(.{1,400}?'(ERR_[A-Z_]+)'/gs;
  const ASSIGNED = /\.code = '([A-Z_]+)'/g;

  it('has every code that a SockhopError is made with, and no other', () => {
    const codes = made(NEW);
    assert.ok(codes.length >= 10);
    assert.deepEqual(codes, Object.keys(SOCKHOP_CODES).sort());
  });

  it('has every code that is given to an error of Node', () => {
    const codes = made(ASSIGNED).filter((code) => !(code in SOCKHOP_CODES));
    assert.ok(codes.length >= 5);
    assert.deepEqual(
      codes.filter((code) => !(code in NODE_CODES)),
      [],
    );
  });

  it('has the code of every limit', () => {
    const codes = OPTIONS.flatMap(({ limits = [] }) => limits.map(({ error }) => error));
    assert.ok(codes.length >= 8);
    assert.deepEqual(
      codes.filter((code) => !(code in SOCKHOP_CODES) && !(code in NODE_CODES)),
      [],
    );
  });
});

describe('MIGRATION.md', () => {
  it('gives a reason for every difference', () => {
    const rows = read('MIGRATION.md')
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| 1.8.4 |'))
      .filter((line) => !line.startsWith('| ---'));
    assert.ok(rows.length >= 50);
    assert.deepEqual(
      rows.filter((line) => /\|\s*\|$/.test(line)),
      [],
    );
  });
});

/** The documents of the repository, by their paths. */
const documents = ['', 'docs', 'benchmark', 'benchmark/results'].flatMap((directory) =>
  fs
    .readdirSync(path.join(ROOT, directory))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.posix.join(directory, name)),
);

/** The directories of the repository, without those that git ignores. */
const directories = fs
  .readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)
  .filter((name) => !['.git', 'node_modules', 'target'].includes(name));

/** The paths of this repository in the code of a text, such as `lib/SockhopClient.js`. */
function pathsIn(text) {
  const inline = [...text.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code.split(/\s+/));
  const words = inline.map((word) => word.replace(/[:,;.]+$/, ''));
  return words.filter(
    (word) => directories.some((name) => word.startsWith(`${name}/`)) && /^[\w./-]+$/.test(word),
  );
}

const missingPaths = (names, text) => names.filter((name) => !text.includes(`\`${name}\``));

describe('the documents of the repository', () => {
  it('name only files and directories that exist', () => {
    const missing = documents.flatMap((document) =>
      pathsIn(read(document))
        .filter((name) => !fs.existsSync(path.join(ROOT, name)))
        .map((name) => `${document}: ${name}`),
    );
    assert.ok(documents.length >= 12);
    assert.ok(pathsIn(read('ARCHITECTURE.md')).length >= 30);
    assert.deepEqual(missing, []);
  });

  it('name every file with unsafe code in ARCHITECTURE.md', () => {
    const withUnsafe = filesIn('src')
      .filter((name) => name.endsWith('.rs'))
      .filter((name) => /^(?!\s*\/\/).*\bunsafe (extern|fn|impl|\{)/m.test(read(name)));
    assert.ok(withUnsafe.length >= 8);
    assert.deepEqual(missingPaths(withUnsafe, read('ARCHITECTURE.md')), []);
  });

  it('link only to files and headings that exist', () => {
    const exists = (name) => fs.existsSync(path.join(ROOT, name));
    assert.deepEqual(brokenLinks(documents, { read, exists }), []);
  });
});
