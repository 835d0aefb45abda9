'use strict';

// Tests how connections begin and end, and which promises a program may ignore, as in sockhop
// 1.8.4. With SOCKHOP_UNDER_TEST=sockhop-1.8 the same tests pass on the original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { underTest } = require('../conformance/under-test.js');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');

const limit = { timeout: 90_000 };

/** A server and a client that are connected. */
async function pair(t, options = {}) {
  const { server, where } = await startServer(t, options, { path: unixPath(t) });
  const { client, log } = makeClient(t, where, options, impl.client);
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock, session] = await deadline(arrived, 'the connection');
  return { server, client, sock, session, log };
}

/** Runs a program with the package under test. @returns {Promise<[number, string[]]>} */
async function run(t, main, argument) {
  const { code, lines } = await program(t, main, { ...argument, sockhop: underTest() }).ended();
  return [code, lines];
}

describe('the options', () => {
  it('may be an object of a class with methods of any name', limit, async (t) => {
    class Session extends impl.session {}
    class Settings {
      path = unixPath(t);
      get session_type() {
        return Session;
      }
      codec() {}
      debug() {}
      values() {}
    }
    const settings = new Settings();
    const { server } = await startServer(
      t,
      {},
      settings,
      class extends impl.server {
        constructor() {
          super(settings);
        }
      },
    );
    const client = new impl.client(settings);
    cleanup(t, () => {
      clearInterval(client._auto_reconnect_timer);
      return client.disconnect();
    });
    const arrived = once(server, 'connect');
    await client.connect();
    const [, session] = await deadline(arrived, 'the connection');
    assert.ok(session instanceof Session);
  });

  for (const address of [undefined, null, '']) {
    const title = address === '' ? 'an empty string' : `${address}`;
    it(`address may be set to ${title}, as with net`, limit, async (t) => {
      const server = new impl.server();
      cleanup(t, () => server.close());
      Object.assign(server, { address, port: 0 });
      const { port } = (await server.listen()).address();
      const { client } = makeClient(t, { port });
      client.address = address;
      await client.connect();
      assert.ok(['127.0.0.1', '::1', '::ffff:127.0.0.1'].includes(client.socket.remoteAddress));
    });
  }
});

describe('the event close of a socket', () => {
  const endings = {
    'kill() of its session': ({ session, sock }) => [sock, () => session.kill()],
    'disconnect() of its client': ({ client }) => [client.socket, () => client.disconnect()],
    'its own destroy()': ({ sock }) => [sock, () => sock.destroy()],
  };
  for (const [how, ending] of Object.entries(endings)) {
    it(`comes after the ticks that follow ${how}`, limit, async (t) => {
      const [socket, end] = ending(await pair(t));
      const seen = [];
      socket.on('close', () => seen.push('close'));
      await new Promise((resolve) => {
        setImmediate(() => {
          process.nextTick(() => {
            process.nextTick(() => {
              seen.push('tick');
              resolve();
            });
          });
          end();
        });
      });
      if (!seen.includes('close')) await deadline(once(socket, 'close'), 'the close');
      assert.deepEqual(seen, ['tick', 'close']);
    });
  }

  it('emitted by a test of the program does not end the connection', limit, async (t) => {
    const { server, client, sock, session } = await pair(t);
    sock.emit('close', false);
    client.socket.emit('close', false);
    await turn();
    assert.deepEqual([client.connected, server.sockets], [true, [sock]]);
    const received = once(client, 'receive');
    await session.send({ still: 'here' });
    assert.deepEqual((await deadline(received, 'the message'))[0], { still: 'here' });
  });
});

describe('a value that is not an object', () => {
  it('is refused like any message if the connection is over', limit, async (t) => {
    const { client, server, sock } = await pair(t, { peer_type: 'json' });
    const errors = [];
    client.on('error', (err) => errors.push(err));
    const gone = once(server, 'disconnect');
    await client.disconnect();
    await deadline(gone, 'the disconnect');
    await assert.rejects(client.send('text'), { code: 'ERR_SOCKET_DESTROYED' });
    await assert.rejects(server.send(sock, 'text'), { code: 'ERR_SOCKET_DESTROYED' });
    assert.deepEqual(errors, []);
  });

  it('is refused by _send_message()', limit, async (t) => {
    const { server, sock } = await pair(t);
    const refused = { code: 'ERR_OBJECTBUFFER_BAD_OBJECT' };
    await assert.rejects(server._send_message(sock, 'text'), refused);
    await assert.rejects(async () => server._send_message(sock), refused);
  });
});

describe('a promise that a program ignores, or on which it only calls then(callback)', () => {
  it('ends no program if disconnect() comes before the connection', limit, async (t) => {
    const outcome = await run(
      t,
      async (_, { sockhop, ...where }) => {
        const { client: Client } = require(sockhop);
        // The client looks up the name of its server until it disconnects.
        require('node:dns').lookup = () => {};
        process.on('unhandledRejection', (err) => console.log('unhandled', err.code));
        const connecting = (use) => {
          const client = new Client(where);
          client.on('error', () => {});
          use(client.connect());
          return client;
        };
        const clients = [
          connecting(() => {}),
          connecting((promise) => promise.then(() => {})),
          connecting((promise) => promise.then(() => {}).then(() => {})),
        ];
        // By now the sockets of 1.8.4 are also being connected.
        setTimeout(() => {
          for (const client of clients) client.disconnect();
          setImmediate(() => setImmediate(() => process.exit()));
        });
      },
      { address: 'a.server.that.is.looked.up' },
    );
    assert.deepEqual(outcome, [0, []]);
  });

  it('ends no program that listens for the error of listen()', limit, async (t) => {
    const where = { path: unixPath(t) };
    const other = net.createServer().listen(where);
    cleanup(t, () => other.close());
    await once(other, 'listening');
    const outcome = await run(
      t,
      async (_, { sockhop, ...path }) => {
        const { server: Server } = require(sockhop);
        process.on('unhandledRejection', (err) => console.log('unhandled', err.code));
        let refused = 0;
        for (const use of [() => {}, (promise) => promise.then(() => console.log('listens'))]) {
          const server = new Server(path);
          server.on('error', (err) => {
            console.log(err.code);
            refused += 1;
            if (refused === 2) setImmediate(() => setImmediate(() => process.exit()));
          });
          use(server.listen());
        }
      },
      where,
    );
    assert.deepEqual(outcome, [0, ['EADDRINUSE', 'EADDRINUSE']]);
  });

  it('ends no program if close() comes before listen() is done', limit, async (t) => {
    const outcome = await run(t, async (_, { sockhop }) => {
      const { lookup } = require('node:dns').promises;
      const { server: Server } = require(sockhop);
      process.on('unhandledRejection', (err) => console.log('unhandled', err.code));
      const server = new Server({ address: 'localhost' });
      server.listen().then(() => {});
      server.close();
      // The server also looks up the name.
      for (let i = 0; i < 3; i++) await lookup('localhost');
      setImmediate(() => setImmediate(() => process.exit()));
    });
    assert.deepEqual(outcome, [0, []]);
  });

  it('still ends a program whose connection is refused', limit, async (t) => {
    const [code] = await run(
      t,
      async (_, { sockhop, ...where }) => {
        const { client: Client } = require(sockhop);
        const client = new Client(where);
        client.on('error', () => {});
        client.connect().then(() => {});
      },
      { path: `${unixPath(t)}-missing` },
    );
    assert.equal(code, 1);
  });
});
