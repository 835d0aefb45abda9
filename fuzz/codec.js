'use strict';

// `npm run fuzz -- codec <seconds>`: any payload arrives through the codec as through JSON, any
// rich value arrives unchanged, and any bytes are a message within the limits or one of the errors
// of the decoders.
//
//   node fuzz/codec.js [seconds] [seed]

const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const { Received, TooManyShapes } = require('../lib/internal/codec/decoder.js');
const { encode } = require('../lib/internal/codec/encoder.js');
const { ShapeTable } = require('../lib/internal/codec/shape-table.js');
const { HEADER } = require('../lib/internal/codec/format.js');
const { RICH } = require('../lib/internal/codec/rich-format.js');
const {
  Direction,
  anyRichValue,
  anyValue,
  carryRich,
  decodeFrame,
  decodeRichFrame,
  frameOfEncoded,
  isSame,
  randomOf,
  richFrame,
} = require('../__test__/support/codec.js');

/** The interval of progress messages. */
const TELL_MS = 60_000;
/** Payloads of one connection. */
const PER_CONNECTION = 500;
const ERRORS = ['BadMessage', 'TooManyShapes', 'SyntaxError', 'RangeError'];

const counts = { executions: 0, values: 0, errors: 0 };

function report(what, input) {
  const artifact = path.join(__dirname, 'artifacts', 'codec', `${counts.executions}.json`);
  fs.mkdirSync(path.dirname(artifact), { recursive: true });
  fs.writeFileSync(artifact, JSON.stringify({ what, ...input }, null, 2));
  console.error(`codec: ${what} after ${counts.executions} executions: ${artifact}`);
  process.exitCode = 1;
  return false;
}

/** Whether a payload arrives as JSON.parse() makes it, with the same order of properties. */
function carries(direction, seed) {
  const make = () => ({ value: anyValue(randomOf(seed)), seed });
  const expected = JSON.parse(JSON.stringify(make()));
  const actual = direction.carry(make());
  counts.values += 1;
  if (isDeepStrictEqual(actual, expected) && JSON.stringify(actual) === JSON.stringify(expected)) {
    return true;
  }
  return report('a payload differs', { seed, expected, actual });
}

/** Whether a rich value arrives unchanged. */
function carriesRich(seed) {
  const make = () => ({ value: anyRichValue(randomOf(seed)), seed });
  const actual = carryRich(make());
  counts.values += 1;
  return isSame(actual, make()) || report('a rich value differs', { seed });
}

/** Values in a rich value: each has taken a byte. */
function countRich(value) {
  if (typeof value !== 'object' || value === null) return 1;
  let items = Object.values(value);
  if (ArrayBuffer.isView(value)) items = [];
  else if (value instanceof Map) items = [...value].flat();
  else if (value instanceof Set) items = [...value];
  return items.reduce((count, item) => count + countRich(item), 1);
}

/** A frame with rich values, with some bytes changed, or random bytes. */
function makeRichFrame(random) {
  const frame = richFrame(
    random(5) > 0
      ? [anyRichValue(random), { more: anyRichValue(random) }]
      : Buffer.from(Array.from({ length: random(200) }, () => random(256))),
  );
  for (let changes = random(5); changes > 0; changes--) {
    // Kinds of rich values are likelier than by chance.
    frame[HEADER + random(frame.length - HEADER)] = random(3) ? random(256) : RICH + random(31);
  }
  return frame;
}

/** Whether bytes become a rich value within the limits, which can be sent again, or an error. */
function survivesRich(random) {
  const frame = makeRichFrame(random);
  const artifact = { frame: frame.toString('base64') };
  let decoded;
  try {
    decoded = decodeRichFrame(Buffer.from(frame));
  } catch (err) {
    counts.errors += 1;
    if (ERRORS.includes(err.constructor.name)) return true;
    return report(`the decoder of rich values throws ${err.stack}`, artifact);
  }
  counts.values += 1;
  if (countRich(decoded) <= frame.length && isSame(carryRich([decoded]), [decoded])) {
    return true;
  }
  return report('a rich value is beyond the limits', artifact);
}

/** Values in a decoded payload: each has taken a byte, or a character of JSON. */
function countValues(value) {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((count, item) => count + countValues(item), 1);
}

function hasInfinity(value) {
  if (typeof value !== 'object' || value === null) return Math.abs(value) === Infinity;
  return Object.values(value).some(hasInfinity);
}

/** A frame that an end of the package has made, with some bytes changed, or random bytes. */
function makeFrame(random) {
  if (random(5) > 0 && encode(new ShapeTable(), 'Object', [anyValue(random), anyValue(random)])) {
    const frame = frameOfEncoded();
    for (let changes = random(5); changes > 0; changes--) {
      frame[HEADER + random(frame.length - HEADER)] = random(256);
    }
    return frame;
  }
  const frame = Buffer.alloc(HEADER + random(200), 0xff);
  for (let at = HEADER; at < frame.length; at++) frame[at] = random(256);
  frame[1] = 1;
  const text = random(frame.length - HEADER + 1);
  frame.writeUInt32LE(text, 2);
  frame.writeUInt32LE(frame.length - HEADER - text, 6);
  return frame;
}

/** Whether bytes become a message within the limits, or an error of the decoder. */
function survives(received, random) {
  const frame = makeFrame(random);
  let decoded;
  try {
    decoded = decodeFrame(received, Buffer.from(frame));
  } catch (err) {
    counts.errors += 1;
    if (err instanceof TooManyShapes) Object.assign(received, new Received());
    if (ERRORS.includes(err.constructor.name)) return true;
    return report(`the decoder throws ${err.stack}`, { frame: frame.toString('base64') });
  }
  counts.values += 1;
  const { data, type } = decoded;
  // JSON of a number with a large exponent is infinite.
  if (hasInfinity(data)) return true;
  const isJson = isDeepStrictEqual(JSON.parse(JSON.stringify({ data })), { data });
  if (typeof type === 'string' && countValues(data) <= frame.length && isJson) return true;
  return report('a message is beyond the limits', { frame: frame.toString('base64') });
}

function main([time = '60', start = String(Date.now())]) {
  if (time === 'seeds') return console.log('codec: makes its inputs itself, without seeds');
  const seed = Number(start) >>> 0;
  const random = randomOf(seed);
  const end = Date.now() + Number(time) * 1000;
  const tell = (more) =>
    console.log(
      `codec: ${counts.executions} executions, ${counts.values} values, ${counts.errors} errors${more}`,
    );
  let told = Date.now();
  while (Date.now() < end) {
    if (Date.now() - told >= TELL_MS) {
      told = Date.now();
      tell('');
    }
    const direction = new Direction();
    const received = new Received();
    for (let i = 0; i < PER_CONNECTION; i++) {
      counts.executions += 1;
      if (!carries(direction, random(2 ** 31)) || !survives(received, random)) return;
      if (!carriesRich(random(2 ** 31)) || !survivesRich(random)) return;
    }
  }
  tell(`, no difference (seed ${seed})`);
}

main(process.argv.slice(2));
