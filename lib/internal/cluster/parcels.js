'use strict';

const { nextTick } = require('../real-timers.js');
const { BadLine, asBuffer } = require('./line.js');

/*
 * Several messages to one subject, which a node publishes as one:
 *
 *   SHM1\n, then for each message its length in four bytes (the highest first) and its bytes
 *
 * A message that a node sends by itself is published without this frame.
 */

const MAGIC = Buffer.from('SHM1\n');
const LENGTH_BYTES = 4;
/** Messages are gathered up to this number of bytes. */
const MAX_BYTES = 64 * 1024;
/** A parcel of more bytes is not read: its messages would take several times its memory. */
const MAX_READ_BYTES = 1024 * 1024;

/** @returns {Uint8Array} */
function pack(messages) {
  if (messages.length === 1) return messages[0].bytes;
  let size = MAGIC.length;
  for (const { bytes } of messages) size += LENGTH_BYTES + bytes.length;
  const packed = Buffer.allocUnsafe(size);
  let at = MAGIC.copy(packed);
  for (const { bytes } of messages) {
    at = packed.writeUInt32BE(bytes.length, at);
    packed.set(bytes, at);
    at += bytes.length;
  }
  return packed;
}

/** @returns {boolean} whether bytes are several messages @throws {BadLine} for too many bytes */
function isParcel(bytes) {
  for (let i = 0; i < MAGIC.length; i += 1) if (bytes[i] !== MAGIC[i]) return false;
  if (bytes.length > MAX_READ_BYTES) throw new BadLine('malformed');
  return true;
}

/**
 * @param {Uint8Array} bytes for which `isParcel()` is true
 * @returns {Buffer[]} the messages in it
 * @throws {BadLine}
 */
function unpack(bytes) {
  const packed = asBuffer(bytes);
  const messages = [];
  for (let at = MAGIC.length; at < packed.length; ) {
    if (packed.length - at < LENGTH_BYTES) throw new BadLine('malformed');
    const start = at + LENGTH_BYTES;
    at = start + packed.readUInt32BE(at);
    if (at === start || at > packed.length) throw new BadLine('malformed');
    messages.push(packed.subarray(start, at));
  }
  return messages;
}

/**
 * Gathers the messages of a tick: those to the same subject are published as one, because a message
 * costs the broker and its clients more than its bytes do.
 *
 * The order of messages to different subjects is also kept, except between those to single nodes.
 */
class Parcels {
  /** @type {ClusterEngine} */
  #engine;
  /**
   * The messages by subject. There are several subjects only if each is that of a node. @type
   * {Map<string, Kept[]>}
   */
  #parcels = new Map();
  #areToNodes = false;
  #bytes = 0;
  #maxBytes = MAX_BYTES;
  #isScheduled = false;
  /** Tickets of messages published together, by the first ticket. @type {Map<number, number[]>} */
  #tickets = new Map();

  /** @param {ClusterEngine} engine */
  constructor(engine) {
    this.#engine = engine;
  }

  /** @param {number} maxPayload the longest message that the engine takes, in bytes */
  limit(maxPayload) {
    this.#maxBytes = Math.min(MAX_BYTES, maxPayload - MAGIC.length);
  }

  /**
   * Publishes a message, no later than the end of the tick.
   *
   * @param {Kept} message
   */
  add(message) {
    const { subject, bytes, isToNode } = message;
    const size = LENGTH_BYTES + bytes.length;
    const mayWait = (isToNode && this.#areToNodes) || this.#parcels.has(subject);
    if (!mayWait || this.#bytes + size > this.#maxBytes) this.send();
    this.#areToNodes = isToNode;
    this.#bytes += size;
    const parcel = this.#parcels.get(subject);
    if (parcel === undefined) this.#parcels.set(subject, [message]);
    else parcel.push(message);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTick(() => {
      this.#isScheduled = false;
      this.send();
    });
  }

  /** Publishes the gathered messages. */
  send() {
    if (this.#parcels.size === 0) return;
    const parcels = this.#parcels;
    this.discard();
    for (const [subject, messages] of parcels) {
      this.#engine.publish(subject, pack(messages), this.#ticketOf(messages));
    }
  }

  /** Discards the gathered messages. */
  discard() {
    this.#parcels = new Map();
    this.#bytes = 0;
  }

  /** @returns {number | undefined} for the report that these messages have no receiver */
  #ticketOf(messages) {
    if (messages.length === 1) return messages[0].ticket;
    const tickets = messages.map(({ ticket }) => ticket).filter((ticket) => ticket !== undefined);
    if (tickets.length > 1) this.#tickets.set(tickets[0], tickets);
    return tickets[0];
  }

  /** @returns {number[]} the tickets of all messages that were published together with this one */
  ticketsOf(ticket) {
    return this.#tickets.get(ticket) ?? [ticket];
  }

  /** The broker has confirmed a message, so no report about its receivers follows. */
  forget({ ticket }) {
    if (this.#tickets.size > 0) this.#tickets.delete(ticket);
  }
}

module.exports = { Parcels, isParcel, unpack };
