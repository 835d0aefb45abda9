'use strict';

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { matrix } = require('./support/matrix.js');
const { clientOnWire, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const json = { peer_type: 'json' };

matrix({
  'bare JSON values go both ways': async (cell) => {
    const { client, server } = await cell.connect(json);
    await client.do('send', { value: { a: 1 }, as: 'Widget' });
    await server.do('send', { value: [1, 2] });
    const up = await server.next('receive');
    const down = await client.next('receive');
    assert.deepEqual([up.object, up.type, up.wantsAnswer], [{ a: 1 }, 'Object', false]);
    assert.deepEqual([down.object, down.type, down.wantsAnswer], [[1, 2], 'Array', false]);
  },

  'text is allowed where both sides allow it': async (cell) => {
    const { client, server } = await cell.connect({ ...json, allow_non_objects: true });
    await client.do('send', { value: 'text' });
    await server.do('send', { value: 7 });
    const up = await server.next('receive');
    const down = await client.next('receive');
    assert.deepEqual([up.object, up.type], ['text', 'String']);
    assert.deepEqual([down.object, down.type], [7, 'Number']);
  },

  'an object that looks like an envelope is just an object': async (cell) => {
    const { client, server } = await cell.connect(json);
    const value = { type: 'Widget', data: { a: 1 }, id: 'x', callback_id: 'y' };
    await client.do('send', { value });
    await server.do('send', { value });
    for (const side of [client, server]) {
      const { object, type, wantsAnswer } = await side.next('receive');
      assert.deepEqual([object, type, wantsAnswer], [value, 'Object', false]);
    }
  },

  'callbacks are refused on both sides': async (cell) => {
    const { client, server } = await cell.connect(json);
    for (const side of [client, server]) {
      await assert.rejects(side.do('ask', { value: { a: 1 } }), {
        name: 'Error',
        code: 'ERR_REMOTE_CALLBACK_TYPE',
      });
    }
  },
});

for (const transport of transports) {
  describe(`peer_type "json" and a plain socket, ${transport}`, () => {
    it('a server receives and sends bare values', { timeout: 600_000 }, async (t) => {
      const { server, log, where } = await startServer(t, json, await endpoint(t, transport));
      const wire = await rawClient(t, where);
      wire.write({ hello: 'server' }, [1, 2, 3]);
      const [first, second] = await log.take('receive', 2);
      assert.deepEqual(first.args[0], { hello: 'server' });
      assert.equal(first.args[1].type, 'Object');
      assert.equal(first.args[1].socket, server.sockets[0]);
      assert.equal(first.args[1].session, server.sessions[0]);
      assert.deepEqual([second.args[0], second.args[1].type], [[1, 2, 3], 'Array']);
      await server.send(server.sockets[0], { hello: 'client' });
      await server.sendall([4, 5]);
      assert.equal((await wire.next('frame')).text, '{"hello":"client"}');
      assert.equal((await wire.next('frame')).text, '[4,5]');
    });

    it('a client receives and sends bare values', { timeout: 600_000 }, async (t) => {
      const { client, log, wire } = await clientOnWire(t, json, await endpoint(t, transport));
      await client.send({ hello: 'server' });
      assert.equal((await wire.next('frame')).text, '{"hello":"server"}');
      wire.write({ hello: 'client' }, [1]);
      const [first, second] = await log.take('receive', 2);
      assert.deepEqual([first.args[0], first.args[1].type], [{ hello: 'client' }, 'Object']);
      assert.deepEqual([second.args[0], second.args[1].type], [[1], 'Array']);
    });

    it('a frame that is not JSON is a String where that is allowed', {
      timeout: 600_000,
    }, async (t) => {
      const { log, where } = await startServer(
        t,
        { ...json, allow_non_objects: true },
        await endpoint(t, transport),
      );
      const wire = await rawClient(t, where);
      wire.write('GET / HTTP/1.0', '"quoted"', '12', 'true');
      const received = await log.take('receive', 4);
      assert.deepEqual(
        received.map(({ args }) => [args[0], args[1].type]),
        [
          ['GET / HTTP/1.0', 'String'],
          ['quoted', 'String'],
          [12, 'Number'],
          [true, 'Boolean'],
        ],
      );
      assert.equal(log.count('error'), 0);
    });

    it('a frame that is not JSON is an error where it is not allowed', {
      timeout: 600_000,
    }, async (t) => {
      const { client, log, wire } = await clientOnWire(t, json, await endpoint(t, transport));
      wire.write({ a: 1 }, 'no JSON', { b: 2 });
      const [first, second] = await log.take('receive', 2);
      assert.deepEqual([first.args[0], second.args[0]], [{ a: 1 }, { b: 2 }]);
      const { args } = await log.next('error');
      assert.equal(args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
      assert.equal(client.connected, true);
    });
  });
}
