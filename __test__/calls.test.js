'use strict';

// call(): a message whose answer is a promise.

const assert = require('node:assert/strict');
const { AsyncLocalStorage, executionAsyncId } = require('node:async_hooks');
const { getEventListeners } = require('node:events');
const { describe, it } = require('node:test');
const { unixPath } = require('./support/addresses.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { matrix } = require('./support/matrix.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/** A server with a client of this package on it, and the server's end of the connection. */
async function pair(t, serverOptions = {}, clientOptions = {}) {
  const { server, log, where } = await startServer(t, serverOptions);
  const { client, log: clientLog } = await startClient(t, where, clientOptions);
  const [sock, session] = (await log.next('connect')).args;
  return { server, log, where, client, clientLog, sock, session };
}

const outcome = (promise) => deadline(promise, 'the promise of a call').catch((err) => err);

describe('a call on the wire', () => {
  it('is a message with a callback', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    class Widget {
      a = 1;
    }
    const answer = client.call(new Widget());
    const frame = await wire.frame();
    assert.deepEqual(Object.keys(frame), ['type', 'data', 'id']);
    assert.deepEqual([frame.type, frame.data], ['Widget', { a: 1 }]);
    wire.write({ type: 'Object', data: { b: 2 }, callback_id: frame.id });
    assert.deepEqual(await outcome(answer), { b: 2 });
    assert.equal(client.stats().pending_callbacks, 0);
  });
});

matrix(
  {
    'the calls of this package are answered': async (cell) => {
      const { server, where } = await cell.server();
      const client = await cell.client(where);
      await client.do('connect');
      await server.next('connect');
      const sides = [
        { side: client, other: server, isNative: cell.pair.client === 'native' },
        { side: server, other: client, isNative: cell.pair.server === 'native' },
      ].filter(({ isNative }) => isNative);
      assert.ok(sides.length > 0);
      for (const { side, other } of sides) {
        await other.do('answerWith', { value: { b: 2 } });
        assert.deepEqual((await side.do('call', { value: 1 }, { timeout: 60_000 })).data, { b: 2 });
      }
    },
  },
  limit,
);

describe('a call', () => {
  it('of a client, a session and a server is answered', limit, async (t) => {
    const { server, client, sock, session } = await pair(t);
    server.on('receive', (object, { callback }) => callback({ ...object, by: 'server' }));
    client.on('receive', (object, { callback }) => callback({ ...object, by: 'client' }));
    assert.deepEqual(await outcome(client.call({ a: 1 })), { a: 1, by: 'server' });
    assert.deepEqual(await outcome(session.call({ a: 2 })), { a: 2, by: 'client' });
    assert.deepEqual(await outcome(server.call(sock, { a: 3 })), { a: 3, by: 'client' });
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.call({ i })));
    assert.deepEqual(
      answers,
      Array.from({ length: 1000 }, (_, i) => ({ i, by: 'server' })),
    );
  });

  it('rejects with ERR_SOCKET_DESTROYED when the connection ends', limit, async (t) => {
    const { server, log, client, sock, session } = await pair(t);
    const calls = [client.call({ a: 1 }), session.call({ a: 1 }), server.call(sock, { a: 1 })];
    await log.next('receive');
    sock.destroy();
    for (const call of calls) {
      const err = await outcome(call);
      assert.equal(err.code, 'ERR_SOCKET_DESTROYED');
      assert.equal(err.cause.message, 'The connection ended before the call was answered');
    }
    await until(() => server.sockets.length === 0, 'the connection is over');
    assert.deepEqual(
      [client.stats(), server.stats()].map((s) => s.pending_callbacks),
      [0, 0],
    );
  });

  it('rejects before session.end() has finished, which may wait for it', limit, async (t) => {
    const ended = [];
    class Waiter extends impl.session {
      async start() {
        this.asked = this.call({ question: 1 });
        this.asked.catch(() => {});
      }

      async end() {
        ended.push(await this.asked.catch(({ code }) => code));
      }
    }
    const { log, client } = await pair(t, { session_type: Waiter });
    await client.disconnect();
    await log.next('disconnect');
    assert.deepEqual(ended, ['ERR_SOCKET_DESTROYED']);
  });

  it('rejects if the attempt to connect fails', limit, async (t) => {
    const { client } = makeClient(t, { path: '/no/such/directory/socket' });
    const connecting = client.connect().catch(({ code }) => code);
    const err = await outcome(client.call({ a: 1 }));
    assert.equal(err.code, 'ERR_SOCKET_DESTROYED');
    assert.equal(await connecting, 'ENOENT');
  });

  it('rejects without a connection, and without a socket of the server', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    await client.disconnect();
    const err = await outcome(client.call({ a: 1 }));
    assert.deepEqual(
      [err.code, err.message],
      ['ERR_SOCKET_DESTROYED', 'Client unable to send() - socket has been destroyed'],
    );
    assert.equal((await outcome(server.call(null, { a: 1 }))).code, 'ERR_NO_SOCKET');
    await until(() => server.sockets.length === 0, 'the connection is over');
    assert.equal((await outcome(server.call(sock, { a: 1 }))).code, 'ERR_SOCKET_DESTROYED');
  });

  it('rejects with ERR_CALLBACK_TIMEOUT after its own timeout', limit, async (t) => {
    const { client, clientLog, wire } = await clientOnWire(t).then((made) => ({
      ...made,
      clientLog: made.log,
    }));
    const slow = client.call({ a: 'slow' });
    const err = await outcome(client.call({ a: 1 }, { timeout: 20 }));
    assert.deepEqual(
      [err.code, err.message],
      ['ERR_CALLBACK_TIMEOUT', 'A call was not answered within 20 ms'],
    );
    const { pending_callbacks, timed_out_callbacks } = client.stats();
    assert.deepEqual([pending_callbacks, timed_out_callbacks], [1, 1]);
    // A late answer is ignored, and the other call is answered.
    const [first, second] = await wire.take('frame', 2);
    wire.write({ type: 'Object', data: { late: true }, callback_id: second.json.id });
    wire.write({ type: 'Object', data: { b: 2 }, callback_id: first.json.id });
    assert.deepEqual(await outcome(slow), { b: 2 });
    assert.equal(clientLog.count('error'), 0);
  });

  it('has callback_timeout as its default timeout, as callbacks have', limit, async (t) => {
    const { server, client, sock, log } = await pair(t, { callback_timeout: 40 });
    client.on('receive', (object, { callback }) => object.answer && callback({ ok: true }));
    server.send(sock, { number: 1 }, () => assert.fail('it is not answered'));
    const call = server.call(sock, { number: 2 });
    const long = server.call(sock, { number: 3 }, { timeout: 600_000 });
    server.send(sock, { number: 4 }, () => assert.fail('it is not answered'));
    assert.match((await outcome(call)).message, /within 40 ms/);
    const events = await log.take('error', 2);
    assert.deepEqual(
      events.map(({ args: [err] }) => err.code),
      ['ERR_CALLBACK_TIMEOUT', 'ERR_CALLBACK_TIMEOUT'],
    );
    const { pending_callbacks, timed_out_callbacks } = server.stats();
    assert.deepEqual([pending_callbacks, timed_out_callbacks], [1, 3]);
    await client.disconnect();
    assert.equal((await outcome(long)).code, 'ERR_SOCKET_DESTROYED');
  });

  it('rejects with an AbortError, and is forgotten', limit, async (t) => {
    const { client } = await pair(t);
    const controller = new AbortController();
    const { signal } = controller;
    const call = client.call({ a: 1 }, { signal });
    controller.abort(new Error('enough'));
    const err = await outcome(call);
    assert.deepEqual(
      [err.name, err.code, err.cause.message],
      ['AbortError', 'ABORT_ERR', 'enough'],
    );
    assert.equal(client.stats().pending_callbacks, 0);
    const { messages_sent } = client.stats();
    assert.equal((await outcome(client.call({ a: 1 }, { signal }))).name, 'AbortError');
    assert.equal(client.stats().messages_sent, messages_sent, 'nothing is sent');
  });

  it('rejects beyond max_pending_callbacks', limit, async (t) => {
    const { client } = await pair(t, {}, { max_pending_callbacks: 1 });
    const first = client.call({ a: 1 });
    assert.equal((await outcome(client.call({ a: 2 }))).code, 'ERR_TOO_MANY_CALLBACKS');
    await client.disconnect();
    assert.equal((await outcome(first)).code, 'ERR_SOCKET_DESTROYED');
  });

  it('rejects with the error of an object that cannot be serialized', limit, async (t) => {
    const { client } = await pair(t);
    assert.ok((await outcome(client.call({ a: 1n }))) instanceof TypeError);
    assert.equal(client.stats().pending_callbacks, 0);
  });

  it('throws for mistakes of the program, as send() does', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    assert.throws(() => client.call(), { code: 'ERR_BAD_DATA' });
    assert.throws(() => server.call(sock), {
      code: 'ERR_BAD_DATA',
      message: 'SockhopServer call() requires a socket and data',
    });
    assert.throws(() => client.call({}, { timeout: -1 }), {
      code: 'ERR_OUT_OF_RANGE',
      message:
        'The "options.timeout" property must be a number of milliseconds > 0 and <= 2147483647 (left out, or 0, it is "callback_timeout"). Received type number (-1)',
    });
    assert.throws(() => client.call({}, { signal: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => client.call({}, () => {}), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /it takes no callback/,
    });
    assert.throws(() => client.call({}, 5000), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /such as \{ timeout: 5000 \}.*Received type number \(5000\)/,
    });
    const json = makeClient(t, { port: 1 }, { peer_type: 'json' }).client;
    assert.throws(() => json.call({}), { code: 'ERR_REMOTE_CALLBACK_TYPE' });
    assert.equal(client.stats().messages_sent, 0);
  });

  it('continues in the asynchronous context of its caller', limit, async (t) => {
    const { server, client } = await pair(t);
    server.on('receive', (_object, { callback }) => callback({}));
    const storage = new AsyncLocalStorage();
    const store = { id: executionAsyncId() };
    const seen = await storage.run(store, async () => {
      await client.call({ a: 1 });
      return storage.getStore();
    });
    assert.equal(seen, store);
  });

  it('passes through _send_message() of the program', limit, async (t) => {
    class Tagger extends impl.client {
      async _send_message(message) {
        return super._send_message({ ...message, data: { ...message.data, tag: 1 } });
      }
    }
    const { server, where } = await startServer(t);
    server.on('receive', (object, { callback }) => callback(object));
    const { client } = makeClient(t, where, {}, Tagger);
    await client.connect();
    assert.deepEqual(await outcome(client.call({ a: 1 })), { a: 1, tag: 1 });
  });

  it(
    'of a session works if a subclass of the server has a method of its name',
    limit,
    async (t) => {
      class Office extends impl.server {
        call() {
          assert.fail('it belongs to the program');
        }
      }
      const { server, log, where } = await startServer(t, {}, undefined, Office);
      const { client } = await startClient(t, where);
      client.on('receive', (_object, { callback }) => callback({ ok: true }));
      const [, session] = (await log.next('connect')).args;
      assert.equal(session.server, server);
      assert.deepEqual(await outcome(session.call({ a: 1 })), { ok: true });
    },
  );

  it('ends if the program removes its callback', limit, async (t) => {
    const { client } = await pair(t);
    const call = client.call({ a: 1 });
    client._send_callbacks = {};
    assert.equal((await outcome(call)).code, 'ERR_SOCKET_DESTROYED');
  });

  it('accepts an answer only from its own connection', limit, async (t) => {
    const { server, log, where, sock } = await pair(t);
    const call = server.call(sock, { a: 1 });
    const [id] = Object.keys(server._send_callbacks);
    const wire = await rawClient(t, where);
    await log.next('connect');
    wire.write(
      { type: 'Object', data: 'forged', callback_id: id },
      { type: 'Object', data: 'next' },
    );
    await log.next('receive', ({ args }) => args[0] === 'next');
    sock.destroy();
    assert.equal((await outcome(call)).code, 'ERR_SOCKET_DESTROYED');
  });
});

describe('one AbortSignal', () => {
  it('serves any number of calls, requests and connects with one listener', limit, async (t) => {
    const warnings = [];
    const warn = (warning) => warnings.push(warning.name);
    process.on('warning', warn);
    t.after(() => process.removeListener('warning', warn));
    const { server, where, client } = await pair(t);
    let callbacks = [];
    server.on('receive', (_object, { callback }) => callbacks.push(callback));
    const controller = new AbortController();
    const { signal } = controller;
    const listeners = () => getEventListeners(signal, 'abort').length;
    const clients = Array.from({ length: 20 }, () => makeClient(t, where).client);
    const connecting = clients.map((each) => each.connect({ signal }));
    assert.equal(listeners(), 1);
    await Promise.all(connecting);
    assert.equal(listeners(), 0);

    const answered = Array.from({ length: 50 }, (_, i) => client.call({ i }, { signal }));
    assert.equal(listeners(), 1);
    await until(() => callbacks.length === 50, 'the server has the calls');
    for (const callback of callbacks) callback({});
    await Promise.all(answered);
    assert.equal(listeners(), 0);

    callbacks = [];
    const aborted = Array.from({ length: 50 }, (_, i) => outcome(client.call({ i }, { signal })));
    const streams = await Promise.all(
      Array.from({ length: 50 }, () => client.request({}, { signal })),
    );
    const ends = streams.map((stream) => outcome(stream.next()));
    assert.equal(listeners(), 1);
    controller.abort();
    for (const end of [...aborted, ...ends]) assert.equal((await end).name, 'AbortError');
    assert.equal(listeners(), 0);
    // Warnings are emitted in the next tick.
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(warnings, []);
  });

  it('closes any number of listeners', limit, async (t) => {
    const controller = new AbortController();
    const { signal } = controller;
    const servers = Array.from({ length: 12 }, () => new impl.server({ path: unixPath(t) }));
    await Promise.all(servers.map((server) => server.listen({ signal })));
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    await servers.pop().close();
    controller.abort();
    await until(() => servers.every(({ server }) => !server.listening), 'all are closed');
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('ends all calls although a listener of the program throws', limit, async (t) => {
    const { client } = await pair(t);
    const controller = new AbortController();
    const { signal } = controller;
    const stream = await client.request({}, { signal });
    stream.on('end', () => {
      throw new Error('of the program');
    });
    const call = outcome(client.call({}, { signal }));
    const uncaught = new Promise((resolve) => {
      process.setUncaughtExceptionCaptureCallback(resolve);
    });
    t.after(() => process.setUncaughtExceptionCaptureCallback(null));
    controller.abort();
    assert.equal((await call).name, 'AbortError');
    assert.equal((await deadline(uncaught, 'the exception')).message, 'of the program');
  });
});
