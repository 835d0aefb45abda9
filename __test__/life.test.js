'use strict';

// Tests when a program stays alive, and when it ends by itself. Each case is a separate program.
// Only this package may keep it alive: the timer that prints "still here" is unreferenced.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { cannotHang, hangingPort } = require('./support/hanging.js');
const { endpoint, transports } = require('./support/addresses.js');
const impl = require('./support/impl.js');
const { startServer } = require('./support/local.js');
const { issue } = require('./support/certificates.js');
const { program } = require('./support/program.js');
const { rawServer } = require('./support/raw.js');
const { secureServer } = require('./support/secure.js');

const limit = { timeout: 600_000 };
/** The time for a child process on a busy machine. */
const PATIENCE = 60_000;

/** A free address without a listener. */
const nowhere = (t) => endpoint(t);

async function endsByItself(t, main, argument) {
  const { code, signal, stderr, lines } = await program(t, main, argument).ended(PATIENCE);
  assert.equal(stderr, '');
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  return lines;
}

describe('a program ends by itself', () => {
  it('that has only loaded the package', limit, async (t) => {
    await endsByItself(t, () => {});
  });

  it('that has only constructed a client', limit, async (t) => {
    await endsByItself(t, ({ client: Client }) => {
      globalThis.kept = new Client();
      globalThis.kept.ping(1000);
    });
  });

  it('that has only constructed a server', limit, async (t) => {
    await endsByItself(t, ({ server: Server }) => {
      globalThis.kept = new Server();
      globalThis.kept.ping(1000);
    });
  });

  for (const transport of transports) {
    it(`after disconnect() (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const { log } = await startServer(t, {}, where);
      await endsByItself(
        t,
        async ({ client: Client }, where) => {
          const client = new Client(where);
          await client.connect();
          client.ping(50);
          await client.send({ hello: 1 });
          await client.disconnect();
        },
        where,
      );
      await log.next('disconnect');
      assert.deepEqual(log.all('receive')[0].args[0], { hello: 1 });
    });

    it(`after close() of a server with connections (${transport})`, limit, async (t) => {
      const lines = await endsByItself(
        t,
        async ({ client: Client, server: Server }, where) => {
          const server = new Server(where);
          await server.listen();
          const clients = Array.from({ length: 5 }, () => new Client(where));
          await Promise.all(clients.map((client) => client.connect()));
          server.ping(50);
          await server.sendall({ hello: 1 });
          await server.close();
          console.log('closed');
        },
        await endpoint(t, transport),
      );
      assert.deepEqual(lines, ['closed']);
    });

    it(`after the peer left, with auto_reconnect off (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const { server, log } = await startServer(t, {}, where);
      const child = program(
        t,
        async ({ client: Client }, where) => {
          const client = new Client(where);
          client.on('disconnect', () => console.log('disconnected'));
          await client.connect();
          console.log('connected');
        },
        where,
      );
      await log.next('connect');
      await child.line('connected');
      await server.disconnect();
      const { code, stderr } = await child.ended(PATIENCE);
      assert.equal(stderr, '');
      assert.equal(code, 0);
      assert.equal(child.log.count('line'), 2);
    });

    it(`after a failed connect (${transport})`, limit, async (t) => {
      const where =
        transport === 'unix' ? await endpoint(t, transport) : { port: (await nowhere(t)).port };
      const [code] = await endsByItself(
        t,
        async ({ client: Client }, where) => {
          await new Client(where).connect().catch((err) => console.log(err.code));
        },
        where,
      );
      assert.equal(code, transport === 'unix' ? 'ENOENT' : 'ECONNREFUSED');
    });
  }

  it('after the peer reset the connection', limit, async (t) => {
    const raw = await rawServer(t);
    const child = program(
      t,
      async ({ client: Client }, where) => {
        const client = new Client(where);
        client.on('disconnect', () => console.log('disconnected'));
        await client.connect();
        console.log('connected');
      },
      raw.where,
    );
    const { socket } = await raw.accept();
    // A reset that is faster than the connect would make that fail.
    await child.line('connected');
    socket.resetAndDestroy();
    assert.equal((await child.ended(PATIENCE)).code, 0);
    assert.equal(child.log.count('line'), 2);
  });

  it('after a connect that was aborted', limit, async (t) => {
    const raw = await rawServer(t);
    const [name] = await endsByItself(
      t,
      async ({ client: Client }, where) => {
        const controller = new AbortController();
        const attempt = new Client(where).connect({ signal: controller.signal });
        controller.abort();
        await attempt.catch((err) => console.log(err.name));
      },
      raw.where,
    );
    assert.equal(name, 'AbortError');
  });

  it('after a listen that failed', limit, async (t) => {
    const { where } = await rawServer(t);
    const [code] = await endsByItself(
      t,
      async ({ server: Server }, where) => {
        await new Server(where).listen().catch((err) => console.log(err.code));
      },
      where,
    );
    assert.equal(code, 'EADDRINUSE');
  });

  it('after a listen that was aborted', limit, async (t) => {
    const lines = await endsByItself(
      t,
      async ({ server: Server }, where) => {
        const controller = new AbortController();
        const server = new Server(where);
        await server.listen({ signal: controller.signal });
        console.log(server.server.listening);
        controller.abort();
        console.log(server.server.listening);
      },
      await endpoint(t),
    );
    assert.deepEqual(lines, ['true', 'false']);
  });

  it('when reconnecting is turned off', limit, async (t) => {
    const lines = await endsByItself(
      t,
      ({ client: Client }, where) => {
        const client = new Client({ ...where, auto_reconnect_interval: 20 });
        client.auto_reconnect = true;
        setTimeout(() => {
          console.log('still here');
          client.auto_reconnect = false;
        }, 200).unref();
      },
      await nowhere(t),
    );
    assert.deepEqual(lines, ['still here']);
  });

  it('with callbacks and requests that will not be answered any more', limit, async (t) => {
    const raw = await rawServer(t);
    const child = program(
      t,
      async ({ client: Client }, where) => {
        const client = new Client({
          ...where,
          response_timeout: 3_600_000,
          callback_timeout: 3_600_000,
        });
        await client.connect();
        await client.send({ a: 1 }, () => console.log('answered'));
        const stream = await client.request({ b: 2 });
        stream.on('end', (err) => console.log(err.message));
        await client.disconnect();
      },
      raw.where,
    );
    const { code, lines, stderr } = await child.ended(PATIENCE);
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.equal(lines.length, 1, lines.join());
  });

  it('whose listener and sockets are unreferenced', limit, async (t) => {
    const lines = await endsByItself(
      t,
      async ({ client: Client, server: Server }, where) => {
        const server = new Server(where);
        await server.listen();
        const client = new Client(where);
        await client.connect();
        server.server.unref();
        for (const socket of server.sockets) socket.unref();
        client.socket.unref();
        console.log(`${server.sockets.length} ${client.connected}`);
      },
      await endpoint(t),
    );
    assert.deepEqual(lines, ['1 true']);
  });

  it('whose listener was unreferenced before it listened', limit, async (t) => {
    const lines = await endsByItself(
      t,
      async ({ server: Server }, where) => {
        const server = new Server(where);
        server.server.unref();
        const listener = await server.listen();
        console.log(listener === server.server && listener.listening);
      },
      await endpoint(t),
    );
    assert.deepEqual(lines, ['true']);
  });

  it('whose sockets and listener are referenced after they are over', limit, async (t) => {
    const lines = await endsByItself(
      t,
      async ({ client: Client, server: Server }, where) => {
        const server = new Server(where);
        const { server: listener } = server;
        await server.listen();
        const client = new Client(where);
        await client.connect();
        const { socket } = client;
        const [sock] = server.sockets;
        await client.disconnect();
        await server.close();
        for (const over of [listener, socket, sock]) over.ref();
        for (const over of [listener, socket, sock]) over.unref().ref();
        console.log('over');
      },
      await endpoint(t),
    );
    assert.deepEqual(lines, ['over']);
  });

  for (const unreferenced of [false, true]) {
    const title = unreferenced
      ? 'whose socket with TLS is unreferenced'
      : 'after disconnect(), with TLS';
    it(title, limit, async (t) => {
      const authority = await issue({ name: 'authority', ca: true });
      const own = await issue({ name: 'here', names: ['127.0.0.1'], issuer: authority });
      const { port } = await secureServer(t, { key: own.key, cert: own.cert });
      const lines = await endsByItself(
        t,
        async ({ client: Client }, { options, unreferenced }) => {
          const client = new Client(options);
          await client.connect();
          console.log(client.socket.authorized);
          if (unreferenced) client.socket.unref();
          else await client.disconnect();
        },
        { options: { port, ssl_options: { ca: authority.cert } }, unreferenced },
      );
      assert.deepEqual(lines, ['true']);
    });
  }
});

describe('a program stays alive', () => {
  /** Makes a server close that waits for a message. */
  async function sayEnough(where) {
    const client = new impl.client(where);
    await client.connect();
    await client.send({ enough: true });
    await client.disconnect();
  }

  /** Runs a program, waits until it reports that it is still alive, and ends it with `stop`. */
  async function lives(t, main, argument, stop, begin = undefined) {
    const child = program(t, main, argument);
    await begin?.(child);
    await child.line('still here');
    await stop(child);
    const { code, stderr } = await child.ended(PATIENCE);
    assert.equal(stderr, '');
    assert.equal(code, 0);
  }

  for (const transport of transports) {
    it(`while it listens (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      await lives(
        t,
        async ({ server: Server }, where) => {
          const server = new Server(where);
          await server.listen();
          server.on('receive', () => server.close());
          setTimeout(() => console.log('still here'), 200).unref();
        },
        where,
        () => sayEnough(where),
      );
    });

    it(`while it is connected (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const { server } = await startServer(t, {}, where);
      await lives(
        t,
        async ({ client: Client }, where) => {
          const client = new Client(where);
          await client.connect();
          setTimeout(() => console.log('still here'), 200).unref();
        },
        where,
        () => server.disconnect(),
      );
    });
  }

  it('while a connection it accepted is open, although it no longer listens', limit, async (t) => {
    const where = await endpoint(t);
    const client = new impl.client({ ...where, auto_reconnect_interval: 20 });
    client.auto_reconnect = true;
    t.after(() => client.disconnect());
    await lives(
      t,
      async ({ server: Server }, where) => {
        const server = new Server(where);
        await server.listen();
        server.once('connect', () => {
          server.server.close();
          setTimeout(() => console.log('still here'), 200).unref();
        });
      },
      where,
      () => client.disconnect(),
    );
  });

  it('while it is connecting', limit, async (t) => {
    if (cannotHang) return t.skip(cannotHang);
    const child = program(
      t,
      async ({ client: Client }, port) => {
        const client = new Client({ port, connect_timeout: 1000 });
        setTimeout(() => console.log('still here'), 200).unref();
        await client.connect().catch((err) => console.log(err.message));
      },
      await hangingPort(t),
    );
    await child.line('still here');
    await child.line('Timeout exceeded on connect()');
    assert.equal((await child.ended(PATIENCE)).code, 0);
  });

  it('while it reconnects', limit, async (t) => {
    const where = await nowhere(t);
    const child = program(
      t,
      ({ client: Client }, where) => {
        const client = new Client({ ...where, auto_reconnect_interval: 20 });
        client.auto_reconnect = true;
        client.on('connect', () => {
          console.log('connected');
          client.disconnect();
        });
        setTimeout(() => console.log('still here'), 200).unref();
      },
      where,
    );
    await child.line('still here');
    await startServer(t, {}, where);
    await child.line('connected');
    assert.equal((await child.ended(PATIENCE)).code, 0);
  });

  it('when a listener that was unreferenced is referenced again', limit, async (t) => {
    const where = await endpoint(t);
    await lives(
      t,
      async ({ server: Server }, where) => {
        const server = new Server(where);
        server.server.unref();
        await server.listen();
        server.server.unref().ref();
        server.on('receive', () => server.close());
        setTimeout(() => console.log('still here'), 200).unref();
      },
      where,
      () => sayEnough(where),
    );
  });

  it('while one of its sockets is referenced, and serves the others as well', limit, async (t) => {
    const where = await endpoint(t);
    const client = new impl.client({ ...where, auto_reconnect_interval: 20 });
    const other = new impl.client({ ...where, auto_reconnect_interval: 20 });
    t.after(() => Promise.all([client.disconnect(), other.disconnect()]));
    const connected = new Promise((resolve) => client.once('connect', resolve));
    client.auto_reconnect = true;
    await lives(
      t,
      async ({ server: Server }, where) => {
        const server = new Server(where);
        server.on('receive', (object, { callback }) => callback(object));
        await server.listen();
        server.on('connect', (sock) => {
          // The first connection does not count, the second does.
          if (server.sockets.length === 1) sock.unref();
          else {
            server.server.unref();
            setTimeout(() => console.log('still here'), 200).unref();
          }
          console.log(server.sockets.length);
        });
      },
      where,
      async () => {
        // It stays alive because of the other socket, and answers this one as well.
        const answer = await new Promise((resolve) => client.send({ n: 1 }, resolve));
        assert.deepEqual(answer, { n: 1 });
        await other.disconnect();
      },
      async (child) => {
        await connected;
        await child.line('1');
        await other.connect();
      },
    );
  });

  it('while it is connected with TLS', limit, async (t) => {
    const authority = await issue({ name: 'authority', ca: true });
    const own = await issue({ name: 'here', names: ['127.0.0.1'], issuer: authority });
    const { port, accept } = await secureServer(t, { key: own.key, cert: own.cert });
    await lives(
      t,
      async ({ client: Client }, options) => {
        const client = new Client(options);
        await client.connect();
        client.socket.unref().ref();
        setTimeout(() => console.log('still here'), 200).unref();
      },
      { port, ssl_options: { ca: authority.cert } },
      async () => (await accept()).socket.end(),
    );
  });

  it('when an unreferenced socket is referenced again', limit, async (t) => {
    const where = await endpoint(t);
    const { server } = await startServer(t, {}, where);
    await lives(
      t,
      async ({ client: Client }, where) => {
        const client = new Client(where);
        await client.connect();
        client.socket.unref().unref().ref();
        setTimeout(() => console.log('still here'), 200).unref();
      },
      where,
      () => server.disconnect(),
    );
  });
});
