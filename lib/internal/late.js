'use strict';

/*
 * Parts of the package that are loaded when they are needed, because each file delays the start of
 * a program, and most programs need few of them.
 *
 * The rule: code that a peer, the network or the system may require at any time, and code that
 * sends messages, is loaded with the first client or server, because loading a file takes a
 * descriptor, and there may be none left later. Options of the program and rarely used methods load
 * their own parts.
 *
 * In Jest all parts are loaded with the package: after `resetModules()`, a later `require()` would
 * give a part its own copies of modules that the package has loaded before.
 */

// Parts that are loaded late compare functions with those that there are now.
require('./json-functions.js');
require('./originals.js');
require('./real-timers.js');

const inJest = process.env.JEST_WORKER_ID !== undefined;

/**
 * @template T
 * @param {function(): T} load requires the part, with a literal path, which bundlers follow
 * @returns {function(): T} loads it with the first call
 */
function late(load) {
  let part = inJest ? load() : undefined;
  return () => {
    part ??= load();
    return part;
  };
}

module.exports = { late };
