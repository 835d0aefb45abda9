'use strict';

/*
 * Warnings for mistakes that sockhop 1.8.4 accepts in silence: an option that has no effect, and a
 * value that does not mean what it seems to mean. Such a program works, so it gets a process
 * warning, once for each name.
 */

const { inspect } = require('node:util');

/** Names that programs use for an option, from `net`, `tls` and other packages. */
const OTHER_NAMES = [
  ['host', 'address'],
  ['hostname', 'address'],
  ['socketPath', 'path'],
  ['connectTimeout', 'connect_timeout'],
  ['timeout', 'connect_timeout", "response_timeout" or "idle_timeout'],
  ['callback_timeout', 'timeout'],
  ['response_timeout', 'timeout'],
  ['abort', 'signal'],
  ['abort_signal', 'signal'],
  ['delimiter', 'terminator'],
  ['separator', 'terminator'],
  ['reconnect', 'auto_reconnect'],
  ['auto_reconnect_timeout', 'auto_reconnect_interval'],
  ['auto_reconnect_delay', 'auto_reconnect_interval'],
  ['reconnect_interval', 'auto_reconnect_interval'],
  ['reconnect_delay', 'auto_reconnect_interval'],
  ['reconnect_timeout', 'auto_reconnect_interval'],
  ['tls', 'ssl'],
  ['secure', 'ssl'],
  ['maxConnections', 'max_connections'],
  ['highWaterMark', 'receive_high_water_mark" or "send_high_water_mark'],
  ['timeout', 'grace'],
  ['certificate', 'cert'],
  ['privateKey', 'key'],
];

const ON_THE_SOCKET = 'Call the method of the socket in a handler of "connect" instead.';
const NOT_AVAILABLE = 'This package has no such option.';

/** Options of `net` and `tls` that have no effect, each with its remedy. */
const WITHOUT_EFFECT = new Map([
  ['keepAlive', 'Call sock.setKeepAlive() in a handler of "connect" instead.'],
  ['keepAliveInitialDelay', 'Call sock.setKeepAlive() in a handler of "connect" instead.'],
  ['pauseOnConnect', ON_THE_SOCKET],
  ['allowHalfOpen', 'A server has the option "allow_half_open".'],
  ['family', 'Set "address" to an IP address of that family instead.'],
  ['lookup', 'Set "address" to the IP address that it returns instead.'],
  ['localAddress', NOT_AVAILABLE],
  ['localPort', NOT_AVAILABLE],
  ...[
    'backlog',
    'ipv6_only',
    'ipv6Only',
    'reuse_port',
    'reusePort',
    'fd',
    'unlink_stale',
    'readableAll',
    'writableAll',
    'exclusive',
  ].map((name) => [name, `Pass it to listen() of a server instead: listen({ ${name} }).`]),
  ['signal', 'Pass it to connect() or listen() instead: connect({ signal }).'],
  ['rejectUnauthorized', 'Put it into "ssl_options" instead.'],
  ['servername', 'Put it into "ssl_options" instead.'],
  ['checkServerIdentity', 'Put it into "ssl_options" instead.'],
  ['ALPNProtocols', 'Put it into "ssl_options" instead.'],
  ['pfx', 'Put it into "ssl_options" instead.'],
]);

/** Options that `listen()` refuses, each with its remedy. */
const NOT_OF_LISTEN = new Map([
  ...WITHOUT_EFFECT,
  [
    'highWaterMark',
    'Set "receive_high_water_mark" or "send_high_water_mark" of the server instead.',
  ],
  ['blockList', 'Refuse the client in start() of its session instead.'],
  ['noDelay', 'Call sock.setNoDelay() in a handler of "connect" instead.'],
]);

/** The options of `tls.connect()`, `tls.createServer()` and `tls.createSecureContext()`. */
const TLS_OPTIONS = [
  'ALPNCallback',
  'ALPNProtocols',
  'SNICallback',
  'allowPartialTrustChain',
  'ca',
  'cert',
  'checkServerIdentity',
  'ciphers',
  'clientCertEngine',
  'crl',
  'dhparam',
  'ecdhCurve',
  'enableTrace',
  'handshakeTimeout',
  'honorCipherOrder',
  'key',
  'maxVersion',
  'minDHSize',
  'minVersion',
  'passphrase',
  'pfx',
  'privateKeyEngine',
  'privateKeyIdentifier',
  'pskCallback',
  'pskIdentityHint',
  'rejectUnauthorized',
  'requestCert',
  'requestOCSP',
  'secureContext',
  'secureOptions',
  'secureProtocol',
  'servername',
  'session',
  'sessionIdContext',
  'sessionTimeout',
  'sigalgs',
  'ticketKeys',
];

/** Options of the connection, which `tls.connect()` takes as well. */
const NET_OPTIONS = ['host', 'port', 'path', 'socket', 'timeout', ...WITHOUT_EFFECT.keys()];

/** The names that this environment has warned of. */
const warned = new Set();

/**
 * Emits a warning of the process, once for each name.
 *
 * @param {string} name the option, or whatever else the warning is about
 * @param {string} code
 * @param {string} message
 */
function warn(name, code, message) {
  if (warned.has(name)) return;
  warned.add(name);
  process.emitWarning(message, { type: 'SockhopWarning', code });
}

/**
 * The form in which names are compared: `connectTimeout`, `connect-timeout` and `connect_timeout`
 * are equal.
 */
const plain = (name) => name.toLowerCase().replace(/[-_]/g, '');

/**
 * The edit distance of two words: letters added, missing, replaced, or swapped with their
 * neighbour.
 */
function distance(a, b) {
  let before = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let least = Math.min(
        previous[column] + 1,
        current[column - 1] + 1,
        previous[column - 1] + (same ? 0 : 1),
      );
      const swapped =
        row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (swapped) least = Math.min(least, before[column - 2] + 1);
      current.push(least);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length];
}

/**
 * Whether a name looks like a misspelt option. Short words that differ in one letter are different
 * words.
 */
function looksLike(name, option) {
  if (name === option) return true;
  const between = distance(name, option);
  if (option.length > 4) return between <= (option.length > 6 ? 2 : 1);
  const replaced =
    name.length === option.length && [...name].sort().join() !== [...option].sort().join();
  return between === 1 && !replaced && name.length > 2;
}

/** @returns {string|undefined} the option that a name probably stands for */
function nearest(name, options) {
  const wanted = plain(name);
  for (const [other, option] of OTHER_NAMES) {
    if (plain(other) === wanted && options.some((known) => option.startsWith(known))) return option;
  }
  const found = options
    .filter((option) => looksLike(wanted, plain(option)))
    .sort((a, b) => distance(wanted, plain(a)) - distance(wanted, plain(b)));
  return found[0];
}

/**
 * Warns of options that have no effect although the program seems to rely on them. A name that
 * resembles no option belongs to the program: subclasses and shared objects have such names.
 *
 * @param {string} whose the owner of the options in the message: `a SockhopClient`
 * @param {object} given the options as the program passed them
 * @param {object} names
 * @param {string[]} names.known options that have an effect
 * @param {string[]} [names.silent] other names that need no warning
 * @param {string[]} [names.properties] properties of the object that are not options
 * @param {string[]} [names.onByDefault] options for which false is no default
 */
function warnOfOptions(whose, given, { known, silent = [], properties = [], onByDefault = [] }) {
  for (const name of Object.keys(given)) {
    if (known.includes(name) || silent.includes(name)) continue;
    // Names in capitals come from an environment that was spread into the options.
    if (name === name.toUpperCase()) continue;
    const instead = WITHOUT_EFFECT.get(name);
    if (instead !== undefined) {
      if (!given[name] && given[name] !== false) continue;
      warn(
        name,
        'SOCKHOP_IGNORED_OPTION',
        `The option "${name}" has no effect on ${whose}. ${instead}`,
      );
      continue;
    }
    const meant = nearest(name, [...known, ...properties]);
    if (meant === undefined || given[meant]) continue;
    const isChosen = given[name] === false ? onByDefault.includes(meant) : given[name];
    if (!isChosen) continue;
    const remedy = properties.includes(meant)
      ? `If "${meant}" is meant, set the property: ${meant} is not an option.`
      : `Did you mean "${meant}"?`;
    warn(
      name,
      'SOCKHOP_UNKNOWN_OPTION',
      `The option "${name}" of ${whose} is unknown and has no effect. ${remedy}`,
    );
  }
}

/**
 * Warns of names in `ssl_options` that `tls` does not know, and of a `requestCert` that it ignores.
 *
 * @param {object} given
 */
function warnOfTlsOptions(given) {
  warnOfOptions('"ssl_options"', given, {
    known: TLS_OPTIONS,
    silent: NET_OPTIONS,
    onByDefault: ['rejectUnauthorized', 'honorCipherOrder'],
  });
  const { requestCert } = given;
  if (!requestCert || requestCert === true) return;
  warn(
    'requestCert',
    'SOCKHOP_OPTION_VALUE',
    `The option "requestCert" of "ssl_options" has no effect: only true asks clients for a certificate. Received ${inspect(requestCert)}`,
  );
}

/**
 * Warns of a client's certificate without its key, and of a key without its certificate: Node
 * ignores both.
 */
function warnOfHalfIdentity({ cert, key, pfx, secureContext, privateKeyIdentifier }) {
  if (Boolean(cert) === Boolean(key) || pfx || secureContext || privateKeyIdentifier) return;
  const [name, missing] = cert ? ['cert', 'key'] : ['key', 'cert'];
  warn(
    `${name} without ${missing}`,
    'SOCKHOP_IGNORED_OPTION',
    `The option "${name}" of "ssl_options" has no effect without "${missing}": the client has no certificate.`,
  );
}

/**
 * Warns of a message of a client for which `connect()` was never called: the rejection may go
 * unnoticed.
 */
function warnOfNoConnect() {
  warn(
    'no connect()',
    'SOCKHOP_NOT_CONNECTED',
    'A message of a SockhopClient was not sent, because the program has not called connect() or turned auto_reconnect on. ' +
      'The promise of send() rejects.',
  );
}

/**
 * Warns of listeners for an event that differs by one letter from one that has no listener.
 *
 * @param {EventEmitter} target a client or server
 * @param {Array<string|symbol>} others names of events that it does not emit
 * @param {string[]} events those that it emits
 */
function warnOfEvents(target, others, events) {
  for (const name of others) {
    if (typeof name !== 'string') continue;
    const meant = events.find((event) => distance(plain(name), event) <= 1);
    if (meant === undefined || target.listenerCount(meant) > 0) continue;
    warn(
      `event ${name}`,
      'SOCKHOP_UNKNOWN_EVENT',
      `A ${target.constructor.name} has a listener for "${name}", which it never emits. Did you mean "${meant}"?`,
    );
  }
}

/** Texts that a program may take for false. */
const NEGATIVE = /^(false|no|off|0)$/i;

/**
 * Warns of an option that is true or false, and has a value that seems to mean something else.
 *
 * @param {string} subject the option in the message
 * @param {*} value truthy
 */
function warnOfFlag(subject, value) {
  if (typeof value !== 'string' || !NEGATIVE.test(value)) return;
  warn(
    subject,
    'SOCKHOP_OPTION_VALUE',
    `${subject} ${inspect(value)} means true, because only falsy values mean false. Write true or false.`,
  );
}

/** Warns of a number that the program seems to have computed from something undefined. */
function warnOfNaN(subject) {
  warn(`NaN ${subject}`, 'SOCKHOP_OPTION_VALUE', `${subject} is NaN, and means the default.`);
}

module.exports = {
  NOT_OF_LISTEN,
  looksLike,
  plain,
  warn,
  warnOfEvents,
  warnOfFlag,
  warnOfHalfIdentity,
  warnOfNaN,
  warnOfNoConnect,
  warnOfOptions,
  warnOfTlsOptions,
};
