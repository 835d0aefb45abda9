'use strict';

/*
 * Where and how a listener listens: from the options of listen() and the properties of the server,
 * for the native side and for `net`.
 */

const net = require('node:net');

const { late } = require('../late.js');
const { invalidValue } = require('../options/kinds.js');
const options = require('../options/options.js');

/** Parts for options that few programs use, see late.js. */
const load = {
  mistakes: late(() => require('../options/mistakes.js')),
  systemd: late(() => require('./systemd.js')),
};

/**
 * @returns {boolean} whether workers of `node:cluster` share addresses here; loads the module only
 *   when asked, as `net`
 */
const inCluster = () => require('node:cluster').isWorker;

/** Node's default for the number of connections that wait to be accepted. */
const BACKLOG = 511;

/** Permissions of a socket file, as libuv adds them. */
const READABLE_ALL = 0o444;
const WRITABLE_ALL = 0o222;

/**
 * @typedef {object} Place
 * @property {number} [fd] a descriptor; otherwise a path, or a host and port
 * @property {string} [path]
 * @property {string} [host]
 * @property {number} [port]
 */

const property = (name) => `The "options.${name}" property`;

/** Pipes of Windows have no file, and descriptors there are those of files. */
const ON_WINDOWS = process.platform === 'win32';

const refuse = (names, how, why) => {
  for (const name of names) {
    if (how[name]) throw invalidValue(property(name), `left out ${why}`, how[name]);
  }
};

/**
 * @param {object} how the options of listen(), checked
 * @returns {?number} a descriptor that listens, or is to listen
 * @throws {TypeError}
 */
function descriptorOf(how) {
  if (how.fd === null) {
    return how.systemd ? load.systemd().systemdDescriptor(how.systemd, inCluster()) : null;
  }
  if (ON_WINDOWS) {
    throw invalidValue(
      property('fd'),
      'left out on Windows, where a descriptor is not a socket',
      how.fd,
    );
  }
  refuse(
    ['mode', 'readableAll', 'writableAll'],
    how,
    'with "fd" (the code that made the socket has set the permissions of its file)',
  );
  return how.fd;
}

/** Warns of options that protect a file if the address has none. */
function warnOfFileOptions(how) {
  for (const name of ['mode', 'unlink_stale']) {
    if (!how[name]) continue;
    load
      .mistakes()
      .warn(
        `listen ${name}`,
        'SOCKHOP_IGNORED_OPTION',
        `The option "${name}" of listen() has no effect on a TCP port, which has no file. Leave it out, or set "path" for a Unix socket.`,
      );
  }
}

/**
 * @param {{path: ?string, address: string, port: number}} target the properties of the server
 * @param {object} how the options of listen(), checked
 * @returns {Place}
 * @throws {TypeError|RangeError}
 */
function placeOf({ path, address, port }, how) {
  const fd = descriptorOf(how);
  if (fd !== null) return { fd };
  if (path) {
    if (ON_WINDOWS) refuse(['mode', 'unlink_stale'], how, 'on Windows, where a pipe has no file');
    return { path: options.checkPath('The "path" property', path) };
  }
  warnOfFileOptions(how);
  return {
    // Without an address, the server listens on all of them, as with `net`.
    host: options.checkAddress('The "address" property', address || ''),
    port: options.checkPort('The "port" property', port),
  };
}

/**
 * The arguments of `net.Server#listen()`, where a server of Node listens.
 *
 * @param {Place} place
 * @param {object} how the options of listen(), checked
 * @returns {object}
 * @throws {TypeError} for options that Node does not have
 */
function netOptions(place, how) {
  refuse(
    ['mode', 'unlink_stale'],
    how,
    'where a server of Node listens: in a worker of node:cluster without "exclusive", or instead of server.server',
  );
  const given = {
    backlog: how.backlog,
    exclusive: how.exclusive,
    signal: how.signal,
    ipv6Only: how.ipv6_only || how.ipv6Only,
    reusePort: how.reuse_port || how.reusePort,
    readableAll: how.readableAll,
    writableAll: how.writableAll,
  };
  return { ...place, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value)) };
}

/**
 * @param {Place} place
 * @param {object} how the options of listen(), checked
 * @returns {boolean} whether only Node supports the options: permissions of a pipe of Windows
 */
function needsNode({ path }, how) {
  return ON_WINDOWS && Boolean(path) && Boolean(how.readableAll || how.writableAll);
}

/**
 * How the native side listens at an address or a path.
 *
 * @param {object} how the options of listen(), checked
 * @param {string} [address] an IP address
 * @returns {import('../native/native').ListenOptions}
 * @throws {TypeError} for IPv6 alone at an IPv4 address
 */
function nativeOptions(how, address) {
  const ipv6Only = Boolean(how.ipv6_only || how.ipv6Only);
  if (ipv6Only && net.isIPv4(address)) {
    throw invalidValue(
      property('ipv6_only'),
      `left out for the IPv4 address ${address} (set "address" to "::")`,
      true,
    );
  }
  const added = (how.readableAll ? READABLE_ALL : 0) | (how.writableAll ? WRITABLE_ALL : 0);
  return {
    backlog: how.backlog ?? BACKLOG,
    mode: how.mode ?? undefined,
    addedMode: added,
    unlinkStale: Boolean(how.unlink_stale),
    ipv6Only,
    reusePort: Boolean(how.reuse_port || how.reusePort),
  };
}

/**
 * The options of `net.Server#listen()` that the native side supports without options of its own.
 */
const PLAIN_OPTIONS = ['port', 'host', 'path', 'backlog', 'exclusive'];

/**
 * @param {Array} args of `net.Server#listen()`
 * @returns {?Place} with `backlog` and `exclusive`; null for arguments that only Node supports, or
 *   refuses
 */
function plainPlace(args) {
  const [first, second, third] = args;
  let endpoint;
  if (first === undefined || first === null || typeof first === 'function') endpoint = { port: 0 };
  else if (typeof first === 'object') {
    const names = Object.keys(first).filter((name) => first[name] !== undefined);
    if (!names.every((name) => PLAIN_OPTIONS.includes(name))) return null;
    endpoint =
      'port' in first && (first.port ?? null) === null ? { ...first, port: 0 } : { ...first };
  } else if (typeof first === 'string' && !(Number(first) >= 0)) endpoint = { path: first };
  else endpoint = { port: first };
  if (typeof second === 'string') endpoint.host ??= second;
  const backlog = endpoint.backlog || backlogIn(second) || backlogIn(third) || BACKLOG;
  const { path, host, exclusive } = endpoint;
  if (endpoint.port !== undefined) {
    const port =
      typeof endpoint.port === 'string' && endpoint.port.trim() ? +endpoint.port : endpoint.port;
    const valid = Number.isInteger(port) && port >= 0 && port <= 0xffff;
    if (!valid || (host && typeof host !== 'string')) return null;
    return { host: host || undefined, port, backlog, exclusive };
  }
  return typeof path === 'string' && path !== '' && !(Number(path) >= 0)
    ? { path, backlog, exclusive }
    : null;
}

/** @returns {number} the backlog in an argument, or 0 */
function backlogIn(value) {
  return typeof value !== 'function' && Number(value) > 0 ? Number(value) : 0;
}

module.exports = {
  descriptorOf,
  inCluster,
  nativeOptions,
  needsNode,
  netOptions,
  placeOf,
  plainPlace,
};
