'use strict';

const { createHash } = require('node:crypto');

/** JSON longer than this (in characters) is compared by its digest. */
const LONG = 65_536;

/**
 * Makes an object to send from a description that can cross to another process. `{ value }` is sent
 * unchanged, and `{ value, as: 'Widget' }` as an instance of a class of that name. `{ characters: n
 * }` is an object with about that many characters of JSON.
 */
function build({ value, as, characters }) {
  if (characters) return { text: 'A long text, öften with ümläuts. '.repeat(characters / 33) };
  if (!as) return value;
  const type = { [as]: class {} }[as];
  return Object.assign(new type(), value);
}

/** The report about a received object: the object itself, or the length and digest of its JSON. */
function summarize(object) {
  const json = JSON.stringify(object);
  if (json === undefined || json.length <= LONG) return object;
  return { characters: json.length, sha256: createHash('sha256').update(json).digest('hex') };
}

/** The reports of long payloads, by their lengths: each takes a while. */
const reports = new Map();

/** The report that the other side sends when it has received the result of `build(spec)`. */
function expected(spec) {
  if (!reports.has(spec.characters)) {
    const json = JSON.stringify(build(spec));
    const report = summarize(json === undefined ? undefined : JSON.parse(json));
    if (!spec.characters) return report;
    reports.set(spec.characters, report);
  }
  return reports.get(spec.characters);
}

/** The type with which `build(spec)` is sent. */
function typeOf(spec) {
  return build(spec).constructor.name;
}

module.exports = { build, expected, summarize, typeOf };
