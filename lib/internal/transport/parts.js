'use strict';

/** Parts of this length or more are not merged with others. */
const MERGED = 64 * 1024;

/**
 * Adds bytes to a list. Small parts are merged, so that many of them do not take much more memory
 * than their bytes.
 *
 * @param {Uint8Array[]} parts
 * @param {Uint8Array} part
 */
function addPart(parts, part) {
  let last = part;
  while (last.length < MERGED && parts.at(-1)?.length <= 2 * last.length) {
    last = Buffer.concat([parts.pop(), last]);
  }
  parts.push(last);
}

module.exports = { addPart };
