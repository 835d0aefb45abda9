'use strict';

// A connect that gets no answer: the peer is real, and has a full queue of connections.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { original, underTest } = require('../conformance/under-test.js');
const { cannotHang, hangingListener, hangingPort } = require('./support/hanging.js');

const limit = { timeout: 600_000 };

describe('connect() to a peer that does not answer', { skip: cannotHang }, () => {
  const packages = { 'the original': original(), 'this package': underTest() };
  for (const [name, directory] of Object.entries(packages)) {
    const { client: Client } = require(directory);

    it(
      `rejects "Timeout exceeded on connect()" after connect_timeout: ${name}`,
      limit,
      async (t) => {
        const client = new Client({ port: await hangingPort(t), connect_timeout: 200 });
        const events = [];
        for (const event of ['connect', 'disconnect', 'error'])
          client.on(event, () => events.push(event));
        const started = performance.now();
        await assert.rejects(client.connect(), (error) => {
          assert.equal(error.constructor, Error);
          assert.equal(error.message, 'Timeout exceeded on connect()');
          return true;
        });
        assert.ok(performance.now() - started >= 195, 'not before the time');
        assert.equal(client.connected, false);
        assert.deepEqual(events, []);
        await client.disconnect();
        clearInterval(client._auto_reconnect_timer);
      },
    );

    it(`reads _connect_timeout at the call: ${name}`, limit, async (t) => {
      const client = new Client({ port: await hangingPort(t) });
      client._connect_timeout = 150;
      await assert.rejects(client.connect(), /Timeout exceeded on connect\(\)/);
      await client.disconnect();
      clearInterval(client._auto_reconnect_timer);
    });
  }

  it('connects once the peer answers again', limit, async (t) => {
    const { port, resume } = await hangingListener(t);
    const { client: Client } = require(packages['this package']);
    const client = new Client({ port, connect_timeout: 200 });
    client.on('error', () => {});
    await assert.rejects(client.connect(), /Timeout exceeded on connect\(\)/);
    resume();
    // The system repeats an unanswered attempt after a second, and then at growing intervals.
    client._connect_timeout = 30_000;
    await client.connect();
    assert.equal(client.connected, true);
    await client.disconnect();
    clearInterval(client._auto_reconnect_timer);
  });
});
