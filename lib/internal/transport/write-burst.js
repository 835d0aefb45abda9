'use strict';

const { cork, uncork } = require('../originals.js');

/** The number of writes in a tick that leave during their call; later ones leave together. */
const DIRECT_WRITES = 8;

/**
 * The writes of a program in one tick: the first ones leave at their call, the others at the end of
 * the tick. They are held behind a cork, but never so much that `write()` returns false.
 */
class WriteBurst {
  #count = 0;
  #isCorked = false;

  /**
   * The program is about to write.
   *
   * @param {import('node:stream').Duplex} socket
   * @param {number} held the length of everything that is held already
   * @param {number} length of the next write
   * @returns {boolean} whether this corks the socket: `end()` is to be called at the end of the tick
   */
  add(socket, held, length) {
    if (this.#isCorked) {
      if (held + length < socket.writableHighWaterMark) return false;
      uncork.call(socket);
      cork.call(socket);
    } else if (this.#count < DIRECT_WRITES) this.#count += 1;
    else if (socket.writableCorked === 0) {
      cork.call(socket);
      this.#isCorked = true;
      return true;
    }
    return false;
  }

  /** The tick ends. */
  end(socket) {
    this.#count = 0;
    if (!this.#isCorked) return;
    this.#isCorked = false;
    uncork.call(socket);
  }
}

const bytesOf = ({ chunk, encoding }) =>
  typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;

/**
 * @param {{chunk: string|Uint8Array, encoding: string}[]} writes one or more
 * @returns {Uint8Array} the bytes of all of them
 */
function bytesOfWrites(writes) {
  return writes.length === 1 ? bytesOf(writes[0]) : Buffer.concat(writes.map(bytesOf));
}

module.exports = { WriteBurst, bytesOfWrites };
