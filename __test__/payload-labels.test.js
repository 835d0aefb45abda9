'use strict';

// The values and labels that are sent in calls that the two packages could read differently.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { deadline } = require('./support/deadline.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };

describe('a payload with a property "constructor"', () => {
  for (const value of ['', 'x', 0, false]) {
    const payload = { constructor: value, points: 25 };

    it(`of ${JSON.stringify(value)} goes out without a type`, limit, async (t) => {
      const { client, wire } = await clientOnWire(t);
      await client.send(payload);
      assert.deepEqual(await wire.frame(), { data: payload });
    });

    it(
      `of ${JSON.stringify(value)} is sent by a server, to one, to all, and asked for`,
      limit,
      async (t) => {
        const { server, where } = await startServer(t);
        const { client } = makeClient(t, where);
        const arrived = once(server, 'connect');
        await client.connect();
        const [sock] = await arrived;
        for (const send of [() => server.send(sock, payload), () => server.sendall(payload)]) {
          const received = once(client, 'receive');
          await send();
          assert.deepEqual((await deadline(received, 'the payload'))[0], payload);
        }
        client.on('request', (request, response) => response.send(request.data));
        const stream = await server.request(sock, payload);
        assert.deepEqual((await deadline(stream.next(), 'the answer')).data, payload);
      },
    );
  }

  it('of null is refused at the call', limit, async (t) => {
    const { client } = await clientOnWire(t);
    assert.throws(() => client.send({ constructor: null }), TypeError);
  });
});

describe('session.send()', () => {
  it('uses only its first argument', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = makeClient(t, where);
    const arrived = once(server, 'connect');
    await client.connect();
    const [, session] = await arrived;
    const metas = [];
    const objects = new Promise((resolve) => {
      const got = [];
      client.on('receive', (object, meta) => {
        metas.push(meta);
        if (got.push(object) === 4) resolve(got);
      });
    });
    const list = [{ a: 1 }, { a: 2 }, { a: 3 }];
    list.forEach(session.send, session);
    await session.send({ a: 4 }, () => {});
    assert.deepEqual(await deadline(objects, 'four objects'), [...list, { a: 4 }]);
    for (const meta of metas) assert.deepEqual(meta, { type: 'Object' });
  });
});

describe('a callback that cannot be used', () => {
  it('is refused with the message of 1.8.4', limit, async (t) => {
    const { client } = await clientOnWire(t);
    const expected = {
      code: 'ERR_REMOTE_CALLBACK_TYPE',
      message: 'remote_callback must be a function',
    };
    assert.throws(() => client.send({ a: 1 }, 'x'), expected);
    const { client: bare } = await clientOnWire(t, { peer_type: 'json' });
    assert.throws(() => bare.send({ a: 1 }, () => {}), {
      code: 'ERR_REMOTE_CALLBACK_TYPE',
      message: 'Unable to use remote callback - peer type must be Sockhop',
    });
  });
});
