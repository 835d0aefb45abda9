'use strict';

const { envelope } = require('../messaging/envelope.js');
const { isPayload } = require('../messaging/payloads.js');
const { noPayload } = require('../messaging/channel-errors.js');

/**
 * The type and the JSON of a payload, as the nodes send them to each other: each one puts them into
 * an envelope of its own.
 *
 * @param {*} data
 * @param {boolean} jsonMode whether clients get bare JSON, without an envelope
 * @returns {{type: string, json: string}} `json` is empty for a value that JSON leaves out
 * @throws {TypeError} for a value that cannot be sent; V8's error for a value that JSON cannot express
 */
function encode(data, jsonMode) {
  if (jsonMode) {
    if (data === undefined) throw noPayload(data);
    return { type: '', json: JSON.stringify(data) ?? '' };
  }
  if (!isPayload(data)) throw noPayload(data);
  const type = String(data.constructor.name);
  const text = envelope(data);
  const head = `{"type":${JSON.stringify(type)}`;
  return { type, json: text.slice(head.length + ',"data":'.length, -1) };
}

/**
 * The content of a message between nodes.
 *
 * @typedef {object} Content
 * @property {string} type
 * @property {string} json
 * @property {string} extra JSON
 * @property {number} size in bytes
 */

/**
 * @param {object} [extra] fields
 * @param {{type: string, json: string}} [payload]
 * @returns {Content}
 */
function content(extra, { type, json } = { type: '', json: '' }) {
  const text = extra === undefined ? '' : JSON.stringify(extra);
  const size = Buffer.byteLength(type) + Buffer.byteLength(text) + Buffer.byteLength(json);
  return { type, json, extra: text, size };
}

/**
 * The text of a message to a client.
 *
 * @param {{type: string, json: string}} payload
 * @param {boolean} jsonMode
 * @returns {string} without a terminator
 */
function frame({ type, json }, jsonMode) {
  if (jsonMode) return json;
  const head = `{"type":${JSON.stringify(type)}`;
  return json === '' ? `${head}}` : `${head},"data":${json}}`;
}

/**
 * A value whose class this process may not have: it is sent with the type with which it arrived.
 */
class Typed {
  #value;

  constructor(type, value) {
    this.#value = value;
    Object.defineProperty(this, 'constructor', { value: { name: type } });
  }

  toJSON() {
    return this.#value;
  }
}

/**
 * @param {{type: string, json: string}} payload
 * @returns {*} a value that has this type when it is sent
 */
function decode({ type, json }) {
  const value = json === '' ? undefined : JSON.parse(json);
  const isPlain = type === '' || value?.constructor?.name === type;
  return isPlain ? value : new Typed(type, value);
}

module.exports = { content, decode, encode, frame };
