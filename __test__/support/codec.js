'use strict';

const { Received, decode, decodeRich } = require('../../lib/internal/codec/decoder.js');
const { encode, encoded } = require('../../lib/internal/codec/encoder.js');
const { ShapeTable } = require('../../lib/internal/codec/shape-table.js');
const { bytesOfFrames } = require('../../lib/internal/codec/frames.js');
const { HEADER, MESSAGE } = require('../../lib/internal/codec/format.js');
const { encodeRich } = require('../../lib/internal/codec/rich-encoder.js');
const { RICH_MESSAGE } = require('../../lib/internal/codec/rich-format.js');
const { OF_CLIENT, OF_SERVER } = require('../../lib/internal/codec/negotiation.js');

/** @returns {{count: number}} how many functions the codec compiles until the end of the test */
function countCompilations(t) {
  const compilations = { count: 0 };
  const original = globalThis.Function;
  t.after(() => {
    globalThis.Function = original;
  });
  globalThis.Function = new Proxy(original, {
    construct(target, args) {
      compilations.count += 1;
      return new target(...args);
    },
  });
  return compilations;
}

/** The bytes of the message that was encoded last. */
function frameOfEncoded() {
  const { text, from, to, buffer } = encoded;
  return bytesOfFrames(text, [text.length, from, to], buffer, MESSAGE);
}

/** Decodes the bytes of a frame, as the native side hands them over. */
function decodeFrame(received, frame) {
  const end = HEADER + frame.readUInt32LE(2);
  const text = frame.toString('utf8', HEADER, end);
  return decode(received, text, 0, text.length, frame, 0, frame.length);
}

/**
 * A message of a hostile peer: an array of objects of one shape, whose values are all 1.
 *
 * @param {?string[]} names of the shape; null if it is defined already
 * @param {number} count of the objects
 * @param {number} shape its number
 */
function shapedFrame(names, count, shape) {
  const values = names ?? ['the only one'];
  const reference = shape < 64 ? [0xc0 + shape] : [0xbc, shape];
  const data = [0, 1, 0xb8, count & 0xff, count >> 8, 0, 0];
  for (let i = 0; i < count; i++) {
    const isFirst = i === 0 && names !== null;
    const tag = isFirst ? [0xbb, names.length, ...names.map(({ length }) => length)] : reference;
    data.push(...tag, ...values.map(() => 1));
  }
  const text = Buffer.from(names === null ? '' : names.join(''));
  const header = Buffer.from([0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(text.length, 2);
  header.writeUInt32LE(data.length, 6);
  return Buffer.concat([header, text, Buffer.from(data)]);
}

/** One direction of a connection. */
class Direction {
  #shapes = new ShapeTable();
  #received = new Received();
  /** How many messages the encoder has refused, so that JSON carries them. */
  refused = 0;

  /**
   * Carries a payload.
   *
   * @returns {?Buffer} its frame; null if the encoder has refused it
   */
  carryFrame(value, type) {
    if (!encode(this.#shapes, type, value)) return null;
    const frame = frameOfEncoded();
    decodeFrame(this.#received, frame);
    return frame;
  }

  /** @returns {*} the payload at the other end */
  carry(value, type = 'Object') {
    if (!encode(this.#shapes, type, value)) {
      this.refused += 1;
      return JSON.parse(JSON.stringify(value));
    }
    return decodeFrame(this.#received, frameOfEncoded()).data;
  }
}

/** A generator of numbers that repeats for a seed. */
function randomOf(seed) {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

const NAMES = ['id', 'name', 'a b', '__proto__', '10', '2', 'é', '"', 'toString', 'x'.repeat(70)];
const STRINGS = ['', 'a', 'plain text', 'é\u{1f600}', '\ud800', '\udc00', '"\\\n', 'y'.repeat(300)];
const NUMBERS = [0, -0, 1, 127, 128, -1, -32768, 32767, 65536, 2 ** 31, -(2 ** 31), 2 ** 53, 0.1];
const OTHERS = [
  () => undefined,
  () => () => 1,
  () => Symbol('s'),
  () => NaN,
  () => -Infinity,
  () => new Date(86_400_000),
  () => new Date(NaN),
  () => new Map([[1, 2]]),
  () => new Set([1]),
  () => new Uint8Array([1, 2]),
  () => Buffer.from('ab'),
  () => Object('text'),
  () => Object(5),
  () => Object(false),
  () => /x/g,
  () => new Error('e'),
  () => Object.create(null),
  () => new Proxy({ a: 1, b: [2] }, {}),
  () => new Proxy([1, 2], {}),
  () => ({ toJSON: (key) => `key ${key}` }),
  () => ({ toJSON: () => undefined }),
  () => ({ toJSON: () => ({ made: true }) }),
  () => Object.assign(() => 1, { toJSON: (key) => [key] }),
  () => Object.assign([], { 1: 1, 3: 2 }),
  () => ({
    get got() {
      return 'from a getter';
    },
  }),
];

/** A payload of any form. */
function anyValue(random, depth = 0) {
  const kind = random(depth > 4 ? 5 : 9);
  if (kind === 0) return NUMBERS[random(NUMBERS.length)];
  if (kind === 1) return random(2) ? random(1000) - 500 : random(1e9) / 7;
  if (kind === 2) return STRINGS[random(STRINGS.length)];
  if (kind === 3) return [true, false, null][random(3)];
  if (kind === 4) return OTHERS[random(OTHERS.length)]();
  if (kind < 7) return Array.from({ length: random(6) }, () => anyValue(random, depth + 1));
  const object = {};
  for (let i = random(5); i > 0; i--) {
    const value = anyValue(random, depth + 1);
    const name = random(3) ? NAMES[random(2)] : NAMES[random(NAMES.length)];
    Object.defineProperty(object, name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return object;
}

/** The bytes of a message with rich values. */
function richFrame(value) {
  return encodeRich(value, ({ text, parts, length }) => {
    const data = Buffer.concat(parts, length);
    return bytesOfFrames(text, [text.length, 0, length], data, RICH_MESSAGE);
  });
}

function decodeRichFrame(frame) {
  const end = HEADER + frame.readUInt32LE(2);
  const text = frame.toString('utf8', HEADER, end);
  return decodeRich(text, 0, text.length, frame, 0, frame.length);
}

/** @returns {*} a value at the other end */
const carryRich = (value) => decodeRichFrame(richFrame(value));

/** The contents of a value in order, including names and keys. */
function contentOf(value) {
  if (Array.isArray(value)) return value;
  if (value instanceof Set) return [...value];
  return (value instanceof Map ? [...value] : Object.entries(value)).flat(1);
}

const bytesOf = (value) =>
  ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value);

/**
 * Whether two values are the same, with the order of properties and entries. To Node 20 two invalid
 * dates differ.
 */
function isSame(a, b) {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) {
    return Object.is(a, b);
  }
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer) return bytesOf(a).equals(bytesOf(b));
  if (a.length !== b.length) return false;
  const theirs = contentOf(b);
  const own = contentOf(a);
  return own.length === theirs.length && own.every((item, i) => isSame(item, theirs[i]));
}

const RICH_VALUES = [
  () => undefined,
  () => NaN,
  () => Infinity,
  () => -Infinity,
  () => -0,
  () => new Date(86_400_000),
  () => new Date(NaN),
  () => 5n,
  () => -(2n ** 70n),
  () => Buffer.from('some bytes'),
  () => new Float64Array([1, NaN]),
  () => new Int16Array([-1, 2, 3]),
  () => new BigInt64Array([-5n]),
  () => new Uint8Array(4).buffer,
  () => new DataView(new ArrayBuffer(5)),
];

/** A value that arrives as it is. */
function anyRichValue(random, depth = 0) {
  const kind = random(depth > 4 ? 5 : 10);
  const next = () => anyRichValue(random, depth + 1);
  if (kind === 0) return NUMBERS[random(NUMBERS.length)];
  if (kind === 1) return random(2) ? random(1000) - 500 : random(1e9) / 7;
  if (kind === 2) return STRINGS[random(STRINGS.length)];
  if (kind === 3) return [true, false, null][random(3)];
  if (kind === 4) return RICH_VALUES[random(RICH_VALUES.length)]();
  if (kind < 7) return Array.from({ length: random(6) }, next);
  if (kind === 7) return new Map(Array.from({ length: random(4) }, () => [next(), next()]));
  if (kind === 8) return new Set(Array.from({ length: random(4) }, next));
  const object = {};
  for (let i = random(5); i > 0; i--) {
    const name = random(3) ? NAMES[random(2)] : NAMES[random(NAMES.length)];
    Object.defineProperty(object, name, {
      value: next(),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return object;
}

/** The text of frames without the blanks that offer the codec. */
const withoutOffer = (text) => text.replaceAll(OF_CLIENT, '').replaceAll(OF_SERVER, '');

module.exports = {
  Direction,
  anyRichValue,
  anyValue,
  carryRich,
  countCompilations,
  decodeFrame,
  decodeRichFrame,
  frameOfEncoded,
  isSame,
  randomOf,
  richFrame,
  shapedFrame,
  withoutOffer,
};
