'use strict';

const fs = require('node:fs');
const { parseArgs } = require('node:util');

const { parseEndpoint } = require('./endpoint.js');

/** A mistake in the arguments. */
class UsageError extends Error {}

/**
 * An option of a command.
 *
 * @typedef {object} CliOption
 * @property {'string'|'boolean'} [type='string']
 * @property {string} [short] one letter
 * @property {string} [value] the name of its value in the help
 * @property {string} meaning without a full stop
 * @property {function(string): *} [convert] checks the value; throws a UsageError
 * @property {*} [default] as converted
 */

/**
 * @param {object} range
 * @param {number} range.min
 * @param {number} [range.max=Infinity]
 * @param {boolean} [range.isInteger=true]
 * @returns {function(string): number} for `convert`
 */
const number =
  ({ min, max = Number.POSITIVE_INFINITY, isInteger = true }) =>
  (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max && (!isInteger || Number.isInteger(value))) return value;
    const upTo = max === Number.POSITIVE_INFINITY ? '' : ` and <= ${max}`;
    throw new UsageError(`must be ${isInteger ? 'an integer' : 'a number'} >= ${min}${upTo}`);
  };

/** The longest time of a timer, in ms. */
const MAX_MS = 2 ** 31 - 1;
const milliseconds = number({ min: 1, max: MAX_MS, isInteger: false });

function file(name) {
  try {
    return fs.readFileSync(name);
  } catch (err) {
    throw new UsageError(`cannot be read: ${err.message}`);
  }
}

/** @type {Object<string, CliOption>} */
const PLACE = {
  unix: { value: 'PATH', meaning: 'Use the Unix socket at PATH instead of an endpoint' },
  peer: {
    value: 'json',
    meaning: 'The peer speaks bare JSON, without types, callbacks and requests',
    convert: (text) => {
      if (text !== 'json') throw new UsageError('must be json, or left out');
      return text;
    },
  },
};

/** @type {Object<string, CliOption>} */
const OUTPUT = {
  json: { type: 'boolean', meaning: 'Print one JSON object per line, for scripts' },
  help: { type: 'boolean', short: 'h', meaning: 'Print this help' },
};

/** @type {Object<string, CliOption>} */
const CONNECTION = {
  timeout: {
    value: 'MS',
    meaning: 'Time that an answer may take (5000)',
    convert: milliseconds,
    default: 5000,
  },
  'connect-timeout': {
    value: 'MS',
    meaning: 'Time that connecting may take, with the TLS handshake (5000)',
    convert: milliseconds,
    default: 5000,
  },
  tls: { type: 'boolean', meaning: 'Use TLS; the options that follow turn it on as well' },
  ca: {
    value: 'FILE',
    meaning: 'Trust the certificate authorities in FILE (PEM)',
    convert: file,
  },
  cert: { value: 'FILE', meaning: 'Certificate of this side (PEM)', convert: file },
  key: { value: 'FILE', meaning: 'Its private key (PEM)', convert: file },
  servername: { value: 'NAME', meaning: 'Name that the certificate of the server must have' },
  insecure: { type: 'boolean', meaning: 'Accept any certificate' },
};

/** @type {Object<string, CliOption>} */
const LISTENING = {
  cert: { value: 'FILE', meaning: 'Use TLS, with the certificate in FILE (PEM)', convert: file },
  key: { value: 'FILE', meaning: 'Its private key (PEM)', convert: file },
  'client-ca': {
    value: 'FILE',
    meaning: 'Accept only clients with a certificate of the authorities in FILE (PEM)',
    convert: file,
  },
};

/** @returns {Object<string, CliOption>} the options of a command that connects */
const clientOptions = (own) => ({ ...own, ...PLACE, ...CONNECTION, ...OUTPUT });

/** @returns {Object<string, CliOption>} the options of a command that listens */
const serverOptions = (own) => ({ ...own, ...PLACE, ...LISTENING, ...OUTPUT });

function convert(name, { convert: check }, value) {
  if (check === undefined || value === undefined) return value;
  try {
    return check(value);
  } catch (err) {
    if (err instanceof UsageError) throw new UsageError(`--${name} ${err.message}`);
    throw err;
  }
}

/**
 * @param {object} command
 * @param {string[]} argv
 * @returns {{values: object, positionals: string[], endpoint: object, isEndpointGiven: boolean}}
 * @throws {UsageError}
 */
function parse({ options, takes = 0, hasEndpoint = true }, argv) {
  if (parseArgs === undefined) throw new UsageError('the command line needs Node 18.3 or later');
  const config = {};
  for (const [name, { type = 'string', short }] of Object.entries(options)) {
    config[name] = { type, ...(short && { short }) };
  }
  let parsed;
  try {
    parsed = parseArgs({ args: argv, options: config, allowPositionals: true });
  } catch (err) {
    throw new UsageError(err.message);
  }
  const { positionals } = parsed;
  const values = {};
  for (const [name, option] of Object.entries(options)) {
    values[name] = convert(name, option, parsed.values[name]) ?? option.default;
  }
  if (values.help) return { values, positionals, endpoint: null };
  const isEndpointGiven = values.unix !== undefined || positionals.length > takes;
  const endpoint = hasEndpoint ? endpointOf(values, positionals, takes) : null;
  if (positionals.length > takes) {
    throw new UsageError(`one argument too many: "${positionals[takes]}"`);
  }
  return { values, positionals, endpoint, isEndpointGiven };
}

/** Takes the endpoint out of the arguments, where it is the first one. */
function endpointOf({ unix }, positionals, takes) {
  if (unix !== undefined) return { path: unix };
  const isGiven = positionals.length > takes;
  try {
    return parseEndpoint(isGiven ? positionals.shift() : undefined);
  } catch (err) {
    throw new UsageError(err.message);
  }
}

const WIDTH = 100;
const INDENT = 28;

/** Breaks a text into lines that begin at the indent. */
function wrapped(text) {
  const lines = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && INDENT + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${' '.repeat(INDENT)}`);
}

/** @returns {string} the help of a command */
function helpOf(program, name, { usage, summary, details = [], options, examples = [] }) {
  const rows = Object.entries(options).map(([option, { short, value, meaning }]) => {
    const names = `${short ? `-${short}, ` : '    '}--${option}${value ? ` ${value}` : ''}`;
    return `  ${names.padEnd(INDENT - 3)} ${wrapped(meaning)}`;
  });
  return [
    `usage: ${program} ${name} [options] ${usage}`,
    '',
    `${summary}.`,
    ...details,
    '',
    'options:',
    ...rows,
    ...(examples.length > 0
      ? ['', 'examples:', ...examples.map((line) => `  ${program} ${name} ${line}`)]
      : []),
    '',
  ].join('\n');
}

module.exports = {
  UsageError,
  clientOptions,
  helpOf,
  milliseconds,
  number,
  parse,
  serverOptions,
};
