'use strict';

// The declared types of the binding are those of its sources, and match its exports.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');

const native = require('../lib/internal/native/binding.js');
const { FILE, generate } = require('../scripts/native-types.js');

const SOURCES = path.join(path.dirname(__dirname), 'src', 'node');
const types = fs.readFileSync(FILE, 'utf8');

/** The classes in native.d.ts: the name and the body of each. */
const declared = [...types.matchAll(/^export declare class (\w+) \{\n(.*?)^\}/gms)].map(
  ([, name, body]) => [name, body],
);

/** The names of the members in the body of a class, without its constructor. */
function membersOf(body) {
  const code = body.replaceAll(/\/\*\*.*?\*\//gs, '');
  const names = [...code.matchAll(/^ {2}(?:get )?(\w+)\(/gm)].map(([, name]) => name);
  return names.filter((name) => name !== 'constructor').sort();
}

/** The methods of a native class: those of classes that programs extend are symbols by now. */
function methodsOf({ prototype }) {
  return Reflect.ownKeys(prototype)
    .filter((key) => key !== 'constructor')
    .map((key) => (typeof key === 'symbol' ? key.description.split('.')[1] : key))
    .sort();
}

describe('the types of the binding', () => {
  it('are those that the last build has made', async (t) => {
    const [major] = process.versions.node.split('.');
    if (major < 20) return t.skip('napi makes types on Node 20 and later');
    const generated = await generate();
    if (generated === null) return t.skip('the binding was not built in this directory');
    assert.equal(types, generated, 'run "npm run types:native"');
  });

  it('name the classes and methods that the binding has', () => {
    require('../lib/internal/native/classes.js');
    const classes = Object.keys(native).filter(
      (name) => native[name].prototype && /^[A-Z]/.test(name),
    );
    assert.deepEqual(
      declared.map(([name]) => name),
      classes.sort(),
    );
    for (const [name, body] of declared) {
      assert.deepEqual(membersOf(body), methodsOf(native[name]), name);
    }
  });

  it('have a symbol for each method of the classes that programs extend', () => {
    const symbols = Object.values(require('../lib/internal/native/classes.js'));
    for (const name of ['SockhopClient', 'SockhopServer', 'SockhopSession']) {
      const own = Object.getOwnPropertySymbols(native[name].prototype);
      assert.deepEqual(
        own.filter((symbol) => !symbols.includes(symbol)),
        [],
        name,
      );
    }
  });
});

describe('a native function', () => {
  it('turns a panic into an exception, which would end the process otherwise', () => {
    const functions = fs.readdirSync(SOURCES).flatMap((file) => {
      const source = fs.readFileSync(path.join(SOURCES, file), 'utf8');
      // An attribute of napi, other attributes, a function.
      const found = source.matchAll(
        /#\[napi(\(.*\))?\]\n(?: *#\[(?:[^[\]]|\[\])*\]\n)* *pub fn (\w+)/g,
      );
      return [...found].map(([, options, name]) => ({ file, name, options: options ?? '' }));
    });
    assert.ok(functions.length > 60, `${functions.length} functions are found`);
    const unguarded = functions.filter(({ options }) => !options.includes('catch_unwind'));
    assert.deepEqual(unguarded, []);
  });
});
