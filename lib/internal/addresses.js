'use strict';

const net = require('node:net');
const os = require('node:os');

/** The default of Node, in ms; Node 18 has no function that returns it. */
const ATTEMPT_DELAY_MS = 250;

/**
 * @returns {number} the time in ms after which the next address is tried as well. The program or
 *   the command line of Node sets it
 */
const attemptDelay = () => net.getDefaultAutoSelectFamilyAttemptTimeout?.() ?? ATTEMPT_DELAY_MS;

/**
 * The addresses of a name in the order in which they are tried. As in Node both families alternate,
 * beginning with that of the first address: so a family that is not reachable costs one attempt.
 *
 * @param {{address: string, family: number}[]} found in the order of `dns.lookup()`
 * @returns {{address: string, family: number}[]}
 */
function interleaveFamilies(found) {
  const first = found.filter(({ family }) => family === found[0].family);
  const other = found.filter(({ family }) => family !== found[0].family);
  const order = [];
  for (let n = 0; n < Math.max(first.length, other.length); n += 1) {
    order.push(...first.slice(n, n + 1), ...other.slice(n, n + 1));
  }
  return order;
}

/** The length of `sun_path` in the address of a Unix socket. */
const NAME_BYTES = 108;
/**
 * libuv 1.46 and 1.47, in Node 20 and 21, pad abstract names with NULs. Older ones do not support
 * them.
 */
const [major, minor] = (process.versions.uv ?? '1.48').split('.').map(Number);
const PADS_NAMES = major === 1 && (minor === 46 || minor === 47);

/**
 * The name of a Unix socket as libuv passes it to the system. It matters for an abstract name
 * (Linux: a path that begins with NUL): NULs at its end are part of the name.
 *
 * @param {string} path
 * @returns {string}
 */
function socketName(path) {
  if (path[0] !== '\0') return path;
  const bytes = Buffer.from(path);
  if (bytes.length > NAME_BYTES) return bytes.subarray(0, NAME_BYTES).toString();
  return PADS_NAMES ? path + '\0'.repeat(NAME_BYTES - bytes.length) : path;
}

/**
 * The address of an end of a connection, or of a listener, as Node displays it: a link-local
 * address names its link.
 *
 * @param {{address: string, family?: string, port?: number, scope?: number}} end
 */
function displayedEndpoint({ address, family, port, scope }) {
  if (!scope) return { address, family, port };
  const links = Object.entries(os.networkInterfaces());
  const link = links.find(([, ends]) => ends.some(({ scopeid }) => scopeid === scope));
  return { address: `${address}%${link?.[0] ?? scope}`, family, port };
}

/**
 * Formats an address for messages and for `util.inspect()`.
 *
 * @param {?{address: string, port?: number}} end of a connection
 * @returns {?string} `127.0.0.1:50000`, `[::1]:50000` or a path; null for an end without a name
 */
function formatAddress(end) {
  if (!end?.address) return null;
  const { address, port } = end;
  if (port === undefined || port === null) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

module.exports = { attemptDelay, displayedEndpoint, formatAddress, interleaveFamilies, socketName };
