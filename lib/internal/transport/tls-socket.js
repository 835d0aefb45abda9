'use strict';

const { SockhopSocket } = require('../../SockhopSocket.js');
const { ErrorKind } = require('../native/classes.js');
const { kAttachConnection, kMarkConnected, kOnError } = require('../symbols.js');
const { alertError } = require('../tls/tls-errors.js');
const { supportProxies } = require('../proxy-support.js');

/**
 * The socket of a secure connection, with the properties and methods of a `tls.TLSSocket`.
 *
 * A client does not resume sessions, and there is no renegotiation: `getSession()` and
 * `getTLSTicket()` return undefined, and there are no `session` and `keylog` events.
 */
class SockhopTlsSocket extends SockhopSocket {
  /** The result of the handshake, see `SessionDetails`; null before it. */
  #details = null;

  /**
   * @param {object} connection of a server, or the PendingConnection of a client until
   *   `kAttachConnection`
   * @param {SessionDetails} [details] of a server
   * @param {...*} rest as for a `SockhopSocket`
   */
  constructor(connection, details = null, ...rest) {
    super(connection, ...rest);
    this.encrypted = true;
    this.secureConnecting = true;
    this.authorized = false;
    this.authorizationError = null;
    this.alpnProtocol = null;
    this.servername = null;
    if (details !== null) this.#setDetails(details);
  }

  #setDetails(details) {
    this.#details = details;
    this.secureConnecting = false;
    this.authorized = details.isAuthorized;
    this.authorizationError = details.authorizationError;
    this.alpnProtocol = details.alpnProtocol;
    this.servername = details.servername;
  }

  [kAttachConnection](connection, details) {
    this.#setDetails(details);
    super[kAttachConnection](connection);
  }

  [kMarkConnected](emitConnect) {
    super[kMarkConnected](emitConnect);
    this.emit('secureConnect');
  }

  [kOnError](kind, number, syscall) {
    if (kind === ErrorKind.Tls) this.destroy(alertError(number));
    else super[kOnError](kind, number, syscall);
  }

  /**
   * @param {boolean} [detailed=false] with `issuerCertificate`, up to the root
   * @returns {?import('node:tls').PeerCertificate} null once the socket is destroyed
   */
  getPeerCertificate(detailed = false) {
    if (this.destroyed) return null;
    return this.#details === null ? {} : this.#details.peerCertificate(Boolean(detailed));
  }

  /**
   * @returns {import('node:crypto').X509Certificate|undefined} undefined once the socket is
   *   destroyed
   */
  getPeerX509Certificate() {
    return this.destroyed ? undefined : this.#details?.leaf;
  }

  /** @returns {?string} "TLSv1.2" or "TLSv1.3"; null once the socket is destroyed */
  getProtocol() {
    return this.destroyed ? null : (this.#details?.protocol ?? null);
  }

  /**
   * @returns {?{name: string, standardName: string, version: string}} null once the socket is
   *   destroyed
   */
  getCipher() {
    if (this.destroyed || this.#details === null) return null;
    return { ...this.#details.cipher };
  }

  getSession() {
    return undefined;
  }

  getTLSTicket() {
    return undefined;
  }

  /** @returns {boolean} whether a client has resumed the session of an earlier connection */
  isSessionReused() {
    return this.#details?.isResumed ?? false;
  }
}

supportProxies(SockhopTlsSocket);

module.exports = { SockhopTlsSocket };
