'use strict';

/*
 * A broadcast leaves its sockets to the native side without looking at each, unless a socket is an
 * exception. A socket is an exception if it has a time-out, which must start again, if it has a
 * listener of `drain`, or if the program is writing bytes to it. While there is an exception in
 * this environment, a broadcast looks at each of its sockets.
 */

let count = 0;

/** @param {boolean} begins whether an exception begins; if not, one ends */
function countException(begins) {
  count += begins ? 1 : -1;
}

/** @returns {boolean} whether a broadcast has to look at each of its sockets */
const hasExceptions = () => count > 0;

module.exports = { countException, hasExceptions };
