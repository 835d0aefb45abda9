'use strict';

const { certificatesIn, parseCertificate, textsOf } = require('./certificates.js');
const { unusable } = require('./server-identity.js');
const { defaultTrust, trustOf } = require('./trust.js');

const CRL = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g;

/**
 * @param {object} options `ssl_options` of the program
 * @returns {?Trust} the authorities of clients; null if only OpenSSL can use them
 * @throws {TypeError} for a `ca` that is not in PEM
 */
function clientAuthorities({ ca }) {
  if (!ca) return defaultTrust();
  const pem = certificatesIn(textsOf(ca) ?? ['']);
  if (!pem || pem.map(parseCertificate).includes(null)) {
    throw unusable(
      'The "options.ssl_options.ca" property must be one certificate in PEM, or several',
      'ERR_INVALID_ARG_VALUE',
    );
  }
  const trust = trustOf(ca);
  return trust?.certificates.every(hasSupportedKey) ? trust : null;
}

/** Whether the native side can check signatures of a key. */
function hasSupportedKey({ publicKey }) {
  const { asymmetricKeyType, asymmetricKeyDetails } = publicKey;
  switch (asymmetricKeyType) {
    case 'rsa':
      return asymmetricKeyDetails.modulusLength >= 2048;
    case 'ec':
      return ['prime256v1', 'secp384r1'].includes(asymmetricKeyDetails.namedCurve);
    default:
      return asymmetricKeyType === 'ed25519';
  }
}

/** @returns {?Buffer} the revocation lists; null if only OpenSSL can use them */
function revocationLists(crl) {
  if (!crl) return Buffer.alloc(0);
  const texts = textsOf(crl);
  const lists = texts?.map((text) => text.match(CRL));
  return lists && !lists.includes(null) ? Buffer.from(lists.flat().join('\n'), 'latin1') : null;
}

/**
 * The clients that a server trusts, for the native side.
 *
 * @param {object} options `ssl_options` of the program
 * @param {Trust} trust
 * @returns {?object} null if only OpenSSL can use the options
 */
function clientTrust({ ca, crl, rejectUnauthorized }, trust) {
  const revoked = revocationLists(crl);
  if (revoked === null || !trust.isDecisive) return null;
  return {
    trusted: trust.pem,
    // This is as in Node, which announces only the authorities in `ca`.
    announced: ca ? trust.pem : Buffer.alloc(0),
    revoked,
    required: rejectUnauthorized !== false,
  };
}

module.exports = { clientAuthorities, clientTrust };
