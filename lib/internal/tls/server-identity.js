'use strict';

/*
 * The certificates of a server and their keys, checked before the server listens: a mistake must
 * not wait for the first client.
 */

const crypto = require('node:crypto');
const tls = require('node:tls');

const { wallClock } = require('../real-timers.js');
const {
  certificatesIn,
  dateError,
  isSelfIssued,
  parseCertificate,
  textsOf,
} = require('./certificates.js');

const property = (name) => `The "options.ssl_options.${name}" property`;

/**
 * @param {string} message
 * @param {string} code
 * @param {Error} [cause] of Node
 * @returns {TypeError} an option that cannot be used
 */
function unusable(message, code, cause) {
  const err = new TypeError(message, cause && { cause });
  err.code = code;
  return err;
}

/** @returns {Array} the items of an option that takes one or a list of them */
const listOf = (value) => (Array.isArray(value) ? value : [value]).filter(Boolean);

/** @returns {crypto.KeyObject} @throws {TypeError} for a key that cannot be read */
function readKey(item, passphrase) {
  const isObject = !ArrayBuffer.isView(item) && typeof item === 'object';
  const key = isObject ? item.pem : item;
  const secret = (isObject && item.passphrase) || passphrase;
  try {
    return crypto.createPrivateKey({ key, passphrase: secret });
  } catch (err) {
    const isSecret = secret === undefined && /passphrase|ENCRYPTED/i.test(`${err.message} ${key}`);
    throw unusable(
      `${property('key')} cannot be read: ${
        isSecret ? 'it is encrypted, and there is no "passphrase"' : err.message
      }. It must be a private key in PEM, and its "passphrase" if it has one`,
      err.code ?? 'ERR_INVALID_ARG_VALUE',
      err,
    );
  }
}

/** @returns {crypto.X509Certificate[]} the chain @throws {TypeError} if there is none */
function readChain(item) {
  const pem = certificatesIn(textsOf(item) ?? ['']);
  const chain = pem?.map(parseCertificate);
  if (!chain || chain.includes(null)) {
    throw unusable(
      `${property('cert')} must be a certificate in PEM, followed by those of its authorities`,
      'ERR_INVALID_ARG_VALUE',
    );
  }
  return chain;
}

/** @throws {TypeError} if a certificate is not valid today */
function checkDates(certificate) {
  const code = dateError(certificate);
  if (code === null) return;
  const { subject, validFrom, validTo } = certificate;
  const name = subject?.replace(/\n/g, ', ') ?? 'without a name';
  const now = new Date(wallClock()).toISOString();
  throw unusable(
    code === 'CERT_HAS_EXPIRED'
      ? `The certificate in "options.ssl_options.cert" has expired: ${name} was valid until ${validTo}, and it is ${now}. Clients would refuse it`
      : `The certificate in "options.ssl_options.cert" is not valid yet: ${name} is valid from ${validFrom}, and it is ${now}. Clients would refuse it`,
    code,
  );
}

/**
 * Reads and checks `cert`, `key` and `passphrase`.
 *
 * @param {object} options `ssl_options` of the program
 * @returns {{chain: crypto.X509Certificate[], key: crypto.KeyObject}[]} none if other options name
 *   the certificates
 * @throws {TypeError} that names the option, with the code of Node or OpenSSL
 */
function readIdentities({ cert, key, pfx, SNICallback, pskCallback, passphrase }) {
  const certs = listOf(cert);
  const keys = listOf(key);
  if (certs.length === 0 && keys.length === 0 && (pfx || SNICallback || pskCallback)) return [];
  if (certs.length === 0 || keys.length === 0) {
    throw unusable(
      `${property(certs.length === 0 ? 'cert' : 'key')} is missing: a server with TLS needs a certificate ("cert") and its key ("key"), or both in "pfx"`,
      'ERR_INVALID_ARG_VALUE',
    );
  }
  const chains = certs.map(readChain);
  const privateKeys = keys.map((item) => readKey(item, passphrase));
  const identities = chains.map((chain) => ({
    chain,
    key: privateKeys.find((one) => chain[0].checkPrivateKey(one)),
  }));
  for (const { chain, key: own } of identities) {
    if (own === undefined) {
      throw unusable(
        `${property('key')} does not belong to the certificate in "cert" (${chain[0].subject?.replace(/\n/g, ', ')})`,
        'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
      );
    }
    for (const certificate of chain) checkDates(certificate);
  }
  return identities;
}

/**
 * Completes a chain with trusted certificates, as OpenSSL does.
 *
 * @param {crypto.X509Certificate[]} chain
 * @param {?Trust} trust
 * @returns {crypto.X509Certificate[]} without a root
 */
function completeChain(chain, trust) {
  const whole = [...chain];
  while (trust && !isSelfIssued(whole.at(-1))) {
    const issuer = trust.issuerOf(whole.at(-1));
    if (issuer === undefined || isSelfIssued(issuer) || whole.includes(issuer)) break;
    whole.push(issuer);
  }
  return whole;
}

/**
 * Makes Node check all options.
 *
 * @throws {Error} Node's, with a message that names the option
 */
function checkAll(options) {
  try {
    tls.createSecureContext(options);
  } catch (err) {
    const message = `"options.ssl_options" cannot be used: ${err.message}`;
    throw unusable(message, err.code ?? 'ERR_INVALID_ARG_VALUE', err);
  }
  const { ALPNProtocols: protocols } = options;
  if (!protocols || Array.isArray(protocols) || ArrayBuffer.isView(protocols)) return;
  // Node ignores any other value.
  throw unusable(
    `${property('ALPNProtocols')} must be an array of names, or a Buffer`,
    'ERR_INVALID_ARG_TYPE',
  );
}

module.exports = { checkAll, completeChain, readIdentities, unusable };
