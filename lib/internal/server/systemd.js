'use strict';

const { invalidValue } = require('../options/kinds.js');

/** The number of the first descriptor that systemd passes. */
const FIRST = 3;

/**
 * The sockets that systemd passes, as described in sd_listen_fds(3). In a worker of `node:cluster`
 * they are those of the primary.
 *
 * @param {boolean} isWorker of `node:cluster`
 * @returns {{fd: number, name: string}[]}
 */
function passedSockets(isWorker) {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = process.env;
  const count = Number(LISTEN_FDS);
  const isOurs = Number(LISTEN_PID) === (isWorker ? process.ppid : process.pid);
  if (!isOurs || !Number.isInteger(count) || count < 1) return [];
  const names = LISTEN_FDNAMES.split(':');
  return Array.from({ length: count }, (_, n) => ({ fd: FIRST + n, name: names[n] || 'unknown' }));
}

/**
 * @param {true|string} wanted the option `systemd`
 * @param {boolean} isWorker of `node:cluster`
 * @returns {?number} the descriptor of the socket that systemd passes; null if it passes none
 * @throws {TypeError} ERR_INVALID_ARG_VALUE if it is not clear which one is wanted
 */
function systemdDescriptor(wanted, isWorker) {
  const passed = passedSockets(isWorker);
  if (passed.length === 0) return null;
  const found = wanted === true ? passed : passed.filter(({ name }) => name === wanted);
  if (found.length === 1) return found[0].fd;
  const sockets = passed.map(({ fd, name }) => `"${name}" (descriptor ${fd})`).join(', ');
  throw invalidValue(
    'The "options.systemd" property',
    `the name of one of the sockets that systemd passes: ${sockets} (or set "fd" instead)`,
    wanted,
  );
}

module.exports = { systemdDescriptor };
