'use strict';

/*
 * Writes messages in the bytes of the codec. The other end reads exactly
 * `JSON.parse(JSON.stringify(payload))`.
 *
 * The fast path is for arrays, and for objects whose names are a known shape. V8 stringifies
 * everything else, and its JSON is a part of the message. Each value is read once, in the order of
 * JSON.stringify(), because a program may have getters.
 *
 * All messages are written to one buffer. A getter or toJSON() of a payload may send another
 * message meanwhile, which is sent as JSON.
 */

const { types } = require('node:util');

const { COMPILED_AFTER, areCompilable } = require('./compiling.js');
const { encoded } = require('./frames.js');
const {
  Flag,
  MAX_DEPTH,
  MAX_SHAPE_NAMES,
  MAX_SHAPES,
  OTHER_TYPE,
  TYPES,
  Tag,
} = require('./format.js');
const { shapeOf } = require('./shapes.js');
const { Site } = require('./sites.js');

const { getPrototypeOf, keys: keysOf } = Object;
const { isArray } = Array;
const ObjectPrototype = Object.prototype;

const FIRST_CAPACITY = 256 * 1024;
/** A larger buffer is replaced when its messages are sent. */
const KEPT_CAPACITY = 1024 * 1024;
/** No value takes more bytes than this before the next one begins. */
const MARGIN = 128;
/** V8 stringifies longer arrays: they may be sparse. */
const MAX_LENGTH = 2 ** 20;
/** Types of payloads that have sites. */
const MAX_TYPES = 1024;

const CIRCULAR = /^Converting circular structure/;

/** The results of the writer of a shape. */
const WRITTEN = 0;
const HAS_OTHER_NAMES = 1;
const HAS_TO_JSON = 2;

let out;
let view;
let limit;
let at = 0;
let text = '';
/** The number of arrays and objects that are open, and these. */
let depth = 0;
const ancestors = new Array(MAX_DEPTH + 1).fill(null);
/** The shapes of the connection that is written to: @type {ShapeTable} */
let table = null;
let isWriting = false;
/** The toJSON() of an object that a writer has refused with HAS_TO_JSON. */
let foundToJSON;

function useBuffer(buffer) {
  out = buffer;
  encoded.buffer = buffer;
  view = new DataView(out.buffer);
  limit = out.length - MARGIN;
}

useBuffer(Buffer.allocUnsafeSlow(FIRST_CAPACITY));

function grow(capacity = out.length * 2) {
  const larger = Buffer.allocUnsafeSlow(capacity);
  larger.set(out.subarray(0, at));
  useBuffer(larger);
}

// ---- values -------------------------------------------------------------------------------------

function writeNumber(value) {
  if (at > limit) grow();
  if ((value | 0) === value) {
    if (value >= 0 && value < Tag.STRING) {
      // -0 as well, which JSON writes as 0.
      out[at++] = value;
    } else if (value >= -0x8000 && value < 0x8000) {
      out[at] = Tag.INT16;
      out[at + 1] = value;
      out[at + 2] = value >> 8;
      at += 3;
    } else {
      out[at] = Tag.INT32;
      view.setInt32(at + 1, value, true);
      at += 5;
    }
  } else if (value - value === 0) {
    out[at] = Tag.DOUBLE;
    view.setFloat64(at + 1, value, true);
    at += 9;
  } else {
    out[at++] = Tag.NULL;
  }
}

function writeTag(tag) {
  if (at > limit) grow();
  out[at++] = tag;
}

function writeLength(tag, length) {
  if (at > limit) grow();
  out[at] = tag;
  view.setUint32(at + 1, length, true);
  at += 5;
}

function writeString(value) {
  const { length } = value;
  if (length < Tag.SHORT_STRINGS) writeTag(Tag.STRING + length);
  else writeLength(Tag.LONG_STRING, length);
  text += value;
}

function writeJson(json) {
  writeLength(Tag.JSON, json.length);
  text += json;
}

/** A value that is neither a number, a string nor an object. */
function writeOther(value, key, absent) {
  if (value === null) writeTag(Tag.NULL);
  else if (value === true) writeTag(Tag.TRUE);
  else if (value === false) writeTag(Tag.FALSE);
  else if (value === undefined || typeof value === 'symbol') writeTag(absent);
  // A function or a BigInt may have a toJSON().
  else writeStringified(value, key, absent);
}

/** Makes V8 stringify a value as the property of an object, because its toJSON() gets the key. */
function writeStringified(value, key, absent) {
  const json = JSON.stringify({ [key]: value });
  if (json === '{}') writeTag(absent);
  else writeJson(json.slice(JSON.stringify(`${key}`).length + 2, -1));
}

/**
 * Makes V8 stringify a deep object on its own: inside another object, the stack would overflow at a
 * lesser depth.
 */
function writeDeep(value, key, absent) {
  if (typeof value.toJSON === 'function') return writeStringified(value, key, absent);
  writeJson(JSON.stringify(value));
}

/** Writes the result of a toJSON(), whose own toJSON() is not called. */
function writeStandIn(value, absent) {
  if (typeof value === 'string') return writeString(value);
  if (typeof value === 'number') return writeNumber(value);
  const json = JSON.stringify({ toJSON: () => value });
  if (json === undefined) writeTag(absent);
  else writeJson(json);
}

function writeField(value, key, site) {
  if (typeof value === 'number') writeNumber(value);
  else if (typeof value === 'string') writeString(value);
  else if (typeof value === 'object' && value !== null) writeObject(value, key, site, Tag.ABSENT);
  else writeOther(value, key, Tag.ABSENT);
}

function writeArray(array, site) {
  const { length } = array;
  if (length > MAX_LENGTH) return writeJson(JSON.stringify({ toJSON: () => array }));
  if (length < Tag.SHORT_ARRAYS) writeTag(Tag.ARRAY + length);
  else writeLength(Tag.LONG_ARRAY, length);
  enter(array);
  for (let i = 0; i < length; i++) {
    const value = array[i];
    if (typeof value === 'number') writeNumber(value);
    else if (typeof value === 'string') writeString(value);
    else if (typeof value === 'object' && value !== null) writeObject(value, i, site, Tag.NULL);
    else writeOther(value, i, Tag.NULL);
  }
  leave();
}

function enter(container) {
  ancestors[depth] = container;
  depth += 1;
}

function leave() {
  depth -= 1;
  ancestors[depth] = null;
}

/** `encode()` has V8 throw its own error. */
function refuseCycle(value) {
  for (let i = 0; i < depth; i++) {
    if (ancestors[i] === value) throw new TypeError('Converting circular structure to JSON');
  }
}

function writeObject(value, key, site, absent) {
  refuseCycle(value);
  if (depth >= MAX_DEPTH) return writeDeep(value, key, absent);
  if (isArray(value)) {
    const { toJSON } = value;
    if (typeof toJSON === 'function') return writeStandIn(toJSON.call(value, `${key}`), absent);
    site.elements ??= new Site();
    return writeArray(value, site.elements);
  }
  const { shape } = site;
  if (shape === null) {
    const { toJSON } = value;
    if (typeof toJSON === 'function') return writeStandIn(toJSON.call(value, `${key}`), absent);
  } else {
    const result = shape.write(value);
    if (result === WRITTEN) return;
    if (result === HAS_TO_JSON) return writeStandIn(foundToJSON.call(value, `${key}`), absent);
  }
  if (!writeIfKnown(value, site)) writeJson(JSON.stringify(value));
}

/**
 * Writes an object whose shape differs from that of the last one at its site, if it is known.
 *
 * @param {number} [appearances] of its names that are counted
 * @returns {boolean} false if V8 is to stringify it
 */
function writeIfKnown(value, site, appearances = 1) {
  const { other } = site;
  if (other !== null && other.write(value) === WRITTEN) {
    site.other = site.shape;
    site.shape = other;
    return true;
  }
  if (isLeftToV8(value, site)) return false;
  const names = keysOf(value);
  if (names.length === 0) {
    if (!isOrdinary(value)) return false;
    writeTag(Tag.EMPTY);
    return true;
  }
  const shape = shapeOf(names, makeShape, appearances);
  if (shape !== null && shape !== site.shape && shape.write(value) === WRITTEN) {
    site.found(shape);
    return true;
  }
  site.missed();
  return false;
}

/** Whether V8 must stringify a value, because the objects before it kept changing their shapes. */
function isLeftToV8(value, site) {
  if (site.skip > 0) {
    site.skip -= 1;
    return true;
  }
  if (!site.isProbing || typeof value !== 'object' || isArray(value)) return false;
  const repeated = site.probe(keysOf(value));
  for (const names of repeated ?? []) shapeOf(names, makeShape, 2);
  return true;
}

/** Whether JSON writes the properties of an object, and does not take it for a primitive value. */
const isOrdinary = (value) => !types.isBoxedPrimitive(value) && !types.isProxy(value);

// ---- shapes -------------------------------------------------------------------------------------

/**
 * @typedef {object} Shape
 * @property {string[]} names
 * @property {number} index in this process
 * @property {Site[]} sites of the values
 * @property {function(object): number} write writes an object if it has the shape
 */

/** @returns {boolean} false if the connection has too many shapes */
function beginShape(shape) {
  const number = table.numbers[shape.index];
  if (number === undefined) return defineShape(shape);
  if (number < Tag.SHORT_SHAPES) writeTag(Tag.SHAPE + number);
  else {
    writeTag(Tag.WIDE_SHAPE);
    out[at++] = number;
  }
  return true;
}

function defineShape(shape) {
  const { names } = shape;
  const count = names.length;
  if (table.shapes.length >= MAX_SHAPES || table.nameCount + count > MAX_SHAPE_NAMES) return false;
  table.add(shape);
  writeTag(Tag.NEW_SHAPE);
  out[at++] = count;
  for (const name of names) {
    out[at++] = name.length;
    text += name;
  }
  return true;
}

/** @returns {number} WRITTEN if an object has a shape, whose values follow */
function beginObject(object, shape) {
  if (getPrototypeOf(object) !== ObjectPrototype && !isOrdinary(object)) return HAS_OTHER_NAMES;
  if (!beginShape(shape)) return HAS_OTHER_NAMES;
  enter(object);
  return WRITTEN;
}

function keepToJSON(toJSON) {
  foundToJSON = toJSON;
  return HAS_TO_JSON;
}

/** The writer of a shape whose names must not be compiled. `compileWriter()` makes the same. */
function writeByLoop(shape, object) {
  const { names, sites } = shape;
  const { toJSON } = object;
  if (typeof toJSON === 'function') return keepToJSON(toJSON);
  let count = 0;
  for (const name in object) {
    if (name !== names[count]) return HAS_OTHER_NAMES;
    count += 1;
  }
  if (count !== names.length) return HAS_OTHER_NAMES;
  if (beginObject(object, shape) !== WRITTEN) return HAS_OTHER_NAMES;
  for (let i = 0; i < names.length; i++) writeField(object[names[i]], names[i], sites[i]);
  leave();
  return WRITTEN;
}

function compileWriter(shape) {
  const { names, sites } = shape;
  const fields = names.map((name, i) => {
    const quoted = JSON.stringify(name);
    return `writeField(object[${quoted}], ${quoted}, sites[${i}]);`;
  });
  const code = `return function write(object) {
    const { toJSON } = object;
    if (typeof toJSON === 'function') return keepToJSON(toJSON);
    let count = 0;
    for (const name in object) {
      if (name !== names[count]) return ${HAS_OTHER_NAMES};
      count += 1;
    }
    if (count !== ${names.length}) return ${HAS_OTHER_NAMES};
    if (beginObject(object, shape) !== ${WRITTEN}) return ${HAS_OTHER_NAMES};
    ${fields.join('\n')}
    leave();
    return ${WRITTEN};
  };`;
  const parts = { beginObject, keepToJSON, leave, names, shape, sites, writeField };
  return new Function(...Object.keys(parts), code)(...Object.values(parts));
}

function makeShape(names, index) {
  const shape = { names, index, sites: names.map(() => new Site()), write: null };
  let written = 0;
  shape.write = (object) => {
    const result = writeByLoop(shape, object);
    if (result !== WRITTEN) return result;
    written += 1;
    if (written === COMPILED_AFTER && areCompilable(names)) shape.write = compileWriter(shape);
    return WRITTEN;
  };
  return shape;
}

// ---- messages -----------------------------------------------------------------------------------

/** The sites of payloads, by the types of their messages. @type {Map<string, Site>} */
const sitesOfTypes = new Map();

function siteOf(type) {
  let site = sitesOfTypes.get(type);
  if (site === undefined) {
    site = new Site();
    if (sitesOfTypes.size < MAX_TYPES) sitesOfTypes.set(type, site);
  }
  return site;
}

/** Whether a text has no half of a surrogate pair. */
const isWellFormed =
  typeof ''.isWellFormed === 'function'
    ? (string) => string.isWellFormed()
    : (string) => !/\p{Surrogate}/u.test(string);

/** How many bursts have messages in the buffer: the next message is written after those. */
let claims = 0;

encoded.claim = () => {
  claims += 1;
};
encoded.release = () => {
  claims -= 1;
  if (claims === 0 && !isWriting) discard();
};

/** The buffer has no message that must still be sent. */
function discard() {
  at = 0;
  if (out.length > KEPT_CAPACITY) useBuffer(Buffer.allocUnsafeSlow(FIRST_CAPACITY));
}

/**
 * Writes a message to `encoded`.
 *
 * @param {ShapeTable} shapes of the connection
 * @param {string} type
 * @param {*} data
 * @param {number} [flag] QUESTION or ANSWER
 * @param {string} [id] the prefix of a question's id, or the id of an answer
 * @param {number} [count] of the id; -1 if the peer may not find the answer by its count
 * @returns {boolean} false if it is to be sent as JSON
 * @throws {*} as `JSON.stringify(data)`
 */
function encode(shapes, type, data, flag = 0, id = '', count = -1) {
  if (isWriting || !mayEncode(data)) return false;
  const site = siteOf(type);
  if (site.skip > 0) {
    site.skip -= 1 + shapes.leave(site.skip - 1);
    return false;
  }
  shapes.resume();
  if (isLeftToV8(data, site)) return false;
  if (claims === 0) discard();
  const start = at;
  const defined = shapes.shapes.length;
  const { prefix, mustReset } = shapes;
  text = '';
  depth = 0;
  table = shapes;
  isWriting = true;
  let isWritten = false;
  try {
    writeHead(type, flag, id, count);
    isWritten = writePayload(data, site);
    if (isWritten && text !== '' && !isWellFormed(text)) {
      text = JSON.stringify(text);
      out[start] |= Flag.QUOTED;
    }
  } catch (err) {
    // V8 has found a circle in a part of the payload: the error must describe the whole payload.
    if (err instanceof TypeError && CIRCULAR.test(err.message)) JSON.stringify(data);
    throw err;
  } finally {
    isWriting = false;
    if (!isWritten) {
      at = start;
      ancestors.fill(null);
      shapes.truncate(defined);
      shapes.prefix = prefix;
      shapes.mustReset = mustReset;
    }
  }
  encoded.text = text;
  encoded.from = start;
  encoded.to = at;
  return isWritten;
}

/** Functions, symbols and BigInts are rare, so V8 decides about them. */
function mayEncode(data) {
  const kind = typeof data;
  return kind === 'object' || kind === 'string' || kind === 'number' || kind === 'boolean';
}

function writeHead(type, flag, id, count) {
  if (at > limit) grow();
  const flagsAt = at;
  let flags = flag;
  at += 1;
  if (table.mustReset) {
    flags |= Flag.RESET;
    table.mustReset = false;
  }
  if (flag !== 0) flags |= writeId(flag, id, count);
  out[flagsAt] = flags;
  const number = TYPES.indexOf(type);
  writeTag(number < 0 ? OTHER_TYPE : number);
  if (number < 0) writeString(type);
}

/** @returns {number} flags */
function writeId(flag, id, count) {
  if (count < 0) {
    out[at++] = id.length;
    text += id;
    return Flag.TEXT_ID;
  }
  out[at] = count;
  out[at + 1] = count >> 8;
  out[at + 2] = count >> 16;
  at += 3;
  if (flag !== Flag.QUESTION || id === table.prefix) return 0;
  table.prefix = id;
  text += id;
  return Flag.PREFIX;
}

/** @returns {boolean} false for an object whose shape is not known, before it is read */
function writePayload(data, site) {
  if (typeof data !== 'object') {
    writeField(data, 'data', site);
    return true;
  }
  if (isArray(data)) {
    if (typeof data.toJSON === 'function') return false;
    site.elements ??= new Site();
    writeArray(data, site.elements);
    return true;
  }
  const { shape } = site;
  if (shape !== null) {
    const result = shape.write(data);
    if (result === WRITTEN) return true;
    if (result === HAS_TO_JSON) return false;
  } else if (typeof data.toJSON === 'function') return false;
  // Before the first shape, messages were JSON, and their names have probably appeared in them.
  return writeIfKnown(data, site, table.shapes.length === 0 ? 2 : 1);
}

/**
 * Puts a message that is written elsewhere into `encoded`.
 *
 * @param {string} messageText
 * @param {Uint8Array[]} parts of its bytes
 * @param {number} length of these
 * @returns {boolean} false while another message is being written
 */
function place(messageText, parts, length) {
  if (isWriting) return false;
  if (claims === 0) discard();
  const start = at;
  if (start + length > limit) grow(Math.max(out.length * 2, start + length + MARGIN));
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  encoded.text = messageText;
  encoded.from = start;
  encoded.to = at;
  return true;
}

module.exports = { encode, encoded, place };
