'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const { describe, it } = require('node:test');
const { setImmediate } = require('node:timers/promises');
const { cleanup } = require('./support/cleanup.js');
const { freePort } = require('./support/addresses.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };

class Widget {
  constructor(n) {
    this.n = n;
  }
}

/** A plain Duplex on top of another stream. */
function tunnel(inner) {
  const outer = new Duplex({
    read() {},
    write: (chunk, encoding, callback) => inner.write(chunk, encoding, callback),
    final: (callback) => inner.end(callback),
    destroy(err, callback) {
      inner.destroy();
      callback(err);
    },
  });
  inner.on('data', (chunk) => outer.push(chunk));
  inner.on('end', () => outer.push(null));
  inner.on('error', (err) => outer.destroy(err));
  return outer;
}

/** Passes uncaught exceptions to `told` instead of to the test runner. */
function surfaced(t, told) {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  cleanup(t, () => {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  });
  process.on('uncaughtException', told);
}

/** Takes a number of messages of clients, and returns the numbers in them. */
function received(server, count) {
  const numbers = [];
  return new Promise((resolve) => {
    server.on('receive', ({ n }) => {
      if (numbers.push(n) === count) resolve(numbers);
    });
  });
}

/** Sends objects, callbacks and requests in both directions, and ends the connection. */
async function converse(client, server, log) {
  const connected = server.sockets[0];
  const question = once(server, 'receive');
  const answer = new Promise((resolve) => {
    client.send(new Widget(1), (object, meta) => resolve([object, meta.type]));
  });
  const [object, meta] = await question;
  assert.deepEqual([object, meta.type, meta.socket], [{ n: 1 }, 'Widget', connected]);
  meta.callback('fine');
  assert.deepEqual(await answer, ['fine', 'String']);

  client.once('request', (request, response) => response.send({ asked: request.data }));
  const stream = await server.request(connected, 'you');
  assert.deepEqual(await stream.next(), { data: { asked: 'you' }, type: 'Object' });

  const all = once(client, 'receive');
  await server.sendall([1, 2]);
  assert.deepEqual((await all)[0], [1, 2]);

  const lost = log.next('disconnect');
  const gone = once(server, 'disconnect');
  await client.disconnect();
  await lost;
  await gone;
  assert.deepEqual([server.sockets.length, server.sessions.length], [0, 0]);
}

describe('a stream that is given to a client', { timeout: 600_000 }, () => {
  for (const [name, wrap] of Object.entries({
    'a net.Socket': (socket) => socket,
    'any Duplex': tunnel,
  })) {
    it(`may be ${name} that is connected`, async (t) => {
      const { server } = await startServer(t, {}, { port: 0 });
      const here = once(server, 'connect');
      const socket = net.connect(server.server.address().port, '127.0.0.1');
      await once(socket, 'connect');
      const { client, log } = makeClient(t, {});
      const stream = wrap(socket);
      client.socket = stream;
      assert.equal(client.connected, true);
      assert.equal(client.socket, stream);
      await here;
      await converse(client, server, log);
    });
  }

  it('may be a net.Socket that is still connecting', async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const here = once(server, 'connect');
    const { client, log } = makeClient(t, {});
    client.socket = net.connect(server.server.address().port, '127.0.0.1');
    assert.equal(client.connected, false);
    await once(client, 'connect');
    assert.equal(client.connected, true);
    await here;
    await converse(client, server, log);
  });

  it('survives pings and callbacks nested deeper than V8 can serialize', async (t) => {
    const { server, log } = await startServer(t);
    const front = net.createServer((socket) => server.server.emit('connection', socket));
    await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
    cleanup(t, () => front.close());
    server.on('receive', (_object, { callback }) => callback?.('answer'));
    const socket = net.connect(front.address().port, '127.0.0.1');
    cleanup(t, () => socket.destroy());
    socket.resume();
    await log.next('connect');
    // The depth at which V8 gives up depends on its version.
    for (let depth = 100; depth < 12_000; depth += 100) {
      const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
      const date = '2026-01-01T00:00:00.000Z';
      socket.write(`{"type":"SockhopPing","data":{"_id":${nested},"_created":"${date}"}}\n`);
      socket.write(`{"type":"String","data":"question","id":${nested}}\n`);
    }
    socket.write('{"type":"String","data":"the last"}\n');
    await log.next('receive', ({ args }) => args[0] === 'the last');
    assert.equal(server.sockets.length, 1);
  });

  const skip = onNodeOnly('the test runner takes exceptions that nobody catches to itself');
  it('loses no message of other connections if it throws while a burst is written', {
    ...limit,
    skip,
  }, async (t) => {
    const { server, where } = await startServer(t);
    const { client: good } = await startClient(t, where);
    const { client: bad } = makeClient(t, {});
    let throws = false;
    bad.socket = new Duplex({
      read() {},
      write: (_chunk, _encoding, callback) => callback(),
      writev(_chunks, callback) {
        if (throws) throw new Error('of the program');
        callback();
      },
    });
    // Some messages of a burst are written at once. A burst over more ticks collects more messages.
    for (let tick = 0; tick < 20; tick += 1) {
      for (let n = 0; n < 20; n += 1) bad.send({ n });
      await setImmediate();
    }
    throws = true;
    // On a busy machine the burst may be written before its end; the exception then rejects a
    // promise.
    const thrown = new Promise((resolve) => {
      surfaced(t, resolve);
      for (let n = 0; n < 20; n += 1) bad.send({ n }).catch(resolve);
    });
    const all = received(server, 200);
    const sent = Array.from({ length: 100 }, (_, n) => good.send({ n }));
    assert.match((await thrown).message, /of the program/);
    for (let n = 100; n < 200; n += 1) sent.push(good.send({ n }));
    assert.deepEqual(await all, Array.from(sent.keys()));
    await Promise.all(sent);
  });

  it('must be a stream', (t) => {
    const { client } = makeClient(t, {});
    assert.throws(() => {
      client.socket = {};
    }, /Duplex/);
  });
});

describe('a stream that is given to a server', { timeout: 600_000 }, () => {
  it('becomes a connection with a session, like those it accepts', async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const front = net.createServer((socket) => server.server.emit('connection', socket));
    cleanup(t, () => new Promise((resolve) => front.close(resolve)));
    const port = await freePort();
    await new Promise((resolve) => front.listen(port, '127.0.0.1', resolve));
    const here = once(server, 'connect');
    const { client, log } = await startClient(t, { port });
    const [socket, session] = await here;
    assert.equal(server.sockets[0], socket);
    assert.equal(session.sock, socket);
    await converse(client, server, log);
  });

  it('may flow already, and loses nothing', async (t) => {
    const { server, log } = await startServer(t, {}, { port: 0 });
    let sent;
    const data = new Promise((resolve) => {
      sent = resolve;
    });
    let seen = 0;
    const front = net.createServer({ pauseOnConnect: true }, async (socket) => {
      await data;
      socket.on('data', (bytes) => {
        seen += bytes.length;
      });
      server.server.emit('connection', socket);
      socket.resume();
    });
    cleanup(t, () => new Promise((resolve) => front.close(resolve)));
    await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
    const socket = net.connect(front.address().port, '127.0.0.1');
    cleanup(t, () => socket.destroy());
    const message = '{"type":"Number","data":1}\n';
    socket.end(message.repeat(3), sent);
    for (let i = 0; i < 3; i++) assert.equal((await log.next('receive')).args[0], 1);
    await log.next('disconnect');
    assert.equal(seen, 3 * message.length);
  });

  it('may be a stand-in that emits data before the connection is announced', async (t) => {
    const { server, log } = await startServer(t, {}, { port: 0 });
    const substitute = Object.assign(new EventEmitter(), { destroyed: false, destroy() {} });
    server.server.emit('connection', substitute);
    await new Promise((resolve) => process.nextTick(resolve));
    substitute.emit('data', Buffer.from('{"type":"Number","data":1}\n'));
    assert.equal((await log.next('receive')).args[0], 1);
    substitute.emit('end');
    await log.next('disconnect');
  });

  it('may be a stand-in, whose data is kept before `connect` within the limits', async (t) => {
    const limits = { max_message_size: 1000, receive_high_water_mark: 500 };
    const { server, log } = await startServer(t, {}, { port: 0, ...limits });
    const started = (stream) => {
      server.server.emit('connection', stream);
      return new Promise((resolve) => process.nextTick(resolve));
    };
    const standIn = () => {
      const stream = new EventEmitter();
      stream.destroyed = false;
      stream.destroy = () => {
        stream.destroyed = true;
      };
      return stream;
    };
    const message = Buffer.from(`{"type":"String","data":"${'x'.repeat(72)}"}\n`);
    assert.equal(message.length, 100);

    const modest = standIn();
    await started(modest);
    for (let i = 0; i < 15; i++) modest.emit('data', message);
    for (let i = 0; i < 15; i++) assert.equal((await log.next('receive')).args[0].length, 72);
    modest.emit('end');
    await log.next('disconnect');

    const greedy = standIn();
    await started(greedy);
    for (let i = 0; i < 15; i++) greedy.emit('data', message);
    assert.equal(greedy.destroyed, false);
    greedy.emit('data', message);
    assert.equal(greedy.destroyed, true);
    const [err] = (await log.next('error')).args;
    assert.equal(err.code, 'ERR_MESSAGE_TOO_LARGE');
    assert.match(err.message, /more than 1500 bytes before "connect" was emitted/);
    assert.equal(server.stats().oversized_messages, 1);
    await log.next('disconnect');
  });
});

describe('a request with a signal', { timeout: 600_000 }, () => {
  it('ends its stream with an AbortError', async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const { client } = await startClient(t, { port: server.server.address().port });
    const controller = new AbortController();
    const stream = await client.request('Q', { signal: controller.signal });
    const all = stream.all();
    controller.abort(new Error('enough'));
    await assert.rejects(all, { name: 'AbortError', code: 'ABORT_ERR' });
    assert.equal(stream.ended, true);
    assert.equal(client._response_stream_map._map.size, 0);
  });

  it('is not sent if the signal is aborted already', async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const { client } = await startClient(t, { port: server.server.address().port });
    await assert.rejects(client.request('Q', { signal: AbortSignal.abort() }), {
      name: 'AbortError',
    });
  });

  for (const [why, { config, code }] of Object.entries({
    'its time is up': { config: () => ({ timeout: 50 }), code: 'ERR_RESPONSE_TIMEOUT' },
    'its signal is aborted': {
      config: () => ({ signal: AbortSignal.timeout(50) }),
      code: 'ABORT_ERR',
    },
  })) {
    it(`waits no longer for a peer that does not read when ${why}`, limit, async (t) => {
      const { client, wire } = await clientOnWire(t);
      wire.socket.pause();
      // More than the kernel takes.
      client.send('x'.repeat(32 << 20)).catch(() => {});
      const stream = await client.request('Q', config());
      await assert.rejects(stream.all(), { code });
      assert.equal(client._response_stream_map._map.size, 0);
    });
  }

  it('is answered packet by packet in a loop', async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const { client } = await startClient(t, { port: server.server.address().port });
    server.once('request', (_request, response) => {
      response.write(1);
      response.write('two');
      response.send(new Widget(3));
    });
    const seen = [];
    for await (const { data, type } of await client.request('Q')) seen.push([data, type]);
    assert.deepEqual(seen, [
      [1, 'Number'],
      ['two', 'String'],
      [{ n: 3 }, 'Widget'],
    ]);
  });
});
