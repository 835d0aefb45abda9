'use strict';

// Messages of a client that wait while it has no connection.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { freePort, nodeEndpoint, unixPath } = require('./support/addresses.js');
const { deadline } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };
const QUEUE = { offline_queue: 1000, auto_reconnect_interval: 20, auto_reconnect_factor: 1.1 };

const outcome = (promise) => deadline(promise, 'the promise of a message').catch((err) => err);
const codeOf = async (promise) => (await outcome(promise)).code;

/** A client with a queue that is not connected, and the place where it looks for its server. */
async function offlineClient(t, options = {}, Client = impl.client) {
  const where = { port: await freePort() };
  return { where, ...makeClient(t, where, { ...QUEUE, ...options }, Client) };
}

/** A server that answers with the number that it got, and keeps all numbers. */
async function startEcho(t, where, options = {}) {
  const made = await startServer(t, options, where);
  const numbers = [];
  made.server.on('receive', ({ number }, { callback }) => {
    numbers.push(number);
    callback?.({ number });
  });
  made.server.on('request', ({ data }, res) => {
    numbers.push(data.number);
    res.send(data);
  });
  return { ...made, numbers };
}

describe('a message without a connection', () => {
  it('waits, and leaves in order with the others after connect', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const sent = [];
    for (let number = 0; number < 100; number += 1) sent.push(client.send({ number }));
    const answers = [100, 101].map((number) => client.call({ number }));
    const answered = new Promise((resolve) => client.send({ number: 102 }, resolve));
    const requests = [103, 104].map((number) =>
      client.request({ number }).then((stream) => stream.next()),
    );
    const { offline_messages, offline_bytes, pending_callbacks } = client.stats();
    assert.deepEqual([offline_messages, pending_callbacks], [105, 3]);
    assert.ok(offline_bytes > 105 * 38, `${offline_bytes}`);
    const { numbers } = await startEcho(t, where);
    await client.connect();
    assert.deepEqual(await Promise.all(answers), [{ number: 100 }, { number: 101 }]);
    assert.deepEqual(await deadline(answered, 'the callback'), { number: 102 });
    const packets = await Promise.all(requests);
    assert.deepEqual(
      packets.map(({ data }) => data.number),
      [103, 104],
    );
    assert.deepEqual(await Promise.all(sent), Array(100).fill(null));
    assert.deepEqual(numbers, [...Array(105).keys()]);
    const after = client.stats();
    assert.deepEqual(
      [after.offline_messages, after.offline_bytes, after.pending_callbacks, after.messages_sent],
      [0, 0, 0, 105],
    );
  });

  it('is sent after the messages of a listener of connect', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    client.send({ number: 1 });
    client.on('connect', () => client.send({ number: 0 }));
    const { numbers } = await startEcho(t, where);
    await client.connect();
    client.send({ number: 2 });
    await client.call({ number: 3 });
    assert.deepEqual(numbers, [0, 1, 2, 3]);
  });

  it('outlives attempts that fail, and one is sent while connecting', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    client.send({ number: 0 });
    const failing = client.connect();
    const call = client.call({ number: 1 });
    assert.equal(await codeOf(failing), 'ECONNREFUSED');
    client.send({ number: 2 });
    client.auto_reconnect = true;
    await once(client, 'reconnecting');
    const { numbers } = await startEcho(t, where);
    assert.deepEqual(await outcome(call), { number: 1 });
    await client.call({ number: 3 });
    assert.deepEqual(numbers, [0, 1, 2, 3]);
  });

  it('is serialized when it is sent', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const object = { number: 1 };
    const call = client.call(object);
    object.number = 2;
    assert.ok((await outcome(client.send({ big: 1n }))) instanceof TypeError);
    assert.throws(() => client.send(null), { code: 'ERR_BAD_DATA' });
    await startEcho(t, where);
    await client.connect();
    assert.deepEqual(await outcome(call), { number: 1 });
  });

  it('leaves over TLS of Node, an adopted stream and a JSON peer, too', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    client.send({ number: 7 });
    const { numbers } = await startEcho(t, where);
    const stream = net.connect(nodeEndpoint(where));
    client.socket = stream;
    await client.call({ number: 8 });
    await client.disconnect();
    assert.deepEqual(numbers, [7, 8]);

    const connected = net.connect(nodeEndpoint(where));
    await once(connected, 'connect');
    client.send({ number: 9 });
    client.socket = connected;
    await client.call({ number: 10 });
    assert.deepEqual(numbers, [7, 8, 9, 10]);

    const raw = await rawServer(t);
    const json = makeClient(t, raw.where, { ...QUEUE, peer_type: 'json' }).client;
    json.send({ bare: 1 });
    await json.connect();
    assert.deepEqual(await (await raw.accept()).frame(), { bare: 1 });
  });

  it('passes through the methods of the program once', limit, async (t) => {
    class Tagger extends impl.client {
      async _send_message(message) {
        return super._send_message({ ...message, tag: 1 });
      }
    }
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, QUEUE, Tagger);
    client.send({ a: 1 });
    const call = client.call({ a: 2 });
    await client.connect();
    const wire = await raw.accept();
    const [first, second] = (await wire.take('frame', 2)).map(({ json }) => json);
    assert.deepEqual(first, { type: 'Object', data: { a: 1 }, tag: 1 });
    assert.equal(second.tag, 1);
    wire.write({ type: 'Object', data: { ok: 1 }, callback_id: second.id });
    assert.deepEqual(await outcome(call), { ok: 1 });
  });

  it('rejects without the option', limit, async (t) => {
    const { client } = await offlineClient(t, { offline_queue: 0 });
    assert.equal(await codeOf(client.send({ a: 1 })), 'ERR_SOCKET_DESTROYED');
    assert.equal(await codeOf(client.send({ a: 1 }, null, { timeout: 5 })), 'ERR_SOCKET_DESTROYED');
    assert.equal(await codeOf(client.call({ a: 1 })), 'ERR_SOCKET_DESTROYED');
    assert.equal(await codeOf(client.request({ a: 1 })), 'ERR_SOCKET_DESTROYED');
  });
});

describe('a full offline queue', () => {
  it('refuses further messages, and keeps those that wait', limit, async (t) => {
    const { client, where } = await offlineClient(t, { offline_queue: 2 });
    const kept = [client.call({ number: 0 }), client.call({ number: 1 })];
    const refused = [
      client.send({ number: 2 }),
      client.send({ number: 2 }, () => {}),
      client.call({ number: 2 }),
      client.request({ number: 2 }),
    ];
    for (const promise of refused) {
      const err = await outcome(promise);
      assert.equal(err.code, 'ERR_OFFLINE_QUEUE_FULL');
      assert.match(err.message, /there is no connection, and 2 messages of \d+ bytes wait/);
    }
    const { refused_offline_messages, pending_callbacks } = client.stats();
    assert.deepEqual([refused_offline_messages, pending_callbacks], [4, 2]);
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await Promise.all(kept);
    assert.deepEqual(numbers, [0, 1]);
  });

  it('counts bytes', limit, async (t) => {
    const { client, where } = await offlineClient(t, { offline_queue_bytes: 100 });
    client.send({ number: 1 });
    assert.equal(client.stats().offline_bytes, 38);
    assert.equal(await codeOf(client.send('ä'.repeat(20))), 'ERR_OFFLINE_QUEUE_FULL');
    client.send({ number: 2 });
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await client.call({ number: 3 });
    assert.deepEqual(numbers, [1, 2, 3]);
  });
});

describe('a message is taken out of the offline queue', () => {
  it('by its own timeout', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const stays = [client.send({ number: 0 })];
    const taken = [
      client.call({ number: 90 }, { timeout: 20 }),
      client.send({ number: 91 }, null, { timeout: 20 }),
      client.send({ number: 92 }, () => assert.fail('it is not sent'), { timeout: 20 }),
    ];
    const stream = client.request({ number: 93 }, { timeout: 20 }).then((it) => it.next());
    stays.push(client.call({ number: 1 }));
    const codes = await Promise.all(taken.map(codeOf));
    assert.deepEqual(codes, ['ERR_CALLBACK_TIMEOUT', 'ERR_SEND_TIMEOUT', 'ERR_SEND_TIMEOUT']);
    assert.equal(await codeOf(stream), 'ERR_RESPONSE_TIMEOUT');
    const { offline_messages, pending_callbacks } = client.stats();
    assert.deepEqual([offline_messages, pending_callbacks], [2, 1]);
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await Promise.all(stays);
    await client.call({ number: 2 });
    assert.deepEqual(numbers, [0, 1, 2]);
  });

  it('by its own signal', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const controller = new AbortController();
    const { signal } = controller;
    const taken = [
      client.call({ number: 90 }, { signal }),
      client.send({ number: 91 }, null, { signal }),
      client.request({ number: 92 }, { signal }).then((stream) => stream.next()),
    ];
    client.send({ number: 0 });
    controller.abort();
    for (const promise of taken) assert.equal((await outcome(promise)).name, 'AbortError');
    const late = client.send({ number: 93 }, null, { signal });
    assert.equal((await outcome(late)).name, 'AbortError');
    assert.equal(client.stats().offline_messages, 1);
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await client.call({ number: 1 });
    assert.deepEqual(numbers, [0, 1]);
  });

  it('but not by the timeout of a message that was never queued', limit, async (t) => {
    class Swallower extends impl.client {
      _send_message(message) {
        if (message.data.swallow) return Promise.resolve();
        return super._send_message(message);
      }
    }
    const { client, where } = await offlineClient(t, {}, Swallower);
    const kept = client.send({ number: 0 });
    assert.equal(
      await codeOf(client.call({ swallow: 1 }, { timeout: 10 })),
      'ERR_CALLBACK_TIMEOUT',
    );
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await kept;
    await client.call({ number: 1 });
    assert.deepEqual(numbers, [0, 1]);
  });

  it('by disconnect(), with a reason', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const taken = [client.send({ number: 90 }), client.call({ number: 91 })];
    const request = client.request({ number: 92 });
    await client.disconnect();
    const errors = await Promise.all([...taken, request].map(outcome));
    assert.deepEqual(
      errors.map(({ code }) => code),
      Array(3).fill('ERR_SOCKET_DESTROYED'),
    );
    assert.match(errors[0].cause.message, /^disconnect\(\) was called while the message waited/);
    const { numbers } = await startEcho(t, where);
    await client.connect();
    await client.call({ number: 0 });
    assert.deepEqual(numbers, [0]);
  });
});

describe('with an offline queue', () => {
  it('a message that was written to a socket is not sent again', limit, async (t) => {
    const raw = await rawServer(t, { path: unixPath(t) });
    const { client, log } = makeClient(t, raw.where, QUEUE);
    await client.connect();
    const wire = await raw.accept();
    const lost = [client.call({ number: 1 }), client.call({ number: 2 })];
    await wire.take('frame', 2);
    wire.socket.destroy();
    for (const call of lost) assert.equal(await codeOf(call), 'ERR_SOCKET_DESTROYED');
    await log.next('disconnect');
    client.send({ number: 3 });
    await client.connect();
    const next = await raw.accept();
    assert.deepEqual((await next.frame()).data, { number: 3 });
  });

  it('a message waits if the socket is destroyed and not yet closed', limit, async (t) => {
    const { client, where } = await offlineClient(t);
    const { numbers } = await startEcho(t, where);
    client.auto_reconnect = true;
    await client.connect();
    client.socket.destroy();
    assert.deepEqual(await outcome(client.call({ number: 1 })), { number: 1 });
    client.once('connect', (sock) => sock.destroy());
    client.socket.destroy();
    client.send({ number: 2 });
    const packet = client.request({ number: 3 }).then((stream) => stream.next());
    assert.deepEqual((await outcome(packet)).data, { number: 3 });
    assert.deepEqual(numbers, [1, 2, 3]);
  });

  it('callbacks time out from the time of their send()', limit, async (t) => {
    const { client, where, log } = await offlineClient(t, { callback_timeout: 30 });
    client.send({ number: 0 }, () => assert.fail('it has timed out'));
    const [err] = (await log.next('error')).args;
    assert.equal(err.code, 'ERR_CALLBACK_TIMEOUT');
    const { server } = await startServer(t, {}, where);
    client.send({ number: 1 }, () => assert.fail('it is not answered'));
    const received = once(server, 'receive');
    await client.connect();
    await received;
    await log.next('error');
    assert.equal(client.stats().timed_out_callbacks, 2);
  });

  it('answers and pongs do not wait for another connection', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, QUEUE);
    const asked = once(client, 'request');
    await client.connect();
    const wire = await raw.accept();
    wire.write({ type: 'SockhopRequest', data: { uuid: 'u', type: 'Object', data: {} } });
    const [, response] = await asked;
    wire.socket.destroy();
    await log.next('disconnect');
    assert.equal(await codeOf(response.send({ a: 1 })), 'ERR_SOCKET_DESTROYED');
    assert.equal(client.stats().offline_messages, 0);
  });

  it('an answer slows the peer down as over any connection', limit, async (t) => {
    const { client, where } = await offlineClient(t, { receive_high_water_mark: 64 * 1024 });
    const asked = client.request({ number: 0 });
    const { server } = await startServer(t, { send_high_water_mark: 64 * 1024 }, where);
    let written = 0;
    server.on('request', async (_request, res) => {
      const text = 'x'.repeat(10_000);
      try {
        for (; written < 5000; written += 1) await res.write({ text });
      } catch {
        // The client leaves.
      }
    });
    await client.connect();
    const stream = await asked;
    let taken = 0;
    for await (const packet of stream) {
      assert.equal(packet.data.text.length, 10_000);
      taken += 1;
      await new Promise((resolve) => setImmediate(resolve));
      if (taken === 50) break;
    }
    assert.ok(written < 2500, `${written} packets were written for ${taken} that were taken`);
  });

  it('the options are refused with the range', () => {
    assert.throws(() => new impl.client({ offline_queue: -1 }), {
      code: 'ERR_OUT_OF_RANGE',
      message:
        'The "options.offline_queue" property must be a number of messages, an integer >= 1, or Infinity (left out, or 0, it is 0). Received type number (-1)',
    });
    const client = new impl.client(QUEUE);
    assert.throws(() => client.send({}, null, { timeout: 'long' }), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => client.send({}, null, 5), {
      code: 'ERR_INVALID_ARG_TYPE',
      message:
        'The "options" argument of send() must be left out, or an object. Received type number (5)',
    });
    assert.equal(client.stats().offline_messages, 0);
  });
});

describe('a server that says it is draining', () => {
  /** A ping with the field by which a server announces that it ends the connection soon. */
  const draining = { type: 'SockhopPing', data: { _id: 'last', draining: true } };

  it('gets nothing after the pong: messages wait for the next connection', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, QUEUE);
    await client.connect();
    const wire = await raw.accept();
    const before = client.call({ number: 1 });
    const { id } = await wire.frame();
    wire.write(draining);
    const pong = await wire.frame();
    assert.deepEqual([pong.type, pong.data._id], ['SockhopPong', 'last']);
    client.send({ number: 2 });
    const after = client.call({ number: 3 });
    assert.equal(client.connected, true);
    assert.equal(client.stats().offline_messages, 2);
    // A message with a question, and another ping, are still answered.
    client.on('receive', (_object, { callback }) => callback({ fine: true }));
    wire.write(
      { type: 'Object', data: {}, id: 'how are you' },
      { ...draining, data: { _id: 'x' } },
    );
    await wire.frame(({ callback_id }) => callback_id === 'how are you');
    await wire.frame(({ data }) => data._id === 'x');
    wire.write({ type: 'Object', data: { number: 1 }, callback_id: id });
    assert.deepEqual(await outcome(before), { number: 1 });
    wire.socket.end();
    await log.next('disconnect');
    await client.connect();
    const next = await raw.accept();
    const [second, third] = (await next.take('frame', 2)).map(({ json }) => json);
    assert.deepEqual([second.data, third.data], [{ number: 2 }, { number: 3 }]);
    next.write({ type: 'Object', data: { number: 3 }, callback_id: third.id });
    assert.deepEqual(await outcome(after), { number: 3 });
  });

  it('gets messages of a client without a queue as before', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where);
    await client.connect();
    const wire = await raw.accept();
    wire.write(draining);
    assert.equal((await wire.frame()).type, 'SockhopPong');
    client.send({ number: 1 });
    assert.deepEqual((await wire.frame()).data, { number: 1 });
  });
});
