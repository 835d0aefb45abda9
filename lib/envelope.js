'use strict';

const { Habit, stringify } = require('./json.js');

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
    kind = { prefix: `{"type":${JSON.stringify(type)},"data":`, habit: new Habit() };
    if (kinds.size < MAX_KINDS) kinds.set(type, kind);
  }
  return kind;
}

/** What JSON does not escape; the ids of this package and of the original consist of it. */
const PLAIN = /^[\w-]{1,64}$/;

function quoted(id) {
  return typeof id === 'string' && PLAIN.test(id) ? `"${id}"` : JSON.stringify(id);
}

/**
 * The envelope of a payload.
 *
 * @param {*} data
 * @param {string} [key] "id" or "callback_id"
 * @param {*} [id] its value
 * @returns {string}
 * @throws {TypeError} for null, undefined and what has no constructor; what V8 throws for what is not JSON
 */
function envelope(data, key, id) {
  const type = data.constructor.name;
  // toJSON() is told the key it stands under, and a class without a name has no label.
  if (typeof data.toJSON === 'function' || typeof type !== 'string') {
    return JSON.stringify(key === undefined ? { type, data } : { type, data, [key]: id });
  }
  const { prefix, habit } = kindOf(type);
  const json = stringify(data, habit);
  // A function, say, has a type and no data.
  const head = json === undefined ? `{"type":${JSON.stringify(type)}` : prefix + json;
  return key === undefined ? `${head}}` : `${head},"${key}":${quoted(id)}}`;
}

module.exports = { envelope };
