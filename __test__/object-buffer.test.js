'use strict';

// Compares the public class ObjectBuffer with that of the original, for any bytes in any chunks.

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const path = require('node:path');
const { describe, it } = require('node:test');
const { original, underTest } = require('../conformance/under-test.js');

const Original = require(path.join(original(), 'lib', 'ObjectBuffer.js'));
const ObjectBuffer = require(path.join(underTest(), 'lib', 'ObjectBuffer.js'));
const { notOn } = require('./support/runtime.js');

/** A small generator of random numbers, so that a failure can be repeated with its seed. */
function random(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return { below: (n) => next() % n, pick: (list) => list[next() % list.length] };
}

function watched(Class, options) {
  const buffer = new Class(options);
  const errors = [];
  buffer.on('error', (error) => {
    errors.push({ name: error.constructor.name, code: error.code, message: error.message });
  });
  return { buffer, errors };
}

/** The results of a buffer for chunks: the objects of each call, and the errors. */
function feed(Class, options, chunks) {
  const { buffer, errors } = watched(Class, options);
  // Buffers are copied, because buf2obj may keep the one it is given.
  return { objects: chunks.map((chunk) => buffer.buf2obj(Buffer.from(chunk))), errors };
}

function agree(options, chunks, message) {
  assert.deepStrictEqual(
    feed(ObjectBuffer, options, chunks),
    feed(Original, options, chunks),
    message,
  );
}

function everySplit(bytes) {
  return Array.from({ length: bytes.length + 1 }, (_, i) => [
    bytes.subarray(0, i),
    bytes.subarray(i),
  ]);
}

const bytewise = (bytes) => Array.from(bytes, (byte) => Buffer.from([byte]));

const FRAMES = {
  'an object': '{"a":1}',
  'nested values': '{"a":[1,{"b":null}],"c":"text"}',
  'characters of two, three and four bytes': '{"é":"€","\ud83d\ude80":1}',
  'an escaped terminator': '"\\n"',
  'a number': '42',
  'a string': '"str"',
  true: 'true',
  null: 'null',
  'white space around': ' \t{"a":1} \r',
  'an empty frame': '',
  'blanks only': '  ',
  'no JSON': 'hello',
  'a cut object': '{"a":',
  'broken UTF-8 in a string': Buffer.from([0x22, 0xc3, 0x28, 0xff, 0x22]),
  'broken UTF-8 alone': Buffer.from([0xff, 0xfe, 0x80]),
  'a truncated character': Buffer.from([0x22, 0xe2, 0x82, 0x22]),
  'a surrogate in UTF-8': Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
  'a BOM before an object': Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]),
  'a BOM alone': Buffer.from([0xef, 0xbb, 0xbf]),
  'a BOM in a string': Buffer.from([0x22, 0xef, 0xbb, 0xbf, 0x22]),
  'a NUL byte': Buffer.from([0x00]),
  'an escaped lone surrogate': '"\\ud800"',
  'keys of Object.prototype': '{"__proto__":{"x":1},"constructor":2,"toString":3}',
  'a number too large to be exact': '123456789012345678901234567890',
  'a long frame': JSON.stringify({ text: 'ä'.repeat(5000) }),
};

const TERMINATORS = ['\n', '\r\n', '\0', 'END', '}\n', 'aab', ['\n', '\0'], undefined];
const receiving = (terminator) =>
  Array.isArray(terminator) ? terminator[0] : (terminator ?? '\n');

describe('ObjectBuffer', () => {
  it('is an EventEmitter with its own class name', () => {
    const buffer = new ObjectBuffer();
    assert.ok(buffer instanceof EventEmitter);
    assert.ok(buffer instanceof ObjectBuffer);
    assert.equal(buffer.constructor.name, 'ObjectBuffer');
  });

  it('can be extended', () => {
    class Mine extends ObjectBuffer {
      constructor() {
        super({ terminator: ';' });
        this.mine = true;
      }
    }
    const buffer = new Mine();
    assert.deepEqual(buffer.buf2obj(Buffer.from('1;2;')), [1, 2]);
    assert.ok(buffer.mine && buffer instanceof ObjectBuffer);
  });
});

describe('ObjectBuffer.buf2obj(): the same objects as the original', () => {
  for (const [label, frame] of Object.entries(FRAMES)) {
    it(`${label}, split at every byte`, () => {
      const bytes = Buffer.concat([Buffer.from(frame), Buffer.from('\n{"next":1}\n')]);
      for (const allow_non_objects of [false, true]) {
        const options = { allow_non_objects };
        agree(options, [bytes], 'whole');
        agree(options, bytewise(bytes), 'byte by byte');
        const splits =
          bytes.length > 200 ? everySplit(bytes).filter((_, i) => i % 97 === 0) : everySplit(bytes);
        for (const [i, chunks] of splits.entries()) agree(options, chunks, `split ${i}`);
      }
    });
  }

  for (const terminator of TERMINATORS) {
    it(`terminator ${JSON.stringify(terminator) ?? 'undefined'}`, () => {
      const rx = receiving(terminator);
      for (const text of [
        `{"a":1}${rx}[2]${rx}`,
        `${rx}${rx}{"a":1}${rx}`,
        `{"a":1}${rx}{"unfinished"`,
      ]) {
        const bytes = Buffer.from(text);
        agree({ terminator }, [bytes]);
        agree({ terminator }, bytewise(bytes));
        for (const chunks of everySplit(bytes)) agree({ terminator }, chunks);
      }
    });
  }

  for (const allow_non_objects of [false, true]) {
    it(`2000 random streams in random chunks, allow_non_objects ${allow_non_objects}`, () => {
      const frames = Object.values(FRAMES).filter((frame) => frame.length < 1000);
      for (let seed = 1; seed <= 2000; seed++) {
        const { below, pick } = random(seed);
        const terminator = pick(TERMINATORS);
        const rx = Buffer.from(receiving(terminator));
        const parts = [];
        for (let n = below(12); n >= 0; n--) {
          parts.push(Buffer.from(pick(frames)), rx);
          if (below(4) === 0) parts.push(rx);
          // A part of a terminator, or random bytes.
          if (below(6) === 0) parts.push(rx.subarray(0, below(rx.length)));
          if (below(8) === 0)
            parts.push(Buffer.from(Array.from({ length: below(6) }, () => below(256))));
        }
        if (below(2)) parts.pop();
        const bytes = Buffer.concat(parts);
        const chunks = [];
        for (let at = 0; at < bytes.length; ) {
          const size = 1 + below(pick([1, 3, 40, 4000]));
          chunks.push(bytes.subarray(at, at + size));
          at += size;
        }
        agree({ terminator, allow_non_objects }, chunks, `seed ${seed}`);
      }
    });
  }

  it('empty buffers, before, between and after', () => {
    const empty = Buffer.alloc(0);
    agree({}, [empty, Buffer.from('{"a"'), empty, Buffer.from(':1}\n'), empty]);
    agree({}, [empty]);
  });

  it('views into a larger buffer', () => {
    const pool = Buffer.from('junk{"a":1}\n{"b":2}\njunk');
    assert.deepEqual(new ObjectBuffer().buf2obj(pool.subarray(4, -4)), [{ a: 1 }, { b: 2 }]);
  });

  it('a buffer that the caller keeps using does not change the kept bytes', () => {
    const buffer = new ObjectBuffer();
    const chunk = Buffer.from('{"a":');
    assert.deepEqual(buffer.buf2obj(chunk), []);
    chunk.fill(0x20);
    assert.deepEqual(buffer.buf2obj(Buffer.from('1}\n')), [{ a: 1 }]);
  });

  it('a hundred thousand bare terminators', () => {
    const bytes = Buffer.alloc(100_000, '\n');
    const { objects, errors } = feed(ObjectBuffer, {}, [bytes]);
    assert.deepEqual(objects, [[]]);
    assert.equal(errors.length, 100_000);
  });
});

describe('ObjectBuffer.buf2obj(): errors', () => {
  it('a bad frame is an error event, and its neighbours are returned', () => {
    const { objects, errors } = feed(ObjectBuffer, {}, [Buffer.from('{"a":1}\nbad\n{"b":2}\n')]);
    assert.deepEqual(objects, [[{ a: 1 }, { b: 2 }]]);
    assert.deepEqual(errors, [
      {
        name: 'SockhopError',
        code: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
        message: 'Skipping corrupted data in buffer',
      },
    ]);
  });

  it('without a listener the error is thrown, as by any EventEmitter', () => {
    assert.throws(() => new ObjectBuffer().buf2obj(Buffer.from('bad\n')), {
      code: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
    });
  });

  it('a value that is not a buffer causes an error event with its own code', () => {
    for (const value of ['text\n', 5, {}, null, undefined, [1]]) {
      const { buffer, errors } = watched(ObjectBuffer);
      try {
        buffer.buf2obj(value);
      } catch {
        // The original continues after the event and throws for most of these; both results are
        // accepted.
      }
      assert.equal(errors[0].name, 'SockhopError');
      assert.equal(errors[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER');
    }
  });

  it('text is an error event, and is read nevertheless', () => {
    for (const text of ['{"a":1}\n', '"é"\n']) {
      const results = [ObjectBuffer, Original].map((Class) => {
        const { buffer, errors } = watched(Class);
        return { objects: buffer.buf2obj(text), errors: errors.map(({ code }) => code) };
      });
      assert.deepStrictEqual(results[0], results[1]);
    }
  });

  it('measures terminators in bytes: é and \u2028 split nothing but frames', () => {
    for (const terminator of ['é', '\u2028', '\ud83d\ude80', 'aé']) {
      const bytes = Buffer.from([1, 2, 3].map((n) => `{"n":${n}}${terminator}`).join(''));
      for (const chunks of [[bytes], bytewise(bytes), ...everySplit(bytes)]) {
        const { objects, errors } = feed(ObjectBuffer, { terminator }, chunks);
        assert.deepEqual(objects.flat(), [{ n: 1 }, { n: 2 }, { n: 3 }]);
        assert.deepEqual(errors, []);
      }
    }
  });

  it('refuses an empty terminator, to receive or to transmit', () => {
    for (const terminator of ['', ['', '\n'], ['\n', '']]) {
      assert.throws(() => new ObjectBuffer({ terminator }), {
        name: 'TypeError',
        message: /terminator/,
      });
    }
  });
});

describe('ObjectBuffer.buf2obj(buffer, { return_buffers: true }) ⇒ [{ value, buffer }, ...]', () => {
  it('gives every value with the bytes it was read from, without the terminator', () => {
    const { buffer, errors } = watched(ObjectBuffer);
    const texts = ['{"a":1}', 'bad', ' [2] ', '"é"'];
    const found = buffer.buf2obj(Buffer.from(texts.join('\n')), { return_buffers: true });
    found.push(...buffer.buf2obj(Buffer.from('\n'), { return_buffers: true }));
    assert.deepEqual(
      found.map(({ value }) => value),
      [{ a: 1 }, [2], 'é'],
    );
    assert.ok(found.every((entry) => Buffer.isBuffer(entry.buffer)));
    assert.deepEqual(
      found.map((entry) => entry.buffer.toString()),
      ['{"a":1}', ' [2] ', '"é"'],
    );
    assert.equal(errors.length, 1);
  });

  it('gives the text of frames that are no JSON with allow_non_objects', () => {
    const buffer = new ObjectBuffer({ allow_non_objects: true });
    const [found] = buffer.buf2obj(Buffer.from('plain\n'), { return_buffers: true });
    assert.equal(found.value, 'plain');
    assert.equal(found.buffer.toString(), 'plain');
  });

  it('gives plain values without it', () => {
    const buffer = new ObjectBuffer();
    assert.deepEqual(buffer.buf2obj(Buffer.from('1\n'), {}), [1]);
    assert.deepEqual(buffer.buf2obj(Buffer.from('2\n'), { return_buffers: false }), [2]);
  });
});

describe('ObjectBuffer.obj2buf(): the same bytes as the original', () => {
  class Widget {
    a = 1;
  }
  const VALUES = {
    'an object': { a: [1, 'é\ud83d\ude80', null] },
    'an array': [1, 2],
    null: null,
    'a class of the program': new Widget(),
    'a date': new Date(0),
    'a buffer': Buffer.from('hi'),
    'a lone surrogate': { s: '\ud800' },
    'a toJSON': { toJSON: () => ({ other: true }) },
  };
  for (const [label, value] of Object.entries(VALUES)) {
    it(label, () => {
      for (const terminator of TERMINATORS) {
        for (const allow_non_objects of [false, true]) {
          const options = { terminator, allow_non_objects };
          const bytes = new ObjectBuffer(options).obj2buf(value);
          assert.ok(Buffer.isBuffer(bytes));
          assert.deepEqual(bytes, new Original(options).obj2buf(value));
        }
      }
    });
  }

  it('non objects with allow_non_objects', () => {
    const options = { allow_non_objects: true };
    for (const value of ['text', 5, true, '']) {
      assert.deepEqual(
        new ObjectBuffer(options).obj2buf(value),
        new Original(options).obj2buf(value),
      );
    }
  });

  it('non objects without it are an error event and no buffer', () => {
    for (const value of ['text', 5, true, undefined, 1n]) {
      const mine = watched(ObjectBuffer);
      const theirs = watched(Original);
      assert.equal(mine.buffer.obj2buf(value), undefined);
      assert.equal(theirs.buffer.obj2buf(value), undefined);
      assert.deepEqual(mine.errors, theirs.errors);
      assert.equal(mine.errors[0].code, 'ERR_OBJECTBUFFER_BAD_OBJECT');
    }
  });

  const skip = notOn('bun', 'it has another engine, which says it otherwise');
  it('a value that cannot be serialised throws the error of V8', { skip }, () => {
    const cycle = {};
    cycle.cycle = cycle;
    assert.throws(() => new ObjectBuffer().obj2buf(cycle), {
      name: 'TypeError',
      message: /circular/,
    });
    assert.throws(() => new ObjectBuffer().obj2buf({ n: 1n }), {
      name: 'TypeError',
      message: /BigInt/,
    });
  });

  it('buf2obj reads the output of obj2buf', () => {
    const buffer = new ObjectBuffer({ terminator: 'é' });
    const values = [{ a: 1 }, [2], { text: 'ümläut' }];
    assert.deepEqual(
      buffer.buf2obj(Buffer.concat(values.map((value) => buffer.obj2buf(value)))),
      values,
    );
  });
});

describe('the visible properties of an ObjectBuffer', () => {
  /** Operations on a buffer and their results, for both packages. */
  const agreeOn = (options, program) => {
    const [here, there] = [ObjectBuffer, Original].map((Class) => program(new Class(options)));
    assert.deepStrictEqual(here, there);
  };

  it('are the same fields with the same values', () => {
    for (const options of [undefined, { terminator: ['a', 'b'], allow_non_objects: true }]) {
      agreeOn(options, (buffer) => [
        buffer._buffer,
        buffer._allow_non_objects,
        buffer._rx_terminator,
        buffer._tx_terminator,
      ]);
    }
  });

  it('include the beginning of the next frame, which can be removed or replaced', () => {
    agreeOn({}, (buffer) => {
      const seen = [];
      buffer.buf2obj(Buffer.from('{"a":1}\n{"b"'));
      seen.push(String(buffer._buffer));
      buffer._buffer = null;
      seen.push(buffer._buffer, buffer.buf2obj(Buffer.from('{"c":1}\n')));
      buffer._buffer = Buffer.from('{"d"');
      seen.push(String(buffer._buffer), buffer.buf2obj(Buffer.from(':1')), String(buffer._buffer));
      seen.push(buffer.buf2obj(Buffer.from('}\n')), buffer._buffer);
      return seen;
    });
  });

  it('include terminators and a mode that can be changed', () => {
    agreeOn({}, (buffer) => {
      buffer.buf2obj(Buffer.from('{"a":'));
      buffer._rx_terminator = '#';
      buffer._tx_terminator = '%';
      buffer._allow_non_objects = true;
      return [buffer.buf2obj(Buffer.from('1}#x#')), String(buffer.obj2buf(5))];
    });
  });
});
