'use strict';

// The documents and the declarations name all that a program can meet: options, figures, codes of errors and warnings,
// variables of the environment.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { client, server } = require('../index.js');
const {
  normalizeClientOptions,
  normalizeServerOptions,
} = require('../lib/internal/options/options.js');
const { filesIn } = require('./support/files.js');

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

  it('name the code of every error and warning of this package', () => {
    const codes = inSources(/'((?:ERR|SOCKHOP)_(?!SSL_)[A-Z_]+)'/g);
    assert.ok(codes.size >= 30);
    assert.deepEqual(missing(codes, guide), []);
  });

  it('name every code that a SockhopError is made with', () => {
    const codes = inSources(/new SockhopError\([^;]*?'(ERR_[A-Z_]+)'/gs);
    assert.ok(codes.size >= 10);
    const union = declared('export type SockhopErrorCode', ';');
    assert.deepEqual(missing(codes, union), []);
  });

  it("name every variable of the environment that is this package's own", () => {
    const variables = inSources(/process\.env\.(SOCKHOP_[A-Z_]+)/g);
    assert.ok(variables.size >= 2);
    assert.deepEqual(missing(variables, guide), []);
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
