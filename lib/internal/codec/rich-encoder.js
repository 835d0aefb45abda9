'use strict';

/*
 * Writes messages with rich values. Objects, arrays and primitive values are written as
 * JSON.stringify() reads them: in its order, with toJSON(), without functions and symbols.
 *
 * A message is independent of others: its shapes are numbered from 0, so that the same bytes can be
 * sent over many connections.
 */

const { types } = require('node:util');

const {
  Flag,
  MAX_NAME_LENGTH,
  MAX_NAMES,
  MAX_SHAPE_NAMES,
  MAX_SHAPES,
  NUMBER,
  Tag,
} = require('./format.js');
const { Kind, MAX_DATA, MAX_RICH_DEPTH, RICH, TYPED_ARRAYS } = require('./rich-format.js');

const { getPrototypeOf, keys: keysOf } = Object;
const { isArray } = Array;
const ObjectPrototype = Object.prototype;

const FIRST_CAPACITY = 64 * 1024;
/** A larger buffer is released once its message is written. */
const KEPT_CAPACITY = 256 * 1024;
/** No value takes more bytes than this before the next one begins. */
const MARGIN = 32;
/** Longer bytes of a payload are not copied to the buffer, but from the payload to the frame. */
const COPIED = 1024;
/** How many nodes the tree of names may have. */
const MAX_NODES = 16 * 1024;

/** The number of the kind of a typed array, by the name of its class. */
const KIND_OF_ARRAY = new Map(TYPED_ARRAYS.map((name, i) => [name, Kind.TYPED_ARRAY + i]));
const nameOfTypedArray = Object.getOwnPropertyDescriptor(
  getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
).get;

const timeOf = Function.prototype.call.bind(Date.prototype.getTime);
const forEachOf = {
  map: Function.prototype.call.bind(Map.prototype.forEach),
  set: Function.prototype.call.bind(Set.prototype.forEach),
};
const sizeOf = {
  map: Function.prototype.call.bind(Object.getOwnPropertyDescriptor(Map.prototype, 'size').get),
  set: Function.prototype.call.bind(Object.getOwnPropertyDescriptor(Set.prototype, 'size').get),
};

/** A message that is written. */
class Message {
  /** The strings of the message, one after another. */
  text = '';
  /** The bytes of its data, in parts. @type {Uint8Array[]} */
  parts = [];
  /** The length of these. */
  length = 0;
}

/** A name in the tree of names: the names before it are those of its parents. */
class NameNode {
  next = new Map();
  /** The message that has defined the shape that ends here, and the number of that shape. */
  epoch = 0;
  number = 0;
}

let root = new NameNode();
let nodeCount = 0;
let lastEpoch = 0;

let out = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
let view = new DataView(out.buffer);
let limit = out.length - MARGIN;
let at = 0;
/** Where the bytes begin that are not yet in a part of the message. */
let partStart = 0;
/** @type {Message} */
let message = null;
/** The arrays and objects that are open. */
let ancestors = [];
let epoch = 0;
let shapeCount = 0;
let nameCount = 0;

function useBuffer(buffer) {
  out = buffer;
  view = new DataView(out.buffer);
  limit = out.length - MARGIN;
}

function grow() {
  if (message.length + at > MAX_DATA) throw tooLong();
  const larger = Buffer.allocUnsafeSlow(out.length * 2);
  larger.set(out.subarray(partStart, at), partStart);
  useBuffer(larger);
}

function tooLong() {
  const err = new RangeError(`A message with rich values is longer than ${MAX_DATA} bytes`);
  err.code = 'ERR_OUT_OF_RANGE';
  return err;
}

// ---- values -------------------------------------------------------------------------------------

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

function writeKind(kind) {
  if (at > limit) grow();
  out[at] = RICH;
  out[at + 1] = kind;
  at += 2;
}

function writeCount(kind, count) {
  writeKind(kind);
  view.setUint32(at, count, true);
  at += 4;
}

function writeNumber(value) {
  if ((value | 0) === value) {
    if (value === 0 && 1 / value < 0) return writeKind(Kind.MINUS_ZERO);
    return writeInteger(value);
  }
  if (value - value !== 0) {
    if (value > 0) return writeKind(Kind.INFINITY);
    return writeKind(value < 0 ? Kind.MINUS_INFINITY : Kind.NAN);
  }
  if (at > limit) grow();
  out[at] = Tag.DOUBLE;
  view.setFloat64(at + 1, value, true);
  at += 9;
}

function writeInteger(value) {
  if (at > limit) grow();
  if (value >= 0 && value < Tag.STRING) out[at++] = value;
  else if (value >= -0x8000 && value < 0x8000) {
    out[at] = Tag.INT16;
    view.setInt16(at + 1, value, true);
    at += 3;
  } else {
    out[at] = Tag.INT32;
    view.setInt32(at + 1, value, true);
    at += 5;
  }
}

function writeString(value) {
  const { length } = value;
  if (length < Tag.SHORT_STRINGS) writeTag(Tag.STRING + length);
  else writeLength(Tag.LONG_STRING, length);
  message.text += value;
}

/** @param {number} absent the tag of a value that JSON leaves out */
function write(value, key, absent) {
  switch (typeof value) {
    case 'number':
      return writeNumber(value);
    case 'string':
      return writeString(value);
    case 'boolean':
      return writeTag(value ? Tag.TRUE : Tag.FALSE);
    case 'undefined':
      return writeKind(Kind.UNDEFINED);
    case 'bigint':
      return writeBigInt(value);
    case 'object':
      return value === null ? writeTag(Tag.NULL) : writeObject(value, key, absent);
    case 'function':
      return writeFunction(value, key, absent);
    default:
      return writeTag(absent);
  }
}

/** JSON leaves out functions, except as the result of toJSON(). */
function writeFunction(value, key, absent) {
  const { toJSON } = value;
  if (typeof toJSON === 'function') writeStandIn(toJSON.call(value, `${key}`), absent);
  else writeTag(absent);
}

function writeBigInt(value) {
  const kind = value < 0n ? Kind.NEGATIVE_BIGINT : Kind.BIGINT;
  const magnitude = value < 0n ? -value : value;
  if (BigInt.asUintN(64, magnitude) === magnitude) {
    writeCount(kind, 8);
    view.setBigUint64(at, magnitude, true);
    at += 8;
    return;
  }
  const digits = magnitude.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex').reverse();
  writeCount(kind, bytes.length);
  writeBytes(bytes);
}

/** Writes bytes that the program may change later: `write` of the message copies them. */
function writeBytes(bytes) {
  const { length } = bytes;
  if (length > COPIED) {
    endPart();
    if (message.length + length > MAX_DATA) throw tooLong();
    message.parts.push(bytes);
    message.length += length;
    return;
  }
  while (at + length > limit) grow();
  out.set(bytes, at);
  at += length;
}

/** Makes a part of the bytes written since the last part. */
function endPart() {
  if (at === partStart) return;
  message.parts.push(out.subarray(partStart, at));
  message.length += at - partStart;
  partStart = at;
}

const isPlain = (value) => isArray(value) || getPrototypeOf(value) === ObjectPrototype;

function writeObject(value, key, absent) {
  if (!isPlain(value) && writeRich(value)) return;
  const { toJSON } = value;
  if (typeof toJSON === 'function') writeStandIn(toJSON.call(value, `${key}`), absent);
  else writeContent(value, absent);
}

/** Writes the result of a toJSON(), whose own toJSON() is not called. */
function writeStandIn(result, absent) {
  if (typeof result === 'function') writeTag(absent);
  else if (typeof result !== 'object' || result === null) write(result, '', absent);
  else if (isPlain(result) || !writeRich(result)) writeContent(result, absent);
}

/** @returns {boolean} false if the class of the object has no kind */
function writeRich(value) {
  if (ArrayBuffer.isView(value)) writeView(value);
  else if (types.isDate(value)) writeDate(value);
  else if (types.isMap(value)) writeMap(value);
  else if (types.isSet(value)) writeSet(value);
  else if (types.isAnyArrayBuffer(value)) {
    const bytes = new Uint8Array(value);
    writeCount(Kind.ARRAY_BUFFER, bytes.length);
    writeBytes(bytes);
  } else return false;
  return true;
}

/** Writes an array, or an object whose class has no kind. */
function writeContent(value, absent) {
  if (isArray(value)) writeArray(value);
  else if (getPrototypeOf(value) === ObjectPrototype) writeProperties(value);
  else if (types.isBoxedPrimitive(value)) writeBoxed(value, absent);
  else if (JSON.isRawJSON?.(value)) write(JSON.parse(value.rawJSON), '', absent);
  else writeProperties(value);
}

/** Converts them as JSON.stringify() does: by methods that a program may have replaced. */
function writeBoxed(value, absent) {
  if (types.isNumberObject(value)) writeNumber(Number(value));
  else if (types.isStringObject(value)) writeString(String(value));
  else if (types.isBooleanObject(value)) write(Boolean.prototype.valueOf.call(value), '', absent);
  else if (types.isBigIntObject(value)) writeBigInt(BigInt.prototype.valueOf.call(value));
  else writeProperties(value);
}

function writeDate(value) {
  if (at > limit) grow();
  out[at] = RICH;
  out[at + 1] = Kind.DATE;
  view.setFloat64(at + 2, timeOf(value), true);
  at += 10;
}

function writeView(value) {
  const { buffer, byteOffset, byteLength } = value;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  writeCount(kindOfView(value), byteLength);
  writeBytes(bytes);
}

function kindOfView(value) {
  if (!types.isTypedArray(value)) return Kind.DATA_VIEW;
  if (value instanceof Buffer) return Kind.BUFFER;
  return KIND_OF_ARRAY.get(nameOfTypedArray.call(value));
}

function enter(container) {
  if (ancestors.length >= MAX_RICH_DEPTH) {
    const err = new RangeError(
      `The values of a message are nested more than ${MAX_RICH_DEPTH} deep, which is the limit with values: "rich"`,
    );
    err.code = 'ERR_OUT_OF_RANGE';
    throw err;
  }
  if (ancestors.includes(container)) throw new TypeError('Converting circular structure to JSON');
  ancestors.push(container);
}

function leave() {
  ancestors.pop();
}

function writeArray(array) {
  const { length } = array;
  enter(array);
  if (length < Tag.SHORT_ARRAYS) writeTag(Tag.ARRAY + length);
  else writeLength(Tag.LONG_ARRAY, length);
  for (let i = 0; i < length; i++) write(array[i], i, Tag.NULL);
  leave();
}

function writeMap(map) {
  enter(map);
  writeCount(Kind.MAP, sizeOf.map(map));
  const entries = [];
  forEachOf.map(map, (value, key) => entries.push(key, value));
  for (const item of entries) write(item, '', Tag.NULL);
  leave();
}

function writeSet(set) {
  enter(set);
  writeCount(Kind.SET, sizeOf.set(set));
  const items = [];
  forEachOf.set(set, (item) => items.push(item));
  for (const item of items) write(item, '', Tag.NULL);
  leave();
}

function writeProperties(object) {
  const names = keysOf(object);
  if (names.length === 0) return writeTag(Tag.EMPTY);
  enter(object);
  if (beginShape(names)) {
    for (const name of names) write(object[name], name, Tag.ABSENT);
  } else {
    writeCount(Kind.OBJECT, names.length);
    for (const name of names) {
      writeString(name);
      write(object[name], name, Tag.ABSENT);
    }
  }
  leave();
}

// ---- shapes -------------------------------------------------------------------------------------

/** @returns {boolean} false if an object with these names is of no shape */
function beginShape(names) {
  const node = find(names);
  if (node === null) return false;
  if (node.epoch !== epoch) return defineShape(node, names);
  if (node.number < Tag.SHORT_SHAPES) writeTag(Tag.SHAPE + node.number);
  else {
    writeTag(Tag.WIDE_SHAPE);
    out[at++] = node.number;
  }
  return true;
}

/** @returns {?NameNode} that of the last name; null if there can be no shape of these names */
function find(names) {
  if (names.length > MAX_NAMES) return null;
  let node = root;
  for (const name of names) {
    let next = node.next.get(name);
    if (next === undefined) {
      if (nodeCount >= MAX_NODES || name.length > MAX_NAME_LENGTH || NUMBER.test(name)) return null;
      next = new NameNode();
      node.next.set(name, next);
      nodeCount += 1;
    }
    node = next;
  }
  return node;
}

/** @returns {boolean} false if the message has too many shapes */
function defineShape(node, names) {
  if (shapeCount >= MAX_SHAPES || nameCount + names.length > MAX_SHAPE_NAMES) return false;
  node.epoch = epoch;
  node.number = shapeCount;
  shapeCount += 1;
  nameCount += names.length;
  writeTag(Tag.NEW_SHAPE);
  out[at++] = names.length;
  for (const name of names) {
    if (at > limit) grow();
    out[at++] = name.length;
    message.text += name;
  }
  return true;
}

// ---- messages -----------------------------------------------------------------------------------

/** Whether a text has no half of a surrogate pair. */
const isWellFormed =
  typeof ''.isWellFormed === 'function'
    ? (string) => string.isWellFormed()
    : (string) => !/\p{Surrogate}/u.test(string);

/** A getter of a payload may send another message: both have a state of their own. */
function begin() {
  const outer = { out, at, partStart, message, ancestors, epoch, shapeCount, nameCount };
  if (message !== null) useBuffer(Buffer.allocUnsafeSlow(FIRST_CAPACITY));
  if (message === null && nodeCount >= MAX_NODES) {
    root = new NameNode();
    nodeCount = 0;
  }
  lastEpoch += 1;
  at = 0;
  partStart = 0;
  message = new Message();
  ancestors = [];
  epoch = lastEpoch;
  shapeCount = 0;
  nameCount = 0;
  return outer;
}

function restore(outer) {
  if (outer.message !== null) useBuffer(outer.out);
  else if (out.length > KEPT_CAPACITY) useBuffer(Buffer.allocUnsafeSlow(FIRST_CAPACITY));
  ({ at, partStart, message, ancestors, epoch, shapeCount, nameCount } = outer);
}

/**
 * Makes V8 throw its own error for a circle, which names the properties. V8 does not see a circle
 * through a map or set.
 */
function refuseCircle(value, err) {
  if (!(err instanceof TypeError) || err.message !== 'Converting circular structure to JSON')
    return;
  try {
    JSON.stringify(value);
  } catch (thrown) {
    if (thrown instanceof TypeError && thrown.message.startsWith(err.message)) throw thrown;
  }
}

/**
 * Writes a message.
 *
 * @param {object} envelope
 * @param {function(Message): *} use gets the message: its parts hold until it returns
 * @returns {*} the result of `use`
 * @throws {TypeError} for a circle; {RangeError} for values that are too deep or too long; the
 *   exception of a getter or toJSON() of the payload
 */
function encodeRich(envelope, use) {
  const outer = begin();
  try {
    out[at++] = 0;
    write(envelope, '', Tag.NULL);
    endPart();
    if (!isWellFormed(message.text)) {
      message.text = JSON.stringify(message.text);
      message.parts[0][0] = Flag.QUOTED;
    }
    return use(message);
  } catch (err) {
    refuseCircle(envelope, err);
    throw err;
  } finally {
    restore(outer);
  }
}

module.exports = { encodeRich };
