'use strict';

/*
 * Reads messages in the bytes of the codec. The bytes come from a peer: each length is checked
 * before it is used, each value takes at least one byte, and each character of the text is used
 * once. So a message makes no more values than it has bytes.
 */

const { idOf } = require('../ids.js');
const { Shape } = require('./decoder-shapes.js');
const {
  Flag,
  HEADER,
  MAX_DEPTH,
  MAX_NAME_LENGTH,
  MAX_NAMES,
  MAX_SHAPE_NAMES,
  MAX_SHAPES,
  MESSAGE,
  NUMBER,
  OTHER_TYPE,
  PREFIX_LENGTH,
  TYPES,
  Tag,
} = require('./format.js');
const { MAX_RICH_DEPTH, RICH, RICH_MESSAGE } = require('./rich-format.js');

/** V8 copies a shorter string out of a text; a longer one would keep the whole text in memory. */
const COPIED_BY_V8 = 13;
/** A string may keep a text in memory that is at most this many times as long. */
const MAX_KEPT = 4;

/** The bytes of larger frames are released once they are read. */
const KEPT_BYTES = 256 * 1024;

const NO_BYTES = Buffer.alloc(0);
const NO_VIEW = new DataView(NO_BYTES.buffer);
/** @type {Buffer} */
let bytes = NO_BYTES;
let view = NO_VIEW;
let at = 0;
let end = 0;
let text = '';
let textAt = 0;
let textEnd = 0;
/** Where the text begins, and its bytes if each character is one byte; otherwise -1. */
let textStart = 0;
let textBytes = -1;
let depth = 0;
let maxDepth = MAX_DEPTH;
/** Whether the message may have rich values. */
let isRich = false;
/** The state of the connection: @type {Received} */
let received = null;

/** Stands for a property that is left out. */
const ABSENT = Symbol('absent');

/** A message that no end of this package sends. */
class BadMessage extends Error {}

/** The peer has defined more shapes than a connection may have. */
class TooManyShapes extends Error {
  isTooManyShapes = true;
}

function refuse(reason) {
  throw new BadMessage(reason);
}

/** The shapes and the beginning of ids that the peer has defined on a connection. */
class Received {
  /** @type {Shape[]} */
  shapes = [];
  nameCount = 0;
  /** The beginning of the ids of its questions. */
  prefix = '';
}

// ---- values -------------------------------------------------------------------------------------

function readString(length) {
  const start = textAt;
  textAt += length;
  if (textAt > textEnd) refuse('The text is too short');
  if (length < COPIED_BY_V8 || length * MAX_KEPT >= text.length) {
    return text.substring(start, textAt);
  }
  if (textBytes < 0) {
    return Buffer.from(text.substring(start, textAt), 'utf16le').toString('utf16le');
  }
  const from = textBytes + start - textStart;
  return bytes.latin1Slice(from, from + length);
}

function readLength() {
  const length = view.getUint32(at, true);
  at += 4;
  return length;
}

/** JSON has neither NaN, infinite numbers nor -0. */
function finite(value) {
  if (value - value !== 0) refuse('A number is not finite');
  return value + 0;
}

function enter() {
  depth += 1;
  if (depth > maxDepth) refuse('The values are nested too deep');
}

function readArray(length) {
  if (length > end - at) refuse('An array is longer than the message');
  enter();
  const array = [];
  for (let i = 0; i < length; i++) {
    const value = read();
    if (value === ABSENT) refuse('An element is absent');
    array.push(value);
  }
  depth -= 1;
  return array;
}

function readShape(number) {
  const shape = received.shapes[number];
  if (shape === undefined) refuse('A shape is not defined');
  enter();
  const object = shape.read();
  depth -= 1;
  return object;
}

/** @returns {*} the next value, or ABSENT */
function read() {
  const tag = bytes[at];
  at += 1;
  if (tag < Tag.STRING) return tag;
  if (tag < Tag.ARRAY) return readString(tag - Tag.STRING);
  if (tag < Tag.NULL) return readArray(tag - Tag.ARRAY);
  if (tag >= Tag.SHAPE) return readShape(tag - Tag.SHAPE);
  switch (tag) {
    case Tag.NULL:
      return null;
    case Tag.TRUE:
      return true;
    case Tag.FALSE:
      return false;
    case Tag.ABSENT:
      return ABSENT;
    case Tag.INT16:
      at += 2;
      return bytes[at - 2] | ((bytes[at - 1] << 24) >> 16);
    case Tag.INT32:
      at += 4;
      return view.getInt32(at - 4, true);
    case Tag.DOUBLE:
      at += 8;
      return finite(view.getFloat64(at - 8, true));
    case Tag.LONG_STRING:
      return readString(readLength());
    case Tag.LONG_ARRAY:
      return readArray(readLength());
    case Tag.JSON:
      return JSON.parse(readString(readLength()));
    case Tag.EMPTY:
      return {};
    case Tag.NEW_SHAPE:
      return readNewShape();
    case Tag.WIDE_SHAPE:
      at += 1;
      return readShape(bytes[at - 1]);
    case RICH:
      return readRich();
    default:
      return refuse('A value has an unknown tag');
  }
}

function readNewShape() {
  const count = bytes[at];
  at += 1;
  if (count === 0 || count > MAX_NAMES) refuse('A shape has too many names');
  const { shapes } = received;
  received.nameCount += count;
  if (shapes.length >= MAX_SHAPES || received.nameCount > MAX_SHAPE_NAMES) {
    throw new TooManyShapes();
  }
  const names = [];
  for (let i = 0; i < count; i++) {
    const length = bytes[at];
    at += 1;
    if (length > MAX_NAME_LENGTH) refuse('A name is too long');
    const name = readString(length);
    if (NUMBER.test(name)) refuse('A name is a number');
    names.push(name);
  }
  shapes.push(new Shape(names, read, ABSENT));
  return readShape(shapes.length - 1);
}

// ---- rich values --------------------------------------------------------------------------------

/** @type {?RichReader} */
let richReader = null;

/** Loaded with the first rich value, because each file delays the start of a program. */
function newRichReader() {
  const { RichReader } = require('./rich-decoder.js');
  return new RichReader({
    absent: ABSENT,
    bytes: () => bytes,
    view: () => view,
    isOwn: () => isOwn,
    length: readLength,
    need(count) {
      if (count > end - at) refuse('A value is longer than the message');
    },
    take(count) {
      if (count > end - at) refuse('A value is longer than the message');
      at += count;
      return at - count;
    },
    enter,
    leave() {
      depth -= 1;
    },
    read: () => read(),
    refuse,
  });
}

function readRich() {
  if (!isRich) refuse('The message must not have rich values');
  richReader ??= newRichReader();
  return richReader.read();
}

// ---- messages -----------------------------------------------------------------------------------

/** Whether `bytes` are those of one frame, so that a value may keep them. */
let isOwn = false;

/** Positions of one binary frame. */
function begin(frameText, start, stop, frameBytes, from, to) {
  if (bytes !== frameBytes) {
    bytes = frameBytes;
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  const length = view.getUint32(from + 2, true);
  text = frameText;
  textAt = start;
  textStart = start;
  textEnd = stop;
  textBytes = length === stop - start ? from + HEADER : -1;
  at = from + HEADER + length;
  end = to;
  isOwn = to - from === frameBytes.length;
  depth = 0;
}

/** Replaces the text by the one that it quotes. */
function unquote() {
  text = JSON.parse(text.substring(textAt, textEnd));
  if (typeof text !== 'string') refuse('The text is not quoted');
  textAt = 0;
  textEnd = text.length;
  textBytes = -1;
}

function readId(flags) {
  if (flags & Flag.TEXT_ID) {
    at += 1;
    return readString(bytes[at - 1]);
  }
  const count = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
  at += 3;
  if (flags & Flag.ANSWER) return count;
  if (flags & Flag.PREFIX) received.prefix = readString(PREFIX_LENGTH);
  return idOf(count, received.prefix);
}

function readType() {
  const number = bytes[at];
  at += 1;
  if (number < TYPES.length) return TYPES[number];
  if (number !== OTHER_TYPE) refuse('The type of the message is unknown');
  const type = read();
  if (typeof type !== 'string') refuse('The type of the message is not a string');
  return type;
}

/** Reads a message whose frame is in place. */
function readMessage(kind) {
  if (kind !== MESSAGE) refuse('The kind of the frame is unknown');
  if (at >= end) refuse('The message is empty');
  const flags = bytes[at];
  at += 1;
  if (flags & Flag.RESET) {
    received.shapes = [];
    received.nameCount = 0;
    received.prefix = '';
  }
  if (flags & Flag.QUOTED) unquote();
  const id = flags & (Flag.QUESTION | Flag.ANSWER) ? readId(flags) : undefined;
  const type = readType();
  const data = read();
  if (at !== end || textAt !== textEnd || data === ABSENT) {
    refuse('The message has another length');
  }
  return flags & Flag.ANSWER
    ? { type, data, id: undefined, answers: id }
    : { type, data, id, answers: undefined };
}

/**
 * Reads a message.
 *
 * @param {Received} state of the connection
 * @param {string} frameText contains the text of the frame
 * @param {number} start of it
 * @param {number} stop its end
 * @param {Buffer} frameBytes contains the frame
 * @param {number} from its begin
 * @param {number} to its end
 * @returns {{type: string, data: *, id: (string|undefined), answers: (string|number|undefined)}}
 *   `id` of a question; `answers`: the id of the question that it answers, or the count of that id
 * @throws {BadMessage|TooManyShapes|SyntaxError}
 */
function decode(state, frameText, start, stop, frameBytes, from, to) {
  try {
    begin(frameText, start, stop, frameBytes, from, to);
    received = state;
    return readMessage(bytes[from + 1]);
  } finally {
    finish();
  }
}

function finish() {
  // A string that is kept in memory must not keep the text of other messages.
  text = '';
  if (bytes.length > KEPT_BYTES) {
    bytes = NO_BYTES;
    view = NO_VIEW;
  }
}

/**
 * Reads a message with rich values, as `decode()` reads others.
 *
 * @returns {*} its envelope: any value
 * @throws {BadMessage|SyntaxError|RangeError}
 */
function decodeRich(frameText, start, stop, frameBytes, from, to) {
  try {
    begin(frameText, start, stop, frameBytes, from, to);
    received = new Received();
    maxDepth = MAX_RICH_DEPTH;
    isRich = true;
    if (bytes[from + 1] !== RICH_MESSAGE) refuse('The kind of the frame is unknown');
    if (at >= end) refuse('The message is empty');
    const flags = bytes[at];
    at += 1;
    if (flags & Flag.QUOTED) unquote();
    const envelope = read();
    if (at !== end || textAt !== textEnd || envelope === ABSENT) {
      refuse('The message has another length');
    }
    return envelope;
  } catch (err) {
    // The limits of a message are those of the message, not of a connection.
    if (err instanceof TooManyShapes) refuse('The message has too many shapes');
    throw err;
  } finally {
    maxDepth = MAX_DEPTH;
    isRich = false;
    finish();
  }
}

module.exports = { BadMessage, Received, TooManyShapes, decode, decodeRich };
