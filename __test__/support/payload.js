'use strict';

const { createHash } = require('node:crypto');

/** JSON longer than this (in characters) is compared by its digest. */
const LONG = 65_536;

/**
 * Makes an object to send from a description that can cross to another process:
 * `{ value }` as it is, `{ value, as: 'Widget' }` as an instance of a class of that name,
 * `{ characters: n }` an object that takes about so many characters of JSON.
 */
function build({ value, as, characters }) {
  if (characters) return { text: 'A long text, öften with ümläuts. '.repeat(characters / 33) };
  if (!as) return value;
  const type = { [as]: class {} }[as];
  return Object.assign(new type(), value);
}

/** What is reported of a received object: itself, or the length and digest of its JSON. */
function summarize(object) {
  const json = JSON.stringify(object);
  if (json === undefined || json.length <= LONG) return object;
  return { characters: json.length, sha256: createHash('sha256').update(json).digest('hex') };
}

/** The report that the other side sends when it has received the result of `build(spec)`. */
function expected(spec) {
  const json = JSON.stringify(build(spec));
  return summarize(json === undefined ? undefined : JSON.parse(json));
}

/** The type label under which `build(spec)` travels. */
function typeOf(spec) {
  return build(spec).constructor.name;
}

module.exports = { build, expected, summarize, typeOf };
