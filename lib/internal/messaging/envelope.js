'use strict';

const { SizeHint, stringify } = require('./json.js');

/*
 * Outgoing messages as text. The payload is stringified once, by V8; what is around it is the same for
 * every message of a class, and kept.
 */

/** Class name -> the beginning of its envelope, and what its payloads are like. */
const kinds = new Map();
/** A program with more classes than this makes them as it goes; then nothing is kept. */
const MAX_KINDS = 1024;

function kindOf(type) {
  let kind = kinds.get(type);
  if (kind === undefined) {
    kind = { prefix: `{"type":${JSON.stringify(type)},"data":`, sizeHint: new SizeHint() };
    if (kinds.size < MAX_KINDS) kinds.set(type, kind);
  }
  return kind;
}

/** Whether JSON writes a character as it is: those that the ids of this package and of the original consist of. */
const PLAIN = new Uint8Array(128);
for (const character of '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_') {
  PLAIN[character.charCodeAt(0)] = 1;
}
const LONGEST_PLAIN = 64;

function isPlain(id) {
  if (typeof id !== 'string' || id.length > LONGEST_PLAIN) return false;
  // A third of what a regular expression takes.
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i);
    if (code >= PLAIN.length || PLAIN[code] === 0) return false;
  }
  return true;
}

function quoted(id) {
  return isPlain(id) ? `"${id}"` : JSON.stringify(id);
}

/** The end of the envelope of a question, whose id is one of `uuid()`. */
const asking = (id) => `,"id":"${id}"}`;

/** The end of the envelope of an answer to whatever a peer called its question. */
const answering = (id) => `,"callback_id":${quoted(id)}}`;

/**
 * The envelope of a payload.
 *
 * @param {*} data
 * @param {string} [key] "id" or "callback_id"
 * @param {*} [id] its value; with "id", one of `uuid()`
 * @returns {string}
 * @throws {TypeError} for null, undefined and what has no constructor; what V8 throws for what is not JSON
 */
function envelope(data, key, id) {
  const madeBy = data.constructor;
  // Asking a function for its name costs as much as looking the name up.
  const type = madeBy === Object ? 'Object' : madeBy.name;
  // toJSON() is told the key it stands under, and a class without a name has no label.
  if (typeof data.toJSON === 'function' || typeof type !== 'string') {
    return JSON.stringify(key === undefined ? { type, data } : { type, data, [key]: id });
  }
  const { prefix, sizeHint } = kindOf(type);
  const json = stringify(data, sizeHint);
  // A function, say, has a type and no data.
  const head = json === undefined ? `{"type":${JSON.stringify(type)}` : prefix + json;
  if (key === undefined) return `${head}}`;
  return head + (key === 'id' ? asking(id) : answering(id));
}

module.exports = { envelope };
