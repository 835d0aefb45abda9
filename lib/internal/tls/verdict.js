'use strict';

/* Why a certificate is not trusted, in the words of OpenSSL. */

const tls = require('node:tls');

const { wallClock } = require('../real-timers.js');
const { isSelfIssued } = require('./certificates.js');

/** Node with this function adds advice to some messages of OpenSSL. */
const ADVISES = typeof tls.getCACertificates === 'function';
/** The messages of OpenSSL by the codes of Node; null where only Node knows the message. */
const MESSAGES = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: ADVISES ? null : 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: null,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: null,
};

/**
 * @param {crypto.X509Certificate[]} chain as the peer sent it, its own certificate first
 * @param {Trust} trust
 * @returns {?string} the code with which OpenSSL refuses the chain; null if that is not certain
 */
function refusalCode([leaf, ...others], trust) {
  // OpenSSL reports the last error it finds, and looks at the dates of the leaf last.
  const code = dateError(leaf);
  if (code !== null) return code;
  if (!trust.isExact) return null;
  const path = [leaf];
  for (;;) {
    const last = path[path.length - 1];
    if (trust.has(last) || trust.issuerOf(last) || dateError(last)) return null;
    if (isSelfIssued(last)) {
      return path.length === 1 ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : 'SELF_SIGNED_CERT_IN_CHAIN';
    }
    const issuer = others.find((other) => !path.includes(other) && last.checkIssued(other));
    if (issuer === undefined) {
      return path.length === 1
        ? 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
        : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
    }
    path.push(issuer);
  }
}

/** @returns {?string} the code of OpenSSL if a certificate is not valid at this time */
function dateError({ validFrom, validTo }) {
  const now = wallClock();
  if (now < Date.parse(validFrom)) return 'CERT_NOT_YET_VALID';
  // The certificate is valid in its last second.
  return now >= Date.parse(validTo) + 1000 ? 'CERT_HAS_EXPIRED' : null;
}

module.exports = { MESSAGES, dateError, refusalCode };
