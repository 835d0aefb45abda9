'use strict';

// Tests uses of sockhop 1.8.4 that its documents do not mention: private names, the order of
// events, and stand-ins of tests. With SOCKHOP_UNDER_TEST=sockhop-1.8 the same tests pass on the
// original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { underTest } = require('../conformance/under-test.js');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');

const lib = (name) => require(path.join(underTest(), 'lib', name));
const { SockhopResponseReadableStream, SockhopResponseWriteableStream } = lib('SockhopRequest.js');

const limit = { timeout: 600_000 };

/** A server and a client that are connected. */
async function pair(t, options = {}, Client = impl.client) {
  const { server, log, where } = await startServer(t, options, { path: unixPath(t) });
  const { client } = makeClient(t, where, options, Client);
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock, session] = await deadline(arrived, 'the connection');
  return { server, client, sock, session, log, where };
}

const ask = (client, object) => new Promise((resolve) => client.send(object, resolve));

describe('the events of a client', () => {
  it('come before those of its socket when it is connected', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where);
    const seen = [];
    client.on('connect', (socket) => {
      seen.push('client');
      socket.on('connect', () => seen.push('connect of a listener that was added now'));
      socket.on('ready', () => seen.push('ready'));
    });
    await client.connect();
    await turn();
    assert.deepEqual(seen, ['client', 'ready']);
  });

  it(
    'find the socket destroyed, and the answers given up, after disconnect()',
    limit,
    async (t) => {
      const { server, client } = await pair(t);
      server.on('request', () => {});
      const stream = await client.request({ a: 1 });
      server.on('receive', (_, meta) => meta.callback());
      await deadline(ask(client, 'whether the request has arrived'), 'the answer');
      const seen = [];
      stream.on('end', (err) => seen.push(['end', err instanceof Error]));
      client.on('disconnect', (socket) => seen.push(['disconnect', socket.destroyed]));
      await client.disconnect();
      assert.deepEqual(seen, [
        ['end', true],
        ['disconnect', true],
      ]);
    },
  );

  it('include no finish of a socket that disconnect() has destroyed', limit, async (t) => {
    const { client } = await pair(t);
    const seen = [];
    const { socket } = client;
    for (const event of ['finish', 'close']) socket.on(event, () => seen.push(event));
    const closed = once(socket, 'close');
    await client.disconnect();
    await deadline(closed, 'the end of the socket');
    assert.deepEqual(seen, ['close']);
  });

  it('show the unanswered pings that ended the connection', limit, async (t) => {
    const { client } = await clientOnWire(t);
    const lost = new Promise((resolve) => {
      client.on('disconnect', () => resolve(client.pings.map((ping) => ping.unanswered())));
    });
    client.ping(50);
    assert.deepEqual(await deadline(lost, 'the end of the connection'), [true, true, true, true]);
    assert.deepEqual(client.pings, []);
  });

  it('include the end of the connection for an error by its text', limit, async (t) => {
    for (const [text, auto_reconnect] of [
      ['read ECONNRESET', false],
      ['This socket is closed', true],
    ]) {
      const { client } = await pair(t, { auto_reconnect_interval: 60_000 });
      client.auto_reconnect = auto_reconnect;
      const seen = [];
      client.on('error', (err) => seen.push(err.message));
      client.on('disconnect', () => seen.push('disconnect'));
      client.socket.emit('error', new Error(text));
      assert.deepEqual(seen, ['disconnect']);
      client.auto_reconnect = false;
    }
  });
});

describe('a ping that a program sends itself', () => {
  const { SockhopPing } = lib('SockhopPing.js');

  it('is concluded if it is among those of the client or server', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const concluded = async (pings, send) => {
      const ping = new SockhopPing();
      pings.push(ping);
      await send(ping);
      await until(() => !ping.unanswered(), 'the pong has arrived');
      assert.ok(ping._finished instanceof Date);
    };
    await concluded(client.pings, (ping) => client.send(ping));
    await concluded(server.pings.get(sock), (ping) => server.send(sock, ping));
    const assigned = new SockhopPing();
    client.pings = [assigned];
    await client.send(assigned);
    await until(() => !assigned.unanswered(), 'the pong has arrived');
  });
});

describe('a method of SockhopPing that a program replaces', () => {
  const { SockhopPing } = lib('SockhopPing.js');

  it('conclude_with_pong() is called with each pong', limit, async (t) => {
    const { server, client } = await pair(t);
    const concluded = t.mock.method(SockhopPing.prototype, 'conclude_with_pong');
    for (const side of [client, server]) {
      const before = concluded.mock.callCount();
      side.ping(20);
      await until(() => concluded.mock.callCount() > before + 1, 'two pongs have arrived');
      side.ping(0);
      const { arguments: given } = concluded.mock.calls.at(-1);
      assert.equal(typeof given[0]._id, 'string');
    }
  });

  it('unanswered() decides whether the peer is dead', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    t.mock.method(SockhopPing.prototype, 'unanswered', () => false);
    client.ping(20);
    for (let i = 0; i < 8; i++) await wire.frame(({ type }) => type === 'SockhopPing');
    assert.equal(client.connected, true);
  });
});

describe('a stand-in for a socket that a test assigns to client._socket', () => {
  const standIn = () => ({
    destroyed: false,
    written: [],
    write(bytes, done) {
      this.written.push(String(bytes));
      done();
    },
    end() {},
    destroy() {
      this.destroyed = true;
    },
  });

  it('is written to, and its answers are taken', limit, async (t) => {
    const { client } = makeClient(t, { path: unixPath(t) });
    const first = standIn();
    client._socket = first;
    await client.send({ a: 1 });
    const answered = ask(client, { a: 2 });
    const [id] = Object.keys(client._send_callbacks);
    client._on_recieved_object({ type: 'Object', data: { b: 2 }, callback_id: id });
    assert.deepEqual(await deadline(answered, 'the answer'), { b: 2 });
    const second = standIn();
    client._socket = second;
    await client.send({ a: 3 });
    assert.deepEqual(first.written, [
      '{"type":"Object","data":{"a":1}}\n',
      `{"type":"Object","data":{"a":2},"id":"${id}"}\n`,
    ]);
    assert.deepEqual(second.written, ['{"type":"Object","data":{"a":3}}\n']);
    await client.disconnect();
    assert.equal(second.destroyed, true);
    await assert.rejects(client.send({ a: 4 }), { code: 'ERR_SOCKET_DESTROYED' });
  });
});

describe('the error of a socket that the program destroys', () => {
  for (const event of ['connect', 'request']) {
    it(`in a handler of ${event} is emitted by the server`, limit, async (t) => {
      const { server, log, where } = await startServer(t, {}, { path: unixPath(t) });
      const { client } = makeClient(t, where);
      server.on('connect', (sock) => {
        if (event === 'connect') sock.destroy(new Error('of the program'));
      });
      server.on('request', (_request, response, { socket }) => {
        socket.destroy(new Error('of the program'));
        response.send(1).catch(() => {});
      });
      await client.connect();
      if (event === 'request') client.request({}).catch(() => {});
      const [err, socket] = (await log.next('error')).args;
      assert.equal(err.message, 'of the program');
      assert.equal(socket.destroyed, true);
    });
  }
});

describe('the error of a send() over a socket that is destroyed', () => {
  it('has the text of the client, or of the server', limit, async (t) => {
    const { client, server, sock } = await pair(t);
    const ofClient = 'Client unable to send() - socket has been destroyed';
    client.socket.destroy();
    await assert.rejects(client.send({}), { code: 'ERR_SOCKET_DESTROYED', message: ofClient });
    sock.destroy();
    await assert.rejects(server.send(sock, {}), { message: 'Socket was destroyed' });
  });
});

describe('a setter of a subclass for the socket', () => {
  it('is used when the client connects', limit, async (t) => {
    const seen = [];
    class Tuned extends impl.client {
      get socket() {
        return super.socket;
      }

      set socket(socket) {
        seen.push(socket instanceof net.Socket);
        socket.setKeepAlive(true);
        super.socket = socket;
      }
    }
    const { server, client } = await pair(t, {}, Tuned);
    server.on('receive', (object, meta) => meta.callback(object));
    assert.deepEqual(await deadline(ask(client, { a: 1 }), 'the answer'), { a: 1 });
    assert.deepEqual(seen, [true]);
    assert.equal(client.connected, true);
  });
});

describe('server.server', () => {
  it('is the same until close() is done', limit, async (t) => {
    const { server } = await startServer(t);
    const listener = server.server;
    const closing = server.close();
    assert.equal(server.server, listener);
    await deadline(once(server.server, 'close'), 'the event');
    await closing;
    assert.notEqual(server.server, listener);
  });

  it('has its close() called with a callback, which a stand-in may call', limit, async (t) => {
    const server = new impl.server({ path: unixPath(t) });
    const calls = [];
    server.server.close = (callback) => {
      calls.push(typeof callback);
      callback();
    };
    await deadline(server.close(), 'close()');
    assert.deepEqual(calls, ['function']);
  });

  for (const method of ['listen', 'close']) {
    it(`calls ${method}() of a patched prototype of net.Server`, limit, async (t) => {
      const original = net.Server.prototype[method];
      const calls = [];
      t.mock.method(net.Server.prototype, method, function patched(...args) {
        calls.push(this);
        return original.apply(this, args);
      });
      const server = new impl.server({ path: unixPath(t) });
      const { server: listener } = server;
      await server.listen();
      const { client } = makeClient(t, { path: server.path });
      server.on('receive', (object, meta) => meta.callback(object));
      await client.connect();
      assert.deepEqual(await deadline(ask(client, { a: 1 }), 'the answer'), { a: 1 });
      await client.disconnect();
      await server.close();
      assert.ok(calls.includes(listener));
    });
  }
});

describe('a message that a test gives to _on_recieved_object() of a server', () => {
  it('has no session if the test gives none', limit, async (t) => {
    const server = new impl.server({ path: unixPath(t) });
    const metas = [];
    server.on('receive', (_, meta) => metas.push(meta));
    server._on_recieved_object({ type: 'A', data: 1 });
    assert.deepEqual(metas, [{ type: 'A', socket: undefined, session: undefined }]);
  });
});

describe('_send_message() with a value that JSON cannot express', () => {
  it('sends the word undefined', limit, async (t) => {
    const { client, sock } = await pair(t, { allow_non_objects: true });
    let bytes = '';
    sock.on('data', (chunk) => {
      bytes += chunk;
    });
    await client._send_message(Symbol('no JSON'));
    await client._send_message({ type: 'A', data: 1 });
    await until(() => bytes.endsWith('"data":1}\n'), 'the next message');
    assert.equal(bytes, 'undefined\n{"type":"A","data":1}\n');
  });
});

describe('the constructor of a value', () => {
  it('is not read twice for a JSON peer', limit, async (t) => {
    const { client, log } = await pair(t, { peer_type: 'json' });
    let reads = 0;
    const value = {
      get constructor() {
        reads += 1;
        return 'made by hand';
      },
    };
    await client.send(value);
    await log.next('receive');
    assert.equal(reads, 1);
  });
});

describe('meta.callback', () => {
  it('has a name, which is shown when a program logs meta', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const asked = [once(client, 'receive'), once(server, 'receive')];
    server.send(sock, { a: 1 }, () => {});
    client.send({ a: 1 }, () => {});
    for (const question of asked) {
      const [, { callback }] = await deadline(question, 'the question');
      assert.equal(callback.name, 'callback');
    }
  });
});

describe('a socket', () => {
  it('has a listener of data, by each way to look for it', limit, async (t) => {
    const { client, sock } = await pair(t);
    for (const socket of [sock, client.socket]) {
      assert.equal(socket.listenerCount('data'), 1);
      assert.equal(socket.listeners('data').length, 1);
      assert.ok(socket.eventNames().includes('data'));
      const listener = () => {};
      socket.on('data', listener);
      assert.equal(socket.listenerCount('data'), 2);
      socket.off('data', listener);
      assert.equal(socket.listenerCount('data'), 1);
    }
  });

  for (const when of ['in the handler of connect', 'later', 'after many messages']) {
    it(`shows its bytes to an emit() that the program wraps ${when}`, limit, async (t) => {
      const { server, where } = await startServer(t, {}, { path: unixPath(t) });
      const { client } = makeClient(t, where);
      const seen = { server: '', client: '' };
      const wrap = (socket, side) => {
        const { emit } = socket;
        socket.emit = function (event, ...args) {
          if (event === 'data') seen[side] += args[0];
          return emit.call(this, event, ...args);
        };
      };
      const isFirst = when === 'in the handler of connect';
      if (isFirst) {
        server.on('connect', (sock) => wrap(sock, 'server'));
        client.on('connect', (socket) => wrap(socket, 'client'));
      }
      server.on('receive', (object, { callback }) => callback?.(object));
      const arrived = once(server, 'connect');
      await client.connect();
      const [sock] = await deadline(arrived, 'the connection');
      if (when === 'after many messages') for (let i = 0; i < 80; i++) await ask(client, { i });
      if (!isFirst) {
        wrap(sock, 'server');
        wrap(client.socket, 'client');
      }
      for (let i = 0; i < 3; i++) assert.deepEqual(await ask(client, { i }), { i });
      const lines = () => Object.values(seen).flatMap((text) => text.split('\n').slice(0, -1));
      await until(() => lines().length === 6, 'the bytes');
      assert.deepEqual(
        lines().map((line) => JSON.parse(line).data.i),
        [0, 1, 2, 0, 1, 2],
      );
    });
  }

  it('shows all messages of a burst to an emit() that is wrapped before it', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    for (const [target, socket, send] of [
      [client, client.socket, (n) => server.send(sock, { n })],
      [server, sock, (n) => client.send({ n })],
    ]) {
      const received = new Promise((resolve) => {
        target.on('receive', ({ n }) => n === 5 && resolve());
      });
      const { emit } = socket;
      let seen = '';
      socket.emit = function (event, ...args) {
        if (event === 'data') seen += args[0];
        return emit.call(this, event, ...args);
      };
      for (let n = 0; n < 6; n++) send(n);
      await deadline(received, 'the messages');
      await until(() => seen.split('\n').length === 7, 'their bytes');
      const lines = seen.trim().split('\n');
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).data.n),
        [0, 1, 2, 3, 4, 5],
      );
    }
  });

  it('shows the rest of a message to an emit() that is wrapped in its middle', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    server.on('receive', (object, { callback }) => callback?.(object));
    client.socket.write('{"type":"Whole","data":1}\n{"type":"Part",');
    await deadline(once(server, 'receive'), 'the first message');
    const { emit } = sock;
    let seen = '';
    sock.emit = function (event, ...args) {
      if (event === 'data') seen += args[0];
      return emit.call(this, event, ...args);
    };
    client.socket.write('"data":2}\n{"type":"Whole","data":3}\n');
    await deadline(
      until(() => seen.endsWith('"data":3}\n'), 'the bytes'),
      'the bytes',
    );
    assert.ok(seen.includes('"data":2}\n'), seen);
  });

  it('ends its connection when a test pushes the end', limit, async (t) => {
    for (const side of ['client', 'server']) {
      const { server, client, sock } = await pair(t);
      const left = [once(client, 'disconnect'), once(server, 'disconnect')];
      (side === 'client' ? client.socket : sock).push(null);
      await deadline(Promise.all(left), 'the disconnects');
    }
  });

  it('whose connect() is called while it is connected ends with EISCONN', limit, async (t) => {
    const { server, where, log } = await startServer(t);
    const { client } = makeClient(t, where);
    const arrived = once(server, 'connect');
    await client.connect();
    const [sock] = await deadline(arrived, 'the connection');
    sock.connect(where.port, where.address);
    const [err, socket] = (await log.next('error')).args;
    assert.equal(err.code, 'EISCONN');
    assert.equal(socket, sock);
  });

  it('of a server has the listener as server and _server', limit, async (t) => {
    const { server, sock } = await pair(t);
    assert.equal(sock.server, server.server);
    assert.equal(sock._server, server.server);
  });

  it('delivers a message that a test pushes', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    for (const [target, socket] of [
      [client, client.socket],
      [server, sock],
    ]) {
      const received = once(target, 'receive');
      socket.push(Buffer.from('{"type":"A","data":7}\n'));
      assert.equal((await deadline(received, 'the message'))[0], 7);
    }
    const received = once(server, 'receive');
    await client.send({ after: 1 });
    assert.deepEqual((await deadline(received, 'the next'))[0], { after: 1 });
  });

  it('delivers the messages that a program puts back with unshift()', limit, async (t) => {
    const { server, client, sock, log } = await pair(t);
    const message = (data) => Buffer.from(`{"type":"String","data":"${data}"}\n`);
    sock.unshift(message('while it flows'));
    assert.equal((await log.next('receive')).args[0], 'while it flows');
    sock.pause();
    sock.unshift(message('while it is paused'));
    sock.resume();
    assert.equal((await log.next('receive')).args[0], 'while it is paused');
    server.on('receive', (object, meta) => meta.callback?.(object));
    assert.equal(await deadline(ask(client, 'after'), 'the answer'), 'after');
  });

  it('takes many writes in a tick: in order, and each returns true', limit, async (t) => {
    const { client, log } = await pair(t);
    const returned = new Set();
    const written = [];
    const line = (number) => `{"type":"Number","data":${number}}\n`;
    for (let i = 0; i < 3000; i += 3) {
      returned.add(client.socket.write(line(i), () => written.push(i)));
      client.send(i + 1);
      returned.add(client.socket.write(Buffer.from(line(i + 2)), () => written.push(i + 2)));
      if (i % 300 === 0) await turn();
    }
    const numbers = (await log.take('receive', 3000)).map(({ args }) => args[0]);
    assert.deepEqual(numbers, [...numbers.keys()]);
    assert.deepEqual([...returned], [true]);
    assert.deepEqual(
      written,
      [...numbers.keys()].filter((number) => number % 3 !== 1),
    );
  });

  it('delivers data that a session puts back after its first line', limit, async (t) => {
    class Greeted extends impl.session {
      async start() {
        const [chunk] = await once(this.sock, 'data');
        const end = chunk.indexOf('\n') + 1;
        this.greeting = chunk.subarray(0, end).toString();
        this.sock.unshift(chunk.subarray(end));
      }
    }
    const options = { session_type: Greeted };
    const { log, where } = await startServer(t, options, { path: unixPath(t) });
    const wire = await rawClient(t, where);
    wire.socket.write('HELLO\n{"type":"Number","data":1}\n');
    const [object, meta] = (await log.next('receive')).args;
    assert.deepEqual([object, meta.session.greeting], [1, 'HELLO\n']);
  });
});

describe('the promise of a server', () => {
  it('for sendall() is fulfilled before a client in this process receives', limit, async (t) => {
    const { server, client } = await pair(t);
    await server.sendall({ a: 1 });
    const [object] = await deadline(once(client, 'receive'), 'the message');
    assert.deepEqual(object, { a: 1 });
  });

  it('for close() is fulfilled before a client in this process disconnects', limit, async (t) => {
    const { server, client } = await pair(t);
    await server.close();
    assert.equal(client.connected, true);
    await deadline(once(client, 'disconnect'), 'the end of the connection');
  });
});

describe('a message to a JSON peer', () => {
  const sent = (promise) =>
    promise.then(
      () => 'sent',
      () => 'rejected',
    );

  it('that is undefined causes a rejection, or is text if that is allowed', limit, async (t) => {
    const strict = await pair(t, { peer_type: 'json' });
    strict.client.on('error', () => {});
    assert.equal(await sent(strict.client.send(undefined)), 'rejected');
    const lax = await pair(t, { peer_type: 'json', allow_non_objects: true });
    assert.equal(await sent(lax.client.send(undefined)), 'sent');
    assert.equal((await lax.log.next('receive')).args[0], 'undefined');
  });

  it(
    'that is no object causes an unhandled rejection, and no error event of the server',
    limit,
    async (t) => {
      const { code, lines } = await program(
        t,
        async ({ server: Server, client: Client }, where) => {
          const server = new Server({ ...where, peer_type: 'json' });
          const client = new Client({ ...where, peer_type: 'json' });
          const unhandled = [];
          process.on('unhandledRejection', (err) => unhandled.push(err.code));
          await server.listen();
          const arrived = new Promise((resolve) => server.once('connect', resolve));
          await client.connect();
          const socket = await arrived;
          client.send('text');
          await new Promise((resolve) => setImmediate(resolve));
          server.on('error', () => unhandled.push('an error event'));
          server.send(socket, 'text');
          await new Promise((resolve) => setImmediate(resolve));
          console.log(unhandled.join());
          process.exit();
        },
        { path: unixPath(t) },
      ).ended();
      const refused = 'ERR_OBJECTBUFFER_BAD_OBJECT';
      assert.deepEqual([code, lines], [0, [`${refused},${refused}`]]);
    },
  );
});

describe('a stream of answers', () => {
  it('that times out causes no unhandled rejection of next().then(callback)', limit, async (t) => {
    const { code, lines } = await program(
      t,
      async ({ server: Server, client: Client }, where) => {
        const server = new Server(where);
        const client = new Client(where);
        await server.listen();
        await client.connect();
        process.on('unhandledRejection', (err) => console.log('unhandled', err.code));
        // http-over-sockets does this.
        const stream = await client.request({ a: 1 }, { timeout: 20 });
        const answer = new Promise((resolve, reject) => {
          stream.once('end', (err) => err && reject(err));
          stream.next().then(resolve);
        });
        await answer.catch((err) => console.log(err.code));
        const all = await client.request({ a: 1 }, { timeout: 20 });
        all.all().then(() => {});
        await new Promise((resolve) => all.once('end', resolve));
        await new Promise((resolve) => setImmediate(resolve));
        process.exit();
      },
      { path: unixPath(t) },
    ).ended();
    assert.deepEqual([code, lines], [0, ['ERR_RESPONSE_TIMEOUT']]);
  });

  it(
    'that ends with an error ends no program that chains by then(callback) alone',
    limit,
    async (t) => {
      const { code, lines } = await program(
        t,
        async ({ server: Server, client: Client }, where) => {
          const server = new Server(where);
          const client = new Client(where);
          await server.listen();
          await client.connect();
          process.on('unhandledRejection', (err) => {
            console.log(err.message);
            if (err.message === 'of the callback') process.exit();
          });
          const asked = new Promise((resolve) => server.once('request', resolve));
          const streams = [];
          const keep = (stream) => streams.push(stream) && stream;
          // The README of 1.8.4 does this.
          const request = () => client.request({ a: 1 }, { timeout: 50 }).then(keep);
          request()
            .then((stream) => stream.next())
            .then(() => {});
          request()
            .then((stream) => stream.all())
            .then((all) => all.length)
            .then(() => {});
          await asked;
          await Promise.all(streams.map((stream) => new Promise((r) => stream.once('end', r))));
          await new Promise((resolve) => setImmediate(resolve));
          // An error that is not the stream's is reported.
          request().then(() => {
            throw new Error('of the callback');
          });
        },
        { path: unixPath(t) },
      ).ended();
      assert.deepEqual([code, lines], [0, ['of the callback']]);
    },
  );

  it(
    'has its end() called when its last packet arrives, if a program has replaced it',
    limit,
    async (t) => {
      const ended = t.mock.method(SockhopResponseReadableStream.prototype, 'end');
      const stream = new SockhopResponseReadableStream({});
      stream.receive_packet({ data: 1, type: 'Number', last: false });
      assert.equal(ended.mock.callCount(), 0);
      stream.receive_packet({ data: 2, type: 'Number', last: true });
      assert.equal(ended.mock.callCount(), 1);
      assert.equal(stream.ended, true);
    },
  );

  it('does not hide an error of the callback', limit, async (t) => {
    const { code, lines } = await program(
      t,
      async ({ server: Server, client: Client }, where) => {
        const server = new Server(where);
        const client = new Client(where);
        server.on('request', (_, response) => response.send(1));
        await server.listen();
        await client.connect();
        process.on('unhandledRejection', (err) => {
          console.log(err.message);
          process.exit();
        });
        const stream = await client.request({ a: 1 });
        stream.next().then(() => {
          throw new Error('of the callback');
        });
      },
      { path: unixPath(t) },
    ).ended();
    assert.deepEqual([code, lines], [0, ['of the callback']]);
  });

  it('takes the events that a test emits', limit, async () => {
    const one = new SockhopResponseReadableStream({});
    const next = one.next();
    one.emit('data', { a: 1 }, 'Object');
    assert.deepEqual(await deadline(next, 'the packet'), { data: { a: 1 }, type: 'Object' });
    assert.equal(one.ended, true);
    const many = new SockhopResponseReadableStream({});
    const all = many.all();
    many.emit('data', 1, 'Number');
    many.emit('data', 2, 'Number');
    many.emit('end');
    assert.deepEqual(
      (await deadline(all, 'the packets')).map(({ data }) => data),
      [1, 2],
    );
  });

  it('ends at once if the program ends it', limit, async (t) => {
    const { client } = await pair(t);
    const stream = await client.request('anything');
    const ends = [];
    stream.on('end', (err) => ends.push(err?.message));
    stream.end(new Error('not wanted any more'));
    assert.deepEqual([ends, stream.ended], [['not wanted any more'], true]);
    stream.end();
    await turn();
    assert.equal(ends.length, 1);
  });

  it('shows by _end_called whether its last packet was sent', limit, async () => {
    const sent = [];
    const sockhop = { _send_message: async (message) => sent.push(message.data.data) };
    const stream = SockhopResponseWriteableStream.from_request({ uuid: 'u' }, sockhop);
    assert.equal(stream._end_called, undefined);
    await stream.write(1);
    assert.equal(stream._end_called, undefined);
    await stream.send(2);
    assert.equal(stream._end_called, true);
    await assert.rejects(stream.send(3), { code: 'ERR_RESPONSE_SEND' });
    stream._end_called = false;
    await stream.send(4);
    assert.deepEqual(sent, [1, 2, 4]);
  });
});

describe('a TimedMap', () => {
  it('has a callback for each value', limit, (t) => {
    const map = new (lib('TimedMap.js'))();
    cleanup(t, () => map.stop());
    map.set('key', 'value');
    const [value, , callback] = map._map.get('key');
    assert.deepEqual([value, callback('deleted')], ['value', undefined]);
  });
});
