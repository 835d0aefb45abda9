'use strict';

/** Property of a placeholder: the position in the outgoing stream that it waits for. */
const position = Symbol('position');

/**
 * Stands for bytes that the native side has and the kernel has not. To the Writable it is a chunk
 * of that length: so `writableLength`, the results of `write()` and `drain` count messages that
 * wait as they count bytes of `write()`.
 *
 * @param {number} length
 * @param {number} where the position
 * @returns {Buffer}
 */
function placeholder(length, where) {
  const chunk = Buffer.alloc(0);
  Object.defineProperty(chunk, 'length', { value: length });
  chunk[position] = where;
  return chunk;
}

module.exports = { placeholder, position };
