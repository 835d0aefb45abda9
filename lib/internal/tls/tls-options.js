'use strict';

/* Options of `tls` that client and server have in common, for the native side. */

const crypto = require('node:crypto');
const tls = require('node:tls');

/** The versions that the native side supports, in their order. */
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

/**
 * @returns {?{tls12: boolean, tls13: boolean}} null for versions that the native side does not
 *   support
 */
function versionsOf({ minVersion, maxVersion }) {
  const min = VERSIONS.indexOf(minVersion ?? tls.DEFAULT_MIN_VERSION);
  const max = VERSIONS.indexOf(maxVersion ?? tls.DEFAULT_MAX_VERSION);
  if (min < 0 || max < min) return null;
  return { tls12: min === 0, tls13: max === 1 };
}

/**
 * @returns {?Buffer[]} the names of protocols for ALPN; null for values that only Node supports, or
 *   refuses
 */
function protocolsOf(value) {
  if (value === undefined) return [];
  if (Array.isArray(value)) {
    const names = value.map((name) => (typeof name === 'string' ? Buffer.from(name) : name));
    const isValid = (name) => Buffer.isBuffer(name) && name.length > 0 && name.length < 256;
    return names.every(isValid) ? names : null;
  }
  if (!Buffer.isBuffer(value)) return null;
  // The format on the connection: each name follows its length, in one byte.
  const names = [];
  for (let at = 0; at < value.length; at += 1 + value[at]) {
    const name = value.subarray(at + 1, at + 1 + value[at]);
    if (name.length === 0 || name.length !== value[at]) return null;
    names.push(name);
  }
  return names;
}

/** Bun and Deno have their own TLS, with other defaults than Node. */
const ON_NODE = process.versions.bun === undefined && process.versions.deno === undefined;

/** @returns {boolean} whether the program has left Node's defaults of TLS as they are */
function hasNodeDefaults() {
  const { defaultCoreCipherList } = crypto.constants;
  return (
    ON_NODE &&
    process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0' &&
    (defaultCoreCipherList === undefined || tls.DEFAULT_CIPHERS === defaultCoreCipherList) &&
    (tls.DEFAULT_ECDH_CURVE === undefined || tls.DEFAULT_ECDH_CURVE === 'auto') &&
    !(crypto.getFips?.() > 0)
  );
}

module.exports = { hasNodeDefaults, protocolsOf, versionsOf };
