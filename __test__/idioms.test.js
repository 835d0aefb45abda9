'use strict';

// The idioms of Node that programs expect of emitters, connections and servers.

const assert = require('node:assert/strict');
const diagnostics = require('node:diagnostics_channel');
const { getEventListeners, on, once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { inspect } = require('node:util');
const { cannotHang, hangingPort } = require('./support/hanging.js');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, until } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/** A server and its client. The listeners of `startServer` would include one for errors. */
async function pair(t, { serverOptions = {}, clientOptions = {}, transport = 'tcp' } = {}) {
  const where = await endpoint(t, transport);
  const server = new impl.server({ ...where, ...serverOptions });
  const client = new impl.client({ ...where, ...clientOptions });
  cleanup(t, () => server.close());
  cleanup(t, () => client.disconnect());
  await server.listen();
  const connect = once(server, 'connect');
  await client.connect();
  const [sock, session] = await connect;
  return { server, client, sock, session, where };
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n);
const isAbort = (reason) => (err) => {
  assert.equal(err.name, 'AbortError');
  assert.equal(err.code, 'ABORT_ERR');
  assert.equal(err.cause, reason);
  return true;
};

describe('events.once', () => {
  it('waits for connect, receive, request and disconnect', limit, async (t) => {
    const where = await endpoint(t);
    const server = new impl.server(where);
    const client = new impl.client(where);
    cleanup(t, () => server.close());
    await server.listen();
    const connected = [once(server, 'connect'), once(client, 'connect')];
    await client.connect();
    const [[sock, session], [socket]] = await Promise.all(connected);
    assert.deepEqual([server.sockets[0], server.sessions[0]], [sock, session]);
    assert.equal(client.socket, socket);

    client.send([1]);
    const [array, meta] = await once(server, 'receive');
    assert.deepEqual([array, meta.type, meta.session], [[1], 'Array', session]);
    const asked = client.request({ q: 1 });
    const [request, response] = await once(server, 'request');
    response.send({ a: request.data.q });
    assert.deepEqual((await (await asked).next()).data, { a: 1 });

    const gone = [once(server, 'disconnect'), once(client, 'disconnect')];
    server.kill_socket(sock);
    const [[lost, ended], [left]] = await Promise.all(gone);
    assert.deepEqual([lost, ended, left], [sock, session, socket]);
  });

  it('rejects with the emitted error', limit, async (t) => {
    const { client, server, sock } = await pair(t);
    const received = [once(client, 'receive'), once(server, 'receive')];
    sock.write('no JSON\n');
    client.socket.write('no JSON\n');
    const code = 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA';
    // Both are awaited at once, because the other one would be an unhandled rejection meanwhile.
    await Promise.all(received.map((promise) => assert.rejects(promise, { code })));
  });
});

describe('events.on', () => {
  for (const transport of transports) {
    it(`iterates over received messages to the end (${transport})`, limit, async (t) => {
      if (Number.parseInt(process.versions.node, 10) < 20) {
        return t.skip('there is no "close" option before Node 20');
      }
      const { client, server, sock } = await pair(t, { transport });
      const messages = on(client, 'receive', { close: ['disconnect'] });
      for (const n of numbers(200)) server.send(sock, { n });
      server.kill_socket(sock);
      const seen = [];
      for await (const [{ n }, { type }] of messages) {
        assert.equal(type, 'Object');
        seen.push(n);
        if (n % 50 === 0) await turn();
      }
      assert.deepEqual(seen, numbers(200));
    });
  }

  it('iterates over the messages of a server, and answers', limit, async (t) => {
    const { client, server } = await pair(t);
    const controller = new AbortController();
    const messages = on(server, 'receive', { signal: controller.signal });
    const serving = (async () => {
      for await (const [{ n }, { callback }] of messages) callback({ n: n + 1 });
    })();
    const ask = (n) => new Promise((resolve) => client.send({ n }, (answer) => resolve(answer.n)));
    assert.deepEqual(await Promise.all(numbers(20).map(ask)), numbers(21).slice(1));
    controller.abort();
    await assert.rejects(serving, { name: 'AbortError' });
    assert.equal(server.listenerCount('receive'), 0);
  });
});

describe('captureRejections', () => {
  const failing = async () => {
    await turn();
    throw new RangeError('out of the handler');
  };

  for (const role of ['client', 'server']) {
    it(`emits the rejection of a handler of a ${role}`, limit, async (t) => {
      const { client, server, sock } = await pair(t, {
        [`${role}Options`]: { captureRejections: true },
      });
      const emitter = role === 'client' ? client : server;
      emitter.on('receive', failing);
      const error = new Promise((resolve) => emitter.once('error', resolve));
      if (role === 'client') server.send(sock, {});
      else client.send({});
      const err = await deadline(error, 'the error');
      assert.ok(err instanceof RangeError);
      assert.equal(err.message, 'out of the handler');
    });

    it(`gives the rejection to a ${role} that handles it`, limit, async (t) => {
      const { client, server, sock } = await pair(t, {
        [`${role}Options`]: { captureRejections: true },
      });
      const emitter = role === 'client' ? client : server;
      emitter.on('receive', failing);
      const taken = new Promise((resolve) => {
        emitter[Symbol.for('nodejs.rejection')] = (...args) => resolve(args);
      });
      if (role === 'client') server.send(sock, { n: 1 });
      else client.send({ n: 1 });
      const [err, event, object] = await deadline(taken, 'the rejection');
      assert.deepEqual([err.message, event, object], ['out of the handler', 'receive', { n: 1 }]);
    });
  }

  it('is off unless it is on for all emitters', limit, async (t) => {
    const child = program(t, async ({ server: Server, client: Client }) => {
      const { EventEmitter } = require('node:events');
      process.on('unhandledRejection', ({ message }) => console.log(`unhandled ${message}`));
      for (const all of [false, true]) {
        EventEmitter.captureRejections = all;
        const server = new Server({ port: 0 });
        const seen = new Promise((resolve) => {
          server.on('receive', async () => {
            setTimeout(resolve, 20);
            throw new Error('rejected');
          });
        });
        server.on('error', ({ message }) => console.log(`error ${message}`));
        await server.listen();
        const client = new Client({ port: server.server.address().port });
        await client.connect();
        client.send({});
        await seen;
        await client.disconnect();
        await server.close();
      }
    });
    const { code, lines, stderr } = await child.ended();
    assert.deepEqual([code, stderr, lines], [0, '', ['unhandled rejected', 'error rejected']]);
  });
});

describe('Symbol.asyncDispose', () => {
  // Compiled programs use this name if the runtime has no such symbol.
  const dispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

  it('of a client ends its connection and its attempts', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    client.ping(1000);
    const gone = once(server, 'disconnect');
    await client[dispose]();
    assert.deepEqual(await gone, [sock, (await gone)[1]]);
    assert.deepEqual([client.connected, client.interval_timer], [false, null]);

    client.auto_reconnect = true;
    await client[dispose]();
    await client[dispose]();
    assert.deepEqual([client.connected, client.auto_reconnect], [false, false]);
  });

  it('of a server ends its connections and stops listening', limit, async (t) => {
    const { server, client, where } = await pair(t);
    const gone = once(client, 'disconnect');
    await server[dispose]();
    await gone;
    assert.deepEqual([server.server.listening, server.sockets], [false, []]);
    await assert.rejects(client.connect(), { code: 'ECONNREFUSED' });
    // As after close(), it can be used again.
    await server[dispose]();
    await server.listen();
    await new impl.client(where).connect().then(() => server[dispose]());
  });
});

describe('AbortSignal', () => {
  it('aborts a connect', limit, async (t) => {
    if (cannotHang) return t.skip(cannotHang);
    const { client, log } = makeClient(t, { port: await hangingPort(t) });
    const controller = new AbortController();
    const attempt = client.connect({ signal: controller.signal });
    const reason = new Error('enough');
    controller.abort(reason);
    await assert.rejects(attempt, isAbort(reason));
    assert.deepEqual(log.names(), []);
    // The next attempt is independent of it.
    const { server, where } = await startServer(t);
    client.port = where.port;
    await client.connect({ signal: new AbortController().signal });
    assert.equal(client.connected, true);
    await until(() => server.sockets.length === 1, 'the server has the connection');
  });

  it('that is aborted already aborts every call at once', limit, async (t) => {
    const { where, server } = await startServer(t);
    const { client } = await startClient(t, where);
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(new impl.client(where).connect({ signal }), isAbort(reason));
    await assert.rejects(new impl.server({ port: 0 }).listen({ signal }), isAbort(reason));
    await assert.rejects(client.request({}, { signal }), isAbort(reason));
    assert.deepEqual([client.connected, server.server.listening], [true, true]);
  });

  it('has no effect on an established connection', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, where);
    const controller = new AbortController();
    await client.connect({ signal: controller.signal });
    controller.abort();
    await turn();
    assert.deepEqual([client.connected, log.names()], [true, ['connect']]);
  });

  it('ends a listen, during the look-up of a name and later', limit, async (t) => {
    const { port } = await endpoint(t);
    const server = new impl.server({ port, address: 'localhost' });
    cleanup(t, () => server.close());
    const first = new AbortController();
    const attempt = server.listen({ signal: first.signal });
    first.abort();
    await assert.rejects(attempt, isAbort(first.signal.reason));
    assert.equal(server.server.listening, false);

    const second = new AbortController();
    const listener = await server.listen({ signal: second.signal });
    const { address } = listener.address();
    const { client, log } = await startClient(t, { port, address });
    const closed = once(listener, 'close');
    second.abort();
    assert.equal(server.server.listening, false);
    // As with net, this ends only the listening.
    server.on('receive', (object, { callback }) => callback(object));
    await new Promise((resolve) => client.send({}, resolve));
    assert.deepEqual(log.names(), ['connect']);
    await client.disconnect();
    await closed;
    await server.listen();
    await startClient(t, { port, address });
  });

  it('keeps no listener of a finished call', limit, async (t) => {
    const { where, server } = await startServer(t);
    server.on('request', (_request, response) => response.send({}));
    const { signal } = new AbortController();
    const counts = [];
    const count = () => counts.push(getEventListeners(signal, 'abort').length);
    for (let n = 0; n < 3; n += 1) {
      const client = new impl.client(where);
      await client.connect({ signal });
      const stream = await client.request({}, { signal });
      await stream.next();
      await client.disconnect();
      count();
      await new impl.client({ port: 1 }).connect({ signal }).catch(() => {});
      count();
      const other = new impl.server({ port: 0 });
      await other.listen({ signal });
      await other.close();
      count();
    }
    assert.deepEqual(counts, Array(9).fill(0));
  });

  it('may be null, and must be an AbortSignal otherwise', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where);
    assert.throws(() => client.connect({ signal: {} }), { code: 'ERR_INVALID_ARG_TYPE' });
    const server = new impl.server({ port: 0 });
    assert.throws(() => server.listen({ signal: 'now' }), { code: 'ERR_INVALID_ARG_TYPE' });
    await client.connect({ signal: null });
    await server.listen({ signal: null });
    await server.close();
  });
});

describe('close() while listen() looks a name up', () => {
  it('leaves no listener behind', limit, async (t) => {
    const { port } = await endpoint(t);
    const server = new impl.server({ port, address: 'localhost' });
    const attempt = server.listen();
    const refused = assert.rejects(attempt, { code: 'ERR_SERVER_NOT_RUNNING' });
    await server.close();
    await refused;
    const stranger = net.createServer();
    await new Promise((resolve, reject) => {
      stranger.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    await new Promise((resolve) => stranger.close(resolve));
  });
});

describe('util.inspect', () => {
  const show = (value) => inspect(value, { breakLength: Infinity });

  it('shows the address and the state of a client', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where);
    const name = `127.0.0.1:${where.port}`;
    assert.equal(show(client), `SockhopClient { ${name}, not connected }`);
    const attempt = client.connect();
    assert.equal(show(client), `SockhopClient { ${name}, connecting }`);
    await attempt;
    assert.equal(show(client), `SockhopClient { ${name}, connected }`);
    class Mine extends impl.client {}
    assert.equal(show(new Mine({ path: '/run/x' })), 'Mine { /run/x, not connected }');
  });

  it('shows a server, its listener and its sockets', limit, async (t) => {
    const { port } = await endpoint(t);
    const server = new impl.server({ port });
    cleanup(t, () => server.close());
    const name = `127.0.0.1:${port}`;
    assert.equal(show(server), `SockhopServer { ${name}, not listening, 0 connections }`);
    assert.equal(show(server.server), 'Listener { not listening }');
    await server.listen();
    const wire = await rawClient(t, { port });
    const [sock] = await once(server, 'connect');
    assert.equal(show(server), `SockhopServer { ${name}, listening, 1 connection }`);
    assert.equal(show(server.server), `Listener { ${name}, 1 open }`);
    const far = `127.0.0.1:${wire.socket.localPort}`;
    assert.equal(show(sock), `SockhopSocket { ${name} to ${far}, open }`);
    const gone = once(server, 'disconnect');
    wire.socket.destroy();
    await gone;
    assert.equal(show(sock), `SockhopSocket { ${name} to ${far}, closed }`);
    // The result does not depend on the depth of the inspection.
    assert.match(inspect({ a: { b: { server } } }, { depth: 0 }), /\[Object\]/);
    assert.match(inspect({ server }, { depth: 0 }), /listening/);
  });

  it('shows a Unix socket by its path', limit, async (t) => {
    const { server, client, sock, where } = await pair(t, { transport: 'unix' });
    assert.match(show(server), new RegExp(`${where.path}, listening`));
    assert.equal(show(sock), `SockhopSocket { ${where.path}, open }`);
    assert.equal(show(client.socket), `SockhopSocket { ${where.path}, open }`);
    assert.equal(show(server.server), `Listener { ${where.path}, 1 open }`);
  });

  it('shows the own properties that a program gives a session', limit, async (t) => {
    class User extends impl.session {
      name = 'Ann';
      likes = { hats: ['top'] };
    }
    const { session } = await pair(t, { serverOptions: { session_type: User } });
    const text = show(session);
    assert.match(text, /^User \{ sock: SockhopSocket \{ .* \}, server: SockhopServer \{ .* \}, /);
    assert.match(text, /name: 'Ann', likes: \{ hats: \[ 'top' \] \} \}$/);
    assert.doesNotMatch(text, /_events|_sock|Symbol/);
    assert.match(inspect({ session }, { depth: 0 }), /\[User\]/);
  });

  it('shows whether a stream of answers has ended', limit, async (t) => {
    const { server, client } = await pair(t);
    server.on('request', (_request, response) => response.send({}));
    const stream = await client.request({});
    assert.equal(
      show(stream),
      `SockhopResponseReadableStream { ${stream.uuid}, ${stream.ended ? 'ended' : 'open'} }`,
    );
    await stream.next();
    assert.equal(show(stream), `SockhopResponseReadableStream { ${stream.uuid}, ended }`);
  });
});

describe('diagnostics_channel', () => {
  /**
   * Collects the messages of a channel about these objects from now on. A channel is shared by the
   * whole process.
   */
  function subscribe(t, name) {
    const seen = [];
    const listener = (message) => seen.push(message);
    diagnostics.channel(name).subscribe(listener);
    t.after(() => diagnostics.channel(name).unsubscribe(listener));
    return (...whom) => seen.filter(({ client, server }) => whom.includes(client ?? server));
  }

  it('publishes connections that begin and end', limit, async (t) => {
    const connects = subscribe(t, 'sockhop:connect');
    const disconnects = subscribe(t, 'sockhop:disconnect');
    const errors = subscribe(t, 'sockhop:error');
    const { server, client, sock, session } = await pair(t);
    const { socket } = client;
    const bySide = (told) =>
      told(server, client).sort((a, b) => Number('server' in a) - Number('server' in b));
    assert.deepEqual(
      bySide(connects).map((message) => Object.keys(message)),
      [
        ['client', 'socket'],
        ['server', 'socket', 'session'],
      ],
    );
    const [here, there] = bySide(connects);
    assert.ok(here.client === client && here.socket === socket);
    assert.ok(there.server === server && there.socket === sock && there.session === session);
    const gone = once(server, 'disconnect');
    await client.disconnect();
    await gone;
    const [left, lost, ...more] = bySide(disconnects);
    assert.ok(left.client === client && left.socket === socket);
    assert.ok(lost.server === server && lost.session === session);
    assert.deepEqual([more, errors(server, client)], [[], []]);
  });

  it('publishes errors, with or without a listener', limit, async (t) => {
    const errors = subscribe(t, 'sockhop:error');
    const { client, raw, wire } = await clientOnWire(t);
    const { server, log, where } = await startServer(t);
    const other = await rawClient(t, where);
    const [sock, session] = (await log.next('connect')).args;
    wire.write('no JSON');
    await until(() => errors(client).length === 1, 'the client has told');
    assert.equal(errors(client)[0].error.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    other.write('no JSON');
    await until(() => errors(server).length === 1, 'the server has told');
    const [told] = errors(server);
    assert.ok(told.socket === sock && told.session === session);
    assert.equal(told.error.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');

    const late = new impl.server(raw.where);
    await assert.rejects(late.listen(), { code: 'EADDRINUSE' });
    assert.equal(errors(late)[0].error.code, 'EADDRINUSE');
  });

  it('publishes messages of both directions, with their kinds', limit, async (t) => {
    const { server, client, sock, session } = await pair(t);
    const messages = subscribe(t, 'sockhop:message');
    class Widget {
      a = 1;
    }
    server.on('receive', (_object, { callback }) => callback?.({ b: 2 }));
    server.on('request', (_request, response) => response.send({ d: 4 }));
    client.send(new Widget());
    await new Promise((resolve) => client.send({}, resolve));
    const stream = await client.request({ c: 3 });
    await stream.next();
    const arrived = once(client, 'receive');
    await server.sendall({ e: 5 });
    await arrived;

    const summary = (side) =>
      messages(side).map(({ direction, kind, type, data }) => [direction, kind, type, data]);
    const others = (each) => [each[0] === 'sent' ? 'received' : 'sent', ...each.slice(1)];
    const ofServer = [
      ['received', 'message', 'Widget', { a: 1 }],
      ['received', 'message', 'Object', {}],
      ['sent', 'answer', 'Object', { b: 2 }],
      ['received', 'request', 'Object', { c: 3 }],
      ['sent', 'response', 'Object', { d: 4 }],
    ];
    assert.deepEqual(summary(server), [...ofServer, ['sent', 'broadcast', 'Object', { e: 5 }]]);
    assert.deepEqual(
      summary(client).map((each) => [...each.slice(0, 3), { ...each[3] }]),
      [...ofServer.map(others), ['received', 'message', 'Object', { e: 5 }]],
    );
    const ids = (side) => messages(side).map(({ id }) => id);
    assert.deepEqual(ids(server), ids(client));
    const [first, asked, answer, request, response] = ids(server);
    assert.equal(first, undefined);
    assert.equal(typeof asked, 'string');
    assert.deepEqual([answer, response], [asked, request]);
    const lasts = messages(server).map(({ last }) => last);
    assert.deepEqual(lasts, [undefined, undefined, true, undefined, true, undefined]);
    const [received] = messages(server);
    assert.ok(received.socket === sock && received.session === session);
    assert.equal(messages(client)[0].socket, client.socket);
    assert.equal(messages(server).at(-1).socket, null);
  });

  it('publishes no pings, and the bare values of a JSON peer', limit, async (t) => {
    const messages = subscribe(t, 'sockhop:message');
    const { client, raw, wire } = await clientOnWire(t, { peer_type: 'json', debug: true });
    assert.ok(raw);
    client.ping(50);
    await until(() => wire.entries.length > 0, 'a ping came');
    client.ping(0);
    await client.send({ a: 1 });
    wire.write('[2]\n');
    await until(() => messages(client).length === 2, 'both messages are published');
    const [sent, received] = messages(client);
    assert.deepEqual([sent.kind, sent.type, sent.data], ['message', 'Object', { a: 1 }]);
    assert.deepEqual([received.kind, received.type, received.data], ['message', 'Array', [2]]);
  });

  it('keeps the messages if a subscriber throws', limit, async (t) => {
    const { code, lines } = await program(t, async (sockhop) => {
      const diagnostics_channel = require('node:diagnostics_channel');
      diagnostics_channel.channel('sockhop:message').subscribe(() => {
        throw new Error('the fault of the subscriber');
      });
      const thrown = new Set();
      process.on('uncaughtException', (err) => thrown.add(err.message));
      const server = new sockhop.server({ port: 0 });
      await server.listen();
      const client = new sockhop.client({ port: server.server.address().port });
      await client.connect();
      server.on('receive', (object, { callback }) => callback(object));
      const answer = await new Promise((resolve) => client.send({ a: 1 }, resolve));
      await client.disconnect();
      await server.close();
      console.log(JSON.stringify([answer, [...thrown]]));
    }).ended();
    assert.deepEqual([code, lines], [0, ['[{"a":1},["the fault of the subscriber"]]']]);
  });

  it('publishes before the program gets the event', limit, async (t) => {
    const connects = subscribe(t, 'sockhop:connect');
    const { where } = await startServer(t);
    const client = new impl.client(where);
    cleanup(t, () => client.disconnect());
    let before;
    client.on('connect', () => {
      before = connects(client).length;
    });
    await client.connect();
    assert.equal(before, 1);
  });
});

describe('stats()', () => {
  /** The keys that index.d.ts declares. */
  const declared = () => {
    const text = fs.readFileSync(path.join(__dirname, '..', 'index.d.ts'), 'utf8');
    const [, members] = text.match(/export interface SockhopStats \{\n(.*?)^\}/ms);
    return Array.from(members.matchAll(/^ {2}(\w+): /gm), ([, name]) => name);
  };

  const NULL_AT_FIRST = ['round_trip', 'oldest_callback', 'last_connect_error'];

  it('has all figures from the beginning', limit, () => {
    for (const idle of [new impl.client(), new impl.server()]) {
      const stats = idle.stats();
      assert.deepEqual(Object.keys(stats).sort(), declared().sort());
      for (const [name, value] of Object.entries(stats)) {
        assert.equal(value, NULL_AT_FIRST.includes(name) ? null : 0, name);
      }
    }
  });

  for (const transport of transports) {
    it(`counts messages and bytes, as they are on the wire (${transport})`, limit, async (t) => {
      const options = { clientOptions: { codec: 'json' }, serverOptions: { codec: 'json' } };
      const { server, client, sock, where } = await pair(t, { transport, ...options });
      const log = record(server);
      server.on('receive', (_object, { callback }) => callback?.('yes'));
      const frames = ['{"type":"String","data":"h\u00e9"}\n', '{"type":"Object","data":{"n":1}}\n'];
      client.send('h\u00e9');
      client.send({ n: 1 });
      await log.take('receive', 2);
      const bytes = Buffer.byteLength(frames.join(''));
      const one = { connections: 1, messages_received: 0, messages_sent: 2, bytes_sent: bytes };
      assert.deepEqual({ ...client.stats(), ...one, bytes_received: 0 }, client.stats());
      const { messages_received, bytes_received, bytes_sent, queued_bytes } = server.stats();
      assert.deepEqual(
        [messages_received, bytes_received, bytes_sent, queued_bytes],
        [2, bytes, 0, 0],
      );

      // A callback counts as two messages: one in each direction.
      await new Promise((resolve) => client.send({}, resolve));
      assert.deepEqual([client.stats().messages_sent, client.stats().messages_received], [3, 1]);
      assert.equal(client.stats().bytes_received, server.stats().bytes_sent);

      // A broadcast counts for each client.
      const others = await Promise.all([1, 2].map(() => startClient(t, where)));
      await until(() => server.stats().connections === 3, 'all are there');
      await server.sendall({});
      for (const { log: each } of others) await each.next('receive');
      assert.equal(server.stats().messages_sent, 4);

      // A closed connection still counts, and is no longer open.
      const before = server.stats();
      const gone = once(server, 'disconnect');
      await server.kill_socket(sock);
      await gone;
      // The sums of a closed connection remain, but not whether the loop or a thread read it.
      const { loop_connections, thread_connections } = server.stats();
      assert.equal(loop_connections + thread_connections, 2);
      assert.deepEqual(server.stats(), {
        ...before,
        connections: 2,
        loop_connections,
        thread_connections,
      });
      await until(() => !client.connected, 'the client has noticed');
      const { connections, messages_sent } = client.stats();
      assert.deepEqual([connections, messages_sent], [0, 3]);
      await client.connect();
      client.send({});
      await log.take('receive', 2);
      assert.equal(client.stats().messages_sent, 4);
    });
  }

  it('counts the bytes that wait for a peer that does not read', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    client.socket.pause();
    const size = 8 << 20;
    const sent = server.send(sock, 'x'.repeat(size));
    await until(() => server.stats().queued_bytes > 0, 'something waits');
    const { queued_bytes, bytes_sent } = server.stats();
    assert.ok(queued_bytes + bytes_sent > size);
    client.socket.resume();
    await sent;
    assert.equal(server.stats().queued_bytes, 0);
  });

  it('counts pending callbacks', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    client.send({}, () => {});
    client.send({}, () => {});
    server.send(sock, {}, () => {});
    assert.deepEqual([client.stats().pending_callbacks, server.stats().pending_callbacks], [2, 1]);
    const gone = once(server, 'disconnect');
    await client.disconnect();
    await gone;
    assert.deepEqual([client.stats().pending_callbacks, server.stats().pending_callbacks], [0, 0]);
  });

  for (const [title, clientOptions] of [
    ['', {}],
    [', with debug', { debug: true }],
  ]) {
    it(`reports the round trip of a ping${title}`, limit, async (t) => {
      const { server, client } = await pair(t, { clientOptions });
      for (const side of [client, server]) {
        assert.equal(side.stats().round_trip, null);
        side.ping(150);
        await until(() => side.stats().round_trip !== null, 'a ping is answered');
        const { round_trip } = side.stats();
        assert.ok(round_trip >= 0 && round_trip < 10_000, `${round_trip}`);
      }
    });
  }

  it('reports the round trip of a ping over an adopted stream', limit, async (t) => {
    const { server, where } = await startServer(t);
    const stream = net.connect(where.port, '127.0.0.1');
    await once(stream, 'connect');
    const client = new impl.client();
    cleanup(t, () => client.disconnect());
    client.socket = stream;
    client.ping(150);
    await until(() => client.stats().round_trip !== null, 'a ping is answered');
    assert.ok(client.stats().round_trip >= 0);

    // The same in the other direction.
    const front = net.createServer((each) => server.server.emit('connection', each));
    await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
    cleanup(t, () => new Promise((resolve) => front.close(resolve)));
    await client.disconnect();
    await until(() => server.sockets.length === 0, 'the first is gone');
    await startClient(t, { port: front.address().port });
    await until(() => server.sockets.length === 1, 'the second is there');
    assert.equal(server.stats().round_trip, null);
    server.ping(150);
    await until(() => server.stats().round_trip !== null, 'a ping is answered');
  });
});
