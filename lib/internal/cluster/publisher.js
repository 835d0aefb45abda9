'use strict';

const { tooLarge } = require('./errors.js');
const { FLAGS, read, signedParts, write } = require('./line.js');
const { Outbox } = require('./outbox.js');
const { placeOf } = require('./subjects.js');

/** The largest length that the line adds to a message, in bytes. */
const LINE_RESERVE = 1024;
/** The length of messages that every engine accepts, in bytes. */
const SMALLEST_MAX_PAYLOAD = 1024 * 1024;

/** Numbers, signs and publishes the messages of a membership. */
class Publisher {
  /** @type {Membership} */
  #membership;
  /** @type {ClusterEngine} */
  #engine;
  /** Null: messages have no signatures. @type {?Signer} */
  #signer;
  #seq = 0;
  #bseq = 0;
  #maxMessageSize;
  /** The largest message without its line, in bytes. */
  #limit;

  /** Keeps messages until the broker has them. @type {Outbox} */
  outbox;

  /**
   * @param {Membership} membership
   * @param {object} parts
   * @param {ClusterEngine} parts.engine
   * @param {?Signer} parts.signer
   * @param {number} parts.maxMessageSize in bytes
   * @param {number} parts.holdSize bytes that may be kept
   * @param {number} parts.holdTime how long messages are taken while the broker is away, in ms
   */
  constructor(membership, { engine, signer, maxMessageSize, holdSize, holdTime }) {
    this.#membership = membership;
    this.#engine = engine;
    this.#signer = signer;
    this.#maxMessageSize = maxMessageSize;
    this.#limit = Math.min(maxMessageSize, SMALLEST_MAX_PAYLOAD - LINE_RESERVE);
    this.outbox = new Outbox(engine, {
      holdSize,
      holdTime,
      markSentAgain: (message) => this.#markSentAgain(message),
    });
  }

  /** @param {number} maxPayload the longest message that the engine takes, in bytes */
  limitPayload(maxPayload) {
    this.#limit = Math.min(this.#maxMessageSize, maxPayload - LINE_RESERVE);
    this.outbox.limitPayload(maxPayload);
  }

  /** @returns {?SockhopError} if a message is too large for the cluster */
  tooLarge({ size }) {
    return size > this.#limit ? tooLarge(size, this.#limit) : null;
  }

  /** Like `publish()` of the membership. */
  publish(kind, subject, { type, extra, json }, ticket) {
    const place = placeOf(kind);
    if (place === 'all') this.#bseq += 1;
    this.#seq += 1;
    this.#membership.counters.published += 1;
    const bytes = this.#encode(subject, {
      kind,
      node: this.#membership.id,
      seq: this.#seq,
      bseq: this.#bseq,
      type,
      extra,
      payload: json,
    });
    const isToNode = place === 'node';
    return this.outbox.push({ subject, bytes, ticket, bseq: this.#bseq, isToNode });
  }

  /** Like `publishUnkept()` of the membership. */
  publishUnkept(kind, subject, extra) {
    this.outbox.publishGathered();
    this.#seq += 1;
    const bytes = this.#encode(subject, {
      kind,
      node: this.#membership.id,
      seq: this.#seq,
      bseq: this.outbox.published,
      extra: JSON.stringify(extra),
    });
    this.#engine.publish(subject, bytes);
  }

  #encode(subject, fields) {
    const { head, body } = write(fields);
    return Buffer.from(`${head}${this.#signatureOf(subject, head, body)}\n${body}`);
  }

  #markSentAgain({ subject, bytes }) {
    const { head, body } = signedParts(bytes, read(bytes));
    const fields = head.split(' ');
    fields[5] = FLAGS.sentAgain.toString(16);
    const marked = fields.join(' ');
    const line = `${marked}${this.#signatureOf(subject, marked, body)}\n`;
    return Buffer.concat([Buffer.from(line), body]);
  }

  /** @returns {string} the field of the line, with the space before it; empty without a key */
  #signatureOf(subject, head, body) {
    return this.#signer === null ? '' : ` ${this.#signer.sign(subject, head, body)}`;
  }
}

module.exports = { Publisher };
