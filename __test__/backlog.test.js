'use strict';

// Tests a loop over a stream of answers that is slower than the peer: the peer waits, and nothing
// else stops.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { client: SockhopClient } = require('./support/impl.js');
const { endpoint, transports } = require('./support/addresses.js');
const { deadline } = require('./support/deadline.js');
const { makeClient, startClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };
const TEXT = 'x'.repeat(10_000);
/** Far more than the mark of 1 MiB. */
const MOST = 6000;
/**
 * The number of bytes that may be read and not taken: the mark, the bytes that one turn reads, and
 * those on their way between threads. The kernel holds more, up to 33 MB if it is configured so.
 */
const AHEAD = 4 * 2 ** 20;
const TAKEN = 200;

/**
 * A server that answers each request with as many packets as its connection takes, and each
 * question with the same object.
 */
async function generous(t, where) {
  const { server } = await startServer(t, {}, where);
  let written = 0;
  server.on('request', async (_request, response) => {
    try {
      while (written < MOST) {
        await response.write({ text: TEXT });
        written += 1;
      }
      await response.end();
    } catch (err) {
      // The client has gone.
      assert.equal(err.code, 'ERR_SOCKET_DESTROYED');
    }
  });
  server.on('receive', (object, { socket, callback }) => {
    if (callback) callback(object);
    else server.send(socket, object).catch(() => {});
  });
  return server;
}

/** @returns {Promise<number>} how many bytes were read at most that the loop had not taken */
async function takeSlowly(client) {
  const stream = await client.request('all of it');
  let taken = 0;
  let ahead = 0;
  for await (const { data } of stream) {
    assert.equal(data.text.length, TEXT.length);
    taken += 1;
    ahead = Math.max(ahead, client.socket.bytesRead - taken * TEXT.length);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (taken === TAKEN) break;
  }
  return ahead;
}

const asked = (client, object) =>
  deadline(new Promise((resolve) => client.send(object, resolve)), 'an answer');

for (const transport of transports) {
  describe(`a loop over a stream of answers, over ${transport}`, () => {
    it('makes the peer wait while it is slower', limit, async (t) => {
      const where = await endpoint(t, transport);
      await generous(t, where);
      const { client } = await startClient(t, where);
      const ahead = await takeSlowly(client);
      assert.ok(ahead < AHEAD, `${ahead} bytes ahead`);
    });

    it('makes the peer wait if the client has its own _on_recieved_object()', limit, async (t) => {
      class Observed extends SockhopClient {
        _on_recieved_object(message) {
          super._on_recieved_object(message);
        }
      }
      const where = await endpoint(t, transport);
      await generous(t, where);
      const { client } = makeClient(t, where, {}, Observed);
      await client.connect();
      const ahead = await takeSlowly(client);
      assert.ok(ahead < AHEAD, `${ahead} bytes ahead`);
    });

    it('lets the connection be read again when it is left', limit, async (t) => {
      const where = await endpoint(t, transport);
      await generous(t, where);
      const { client } = await startClient(t, where);
      const stream = await client.request('all of it');
      for await (const _ of stream) break;
      assert.deepEqual(await asked(client, { after: 'the loop' }), { after: 'the loop' });
    });

    it('may wait inside the loop for the answer to a callback', limit, async (t) => {
      const where = await endpoint(t, transport);
      await generous(t, where);
      const { client } = await startClient(t, where);
      const stream = await client.request('all of it');
      let n = 0;
      for await (const _ of stream) {
        n += 1;
        assert.deepEqual(await asked(client, { n }), { n });
        if (n === 3) break;
      }
    });

    it('may wait inside the loop for a message', limit, async (t) => {
      const where = await endpoint(t, transport);
      await generous(t, where);
      const { client } = await startClient(t, where);
      const stream = await client.request('all of it');
      for await (const _ of stream) {
        const receiving = once(client, 'receive');
        await client.send({ echo: true });
        const [object] = await deadline(receiving, 'the message behind the answers', 60_000);
        assert.deepEqual(object, { echo: true });
        break;
      }
    });

    it('gets all packets, in order, at its own pace', limit, async (t) => {
      const where = await endpoint(t, transport);
      const { server } = await startServer(t, {}, where);
      const COUNT = 400;
      server.on('request', async (_request, response) => {
        for (let n = 0; n < COUNT; n++) await response.write({ n, text: TEXT });
        await response.end();
      });
      const { client } = await startClient(t, where);
      const stream = await client.request('all of it');
      const numbers = [];
      for await (const { data } of stream) {
        if (data.n !== undefined) numbers.push(data.n);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.deepEqual(
        numbers,
        Array.from({ length: COUNT }, (_, n) => n),
      );
    });
  });
}

describe('a loop over a stream of answers, over a stream that the program brought', () => {
  it('makes the peer wait while it is slower', limit, async (t) => {
    const where = await endpoint(t);
    await generous(t, where);
    const { client } = makeClient(t, where);
    const socket = net.connect(where.path ?? { host: where.address, port: where.port });
    await once(socket, 'connect');
    client.socket = socket;
    const ahead = await takeSlowly(client);
    assert.ok(ahead < AHEAD, `${ahead} bytes ahead`);
    assert.deepEqual(await asked(client, { after: 'the loop' }), { after: 'the loop' });
  });

  it('leaves the stream paused if the program paused it meanwhile', limit, async (t) => {
    const where = await endpoint(t);
    await generous(t, where);
    const { client } = makeClient(t, where);
    const socket = net.connect(where.path ?? { host: where.address, port: where.port });
    await once(socket, 'connect');
    client.socket = socket;
    const stream = await client.request('all of it');
    const packets = stream[Symbol.asyncIterator]();
    while (!socket.isPaused()) await new Promise((resolve) => setImmediate(resolve));
    socket.pause();
    // More than half of the mark of 1 MiB.
    for (let taken = 0; taken < 80; taken += 1) await packets.next();
    assert.ok(socket.isPaused());
    socket.resume();
    for (let taken = 0; taken < TAKEN; taken += 1) {
      await deadline(packets.next(), 'a packet after resume()');
    }
    await packets.return();
  });
});
