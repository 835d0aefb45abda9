'use strict';

// A client with several servers.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { freePort, unixPath } = require('./support/addresses.js');
const { issue } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const { cannotHang, hangingPort } = require('./support/hanging.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { secureServer } = require('./support/secure.js');

const limit = { timeout: 600_000 };
const FAST = { auto_reconnect_interval: 10, auto_reconnect_factor: 1.1 };

const outcome = (promise) => deadline(promise, 'a promise').catch((err) => err);

/** A server that answers with its name. */
async function startNamed(t, name, where) {
  const { server } = await startServer(t, {}, where);
  server.on('receive', (_object, { callback }) => callback?.({ name }));
  return server;
}

const nameOf = async (client) => (await outcome(client.call({ who: 'are you' }))).name;

describe('a client with several servers', () => {
  it('connects to the first one that accepts, in order', limit, async (t) => {
    const places = [{ port: await freePort() }, { path: unixPath(t) }, { port: await freePort() }];
    await startNamed(t, 'second', places[1]);
    await startNamed(t, 'third', places[2]);
    const { client, log } = makeClient(t, {}, { addresses: places });
    await client.connect();
    assert.equal(await nameOf(client), 'second');
    assert.equal(client.path, places[1].path);
    assert.equal(log.count('error'), 0);
    assert.equal(log.count('connect'), 1);
  });

  it('goes to another one when the connection ends, and prefers the first', limit, async (t) => {
    const places = [{ port: await freePort() }, { port: await freePort() }];
    const first = await startNamed(t, 'first', places[0]);
    const second = await startNamed(t, 'second', places[1]);
    const { client, log } = makeClient(t, {}, { addresses: places, ...FAST });
    client.auto_reconnect = true;
    await client.connect();
    assert.equal(await nameOf(client), 'first');
    for (const [server, next] of [
      [first, 'second'],
      [second, 'first'],
    ]) {
      if (next === 'first') await startNamed(t, 'first', places[0]);
      const connected = once(client, 'connect');
      await server.close();
      await deadline(connected, 'the next connection');
      assert.equal(await nameOf(client), next);
    }
    assert.equal(log.count('error'), 0);
  });

  it('skips a server that does not answer within connect_timeout', {
    ...limit,
    skip: cannotHang,
  }, async (t) => {
    const hole = { port: await hangingPort(t) };
    const port = await freePort();
    await startNamed(t, 'second', { port });
    const { client } = makeClient(t, {}, { addresses: [hole, { port }], connect_timeout: 2000 });
    await client.connect();
    assert.equal(await nameOf(client), 'second');
    assert.equal(client.stats().last_connect_error, 'ETIMEDOUT');
  });

  it('rejects with the errors of all servers', limit, async (t) => {
    const port = await freePort();
    const { client } = makeClient(t, {}, { addresses: [{ port }, { path: '/no/such/socket' }] });
    const connecting = client.connect();
    assert.equal((await outcome(client.connect())).code, 'ERR_MULTICONNECT');
    const message = client.send({ a: 1 });
    const call = client.call({ a: 1 });
    const err = await outcome(connecting);
    assert.ok(err instanceof AggregateError);
    assert.equal(err.code, 'ECONNREFUSED');
    assert.equal(
      err.message,
      `connect ECONNREFUSED 127.0.0.1:${port}; connect ENOENT /no/such/socket`,
    );
    assert.deepEqual(
      err.errors.map(({ code }) => code),
      ['ECONNREFUSED', 'ENOENT'],
    );
    for (const promise of [message, call]) {
      assert.equal((await outcome(promise)).code, 'ERR_SOCKET_DESTROYED');
    }
    assert.match(
      (await outcome(message)).cause.message,
      /^The client could not connect to any of its servers/,
    );
    assert.equal((await outcome(client.send({ a: 1 }))).code, 'ERR_SOCKET_DESTROYED');
    assert.equal(client._connecting, false);
  });

  it(
    'keeps messages that are sent while it tries for the server that accepts',
    limit,
    async (t) => {
      const places = [{ port: await freePort() }, { port: await freePort() }];
      const { server } = await startServer(t, {}, places[1]);
      const numbers = [];
      server.on('receive', ({ number }) => numbers.push(number));
      const { client } = makeClient(t, {}, { addresses: places });
      const connecting = client.connect();
      const sent = [0, 1, 2].map((number) => client.send({ number }));
      await connecting;
      sent.push(client.send({ number: 3 }));
      await Promise.all(sent);
      await until(() => numbers.length === 4, 'all have arrived');
      assert.deepEqual(numbers, [0, 1, 2, 3]);
      // Without a connection they do not wait.
      await server.close();
      await until(() => !client.connected, 'the connection is over');
      assert.equal((await outcome(client.send({ number: 4 }))).code, 'ERR_SOCKET_DESTROYED');
    },
  );

  it('keeps an offline queue over attempts at all servers', limit, async (t) => {
    const places = [{ port: await freePort() }, { port: await freePort() }];
    const { client } = makeClient(t, {}, { addresses: places, offline_queue: 10, ...FAST });
    const name = nameOf(client);
    client.auto_reconnect = true;
    await until(() => client.stats().failed_reconnects >= 2, 'two attempts have failed');
    await startNamed(t, 'second', places[1]);
    assert.equal(await name, 'second');
  });

  it('ends all of the attempt by disconnect(), a signal, and the end of its socket', {
    ...limit,
    skip: cannotHang,
  }, async (t) => {
    const holes = [{ port: await hangingPort(t) }, { port: await hangingPort(t) }];
    const ends = {
      disconnect: (client) => client.disconnect(),
      abort: (_client, controller) => controller.abort(),
      destroy: (client) => client.socket.destroy(),
      assign: (client) => {
        client._connecting = false;
      },
    };
    for (const [name, end] of Object.entries(ends)) {
      const { client } = makeClient(t, {}, { addresses: holes });
      const controller = new AbortController();
      const connecting = client.connect({ signal: controller.signal });
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(client._connecting, true);
      end(client, controller);
      const expected = name === 'abort' ? 'ABORT_ERR' : 'ERR_SOCKET_DESTROYED';
      assert.equal((await outcome(connecting)).code, expected, name);
      assert.equal(client._connecting, false, name);
      assert.equal(client.port, holes[0].port, 'the second one is not tried');
    }
  });

  it('can connect again at once after disconnect()', { ...limit, skip: cannotHang }, async (t) => {
    const hole = { port: await hangingPort(t) };
    const port = await freePort();
    await startNamed(t, 'second', { port });
    const { client } = makeClient(t, {}, { addresses: [hole, { port }], connect_timeout: 2000 });
    const first = client.connect();
    client.disconnect();
    const second = client.connect();
    assert.equal((await outcome(first)).code, 'ERR_SOCKET_DESTROYED');
    await second;
    assert.equal(await nameOf(client), 'second');
  });

  it('verifies each server with TLS, and skips one that is not trusted', limit, async (t) => {
    const [trusted, stranger] = [await issue({ name: 'here' }), await issue({ name: 'there' })];
    const untrusted = await secureServer(t, stranger);
    const good = await secureServer(t, trusted);
    const { client } = makeClient(
      t,
      {},
      {
        addresses: [{ port: untrusted.port }, { port: good.port }],
        ssl: true,
        ssl_options: { ca: trusted.cert, checkServerIdentity: () => undefined },
      },
    );
    await client.connect();
    assert.equal(client.port, good.port);
    assert.equal(client.socket.authorized, true);
  });

  it('tries them in another order each time with address_order: "random"', limit, async (t) => {
    const names = ['a', 'b', 'c'];
    const places = await Promise.all(names.map(async () => ({ port: await freePort() })));
    for (const [i, name] of names.entries()) await startNamed(t, name, places[i]);
    const counts = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < 90; i += 1) {
      const { client } = makeClient(t, {}, { addresses: places, address_order: 'random' });
      await client.connect();
      counts[await nameOf(client)] += 1;
      await client.disconnect();
    }
    // 30 of each are expected; less than 8 are five standard deviations away.
    for (const name of names) assert.ok(counts[name] >= 8, JSON.stringify(counts));
  });
});

describe('the option addresses', () => {
  const refused = (addresses, code, message) =>
    assert.throws(() => new impl.client({ addresses }), { code, message });

  it('is refused with the place and the field', () => {
    refused(
      '127.0.0.1:5',
      'ERR_INVALID_ARG_TYPE',
      /^The "options.addresses" property must be an a/,
    );
    refused(
      [],
      'ERR_INVALID_ARG_VALUE',
      /^The "options.addresses" property must be an array of at/,
    );
    refused(
      [{ port: 5 }, '127.0.0.1:5'],
      'ERR_INVALID_ARG_TYPE',
      /^The "options.addresses\[1\]" property must be an object, \{ address, port \} or \{ path \}/,
    );
    refused(
      [{ port: 70000 }],
      'ERR_SOCKET_BAD_PORT',
      /^The "options.addresses\[0\].port" property must be an integer >= 0 and < 65536/,
    );
    refused([{ address: 'http://here' }], 'ERR_INVALID_ARG_VALUE', /addresses\[0\]\.address/);
    refused([{ path: 5 }], 'ERR_INVALID_ARG_TYPE', /addresses\[0\]\.path/);
    assert.throws(() => new impl.client({ address_order: 'sorted' }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /one of "in_order", "random"/,
    });
  });

  it('takes the defaults of address and port for each place', () => {
    const client = new impl.client({ addresses: [{ address: 'localhost' }], port: 5 });
    assert.deepEqual([client.path, client.address, client.port], [null, 'localhost', 50000]);
    assert.match(require('node:util').inspect(client), /localhost:50000/);
  });
});
