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

/** The code of a Rust file, without comments and tests. */
const rustCode = (file) =>
  read(file)
    .replace(/\/\/.*$/gm, '')
    .replace(
      /^#\[cfg\((?:test|all\(test).*\]\n(?:#.*\n)*(?:[^\n{]*;\n|[^\n]*\{\n[\s\S]*?^\}\n)/gm,
      '',
    );

/** The Rust files, without tests and loom models. */
const rustFiles = () => filesIn('src').filter((file) => /\.rs$/.test(file) && !isException(file));

/** The Rust modules, and the modules that each uses outside of its tests. */
function rustGraph(codeOf = rustCode) {
  const moduleOf = (file) => {
    const parts = file
      .replace(/^src\//, '')
      .replace(/\.rs$/, '')
      .split('/');
    if (['mod', 'lib'].includes(parts.at(-1))) parts.pop();
    return parts.join('::');
  };
  const modules = new Map(rustFiles().map((file) => [moduleOf(file), file]));
  const graph = new Map();
  for (const [name, file] of modules) {
    const here = name === '' ? [] : name.split('::');
    const text = codeOf(file);
    const children = [...text.matchAll(/^(?:pub(?:\([^)]*\))? )?mod (\w+);/gm)].map((m) => m[1]);
    const resolve = (path) => {
      const [first, ...rest] = path.replace(/[\s$]/g, '').split('::');
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
    // Not only at the beginning of a line: a macro may contain a `use`.
    for (const [, use] of text.matchAll(/\buse\s+([\w:{}*,\s$]+);/g)) {
      for (const path of expandUse(use)) add(path);
    }
    const beginnings = ['crate', 'super', 'self', ...children].join('|');
    const paths = new RegExp(`(?<![\\w:])(?:${beginnings})(?:::\\w+)+`, 'g');
    for (const [path] of text.matchAll(paths)) add(path);
    graph.set(name, used);
  }
  return graph;
}

/** The JavaScript files of lib, and the files that each requires, at once or later. */
function javaScriptGraph(codeOf = read) {
  const graph = new Map();
  for (const file of filesIn('lib').filter((name) => name.endsWith('.js'))) {
    const code = codeOf(file).replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');
    const required = [...code.matchAll(/\b(?:require|import)\(\s*(['"`])(\.[^'"`]*)\1/g)].map(
      ([, , target]) => path.posix.join(path.posix.dirname(file), target),
    );
    graph.set(file, new Set(required));
  }
  return graph;
}

/** The layers of the Rust code from top to bottom, as ARCHITECTURE.md lists them. */
const layersOfDocument = () =>
  [...read('ARCHITECTURE.md').matchAll(/^src\/(\w+)\/ /gm)].map(([, layer]) => layer);

/** Tests, loom models and generated files may use everything, and may be long. */
const isException = (file) => /(^|\/)(tests|loom)(\.rs$|\/)/.test(file) || /generated/.test(file);

describe('the source', () => {
  it('has Rust modules that do not depend on each other in a circle', () => {
    const graph = rustGraph();
    assert.ok([...graph.values()].reduce((sum, used) => sum + used.size, 0) > 50, 'uses are found');
    assert.deepStrictEqual(edgesWithin(cyclesOf(graph), graph), []);
  });

  it('is searched for circles of Rust modules, however a module names another', () => {
    // The framer for binary frames uses the one for text frames.
    for (const line of [
      'use super::mixed_framer::MixedFramer;',
      'pub use crate::{events, protocol::mixed_framer as other};',
      'pub(crate) use super::{self, terminator::*, mixed_framer::{Incoming, MixedFramer}};',
      'fn f() { crate::protocol::mixed_framer::f() }',
      'macro_rules! m { () => { use $crate::protocol::{mixed_framer, terminator}; }; }',
      'macro_rules! m { () => { $crate::protocol::mixed_framer::f() }; }',
    ]) {
      const graph = rustGraph((file) =>
        file === 'src/protocol/framer.rs' ? `${rustCode(file)}\n${line}\n` : rustCode(file),
      );
      const circle = edgesWithin(cyclesOf(graph), graph);
      assert.ok(circle.includes('protocol::framer uses protocol::mixed_framer'), line);
    }
    // A module file that uses names of its child, which uses the module file.
    for (const line of ['fn f() { read::f() }', 'fn f() { self::read::f() }']) {
      const graph = rustGraph((file) =>
        file === 'src/connection/mod.rs' ? `${rustCode(file)}\n${line}\n` : rustCode(file),
      );
      const circle = edgesWithin(cyclesOf(graph), graph);
      assert.ok(circle.includes('connection uses connection::read'), line);
    }
  });

  it('has Rust layers that use only those below them, in the order of ARCHITECTURE.md', () => {
    const layers = layersOfDocument();
    assert.strictEqual(layers.length, 6);
    const layerOf = (module) => layers.indexOf(module.split('::')[0]);
    const upward = [];
    for (const [module, used] of rustGraph()) {
      // The root declares the layers; the locks and the log events are for all of them.
      if (['', 'sync', 'trace'].includes(module)) continue;
      assert.ok(layerOf(module) >= 0, `${module} is in a layer`);
      for (const other of used) {
        if (!['sync', 'trace'].includes(other) && layerOf(other) < layerOf(module)) {
          upward.push(`${module} uses ${other}`);
        }
      }
    }
    assert.deepStrictEqual(upward, []);
  });

  it('has N-API and unsafe code in src/node alone, and no I/O and no clock in src/protocol', () => {
    const others = rustFiles().filter((file) => !file.startsWith('src/node/'));
    const unsafe = others.filter((file) => /\bnapi|\bunsafe\b/.test(rustCode(file)));
    assert.deepStrictEqual(unsafe, []);
    const protocol = others.filter((file) => file.startsWith('src/protocol/'));
    assert.ok(protocol.length > 5);
    const impure =
      /\bstd::(?:env|fs|io|net|os|process|sync::mpsc|thread|time::\w)|\btokio\b|\bsocket2\b/;
    assert.deepStrictEqual(
      protocol.filter((file) => impure.test(rustCode(file))),
      [],
    );
  });

  it('has JavaScript modules that do not depend on each other in a circle', () => {
    const graph = javaScriptGraph();
    assert.ok(
      [...graph.values()].reduce((sum, used) => sum + used.size, 0) > 50,
      'requires are found',
    );
    assert.deepStrictEqual(edgesWithin(cyclesOf(graph), graph), []);
  });

  it('has folders in lib/internal that do not depend on each other in a circle', () => {
    const folderOf = (file) => /^lib\/internal\/(\w+)\//.exec(file)?.[1];
    const folders = new Map();
    for (const [file, required] of javaScriptGraph()) {
      const folder = folderOf(file);
      if (folder === undefined) continue;
      if (!folders.has(folder)) folders.set(folder, new Set());
      for (const other of [...required].map(folderOf)) {
        if (other !== undefined && other !== folder) folders.get(folder).add(other);
      }
    }
    assert.ok(folders.get('client').has('transport'), 'requires are found');
    assert.deepStrictEqual(edgesWithin(cyclesOf(folders), folders), []);
  });

  it('has JavaScript modules that name each other with the whole file name', () => {
    const graph = javaScriptGraph();
    const unknown = [...graph].flatMap(([file, required]) =>
      [...required]
        .filter((target) => !graph.has(target) && !target.endsWith('.node'))
        .map((target) => `${file} requires ${target}`),
    );
    assert.deepStrictEqual(unknown, []);
  });

  it('is searched for circles of JavaScript modules, however a module is required', () => {
    // The channel requires it.
    const used = 'lib/internal/messaging/packets.js';
    for (const line of [
      "const { MessageChannel } = require('./message-channel.js');",
      'const { MessageChannel } = require("./message-channel.js");',
      "const load = late(() => require('./message-channel.js').MessageChannel);",
      "const load = () => import('./message-channel.js');",
    ]) {
      const graph = javaScriptGraph((file) =>
        file === used ? `${read(file)}\n${line}\n` : read(file),
      );
      const circle = edgesWithin(cyclesOf(graph), graph);
      assert.ok(circle.includes(`${used} uses lib/internal/messaging/message-channel.js`), line);
    }
  });

  it('has no file over 600 lines', () => {
    const lines = (file) => read(file).split('\n').length - 1;
    const files = [
      ...['src', 'lib', 'scripts', 'packaging', 'examples', 'conformance', 'fuzz/fuzz_targets'],
      ...['lib', 'workloads', 'peers', 'cluster', 'memory'].map((folder) => `benchmark/${folder}`),
    ].flatMap((folder) => filesIn(folder));
    const long = files
      .filter((file) => /\.(rs|js)$/.test(file) && !isException(file) && lines(file) > 600)
      .map((file) => `${file}: ${lines(file)} lines`);
    assert.deepStrictEqual(long, []);
  });
});
