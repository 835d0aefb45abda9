'use strict';

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

module.exports = { formatAddress };
