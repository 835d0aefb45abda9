'use strict';

/*
 * Connecting through Node: for a program that replaced Node's functions for connecting, which it
 * expects to be called, and for TLS that only OpenSSL can do.
 */

const net = require('node:net');
const tls = require('node:tls');

const { explain } = require('../errors/explanations.js');
const { invalidType } = require('../options/kinds.js');
const originals = require('../originals.js');

/** @returns {boolean} whether a program replaced the functions that connect a `net.Socket` */
function isNetReplaced() {
  const { createConnection, connect } = originals;
  return (
    (createConnection !== null && net.createConnection !== createConnection) ||
    net.Socket.prototype.connect !== connect
  );
}

/** @returns {boolean} whether a program replaced a function that connects a `tls.TLSSocket` */
function isTlsReplaced() {
  return isNetReplaced() || tls.connect !== originals.tlsConnect;
}

/**
 * @param {{path?: string, address?: string, port?: number}} target
 * @param {function(): void} connected
 * @returns {net.Socket}
 */
function connectNet({ path, address, port }, connected) {
  return path
    ? net.createConnection(path, connected)
    : net.createConnection(port, address, connected);
}

const isBytes = (value) => ArrayBuffer.isView(value);

/**
 * The valid values of some options of `tls.connect()`. Node checks them only after its socket has
 * begun to connect, reports an internal fault for them, or ignores wrong ones.
 */
const TLS_VALUES = {
  servername: ['a string, a host name', (value) => !value || typeof value === 'string'],
  checkServerIdentity: [
    'a function (host, certificate), or left out',
    (value) => typeof value === 'function',
  ],
  ALPNProtocols: [
    'an array of names, or a Buffer',
    (value) => !value || Array.isArray(value) || isBytes(value),
  ],
  session: [
    'a Buffer or a string, the session of a socket',
    (value) => !value || typeof value === 'string' || isBytes(value),
  ],
};

/** The messages of OpenSSL for a text that is no certificate or key. */
const ABOUT_CONTENTS = /PEM|not enough data|asn1/i;
const CONTENTS = '"ca", "cert", "key" and "pfx" take the contents of files, not their names';

/** @throws {TypeError} before there is a socket, which would stay without an owner */
function checkTlsValues(sslOptions) {
  for (const [name, [expected, isValid]] of Object.entries(TLS_VALUES)) {
    if (!(name in sslOptions) || isValid(sslOptions[name])) continue;
    throw invalidType(`The "options.ssl_options.${name}" property`, expected, sslOptions[name]);
  }
}

/**
 * @param {{path?: string, address?: string, port?: number}} target
 * @param {object} sslOptions of `tls.connect()`
 * @param {function(): void} connected
 * @returns {tls.TLSSocket}
 * @throws {Error} for an option that cannot be used, Node's with an explanation
 */
function connectTls({ path, address, port }, sslOptions, connected) {
  if (tls.connect === originals.tlsConnect) checkTlsValues(sslOptions);
  try {
    return path
      ? tls.connect(path, sslOptions, connected)
      : tls.connect(port, address, sslOptions, connected);
  } catch (err) {
    const remedy = ABOUT_CONTENTS.test(err.message) ? `. ${CONTENTS}` : '';
    throw explain(err, `An option of "ssl_options" cannot be used${remedy}`);
  }
}

module.exports = { connectNet, connectTls, isNetReplaced, isTlsReplaced };
