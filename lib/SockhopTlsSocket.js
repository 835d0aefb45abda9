'use strict';

const { SockhopSocket } = require('./SockhopSocket.js');
const { kFailed } = require('./symbols.js');
const { failure } = require('./tls.js');

/**
 * The socket of a secure connection: to the program, what it would ask of a `tls.TLSSocket`.
 *
 * There is no session to resume and none to renegotiate: `getSession()` and `getTLSTicket()` answer
 * undefined, and `session` and `keylog` events do not come.
 */
class SockhopTlsSocket extends SockhopSocket {
  #details;

  /**
   * @param {object} connection the native connection
   * @param {object} details what its handshake came to, see `tls.js`
   */
  constructor(connection, details) {
    super(connection);
    this.#details = details;
    this.encrypted = true;
    this.authorized = details.authorizationError === null;
    this.authorizationError = details.authorizationError;
    this.alpnProtocol = details.alpnProtocol;
    this.servername = details.servername;
  }

  [kFailed](errno, syscall) {
    if (syscall === 'tls') this.destroy(failure(errno));
    else super[kFailed](errno, syscall);
  }

  /**
   * @param {boolean} [detailed=false] with `issuerCertificate`, up to the root
   * @returns {?import('node:tls').PeerCertificate} null once the socket is destroyed
   */
  getPeerCertificate(detailed = false) {
    return this.destroyed ? null : this.#details.peerCertificate(Boolean(detailed));
  }

  /** @returns {import('node:crypto').X509Certificate|undefined} undefined once the socket is destroyed */
  getPeerX509Certificate() {
    return this.destroyed ? undefined : this.#details.leaf;
  }

  /** @returns {?string} "TLSv1.2" or "TLSv1.3"; null once the socket is destroyed */
  getProtocol() {
    return this.destroyed ? null : this.#details.protocol;
  }

  /** @returns {?{name: string, standardName: string, version: string}} null once the socket is destroyed */
  getCipher() {
    return this.destroyed ? null : { ...this.#details.cipher };
  }

  getSession() {
    return undefined;
  }

  getTLSTicket() {
    return undefined;
  }

  isSessionReused() {
    return false;
  }
}

module.exports = { SockhopTlsSocket };
