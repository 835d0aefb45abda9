'use strict';

/*
 * The kinds of values that options have. A kind checks a value and converts it, and says how the
 * documents and the type declarations write its type. Every error names the option, the value it
 * must have, and the value received.
 */

const { inspect } = require('node:util');

const { late } = require('../late.js');
const { kFigures, kTarget } = require('../symbols.js');

/** Parts for a value that may be a mistake, see late.js. */
const loadMistakes = late(() => require('./mistakes.js'));

/** Warns of names that are unknown and like one that is known. */
function warnOfOptions(whose, given, known) {
  const isUnknown = (name) => !known.includes(name);
  if (Object.keys(given).some(isUnknown)) loadMistakes().warnOfOptions(whose, given, { known });
}

/** The longest delay of `setTimeout()`, which turns a longer one into 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Describes a value as the messages of Node's own errors do. */
function describe(value) {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value === 'function') {
    return value.name ? `function ${value.name}` : 'an anonymous function';
  }
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  const text = inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 60 ? `${text.slice(0, 57)}...` : text})`;
}

/**
 * @param {typeof Error} ErrorClass TypeError or RangeError
 * @param {string} code
 * @param {string} subject the option or argument: 'The "options.port" property'
 * @param {string} expected the values that it takes, and the remedy
 * @param {*} value the value received
 * @returns {Error}
 */
function invalid(ErrorClass, code, subject, expected, value) {
  const err = new ErrorClass(`${subject} must be ${expected}. Received ${describe(value)}`);
  err.code = code;
  return err;
}

const invalidType = (...args) => invalid(TypeError, 'ERR_INVALID_ARG_TYPE', ...args);
const invalidValue = (...args) => invalid(TypeError, 'ERR_INVALID_ARG_VALUE', ...args);
const outOfRange = (...args) => invalid(RangeError, 'ERR_OUT_OF_RANGE', ...args);
const badPort = (...args) => invalid(RangeError, 'ERR_SOCKET_BAD_PORT', ...args);

/**
 * Converts a value to a number. Numeric text is accepted, as timers and ports of Node accept it.
 */
function toNumber(value) {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : undefined;
}

/** @throws {RangeError} ERR_SOCKET_BAD_PORT */
function checkPort(subject, value, option) {
  const port = toNumber(value);
  if (Number.isInteger(port) && port >= 0 && port <= 0xffff) return port;
  throw badPort(
    subject,
    `an integer >= 0 and < 65536 (left out, it is ${option.default}; for a Unix socket set "path" instead)`,
    value,
  );
}

/**
 * @returns {string|null} why a text cannot be an address, with the remedy; null if it can be one
 */
function notAnAddress(text) {
  if (/\s/.test(text)) return 'without white space';
  const [, protocol, authority] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text) ?? [];
  if (authority === '' || (protocol === undefined && text.includes('/'))) {
    return 'not a path (for a Unix socket set "path" instead)';
  }
  const place = authority === undefined ? text : authority.replace(/^.*@/, '');
  const [, bracketed, bare, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(place) ?? [];
  if (protocol === undefined && bracketed === undefined && port === undefined) return null;
  const address = bracketed ?? bare ?? place;
  const remedy = [address && `"address" to ${inspect(address)}`, port && `"port" to ${port}`];
  const wrong = protocol ? 'not a URL' : port === undefined ? 'without brackets' : 'without a port';
  return `${wrong} (set ${remedy.filter(Boolean).join(' and ')})`;
}

/**
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, or ERR_INVALID_ARG_VALUE for a URL, a path, or an
 * address with a port
 */
function checkAddress(subject, value, option) {
  if (typeof value === 'string') {
    const expected = notAnAddress(value);
    if (expected === null) return value;
    throw invalidValue(subject, `an IP address or a host name, ${expected}`, value);
  }
  throw invalidType(
    subject,
    `a string, an IP address or a host name (left out, it is "${option.default}")`,
    value,
  );
}

/**
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, or ERR_INVALID_ARG_VALUE for a path that no system can
 * have
 */
function checkPath(subject, value) {
  if (typeof value !== 'string') {
    throw invalidType(
      subject,
      'a string, the path of a Unix socket or a named pipe (for TCP set "address" and "port" instead)',
      value,
    );
  }
  // A leading NUL marks an abstract name of Linux, which may contain any byte. In the path of a
  // file, a NUL would cut the name short.
  if (value[0] !== '\0' && value.includes('\0'))
    throw invalidValue(subject, 'free of NUL characters', value);
  return value;
}

/**
 * @returns {ReadonlyArray<{path: string}|{address: string, port: number}>} the places of servers
 * @throws {TypeError|RangeError} for the first place, or the first of its fields, that is wrong
 */
function checkAddresses(subject, value, { place }) {
  const expected =
    'an array of at least one place, { address, port } or { path } (left out, the client has one server, at "path", or at "address" and "port")';
  if (!Array.isArray(value)) throw invalidType(subject, expected, value);
  if (value.length === 0) throw invalidValue(subject, expected, value);
  const places = value.map((entry, index) => {
    // The subject is like 'The "options.addresses" property'.
    const each = (field) => subject.replace('" ', `[${index}]${field}" `);
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      throw invalidType(each(''), 'an object, { address, port } or { path }', entry);
    }
    warnOfOptions('a place of "addresses"', entry, ['path', 'address', 'port']);
    if (entry.path) return { path: checkPath(each('.path'), entry.path) };
    return {
      path: null,
      address: checkAddress(each('.address'), entry.address || place.address, {
        default: place.address,
      }),
      port: checkPort(each('.port'), entry.port || place.port, { default: place.port }),
    };
  });
  return Object.freeze(places);
}

/**
 * @param {string} subject
 * @param {*} value a number or a numeric string
 * @param {string} remedy the meaning of a value that is left out, or of 0
 * @returns {number} milliseconds
 * @throws {TypeError|RangeError} ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE
 */
function checkMilliseconds(subject, value, remedy) {
  const ms = toNumber(value);
  const expected = `a number of milliseconds > 0 and <= ${MAX_TIMER_MS} (${remedy})`;
  if (ms === undefined) throw invalidType(subject, expected, value);
  if (ms > 0 && ms <= MAX_TIMER_MS) return ms;
  throw outOfRange(subject, expected, value);
}

/** @throws {TypeError|RangeError} ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
function checkNumber(subject, value, expected, [least, most]) {
  const number = toNumber(value);
  if (number === undefined) throw invalidType(subject, expected, value);
  if (number >= least && number <= most) return number;
  throw outOfRange(subject, expected, value);
}

/** The greatest factor. A greater one would only skip the delays up to the maximum. */
const MAX_FACTOR = 1000;

const checkFactor = (subject, value) =>
  checkNumber(subject, value, `a number >= 1 and <= ${MAX_FACTOR} (left out, it is 1)`, [
    1,
    MAX_FACTOR,
  ]);

const checkFraction = (subject, value) =>
  checkNumber(subject, value, 'a number >= 0 and <= 1 (left out, it is 0)', [0, 1]);

/** An integer from 1 to the `max` of the option; `Infinity` means that maximum. */
function checkCount(subject, value, { unit, max, default: standard, shown }) {
  const count = toNumber(value);
  const range = max === Number.POSITIVE_INFINITY ? '' : ` and <= ${max}`;
  const expected = `a number of ${unit}, an integer >= 1${range}, or Infinity (left out, or 0, it is ${shown ?? standard})`;
  if (count === undefined) throw invalidType(subject, expected, value);
  if (count === Number.POSITIVE_INFINITY) return max;
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw outOfRange(subject, expected, value);
}

/**
 * @returns {[string, string]} `[receive, transmit]`
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
function checkTerminator(subject, value) {
  const expected =
    'a string that is not empty, or an array of two of them, [receive, transmit] (left out, it is "\\n")';
  const pair = Array.isArray(value) ? value.slice(0, 2) : [value, value];
  if (pair.length < 2) throw invalidValue(subject, expected, value);
  for (const terminator of pair) {
    if (typeof terminator !== 'string') throw invalidType(subject, expected, terminator);
    // An empty terminator would end every frame before its first byte.
    if (terminator === '') throw invalidValue(subject, expected, terminator);
  }
  return pair;
}

/**
 * A session type makes a session of a socket: SockhopSession, a class that extends it, or a maker
 * of the program.
 */
function checkSessionType(subject, value) {
  if (typeof value._from_socket === 'function') return value;
  const expected =
    'a session class: SockhopSession or a class that extends it (pass the class itself, not an instance or its ' +
    'name); or anything else with a function "_from_socket(sock, server)" that returns a session';
  throw invalidType(subject, expected, value);
}

/** @throws {TypeError|RangeError} ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE */
function checkDescriptor(subject, value) {
  const expected = 'a descriptor, an integer >= 0, of a socket that another process has made';
  if (typeof value !== 'number') throw invalidType(subject, expected, value);
  if (Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return value;
  throw outOfRange(subject, expected, value);
}

/** Numeric text is octal, as for `fs.chmod()`. */
function checkFileMode(subject, value) {
  const expected = 'permissions, an integer >= 0o1 and <= 0o777 or octal text such as "660"';
  const isText = typeof value === 'string' && /^(0o?)?[0-7]{1,3}$/.test(value);
  const mode = isText ? Number.parseInt(value.replace('o', ''), 8) : value;
  if (typeof mode !== 'number') throw invalidType(subject, expected, value);
  if (Number.isInteger(mode) && mode >= 1 && mode <= 0o777) return mode;
  throw outOfRange(subject, expected, value);
}

/** Any value that is not falsy is true, as in 1.8.4. */
function checkFlag(subject, value) {
  if (typeof value === 'string') loadMistakes().warnOfFlag(subject, value);
  return true;
}

function checkSystemd(subject, value) {
  if (typeof value === 'boolean' || typeof value === 'string') return value;
  throw invalidType(subject, 'true, or the name of a socket ("FileDescriptorName=")', value);
}

/** The function of Node whose options a client takes. */
const CONNECTING = 'tls.connect()';

function checkTlsOptions(subject, value, { whose = CONNECTING }) {
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalidType(subject, `an object with options of ${whose}`, value);
  }
  const { warnOfHalfIdentity, warnOfTlsOptions } = loadMistakes();
  warnOfTlsOptions(value);
  if (whose === CONNECTING) warnOfHalfIdentity(value);
  return value;
}

/** As in 1.8.4, any value except "json" means a sockhop program. */
function checkPeerType(_subject, value) {
  if (value === 'json' || value === 'Sockhop') return value;
  const { looksLike, warn } = loadMistakes();
  if (typeof value === 'string' && looksLike(value.trim().toLowerCase(), 'json')) {
    warn(
      'peer_type',
      'SOCKHOP_OPTION_VALUE',
      `The "options.peer_type" property ${inspect(value)} means "Sockhop", as anything but "json" does. ` +
        'For peers that speak bare JSON write "json".',
    );
  }
  return 'Sockhop';
}

function checkChoice(subject, value, { values, default: standard }) {
  if (values.includes(value)) return value;
  const choices = values.map((choice) => `"${choice}"`).join(', ');
  throw invalidValue(subject, `one of ${choices} (left out, it is "${standard}")`, value);
}

/** @throws {TypeError} ERR_INVALID_ARG_TYPE */
function checkSignal(subject, value) {
  const usable =
    typeof value === 'object' &&
    value !== null &&
    typeof value.aborted === 'boolean' &&
    typeof value.addEventListener === 'function';
  if (usable) return value;
  throw invalidType(subject, 'an AbortSignal', value);
}

/** Labels that `metrics()` itself gives each sample. */
const OWN_LABELS = ['role', 'endpoint', 'le', 'code'];

/** @returns {Object<string, string>} */
function checkLabels(subject, value) {
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw invalidType(subject, 'an object with the names and values of labels', value);
  }
  const labels = {};
  for (const [name, text] of Object.entries(value)) {
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || OWN_LABELS.includes(name)) {
      const expected = `an object whose names are letters, digits and "_", and not ${OWN_LABELS.join(', ')}`;
      throw invalidValue(subject, expected, name);
    }
    if (!['string', 'number', 'boolean'].includes(typeof text)) {
      throw invalidType(`${subject}, its label "${name}",`, 'a string, number or boolean', text);
    }
    labels[name] = String(text);
  }
  return labels;
}

/** @returns {object[]} */
function checkEndpoints(subject, value) {
  const isEndpoint = (each) => typeof (each?.[kTarget] ?? each)?.[kFigures] === 'function';
  if (Array.isArray(value) && value.every(isEndpoint)) return value;
  throw invalidType(subject, 'an array of clients and servers', value);
}

const ENGINE_VERBS = ['open', 'subscribe', 'unsubscribe', 'publish', 'flush', 'pending', 'close'];

function isEngine(value) {
  return ENGINE_VERBS.every((verb) => typeof value?.[verb] === 'function');
}

const AN_ENGINE =
  'a cluster engine: nats(connection) of "sockhop/cluster/nats", redis(client) of "sockhop/cluster/redis", ' +
  'workers() of "sockhop/cluster/workers", or an object with the same methods';

/** @throws {TypeError} ERR_INVALID_ARG_TYPE */
function checkEngine(subject, value) {
  if (isEngine(value)) return value;
  throw invalidType(subject, AN_ENGINE, value);
}

/** @returns {object} options of a cluster, the values of which are not checked yet */
function checkClusterOptions(subject, value) {
  if (isEngine(value)) return { engine: value };
  if (typeof value === 'object' && isEngine(value.engine)) return value;
  throw invalidType(subject, `${AN_ENGINE}; or an object whose "engine" is one`, value);
}

/** @throws {TypeError} ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE */
function checkPrefix(subject, value) {
  const expected = 'a string of 1 to 32 characters out of A-Z, a-z, 0-9, "_" and "-"';
  if (typeof value !== 'string') throw invalidType(subject, expected, value);
  if (/^[A-Za-z0-9_-]{1,32}$/.test(value)) return value;
  throw invalidValue(subject, expected, value);
}

/**
 * @returns {(string | Uint8Array)[]} the keys, the first of which signs
 * @throws {TypeError} ERR_INVALID_ARG_TYPE. The message does not contain the value
 */
function checkSecret(subject, value) {
  const keys = Array.isArray(value) ? value : [value];
  const isKey = (key) => (typeof key === 'string' || key instanceof Uint8Array) && key.length > 0;
  if (keys.length > 0 && keys.every(isKey)) return [...keys];
  const err = new TypeError(
    `${subject} must be a key, a string or bytes that are not empty, or an array of keys, the first of which signs. ` +
      `Received ${Array.isArray(value) ? 'an array with something else' : `a value of type ${typeof value}`}`,
  );
  err.code = 'ERR_INVALID_ARG_TYPE';
  throw err;
}

/**
 * @typedef {object} Kind
 * @property {string} documented the type in the tables of API.md
 * @property {string} declared the type in index.d.ts
 * @property {function(string, *, object): *} [check] takes the subject of the message, the value
 *   and the option; returns the value in the form that the package uses, or throws. Without one,
 *   the package does not read the option.
 * @property {function(*, string): boolean} [isGiven] whether a value replaces the default for a
 *   taker; otherwise every truthy value does
 */

const nullable = (type) => `${type} | null | undefined`;

/** @type {Object<string, Kind>} */
const KINDS = {
  path: { documented: 'string', declared: nullable('string'), check: checkPath },
  address: { documented: 'string', declared: nullable('string'), check: checkAddress },
  addresses: {
    documented: 'array of `{ address, port }` or `{ path }`',
    declared: nullable('readonly ServerAddress[]'),
    check: checkAddresses,
  },
  port: {
    documented: 'number or numeric string',
    declared: nullable('number | string'),
    check: checkPort,
    // A server listens on a port of the system's choice at 0; a client has nothing to connect to
    // there.
    isGiven: (value, taker) => Boolean(value) || (value === 0 && taker === 'server'),
  },
  flag: {
    documented: 'boolean',
    declared: nullable('boolean'),
    check: checkFlag,
  },
  strictFlag: {
    documented: 'boolean',
    declared: nullable('boolean'),
    check: (_subject, value) => value === true,
  },
  milliseconds: {
    documented: 'number, ms',
    declared: nullable('number'),
    check: (subject, value, { default: standard, leftOut = standard || 'never' }) =>
      checkMilliseconds(subject, value, `left out, or 0, it is ${leftOut}`),
  },
  factor: { documented: 'number', declared: nullable('number'), check: checkFactor },
  fraction: { documented: 'number', declared: nullable('number'), check: checkFraction },
  count: { documented: 'integer', declared: nullable('number'), check: checkCount },
  bytes: { documented: 'integer, bytes', declared: nullable('number'), check: checkCount },
  choice: {
    documented: 'string',
    declared: nullable('string'),
    check: checkChoice,
    // The method values() of a map, or of an object of the program, is not an option.
    isGiven: (value) => Boolean(value) && typeof value !== 'function',
  },
  peerType: {
    documented: 'string',
    declared: nullable('PeerType | (string & NonNullable<unknown>)'),
    check: checkPeerType,
  },
  terminator: {
    documented: 'string or `[receive, transmit]`',
    declared: nullable('Terminator'),
    check: checkTerminator,
    // An empty text is a mistake, not a default.
    isGiven: (value) => Boolean(value) || value === '',
  },
  sessionType: {
    documented: 'class or object',
    declared: nullable('SessionClass<Session> | SessionMaker'),
    check: checkSessionType,
  },
  tlsOptions: {
    documented: 'object',
    declared: nullable('ConnectionOptions'),
    check: checkTlsOptions,
  },
  labels: {
    documented: 'object',
    declared: nullable('Record<string, string | number | boolean>'),
    check: checkLabels,
  },
  endpoints: {
    documented: 'array',
    declared: nullable('readonly (AnyClient | AnyServer)[]'),
    check: checkEndpoints,
  },
  clusterOptions: {
    documented: 'engine or object',
    declared: nullable("ClusterEngine | ClusterOptions | '' | false"),
    check: checkClusterOptions,
  },
  engine: { documented: 'engine', declared: 'ClusterEngine', check: checkEngine },
  prefix: { documented: 'string', declared: nullable('string'), check: checkPrefix },
  secret: {
    documented: 'string or bytes, or an array of them',
    declared: nullable('ClusterSecret | ClusterSecret[]'),
    check: checkSecret,
  },
  /** A time for which 0 is not the default. */
  millisecondsOrNone: {
    documented: 'number, ms',
    declared: nullable('number'),
    check: (subject, value, { leftOut }) =>
      value === 0 ? 0 : checkMilliseconds(subject, value, leftOut),
    isGiven: (value) => Boolean(value) || value === 0,
  },
  descriptor: {
    documented: 'integer',
    declared: nullable('number'),
    check: checkDescriptor,
    isGiven: (value) => value !== undefined && value !== null,
  },
  fileMode: {
    documented: 'integer or octal text',
    declared: nullable('number | string'),
    check: checkFileMode,
  },
  systemd: {
    documented: 'boolean or string',
    declared: nullable('boolean | string'),
    check: checkSystemd,
  },
  tlsServerOptions: {
    documented: 'object',
    declared: nullable('TlsOptions'),
    check: (subject, value) => checkTlsOptions(subject, value, { whose: 'tls.createServer()' }),
  },
  signal: { documented: '`AbortSignal`', declared: nullable('AbortSignal'), check: checkSignal },
  /** `EventEmitter` reads it. */
  emitterFlag: { documented: 'boolean', declared: 'boolean | undefined' },
};

module.exports = { KINDS, checkMilliseconds, describe, invalidType, invalidValue, outOfRange };
