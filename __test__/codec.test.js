'use strict';

// lib/internal/codec carries a payload so that the other end gets the result of
// JSON.parse(JSON.stringify()).

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const vm = require('node:vm');

const { COMPILED_AFTER } = require('../lib/internal/codec/compiling.js');
const { BadMessage, Received, TooManyShapes } = require('../lib/internal/codec/decoder.js');
const { encode } = require('../lib/internal/codec/encoder.js');
const { ShapeTable } = require('../lib/internal/codec/shape-table.js');
const { HEADER, MAX_SHAPES } = require('../lib/internal/codec/format.js');
const {
  Direction,
  anyValue,
  decodeFrame,
  frameOfEncoded,
  randomOf,
  shapedFrame,
  countCompilations,
} = require('./support/codec.js');

const LONG = 'abcdefghijklmnopqrstuvwxyz'.repeat(40);

class Point {
  constructor(x) {
    this.x = x;
    this.at = new Date(0);
  }

  get hidden() {
    return 'on the prototype';
  }
}

/** An array with holes. */
function holey() {
  const list = [0, 1, 2, null, [], {}];
  delete list[0];
  delete list[2];
  return list;
}

let counted = 0;
const looks = [];
const symbol = Symbol('a symbol');

/** Payloads that are made again for each side. */
const VALUES = {
  'an instance of a class': () => new Point(1),
  'instances of a class in a list': () => [new Point(1), new Point(2)],
  'values that JSON leaves out': () => ({
    a: undefined,
    b: () => 1,
    c: symbol,
    [symbol]: 1,
    d: [undefined, () => 1, symbol],
    e: 1,
  }),
  numbers: () => ({
    n: [0, -0, 1e21, 1e-7, 0.1, NaN, Infinity, -Infinity, 2 ** 53, 1 << 31, -129],
  }),
  'an order of keys': () => ({ z: 1, 10: 1, 2: 2, a: 3 }),
  'a key that looks like a prototype': () => JSON.parse('{"__proto__":{"a":1},"b":2}'),
  'a prototype with properties': () =>
    Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } }),
  'keys to escape': () => ({ 'a"b': 1, '\n': 2, '': 3, '\ud800': 2, 'a\u2028b': 1, '`$`': 1 }),
  'boxed values': () => ({ s: Object('"text"'), n: Object(5), b: Object(false), l: [Object('x')] }),
  'a boxed value with properties': () => ({ n: Object.assign(Object(5), { a: 1 }) }),
  'no prototype': () => Object.assign(Object.create(null), { body: 'x', a: [1] }),
  'toJSON() with a key': () => ({
    a: { toJSON: (key) => `was ${key}` },
    list: [{ toJSON: (key) => ({ key, long: LONG }) }, [{ toJSON: (key) => typeof key }]],
    f: Object.assign(() => 1, { toJSON: (key) => `function ${key}` }),
    gone: { toJSON: () => undefined },
    same: 1,
  }),
  'toJSON() of the payload': () => ({ a: 1, toJSON: (key) => ({ key }) }),
  'a toJSON() that gives a Date': () => ({
    a: { toJSON: () => Object.assign(new Date(0), { x: 1 }) },
  }),
  'a toJSON() that is no function': () => ({ a: { toJSON: 1, b: 2 } }),
  Dates: () => ({ at: new Date(86_400_000), never: new Date(NaN), list: [new Date(0)] }),
  'maps, sets, buffers, regular expressions, errors': () => ({
    list: [new Map([[1, 2]]), new Set([1]), /x/, new Error('e'), Buffer.from('abc')],
    typed: new Uint8Array([1, 2]),
    floats: new Float64Array([0.5]),
  }),
  'arrays with holes and properties': () => Object.assign(holey(), { x: 1 }),
  'a long sparse array': () => ({ list: Object.assign([], { 5000: 1 }) }),
  'nothing at all': () => ({ empty: {}, list: [], o: { a: undefined } }),
  'an empty object': () => ({}),
  'half surrogate pairs': () => ({
    a: '\ud83d',
    b: '\ude00',
    c: ['\ud800', 'x\udfff'],
    d: '\ufffd',
  }),
  'text of two bytes a character': () => ({
    a: 'łódź',
    b: '\u{1f600}'.repeat(40),
    c: 'é'.repeat(40),
  }),
  'long strings': () => ({ a: LONG, b: LONG.repeat(30), c: 'x'.repeat(31), d: 'x'.repeat(32) }),
  'strings with escapes': () => ({ a: '"\\\n\0\x1f\x7f\u2028', b: [`${LONG}"`] }),
  'a getter that counts': () => ({
    list: Array.from({ length: 20 }, () => ({
      get n() {
        counted += 1;
        return counted;
      },
      m: 1,
    })),
  }),
  'getters in order': () => ({
    get b() {
      looks.push('b');
      return {
        get c() {
          looks.push('c');
          return 1;
        },
      };
    },
    get a() {
      looks.push('a');
      return 2;
    },
  }),
  'a getter that deletes what follows': () => ({
    get a() {
      delete this.b;
      return 1;
    },
    b: 2,
    c: 3,
  }),
  'a getter that adds a property': () => ({
    get a() {
      this.z = 26;
      return 1;
    },
    b: 2,
  }),
  'rows of one shape': () => ({
    rows: Array.from({ length: 300 }, (_, i) => ({
      i,
      name: `row ${i}`,
      ok: i % 2 === 0,
      t: ['a'],
    })),
  }),
  'rows of changing shapes': () =>
    Array.from({ length: 300 }, (_, i) => ({ i, [`key${i % 7}`]: i, ...(i % 3 && { more: [i] }) })),
  'rows whose properties come and go': () =>
    Array.from({ length: 50 }, (_, i) => ({
      i,
      a: i % 3 ? i : undefined,
      b: i % 2 ? i : undefined,
    })),
  'an object with 100 properties': () =>
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, i])),
  'many numbers': () => Array.from({ length: 100_000 }, (_, i) => (i % 3 ? i / 3 : i)),
  'shared objects': () => {
    const one = { a: [1] };
    return { x: one, y: one, list: [one, one] };
  },
  'deep structures': () => {
    let value = { body: 'x' };
    for (let i = 0; i < 200; i++) value = i % 2 ? { value, i } : [value, i];
    return value;
  },
  'a proxy': () => ({ a: new Proxy({ body: 'x', a: 1 }, {}), b: new Proxy([1, 2], {}) }),
  'a proxy as the payload': () => new Proxy({ body: 'x', a: [1] }, {}),
  'objects of another realm': () =>
    vm.runInNewContext('({ a: 1, list: [{ b: 2 }], at: new Date(0), n: Object(5) })'),
  'an array as the payload': () => [{ a: 1 }, [2], 'x'],
  'a string as the payload': () => LONG,
  'a number as the payload': () => 1.5,
  'false as the payload': () => false,
};

/** Records how JSON.stringify() behaves with a payload, and the payload at the other end. */
function behaviour(run) {
  counted = 0;
  looks.length = 0;
  let result;
  try {
    result = { value: run() };
  } catch (err) {
    result = { name: err.name, message: err.message };
  }
  return { ...result, counted, looks: [...looks] };
}

/** A payload passes often enough for its shapes to be learnt and compiled. */
function assertCarried(make, times = 40) {
  const direction = new Direction();
  const expected = behaviour(() => JSON.parse(JSON.stringify(make())));
  const keysOf = (value) => JSON.stringify(value);
  for (let i = 0; i < times; i++) {
    const actual = behaviour(() => direction.carry(make()));
    assert.deepEqual(actual, expected);
    assert.equal(keysOf(actual.value), keysOf(expected.value), 'the order of properties');
  }
  return direction;
}

describe('a payload through the codec', () => {
  for (const [name, make] of Object.entries(VALUES)) {
    const times = name === 'many numbers' ? 3 : 40;
    it(`arrives as through JSON: ${name}`, () => {
      assertCarried(make, times);
      assertCarried(() => ({ inner: make(), list: [make()] }), times);
    });
  }

  it('arrives as through JSON for any value', () => {
    const seed = Number(process.env.CODEC_SEED ?? Date.now() % 1e9);
    const random = randomOf(seed);
    const direction = new Direction();
    for (let i = 0; i < 5000; i++) {
      const from = random(2 ** 31);
      const make = () => ({ value: anyValue(randomOf(from)), i });
      const message = `CODEC_SEED=${seed}, value ${i}`;
      const expected = JSON.parse(JSON.stringify(make()));
      const actual = direction.carry(make());
      assert.deepEqual(actual, expected, message);
      assert.equal(JSON.stringify(actual), JSON.stringify(expected), message);
    }
    assert.ok(direction.refused < 100, 'most messages are binary');
  });

  it('accepts raw JSON, if V8 has it', { skip: !JSON.rawJSON }, () => {
    assertCarried(() => ({ n: JSON.rawJSON('1e1000'), list: [JSON.rawJSON('"x"')] }));
  });

  it('calls the toJSON() of BigInts, if a program gave them one', (t) => {
    t.after(() => delete BigInt.prototype.toJSON);
    BigInt.prototype.toJSON = function toJSON(key) {
      return `${key}: ${this}`;
    };
    assertCarried(() => ({ n: 1n, list: [2n, { m: 3n }] }));
  });

  it('calls the toJSON() of all objects, if a program gave them one', (t) => {
    t.after(() => delete Object.prototype.toJSON);
    const make = () => ({ a: { b: 1 }, list: [{ c: 2 }] });
    const direction = assertCarried(make);
    Object.defineProperty(Object.prototype, 'toJSON', {
      configurable: true,
      value(key) {
        return key === 'b' ? this : `${key} of an object`;
      },
    });
    const value = make();
    const expected = JSON.parse(JSON.stringify(value));
    assert.deepEqual(direction.carry(value), expected);
  });

  it('ignores properties that a program gave to all objects', (t) => {
    t.after(() => delete Object.prototype.inherited);
    const make = () => ({ a: { b: 1 }, list: [{ c: 2 }] });
    const direction = assertCarried(make);
    Object.prototype.inherited = 1;
    assert.equal(JSON.stringify(direction.carry(make())), JSON.stringify(make()));
  });

  it('is refused for circles and BigInts with the errors of JSON.stringify()', () => {
    const circle = () => {
      const root = { name: 'root', children: [] };
      for (let i = 0; i < 10; i++) root.children.push({ parent: root, children: [{ up: root }] });
      return root;
    };
    assertCarried(circle);
    assertCarried(() => ({ known: 1, circle: circle() }));
    assertCarried(() => ({ n: 1n }));
    assertCarried(() => [[{ n: [1n] }]]);
  });

  it('passes errors of getters and toJSON() on', () => {
    const thrown = new Error('thrown by a getter');
    const bad = () => ({
      a: { b: 1 },
      get bad() {
        throw thrown;
      },
    });
    const direction = new Direction();
    for (let i = 0; i < 5; i++) {
      assert.throws(() => direction.carry(bad()), thrown);
      // The shapes of the broken message are defined again.
      assert.deepEqual(direction.carry({ a: { b: 1 }, c: i }), { a: { b: 1 }, c: i });
    }
  });

  it('behaves as JSON at any depth', () => {
    for (const depth of [31, 32, 33, 1000, 100_000]) {
      const make = () => {
        let value = 1;
        for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { value };
        return { value };
      };
      const outcome = (run) => {
        try {
          return run() === undefined ? 'nothing' : 'carried';
        } catch (err) {
          return err.name;
        }
      };
      const direction = new Direction();
      const expected = outcome(() => JSON.stringify(make()));
      for (let i = 0; i < 3; i++)
        assert.equal(
          outcome(() => direction.carry(make())),
          expected,
        );
    }
  });

  it('may send another payload from a getter', () => {
    const direction = new Direction();
    const make = () => ({
      a: 1,
      get b() {
        return direction.carry({ a: 2, b: 'inner' });
      },
    });
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(direction.carry(make()), { a: 1, b: { a: 2, b: 'inner' } });
    }
  });

  it('defines the shapes of its objects once for each direction', () => {
    const shapes = new ShapeTable();
    const make = (i) => ({ identification: i, description: 'x' });
    for (let i = 0; i < 3; i++) encode(shapes, 'Object', make(i));
    assert.equal(encode(shapes, 'Object', make(5)), true);
    assert.ok(!frameOfEncoded().includes('identification'));
    assert.equal(encode(new ShapeTable(), 'Object', make(5)), true);
    assert.ok(frameOfEncoded().includes('identification'));
  });

  it('is binary if the objects have up to 64 shapes in turn', () => {
    const direction = new Direction();
    const make = (i) => ({ [`turn ${i % 64}`]: i, of: 64 });
    for (let i = 0; i < 20_000; i++) direction.carry(make(i), 'InTurn');
    const before = direction.refused;
    for (let i = 0; i < 640; i++) assert.deepEqual(direction.carry(make(i), 'InTurn'), make(i));
    assert.equal(direction.refused, before);
  });

  for (const [where, place] of [
    ['', (value) => value],
    [' in the payload', (value) => ({ wrapped: value })],
  ]) {
    it(`is JSON while objects${where} have hundreds of shapes in turn, and binary again later`, () => {
      const direction = new Direction();
      const random = randomOf(7);
      const any = (i) => ({ [`one of ${random(300)}${where}`]: i, many: 1 });
      const one = (i) => ({ again: i, [`the same ${where}`]: 'x' });
      /**
       * Counts the messages, of a given number, that carry a result of `make` in bytes and not as
       * JSON.
       */
      const binary = (make, count) => {
        let found = 0;
        for (let i = 0; i < count; i++) {
          const value = place(make(i));
          const isEncoded = direction.carryFrame(value, `Many${where}`);
          if (isEncoded !== null && !isEncoded.includes('"many"') && !isEncoded.includes('"again"'))
            found += 1;
        }
        return found;
      };
      const many = [binary(any, 20_000), binary(any, 20_000)];
      assert.ok(many[0] < 100 && many[1] < 100, `${many} objects of any shape`);
      const again = [binary(one, 14_000), binary(one, 1000)];
      assert.ok(again[0] > 0, 'an object of the same shape');
      assert.equal(again[1], 1000);
    });
  }

  it('is carried in a process that must not compile strings', () => {
    const script = `
      const assert = require('node:assert');
      assert.throws(() => new Function('return 1'), EvalError);
      const { Direction, anyValue, randomOf } = require('./support/codec.js');
      const direction = new Direction();
      for (let i = 0; i < 2000; i++) {
        const make = () => ({ value: anyValue(randomOf(i + 1)), i });
        assert.deepStrictEqual(direction.carry(make()), JSON.parse(JSON.stringify(make())));
      }
      assert.ok(direction.refused < 100);`;
    execFileSync(process.execPath, ['--disallow-code-generation-from-strings', '-e', script], {
      cwd: __dirname,
      stdio: 'inherit',
    });
  });
});

describe('bytes of a hostile peer', () => {
  /** A binary frame with a text and data. */
  function frame(text, data) {
    const bytes = Buffer.from(text);
    const header = Buffer.alloc(HEADER);
    header[0] = 0xff;
    header[1] = 1;
    header.writeUInt32LE(bytes.length, 2);
    header.writeUInt32LE(data.length, 6);
    return Buffer.concat([header, bytes, Buffer.from(data)]);
  }

  /** A message of type Object whose value is an object of a new shape. */
  const shaped = (names, values) =>
    frame(names.join(''), [
      0,
      0,
      0xbb,
      names.length,
      ...names.map((name) => name.length),
      ...values,
    ]);

  it('never make more than one value of a byte', () => {
    // An array of 2^32 - 1 elements, and objects that stand for names that are defined elsewhere.
    assert.throws(() => decodeFrame(new Received(), frame('', [0, 0, 0xb8, 255, 255, 255, 255])));
    const received = new Received();
    decodeFrame(received, shaped(['a', 'b', 'c'], [1, 2, 3]));
    assert.throws(() => decodeFrame(received, frame('', [0, 0, 0xc0])));
    assert.throws(() => decodeFrame(received, frame('', [0, 0, 0xa2, 0xc0, 0xc0, 1, 2, 3])));
  });

  it('never use a character twice, or leave one unused', () => {
    assert.throws(() => decodeFrame(new Received(), frame('abc', [0, 0, 0xa2, 0x82, 0x82])));
    assert.throws(() => decodeFrame(new Received(), frame('abc', [0, 0, 0x82])));
    assert.equal(decodeFrame(new Received(), frame('abc', [0, 0, 0x83])).data, 'abc');
  });

  it('never nest values deeper than this package does', () => {
    assert.throws(() =>
      decodeFrame(new Received(), frame('', [0, 0, ...Array(5000).fill(0xa1), 1])),
    );
  });

  it('define names as properties, whatever they are', () => {
    const names = ['__proto__', 'constructor', 'a', 'toString', '-1', 'x"];process.exit(1);//'];
    const received = new Received();
    decodeFrame(received, shaped(names, [0xba, 1, 2, 3, 4, 5]));
    for (let i = 0; i < 40; i++) {
      const { data } = decodeFrame(received, frame('', [0, 0, 0xc0, 0xba, 1, 2, 3, 4, 5]));
      assert.equal(Object.getPrototypeOf(data), Object.prototype);
      assert.deepEqual(Object.keys(data), names);
    }
  });

  it('define no names that are numbers, with which an object takes 12 KB', () => {
    for (const name of ['1', '1000', '0'.repeat(20)]) {
      assert.throws(() => decodeFrame(new Received(), shaped([name, 'b'], [1, 0xb3])), BadMessage);
    }
  });

  it('define names whose properties of Object.prototype are read-only or have a setter', (t) => {
    t.after(() => {
      delete Object.prototype.readOnly;
      delete Object.prototype.withSetter;
    });
    Object.defineProperty(Object.prototype, 'readOnly', { value: 0, configurable: true });
    Object.defineProperty(Object.prototype, 'withSetter', { set() {}, configurable: true });
    const received = new Received();
    const { data } = decodeFrame(received, shaped(['readOnly', 'withSetter'], [1, 2]));
    assert.deepEqual(Object.entries(data), [
      ['readOnly', 1],
      ['withSetter', 2],
    ]);
  });

  it('have repeated names as JSON.parse() does', () => {
    const received = new Received();
    assert.deepEqual(decodeFrame(received, shaped(['a', 'b', 'a'], [1, 2, 3])).data, {
      a: 3,
      b: 2,
    });
    for (let i = 0; i < 40; i++) {
      const { data } = decodeFrame(received, frame('', [0, 0, 0xc0, 1, 2, 3]));
      assert.deepEqual(data, { a: 3, b: 2 });
    }
  });

  it('define a limited number of shapes', () => {
    const received = new Received();
    const define = (i) => decodeFrame(received, shaped([`n${i}`], [1]));
    for (let i = 0; i < MAX_SHAPES; i++) define(i);
    assert.throws(() => define(MAX_SHAPES), TooManyShapes);
    const names = Array.from({ length: 64 }, (_, i) => `name${i}`);
    const wide = new Received();
    assert.throws(() => {
      for (let i = 0; i < 100; i++)
        decodeFrame(
          wide,
          shaped(
            [...names.slice(1), `z${i}`],
            names.map(() => 1),
          ),
        );
    }, TooManyShapes);
  });

  it('have a function compiled after as many objects over many connections as over one', (t) => {
    const compilations = countCompilations(t);
    const names = ['over many connections'];
    const read = (received, isFirst) =>
      decodeFrame(received, shapedFrame(isFirst ? names : null, 1, 0)).data;
    const connections = Array.from({ length: COMPILED_AFTER }, () => new Received());
    for (const received of connections) read(received, true);
    assert.equal(compilations.count, 0);
    for (const received of connections) read(received, false);
    assert.equal(compilations.count, 1);
    for (const received of connections) {
      assert.deepEqual(read(received, false), [{ 'over many connections': 1 }]);
    }
    assert.equal(compilations.count, 1);
  });

  it('do not fill the memory with names', () => {
    const program = `
      const { Received } = require('./lib/internal/codec/decoder.js');
      const { decodeFrame, shapedFrame } = require('./__test__/support/codec.js');
      const define = (i) => {
        const name = 'n' + i + '-'.repeat(50);
        decodeFrame(new Received(), shapedFrame(Array(60).fill(name), 2, 0));
      };
      const heap = () => {
        gc();
        return process.memoryUsage().heapUsed;
      };
      for (let i = 0; i < 2000; i++) define(i);
      const before = heap();
      for (let i = 2000; i < 10_000; i++) define(i);
      console.log(heap() - before < 4e6);`;
    const cwd = path.dirname(__dirname);
    const options = { cwd, encoding: 'utf8' };
    const said = execFileSync(process.execPath, ['--expose-gc', '-e', program], options);
    assert.equal(said, 'true\n');
  });

  it('have functions compiled in proportion to the objects that loops have read', () => {
    const program = `
      let compiled = 0;
      globalThis.Function = new Proxy(Function, {
        construct(target, args) {
          compiled += 1;
          return new target(...args);
        },
      });
      const { Received } = require('../lib/internal/codec/decoder.js');
      const {
        COMPILED_AFTER,
        MAX_CREDIT,
        OBJECTS_PER_FUNCTION,
      } = require('../lib/internal/codec/compiling.js');
      const { decodeFrame, shapedFrame } = require('./support/codec.js');
      compiled = 0;
      const OBJECTS = COMPILED_AFTER + 1;
      let received = new Received();
      let objects = 0;
      function hostile(i, isNew) {
        if (isNew) received = new Received();
        const { shapes } = received;
        decodeFrame(received, shapedFrame(['n' + i], OBJECTS, shapes.length));
        objects += OBJECTS;
      }
      // One connection that starts again repeatedly, and then one connection for each shape.
      for (let i = 0; i < 2000; i++) hostile(i, i % 200 === 0);
      for (let i = 2000; i < 4000; i++) hostile(i, true);
      const byHostile = compiled;
      const good = new Received();
      let own = 0;
      while (compiled === byHostile && own < 100 * OBJECTS_PER_FUNCTION) {
        decodeFrame(good, shapedFrame(own === 0 ? ['good'] : null, OBJECTS, 0));
        own += OBJECTS;
      }
      const allowed = MAX_CREDIT + objects / OBJECTS_PER_FUNCTION;
      console.log(JSON.stringify({ byHostile, allowed, own, OBJECTS_PER_FUNCTION }));`;
    const options = { cwd: __dirname, encoding: 'utf8' };
    const said = JSON.parse(execFileSync(process.execPath, ['-e', program], options));
    assert.ok(said.byHostile > 100 && said.byHostile <= said.allowed, JSON.stringify(said));
    assert.ok(said.own <= 2 * said.OBJECTS_PER_FUNCTION, JSON.stringify(said));
  });

  it('are not kept in memory when a large message of them is read, good or bad', () => {
    const program = `
      const { Received, decode } = require('./lib/internal/codec/decoder.js');
      const text = 'x'.repeat(1e6);
      function refAfter(tag) {
        const head = Buffer.from([0xff, 1, 0, 0, 0, 0, 7, 0, 0, 0]);
        head.writeUInt32LE(text.length, 2);
        const data = Buffer.from([0, 2, tag, 0, 0, 0, 0]);
        data.writeUInt32LE(text.length, 3);
        const frame = Buffer.concat([head, Buffer.from(text), data]);
        try {
          decode(new Received(), text, 0, text.length, frame, 0, frame.length);
        } catch {}
        return new WeakRef(frame);
      }
      const good = refAfter(0xb7);
      setImmediate(() => {
        gc();
        const bad = refAfter(0xbf);
        setImmediate(() => {
          gc();
          console.log(good.deref() === undefined, bad.deref() === undefined);
        });
      });`;
    const cwd = path.dirname(__dirname);
    const options = { cwd, encoding: 'utf8' };
    const said = execFileSync(process.execPath, ['--expose-gc', '-e', program], options);
    assert.equal(said, 'true true\n');
  });

  it('are values or an error, whatever they are', () => {
    const random = randomOf(Number(process.env.CODEC_SEED ?? Date.now() % 1e9));
    let values = 0;
    const received = new Received();
    for (let i = 0; i < 20_000; i++) {
      const direction = new ShapeTable();
      let bytes;
      if (encode(direction, 'Object', { value: anyValue(random), i: random(300) })) {
        bytes = frameOfEncoded();
      } else
        bytes = frame(
          'some text',
          Array.from({ length: 20 }, () => random(256)),
        );
      for (let k = random(4); k > 0; k--) {
        const at = HEADER + random(bytes.length - HEADER);
        bytes[at] = random(256);
      }
      try {
        decodeFrame(received, bytes);
        values += 1;
      } catch (err) {
        if (err instanceof TooManyShapes) received.shapes.length = received.nameCount = 0;
        else assert.match(err.constructor.name, /^(BadMessage|SyntaxError|RangeError)$/);
      }
    }
    assert.ok(values > 100);
  });
});
