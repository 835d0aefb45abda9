'use strict';

/*
 * Node's own handles for descriptors of the native side: `socket._handle` and
 * `server.server._handle`. They are created when they are first read. Node sends them to other
 * processes, and programs read their `fd`.
 */

const fs = require('node:fs');
const net = require('node:net');

/** Whether the sockets of Node have descriptors. On Windows they do not. */
const areDescriptors = process.platform !== 'win32';

/**
 * Whether there are such handles. On Bun and Deno there are none, because their sockets would read
 * through them as well.
 */
const exist =
  areDescriptors && process.versions.bun === undefined && process.versions.deno === undefined;

/**
 * @param {number} fd a descriptor of its own, or -1
 * @returns {?object} null where there is none
 */
function ofConnection(fd) {
  if (fd < 0) return null;
  try {
    const holder = new net.Socket({ fd, manualStart: true });
    return holder._handle ?? null;
  } catch {
    fs.closeSync(fd);
    return null;
  }
}

/** @returns {boolean} whether a `tls.TLSSocket` owns the handle: it replaces this property then */
function isTaken(handle) {
  return Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}

/**
 * @param {number} fd a descriptor of its own, or -1
 * @returns {?object} null where there is none
 */
function ofListener(fd) {
  if (fd < 0) return null;
  // This function is not documented, but every version of Node has it.
  const handle = net._createServerHandle?.(null, null, null, fd);
  if (typeof handle === 'object') return handle;
  fs.closeSync(fd);
  return null;
}

module.exports = { areDescriptors, exist, isTaken, ofConnection, ofListener };
