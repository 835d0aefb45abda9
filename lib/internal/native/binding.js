'use strict';

// Finds and loads the native half of the package, and exports what it exports.

const path = require('node:path');

const { bindingFileName, platformTag } = require('./platform.js');

const ROOT = path.join(__dirname, '..', '..', '..');

/** The first line says everything: that is what is left of an error in most logs. */
function failure(tag, attempts) {
  const tried = attempts.map(({ what, reason }) => `  - ${what}: ${reason}`);
  const advice =
    process.platform === 'win32'
      ? ['Windows is not supported yet.']
      : [
          `Build it with "npm run build" in ${ROOT}`,
          '(this needs a Rust toolchain, see https://rustup.rs).',
        ];
  const message = [
    `sockhop-native has no native binding that loads on ${tag} (Node ${process.version}). Looked for:`,
    ...tried,
    ...advice,
  ].join('\n');
  const error = new Error(message, { cause: attempts[attempts.length - 1].error });
  error.code = 'ERR_SOCKHOP_BINDING';
  return error;
}

/** A sentence on why `require(request)` failed, without the stack Node appends to "not found". */
function describe(error, request) {
  if (error?.code === 'MODULE_NOT_FOUND' && String(error.message).includes(request)) {
    return path.isAbsolute(request) ? 'no such file' : 'not installed';
  }
  return String(error?.message ?? error).split('\n')[0];
}

function load() {
  const tag = platformTag();
  const override = process.env.SOCKHOP_NATIVE_BINDING;
  const candidates = override
    ? [{ request: path.resolve(override), what: `${override} (from SOCKHOP_NATIVE_BINDING)` }]
    : [
        { request: path.join(ROOT, bindingFileName(tag)), what: bindingFileName(tag) },
        { request: `sockhop-native-${tag}`, what: `the package sockhop-native-${tag}` },
      ];

  const attempts = [];
  for (const { request, what } of candidates) {
    try {
      return require(request);
    } catch (error) {
      attempts.push({ what, reason: describe(error, request), error });
    }
  }
  throw failure(tag, attempts);
}

module.exports = load();
