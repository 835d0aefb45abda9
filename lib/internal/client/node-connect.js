'use strict';

/*
 * Connecting through Node: for a program that replaced Node's functions for connecting, which it
 * expects to be called, and for TLS that only OpenSSL can do.
 */

const net = require('node:net');
const tls = require('node:tls');

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

/**
 * @param {{path?: string, address?: string, port?: number}} target
 * @param {object} sslOptions of `tls.connect()`
 * @param {function(): void} connected
 * @returns {tls.TLSSocket}
 */
function connectTls({ path, address, port }, sslOptions, connected) {
  return path
    ? tls.connect(path, sslOptions, connected)
    : tls.connect(port, address, sslOptions, connected);
}

module.exports = { connectNet, connectTls, isNetReplaced, isTlsReplaced };
