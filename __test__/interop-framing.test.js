'use strict';

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { matrix } = require('./support/matrix.js');
const { clientOnWire, startServer } = require('./support/local.js');
const { expected } = require('./support/payload.js');
const { rawClient } = require('./support/raw.js');
const { recordingProxy } = require('./support/recording-proxy.js');

const numbers = (count) => Array.from({ length: count }, (_, number) => number);

/** A client and a server with a proxy between them that reshapes the data. */
async function connectThroughTap(cell, shape) {
  const { server, where } = await cell.server();
  const near = await endpoint(cell.t, cell.transport);
  const log = await recordingProxy(cell.t, near, where, shape);
  const client = await cell.client(near);
  await client.do('connect');
  await server.next('connect');
  return { client, server, log };
}

const behaviours = {
  'messages in fragments of one byte, both ways': async (cell) => {
    const { client, server } = await connectThroughTap(cell, { drip: true });
    const spec = { value: { text: 'ä€😀' }, as: 'Widget' };
    await client.do('send', spec);
    await client.do('send', { value: 'second' });
    await server.do('send', spec);
    await server.do('send', { value: 'second' });
    for (const side of [client, server]) {
      const [first, second] = await side.take('receive', 2);
      assert.deepEqual([first.object, first.type], [{ text: 'ä€😀' }, 'Widget']);
      assert.equal(second.object, 'second');
    }
  },

  'questions and answers in fragments of one byte': async (cell) => {
    const { client, server } = await connectThroughTap(cell, { drip: true });
    await server.do('answerWith', { value: 'from the server' });
    await client.do('answerWith', { value: 'from the client' });
    assert.equal((await client.do('ask', { value: 1 })).data, 'from the server');
    assert.equal((await server.do('ask', { value: 1 })).data, 'from the client');
  },

  '200 messages in one write, both ways': async (cell) => {
    const { client, server } = await connectThroughTap(cell, { hold: 200 });
    await Promise.all([client.do('burst', 200), server.do('burst', 200)]);
    for (const side of [client, server]) {
      const received = await side.take('receive', 200);
      assert.deepEqual(
        received.map(({ object }) => object.number),
        numbers(200),
      );
    }
  },
};

/**
 * Terminators, by their name: the options of the server and of the client. Those beyond ASCII are
 * not tested on a receiving original, which finds only every second frame.
 */
const terminators = {
  'a newline': { server: '\n' },
  'carriage return and newline': { server: '\r\n' },
  'a terminator of several characters': { server: '--end--' },
  'a swapped pair of newline and NUL': { server: ['\n', '\0'], client: ['\0', '\n'] },
  'a terminator beyond ASCII': { server: 'é', receivedBeyondAscii: ['client', 'server'] },
  'a terminator beyond ASCII towards the server': {
    server: ['é', '\n'],
    client: ['\n', 'é'],
    receivedBeyondAscii: ['server'],
  },
  'a terminator beyond ASCII towards the client': {
    server: ['\n', '∎€'],
    client: ['∎€', '\n'],
    receivedBeyondAscii: ['client'],
  },
};

const beyondAscii = new Map();

for (const [name, terminator] of Object.entries(terminators)) {
  const test = `frames end with ${name}`;
  beyondAscii.set(test, terminator.receivedBeyondAscii ?? []);
  behaviours[test] = async (cell) => {
    const { client, server } = await cell.connect(
      { terminator: terminator.server },
      { terminator: terminator.client ?? terminator.server },
    );
    const specs = [{ value: { n: 1 } }, { value: 'plain' }, { value: { n: 3 }, as: 'Widget' }];
    for (const spec of specs) {
      await client.do('send', spec);
      await server.do('send', spec);
    }
    for (const side of [client, server]) {
      const received = await side.take('receive', 3);
      assert.deepEqual(
        received.map(({ object }) => object),
        specs.map(expected),
      );
      assert.equal(side.count('error'), 0);
    }
    await server.do('answerWith', { value: 'yes' });
    assert.equal((await client.do('ask', { value: 'well?' })).data, 'yes');
  };
}

matrix(behaviours, {
  only: (pair, name) => (beyondAscii.get(name) ?? []).every((role) => pair[role] === 'native'),
});

for (const transport of transports) {
  describe(`a plain socket at the other end, ${transport}`, () => {
    const frame = JSON.stringify({ type: 'Widget', data: { text: 'ä€😀', n: 1 } });

    it('the server puts single bytes together', { timeout: 600_000 }, async (t) => {
      const { log, where } = await startServer(t, {}, await endpoint(t, transport));
      const wire = await rawClient(t, where);
      await wire.drip(`${frame}\n${frame}\n`);
      for (const { args } of await log.take('receive', 2)) {
        assert.deepEqual(args[0], { text: 'ä€😀', n: 1 });
        assert.equal(args[1].type, 'Widget');
      }
    });

    it('the client puts single bytes together', { timeout: 600_000 }, async (t) => {
      const { log, wire } = await clientOnWire(t, {}, await endpoint(t, transport));
      await wire.drip(`${frame}\n${frame}\n`);
      for (const { args } of await log.take('receive', 2)) {
        assert.deepEqual(args[0], { text: 'ä€😀', n: 1 });
        assert.equal(args[1].type, 'Widget');
      }
    });

    it('the server takes 200 messages out of one write', { timeout: 600_000 }, async (t) => {
      const { log, where } = await startServer(t, {}, await endpoint(t, transport));
      const wire = await rawClient(t, where);
      wire.write(...numbers(200).map((data) => ({ type: 'Number', data })));
      const received = await log.take('receive', 200);
      assert.deepEqual(
        received.map(({ args }) => args[0]),
        numbers(200),
      );
    });

    it('the client takes 200 messages out of one write', { timeout: 600_000 }, async (t) => {
      const { log, wire } = await clientOnWire(t, {}, await endpoint(t, transport));
      wire.write(...numbers(200).map((data) => ({ type: 'Number', data })));
      const received = await log.take('receive', 200);
      assert.deepEqual(
        received.map(({ args }) => args[0]),
        numbers(200),
      );
    });

    it('a terminator of two bytes may come in two packets', { timeout: 600_000 }, async (t) => {
      const { log, where } = await startServer(
        t,
        { terminator: 'é' },
        await endpoint(t, transport),
      );
      const wire = await rawClient(t, where);
      await wire.drip('{"type":"Number","data":1}é{"type":"Number","data":2}é');
      const received = await log.take('receive', 2);
      assert.deepEqual(
        received.map(({ args }) => args[0]),
        [1, 2],
      );
      assert.equal(log.count('error'), 0);
    });

    it('half a terminator inside a frame is part of the frame', { timeout: 600_000 }, async (t) => {
      const { log, where } = await startServer(
        t,
        { terminator: '\r\n', allow_non_objects: true, peer_type: 'json' },
        await endpoint(t, transport),
      );
      const wire = await rawClient(t, where);
      await wire.drip('one\rtwo\r\r\n{"a":\r1}\r\n');
      const received = await log.take('receive', 2);
      assert.deepEqual(
        received.map(({ args }) => args[0]),
        ['one\rtwo\r', { a: 1 }],
      );
    });

    it('frames go out with the transmit terminator of a pair', { timeout: 600_000 }, async (t) => {
      const { log, wire, client } = await clientOnWire(
        t,
        { terminator: ['\n', '\0'] },
        await endpoint(t, transport),
        { terminator: '\0' },
      );
      await client.send({ a: 1 });
      assert.deepEqual(await wire.frame(), { type: 'Object', data: { a: 1 } });
      wire.write({ type: 'Object', data: { b: 2 } });
      assert.deepEqual((await log.next('receive')).args[0], { b: 2 });
    });
  });
}
