'use strict';

const native = require('../native/binding.js');

/** Divides bytes into frames, as native connections do it. */
class Framer {
  #native;

  /**
   * @param {string} terminator that ends each frame
   * @param {number} limit the longest frame, in bytes; `Infinity`: any
   */
  constructor(terminator, limit) {
    this.#native = new native.Framer(terminator, limit);
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {{frames: string[], fits: boolean}} the frames that the chunk completes, and whether
   *   no frame is longer than the limit
   */
  push(chunk) {
    const cut = this.#native.push(chunk);
    // Most chunks are one frame: the native side then returns only its text.
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

  /** @returns {Buffer} the bytes of the frame that has not ended yet */
  pending() {
    return this.#native.pending();
  }

  /** Forgets the frame that has not ended yet. */
  clear() {
    this.#native.clear();
  }
}

/** The same for a stream of which some frames may be binary, once the peer has announced them. */
class MixedFramer {
  #native;

  /** The parameters are those of `Framer`. */
  constructor(terminator, limit) {
    this.#native = new native.MixedFramer(terminator, limit);
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {{frames: Array<string|Buffer>, fits: boolean}} the frames that the chunk completes,
   *   binary ones with their headers, and whether no frame is longer than the limit
   */
  push(chunk) {
    const [frames, fits] = this.#native.push(chunk);
    return { frames, fits };
  }
}

module.exports = { Framer, MixedFramer };
