'use strict';

const { createHmac, timingSafeEqual } = require('node:crypto');

/** 128 bits of the SHA-256 HMAC, in bytes. */
const SIGNATURE_BYTES = 16;

/**
 * Signs messages between nodes with a key that all nodes have, and checks signatures.
 *
 * The subject is signed as well, so that a recorded message cannot be sent to another one.
 */
class Signer {
  /** The first one signs; each one is accepted: @type {(string | Uint8Array)[]} */
  #keys;

  /** @param {(string | Uint8Array)[]} keys not empty */
  constructor(keys) {
    this.#keys = keys;
  }

  #hmac(key, subject, head, body) {
    const hmac = createHmac('sha256', key);
    hmac.update(`${subject}\n${head}\n`);
    hmac.update(body);
    return hmac.digest().subarray(0, SIGNATURE_BYTES);
  }

  /**
   * @param {string} subject
   * @param {string} head the line without the signature
   * @param {string | Uint8Array} body
   * @returns {string}
   */
  sign(subject, head, body) {
    return this.#hmac(this.#keys[0], subject, head, body).toString('base64url');
  }

  /** @returns {boolean} whether one of the keys has made the signature */
  verify(subject, { head, body }, signature) {
    if (signature === undefined) return false;
    const given = Buffer.from(signature, 'base64url');
    if (given.length !== SIGNATURE_BYTES) return false;
    return this.#keys.some((key) => timingSafeEqual(this.#hmac(key, subject, head, body), given));
  }
}

module.exports = { Signer };
