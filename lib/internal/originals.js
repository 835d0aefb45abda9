'use strict';

/*
 * Classes and functions of Node and V8, as they are when the package is loaded. Programs and their
 * tests replace some of them later. A function that the package then finds replaced is called, and
 * the package itself uses the original ones.
 */

const { EventEmitter } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const tls = require('node:tls');

/** Only in Node `net.Socket` has its `write()` from Duplex. */
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

const { connect, removeListener } = net.Socket.prototype;
const { close, listen } = net.Server.prototype;
const { cork, uncork } = Duplex.prototype;
const { prependListener } = EventEmitter.prototype;
const { then } = Promise.prototype;

module.exports = {
  Socket: net.Socket,
  Server: net.Server,

  /**
   * Null if it was replaced before the package was loaded: then it differs from `connect`, and
   * replacing it again cannot be noticed.
   */
  createConnection: net.createConnection === net.connect ? net.connect : null,
  createServer: net.createServer,
  tlsConnect: tls.connect,

  /** Methods of `net.Socket`. */
  connect,
  removeListener,
  cork,
  uncork,
  write: isNode ? Duplex.prototype.write : net.Socket.prototype.write,
  /** Methods of every EventEmitter. */
  prependListener,
  /** Methods of promises. */
  then,

  /** Methods of `net.Server`. */
  close,
  listen,
};
