'use strict';

const net = require('node:net');
const os = require('node:os');

/** How long an address may take to answer before the next one is tried beside it, in ms, where Node does not say. */
const PACE_MS = 250;

/** @returns {number} in ms, as the program or Node's command line has it */
const attemptDelay = () => net.getDefaultAutoSelectFamilyAttemptTimeout?.() ?? PACE_MS;

/**
 * The addresses of a name in the order in which they are tried: both families in turn, beginning with the first's,
 * as Node does, so that a family that leads nowhere costs one attempt.
 *
 * @param {{address: string, family: number}[]} found in the order of `dns.lookup()`
 * @returns {object[]} the same
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

/** Bytes of the name of a Unix socket in the system's address. */
const NAME_BYTES = 108;
/** libuv 1.46 and 1.47, in Node 20 and 21, fill abstract names up with NULs; those before it know none. */
const [major, minor] = (process.versions.uv ?? '1.48').split('.').map(Number);
const FILLS_UP = major === 1 && (minor === 46 || minor === 47);

/**
 * The name of a Unix socket as libuv gives it to the system: NULs at the end of an abstract one (Linux: a path that
 * begins with NUL) are part of it, and two names that differ in them are two sockets.
 *
 * @param {string} path
 * @returns {string}
 */
function socketName(path) {
  if (path[0] !== '\0') return path;
  const bytes = Buffer.from(path);
  if (bytes.length > NAME_BYTES) return bytes.subarray(0, NAME_BYTES).toString();
  return FILLS_UP ? path + '\0'.repeat(NAME_BYTES - bytes.length) : path;
}

/**
 * The end of a connection, or where a server listens, as Node shows it: a link-local address names its link.
 *
 * @param {{address: string, family?: string, port?: number, scope?: number}} end
 */
function displayedEndpoint({ address, family, port, scope }) {
  if (!scope) return { address, family, port };
  const links = Object.entries(os.networkInterfaces());
  const link = links.find(([, ends]) => ends.some(({ scopeid }) => scopeid === scope));
  return { address: `${address}%${link?.[0] ?? scope}`, family, port };
}

module.exports = { interleaveFamilies, attemptDelay, displayedEndpoint, socketName };
