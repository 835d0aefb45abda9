'use strict';

// The structure of the source: modules depend on each other in one direction, and files have a
// readable length.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { filesIn } = require('./support/files.js');

const ROOT = path.dirname(__dirname);

const read = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8');

/** Groups of nodes that reach each other, in a graph given as a map from a node to a set of nodes (Tarjan). */
function cyclesOf(graph) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const cycles = [];
  const visit = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node), low.get(next)));
    }
    if (low.get(node) !== index.get(node)) return;
    const group = stack.splice(stack.indexOf(node));
    if (group.length > 1) cycles.push(group);
  };
  for (const node of graph.keys()) if (!index.has(node)) visit(node);
  return cycles;
}

/** One line for each edge within each cycle, for the message of a failure. */
function edgesWithin(cycles, graph) {
  return cycles.flatMap((group) =>
    group.flatMap((from) =>
      [...graph.get(from)].filter((to) => group.includes(to)).map((to) => `${from} uses ${to}`),
    ),
  );
}

/** Expands `a::{b, c::d}` to its paths. */
function expandUse(text) {
  const brace = text.indexOf('{');
  if (brace < 0) return [text.replace(/\s+as\s+\w+$/, '')];
  const prefix = text.slice(0, brace);
  const parts = [];
  let depth = 0;
  let part = '';
  for (const character of text.slice(brace + 1, text.lastIndexOf('}'))) {
    if (character === '{') depth += 1;
    if (character === '}') depth -= 1;
    if (character === ',' && depth === 0) {
      parts.push(part);
      part = '';
    } else {
      part += character;
    }
  }
  return [...parts, part]
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .flatMap((each) => expandUse(each))
    .map((each) => prefix + each);
}

/** The Rust modules, and the modules that each uses outside of its tests. */
function rustGraph() {
  const moduleOf = (file) => {
    const parts = file
      .replace(/^src\//, '')
      .replace(/\.rs$/, '')
      .split('/');
    if (['mod', 'lib'].includes(parts.at(-1))) parts.pop();
    return parts.join('::');
  };
  const files = filesIn('src').filter((file) => /\.rs$/.test(file) && !isException(file));
  const modules = new Map(files.map((file) => [moduleOf(file), file]));
  const graph = new Map();
  for (const [name, file] of modules) {
    const here = name === '' ? [] : name.split('::');
    const text = read(file)
      .replace(/\/\/.*$/gm, '')
      .replace(
        /^#\[cfg\((?:test|all\(test).*\]\n(?:#.*\n)*(?:[^\n{]*;\n|[^\n]*\{\n[\s\S]*?^\}\n)/gm,
        '',
      );
    const children = [...text.matchAll(/^(?:pub(?:\([^)]*\))? )?mod (\w+);/gm)].map((m) => m[1]);
    const resolve = (path) => {
      const [first, ...rest] = path.replace(/\s/g, '').split('::');
      if (first === 'crate') return rest;
      if (first === 'self') return [...here, ...rest];
      if (children.includes(first)) return [...here, first, ...rest];
      if (first !== 'super') return undefined;
      const levels = [first, ...rest].findIndex((part) => part !== 'super');
      return [...here.slice(0, here.length - levels), ...[first, ...rest].slice(levels)];
    };
    const used = new Set();
    const add = (path) => {
      const parts = resolve(path);
      if (!parts) return;
      for (let length = parts.length; length > 0; length -= 1) {
        const target = parts.slice(0, length).join('::');
        if (!modules.has(target)) continue;
        if (target !== name) used.add(target);
        return;
      }
    };
    for (const [, use] of text.matchAll(/^\s*(?:pub(?:\([^)]*\))? )?use ([^;]+);/gm)) {
      for (const path of expandUse(use)) add(path);
    }
    for (const [path] of text.matchAll(/\b(?:crate|super)(?:::\w+)+/g)) add(path);
    graph.set(name, used);
  }
  return graph;
}

/** The JavaScript files of lib, and the files that each requires. */
function javaScriptGraph() {
  const graph = new Map();
  for (const file of filesIn('lib').filter((name) => name.endsWith('.js'))) {
    const required = [...read(file).matchAll(/\brequire\('(\.[^']*)'\)/g)].map(([, target]) =>
      path.posix.join(path.posix.dirname(file), target),
    );
    graph.set(file, new Set(required));
  }
  return graph;
}

/** Tests, loom models and generated files may use everything, and may be long. */
const isException = (file) => /(^|\/)(tests|loom)(\.rs$|\/)/.test(file) || /generated/.test(file);

describe('the source', () => {
  it('has Rust modules that do not depend on each other in a circle', () => {
    const graph = rustGraph();
    assert.ok([...graph.values()].reduce((sum, used) => sum + used.size, 0) > 50, 'uses are found');
    assert.deepStrictEqual(edgesWithin(cyclesOf(graph), graph), []);
  });

  it('has JavaScript modules that do not depend on each other in a circle', () => {
    const graph = javaScriptGraph();
    assert.ok(
      [...graph.values()].reduce((sum, used) => sum + used.size, 0) > 50,
      'requires are found',
    );
    assert.deepStrictEqual(edgesWithin(cyclesOf(graph), graph), []);
  });

  it('has no file over 600 lines', () => {
    const lines = (file) => read(file).split('\n').length - 1;
    const files = ['src', 'lib', 'scripts', 'packaging', 'examples'].flatMap((folder) =>
      filesIn(folder),
    );
    const long = files
      .filter((file) => /\.(rs|js)$/.test(file) && !isException(file) && lines(file) > 600)
      .map((file) => `${file}: ${lines(file)} lines`);
    assert.deepStrictEqual(long, []);
  });
});
