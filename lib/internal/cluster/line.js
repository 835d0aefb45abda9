'use strict';

/*
 * The messages between nodes: a line of ASCII, then the type, the extra fields and the payload.
 *
 *   SH1 <kind> <node> <seq> <bseq> <flags> <type length> <extra length> [<signature>]\n
 *
 * Lengths are in bytes. Fields that follow the signature are ignored, so that later versions can
 * add some; a line without a signature has "-" in its place then. Lines are read by the native
 * side: see src/protocol/cluster_line.rs for the limits of their fields.
 */

const { ClusterField, readClusterLine, readClusterRun } = require('../native/classes.js');

const MAGIC = 'SH1';
/** Bits of the field `flags`. */
const FLAGS = { sentAgain: 1 };

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

/** A message of another version, or a malformed one. */
class BadLine extends Error {
  /** @param {'version' | 'malformed'} reason */
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

/** The numbers of the line that was read last: the native side writes them. */
const fields = new Float64Array(ClusterField.Length);

/** A message of a node, as it was received. */
class Line {
  #extraAt;
  #payloadAt;
  #isSigned;

  /**
   * Takes the rest of its fields from `fields`.
   *
   * @param {Buffer} bytes
   * @param {string} node
   */
  constructor(bytes, node) {
    this.bytes = bytes;
    this.kind = String.fromCharCode(fields[ClusterField.Kind]);
    this.node = node;
    this.seq = fields[ClusterField.Seq];
    this.bseq = fields[ClusterField.Bseq];
    this.isSentAgain = (fields[ClusterField.Flags] & FLAGS.sentAgain) !== 0;
    /** Where the type begins. */
    this.bodyAt = fields[ClusterField.TypeAt];
    this.#extraAt = fields[ClusterField.ExtraAt];
    this.#payloadAt = fields[ClusterField.PayloadAt];
    this.#isSigned = fields[ClusterField.SignatureLength] > 0;
  }

  /** The name of the payload's class. @type {string} */
  get type() {
    return this.bytes.toString('utf8', this.bodyAt, this.#extraAt);
  }

  /** @type {string | undefined} */
  get signature() {
    if (!this.#isSigned) return undefined;
    return this.bytes.latin1Slice(0, this.bodyAt - 1).split(' ', 9)[8];
  }

  /** @returns {object} the extra fields @throws {BadLine} */
  extra() {
    if (this.#payloadAt === this.#extraAt) return {};
    let value;
    try {
      value = JSON.parse(this.bytes.toString('utf8', this.#extraAt, this.#payloadAt));
    } catch {
      throw new BadLine('malformed');
    }
    if (typeof value !== 'object' || value === null) throw new BadLine('malformed');
    // The number of an operation becomes a part of keys.
    const { k: ticket } = value;
    if (ticket !== undefined && !Number.isSafeInteger(ticket)) throw new BadLine('malformed');
    return value;
  }

  /** @returns {string} the JSON of the payload; empty if there is none */
  payload() {
    return this.bytes.toString('utf8', this.#payloadAt);
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {Line}
 * @throws {BadLine}
 */
function read(bytes) {
  const buffer = asBuffer(bytes);
  const node = readClusterLine(buffer, fields);
  if (node === null) throw new BadLine(fields[0] === 1 ? 'version' : 'malformed');
  return new Line(buffer, node);
}

/**
 * Several messages of a node that were published as one, and that differ only in their payloads and
 * numbers. The fields are those of the first one.
 */
class Run extends Line {
  constructor(bytes, node) {
    super(bytes, node);
    this.count = fields[ClusterField.Count];
    this.lastSeq = fields[ClusterField.LastSeq];
    this.lastBseq = fields[ClusterField.LastBseq];
  }
}

/**
 * @param {Uint8Array} bytes
 * @returns {?Run} null: they are no such messages
 */
function readRun(bytes) {
  const buffer = asBuffer(bytes);
  const node = readClusterRun(buffer, fields);
  return node === null ? null : new Run(buffer, node);
}

/** @returns {{head: string, body: Buffer}} the parts that a signature covers */
function signedParts(bytes, line) {
  const buffer = asBuffer(bytes);
  const text = buffer.latin1Slice(0, line.bodyAt - 1);
  return { head: text.split(' ', 8).join(' '), body: buffer.subarray(line.bodyAt) };
}

module.exports = { BadLine, FLAGS, asBuffer, read, readRun, signedParts, write };
