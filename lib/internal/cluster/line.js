'use strict';

/*
 * The messages between nodes: a line of ASCII, then the type, the extra fields and the payload.
 *
 *   SH1 <kind> <node> <seq> <bseq> <flags> <type length> <extra length> [<signature>]\n
 *
 * Lengths are in bytes. Fields that follow the signature are ignored, so that later versions can
 * add some; a line without a signature has "-" in its place then.
 */

const MAGIC = 'SH1';
/** The longest line, in bytes. */
const MAX_LINE = 512;
/** The longest extra fields, in bytes. */
const MAX_EXTRA = 64 * 1024;
/** The longest name of a class, in bytes. */
const MAX_TYPE = 64 * 1024;

const LINE_FEED = 10;

/** Bits of the field `flags`. */
const FLAGS = { sentAgain: 1 };

const LINE =
  /^SH1 ([!-~]) ([A-Za-z0-9_-]{16}) (\d{1,15}) (\d{1,15}) ([0-9a-f]{1,8}) (\d{1,9}) (\d{1,9})(?: ([A-Za-z0-9_-]{1,64}))?(?: .*)?$/;

/**
 * @param {object} fields
 * @param {string} fields.kind one character
 * @param {string} fields.node the sending node
 * @param {number} fields.seq the number of the message among all of the node
 * @param {number} fields.bseq the number of the last message of the node to all nodes
 * @param {number} [fields.flags]
 * @param {string} [fields.type] the name of the payload's class
 * @param {string} [fields.extra] JSON
 * @param {string} [fields.payload] JSON
 * @returns {{head: string, body: string}} the line without its signature and line feed, and the rest
 */
function write({ kind, node, seq, bseq, flags = 0, type = '', extra = '', payload = '' }) {
  const head = `${MAGIC} ${kind} ${node} ${seq} ${bseq} ${flags.toString(16)} ${Buffer.byteLength(type)} ${Buffer.byteLength(extra)}`;
  return { head, body: type + extra + payload };
}

/** @returns {Buffer} with a view of the same memory */
function asBuffer(bytes) {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A message that is not of this version, or has not its form. */
class BadLine extends Error {
  /** @param {'version' | 'malformed'} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** A message of a node, as it was received. */
class Line {
  #bytes;
  #extraAt;
  #payloadAt;

  /**
   * @param {Buffer} bytes
   * @param {RegExpExecArray} found
   * @param {number} bodyAt where the type begins
   */
  constructor(bytes, found, bodyAt) {
    const [, kind, node, seq, bseq, flags, typeLength, extraLength, signature] = found;
    this.kind = kind;
    this.node = node;
    this.seq = Number(seq);
    this.bseq = Number(bseq);
    this.isSentAgain = (Number.parseInt(flags, 16) & FLAGS.sentAgain) !== 0;
    this.signature = signature === '-' ? undefined : signature;
    this.#bytes = bytes;
    this.#extraAt = bodyAt + Number(typeLength);
    this.#payloadAt = this.#extraAt + Number(extraLength);
    this.bodyAt = bodyAt;
    this.type = bytes.toString('utf8', bodyAt, this.#extraAt);
  }

  /** @returns {object} the extra fields @throws {BadLine} */
  extra() {
    if (this.#payloadAt === this.#extraAt) return {};
    let value;
    try {
      value = JSON.parse(this.#bytes.toString('utf8', this.#extraAt, this.#payloadAt));
    } catch {
      throw new BadLine('malformed');
    }
    if (typeof value !== 'object' || value === null) throw new BadLine('malformed');
    return value;
  }

  /** @returns {string} the JSON of the payload; empty if there is none */
  payload() {
    return this.#bytes.toString('utf8', this.#payloadAt);
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Line}
 * @throws {BadLine}
 */
function read(bytes) {
  const buffer = asBuffer(bytes);
  const end = buffer.subarray(0, MAX_LINE).indexOf(LINE_FEED);
  if (end < 0) throw new BadLine('malformed');
  const text = buffer.latin1Slice(0, end);
  const found = LINE.exec(text);
  if (found === null) {
    throw new BadLine(
      /^SH[0-9]+ /.test(text) && !text.startsWith(`${MAGIC} `) ? 'version' : 'malformed',
    );
  }
  const typeLength = Number(found[6]);
  const extraLength = Number(found[7]);
  if (typeLength > MAX_TYPE || extraLength > MAX_EXTRA) throw new BadLine('malformed');
  if (end + 1 + typeLength + extraLength > buffer.length) throw new BadLine('malformed');
  return new Line(buffer, found, end + 1);
}

/** @returns {{head: string, body: Buffer}} the parts that a signature covers */
function signedParts(bytes, line) {
  const buffer = asBuffer(bytes);
  const text = buffer.latin1Slice(0, line.bodyAt - 1);
  return { head: text.split(' ', 8).join(' '), body: buffer.subarray(line.bodyAt) };
}

module.exports = { BadLine, FLAGS, MAX_EXTRA, asBuffer, read, signedParts, write };
