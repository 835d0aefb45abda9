'use strict';

const { isStringifyReplaced } = require('../json-functions.js');
const { SizeHint, stringify } = require('./json.js');

/*
 * The text of outgoing messages. The payload is stringified once; the text around it is the same
 * for all messages of a class, and is kept.
 */

/** Class name -> the beginning of its envelopes, and the hint about the size of its payloads. */
const kinds = new Map();
/** Classes beyond this number are not kept: a program with more of them makes them at run time. */
const MAX_KINDS = 1024;

function newKind(type) {
  const kind = { prefix: `{"type":${JSON.stringify(type)},"data":`, sizeHint: new SizeHint() };
  if (kinds.size < MAX_KINDS) kinds.set(type, kind);
  return kind;
}

/** The kind of most payloads, which needs no look-up. */
const ofObjects = newKind('Object');

/** Marks the characters of ids of this package and of 1.8.4, which JSON does not escape. */
const PLAIN = new Uint8Array(128);
for (const character of '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_') {
  PLAIN[character.charCodeAt(0)] = 1;
}
const LONGEST_PLAIN = 64;

function isPlain(id) {
  if (typeof id !== 'string' || id.length > LONGEST_PLAIN) return false;
  // A loop takes a third of the time of a regular expression.
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i);
    if (code >= PLAIN.length || PLAIN[code] === 0) return false;
  }
  return true;
}

function quoted(id) {
  return isPlain(id) ? `"${id}"` : JSON.stringify(id);
}

/** The text after the payload of a message with a callback. Its id comes from `uuid()`. */
const withId = (id, closing) => `,"id":"${id}"${closing}`;

/** The text after the payload of an answer. The peer may have chosen any id. */
const withCallbackId = (id) => `,"callback_id":${quoted(id)}}`;

/**
 * The envelope of a payload.
 *
 * @param {*} data
 * @param {Function} [madeBy] its constructor, if the caller has read it
 * @param {string} [closing] its last brace, and the text that is to follow: to append that later
 *   would make one more string
 * @param {string} [id] of a message with a callback: one of `uuid()`
 * @returns {string}
 * @throws {TypeError} for null, undefined and an object without a constructor; V8's error for a
 *   value that JSON cannot express
 */
function envelope(data, madeBy = data.constructor, closing = '}', id = undefined) {
  const type = typeOf(madeBy);
  if (isForV8(data, type)) {
    const text = JSON.stringify(id === undefined ? { type, data } : { type, data, id });
    return closing.length === 1 ? text : text + closing.slice(1);
  }
  const head = headOf(data, type);
  return head + (id === undefined ? closing : withId(id, closing));
}

/**
 * The envelope of an answer.
 *
 * @param {*} data
 * @param {*} id of the question
 * @returns {string}
 * @throws as `envelope()`
 */
function answerEnvelope(data, id) {
  const type = typeOf(data.constructor);
  if (isForV8(data, type)) return JSON.stringify({ type, data, callback_id: id });
  return headOf(data, type) + withCallbackId(id);
}

/** Reading the name of a function costs as much as looking it up in the map. */
const typeOf = (madeBy) => (madeBy === Object ? 'Object' : madeBy.name);

/** toJSON() gets the key of its value, and a class without a name has no type: V8 does both. */
const isForV8 = (data, type) =>
  typeof data.toJSON === 'function' || typeof type !== 'string' || isStringifyReplaced();

/** @returns {string} the envelope of a payload, up to and including the payload */
function headOf(data, type) {
  const { prefix, sizeHint } = type === 'Object' ? ofObjects : (kinds.get(type) ?? newKind(type));
  const json = stringify(data, sizeHint);
  // JSON has no text for a function, for example: then there is a type and no data.
  return json === undefined ? `{"type":${JSON.stringify(type)}` : prefix + json;
}

module.exports = { answerEnvelope, envelope };
