'use strict';

/*
 * The native side sends a broadcast to its sockets without JavaScript looking at each, unless a
 * socket is an exception. A socket is an exception if it has a time-out, which the broadcast must
 * restart. It is also one if it has a listener of `drain`, or if the program is writing bytes to
 * it. While there is an exception in this environment, a broadcast looks at each of its sockets.
 */

let count = 0;

/** @param {boolean} begins whether an exception begins; if not, one ends */
function countException(begins) {
  count += begins ? 1 : -1;
}

/** @returns {boolean} whether a broadcast has to look at each of its sockets */
const hasExceptions = () => count > 0;

module.exports = { countException, hasExceptions };
