'use strict';

/*
 * What a program may pass to the constructors of client and server, made complete and checked in one place.
 *
 * A falsy value means the default, as programs on sockhop are used to ("port: process.env.PORT"); the one
 * exception is a server's `port: 0`, an ephemeral port. Unknown options are ignored, with a warning where one looks
 * like a mistake. Any other mistake is reported by name, with the value received and the remedy.
 */

const { constants } = require('node:buffer');
const { inspect } = require('node:util');

const { looksLike, warn, warnOfOptions } = require('./mistakes.js');

const MAX_TIMER_MS = 2 ** 31 - 1; // what setTimeout can wait; it turns anything longer into 1 ms
const KIB = 1024;
const MIB = 1024 * KIB;
const SLOW_CONSUMER_POLICIES = ['wait', 'drop', 'disconnect'];

/** The default of every option, in the units of the option. */
const DEFAULTS = Object.freeze({
  path: null,
  address: '127.0.0.1',
  port: 50000,
  terminator: '\n',
  auto_reconnect_interval: 2000,
  connect_timeout: 5000,
  response_timeout: 30_000,
  max_message_size: 128 * MIB,
  max_connections: Number.POSITIVE_INFINITY,
  max_pending_callbacks: 1_000_000,
  callback_timeout: 0,
  handshake_timeout: 120_000,
  idle_timeout: 0,
  receive_high_water_mark: 1 * MIB,
  send_high_water_mark: 16 * MIB,
  slow_consumer: 'wait',
});

/** What a value is, in the words Node's own messages use. */
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
 * @param {string} subject what is wrong: 'The "options.port" property'
 * @param {string} expected what it must be, and what to do
 * @param {*} value what it is
 */
function fail(ErrorClass, code, subject, expected, value) {
  const err = new ErrorClass(`${subject} must be ${expected}. Received ${describe(value)}`);
  err.code = code;
  return err;
}

const invalidType = (...args) => fail(TypeError, 'ERR_INVALID_ARG_TYPE', ...args);
const invalidValue = (...args) => fail(TypeError, 'ERR_INVALID_ARG_VALUE', ...args);
const outOfRange = (...args) => fail(RangeError, 'ERR_OUT_OF_RANGE', ...args);
const badPort = (...args) => fail(RangeError, 'ERR_SOCKET_BAD_PORT', ...args);

const option = (name) => `The "options.${name}" property`;

/** The number a value stands for; text that reads as a number does, as it does for timers and ports. */
function toNumber(value) {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : undefined;
}

/**
 * @param {string} subject as the message names it: 'The "options.port" property'
 * @param {*} value a number or a numeric string
 * @returns {number} the port
 * @throws {RangeError|TypeError} ERR_SOCKET_BAD_PORT
 */
function checkPort(subject, value) {
  const port = toNumber(value);
  if (Number.isInteger(port) && port >= 0 && port <= 0xffff) return port;
  throw badPort(
    subject,
    `an integer >= 0 and < 65536 (left out, it is ${DEFAULTS.port}; for a Unix socket set "path" instead)`,
    value,
  );
}

/** @returns {string|null} what an address must be that this text is not; null for one that may be an address */
function notAnAddress(text) {
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
 * @returns {string} the address
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, or ERR_INVALID_ARG_VALUE for a URL, a path, or one with a port
 */
function checkAddress(subject, value) {
  if (typeof value === 'string') {
    const expected = notAnAddress(value);
    if (expected === null) return value;
    throw invalidValue(subject, `an IP address or a host name, ${expected}`, value);
  }
  throw invalidType(
    subject,
    `a string, an IP address or a host name (left out, it is "${DEFAULTS.address}")`,
    value,
  );
}

/**
 * @returns {string} the path
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, or ERR_INVALID_ARG_VALUE for a path no system can have
 */
function checkPath(subject, value) {
  if (typeof value !== 'string') {
    throw invalidType(
      subject,
      'a string, the path of a Unix socket or a named pipe (for TCP set "address" and "port" instead)',
      value,
    );
  }
  // A NUL at the beginning is Linux's way to write an abstract name, in which any byte may be; in the path of a file it
  // would cut the name short.
  if (value[0] !== '\0' && value.includes('\0'))
    throw invalidValue(subject, 'free of NUL characters', value);
  return value;
}

/**
 * A span of time.
 *
 * @param {string} subject as the message names it: 'The "options.connect_timeout" property'
 * @param {*} value a number or a numeric string
 * @param {string} remedy what leaving it out, or 0, means
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

/** @returns {number} a whole number from 1 to `max`; Infinity stands for `max` */
function checkCount(subject, value, unit, max, remedy) {
  const count = toNumber(value);
  const expected = `a number of ${unit}, an integer >= 1${
    max === Number.POSITIVE_INFINITY ? '' : ` and <= ${max}`
  }, or Infinity (${remedy})`;
  if (count === undefined) throw invalidType(subject, expected, value);
  if (count === Number.POSITIVE_INFINITY) return max;
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw outOfRange(subject, expected, value);
}

/**
 * @param {string} subject
 * @param {*} value a string or `[receive, transmit]`; anything else that is falsy: the default
 * @returns {[string, string]} `[receive, transmit]`
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
function checkTerminator(subject, value) {
  const given = value || value === '' ? value : DEFAULTS.terminator;
  const expected =
    'a string that is not empty, or an array of two of them, [receive, transmit] (left out, it is "\\n")';
  const pair = Array.isArray(given) ? given.slice(0, 2) : [given, given];
  if (pair.length < 2) throw invalidValue(subject, expected, value);
  for (const terminator of pair) {
    if (typeof terminator !== 'string') {
      throw invalidType(subject, expected, Array.isArray(given) ? terminator : value);
    }
    // Nothing at all ends every frame before its first byte.
    if (terminator === '') throw invalidValue(subject, expected, terminator);
  }
  return pair;
}

/** Whatever makes a session of a socket: SockhopSession, what extends it, or an object or class of the program's. */
function checkSessionType(subject, value) {
  if (typeof value._from_socket === 'function') return value;
  const expected =
    'a session class: SockhopSession or a class that extends it (pass the class itself, not an instance or its ' +
    'name); or anything else with a function "_from_socket(sock, server)" that returns a session';
  throw invalidType(subject, expected, value);
}

function checkSslOptions(subject, value) {
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  throw invalidType(subject, 'an object with options of tls.connect()', value);
}

/** @returns {'json'|'Sockhop'} anything but "json" is a sockhop program, as in 1.8.4 */
function peerType(value) {
  if (value === 'json') return value;
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

/** A server that is thought to be secure must not serve plain text. */
function refuseTls({ ssl, ssl_options }) {
  const expected =
    'left out for a server, which speaks no TLS by itself (put a tls.createServer(options) in the place of ' +
    'server.server, as in "The listener" of API.md)';
  if (ssl) throw invalidValue(option('ssl'), expected, ssl);
  if (
    typeof ssl_options === 'object' &&
    ssl_options !== null &&
    Object.keys(ssl_options).length > 0
  ) {
    throw invalidValue(option('ssl_options'), expected, ssl_options);
  }
}

function checkSlowConsumer(subject, value) {
  if (SLOW_CONSUMER_POLICIES.includes(value)) return value;
  throw invalidValue(
    subject,
    'one of "wait", "drop", "disconnect" (left out, it is "wait")',
    value,
  );
}

/**
 * @param {string} subject
 * @param {*} value
 * @returns {AbortSignal}
 * @throws {TypeError} ERR_INVALID_ARG_TYPE
 */
function checkSignal(subject, value) {
  const usable =
    typeof value === 'object' &&
    value !== null &&
    typeof value.aborted === 'boolean' &&
    typeof value.addEventListener === 'function';
  if (usable) return value;
  throw invalidType(subject, 'an AbortSignal', value);
}

/** The options as an object: none is fine, something that has no properties is a mistake. */
function checkOptions(opts) {
  if (opts === undefined) return {};
  if (typeof opts === 'object' && opts !== null) return opts;
  throw invalidType('The "options" argument', 'an object, or left out for all defaults', opts);
}

/** Reads options by name, falling back to the default where there is nothing to check. */
function reader(opts, defaults) {
  const pick = (name, check, ...rest) =>
    opts[name] ? check(option(name), opts[name], ...rest) : defaults[name];
  return {
    pick,
    milliseconds: (name) =>
      pick(
        name,
        checkMilliseconds,
        defaults[name] === 0
          ? 'left out, or 0, it is never'
          : `left out, or 0, it is ${defaults[name]}`,
      ),
    count: (name, unit, max) =>
      pick(name, checkCount, unit, max, `left out, or 0, it is ${defaults[name]}`),
  };
}

/** What client and server have in common. */
function sharedOptions(opts, { pick, milliseconds, count }) {
  return {
    path: pick('path', checkPath),
    address: pick('address', checkAddress),
    response_timeout: milliseconds('response_timeout'),
    peer_type: peerType(opts.peer_type),
    terminator: checkTerminator(option('terminator'), opts.terminator),
    allow_non_objects: opts.allow_non_objects === true,
    debug: Boolean(opts.debug),
    // A frame becomes one string, and a string of n UTF-8 bytes has at most n characters.
    max_message_size: count('max_message_size', 'bytes', constants.MAX_STRING_LENGTH),
    max_pending_callbacks: count('max_pending_callbacks', 'callbacks', Number.POSITIVE_INFINITY),
    callback_timeout: milliseconds('callback_timeout'),
    handshake_timeout: milliseconds('handshake_timeout'),
    idle_timeout: milliseconds('idle_timeout'),
    receive_high_water_mark: count('receive_high_water_mark', 'bytes', Number.MAX_SAFE_INTEGER),
    send_high_water_mark: count('send_high_water_mark', 'bytes', Number.MAX_SAFE_INTEGER),
    slow_consumer: pick('slow_consumer', checkSlowConsumer),
  };
}

/**
 * The options of a client, complete and checked.
 *
 * @param {object} [opts] what the program passed
 * @param {{defaults?: object}} [overrides] defaults that replace those of this module
 * @returns {object} plain, with a value for every option; `terminator` is `[receive, transmit]`
 * @throws {TypeError|RangeError} for the first option that is not what it must be
 */
function normalizeClientOptions(opts, { defaults = {} } = {}) {
  const given = checkOptions(opts);
  warnOfClientOptions(given);
  const read = reader(given, { ...DEFAULTS, ...defaults });
  const ssl_options = read.pick('ssl_options', checkSslOptions) ?? {};
  return {
    ...sharedOptions(given, read),
    port: read.pick('port', checkPort),
    ssl: Boolean(given.ssl) || Object.keys(ssl_options).length > 0,
    ssl_options,
    auto_reconnect_interval: read.milliseconds('auto_reconnect_interval'),
    connect_timeout: read.milliseconds('connect_timeout'),
  };
}

/**
 * The options of a server, complete and checked.
 *
 * @param {object} [opts] what the program passed
 * @param {{defaults: {session_type: Function}}} overrides defaults that replace those of this module; the
 *   session class must be among them (this module does not know it)
 * @returns {object} plain, with a value for every option; `terminator` is `[receive, transmit]`
 * @throws {TypeError|RangeError} for the first option that is not what it must be
 */
function normalizeServerOptions(opts, { defaults = {} } = {}) {
  const given = checkOptions(opts);
  warnOfServerOptions(given);
  refuseTls(given);
  const read = reader(given, { ...DEFAULTS, ...defaults });
  return {
    ...sharedOptions(given, read),
    port: given.port === 0 ? 0 : read.pick('port', checkPort),
    session_type: read.pick('session_type', checkSessionType),
    max_connections: read.count('max_connections', 'connections', Number.POSITIVE_INFINITY),
  };
}

/** The names of all options: @type {?{client: string[], server: string[]}} made with the first that has any. */
let names = null;

function optionNames() {
  if (names === null) {
    // Looked up by the functions that the names are taken from.
    names = { client: [], server: [] };
    names = {
      client: [...Object.keys(normalizeClientOptions()), 'captureRejections'],
      server: [
        ...Object.keys(normalizeServerOptions({}, { defaults: { session_type: null } })),
        'captureRejections',
      ],
    };
  }
  return names;
}

function warnOfClientOptions(given) {
  const { client: known, server: silent } = optionNames();
  if (given.auto_reconnect) {
    warn(
      'auto_reconnect',
      'SOCKHOP_IGNORED_OPTION',
      'The option "auto_reconnect" of a SockhopClient has no effect, as in sockhop 1.8.4: set the property ' +
        'instead, client.auto_reconnect = true.',
    );
  }
  if (given.ssl) {
    for (const name of ['ca', 'cert', 'key']) {
      if (!given[name]) continue;
      warn(
        name,
        'SOCKHOP_IGNORED_OPTION',
        `The option "${name}" has no effect on a SockhopClient. Put it into "ssl_options" instead.`,
      );
    }
  }
  warnOfOptions('a SockhopClient', given, {
    known,
    silent: [...silent, 'auto_reconnect'],
    properties: ['auto_reconnect'],
  });
}

function warnOfServerOptions(given) {
  const { server: known, client } = optionNames();
  warnOfOptions('a SockhopServer', given, { known, silent: [...client, 'auto_reconnect'] });
}

const LISTEN_OPTIONS = ['signal', 'exclusive'];
const CONNECT_OPTIONS = ['signal'];

/**
 * The options of `connect()` and `listen()`, which take neither a place nor a callback.
 *
 * @param {'connect'|'listen'} method
 * @param {Array} args what the method was called with
 * @param {{path: ?string, address: string, port: number}} here a client or a server
 * @returns {{signal?: AbortSignal, exclusive?: boolean}}
 * @throws {TypeError} ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE
 */
function normalizeCallOptions(method, args, here) {
  const [opts] = args;
  const whose = method === 'connect' ? 'client' : 'server';
  if (typeof opts === 'function') {
    throw invalidType(
      `The argument of ${method}()`,
      'left out, or an object with options: it takes no callback (the promise that it returns tells when it is done)',
      opts,
    );
  }
  if (typeof opts === 'number' || typeof opts === 'string') {
    // The place that is meant is the place that is used.
    if (String(opts) === String(here.path || here.port)) return {};
    throw invalidValue(
      `The argument of ${method}()`,
      `left out, or an object with options: the place is that of the constructor (new Sockhop.${whose}({ port, address })), or ` +
        `of the properties "port", "address" and "path" of the ${whose}`,
      opts,
    );
  }
  if (typeof opts !== 'object' || opts === null) return {};
  const known = method === 'connect' ? CONNECT_OPTIONS : LISTEN_OPTIONS;
  for (const name of ['port', 'address', 'host', 'path']) {
    if (!Object.hasOwn(opts, name) || !opts[name] || opts[name] === here[name]) continue;
    warn(
      `${method}() ${name}`,
      'SOCKHOP_IGNORED_OPTION',
      `The option "${name}" of ${method}() has no effect: give it to the constructor, or set the property of the ${whose} instead.`,
    );
  }
  warnOfOptions(`${method}()`, opts, { known, silent: ['port', 'address', 'host', 'path'] });
  return opts;
}

/**
 * The configuration of one request.
 *
 * @param {{timeout?: number, signal?: AbortSignal}} [config]
 * @returns {{timeout: (number|undefined), signal: (AbortSignal|undefined)}} undefined: not set
 * @throws {TypeError|RangeError}
 */
function normalizeRequestOptions(config) {
  const { timeout, signal } = config ?? {};
  return {
    timeout: timeout
      ? checkMilliseconds(option('timeout'), timeout, 'left out, or 0, it is "response_timeout"')
      : undefined,
    signal: signal ? checkSignal(option('signal'), signal) : undefined,
  };
}

module.exports = {
  DEFAULTS,
  normalizeClientOptions,
  normalizeServerOptions,
  normalizeRequestOptions,
  normalizeCallOptions,
  checkAddress,
  checkMilliseconds,
  checkPath,
  checkPort,
  checkSessionType,
  checkSignal,
  checkTerminator,
};
