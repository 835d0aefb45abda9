'use strict';

// `server.server` is a net.Server to the program: each of these programs runs on both packages.

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { freePort, unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');

const original = require('sockhop-1.8');

const limit = { timeout: 600_000 };

/** A raw connection, and the text received over it. */
async function dial(t, where) {
  const socket = net.connect(typeof where === 'string' ? { path: where } : where);
  const wire = { socket, text: '' };
  socket.on('data', (data) => {
    wire.text += data;
  });
  socket.on('error', () => {});
  cleanup(t, () => socket.destroy());
  await once(socket, 'connect');
  return wire;
}

/** Asks a server over a raw connection, and waits for the answer. */
async function ask(t, where, question = 1) {
  const wire = await dial(t, where);
  wire.socket.write(`{"type":"Number","data":${question},"id":"q"}\n`);
  await until(() => wire.text.includes('\n'), 'there is an answer');
  return JSON.parse(wire.text).data;
}

const answering = (server) =>
  server.on('receive', (object, { callback }) => callback?.({ answer: object }));

/** Where a server listens, for net.connect(). */
function bound(listener) {
  const address = listener.address();
  if (typeof address === 'string') return address;
  return { port: address.port, host: address.family === 'IPv6' ? '::1' : '127.0.0.1' };
}

for (const [name, { server: Server, client: Client, session: Session }] of [
  ['native', impl],
  ['original', original],
]) {
  /** A server that is closed with the test. */
  const make = (t, options) => {
    const server = new Server(options);
    cleanup(t, () => deadline(server.close(), 'close()'));
    return server;
  };

  describe(`server.server (${name})`, () => {
    const forms = {
      'no argument': () => [],
      'a port': () => [0],
      'a port as text': () => ['0'],
      'a port and a host': () => [0, '127.0.0.1'],
      'a port, a host and a backlog': () => [0, '127.0.0.1', 5],
      'a host name': () => [0, 'localhost'],
      'null for the port': () => [null, '127.0.0.1'],
      'a path': (t) => [unixPath(t)],
      'a path and a backlog': (t) => [unixPath(t), 5],
      'options with a port': () => [{ port: 0, host: '127.0.0.1', backlog: 5, exclusive: true }],
      'options without a port': () => [{ port: undefined }],
      'options with a path': (t) => [{ path: unixPath(t) }],
      'options that only net has': () => [{ port: 0, host: '::1', ipv6Only: true }],
    };
    for (const [form, args] of Object.entries(forms)) {
      it(`listens and serves: ${form}`, limit, async (t) => {
        const server = make(t);
        answering(server);
        const listening = new Promise((resolve) => {
          assert.equal(server.server.listen(...args(t), resolve), server.server);
        });
        await deadline(listening, 'the callback of listen()');
        assert.equal(server.server.listening, true);
        assert.deepEqual(await ask(t, bound(server.server)), { answer: 1 });
        assert.equal(server.sockets.length, 1);
      });
    }

    it('listens at once if it is given no host', limit, async (t) => {
      const server = make(t);
      const { port } = server.server.listen(0).address();
      assert.ok(port > 0);
      await once(server.server, 'listening');
      assert.equal(server.get_bound_address(), '::');
    });

    it('listens on the handle of another server', limit, async (t) => {
      const holder = net.createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      const server = make(t);
      answering(server);
      server.server.listen(holder);
      await once(server.server, 'listening');
      assert.deepEqual(await ask(t, bound(holder)), { answer: 1 });
    });

    it('gives the file of a socket the mode that is asked for', limit, async (t) => {
      const mode = (path) => (fs.statSync(path).mode & 0o777).toString(8);
      const [path, plain] = [unixPath(t), unixPath(t)];
      const reference = net.createServer();
      cleanup(t, () => reference.close());
      reference.listen({ path: plain, readableAll: true, writableAll: true });
      const server = make(t);
      answering(server);
      server.server.listen({ path, readableAll: true, writableAll: true });
      await once(server.server, 'listening');
      assert.equal(mode(path), mode(plain));
      assert.deepEqual(await ask(t, path), { answer: 1 });
    });

    it('throws at the call for arguments that are wrong', limit, (t) => {
      const { server: listener } = make(t);
      assert.throws(() => listener.listen(70_000), { code: 'ERR_SOCKET_BAD_PORT' });
      assert.throws(() => listener.listen(''), { code: 'ERR_SOCKET_BAD_PORT' });
      assert.throws(() => listener.listen({}), { code: 'ERR_INVALID_ARG_VALUE' });
      assert.throws(() => listener.listen(true), { code: 'ERR_INVALID_ARG_VALUE' });
      listener.listen(0);
      assert.throws(() => listener.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
    });

    it('reports an address in use, as the server itself does', limit, async (t) => {
      const holder = net.createServer().listen(0, '127.0.0.1');
      await once(holder, 'listening');
      cleanup(t, () => holder.close());
      const { port } = holder.address();
      const server = make(t);
      const seen = [];
      server.on('error', (err, ...rest) => seen.push(['server', err.code, ...rest]));
      server.server.on('error', (err) => seen.push(['listener', err.code]));
      server.server.listen(port, '127.0.0.1');
      await until(() => seen.length === 2, 'both are told');
      assert.deepEqual(seen, [
        ['server', 'EADDRINUSE', null, null],
        ['listener', 'EADDRINUSE'],
      ]);
      assert.equal(server.server.listening, false);
    });

    it('emits "connection" with the socket, after the start of the session', limit, async (t) => {
      const order = [];
      class Watched extends Session {
        constructor(sock, server) {
          super(sock, server);
          order.push(['constructor', sock]);
        }
        async start() {
          order.push(['start', this.sock]);
          await null;
          order.push(['started', this.sock]);
        }
      }
      const server = make(t, { session_type: Watched });
      server.server.on('connection', (sock) => order.push(['connection', sock]));
      server.server.prependListener('connection', (sock) => order.push(['before', sock]));
      server.server.listen(0, '127.0.0.1');
      await once(server.server, 'listening');
      const connect = once(server, 'connect');
      await dial(t, bound(server.server));
      const [sock] = await connect;
      assert.ok(sock instanceof net.Socket);
      assert.equal(sock.server, server.server);
      const names = ['before', 'constructor', 'start', 'connection', 'started'];
      assert.deepEqual(
        order.map(([what]) => what),
        names,
      );
      for (const [, which] of order) assert.equal(which, sock);
    });

    it('leaves a connection to the program that removes the listener', limit, async (t) => {
      const server = make(t);
      server.server.removeAllListeners('connection');
      server.server.on('connection', (sock) => {
        sock.on('data', (data) => sock.end(`heard ${data}`));
      });
      server.server.listen(0, '127.0.0.1');
      await once(server.server, 'listening');
      const wire = await dial(t, bound(server.server));
      wire.socket.write('hello');
      await once(wire.socket, 'close');
      assert.equal(wire.text, 'heard hello');
      assert.equal(server.sockets.length, 0);
    });

    it('closes when its last connection is gone', limit, async (t) => {
      const server = make(t);
      answering(server);
      const listener = server.server;
      listener.listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const connect = once(server, 'connect');
      const wire = await dial(t, bound(listener));
      const [sock] = await connect;
      const seen = [];
      listener.on('close', () => seen.push('event'));
      const closed = new Promise((resolve) => {
        listener.close((err) => {
          seen.push(['first', err?.code]);
          resolve();
        });
      });
      listener.close((err) => seen.push(['second', err?.code]));
      assert.equal(listener.listening, false);
      assert.equal(listener.address(), null);
      // The connection is still served.
      wire.socket.write('{"type":"Number","data":2,"id":"q"}\n');
      await until(() => wire.text.includes('\n'), 'there is an answer');
      const count = await new Promise((resolve) => {
        listener.getConnections((_err, open) => resolve(open));
      });
      assert.equal(count, 1);
      assert.deepEqual(seen, []);
      await server.kill_socket(sock);
      await closed;
      await until(() => seen.length === 3, 'all are told');
      assert.deepEqual(seen, ['event', ['first', undefined], ['second', 'ERR_SERVER_NOT_RUNNING']]);
    });

    it('has the own properties of a net.Server, maxConnections where that has it', (t) => {
      const { server } = make(t);
      const [own, other] = [server, new net.Server()].map((each) =>
        Object.hasOwn(each, 'maxConnections'),
      );
      assert.equal(own, other);
      server.maxConnections = 3;
      assert.equal(server.maxConnections, 3);
      server.maxConnections = undefined;
      assert.equal(server.maxConnections, undefined);
    });

    it('drops connections beyond maxConnections, and goes on', limit, async (t) => {
      const server = make(t);
      const errors = [];
      server.on('error', (err) => errors.push(err));
      answering(server);
      server.server.listen(0, '127.0.0.1');
      await once(server.server, 'listening');
      assert.equal(server.server.maxConnections, undefined);
      server.server.maxConnections = 1;
      const connect = once(server, 'connect');
      const first = await dial(t, bound(server.server));
      await connect;
      const drop = once(server.server, 'drop');
      const second = await dial(t, bound(server.server));
      const { localPort, localAddress } = second.socket;
      const [[told]] = await Promise.all([drop, once(second.socket, 'close')]);
      assert.deepEqual(
        { ...told },
        {
          localAddress,
          localPort: server.server.address().port,
          localFamily: 'IPv4',
          remoteAddress: localAddress,
          remotePort: localPort,
          remoteFamily: 'IPv4',
        },
      );
      assert.deepEqual(errors, []);
      const gone = once(server, 'disconnect');
      first.socket.end();
      await gone;
      assert.deepEqual(await ask(t, bound(server.server)), { answer: 1 });
    });

    it('may be replaced, before listen()', limit, async (t) => {
      const path = unixPath(t);
      const server = make(t, { path });
      answering(server);
      const old = server.server;
      const mine = net.createServer({ keepAlive: true }, (sock) => old.emit('connection', sock));
      server.server = mine;
      assert.equal(await server.listen(), mine);
      assert.deepEqual(await ask(t, path), { answer: 1 });
      await deadline(server.close(), 'close()');
      assert.equal(mine.listening, false);
      assert.notEqual(server.server, mine);
    });

    it('may be replaced after listen(), and close() closes the new one', limit, async (t) => {
      const path = unixPath(t);
      const server = make(t, { path });
      answering(server);
      const old = await server.listen();
      const mine = net.createServer((sock) => old.emit('connection', sock));
      mine.listen(0, '127.0.0.1');
      await once(mine, 'listening');
      server.server = mine;
      cleanup(t, () => old.close());
      assert.equal(server.get_bound_address(), '127.0.0.1');
      assert.deepEqual(await ask(t, bound(mine)), { answer: 1 });
      assert.deepEqual(await ask(t, path), { answer: 1 });
      await deadline(server.close(), 'close()');
      assert.deepEqual([mine.listening, old.listening], [false, true]);
    });

    it('is made by net.createServer() where the program has replaced that', limit, async (t) => {
      const own = net.createServer;
      const made = [];
      const mock = t.mock.method(net, 'createServer', (...args) => {
        made.push(own(...args));
        return made.at(-1);
      });
      const path = unixPath(t);
      const server = make(t, { path });
      answering(server);
      assert.equal(server.server, made[0]);
      assert.equal(await server.listen(), made[0]);
      assert.deepEqual(await ask(t, path), { answer: 1 });
      const second = make(t, { path });
      const failed = once(second, 'error');
      second.listen().catch(() => {});
      assert.equal((await deadline(failed, 'an error'))[0].code, 'EADDRINUSE');
      mock.mock.restore();
    });

    it('may be replaced by a server with TLS', limit, async (t) => {
      const { root, server: issued, chain } = await hierarchy();
      const server = make(t, { port: await freePort() });
      answering(server);
      const secure = tls.createServer({ cert: chain, key: issued.key });
      // Its listeners are those of the server that it replaces.
      for (const listener of server.server.listeners('connection')) {
        secure.on('secureConnection', listener);
      }
      server.server = secure;
      const { port } = (await server.listen()).address();
      const client = new Client({ port, ssl: true, ssl_options: { ca: root.cert } });
      client._auto_reconnect_timer?.unref?.();
      cleanup(t, () => client.disconnect());
      await client.connect();
      const answer = await new Promise((resolve) => client.send({ n: 1 }, resolve));
      assert.deepEqual(answer, { answer: { n: 1 } });
      await deadline(server.close(), 'close()');
      assert.equal(secure.listening, false);
    });

    it(
      'has its listen() called by the listen() of the server, if it is replaced',
      limit,
      async (t) => {
        const server = make(t, { path: unixPath(t) });
        const { listen } = server.server;
        const calls = [];
        server.server.listen = function (...args) {
          calls.push(args.map((each) => typeof each));
          return listen.apply(this, args);
        };
        await server.listen();
        assert.deepEqual(calls, [['string', 'function']]);
        assert.equal(server.server.listening, true);
      },
    );
  });

  describe(`a socket that does not belong to the server (${name})`, () => {
    /** A stand-in for a socket, as tests of programs use. */
    class Mock extends EventEmitter {
      destroyed = false;
      written = [];
      ended = 0;
      write(data, callback) {
        this.written.push(String(data));
        callback?.();
      }
      end(callback) {
        this.ended += 1;
        callback?.();
      }
    }

    it('is sent to at the call', limit, async (t) => {
      const server = make(t);
      const mock = new Mock();
      const sent = server.send(mock, { a: 1 });
      assert.deepEqual(mock.written, ['{"type":"Object","data":{"a":1}}\n']);
      // The arguments of its callback.
      assert.equal(await sent, undefined);
      server.send(mock, { b: 2 }, () => {});
      assert.match(mock.written[1], /^{"type":"Object","data":{"b":2},"id":"[^"]+"}\n$/);
    });

    it('is ended by kill_socket()', limit, async (t) => {
      const server = make(t);
      const seen = [];
      const mock = {
        end(done) {
          seen.push('end');
          done();
        },
        emit: (event) => seen.push(event),
      };
      await server.kill_socket(mock);
      assert.deepEqual(seen, ['end', 'end']);
    });

    it('is refused once it is destroyed', limit, async (t) => {
      const server = make(t);
      const mock = new Mock();
      mock.destroyed = true;
      let ends = 0;
      mock.on('end', () => {
        ends += 1;
      });
      await assert.rejects(server.send(mock, { a: 1 }), { code: 'ERR_SOCKET_DESTROYED' });
      assert.deepEqual([mock.written, ends], [[], 1]);
    });

    it('is sent to with the others when it is among the sockets', limit, async (t) => {
      const server = make(t);
      server.server.listen(0, '127.0.0.1');
      await once(server.server, 'listening');
      const connect = once(server, 'connect');
      const wire = await dial(t, bound(server.server));
      await connect;
      const mock = new Mock();
      server.sockets.push(mock);
      await server.sendall({ a: 1 });
      await until(() => wire.text.includes('\n'), 'the message is here');
      const text = '{"type":"Object","data":{"a":1}}\n';
      assert.deepEqual([wire.text, mock.written], [text, [text]]);
      await server.kill_socket(mock);
      assert.equal(mock.ended, 1);
      server.sockets.pop();
      // A stand-in that can only be written to.
      const written = [];
      server.sockets.push({
        destroyed: false,
        write(data, done) {
          written.push(String(data));
          done();
        },
      });
      await server.sendall({ a: 1 });
      assert.deepEqual(written, [text]);
      server.sockets.pop();
    });

    it('may be a connection that the program made', limit, async (t) => {
      const far = net.createServer();
      cleanup(t, () => far.close());
      far.listen(0, '127.0.0.1');
      await once(far, 'listening');
      const accepted = once(far, 'connection');
      const mine = await dial(t, bound(far));
      const [theirs] = await accepted;
      cleanup(t, () => theirs.destroy());
      let text = '';
      theirs.on('data', (data) => {
        text += data;
      });
      const server = make(t);
      server._sockets.push(mine.socket);
      await server.sendall('to all');
      await server.send(mine.socket, 'to one');
      await until(() => text.split('\n').length === 3, 'both are here');
      assert.equal(text, '{"type":"String","data":"to all"}\n{"type":"String","data":"to one"}\n');
      server._sockets.pop();
    });
  });

  describe(`the sockets of a server (${name})`, () => {
    it('are those that get messages: one that is removed gets nothing', limit, async (t) => {
      const server = make(t);
      server.server.listen(0, '127.0.0.1');
      await once(server.server, 'listening');
      const wires = [];
      for (let n = 0; n < 3; n += 1) {
        const connect = once(server, 'connect');
        wires.push(await dial(t, bound(server.server)));
        await connect;
      }
      const [[out]] = [server.sockets.splice(1, 1)];
      await server.sendall(1);
      server.sockets.push(out);
      await server.sendall(2);
      await until(
        () => wires.every(({ text }) => text.includes(':2}\n')),
        'the second message is here',
      );
      const heard = wires.map(({ text }) => text.match(/\d/g).join(''));
      assert.deepEqual(heard, ['12', '2', '12']);
    });
  });

  describe(`session_type (${name})`, () => {
    const types = {
      'an object with _from_socket()': {
        _from_socket: async (sock, server) => new Session(sock, server),
      },
      // biome-ignore lint/complexity/noStaticOnlyClass: the test needs such a class
      'a class that makes sessions of another': class {
        static async _from_socket(sock, server) {
          return new Session(sock, server);
        }
      },
      'a function with _from_socket() that returns the session itself': Object.assign(() => {}, {
        _from_socket: (sock, server) => new Session(sock, server),
      }),
    };
    for (const [what, session_type] of Object.entries(types)) {
      it(`may be ${what}`, limit, async (t) => {
        const server = make(t, { session_type });
        server.server.listen(0, '127.0.0.1');
        await once(server.server, 'listening');
        const connect = once(server, 'connect');
        const { socket } = await dial(t, bound(server.server));
        const [sock, session] = await connect;
        assert.ok(session instanceof Session);
        assert.deepEqual([session.sock, server.sessions], [sock, [session]]);
        const gone = once(server, 'disconnect');
        socket.end();
        assert.deepEqual(await gone, [sock, session]);
      });
    }
  });
}

describe('a net.Server instead of server.server', () => {
  it(
    'rejects, and throws nothing, when one of net.createServer() finds the address taken',
    limit,
    async (t) => {
      const { createServer } = net;
      t.mock.method(net, 'createServer', (...args) => createServer(...args));
      const path = unixPath(t);
      const holder = new impl.server({ path });
      cleanup(t, () => holder.close());
      await holder.listen();
      const server = new impl.server({ path });
      await assert.rejects(deadline(server.listen(), 'listen()'), { code: 'EADDRINUSE' });
      server.path = unixPath(t);
      cleanup(t, () => server.close());
      await server.listen();
    },
  );

  it('makes listen() reject when its signal is aborted before it listens', limit, async () => {
    const server = new impl.server({ port: 0 });
    // Node 18 still listens after it was closed, which must not keep the process alive.
    server.server = net.createServer().unref();
    const controller = new AbortController();
    const listening = server.listen({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(listening, { name: 'AbortError', code: 'ABORT_ERR' });
  });
});
