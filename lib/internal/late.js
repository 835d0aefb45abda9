'use strict';

/*
 * Parts of the package that are loaded when they are needed, because each file delays the start of
 * a program, and most programs need few of them.
 *
 * The rule: code that a peer, the network or the system may require at any time is loaded with the
 * first client or server, and so is code that sends messages. Loading a file takes a descriptor,
 * and later there may be none left. Options of the program and rarely used methods load their own
 * parts; a process with a server keeps descriptors for them.
 *
 * In Jest all parts are loaded with the package: after `resetModules()`, a later `require()` would
 * give a part its own copies of modules that the package has loaded before.
 */

// Parts that are loaded late compare functions with the current ones, which these modules keep.
require('./json-functions.js');
require('./originals.js');
require('./real-timers.js');

const { closeSync, openSync } = require('node:fs');
const { devNull } = require('node:os');

/**
 * How many descriptors a process with a server keeps. Peers may take all others, and loading a file
 * takes one. Each time that one is given back, a new connection may take it.
 */
const RESERVED = 3;

/**
 * Whether a file was not loaded because there was no free descriptor. The last code is that of Node
 * 24 and later, which look for a `package.json` next to the file.
 */
const isOutOfDescriptors = ({ code }) =>
  code === 'EMFILE' || code === 'ENFILE' || code === 'ERR_INVALID_PACKAGE_CONFIG';

/** The descriptors that are kept: @type {number[]} */
const reserve = [];
/** Whether a server has listened. */
let isKept = false;

/** On Windows peers cannot take all descriptors; Deno asks its user before a file is opened. */
const mayReserve = process.platform !== 'win32' && !process.versions.deno && !process.versions.bun;

/** Peers can connect from now on. */
function reserveDescriptors() {
  isKept = mayReserve;
  if (isKept) fillReserve();
}

function fillReserve() {
  try {
    while (reserve.length < RESERVED) reserve.push(openSync(devNull));
  } catch {
    // The system or the program does not allow it.
  }
}

/** Loads a part; without a free descriptor, with those of the reserve. */
function loadPart(load) {
  for (;;) {
    try {
      return load();
    } catch (err) {
      if (!isOutOfDescriptors(err) || reserve.length === 0) throw err;
      closeSync(reserve.pop());
    }
  }
}

const inJest = process.env.JEST_WORKER_ID !== undefined;

/**
 * @template T
 * @param {function(): T} load requires the part, with a literal path, which bundlers follow
 * @returns {function(): T} loads it with the first call
 */
function late(load) {
  let part = inJest ? load() : undefined;
  return () => {
    if (part === undefined) {
      part = loadPart(load);
      if (isKept) fillReserve();
    }
    return part;
  };
}

module.exports = { late, reserveDescriptors };
