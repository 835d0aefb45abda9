'use strict';

const { HEADER, MARK } = require('../codec/format.js');
const { SWITCH } = require('../codec/negotiation.js');
const { addPart } = require('./parts.js');

/**
 * Divides the bytes of a stream that the program brings into text frames and binary frames, as the
 * native side does it for its connections (src/protocol/mixed_framer.rs).
 */
class MixedFrames {
  #terminator;
  #limit;
  /** Whether the peer has announced binary frames. */
  #isMixed = false;
  /** The parts of the frame that has not ended yet, and their length. */
  #parts = [];
  #length = 0;
  /** The length of that frame; null: it is a text frame, or its header is not complete. */
  #total = null;

  /**
   * @param {string} terminator of text frames
   * @param {number} limit the longest frame, in bytes
   */
  constructor(terminator, limit) {
    this.#terminator = Buffer.from(terminator);
    this.#limit = limit;
  }

  /**
   * @param {Buffer} chunk
   * @returns {{frames: Array<string|Buffer>, fits: boolean}} the frames that the chunk completes,
   *   binary ones as bytes, and whether no frame is longer than the limit
   */
  push(chunk) {
    const frames = [];
    let rest = chunk;
    let fits = true;
    while (fits && rest.length > 0) {
      const isBinary = this.#isMixed && (this.#length > 0 ? this.#parts[0] : rest)[0] === MARK;
      const used = isBinary ? this.#takeBinary(rest, frames) : this.#takeText(rest, frames);
      fits = used >= 0;
      rest = rest.subarray(used);
    }
    return { frames, fits };
  }

  #keep(part) {
    addPart(this.#parts, part);
    this.#length += part.length;
  }

  #finish() {
    const bytes = Buffer.concat(this.#parts, this.#length);
    this.#parts = [];
    this.#length = 0;
    this.#total = null;
    return bytes;
  }

  /** @returns {number} how many bytes belong to the frame; -1 if it is too long */
  #takeText(bytes, frames) {
    const end = this.#endOfText(bytes);
    const part = end < 0 ? bytes : bytes.subarray(0, end);
    this.#keep(part);
    if (this.#length - this.#terminator.length > this.#limit) return -1;
    if (end < 0) return part.length;
    const frame = this.#finish();
    const text = frame.toString('utf8', 0, frame.length - this.#terminator.length);
    if (text === SWITCH) this.#isMixed = true;
    else frames.push(text);
    return part.length;
  }

  /** @returns {number} where a text frame ends, after its terminator; -1 if it does not end here */
  #endOfText(bytes) {
    // The terminator may have begun in the parts before.
    const before = Buffer.concat(this.#parts.slice(-this.#terminator.length));
    const tail = before.subarray(Math.max(0, before.length - this.#terminator.length + 1));
    const edge = Buffer.concat([tail, bytes.subarray(0, this.#terminator.length - 1)]);
    const early = edge.indexOf(this.#terminator);
    if (early >= 0) return early + this.#terminator.length - tail.length;
    const at = bytes.indexOf(this.#terminator);
    return at < 0 ? -1 : at + this.#terminator.length;
  }

  #takeBinary(bytes, frames) {
    if (this.#total === null) {
      const missing = HEADER - this.#length;
      if (bytes.length < missing) {
        this.#keep(bytes);
        return bytes.length;
      }
      const head = Buffer.concat([...this.#parts, bytes.subarray(0, missing)]);
      this.#total = HEADER + head.readUInt32LE(2) + head.readUInt32LE(6);
      if (this.#total - HEADER > this.#limit) return -1;
    }
    const part = bytes.subarray(0, this.#total - this.#length);
    this.#keep(part);
    if (this.#length === this.#total) frames.push(this.#finish());
    return part.length;
  }
}

module.exports = { MixedFrames };
