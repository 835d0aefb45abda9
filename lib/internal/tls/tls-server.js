'use strict';

/*
 * TLS of a server. The native side (rustls) does it if it supports all of the program's options;
 * otherwise Node's own `tls` does. Sockets, errors and figures are the same either way.
 */

const native = require('../native/binding.js');
const timing = require('../real-timers.js');
const { parseCertificate } = require('./certificates.js');
const { checkAll, completeChain, readIdentities, unusable } = require('./server-identity.js');
const { clientAuthorities, clientTrust } = require('./server-trust.js');
const { SessionDetails } = require('./session-details.js');
const { describeHandshake, handshakeError } = require('./tls-errors.js');
const { hasNodeDefaults, protocolsOf, versionsOf } = require('./tls-options.js');

/** The options of `tls.createServer()` that the native side supports. */
const NATIVE_OPTIONS = new Set([
  'ca',
  'cert',
  'crl',
  'key',
  'passphrase',
  'requestCert',
  'rejectUnauthorized',
  'minVersion',
  'maxVersion',
  'ALPNProtocols',
  'honorCipherOrder',
]);

/** The least time between two reports of failures with one code, in ms. */
const REPORT_INTERVAL = 1000;

/** The certificates that a server without `requestCert` trusts: it asks for none. */
const NO_TRUST = { issuerOf: () => undefined };

/** The settings of TLS that connections of a server get. */
class ServerContext {
  /**
   * @param {object} options `ssl_options` of the program
   * @throws {Error} if an option cannot be used
   */
  constructor(options) {
    const identities = readIdentities(options);
    this.options = options;
    this.requestsCertificates = options.requestCert === true;
    const isTrusting = this.requestsCertificates || options.ca;
    const authorities = isTrusting ? clientAuthorities(options) : NO_TRUST;
    checkAll(options);
    this.trust = authorities ?? NO_TRUST;
    /** The configuration of the native side; null if only OpenSSL supports the options. */
    this.native = authorities && this.#nativeConfig(identities, authorities);
  }

  #nativeConfig(identities, authorities) {
    const { options } = this;
    const names = Object.keys(options).filter((name) => options[name] !== undefined);
    if (!names.every((name) => NATIVE_OPTIONS.has(name)) || !hasNodeDefaults()) return null;
    const versions = versionsOf(options);
    const protocols = protocolsOf(options.ALPNProtocols);
    const clients = this.requestsCertificates ? clientTrust(options, authorities) : undefined;
    if (!versions || !protocols || clients === null || identities.length === 0) return null;
    try {
      return new native.TlsServerConfig({
        ...versions,
        protocols,
        clients,
        identities: identities.map(({ chain, key }) => ({
          cert: Buffer.from(completeChain(chain, options.ca && authorities).join('\n')),
          key: Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })),
        })),
        ownOrder: options.honorCipherOrder !== false,
      });
    } catch {
      // The native side does not support the kind of key, or an authority.
      return null;
    }
  }
}

function needsOpenssl() {
  return unusable(
    'The options of set_secure_context() need OpenSSL, which does not secure the connections of this listener: ' +
      'call close() and listen() to change to OpenSSL',
    'ERR_INVALID_ARG_VALUE',
  );
}

/** Counts the handshakes that failed with OpenSSL. */
class HandshakeFailures {
  all = 0;
  timedOut = 0;
  /** When failures of a code may be reported again. */
  #next = new Map();

  /** @returns {boolean} whether to report it: at most one of each code in a second */
  note(code) {
    this.all += 1;
    if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') this.timedOut += 1;
    const now = timing.now();
    if (now < (this.#next.get(code) ?? 0)) return false;
    this.#next.set(code, now + REPORT_INTERVAL);
    return true;
  }
}

/** Makes the connections of a server secure. */
class TlsServer {
  #settings;
  /** @type {?ServerContext} */
  #context = null;
  /** The options that the program has changed. */
  #changes = {};
  /** The handshakes of the native side: @type {?native.TlsAcceptor} */
  #acceptor = null;
  /** The failures of OpenSSL. */
  #failures = new HandshakeFailures();
  /** The handshakes of listeners by OpenSSL. @type {Set<OpensslHandshakes>} */
  opensslHandshakes = new Set();

  /**
   * @param {object} settings of the server, with `ssl_options`, `handshake_timeout` and
   *   `max_handshakes`
   */
  constructor(settings) {
    this.#settings = settings;
  }

  /**
   * Reads the options of the program, for a listener that is about to listen.
   *
   * @throws {Error} if an option cannot be used
   */
  prepare() {
    this.#use(new ServerContext({ ...this.#settings.ssl_options, ...this.#changes }));
  }

  /**
   * Changes options for new connections, also for those of a listener that listens.
   *
   * @param {object} options the new ones; the others stay
   * @throws {Error} if an option cannot be used
   */
  change(options) {
    const changes = { ...this.#changes, ...options };
    const context = new ServerContext({ ...this.#settings.ssl_options, ...changes });
    if (context.native === null && this.acceptor !== null) throw needsOpenssl();
    this.#changes = changes;
    // If there is no listener, the next one reads them.
    if (this.#context !== null) this.#use(context);
  }

  #use(context) {
    this.#context = context;
    if (context.native === null) return;
    if (this.#acceptor === null) {
      const { max_handshakes, handshake_timeout } = this.#settings;
      this.#acceptor = new native.TlsAcceptor(context.native, max_handshakes, handshake_timeout);
    } else this.#acceptor.setConfig(context.native);
  }

  /** Secures the connections of a native listener; null if OpenSSL has to do it. */
  get acceptor() {
    return this.#context?.native ? this.#acceptor : null;
  }

  /** @returns {SessionDetails} of a connection that the native side has secured */
  detailsOf(connection) {
    const agreement = connection.agreement();
    const { requestsCertificates, trust } = this.#context;
    const chain = () => agreement.certificates.map(parseCertificate);
    const details = new SessionDetails(agreement, chain, trust, agreement.servername);
    const { untrusted } = agreement;
    details.authorizationError = (requestsCertificates && untrusted?.code) || null;
    const hasCertificate = agreement.certificates.length > 0;
    details.isAuthorized = hasCertificate && details.authorizationError === null;
    return details;
  }

  /**
   * The error of a handshake that failed.
   *
   * @param {ErrorKind} kind
   * @param {number} number
   * @param {string} syscall
   * @param {?Array} ends of TCP: address, port and family of this end and of the client
   * @param {?string} code why the certificate of the client was refused
   * @param {?string} reason the same, as text
   */
  failure(kind, number, syscall, ends, code, reason) {
    return handshakeError([kind, number, syscall], ends, { code, message: reason });
  }

  // ---- OpenSSL ----------------------------------------------------------------------------------

  /** The settings of new connections: another object once they have changed. */
  get context() {
    return this.#context;
  }

  /** The options of `tls.createServer()`. */
  get nodeOptions() {
    return {
      ...this.#context.options,
      handshakeTimeout: this.#settings.handshake_timeout,
      pauseOnConnect: false,
    };
  }

  /** In ms; Infinity for none. */
  get handshakeTimeout() {
    return this.#settings.handshake_timeout || Number.POSITIVE_INFINITY;
  }

  get maxHandshakes() {
    return this.#settings.max_handshakes;
  }

  /**
   * Like `failure()`, for a handshake of OpenSSL.
   *
   * @param {Error} err of `tlsClientError`
   * @param {{authorizationError: ?string, address: ?string, port: ?number}} client
   * @returns {?Error} null if it is not to be reported
   */
  opensslFailure(err, { authorizationError: code, address, port }) {
    // Node closes a connection whose certificate it refuses, and reports only the closing.
    const failure =
      err.code === 'ECONNRESET' && code
        ? Object.assign(new Error(native.certificateReason(code) ?? code), { code })
        : err;
    if (!this.#failures.note(failure.code)) return null;
    return describeHandshake(failure, address, port);
  }

  /** How many handshakes are under way, and how many have failed. */
  get figures() {
    const { all, timedOut } = this.#acceptor?.failures() ?? { all: 0, timedOut: 0 };
    let running = this.#acceptor?.running() ?? 0;
    for (const { size } of this.opensslHandshakes) running += size;
    return {
      handshaking_connections: running,
      failed_handshakes: all + this.#failures.all,
      handshake_timeouts: timedOut + this.#failures.timedOut,
    };
  }
}

module.exports = { TlsServer };
