'use strict';

const assert = require('node:assert/strict');
const { matrix } = require('./support/matrix.js');
const { expected, typeOf } = require('./support/payload.js');
const { runtime } = require('./support/runtime.js');

/** The values that both sides can send. */
const payloads = {
  'a plain object': { value: { a: 1, nested: { list: [1, null, 'x'], no: false } } },
  'an empty object': { value: {} },
  'an instance of a class': { value: { size: 3 }, as: 'Widget' },
  'a class named like a property every object has': { value: { a: 1 }, as: 'constructor' },
  'a string': { value: 'text with "quotes", \\ and a line\nbreak' },
  'a string beyond ASCII': { value: 'é, ∑, 😀, \u2028, \u0000 and a lone \ud800' },
  'a number': { value: 5.25 },
  'a boolean': { value: true },
  'an array': { value: [1, 'two', { three: 3 }] },
  'a Date': { value: new Date(0) },
  'a Buffer': { value: Buffer.from([0, 104, 105, 255]) },
  'an object with keys of the envelope': { value: { type: 'SockhopPing', id: 'i', data: null } },
};

/** Values that only a client sends: a server takes them for missing data. */
const falsyPayloads = {
  'the number zero': { value: 0 },
  'the empty string': { value: '' },
  'the boolean false': { value: false },
};

const behaviours = {};

for (const [name, spec] of Object.entries({ ...payloads, ...falsyPayloads })) {
  behaviours[`the client sends ${name}`] = async (cell) => {
    const { client, server } = await cell.connect();
    await client.do('send', spec);
    const { object, type, wantsAnswer } = await server.next('receive');
    assert.deepEqual({ object, type }, { object: expected(spec), type: typeOf(spec) });
    assert.equal(wantsAnswer, false);
  };
}

for (const [name, spec] of Object.entries(payloads)) {
  behaviours[`the server sends ${name}`] = async (cell) => {
    const { client, server } = await cell.connect();
    await server.do('send', spec);
    const { object, type, wantsAnswer } = await client.next('receive');
    assert.deepEqual({ object, type }, { object: expected(spec), type: typeOf(spec) });
    assert.equal(wantsAnswer, false);
  };
}

/**
 * The size of a long message. The original takes time that grows with its square, so that only the
 * step "node" sends the whole of it.
 */
const MEBIBYTES = process.env.SOCKHOP_BRIEF ? 4 : 16;
const long = { characters: MEBIBYTES * 2 ** 20 };

behaviours['a long message travels from the client to the server'] = async (cell) => {
  const { client, server } = await cell.connect();
  const sent = client.do('send', long);
  assert.deepEqual((await server.next('receive')).object, expected(long));
  await sent;
};

behaviours['a long message travels from the server to the client'] = async (cell) => {
  const { client, server } = await cell.connect();
  const sent = server.do('send', long);
  assert.deepEqual((await client.next('receive')).object, expected(long));
  await sent;
};

behaviours['sendall reaches every client once'] = async (cell) => {
  const { server, where } = await cell.server();
  const clients = [];
  for (let i = 0; i < 3; i += 1) {
    const client = await cell.client(where);
    await client.do('connect');
    await server.next('connect');
    clients.push(client);
  }
  await server.do('sendall', { value: { news: 1 }, as: 'Bulletin' });
  await server.do('sendall', { value: 'last' });
  for (const client of clients) {
    const [first, second] = await client.take('receive', 2);
    assert.deepEqual([first.object, first.type], [{ news: 1 }, 'Bulletin']);
    assert.deepEqual([second.object, second.type], ['last', 'String']);
    assert.equal(client.count('receive'), 2);
  }
};

behaviours['a client asks and the server answers'] = async (cell) => {
  const { client, server } = await cell.connect();
  await server.do('answerWith', { value: { sum: 3 }, as: 'Sum' });
  const answer = await client.do('ask', { value: { a: 1, b: 2 }, as: 'Question' });
  assert.deepEqual(answer, { data: { sum: 3 }, type: 'Sum' });
  const { object, type, wantsAnswer } = await server.next('receive');
  assert.deepEqual([object, type, wantsAnswer], [{ a: 1, b: 2 }, 'Question', true]);
  assert.equal(client.count('receive'), 0, 'an answer is not a received object');
};

behaviours['the server asks and a client answers'] = async (cell) => {
  const { client, server } = await cell.connect();
  await client.do('answerWith', { value: ['yes', 1] });
  const answer = await server.do('ask', { value: 'ready?' });
  assert.deepEqual(answer, { data: ['yes', 1], type: 'Array' });
  const { object, type, wantsAnswer } = await client.next('receive');
  assert.deepEqual([object, type, wantsAnswer], ['ready?', 'String', true]);
  assert.equal(server.count('receive'), 0, 'an answer is not a received object');
};

behaviours['a thousand messages each way arrive in order'] = async (cell) => {
  const { client, server } = await cell.connect();
  await Promise.all([client.do('burst', 1000), server.do('burst', 1000)]);
  const ordered = Array.from({ length: 1000 }, (_, number) => number);
  for (const side of [client, server]) {
    const received = await side.take('receive', 1000);
    assert.deepEqual(
      received.map(({ object }) => object.number),
      ordered,
    );
  }
};

behaviours['the client leaves: one disconnect on each side'] = async (cell) => {
  const { client, server } = await cell.connect();
  await client.do('disconnect');
  await client.next('disconnect');
  const { connection } = await server.next('disconnect');
  assert.equal(connection, 0);
  assert.deepEqual(await client.do('state'), { connected: false });
  assert.deepEqual(await server.do('state'), { sockets: 0, sessions: 0 });
  assert.deepEqual(client.names(), ['connect', 'disconnect']);
  assert.deepEqual(server.names(), ['connect', 'disconnect']);
};

behaviours['the server ends a connection: one disconnect on each side'] = async (cell) => {
  const { client, server } = await cell.connect();
  await server.do('kill', 0);
  await client.next('disconnect');
  await server.next('disconnect');
  assert.deepEqual(await client.do('state'), { connected: false });
  assert.deepEqual(await server.do('state'), { sockets: 0, sessions: 0 });
  assert.equal(client.count('disconnect'), 1);
};

behaviours['a client connects again after the server closed and listened again'] = async (cell) => {
  const { client, server, where } = await cell.connect();
  await server.do('close');
  await client.next('disconnect');
  const { server: second } = await cell.server({}, where);
  await client.do('connect');
  await second.next('connect');
  await client.do('send', { value: { again: true } });
  assert.deepEqual((await second.next('receive')).object, { again: true });
};

// On Deno the original takes more time for a long message than a test may.
matrix(behaviours, {
  only: (pair, name) =>
    runtime !== 'deno' ||
    !name.startsWith('a long message') ||
    !Object.values(pair).includes('original'),
});
