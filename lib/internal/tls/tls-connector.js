'use strict';

/*
 * TLS of a client. The native side (rustls) does it if it supports all of the program's options;
 * otherwise Node's own `tls` does. `socket.authorized` and the codes of errors are the same either
 * way.
 *
 * The native side accepts a certificate if its chain leads to a trusted one beyond doubt; it is
 * stricter than OpenSSL in some points. If it does not accept a certificate, this module either
 * knows for certain how OpenSSL decides, or the client connects again through `tls.connect()`, and
 * OpenSSL decides.
 */

const crypto = require('node:crypto');
const net = require('node:net');
const tls = require('node:tls');

const native = require('../native/binding.js');
const { wallClock } = require('../real-timers.js');
const { certificatesIn, isSelfIssued, parseCertificate, textsOf } = require('./certificates.js');
const { SessionDetails } = require('./session-details.js');
const { unsupportedOption } = require('./tls-errors.js');
const { defaultTrust, trustOf } = require('./trust.js');

/** The options of `tls.connect()` that the native side supports. */
const NATIVE_OPTIONS = new Set([
  'ca',
  'cert',
  'key',
  'servername',
  'rejectUnauthorized',
  'checkServerIdentity',
  'minVersion',
  'maxVersion',
  'ALPNProtocols',
]);
/** Options that `tls.connect()` once had, and ignores now. */
const REMOVED_OPTIONS = ['NPNProtocols'];

/** The versions that the native side supports, in their order. */
const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

/** The OID of the key usage of servers. */
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

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

// ---- options ------------------------------------------------------------------------------------

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
  // As sent over the connection: each name has its length, in one byte, before it.
  const names = [];
  for (let at = 0; at < value.length; at += 1 + value[at]) {
    const name = value.subarray(at + 1, at + 1 + value[at]);
    if (name.length === 0 || name.length !== value[at]) return null;
    names.push(name);
  }
  return names;
}

/**
 * The certificate of the client and its key.
 *
 * @returns {?{cert?: Buffer, key?: Buffer}} null if only OpenSSL can use them
 */
function identityOf({ cert, key, ca }, trust) {
  if (!cert && !key) return {};
  const chains = cert && textsOf(cert);
  const keys = key && textsOf(key);
  if (chains?.length !== 1 || keys?.length !== 1 || keys[0].includes('ENCRYPTED')) return null;
  const chain = certificatesIn(chains);
  if (chain === null) return null;
  // OpenSSL completes the chain by the certificates of the option `ca`.
  if (ca && chain.length === 1 && !trust.certificates.every(isSelfIssued)) return null;
  return { cert: Buffer.from(chain.join('\n')), key: Buffer.from(keys[0]) };
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

// ---- the connector ------------------------------------------------------------------------------

/** Makes native connections secure as the options of a program say, and verifies the server. */
class TlsConnector {
  /** The certificates that the client trusts. */
  #trust;
  /** The name or address that the certificate of the server must have. */
  #hostname;
  /** Whether a server that is not trusted is refused. */
  #rejectUnauthorized;
  /** The program's own function: @type {?function} */
  #checkServerIdentity;

  /**
   * @param {native.TlsClientConfig} client
   * @param {Trust} trust
   * @param {object} settings
   */
  constructor(client, trust, settings) {
    /** The configuration of the native side. */
    this.client = client;
    this.servername = settings.servername;
    this.#trust = trust;
    this.#hostname = settings.hostname;
    this.#rejectUnauthorized = settings.rejectUnauthorized;
    this.#checkServerIdentity = settings.checkServerIdentity;
  }

  /**
   * @param {object} options `ssl_options` of the program
   * @param {string|undefined} host the name or address of the server; undefined for a path
   * @param {number} handshakeTimeout in ms
   * @returns {?TlsConnector} null if only OpenSSL supports the options
   * @throws {TypeError} for an option that Node ignores
   */
  static from(options, host, handshakeTimeout) {
    for (const name of REMOVED_OPTIONS) {
      if (options[name] !== undefined) throw unsupportedOption(name);
    }
    const names = Object.keys(options).filter((name) => options[name] !== undefined);
    if (!names.every((name) => NATIVE_OPTIONS.has(name)) || !hasNodeDefaults()) return null;
    const checkServerIdentity =
      'checkServerIdentity' in options ? options.checkServerIdentity : null;
    if (checkServerIdentity !== null && typeof checkServerIdentity !== 'function') return null;
    const { servername = '' } = options;
    if (typeof servername !== 'string' || net.isIP(servername) !== 0) return null;
    const versions = versionsOf(options);
    const protocols = protocolsOf(options.ALPNProtocols);
    const trust = options.ca ? trustOf(options.ca) : defaultTrust();
    const identity = trust && identityOf(options, trust);
    if (!versions || !protocols || !trust || !identity) return null;
    let client;
    try {
      client = new native.TlsClientConfig(trust.native, {
        ...identity,
        ...versions,
        ...(servername && { servername }),
        protocols,
        handshakeTimeout,
      });
    } catch {
      // The native side does not support the kind of key, or the key does not belong to the
      // certificate.
      return null;
    }
    return new TlsConnector(client, trust, {
      servername,
      hostname: servername || host || 'localhost',
      rejectUnauthorized: options.rejectUnauthorized !== false,
      checkServerIdentity,
    });
  }

  /**
   * Decides after the handshake whether a server is accepted, as Node does.
   *
   * @param {object} agreement the result of the handshake, from the native side
   * @returns {{needsOpenssl: true}|{error: Error}|{details: SessionDetails}} `needsOpenssl`:
   *   OpenSSL has to decide; `error`: the server is refused; `details`: it is accepted
   */
  verify(agreement) {
    const chain = agreement.certificates.map(parseCertificate);
    if (chain.length === 0 || chain.includes(null)) return { needsOpenssl: true };
    let error = null;
    if (!agreement.trusted && !this.#isTrustedSelfSigned(chain[0])) {
      const code = this.#refusalCode(chain);
      const isKnown = code !== null && (MESSAGES[code] || !this.#rejectUnauthorized);
      if (!isKnown) return { needsOpenssl: true };
      error = Object.assign(new Error(MESSAGES[code] ?? code), { code });
    }
    const details = new SessionDetails(agreement, chain, this.#trust, this.servername);
    if (error === null) {
      error = this.#checkServerIdentity
        ? this.#checkServerIdentity(this.#hostname, details.peerCertificate(true))
        : tls.checkServerIdentity(this.#hostname, details.peerCertificate(false));
    }
    if (!error) return { details };
    if (this.#rejectUnauthorized) return { error };
    details.authorizationError = error.code || error.message;
    return { details };
  }

  /**
   * @returns {boolean} whether the certificate of the server is self-signed and among the trusted
   *   ones
   */
  #isTrustedSelfSigned(leaf) {
    return (
      dateError(leaf) === null &&
      (leaf.keyUsage === undefined || leaf.keyUsage.includes(SERVER_AUTHENTICATION)) &&
      isSelfIssued(leaf) &&
      this.#trust.has(leaf)
    );
  }

  /** @returns {?string} the code with which OpenSSL refuses a chain; null if that is not certain */
  #refusalCode([leaf, ...others]) {
    // OpenSSL reports the last error it finds, and looks at the dates of the leaf last.
    const code = dateError(leaf);
    if (code !== null) return code;
    if (!this.#trust.isExact) return null;
    const path = [leaf];
    for (;;) {
      const last = path[path.length - 1];
      if (this.#trust.has(last) || this.#trust.issuerOf(last) || dateError(last)) return null;
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
}

/** @returns {?string} the code of OpenSSL if a certificate is not valid at this time */
function dateError({ validFrom, validTo }) {
  const now = wallClock();
  if (now < Date.parse(validFrom)) return 'CERT_NOT_YET_VALID';
  // The certificate is valid in its last second.
  return now >= Date.parse(validTo) + 1000 ? 'CERT_HAS_EXPIRED' : null;
}

module.exports = { TlsConnector };
