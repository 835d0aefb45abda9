'use strict';

// lib/internal/messaging/json.js builds the text of long strings, which must equal that of
// JSON.stringify().

const assert = require('node:assert');
const { describe, it } = require('node:test');

const { SizeHint, stringify } = require('../lib/internal/messaging/json.js');

/** The text of `make()` as the package makes it for a kind that is known to be long. */
function walked(make) {
  const sizeHint = new SizeHint();
  sizeHint.isLong = true;
  return stringify(make(), sizeHint);
}

const LONG = 'abcdefghijklmnopqrstuvwxyz'.repeat(160);

/** Every character that needs an escape, at every offset within a word that is checked at once. */
const STRINGS = {
  plain: LONG,
  'with a quote': `${LONG}"`,
  'with a quote first': `"${LONG}`,
  'with a backslash': `${LONG}\\${LONG}`,
  'with a line break': `${LONG}\n${LONG}`,
  'with a NUL': `${LONG}\0${LONG}`,
  'with DEL': `${LONG}\x7f`,
  'in Latin-1': `${LONG}\xe9\xff${LONG}`,
  'of two bytes a character': `${LONG}\u0141\u0122\u015c`,
  'whose lower bytes look like a quote': '\u0122\u015c\u010a'.repeat(400),
  'with an emoji': `${LONG}\u{1f600}${LONG}`,
  'with half an emoji': `${LONG}\ud83d${LONG}`,
  'with the other half': `${LONG}\ude00`,
  'with a replacement character': `${LONG}\ufffd`,
  'with line separators': `${LONG}\u2028\u2029`,
  'of 300,000 characters': LONG.repeat(300),
  'of 300,000 characters of two bytes': `${LONG.repeat(300)}\u20ac`,
  'sliced from a longer one': `${LONG}${LONG}`.slice(3, 900),
};

class Message {
  constructor() {
    this.body = LONG;
    this.at = new Date(0);
  }

  get hidden() {
    return 'on the prototype';
  }
}

let counted = 0;
const symbol = Symbol('a symbol');

/** Payloads that are made again for each side. */
const VALUES = {
  'an instance of a class': () => new Message(),
  'values that JSON cannot represent': () => ({
    body: LONG,
    a: undefined,
    b: () => 1,
    c: symbol,
    [symbol]: 1,
    d: [undefined, () => 1, symbol, LONG],
  }),
  numbers: () => ({ body: LONG, n: [0, -0, 1e21, 1e-7, 0.1, NaN, Infinity, -Infinity, 2 ** 53] }),
  'an order of keys': () => ({ z: LONG, 10: 1, 2: 2, a: 3, __proto__: { inherited: 1 } }),
  'a key that looks like a prototype': () => JSON.parse(`{"__proto__":{"a":1},"body":"${LONG}"}`),
  'keys to escape': () => ({ 'a"b': LONG, '\n': LONG, '': 1, '\ud800': 2 }),
  'boxed values': () => ({
    body: LONG,
    s: Object('"text"'),
    n: Object(5),
    b: Object(false),
    list: [Object('x')],
  }),
  'no prototype': () => Object.assign(Object.create(null), { body: LONG, a: [1] }),
  'toJSON() with a key': () => ({
    body: LONG,
    a: { toJSON: (key) => `was ${key}` },
    list: [{ toJSON: (key) => ({ key, long: LONG }) }],
    f: Object.assign(() => 1, { toJSON: (key) => `function ${key}` }),
    gone: { toJSON: () => undefined },
  }),
  'toJSON() that gives a Date': () => ({
    body: LONG,
    a: { toJSON: () => Object.assign(new Date(0), { x: 1 }) },
  }),
  'maps, sets, buffers, regular expressions, errors': () => ({
    body: LONG,
    list: [new Map([[1, 2]]), new Set([1]), /x/, new Error('e'), Buffer.from('abc')],
    typed: new Uint8Array([1, 2]),
  }),
  'arrays with holes and properties': () => {
    const list = [LONG, 1, LONG, null, [], {}];
    delete list[1];
    return Object.assign(list, { x: 1 });
  },
  nothing: () => ({ empty: {}, list: [], body: LONG, o: { a: undefined } }),
  'a getter that counts': () => ({
    body: LONG,
    list: Array.from({ length: 100 }, () => ({
      get n() {
        counted += 1;
        return counted;
      },
    })),
  }),
  'many small values': () => ({ list: Array.from({ length: 3000 }, (_, i) => ({ i, t: `${i}` })) }),
  'long strings, then many small values': () => [
    ...Array.from({ length: 50 }, () => LONG),
    ...Array.from({ length: 3000 }, (_, i) => [i]),
  ],
  'deep structures': () => {
    let value = { body: LONG };
    for (let i = 0; i < 100; i++) value = i % 2 ? { value, i } : [value, LONG];
    return value;
  },
  'a proxy': () => new Proxy({ body: LONG, a: 1 }, {}),
  'a proxy of an array': () => new Proxy([LONG, 1], {}),
  'a payload that is an array of long rows': () => Array.from({ length: 50 }, () => LONG),
};

describe('the text of long payloads', () => {
  for (const [name, value] of Object.entries(STRINGS)) {
    it(`is that of JSON.stringify() for a string ${name}`, () => {
      assert.strictEqual(
        walked(() => ({ body: value })),
        JSON.stringify({ body: value }),
      );
      assert.strictEqual(
        walked(() => value),
        JSON.stringify(value),
      );
    });
  }

  it('is that of JSON.stringify() for every character', () => {
    for (let code = 0; code < 0x3000; code++) {
      const value = `${LONG}${String.fromCharCode(code)}${LONG}`;
      if (walked(() => value) !== JSON.stringify(value)) assert.fail(`U+${code.toString(16)}`);
    }
  });

  it('is that of JSON.stringify() wherever the character stands', () => {
    for (const character of ['"', '\\', '\x1f', '\ud800']) {
      for (let at = 0; at < LONG.length; at++) {
        const value = LONG.slice(0, at) + character + LONG.slice(at);
        if (walked(() => value) !== JSON.stringify(value)) assert.fail(`${character} at ${at}`);
      }
    }
  });

  for (const [name, make] of Object.entries(VALUES)) {
    it(`is that of JSON.stringify() for ${name}`, () => {
      counted = 0;
      const text = walked(make);
      const looks = counted;
      counted = 0;
      assert.strictEqual(text, JSON.stringify(make()));
      assert.strictEqual(looks, counted);
    });
  }

  it('is refused for circles and BigInts with the errors of JSON.stringify()', () => {
    const circle = { body: LONG, list: [] };
    circle.list.push(circle);
    assert.throws(() => walked(() => circle), TypeError);
    assert.throws(() => walked(() => ({ body: LONG, n: 1n })), /BigInt/);
  });

  it('calls the toJSON() of BigInts, if a program gave them one', (t) => {
    t.after(() => delete BigInt.prototype.toJSON);
    BigInt.prototype.toJSON = function toJSON(key) {
      return `${key}: ${this}`;
    };
    const make = () => ({ body: LONG, n: 1n, list: [2n] });
    assert.strictEqual(walked(make), JSON.stringify(make()));
  });

  it('accepts raw JSON, if V8 has it', { skip: !JSON.rawJSON }, () => {
    const make = () => ({ body: LONG, n: JSON.rawJSON('1e1000') });
    assert.strictEqual(walked(make), JSON.stringify(make()));
  });

  it('passes errors of getters and toJSON() on', () => {
    const thrown = new Error('thrown by a getter');
    const value = {
      body: LONG,
      get bad() {
        throw thrown;
      },
    };
    assert.throws(() => walked(() => value), thrown);
  });

  it('is written here for long values of mostly strings, and by V8 otherwise', () => {
    const sizeHint = new SizeHint();
    stringify({ a: 1 }, sizeHint);
    assert.strictEqual(sizeHint.isLong, false);
    stringify({ body: LONG }, sizeHint);
    assert.strictEqual(sizeHint.isLong, true);
    stringify({ body: LONG }, sizeHint);
    assert.strictEqual(sizeHint.skip, 0);
    stringify({ list: Array.from({ length: 3000 }, (_, i) => i) }, sizeHint);
    assert.ok(sizeHint.skip > 0);
  });

  it('is written by V8 for a number of long values after one without long strings', () => {
    const sizeHint = new SizeHint();
    const long = { list: Array.from({ length: 3000 }, (_, i) => i) };
    stringify(long, sizeHint);
    stringify(long, sizeHint);
    for (let left = sizeHint.skip; left > 0; left--) {
      assert.strictEqual(sizeHint.skip, left);
      assert.strictEqual(stringify(long, sizeHint), JSON.stringify(long));
    }
    assert.strictEqual(sizeHint.skip, 0);
    stringify({ a: 1 }, sizeHint);
    stringify({ a: 1 }, sizeHint);
    assert.strictEqual(sizeHint.isLong, false);
  });
});
