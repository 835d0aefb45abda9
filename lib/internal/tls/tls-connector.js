'use strict';

/*
 * TLS of a client. The native side (rustls) does it if it supports all of the program's options;
 * otherwise Node's own `tls` does. `socket.authorized` and the codes of errors are the same either
 * way.
 *
 * The native side trusts a certificate if rustls or OpenSSL does. Where it cannot ask OpenSSL, or
 * does not know whom Node trusts, the client connects again through `tls.connect()`.
 */

const net = require('node:net');
const tls = require('node:tls');

const native = require('../native/binding.js');
const { certificatesIn, isSelfIssued, parseCertificate, textsOf } = require('./certificates.js');
const { SessionDetails } = require('./session-details.js');
const { unsupportedOption } = require('./tls-errors.js');
const { hasNodeDefaults, protocolsOf, versionsOf } = require('./tls-options.js');
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

/** The codes to whose messages Node adds advice, and whether this version of Node does. */
const ADVISED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];
const ADVISES = typeof tls.getCACertificates === 'function';

// ---- options ------------------------------------------------------------------------------------

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
  // OpenSSL completes the chain with the certificates of the option `ca`.
  if (ca && chain.length === 1 && !trust.certificates.every(isSelfIssued)) return null;
  return { cert: Buffer.from(chain.join('\n')), key: Buffer.from(keys[0]) };
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
    const { untrusted } = agreement;
    if (untrusted !== undefined && !this.#isDecided(untrusted.code)) return { needsOpenssl: true };
    let error = untrusted && Object.assign(new Error(untrusted.reason), { code: untrusted.code });
    const details = new SessionDetails(agreement, () => chain, this.#trust, this.servername);
    if (error === undefined) {
      error = this.#checkServerIdentity
        ? this.#checkServerIdentity(this.#hostname, details.peerCertificate(true))
        : tls.checkServerIdentity(this.#hostname, details.peerCertificate(false));
    }
    details.isAuthorized = !error;
    if (!error) return { details };
    if (this.#rejectUnauthorized) return { error };
    details.authorizationError = error.code || error.message;
    return { details };
  }

  /** Whether Node also refuses the server, with the same message. */
  #isDecided(code) {
    const isWorded = !this.#rejectUnauthorized || !ADVISES || !ADVISED.includes(code);
    return this.#trust.isDecisive && isWorded;
  }
}

module.exports = { TlsConnector };
