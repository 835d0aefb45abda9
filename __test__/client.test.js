'use strict';

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, freePort, unixPath } = require('./support/addresses.js');
const { deadline, turn } = require('./support/deadline.js');
const { withoutOffer } = require('./support/codec.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };

describe('a new client', () => {
  it('has the defaults of sockhop 1.8.4', limit, (t) => {
    const { client } = makeClient(t, {});
    assert.equal(client.address, '127.0.0.1');
    assert.equal(client.port, 50_000);
    assert.equal(client.path, null);
    assert.equal(client.connected, false);
    assert.equal(client.auto_reconnect, false);
    assert.equal(client.constructor.name, 'SockhopClient');
    assert.ok(client instanceof EventEmitter);
  });

  it('needs no options', limit, async () => {
    const client = new impl.client();
    client._auto_reconnect_timer?.unref?.();
    assert.equal(client.connected, false);
    await client.disconnect();
  });

  it('can be extended', limit, async (t) => {
    const raw = await rawServer(t);
    class Greeter extends impl.client {
      name = 'greeter';

      greet() {
        return this.send({ greeting: this.name });
      }
    }
    const client = new Greeter(raw.where);
    client._auto_reconnect_timer?.unref?.();
    t.after(() => client.disconnect());
    assert.ok(client instanceof impl.client);
    await client.connect();
    await client.greet();
    const wire = await raw.accept();
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { greeting: 'greeter' } });
  });
});

describe('connect()', () => {
  it('resolves after the connect event', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, where);
    let connected = false;
    client.on('connect', () => {
      connected = client.connected;
    });
    const promise = client.connect();
    assert.ok(promise instanceof Promise);
    assert.equal(client.connected, false);
    await promise;
    assert.equal(connected, true, 'connected already says so in the event');
    assert.equal(client.connected, true);
    assert.equal(log.count('connect'), 1);
    assert.equal(log.entries[0].args.length, 1);
    assert.equal(log.entries[0].args[0], client.socket);
    assert.ok(client.socket instanceof net.Socket);
  });

  it('resolves at once when connected', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = await startClient(t, where);
    const { socket } = client;
    await client.connect();
    await turn();
    assert.equal(log.count('connect'), 1);
    assert.equal(client.socket, socket);
  });

  it('rejects while the client is connecting', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, where);
    const first = client.connect();
    await assert.rejects(client.connect(), { code: 'ERR_MULTICONNECT' });
    await first;
    assert.equal(client.connected, true);
    assert.equal(log.count('connect'), 1);
  });

  it('works again after disconnect()', limit, async (t) => {
    const { log: serverLog, where } = await startServer(t);
    const { client, log } = makeClient(t, where);
    for (let life = 1; life <= 5; life += 1) {
      await client.connect();
      await serverLog.next('connect');
      await client.send({ life });
      assert.deepEqual((await serverLog.next('receive')).args[0], { life });
      await client.disconnect();
      await serverLog.next('disconnect');
      assert.equal(log.count('connect'), life);
      assert.equal(log.count('disconnect'), life);
    }
  });

  it('works again after a refused attempt', limit, async (t) => {
    const where = await endpoint(t);
    const { client } = makeClient(t, where);
    await assert.rejects(client.connect(), { code: 'ECONNREFUSED' });
    await startServer(t, {}, where);
    await client.connect();
    assert.equal(client.connected, true);
  });

  it('connects to the port and address that are set at that moment', limit, async (t) => {
    const first = await startServer(t);
    const second = await startServer(t);
    const { client } = makeClient(t, { port: first.where.port, address: '127.0.0.1' });
    await client.connect();
    await first.log.next('connect');
    client.port = second.where.port;
    await client.disconnect();
    client.address = 'localhost';
    await client.connect();
    await second.log.next('connect');
    assert.equal(first.log.count('connect'), 1);
  });

  it('connects to the path, if there is one, instead of the port', limit, async (t) => {
    const overPath = await startServer(t, {}, { path: unixPath(t) });
    const overPort = await startServer(t);
    const { client } = makeClient(t, { path: overPath.where.path, port: overPort.where.port });
    await client.connect();
    await overPath.log.next('connect');
    await client.disconnect();
    client.path = null;
    await client.connect();
    await overPort.log.next('connect');
    assert.equal(overPath.log.count('connect'), 1);
  });

  it('is seen by events.once', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where);
    const [[socket]] = await Promise.all([once(client, 'connect'), client.connect()]);
    assert.equal(socket, client.socket);
  });
});

describe('a connected client', () => {
  it('knows the address it is bound to', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = await startClient(t, where);
    assert.equal(client.get_bound_address(), '127.0.0.1');
  });

  it('frames messages as sockhop 1.8.4 does', limit, async (t) => {
    class Widget {
      constructor() {
        this.a = 1;
      }
    }
    const { client, wire } = await clientOnWire(t);
    for (const object of [
      new Widget(),
      'str',
      5,
      [1],
      new Date(0),
      Buffer.from('hi'),
      true,
      0,
      '',
    ]) {
      await client.send(object);
    }
    const frames = await wire.take('frame', 9);
    assert.deepEqual(
      frames.map(({ text }) => withoutOffer(text)),
      [
        '{"type":"Widget","data":{"a":1}}',
        '{"type":"String","data":"str"}',
        '{"type":"Number","data":5}',
        '{"type":"Array","data":[1]}',
        '{"type":"Date","data":"1970-01-01T00:00:00.000Z"}',
        '{"type":"Buffer","data":{"type":"Buffer","data":[104,105]}}',
        '{"type":"Boolean","data":true}',
        '{"type":"Number","data":0}',
        '{"type":"String","data":""}',
      ],
    );
  });

  it('takes envelopes in any order of keys, and keys it does not know', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    wire.write(
      '{"version":[1,{}],"data":{"a":1},"type":"Widget"}',
      '{ "data" : 2 , "type":"Number"}',
    );
    const [first, second] = await log.take('receive', 2);
    assert.deepEqual([first.args[0], first.args[1].type], [{ a: 1 }, 'Widget']);
    assert.deepEqual([second.args[0], second.args[1].type], [2, 'Number']);
    assert.equal('callback' in first.args[1], false);
  });

  it('delivers a JSON value that is not an envelope as undefined', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    wire.write('{"a":1}', '[1]', '7', '"text"', 'true');
    const received = await log.take('receive', 5);
    for (const { args } of received) {
      assert.equal(args[0], undefined);
      assert.equal(args[1].type, undefined);
    }
    assert.equal(log.count('error'), 0);
  });

  it('skips bad frames with an error event and stays connected', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    wire.write({ type: 'Number', data: 1 }, '{"type":', { type: 'Number', data: 2 }, '', 'x');
    wire.write({ type: 'Number', data: 3 });
    const received = await log.take('receive', 3);
    assert.deepEqual(
      received.map(({ args }) => args[0]),
      [1, 2, 3],
    );
    const errors = log.all('error');
    assert.equal(errors.length, 3);
    for (const { args } of errors) {
      assert.ok(args[0] instanceof impl.error);
      assert.equal(args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
      assert.equal(args[0].message, 'Skipping corrupted data in buffer');
    }
    assert.equal(client.connected, true);
  });

  it('sends from the connect event on', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where);
    client.on('connect', () => client.send({ first: true }));
    await client.connect();
    const wire = await raw.accept();
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { first: true } });
  });

  it('keeps the order of messages sent in one tick and in many', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const promises = [];
    for (let i = 0; i < 300; i += 1) {
      promises.push(client.send(i));
      if (i % 50 === 49) await turn();
    }
    await Promise.all(promises);
    const frames = await wire.take('frame', 300);
    assert.deepEqual(
      frames.map(({ json }) => json.data),
      Array.from({ length: 300 }, (_, i) => i),
    );
  });

  it('sends the object as it is at the time of the call', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const object = { value: 'before' };
    const sent = client.send(object);
    object.value = 'after';
    await sent;
    assert.deepEqual((await wire.frame()).data, { value: 'before' });
  });
});

describe('the disconnect event of a client', () => {
  const endings = {
    'its own disconnect()': ({ client }) => client.disconnect(),
    'the end of the server': ({ wire }) => wire.socket.end(),
    'the reset of the server': ({ wire }) => wire.socket.resetAndDestroy(),
    'socket.end() in the program': ({ client }) => client.socket.end(),
  };

  for (const [name, finish] of Object.entries(endings)) {
    it(`comes once, with the socket, after ${name}`, limit, async (t) => {
      const { client, log, wire } = await clientOnWire(t);
      const { socket } = client;
      await finish({ client, wire });
      const { args } = await log.next('disconnect');
      assert.equal(args.length, 1);
      assert.equal(args[0], socket);
      assert.equal(client.connected, false);
      await wire.next('close');
      await turn();
      assert.equal(log.count('disconnect'), 1);
      assert.equal(log.count('error'), 0);
    });
  }

  it('comes after everything that was received', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    for (let i = 0; i < 500; i += 1) wire.write({ type: 'Number', data: i });
    wire.socket.end();
    await log.next('disconnect');
    assert.equal(log.count('receive'), 500);
    assert.equal(log.names().at(-1), 'disconnect');
  });

  it('comes with connected already false', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const seen = new Promise((resolve) => {
      client.on('disconnect', () => resolve(client.connected));
    });
    wire.socket.end();
    assert.equal(await deadline(seen, 'disconnect'), false);
  });

  it('lets the program connect again from the handler', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t);
    client.once('disconnect', () => client.connect());
    wire.socket.end();
    await log.next('disconnect');
    await raw.accept();
    await log.take('connect', 2);
    assert.equal(client.connected, true);
  });

  it('may send a request, which is answered over the next connection', limit, async (t) => {
    const { server, where } = await startServer(t);
    server.on('request', (request, response) => response.send({ asked: request.data }));
    const { client } = await startClient(t, where);
    const answer = new Promise((resolve, reject) => {
      client.once('disconnect', () => {
        client.connect().catch(reject);
        client
          .request('behind')
          .then((stream) => stream.next())
          .then(resolve, reject);
      });
    });
    server.sockets[0].destroy();
    const { data } = await deadline(answer, 'the answer');
    assert.deepEqual(data, { asked: 'behind' });
  });
});

describe('disconnect()', () => {
  it('resolves on a client that never connected', limit, async (t) => {
    const { client, log } = makeClient(t, {});
    await client.disconnect();
    assert.deepEqual(log.names(), []);
  });

  it('is harmless when repeated', limit, async (t) => {
    const { client, log } = await clientOnWire(t);
    await Promise.all([client.disconnect(), client.disconnect()]);
    await client.disconnect();
    assert.equal(log.count('disconnect'), 1);
  });

  it('turns auto_reconnect off', limit, async (t) => {
    const { client } = await clientOnWire(t);
    client.auto_reconnect = true;
    await client.disconnect();
    assert.equal(client.auto_reconnect, false);
  });

  it('lets messages arrive that were sent before it', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const sent = [];
    for (let i = 0; i < 100; i += 1) sent.push(client.send(i));
    await Promise.all(sent);
    await client.disconnect();
    const frames = await wire.take('frame', 100);
    assert.equal(frames.at(-1).json.data, 99);
    await wire.next('end');
  });
});

describe('a client over a Unix socket', () => {
  it('connects, sends and receives', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t, {}, { path: unixPath(t) });
    await client.send({ a: 1 });
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { a: 1 } });
    wire.write({ type: 'Number', data: 2 });
    assert.equal((await log.next('receive')).args[0], 2);
  });
});

describe('auto_reconnect', () => {
  it('connects by itself, and emits connect once', limit, async (t) => {
    const where = { port: await freePort() };
    const { client, log } = makeClient(t, where, { auto_reconnect_interval: 20 });
    client.auto_reconnect = true;
    assert.equal(client.auto_reconnect, true);
    const raw = await rawServer(t, where);
    await log.next('connect');
    assert.equal(client.connected, true);
    const wire = await raw.accept();
    await client.send(1);
    await wire.frame();
    assert.deepEqual(log.names(), ['connect']);
  });

  it('emits no error for refused attempts', limit, async (t) => {
    const where = { port: await freePort() };
    const { client, log } = makeClient(t, where, { auto_reconnect_interval: 10 });
    client.auto_reconnect = true;
    await assert.rejects(
      async () => {
        // This attempt alternates with the attempt of auto_reconnect until one is refused.
        for (;;) {
          await client.connect().catch((error) => {
            if (error.code !== 'ERR_MULTICONNECT') throw error;
          });
          await turn();
        }
      },
      { code: 'ECONNREFUSED' },
    );
    assert.deepEqual(log.names(), []);
  });
});
