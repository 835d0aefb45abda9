'use strict';

const { HEADER, MARK, MESSAGE } = require('./format.js');

/**
 * The message that the encoder has written, for the transports that send it. The encoder itself is
 * loaded when a connection begins to use the codec.
 */
const encoded = {
  text: '',
  /** The range of its bytes in the buffer. */
  from: 0,
  to: 0,
  /** The bytes of all messages that are not sent yet. @type {?Buffer} */
  buffer: null,
  /** A burst keeps its messages in the buffer until `release()`. @type {?function(): void} */
  claim: null,
  release: null,
};

/** The kind of the binary frames that a channel sends. */
const binaryKindOf = (channel) => channel?.binaryKind ?? MESSAGE;

/**
 * The bytes of frames, as the native side writes them.
 *
 * @param {string} text of all frames
 * @param {?number[]} frames three numbers of each: the length of its text, and the range of its data.
 *   Null: all are text frames
 * @param {Buffer} buffer with the data
 * @param {number} kind of binary frames
 * @returns {Buffer}
 */
function bytesOfFrames(text, frames, buffer, kind) {
  if (frames === null) return Buffer.from(text);
  const parts = [];
  let start = 0;
  for (let i = 0; i < frames.length; i += 3) {
    const [length, from, to] = frames.slice(i, i + 3);
    const bytes = Buffer.from(text.substring(start, start + length));
    start += length;
    if (to > from) {
      const header = Buffer.alloc(HEADER);
      header[0] = MARK;
      header[1] = kind;
      header.writeUInt32LE(bytes.length, 2);
      header.writeUInt32LE(to - from, 6);
      parts.push(header);
    }
    parts.push(bytes, buffer.subarray(from, to));
  }
  return Buffer.concat(parts);
}

/** Whole frames up to this length are written to the same memory, one after another. */
const KEPT_LENGTH = 1024 * 1024;
let kept = Buffer.alloc(0);

/**
 * The bytes of one binary frame.
 *
 * @param {string} text
 * @param {Uint8Array[]} parts of its data
 * @param {number} length of these
 * @param {number} kind
 * @returns {Buffer} that holds until the next call
 */
function wholeFrame(text, parts, length, kind) {
  const textLength = Buffer.byteLength(text);
  const total = HEADER + textLength + length;
  if (total <= KEPT_LENGTH && kept.length === 0) kept = Buffer.allocUnsafeSlow(KEPT_LENGTH);
  const frame = total <= KEPT_LENGTH ? kept : Buffer.allocUnsafeSlow(total);
  frame[0] = MARK;
  frame[1] = kind;
  frame.writeUInt32LE(textLength, 2);
  frame.writeUInt32LE(length, 6);
  frame.write(text, HEADER);
  let at = HEADER + textLength;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame.subarray(0, total);
}

/** The number of the bytes of `bytesOfFrames()`. */
function lengthOfFrames(text, frames) {
  let length = Buffer.byteLength(text);
  for (let i = 0; i < frames.length; i += 3) {
    const data = frames[i + 2] - frames[i + 1];
    if (data > 0) length += HEADER + data;
  }
  return length;
}

module.exports = { binaryKindOf, bytesOfFrames, encoded, lengthOfFrames, wholeFrame };
