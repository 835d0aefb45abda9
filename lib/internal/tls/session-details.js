'use strict';

const { isSelfIssued } = require('./certificates.js');

/** The cipher suites of the native side: number, name in the standard, name in OpenSSL. */
const CIPHERS = new Map([
  [0x1301, ['TLS_AES_128_GCM_SHA256']],
  [0x1302, ['TLS_AES_256_GCM_SHA384']],
  [0x1303, ['TLS_CHACHA20_POLY1305_SHA256']],
  [0xc02b, ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256']],
  [0xc02c, ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384']],
  [0xc02f, ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']],
  [0xc030, ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384']],
  [0xcca8, ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305']],
  [0xcca9, ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305']],
]);

function cipherOf(number, version) {
  const [standardName, name = standardName] = CIPHERS.get(number) ?? [`0x${number.toString(16)}`];
  return { name, standardName, version };
}

/** The properties of a secure connection that a program may read, as those of a `tls.TLSSocket`. */
class SessionDetails {
  /** Parses the certificates that the peer sent: @type {function(): crypto.X509Certificate[]} */
  #parseChain;
  /** The certificates that this end trusts, which complete the chain. */
  #trust;
  /** Why the peer is not trusted, if it is accepted nevertheless: @type {?string} */
  authorizationError = null;
  /** Whether a server has asked the client for a certificate, and trusts it. */
  isAuthorized = false;

  /**
   * @param {object} agreement the result of the handshake, from the native side
   * @param {function(): crypto.X509Certificate[]} parseChain the peer's certificates, its own first
   * @param {Trust} trust
   * @param {string} [servername]
   */
  constructor(agreement, parseChain, trust, servername) {
    this.#parseChain = parseChain;
    this.#trust = trust;
    this.protocol = agreement.tls13 ? 'TLSv1.3' : 'TLSv1.2';
    this.cipher = cipherOf(agreement.cipher, this.protocol);
    this.alpnProtocol = agreement.protocol?.toString() ?? false;
    this.servername = servername || false;
    this.isResumed = agreement.resumed;
  }

  /** The peer's own certificate: @type {crypto.X509Certificate|undefined} */
  get leaf() {
    return this.#parseChain()[0];
  }

  /**
   * Like `tls.TLSSocket#getPeerCertificate()`: with `detailed`, each certificate has its issuer's.
   */
  peerCertificate(detailed) {
    const [own, ...unused] = this.#parseChain();
    // Node returns this for a client without a certificate.
    if (!own) return {};
    const leaf = own.toLegacyObject();
    if (!detailed) return leaf;
    let last = own;
    let object = leaf;
    for (;;) {
      if (isSelfIssued(last)) {
        object.issuerCertificate = object;
        return leaf;
      }
      const index = unused.findIndex((other) => last.checkIssued(other));
      const issuer = index >= 0 ? unused.splice(index, 1)[0] : this.#trust.issuerOf(last);
      if (issuer === undefined) return leaf;
      last = issuer;
      object.issuerCertificate = issuer.toLegacyObject();
      object = object.issuerCertificate;
    }
  }
}

module.exports = { SessionDetails };
