'use strict';

const { explain } = require('../errors/explanations.js');
const { ErrorKind } = require('../native/binding.js');
const { systemError } = require('../errors/system-errors.js');

/**
 * The alerts of TLS, with the messages of OpenSSL. Numbers above 255 are faults that this side
 * found.
 */
const REASONS = {
  10: 'sslv3 alert unexpected message',
  20: 'sslv3 alert bad record mac',
  21: 'tlsv1 alert decryption failed',
  22: 'tlsv1 alert record overflow',
  30: 'sslv3 alert decompression failure',
  40: 'sslv3 alert handshake failure',
  41: 'sslv3 alert no certificate',
  42: 'sslv3 alert bad certificate',
  43: 'sslv3 alert unsupported certificate',
  44: 'sslv3 alert certificate revoked',
  45: 'sslv3 alert certificate expired',
  46: 'sslv3 alert certificate unknown',
  47: 'sslv3 alert illegal parameter',
  48: 'tlsv1 alert unknown ca',
  49: 'tlsv1 alert access denied',
  50: 'tlsv1 alert decode error',
  51: 'tlsv1 alert decrypt error',
  70: 'tlsv1 alert protocol version',
  71: 'tlsv1 alert insufficient security',
  80: 'tlsv1 alert internal error',
  86: 'tlsv1 alert inappropriate fallback',
  90: 'tlsv1 alert user cancelled',
  100: 'tlsv1 alert no renegotiation',
  109: 'tlsv13 alert missing extension',
  110: 'tlsv1 unsupported extension',
  112: 'tlsv1 unrecognized name',
  113: 'tlsv1 bad certificate status response',
  116: 'tlsv13 alert certificate required',
  120: 'tlsv1 alert no application protocol',
  256: 'decryption failed or bad record mac',
  257: 'wrong version number',
  258: 'unexpected message',
  259: 'http request',
  260: 'peer did not return a certificate',
  261: 'no shared cipher',
  262: 'unsupported protocol',
  263: 'no application protocol',
  264: 'packet length too long',
  265: 'no suitable key share',
  266: 'no suitable signature algorithm',
  267: 'unexpected eof while reading',
};

/** Explanations of failed handshakes, by the codes of the errors that need one. */
const CAUSES = {
  ERR_SSL_WRONG_VERSION_NUMBER:
    'The client does not use TLS: it sent plain text to a server with TLS.',
  ERR_SSL_HTTP_REQUEST: 'The client does not use TLS: it sent an HTTP request.',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    'The client has no certificate, and the server requires one ("requestCert" and "rejectUnauthorized").',
  ECONNRESET: 'The client ended the connection before TLS was set up.',
};

/**
 * The error of a connection that TLS ended.
 *
 * @param {number} number of the alert that the server sent, or of the fault that this side found
 * @returns {Error} with `code`, `reason` and `library` as Node has them
 */
function alertError(number) {
  let reason = REASONS[number] ?? `tls alert ${number}`;
  const [major, minor] = (process.versions.openssl ?? '3.0').split('.');
  // OpenSSL 3.2 renamed them.
  if (Number(major) * 100 + Number(minor) >= 302) reason = reason.replace(/^sslv3 /, 'ssl/tls ');
  const alert = number < 256 ? `:SSL alert number ${number}` : '';
  return Object.assign(new Error(`SSL routines::${reason}${alert}`), {
    library: 'SSL routines',
    reason,
    code: `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`,
  });
}

/** The error of a handshake that took longer than `handshake_timeout`. */
function handshakeTimedOut() {
  return Object.assign(new Error('TLS handshake timeout'), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
}

/**
 * The error of a client that did not complete the handshake.
 *
 * @param {[ErrorKind, number, string]} error its kind, number and syscall
 * @param {?Array} ends of TCP: address, port and family of this end and of the client
 * @param {{code: string, message: string}} [refusal] on a certificate that was refused
 * @returns {Error} with the `code` of Node, and the `address` and `port` of the client
 */
function handshakeError(error, ends, refusal) {
  const [, , , address, port] = ends ?? [];
  return describeHandshake(errorOf(error, refusal), address, port);
}

/**
 * @template {Error} E
 * @param {E} err of a handshake
 * @param {string} [address] of the client
 * @param {number} [port]
 * @returns {E} the same, with these and an explanation
 */
function describeHandshake(err, address, port) {
  if (address !== undefined) Object.assign(err, { address, port });
  return explain(err, CAUSES[err.code]);
}

function errorOf([kind, number, syscall], refusal) {
  switch (kind) {
    case ErrorKind.Tls:
      return alertError(number);
    case ErrorKind.CertificateRefused:
      return Object.assign(new Error(refusal.message), { code: refusal.code });
    case ErrorKind.HandshakeTimedOut:
      return handshakeTimedOut();
    default:
      return systemError(-number, syscall);
  }
}

/** An option of `tls.connect()` that neither this package nor Node has any more. */
function unsupportedOption(name) {
  const err = new TypeError(
    `The "options.ssl_options.${name}" property is not supported: neither this package nor this version of Node has it`,
  );
  err.code = 'ERR_INVALID_ARG_VALUE';
  return err;
}

module.exports = {
  alertError,
  describeHandshake,
  handshakeError,
  handshakeTimedOut,
  unsupportedOption,
};
