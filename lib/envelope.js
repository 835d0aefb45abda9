'use strict';

/*
 * Outgoing messages as text. The payload is stringified once, by V8; what is around it is the same for
 * every message of a class, and kept.
 */

/** Class name -> the beginning of its envelope. */
const prefixes = new Map();
/** A program with more classes than this makes them as it goes; then nothing is kept. */
const MAX_PREFIXES = 1024;

function prefixOf(type) {
  let prefix = prefixes.get(type);
  if (prefix === undefined) {
    prefix = `{"type":${JSON.stringify(type)},"data":`;
    if (prefixes.size < MAX_PREFIXES) prefixes.set(type, prefix);
  }
  return prefix;
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
  const json = JSON.stringify(data);
  // A function, say, has a type and no data.
  const head = json === undefined ? `{"type":${JSON.stringify(type)}` : prefixOf(type) + json;
  return key === undefined ? `${head}}` : `${head},"${key}":${JSON.stringify(id)}}`;
}

module.exports = { envelope };
