'use strict';

// lib/internal/codec carries rich values unchanged, and no bytes of a peer cost much more than
// their length.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const vm = require('node:vm');

const { BadMessage } = require('../lib/internal/codec/decoder.js');
const { encodeRich } = require('../lib/internal/codec/rich-encoder.js');
const { hashOf } = require('../lib/internal/codec/key-guard.js');
const { Kind, MAX_RICH_DEPTH, RICH } = require('../lib/internal/codec/rich-format.js');
const { MixedFramer } = require('../lib/internal/transport/framer.js');
const {
  anyRichValue,
  carryRich,
  decodeRichFrame,
  isSame,
  randomOf,
  richFrame,
} = require('./support/codec.js');

/** Values that arrive unchanged, made again for each side. */
const SAME = {
  undefined: () => ({ a: undefined, list: [undefined, 1] }),
  numbers: () => [
    NaN,
    Infinity,
    -Infinity,
    -0,
    0,
    1,
    -1,
    127,
    128,
    2 ** 31,
    -(2 ** 31),
    1e300,
    0.1,
  ],
  BigInts: () => [
    0n,
    1n,
    -1n,
    255n,
    2n ** 64n - 1n,
    2n ** 64n,
    -(2n ** 64n),
    3n ** 900n,
    -(3n ** 900n),
  ],
  Dates: () => [new Date(0), new Date(-1), new Date(8.64e15), new Date(NaN)],
  Maps: () =>
    new Map([
      ['a', 1],
      [{ key: true }, new Map([[NaN, undefined]])],
      [undefined, null],
    ]),
  Sets: () => new Set([1, 'a', NaN, undefined, new Set([[]])]),
  Buffers: () => [Buffer.alloc(0), Buffer.from('text'), Buffer.alloc(70_000, 7)],
  'typed arrays': () => [
    new Uint8Array([1, 255]),
    new Uint8ClampedArray([3]),
    new Int8Array([-1]),
    new Uint16Array([1, 65535]),
    new Int16Array([-2]),
    new Uint32Array([2 ** 32 - 1]),
    new Int32Array([-5]),
    new Float32Array([0.5, NaN]),
    new Float64Array([-0, Infinity]),
    new BigUint64Array([2n ** 64n - 1n]),
    new BigInt64Array([-1n]),
    new Float64Array(5000).fill(1.5),
    new Uint8Array(0),
  ],
  'ArrayBuffers and DataViews': () => [
    new Uint8Array([1, 2, 3]).buffer,
    new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2),
    new ArrayBuffer(0),
  ],
  'keys that are numbers': () => ({ b: 1, 10: 'ten', 2: new Date(5), a: [1n] }),
  'a key that looks like a prototype': () => JSON.parse('{"__proto__":{"a":1},"b":2}'),
  'long and many names': () => ({
    ['n'.repeat(1000)]: 1,
    ...Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`name ${i}`, i])),
  }),
  'lists of records': () =>
    Array.from({ length: 40 }, (_, i) => ({ i, name: `row ${i}`, at: new Date(i) })),
  'half a surrogate pair': () => ({ 'a\ud800': '\udc00', buffer: Buffer.from('x') }),
  'text outside of ASCII': () => ({
    'ä\u{1f600}': 'é\u{1f600}',
    map: new Map([['ü', 'ß'.repeat(100)]]),
  }),
  'no values': () => [{}, [], '', null, true, false],
};

/** Values that arrive as JSON represents them. */
const AS_JSON = {
  'functions and symbols': () => ({ f: () => 1, s: Symbol('s'), list: [() => 1, Symbol('s')] }),
  'toJSON()': () => ({ a: { toJSON: (key) => `was ${key}` }, list: [{ toJSON: (key) => [key] }] }),
  'boxed values': () => ({ s: Object('text'), n: Object(5), b: Object(false) }),
  'instances of a class': () => [
    new URL('http://a/b'),
    new (class Point {
      x = 1;
    })(),
  ],
  'inherited properties': () =>
    Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } }),
  'regular expressions and errors': () => [/x/g, new Error('e')],
};

describe('a rich message', () => {
  for (const [name, make] of Object.entries(SAME)) {
    it(`carries ${name}`, () => {
      const sent = { value: make() };
      assert.ok(isSame(carryRich(sent), sent));
    });
  }

  for (const [name, make] of Object.entries(AS_JSON)) {
    it(`carries ${name} as JSON does`, () => {
      assert.deepStrictEqual(
        carryRich({ value: make() }),
        JSON.parse(JSON.stringify({ value: make() })),
      );
    });
  }

  it('carries any value', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const sent = { value: anyRichValue(randomOf(seed)) };
      assert.ok(isSame(carryRich(sent), sent), `seed ${seed}`);
    }
  });

  it('carries values of another realm', () => {
    const made = vm.runInNewContext(
      '({ map: new Map([[1, new Date(5)]]), set: new Set([1n]), list: [undefined], bytes: new Uint16Array([7]) })',
    );
    assert.deepStrictEqual(carryRich(made), {
      map: new Map([[1, new Date(5)]]),
      set: new Set([1n]),
      list: [undefined],
      bytes: new Uint16Array([7]),
    });
  });

  it('has the bytes of a buffer at the time of the call', () => {
    const buffer = Buffer.alloc(5000, 1);
    const frame = richFrame({ buffer });
    buffer.fill(2);
    assert.deepEqual(decodeRichFrame(frame).buffer, Buffer.alloc(5000, 1));
  });

  it('gives each array its own memory', () => {
    const { view, bytes } = carryRich({
      view: new Uint8Array(8).subarray(2, 4),
      bytes: new Uint8Array(3),
    });
    assert.equal(view.buffer.byteLength, 2);
    assert.notEqual(view.buffer, bytes.buffer);
  });

  it('does not keep the frame in memory for a small buffer', () => {
    const { small } = carryRich({ small: Buffer.alloc(100), large: Buffer.alloc(200_000) });
    assert.ok(small.buffer.byteLength < 100_000);
  });

  it('reads each property once and in order', () => {
    const looks = [];
    const value = {
      get a() {
        looks.push('a');
        return new Date(1);
      },
      get b() {
        looks.push('b');
        return 2n;
      },
    };
    assert.deepStrictEqual(carryRich([value]), [{ a: new Date(1), b: 2n }]);
    assert.deepEqual(looks, ['a', 'b']);
  });

  it('may be written while another one is', () => {
    let inner;
    const value = {
      before: 'x',
      get got() {
        inner = carryRich({ got: new Set([1]), before: 'y', z: { before: 1, got: 2 } });
        return new Map([[1, 2]]);
      },
      after: [{ before: 'x', got: 3 }],
    };
    assert.deepStrictEqual(carryRich(value), {
      before: 'x',
      got: new Map([[1, 2]]),
      after: [{ before: 'x', got: 3 }],
    });
    assert.deepStrictEqual(inner, { got: new Set([1]), before: 'y', z: { before: 1, got: 2 } });
  });

  it('throws the error of JSON for a circle', () => {
    const circle = { list: [] };
    circle.list.push(circle);
    let message;
    try {
      JSON.stringify({ data: circle });
    } catch (err) {
      message = err.message;
    }
    assert.throws(() => richFrame({ data: circle }), { name: 'TypeError', message });
    const map = new Map();
    map.set('self', { map });
    assert.throws(() => richFrame({ map }), {
      name: 'TypeError',
      message: 'Converting circular structure to JSON',
    });
    // An object that occurs twice is not a circular reference.
    const shared = { a: 1n };
    assert.deepStrictEqual(carryRich([shared, shared]), [{ a: 1n }, { a: 1n }]);
  });

  it('throws for values that are nested too deep, and carries values up to there', () => {
    const nested = (depth) => {
      let value = 1n;
      for (let i = 0; i < depth; i++) value = i % 2 ? new Map([[1, value]]) : [value];
      return value;
    };
    assert.deepStrictEqual(carryRich(nested(MAX_RICH_DEPTH)), nested(MAX_RICH_DEPTH));
    assert.throws(() => richFrame(nested(MAX_RICH_DEPTH + 1)), { code: 'ERR_OUT_OF_RANGE' });
  });

  it('passes on the exception of a getter, and carries the next message', () => {
    const value = {
      get a() {
        throw new Error('mine');
      },
    };
    assert.throws(() => richFrame([1n, value]), { message: 'mine' });
    assert.deepStrictEqual(carryRich([1n]), [1n]);
  });

  it('carries more shapes than a message may define', () => {
    const list = Array.from({ length: 600 }, (_, i) => ({ [`a${i}`]: i, b: 1n }));
    assert.deepStrictEqual(carryRich([...list, ...list]), [...list, ...list]);
  });

  it('is carried without compiled functions, too', () => {
    const program = `
      const { carryRich, anyRichValue, isSame, randomOf } = require(${JSON.stringify(path.join(__dirname, 'support/codec.js'))});
      const assert = require('node:assert/strict');
      for (let seed = 1; seed <= 300; seed++) {
        const sent = { value: anyRichValue(randomOf(seed)), rows: Array(30).fill({ a: 1n, b: new Date(seed) }) };
        assert.ok(isSame(carryRich(sent), sent));
      }
      console.log('carried');`;
    const args = ['--disallow-code-generation-from-strings', '-e', program];
    assert.equal(execFileSync(process.execPath, args, { encoding: 'utf8' }), 'carried\n');
  });
});

// ---- bytes of a peer ----------------------------------------------------------------------------

/** A frame with data after its byte of flags, and a text. */
function frameWith(data, text = '') {
  const textBytes = Buffer.from(text);
  const header = Buffer.alloc(10);
  header[0] = 0xff;
  header[1] = 2;
  header.writeUInt32LE(textBytes.length, 2);
  header.writeUInt32LE(data.length + 1, 6);
  return Buffer.concat([header, textBytes, Buffer.of(0), Buffer.from(data)]);
}

const length = (number) => [number & 255, (number >> 8) & 255, (number >> 16) & 255, number >>> 24];

const BAD = {
  'a map of a million entries in few bytes': [RICH, Kind.MAP, ...length(1e6), 1, 2],
  'a set of four billion values': [RICH, Kind.SET, ...length(0xffffffff), 1],
  'an object of a million properties': [RICH, Kind.OBJECT, ...length(1e6), 0x81, 1],
  'a buffer that is longer than the message': [RICH, Kind.BUFFER, ...length(0x7fffffff), 1],
  'an array that is longer than the message': [RICH, Kind.TYPED_ARRAY, ...length(100), 1],
  'a part of an element': [RICH, Kind.TYPED_ARRAY + 7, ...length(3), 1, 2, 3],
  'a huge BigInt': [RICH, Kind.BIGINT, ...length(0xfffffff0), 1],
  'an unknown kind': [RICH, 99],
  'no kind': [RICH],
  'a date without its time': [RICH, Kind.DATE, 1, 2],
  'a map whose value is left out': [RICH, Kind.MAP, ...length(1), 1, 0xb3],
  'a set whose value is left out': [RICH, Kind.SET, ...length(1), 0xb3],
  'a property whose name is a number': [RICH, Kind.OBJECT, ...length(1), 5, 5],
  'no value': [],
  'a value that is left out': [0xb3],
  'bytes after the value': [1, 2],
};

describe('bytes that no end of the package sends', () => {
  for (const [name, data] of Object.entries(BAD)) {
    it(`are an error: ${name}`, () => {
      assert.throws(() => decodeRichFrame(frameWith(data)), BadMessage);
    });
  }

  it('are an error if values are nested too deep', () => {
    const deep = Array(MAX_RICH_DEPTH + 1)
      .fill([RICH, Kind.SET, ...length(1)])
      .flat();
    assert.throws(() => decodeRichFrame(frameWith([...deep, 1])), /nested too deep/);
  });

  it('are an error if a message has too many shapes', () => {
    const shapes = Array.from({ length: 257 }, () => [0xbb, 1, 0, 1]).flat();
    const list = [0xb8, ...length(257), ...shapes];
    assert.throws(() => decodeRichFrame(frameWith(list)), BadMessage);
  });

  it('make no object of another prototype', () => {
    const data = [RICH, Kind.OBJECT, ...length(1), 0x80 + '__proto__'.length, 0xa1, 1];
    const object = decodeRichFrame(frameWith(data, '__proto__'));
    assert.equal(Object.getPrototypeOf(object), Object.prototype);
    assert.deepEqual(Object.keys(object), ['__proto__']);
  });

  it('are an error if many numbers of a map or set have the same hash', () => {
    const numbers = [];
    for (let i = 0; numbers.length < 2000; i++) if ((hashOf(i) & 1023) === 5) numbers.push(i);
    const halves = [];
    for (let i = 0; halves.length < 2000; i++) {
      if ((hashOf(i + 0.5) & 1023) === 5) halves.push(i + 0.5);
    }
    const bigs = [];
    for (let i = 0n; bigs.length < 2000; i++) if ((hashOf(i) & 1023) === 5) bigs.push(i);
    for (const keys of [numbers, halves, bigs]) {
      assert.throws(() => decodeRichFrame(richFrame(new Set(keys))), BadMessage);
      const map = new Map(keys.map((key) => [key, 1]));
      assert.throws(() => decodeRichFrame(richFrame({ map })), BadMessage);
      assert.equal(carryRich(keys).length, 2000);
    }
  });

  it('are a value if numbers only look alike', () => {
    for (const step of [1, 2, 1000, 4096, 65_536, 0.5, 1 / 3]) {
      const set = new Set(Array.from({ length: 20_000 }, (_, i) => i * step));
      assert.equal(carryRich(set).size, 20_000);
    }
    const bigs = new Set(Array.from({ length: 20_000 }, (_, i) => BigInt(i) << 32n));
    assert.equal(carryRich(bigs).size, 20_000);
  });

  it('are a value of unaligned data', () => {
    const array = new Float64Array([1.5, -2]);
    for (let shift = 0; shift < 8; shift++) {
      assert.deepStrictEqual(carryRich(['x'.repeat(shift), array])[1], array);
    }
  });

  it('are not read as rich values in a frame of the codec', () => {
    const { Received, decode } = require('../lib/internal/codec/decoder.js');
    const frame = frameWith([0, RICH, Kind.UNDEFINED]);
    frame[1] = 1;
    assert.throws(() => decode(new Received(), '', 0, 0, frame, 0, frame.length), BadMessage);
  });

  it('are a value or an error, whatever they are', () => {
    const random = randomOf(4711);
    for (let i = 0; i < 20_000; i++) {
      const frame = richFrame({ value: anyRichValue(random), more: [anyRichValue(random)] });
      for (let changes = 1 + random(4); changes > 0; changes--) {
        frame[10 + random(frame.length - 10)] = random(256);
      }
      try {
        decodeRichFrame(frame);
      } catch (err) {
        const isKnown =
          err instanceof BadMessage || err instanceof RangeError || err instanceof SyntaxError;
        assert.ok(isKnown, err.stack);
      }
    }
  });
});

describe('the frames of a stream', () => {
  const SWITCH = '\t'.repeat(8);

  for (const terminator of ['\n', 'END', 'aab']) {
    it(`are the same however their bytes arrive, with the terminator ${JSON.stringify(terminator)}`, () => {
      const random = randomOf(99);
      const binary = [
        richFrame([1n]),
        richFrame({ a: Buffer.alloc(300, 0xff), b: `${terminator}é` }),
      ];
      const parts = [
        '{"a":1}',
        '',
        `x${terminator.slice(0, -1)}é`,
        SWITCH,
        binary[0],
        binary[1],
        'ping',
        binary[1],
        'E',
      ];
      const bytes = Buffer.concat(
        parts.map((part) => (typeof part === 'string' ? Buffer.from(part + terminator) : part)),
      );
      const expected = parts.filter((part) => part !== SWITCH);
      for (let round = 0; round < 300; round++) {
        const frames = new MixedFramer(terminator, 1000);
        const found = [];
        for (let at = 0; at < bytes.length; ) {
          const size = 1 + random(round % 2 ? 3 : 200);
          const { frames: more, fits } = frames.push(bytes.subarray(at, at + size));
          assert.ok(fits);
          found.push(...more);
          at += size;
        }
        assert.deepEqual(found, expected);
      }
    });
  }

  it('are limited by their headers, and before their ends', () => {
    const long = richFrame(Buffer.alloc(500));
    for (const bytes of [
      Buffer.alloc(200, 'x'),
      Buffer.concat([Buffer.from(`${SWITCH}\n`), long.subarray(0, 10)]),
    ]) {
      const frames = new MixedFramer('\n', 100);
      let fits = true;
      for (const byte of bytes) ({ fits } = fits ? frames.push(Buffer.of(byte)) : { fits });
      assert.equal(fits, false);
    }
  });

  it('are text before binary frames are announced', () => {
    const { frames } = new MixedFramer('\n', 1000).push(Buffer.from([0xff, 2, 0x0a]));
    assert.deepEqual(frames, ['\ufffd\u0002']);
  });
});

it('the encoder leaves no message unfinished', () => {
  assert.equal(
    encodeRich({ a: 1 }, ({ text }) => text),
    'a',
  );
});
