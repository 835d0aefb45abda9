'use strict';

const { formatAddress } = require('../addresses.js');

const DEFAULT = { address: '127.0.0.1', port: 50000 };

/**
 * @param {string} [text] a port, `host:port`, `[IPv6 address]:port`, a host, or a path
 * @returns {{path: string}|{address: string, port: number}}
 * @throws {Error} for anything else
 */
function parseEndpoint(text) {
  if (text === undefined) return DEFAULT;
  if (/[/\\]/.test(text)) return { path: text };
  const [, bracketed, plain, digits] = text.match(/^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/) ?? [];
  const address = bracketed ?? plain;
  if (address === undefined || text === '') {
    throw new Error(
      `the endpoint must be a port, host:port, [IPv6 address]:port, or a path with a "/". Received "${text}"`,
    );
  }
  if (bracketed === undefined && /^\d+$/.test(address) && digits === undefined) {
    return { address: DEFAULT.address, port: checkPort(address) };
  }
  return {
    address: address || DEFAULT.address,
    port: digits === undefined ? DEFAULT.port : checkPort(digits),
  };
}

/**
 * Whether a text has the form of a port, host:port or a path, so that it may not be meant as a
 * message.
 *
 * @param {string} text
 */
const looksLikeEndpoint = (text) => /^(\d{1,5}|[^\s"{}]+:\d{1,5}|[^\s"{}]*\/[^\s"{}]*)$/.test(text);

function checkPort(text) {
  const port = Number(text);
  if (port <= 65535) return port;
  throw new Error(`a port must be <= 65535. Received ${text}`);
}

/** @returns {string} an endpoint as one text */
const formatEndpoint = ({ path, address, port }) =>
  formatAddress(path ? { address: path } : { address, port });

module.exports = { formatEndpoint, looksLikeEndpoint, parseEndpoint };
