'use strict';

/*
 * The bytes of the codec, which two ends of this package speak: "The codec" in API.md describes
 * them. Each value begins with a tag. The strings of a message are in one text, in the order of
 * their tags; everything else is in the bytes.
 */

/** The first byte of a value. */
const Tag = Object.freeze({
  /** 0x00 to 0x7f: an integer from 0 to 127. 0x80 to 0x9f: a string of 0 to 31 characters. */
  STRING: 0x80,
  SHORT_STRINGS: 32,
  /** 0xa0 to 0xaf: an array of 0 to 15 elements. */
  ARRAY: 0xa0,
  SHORT_ARRAYS: 16,
  NULL: 0xb0,
  TRUE: 0xb1,
  FALSE: 0xb2,
  /** A property that JSON leaves out. */
  ABSENT: 0xb3,
  INT16: 0xb4,
  INT32: 0xb5,
  DOUBLE: 0xb6,
  /** These have a length of four bytes. */
  LONG_STRING: 0xb7,
  LONG_ARRAY: 0xb8,
  /** A part of the text that is JSON, with a length of four bytes. */
  JSON: 0xb9,
  /** An object without properties. */
  EMPTY: 0xba,
  /** An object of a new shape: the number of its names, the length of each, then the values. */
  NEW_SHAPE: 0xbb,
  /** An object of a shape with a number of two bytes. */
  WIDE_SHAPE: 0xbc,
  /** 0xc0 to 0xff: an object of one of the first 64 shapes. */
  SHAPE: 0xc0,
  SHORT_SHAPES: 64,
});

/** The first byte of a message. */
const Flag = Object.freeze({
  /** An answer is expected: the count of its id follows in three bytes. */
  QUESTION: 1,
  /** The count of the id of the question follows. */
  ANSWER: 2,
  /** The beginning of ids has changed: it is at the beginning of the text. */
  PREFIX: 4,
  /** The sender has forgotten all shapes, and the beginning of ids. */
  RESET: 8,
  /** The text is JSON of the text, because it has half a surrogate pair. */
  QUOTED: 16,
  /** Instead of the count of an id, its length follows in one byte, and it is in the text. */
  TEXT_ID: 32,
});

/** Types of messages that are sent as one byte. Any other is 255, its length, and its text. */
const TYPES = Object.freeze([
  'Object',
  'Array',
  'String',
  'Number',
  'Boolean',
  'SockhopRequest',
  'SockhopResponsePacket',
]);
const OTHER_TYPE = 255;

/** The kind of a binary frame with a message. */
const MESSAGE = 1;
/** The first byte of a binary frame. No text in UTF-8 contains it. */
const MARK = 0xff;
/** The bytes of a binary frame before its text. The third to sixth are the length of the text. */
const HEADER = 10;
/** The characters of an id before the last digits of its count. */
const PREFIX_LENGTH = 33;
/** The shapes of one direction of a connection, and their names altogether. */
const MAX_SHAPES = 256;
const MAX_SHAPE_NAMES = 4096;
/** The names of one shape, and the characters of a name. */
const MAX_NAMES = 64;
const MAX_NAME_LENGTH = 64;
/** Deeper values are JSON. */
const MAX_DEPTH = 32;
/**
 * Names that no shape has: V8 sorts them before other names. An object with one of them may take a
 * thousand times as much memory as the name and its value.
 */
const NUMBER = /^\d+$/;

module.exports = {
  Flag,
  HEADER,
  MARK,
  MESSAGE,
  PREFIX_LENGTH,
  MAX_SHAPE_NAMES,
  MAX_DEPTH,
  MAX_NAME_LENGTH,
  MAX_NAMES,
  MAX_SHAPES,
  NUMBER,
  OTHER_TYPE,
  TYPES,
  Tag,
};
