'use strict';

// Preloaded (NODE_OPTIONS=--require) into the original's test runner and into every program its
// tests start. It redirects two kinds of requests to the package under test:
//
// - `../index.js` and `../lib/X.js` in the original's test directory and in its slambang.js,
// - `sockhop` in the test directory of a package that uses the original, and in
//   conformance/downstream.

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const from = process.env.CONFORMANCE_ORIGINAL;
const to = process.env.CONFORMANCE_UNDER_TEST;
const trace = process.env.CONFORMANCE_TRACE;

if (from && to) {
  const uses = process.env.CONFORMANCE_USES === '1';
  const requesters = [
    path.join(from, 'test') + path.sep,
    path.join(from, 'slambang.js'),
    path.join(__dirname, 'downstream') + path.sep,
  ];
  const resolve = Module._resolveFilename;

  Module._resolveFilename = function (request, parent, ...rest) {
    const file = parent?.filename;
    if (!file || !requesters.some((prefix) => file.startsWith(prefix))) {
      return resolve.call(this, request, parent, ...rest);
    }
    if (request === 'sockhop') {
      const found = resolve.call(this, path.join(to, 'index.js'), parent, ...rest);
      if (trace) fs.appendFileSync(trace, `${request} ${found}\n`);
      return found;
    }
    if (request.startsWith('.') && !uses) {
      const wanted = path.relative(from, path.resolve(path.dirname(file), request));
      if (wanted.startsWith('..')) return resolve.call(this, request, parent, ...rest);
      const found = resolve.call(this, path.join(to, wanted), parent, ...rest);
      // The runner reads this to verify that requests were redirected.
      if (trace) fs.appendFileSync(trace, `${wanted} ${found}\n`);
      return found;
    }
    try {
      return resolve.call(this, request, parent, ...rest);
    } catch (error) {
      // chai is resolved from here if the unpacked original has no node_modules.
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
      return require.resolve(request, { paths: [__dirname] });
    }
  };
}
