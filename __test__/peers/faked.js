'use strict';

// Scenes that run while every timer of the process is faked and the fake clock never advances.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { dirname, join } = require('node:path');
const sinon = require('sinon');

/** Everything that sinon can replace, except the functions with which Node's streams end. */
const MOST = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'queueMicrotask',
  'performance',
  'hrtime',
  'Date',
];
const EVERYTHING = [...MOST, 'nextTick'];

/** A scene. `prepare` creates its objects before the clock is faked. */
const scene = (toFake, prepare, play) => async (sockhop, path) => {
  const server = new sockhop.server({ path });
  const client = new sockhop.client({ path });
  await prepare(server, client);
  const clock = sinon.useFakeTimers({ toFake });
  try {
    await play(server, client);
  } finally {
    clock.restore();
  }
  await client.disconnect();
  await server.close();
};

/** All kinds of messages, from a server that listens to a client. */
async function converse(server, client) {
  const accepted = once(server, 'connect');
  await client.connect();
  await accepted;

  const question = once(server, 'receive');
  const answer = new Promise((resolve) => client.send({ question: 1 }, resolve));
  (await question)[1].callback({ answer: 1 });
  assert.deepEqual(await answer, { answer: 1 });

  server.once('request', ({ data }, response) => response.send({ asked: data }));
  const stream = await client.request('this');
  assert.deepEqual((await stream.next()).data, { asked: 'this' });

  const all = once(client, 'receive');
  await server.sendall({ all: 1 });
  assert.deepEqual((await all)[0], { all: 1 });
}

exports.conversation = scene(EVERYTHING, (server) => server.listen(), converse);

/** The package is loaded again, as with `resetModules` of Jest, while the timers are faked. */
exports.loading = async (_sockhop, path) => {
  const { implementations } = require('../support/implementations.js');
  const index = require.resolve(implementations.native);
  const directory = dirname(index);
  for (const file of Object.keys(require.cache)) {
    if (file === index || file.startsWith(join(directory, 'lib'))) delete require.cache[file];
  }
  const clock = sinon.useFakeTimers({ toFake: EVERYTHING });
  try {
    const again = require(index);
    const server = new again.server({ path });
    const client = new again.client({ path });
    await server.listen();
    await converse(server, client);
    await client.disconnect();
    await server.close();
  } finally {
    clock.restore();
  }
};

exports.closing = scene(
  MOST,
  () => {},
  async (server, client) => {
    await server.listen();
    await client.connect();
    const gone = once(server, 'disconnect');
    await client.disconnect();
    await gone;
    await client.connect();
    const lost = once(client, 'disconnect');
    await server.close();
    await lost;
  },
);

exports.flood = scene(
  EVERYTHING,
  async (server, client) => {
    await server.listen();
    await client.connect();
  },
  async (server, client) => {
    const count = 20_000;
    const done = new Promise((resolve) => {
      server.on('receive', ({ n }) => {
        if (n === count - 1) resolve();
      });
    });
    for (let n = 0; n < count; n += 1) client.send({ n });
    await done;
  },
);
