'use strict';

/*
 * Parts of the package that are loaded when they are needed, because each file delays the start of
 * a program, and most programs need few of them.
 *
 * The rule: what a peer, the network or the system may cause to be needed, and what sends messages, is
 * loaded with the first client or server, because loading a file takes a descriptor, and there may
 * be none left later. Options of the program, and methods that few programs call, load their parts.
 */

// Parts that are loaded late compare functions with those that there are now.
require('./json-functions.js');
require('./originals.js');
require('./real-timers.js');

/**
 * @template T
 * @param {function(): T} load requires the part, with a literal path, which bundlers follow
 * @returns {function(): T} loads it with the first call
 */
function late(load) {
  let part;
  return () => {
    part ??= load();
    return part;
  };
}

module.exports = { late };
