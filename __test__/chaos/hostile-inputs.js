'use strict';

/*
 * The inputs of a hostile peer: names, and the bytes of complete frames.
 *
 * Every kind of message comes with every field missing, of every wrong type, inherited, huge,
 * deeply nested and repeated. Other inputs are no messages at all.
 */

const DEEP = 1_000_000;

const INHERITED = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
];

/**
 * The sizes of large values. Without heavy inputs, a long string is longer than a read of a socket,
 * and an object is so wide that V8 keeps it as a table.
 */
const SIZES = {
  heavy: { characters: 300_000, keys: 5000 },
  light: { characters: 100_000, keys: 1500 },
};

/** JSON texts of values a field may have: name -> text. */
const valuesOf = ({ characters, keys }) => ({
  null: 'null',
  true: 'true',
  false: 'false',
  zero: '0',
  negative: '-1',
  'beyond a double': '1e999',
  'a long number': '1'.repeat(400),
  'an empty string': '""',
  'a string': '"text"',
  'half a surrogate pair': '"\\ud800"',
  'a NUL': '"\\u0000"',
  'an empty array': '[]',
  'an array of null': '[null]',
  'an empty object': '{}',
  'an object without a prototype, as it says': '{"__proto__":null}',
  'a constructor of its own': '{"constructor":{"name":{}}}',
  'null for a constructor': '{"constructor":null}',
  'toJSON, toString and valueOf': '{"toJSON":1,"toString":2,"valueOf":3}',
  'what a promise has': '{"then":{"then":1}}',
  'a message': '{"type":"SockhopPing","data":{}}',
  'a long string': JSON.stringify('x'.repeat(characters)),
  'a wide object': `{${Array.from({ length: keys }, (_, n) => `"k${n}":null`).join()}}`,
  'a deep array': `${'['.repeat(5000)}${']'.repeat(5000)}`,
  'a deep object': `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  ...Object.fromEntries(INHERITED.map((key) => [`"${key}"`, JSON.stringify(key)])),
});

const UUID = '6f1a2b3c-4d5e-4f60-8a7b-9c0d1e2f3a4b';

/** Correct messages: name -> {fields, and the path to those that are changed}. */
const MESSAGES = {
  'a message': { type: 'Widget', data: { a: 1 } },
  'a question': { type: 'Widget', data: { a: 1 }, id: UUID },
  'an answer': { type: 'Widget', data: { a: 1 }, callback_id: UUID },
  'a ping': {
    type: 'SockhopPing',
    data: { _id: UUID, _created: '2024-01-01T00:00:00.000Z', _returned: null, _finished: null },
  },
  'a pong': {
    type: 'SockhopPong',
    data: { _id: UUID, _created: '2024-01-01T00:00:00.000Z', _returned: null, _finished: null },
  },
  'a request': { type: 'SockhopRequest', data: { uuid: UUID, type: 'String', data: 'Q' } },
  'a response': {
    type: 'SockhopResponsePacket',
    data: { uuid: UUID, type: 'String', data: 'A', last: true },
  },
  'a handshake': {
    type: 'SockhopHandshake',
    data: { protocol_version: 2, library_version: '2.1.0', request_binary_mode: true },
    id: UUID,
  },
};

/** An object as text, with some fields as texts of their own, left out (undefined) or twice. */
function text(object, field, value, twice = false) {
  const parts = [];
  for (const [key, own] of Object.entries(object)) {
    if (key !== field) parts.push(`${JSON.stringify(key)}:${JSON.stringify(own)}`);
    else {
      if (twice) parts.push(`${JSON.stringify(key)}:${JSON.stringify(own)}`);
      if (value !== undefined) parts.push(`${JSON.stringify(key)}:${value}`);
    }
  }
  return `{${parts.join()}}`;
}

function* spoiled(name, message, values) {
  const inner = typeof message.data === 'object' && message.type.startsWith('Sockhop');
  const places = [
    ...Object.keys(message).map((field) => [field, (...how) => text(message, field, ...how)]),
    ...(inner
      ? Object.keys(message.data).map((field) => [
          `data.${field}`,
          (...how) => text(message, 'data', text(message.data, field, ...how)),
        ])
      : []),
  ];
  yield [name, JSON.stringify(message)];
  yield [`${name}, a hundred times`, Array(100).fill(JSON.stringify(message)).join('\n')];
  for (const [field, make] of places) {
    yield [`${name} without ${field}`, make(undefined)];
    for (const [what, value] of Object.entries(values)) {
      yield [`${name}, ${field}: ${what}`, make(value)];
    }
    yield [`${name}, ${field} twice`, make('null', true)];
  }
  for (const key of INHERITED) {
    const spelled = JSON.stringify(key);
    yield [`${name} with ${key}`, `${JSON.stringify(message).slice(0, -1)},${spelled}:null}`];
    yield [`${name} in ${key}`, `{${spelled}:${JSON.stringify(message)}}`];
  }
  yield [`${name} in an array`, `[${JSON.stringify(message)}]`];
  yield [`${name} as a string`, JSON.stringify(JSON.stringify(message))];
  yield [`${name}, cut short`, JSON.stringify(message).slice(0, -2)];
  yield [`${name}, with more behind`, `${JSON.stringify(message)}{}`];
}

/** The inputs that were made before, by the options. */
const made = new Map();

/**
 * @param {object} [opts]
 * @param {string} [opts.terminator]
 * @param {boolean} [opts.heavy=true] also inputs with a million elements
 * @returns {Map<string, Buffer>} name -> bytes, the terminator of the last frame included
 */
function hostileInputs({ terminator = '\n', heavy = true } = {}) {
  const key = `${heavy} ${terminator}`;
  if (!made.has(key)) made.set(key, makeInputs(terminator, heavy));
  return made.get(key);
}

function makeInputs(terminator, heavy) {
  const inputs = new Map();
  const add = (name, body) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
    inputs.set(name, Buffer.concat([bytes, Buffer.from(terminator)]));
  };
  const values = valuesOf(heavy ? SIZES.heavy : SIZES.light);
  for (const [name, message] of Object.entries(MESSAGES)) {
    for (const [what, line] of spoiled(name, message, values)) add(what, line);
  }
  for (const [what, value] of Object.entries(values)) add(`bare: ${what}`, value);

  add('broken UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x80]));
  add('broken UTF-8 in a string', Buffer.from([0x22, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0x22]));
  add(
    'broken UTF-8 in a ping',
    Buffer.concat([
      Buffer.from('{"type":"SockhopPing","data":{"_id":"'),
      Buffer.from([0xc3, 0x28, 0xf8, 0x88]),
      Buffer.from('"}}'),
    ]),
  );
  add('a byte order mark', '\ufeff{"type":"A","data":1}');
  add('HTTP', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  add('TLS', Buffer.from('16030100c8010000c40303', 'hex'));
  if (!heavy) return inputs;

  const deep = (open, close) => open.repeat(DEEP) + close.repeat(DEEP);
  add(`${DEEP} brackets`, deep('[', ']'));
  add(`${DEEP} brackets, never closed`, '['.repeat(DEEP));
  add(`${DEEP} braces`, `${'{"a":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`);
  add(`${DEEP} brackets as data`, `{"type":"A","data":${deep('[', ']')}}`);
  add(`${DEEP} brackets as id`, `{"type":"A","data":1,"id":${deep('[', ']')}}`);
  add(`${DEEP} brackets as callback_id`, `{"type":"A","data":1,"callback_id":${deep('[', ']')}}`);
  add(`${DEEP} brackets as type`, `{"type":${deep('[', ']')},"data":1}`);
  add(`${DEEP} brackets in a ping`, `{"type":"SockhopPing","data":{"_id":${deep('[', ']')}}}`);
  add(`${DEEP} brackets in a pong`, `{"type":"SockhopPong","data":{"_id":${deep('[', ']')}}}`);
  for (const [type, more] of [
    ['SockhopRequest', ''],
    ['SockhopResponsePacket', ',"last":true'],
  ]) {
    for (const field of ['uuid', 'type', 'data']) {
      const data = { uuid: `"${UUID}"`, type: '"A"', data: '1', [field]: deep('[', ']') };
      const fields = Object.entries(data).map(([key, value]) => `"${key}":${value}`);
      add(
        `${DEEP} brackets as ${field} of ${type}`,
        `{"type":"${type}","data":{${fields}${more}}}`,
      );
    }
  }

  add('a million of 0xff', Buffer.alloc(DEEP, 0xff));
  add('a million of NUL', Buffer.alloc(DEEP));
  add('a million terminators', Buffer.from(terminator.repeat(DEEP)));
  add('a hundred thousand nulls', `null${terminator}`.repeat(100_000));
  add(
    'a hundred thousand pings',
    `${JSON.stringify(MESSAGES['a ping'])}${terminator}`.repeat(100_000),
  );
  return inputs;
}

module.exports = { hostileInputs };
