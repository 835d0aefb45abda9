'use strict';

const fs = require('node:fs');
const tls = require('node:tls');

const native = require('../native/binding.js');
const { certificatesIn, parseCertificate, textsOf } = require('./certificates.js');

// Read when the package is loaded: a program that sets it later has no effect on Node either.
const extraFile = process.env.NODE_EXTRA_CA_CERTS;

/** The certificates that a client trusts. */
class Trust {
  /** The certificates in PEM; none if they are those built into the native side. */
  #pem;
  /** The same, parsed when they are needed: @type {crypto.X509Certificate[]|undefined} */
  #parsed;

  /**
   * @param {string[]|null} pem null for those built into the native side
   * @param {boolean} isExact whether Node trusts these and no others
   * @param {crypto.X509Certificate[]} [parsed] the same certificates
   * @throws {Error} if the native side cannot use them
   */
  constructor(pem, isExact, parsed) {
    this.#pem = pem ?? [];
    this.#parsed = parsed;
    /**
     * Whether the native side decides as Node does about every certificate. It asks OpenSSL about
     * those that rustls does not trust.
     */
    this.isDecisive = isExact && native.hasOpenssl();
    this.native = new native.TlsTrustStore(pem && Buffer.from(pem.join('\n'), 'latin1'));
  }

  /** All certificates as one text. */
  get pem() {
    return Buffer.from(this.#pem.join('\n'), 'latin1');
  }

  /**
   * The parsed certificates. Those of Mozilla are many, and are parsed only if the program asks for
   * the whole chain of a peer.
   */
  get certificates() {
    this.#parsed ??= this.#pem.map(parseCertificate).filter((certificate) => certificate !== null);
    return this.#parsed;
  }

  /** @returns {crypto.X509Certificate|undefined} */
  issuerOf(certificate) {
    return this.certificates.find((trusted) => certificate.checkIssued(trusted));
  }
}

/** The trust of programs without the option `ca`, and the certificates it was made of. */
let cachedDefault = null;

/**
 * @returns {?Trust} the trust of a program without the option `ca`; null if only OpenSSL knows it
 */
function defaultTrust() {
  const flags = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ');
  if (flags.includes('--use-openssl-ca')) return null;
  const isListed = typeof tls.getCACertificates === 'function';
  if (!isListed && flags.includes('--use-system-ca')) return null;
  const source = isListed ? tls.getCACertificates('default') : tls.rootCertificates;
  if (cachedDefault === null || cachedDefault.source !== source) {
    cachedDefault = { source, trust: trustOfNode(source, isListed) };
  }
  return cachedDefault.trust;
}

/**
 * @param {string[]} source the certificates of Node, in PEM
 * @param {boolean} isComplete whether those of NODE_EXTRA_CA_CERTS are among them
 */
function trustOfNode(source, isComplete) {
  if (!Array.isArray(source) || source.length === 0) return new Trust(null, false);
  const pem = [...source];
  if (!isComplete && extraFile) {
    let extra;
    try {
      extra = certificatesIn([fs.readFileSync(extraFile, 'latin1')]);
    } catch {
      // Node warns of a file that it cannot read, and continues without it.
      extra = [];
    }
    if (extra === null) return null;
    pem.push(...extra);
  }
  // A Node that uses the system's OpenSSL may trust more certificates than it lists.
  const shared = process.config?.variables?.node_shared_openssl;
  try {
    return new Trust(pem, shared === false || shared === 'false');
  } catch {
    return null;
  }
}

/** @returns {?Trust} the trust of the option `ca`; null if only OpenSSL can use it */
function trustOf(ca) {
  const texts = textsOf(ca);
  const pem = texts && certificatesIn(texts);
  const parsed = pem?.map(parseCertificate);
  if (!parsed || parsed.includes(null)) return null;
  try {
    return new Trust(pem, true, parsed);
  } catch {
    return null;
  }
}

module.exports = { defaultTrust, trustOf };
