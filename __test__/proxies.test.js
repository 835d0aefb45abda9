'use strict';

// Tests that Proxies of clients, servers, sessions and sockets, and objects that inherit from them,
// work like the objects themselves.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { inspect } = require('node:util');
const { cleanup } = require('./support/cleanup.js');
const { endpoint } = require('./support/addresses.js');
const impl = require('./support/impl.js');
const { record } = require('./support/event-log.js');
const { clientOnWire, startClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

const wraps = {
  'a Proxy': (object) => new Proxy(object, {}),
  'a Proxy with traps': (object) =>
    new Proxy(object, {
      get: (target, name, receiver) => Reflect.get(target, name, receiver),
      set: (target, name, value, receiver) => Reflect.set(target, name, value, receiver),
    }),
  'an object that inherits from it': (object) => Object.create(object),
};

for (const [name, wrap] of Object.entries(wraps)) {
  describe(`${name}, used instead of the object`, () => {
    it('is a client', limit, async (t) => {
      const { server, where } = await startServer(t);
      const client = new impl.client(where);
      const log = record(client);
      const stand = wrap(client);
      cleanup(t, () => stand.disconnect());
      assert.ok(stand instanceof impl.client);
      const accepted = once(server, 'connect');
      await stand.connect();
      const [socket] = await accepted;
      assert.deepEqual([stand.connected, stand.socket], [true, client.socket]);

      const question = once(server, 'receive');
      const answer = new Promise((resolve) => stand.send({ n: 1 }, resolve));
      (await question)[1].callback({ n: 2 });
      assert.deepEqual(await answer, { n: 2 });

      server.once('request', ({ data }, response) => response.send({ asked: data }));
      const answers = wrap(await stand.request('this'));
      assert.deepEqual((await answers.next()).data, { asked: 'this' });

      stand.auto_reconnect = true;
      assert.deepEqual([client.auto_reconnect, stand.auto_reconnect], [true, true]);
      stand.ping(600_000);
      assert.deepEqual(stand.pings, []);
      assert.equal(stand.stats().messages_sent, client.stats().messages_sent);
      assert.equal(stand.get_bound_address(), '127.0.0.1');
      assert.match(inspect(stand), /connected/);

      await server.send(socket, 'said');
      assert.equal((await log.next('receive')).args[0], 'said');
      await stand.disconnect();
      await log.next('disconnect');
      assert.equal(client.auto_reconnect, false);
    });

    it('is a server', limit, async (t) => {
      const where = await endpoint(t);
      const server = new impl.server(where);
      const stand = wrap(server);
      cleanup(t, () => stand.close());
      assert.ok(stand instanceof impl.server);
      await stand.listen();
      const accepted = once(server, 'connect');
      const { client, log } = await startClient(t, where);
      const [socket, session] = await accepted;
      assert.deepEqual([stand.sockets[0], stand.sessions[0]], [socket, session]);
      await stand.send(socket, 'to one');
      await stand.sendall('to all');
      await wrap(session).send('to the session');
      for (const said of ['to one', 'to all', 'to the session']) {
        assert.equal((await log.next('receive')).args[0], said);
      }
      assert.equal(stand.get_bound_address(), '127.0.0.1');
      assert.equal(wrap(stand.server).address().port, where.port);
      assert.equal(stand.stats().connections, 1);
      stand.ping(600_000);
      const lost = once(client, 'disconnect');
      await stand.kill_socket(stand.sockets[0]);
      await lost;
      await stand.close();
    });

    it('is the socket of a server', limit, async (t) => {
      const { server, log, where } = await startServer(t);
      const wire = await rawClient(t, where);
      const [socket] = (await log.next('connect')).args;
      const stand = wrap(socket);
      await server.send(stand, { n: 1 });
      stand.write('"raw"\n');
      assert.deepEqual(await wire.frame(), { type: 'Object', data: { n: 1 } });
      assert.equal(await wire.frame(), 'raw');
      assert.equal(stand.remotePort, wire.socket.localPort);
      stand.setNoDelay(true).setKeepAlive(true);
      assert.equal(stand.bytesWritten, socket.bytesWritten);
      stand.pause();
      stand.resume();
      await server.kill_socket(stand);
      await wire.next('end');
    });

    it('is the socket of a client', limit, async (t) => {
      const { client, log, wire } = await clientOnWire(t);
      const stand = wrap(client.socket);
      stand.write('"raw"\n');
      assert.equal(await wire.frame(), 'raw');
      const bytes = once(client.socket, 'data');
      stand.on('data', () => {});
      wire.write('"heard"');
      assert.equal(String((await bytes)[0]), '"heard"\n');
      stand.destroy();
      await log.next('disconnect');
      assert.equal(client.connected, false);
    });

    it('is an ObjectBuffer', () => {
      const stand = wrap(new impl.ObjectBuffer());
      assert.deepEqual(stand.buf2obj(Buffer.from('{"a":1}\n{"b"')), [{ a: 1 }]);
      assert.deepEqual(stand.buf2obj(Buffer.from(':2}\n')), [{ b: 2 }]);
      assert.equal(String(stand.obj2buf({ a: 1 })), '{"a":1}\n');
    });
  });
}

describe('a class that answers with a Proxy of itself', () => {
  it('is a client', limit, async (t) => {
    const { log, where } = await startServer(t);
    const seen = [];
    class Watched extends impl.client {
      constructor(options) {
        super(options);
        // biome-ignore lint/correctness/noConstructorReturn: the test needs such a constructor
        return new Proxy(this, {
          get(target, name, receiver) {
            if (typeof name === 'string') seen.push(name);
            return Reflect.get(target, name, receiver);
          },
        });
      }
    }
    const client = new Watched(where);
    cleanup(t, () => client.disconnect());
    await client.connect();
    await client.send({ n: 1 });
    assert.deepEqual((await log.next('receive')).args[0], { n: 1 });
    assert.ok(seen.includes('send'));
  });
});

describe('the methods of a class', () => {
  it('keep their names and numbers of parameters', () => {
    const { prototype } = impl.client;
    assert.deepEqual([prototype.send.name, prototype.send.length], ['send', 2]);
    assert.deepEqual(
      [impl.server.prototype.send.name, impl.server.prototype.send.length],
      ['send', 3],
    );
  });
});
