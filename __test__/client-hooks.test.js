'use strict';

// Uses of a client beyond its API: its timer, its private names, and the Node functions it depends
// on.

const assert = require('node:assert/strict');
const dns = require('node:dns');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { cleanup } = require('./support/cleanup.js');
const { endpoint, freePort } = require('./support/addresses.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient, rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };

describe('the reconnect timer of a client', () => {
  it(
    'exists from construction on, and does not keep a process with an unused client alive',
    limit,
    async (t) => {
      const run = program(t, (sockhop) => {
        const client = new sockhop.client({ port: 1 });
        console.log(
          typeof client._auto_reconnect_timer.unref,
          client._auto_reconnect_timer.hasRef(),
        );
      });
      const { code, lines } = await run.ended();
      assert.deepEqual([code, lines], [0, ['function false']]);
    },
  );

  it(
    'keeps the process alive while auto_reconnect is on, unless it was unref()ed',
    limit,
    async (t) => {
      const port = await freePort();
      const main = (sockhop, { port: place, unref }) => {
        const client = new sockhop.client({ port: place, auto_reconnect_interval: 20 });
        if (unref) client._auto_reconnect_timer.unref();
        client.auto_reconnect = true;
        console.log(client._auto_reconnect_timer.hasRef());
        let beats = 0;
        client._perform_auto_reconnect = () => {
          beats += 1;
          if (beats === 3) {
            client.auto_reconnect = false;
            console.log('three beats');
          }
        };
      };
      const held = await program(t, main, { port, unref: false }).ended();
      assert.deepEqual([held.code, held.lines], [0, ['true', 'three beats']]);
      const free = await program(t, main, { port, unref: true }).ended();
      assert.deepEqual([free.code, free.lines], [0, ['false']]);
    },
  );

  it('ends all reconnecting when the program clears it', limit, async (t) => {
    const port = await freePort();
    const run = program(
      t,
      (sockhop, place) => {
        const client = new sockhop.client({ port: place, auto_reconnect_interval: 10 });
        clearInterval(client._auto_reconnect_timer);
        client.auto_reconnect = true;
      },
      port,
    );
    assert.equal((await run.ended()).code, 0);
  });

  it('does not keep a client from being garbage collected', limit, async (t) => {
    const run = program(
      t,
      async (sockhop) => {
        const ref = new WeakRef(new sockhop.client({ port: 1, auto_reconnect_interval: 10 }));
        while (ref.deref() !== undefined) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          globalThis.gc();
        }
        console.log('collected');
      },
      null,
      { flags: ['--expose-gc'] },
    );
    const { code, lines } = await run.ended();
    assert.deepEqual([code, lines], [0, ['collected']]);
  });

  it(
    'runs from construction on: auto_reconnect that is turned on later waits for the next beat',
    limit,
    async (t) => {
      const raw = await rawServer(t);
      const { client } = makeClient(t, raw.where, { auto_reconnect_interval: 50 });
      let beats = 0;
      const attempt = client._perform_auto_reconnect;
      const third = new Promise((resolve) => {
        client._perform_auto_reconnect = () => {
          beats += 1;
          if (beats === 3) {
            client.auto_reconnect = true;
            resolve();
          }
          attempt.call(client);
        };
      });
      await third;
      await once(client, 'connect');
      // It connected at the beat at which it was turned on.
      assert.equal(beats, 3);
    },
  );
});

describe('a private name of a client', () => {
  it('_auto_reconnect is auto_reconnect', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, { auto_reconnect_interval: 10 });
    assert.equal(client._auto_reconnect, false);
    client._auto_reconnect = true;
    assert.equal(client.auto_reconnect, true);
    await once(client, 'connect');
    client.auto_reconnect = false;
    assert.equal(client._auto_reconnect, false);
  });

  it('_connecting is true during an attempt, and ends it when set to false', limit, async (t) => {
    t.mock.method(dns, 'lookup', () => {});
    const { client } = makeClient(t, { address: 'nowhere.example', port: 1 });
    assert.equal(client._connecting, false);
    const attempt = client.connect();
    assert.equal(client._connecting, true);
    client._connecting = false;
    await assert.rejects(attempt, { code: 'ERR_SOCKET_DESTROYED' });
    assert.equal(client._connecting, false);
  });

  it('_auto_reconnect_interval is the time between two attempts', limit, (t) => {
    const { client } = makeClient(t, { port: 1 }, { auto_reconnect_interval: 1234 });
    assert.equal(client._auto_reconnect_interval, 1234);
  });

  it('_connect_timeout counts for the next attempt', limit, async (t) => {
    t.mock.method(dns, 'lookup', () => {});
    const { client } = makeClient(t, { address: 'nowhere.example', port: 1 });
    assert.equal(client._connect_timeout, 5_000);
    client._connect_timeout = 1;
    await assert.rejects(client.connect(), { message: 'Timeout exceeded on connect()' });
  });
});

describe('options that are changed after the constructor', () => {
  it('of a server: the terminator counts for new connections', limit, async (t) => {
    const where = await endpoint(t);
    const options = { ...where };
    const server = new impl.server(options);
    const log = record(server);
    cleanup(t, () => server.close());
    await server.listen();
    const before = await rawClient(t, where);
    await log.next('connect');
    options.terminator = ';';
    const after = await rawClient(t, where);
    await log.next('connect');
    options.terminator = ['\n', ';'];
    const last = await rawClient(t, where);
    await log.next('connect');
    before.socket.write('{"type":"A","data":1}\n');
    assert.equal((await log.next('receive')).args[0], 1);
    after.socket.write('{"type":"A","data":2};{"type":"A","data":3}\n;');
    assert.equal((await log.next('receive')).args[0], 2);
    assert.equal((await log.next('receive')).args[0], 3);
    last.socket.write('{"type":"A","data":4}\n');
    assert.equal((await log.next('receive')).args[0], 4);
    await server.sendall('to all');
    for (const wire of [before, after, last]) {
      assert.deepEqual(await wire.frame(), { type: 'String', data: 'to all' });
    }
  });

  it('of a server: allow_non_objects counts for new connections', limit, async (t) => {
    const where = await endpoint(t);
    const options = { ...where };
    const server = new impl.server(options);
    const log = record(server);
    cleanup(t, () => server.close());
    await server.listen();
    options.allow_non_objects = true;
    const wire = await rawClient(t, where);
    wire.socket.write('no JSON\n{"type":"A","data":1}\n');
    const [data] = (await log.next('receive', ({ args }) => args[0] === 1)).args;
    assert.equal(data, 1);
    assert.equal(log.count('error'), 0);
  });

  it(
    'of a server: an invalid terminator ends the connection, and nothing else',
    limit,
    async (t) => {
      const where = await endpoint(t);
      const options = { ...where };
      const server = new impl.server(options);
      const log = record(server);
      cleanup(t, () => server.close());
      await server.listen();
      options.terminator = '';
      const wire = await rawClient(t, where);
      assert.equal((await log.next('error')).args[0].code, 'ERR_INVALID_ARG_VALUE');
      await wire.next('close');
      assert.equal(server.server.listening, true);
    },
  );

  it('of a client: ssl_options count for the next attempt', limit, async (t) => {
    const ssl_options = { rejectUnauthorized: false };
    const { client } = makeClient(t, { port: 1, ssl_options });
    const connect = t.mock.method(tls, 'connect', () => {
      throw new Error('seen');
    });
    ssl_options.servername = 'changed.example';
    await assert.rejects(client.connect(), { message: 'seen' });
    client._ssl_options = { servername: 'replaced.example' };
    await assert.rejects(client.connect(), { message: 'seen' });
    assert.deepEqual(
      connect.mock.calls.map(({ arguments: [, , { servername }] }) => servername),
      ['changed.example', 'replaced.example'],
    );
  });
});

describe('dns.lookup() that the program replaced', () => {
  const answers = {
    'answers with a list': (_host, _options, callback) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]),
    'answers with one address': (_host, _options, callback) => callback(null, '127.0.0.1', 4),
  };
  for (const [name, answer] of Object.entries(answers)) {
    it(`is asked by connect() (${name})`, limit, async (t) => {
      const { server } = await startServer(t, {}, { port: 0 });
      const lookup = t.mock.method(dns, 'lookup', (...args) => process.nextTick(answer, ...args));
      const { port } = server.server.address();
      await startClient(t, { address: 'backend.service', port });
      assert.equal(lookup.mock.calls[0].arguments[0], 'backend.service');
    });
  }

  it('is asked by listen()', limit, async (t) => {
    t.mock.method(dns, 'lookup', (host, ...rest) => {
      assert.equal(host, 'my.own.name');
      process.nextTick(rest.at(-1), null, '127.0.0.1', 4);
    });
    const server = new impl.server({ address: 'my.own.name', port: 0 });
    cleanup(t, () => server.close());
    await server.listen();
    assert.equal(server.get_bound_address(), '127.0.0.1');
  });

  it('rejects connect() with its error', limit, async (t) => {
    const failure = Object.assign(new Error('no such service'), { code: 'ENOSERVICE' });
    t.mock.method(dns, 'lookup', (...args) => process.nextTick(args.at(-1), failure));
    const { client } = makeClient(t, { address: 'backend.service', port: 1 });
    await assert.rejects(client.connect(), failure);
  });
});

describe('the messages that a client sends and receives', () => {
  it('includes null in json mode', limit, async (t) => {
    const { client, wire } = await clientOnWire(t, { peer_type: 'json' });
    await client.send(null);
    assert.equal((await wire.next('frame')).text, 'null');
  });

  it('includes a class of the program that is called SockhopHandshake', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    wire.write({ type: 'SockhopHandshake', data: { a: 1 } });
    const { args } = await log.next('receive');
    assert.deepEqual(args, [{ a: 1 }, { type: 'SockhopHandshake' }]);
  });

  it('does not include the handshake of sockhop 2.x', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    const data = { protocol_version: 2, library_version: '2.1.0', request_binary_mode: true };
    wire.write({ type: 'SockhopHandshake', data, id: 'b0c6f3c8-9b4e-4b62-8d0c-6d7f3c1f2a10' });
    wire.write({ type: 'String', data: 'behind it' });
    const { args } = await log.next('receive');
    assert.equal(args[0], 'behind it');
  });
});
