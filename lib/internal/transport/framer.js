'use strict';

const native = require('../native/binding.js');

/**
 * Cuts bytes that come from JavaScript into the text of frames, with the framer that native connections have.
 */
class Framer {
  #native;

  /**
   * @param {string} terminator what each frame ends with
   * @param {number} limit the longest frame, in bytes; `Infinity`: any
   */
  constructor(terminator, limit) {
    this.#native = new native.Framer(terminator, limit);
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {{frames: string[], fits: boolean}} what it completes, and whether nothing is over the limit
   */
  push(chunk) {
    const cut = this.#native.push(chunk);
    // One frame in one packet is what most packets are: its text alone.
    if (typeof cut === 'string') return { frames: [cut], fits: true };
    const [text, ends, fits] = cut;
    const frames = new Array(ends.length);
    let start = 0;
    for (let i = 0; i < ends.length; i++) {
      frames[i] = text.substring(start, ends[i]);
      start = ends[i];
    }
    return { frames, fits };
  }

  /** The bytes of the frame that has not ended yet: @returns {Buffer} */
  pending() {
    return this.#native.pending();
  }

  /** Forgets the frame that has not ended yet. */
  clear() {
    this.#native.clear();
  }
}

module.exports = { Framer };
