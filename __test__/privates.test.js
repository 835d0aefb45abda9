'use strict';

// Tests fields of 1.8.4 that do not belong to its API, but that programs read and assign. With
// SOCKHOP_UNDER_TEST=sockhop-1.8 the same tests pass on the original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { deadline } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

async function pair(t) {
  const { server, where } = await startServer(t);
  const { client } = makeClient(t, where);
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock] = await deadline(arrived, 'the connection');
  return { server, client, sock };
}

describe('_send_callbacks', () => {
  it('of a client has the unanswered callbacks when the connection is lost', limit, async (t) => {
    const { server, client } = await pair(t);
    const told = [];
    const callback = (_object, meta) => told.push(meta.type);
    client.send({ q: 1 }, callback);
    client.send({ q: 2 }, callback);
    const lost = new Promise((resolve) => {
      client.on('disconnect', () => {
        for (const id in client._send_callbacks) {
          assert.equal(client._send_callbacks[id], callback);
          client._send_callbacks[id](null, { type: 'Lost' });
        }
        client._send_callbacks = {};
        resolve(Object.keys(client._send_callbacks).length);
      });
    });
    await once(server, 'receive');
    server.disconnect();
    assert.equal(await deadline(lost, 'the end of the connection'), 0);
    assert.deepEqual(told, ['Lost', 'Lost']);
  });

  it('of a server has the unanswered callbacks of clients that leave', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const told = [];
    server.send(sock, { q: 1 }, (_object, meta) => told.push(meta.type));
    await once(client, 'receive');
    const left = new Promise((resolve) => {
      server.on('disconnect', () => {
        for (const callback of Object.values(server._send_callbacks)) {
          callback(null, { type: 'Lost' });
        }
        resolve();
      });
    });
    await client.disconnect();
    await deadline(left, 'the disconnect');
    assert.deepEqual(told, ['Lost']);
  });

  it('is by the ids of the messages, of which one can be replaced or added', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const told = [];
    client.send({ q: 1 }, () => told.push('first'));
    const { id } = await wire.frame();
    assert.deepEqual(Object.keys(client._send_callbacks), [id]);
    assert.ok(id in client._send_callbacks);
    const plain = client._send_callbacks[id];
    client._send_callbacks[id] = (...args) => {
      told.push('replaced');
      plain(...args);
    };
    client._send_callbacks.mine = (object) => told.push(object);
    wire.write({ type: 'Object', data: {}, callback_id: id });
    wire.write({ type: 'String', data: 'added', callback_id: 'mine' });
    const received = once(client, 'receive');
    wire.write({ type: 'String', data: 'last' });
    await deadline(received, 'the last message');
    assert.deepEqual(told, ['replaced', 'first', 'added']);
    assert.deepEqual(Object.keys(client._send_callbacks), []);
  });
});

describe('_connected and _peer_type', () => {
  it('have the values of 1.8.4', limit, async (t) => {
    const { client } = await pair(t);
    assert.equal(client._connected, true);
    assert.equal(client._peer_type, 'Sockhop');
    client._connected = false;
    assert.equal(client.connected, false);
    client._connected = true;
    for (const peer_type of ['json', 'Sockhop', 'else', undefined]) {
      const expected = peer_type === 'json' ? 'json' : 'Sockhop';
      assert.equal(new impl.server({ peer_type })._peer_type, expected);
    }
  });

  it('can be assigned while there is a connection', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    client._peer_type = 'json';
    await client.send({ a: 1 });
    assert.deepEqual(await wire.frame(), { a: 1 });
    const bare = once(client, 'receive');
    wire.write({ b: 1 });
    assert.deepEqual(await deadline(bare, 'the bare message'), [{ b: 1 }, { type: 'Object' }]);
    wire.write({ type: 'SockhopPing', data: { _id: 'x' } });
    assert.equal((await wire.frame())._id, 'x');

    const { server, where } = await startServer(t, { peer_type: 'json' });
    server._peer_type = 'Sockhop';
    const arrived = once(server, 'connect');
    const raw = await rawClient(t, where);
    const [sock] = await deadline(arrived, 'the connection');
    await server.sendall({ c: 1 });
    assert.deepEqual(await raw.frame(), { type: 'Object', data: { c: 1 } });
    await server.send(sock, { d: 1 });
    assert.deepEqual(await raw.frame(), { type: 'Object', data: { d: 1 } });
  });
});

describe('_ssl, _ssl_options and the times', () => {
  it('are as the options say', () => {
    const options = { ssl: true, ssl_options: { a: 1, b: 2 }, auto_reconnect_interval: 5000 };
    const client = new impl.client(options);
    clearInterval(client._auto_reconnect_timer);
    assert.equal(client._ssl, true);
    assert.deepEqual(client._ssl_options, { a: 1, b: 2 });
    assert.equal(client._auto_reconnect_interval, 5000);
    assert.equal(new impl.server({ response_timeout: 7 })._res_stream_timeout, 7);
    assert.equal(new impl.server()._res_stream_timeout, undefined);
  });

  it('apply to requests that begin after they are assigned', limit, async (t) => {
    const { server, where } = await startServer(t);
    server._res_stream_timeout = 20;
    const arrived = once(server, 'connect');
    await rawClient(t, where);
    const [sock] = await deadline(arrived, 'the connection');
    const stream = await server.request(sock, { q: 1 });
    const [err] = await deadline(once(stream, 'end'), 'the end of the stream');
    assert.equal(err.code, 'ERR_RESPONSE_TIMEOUT');
  });
});

describe('_response_stream_maps', () => {
  it('has a map for each socket, whichever way it is read', limit, async (t) => {
    const { server, where } = await startServer(t);
    for (let i = 0; i < 2; i += 1) {
      const arrived = once(server, 'connect');
      await rawClient(t, where);
      await deadline(arrived, 'the connection');
    }
    const { _response_stream_maps: maps, sockets } = server;
    const isTimedMap = (map) => typeof map.set === 'function' && map._timeout > 0;
    assert.equal(maps.size, 2);
    assert.deepEqual([...maps.keys()], sockets);
    assert.ok(maps.has(sockets[0]));
    assert.equal([...maps.values()].filter(isTimedMap).length, 2);
    assert.equal([...maps].filter(([, map]) => isTimedMap(map)).length, 2);
    const visited = [];
    maps.forEach((map, sock) => {
      visited.push([sock, map]);
    });
    assert.deepEqual(visited, [...maps.entries()]);
    assert.equal(maps.get(sockets[1]), visited[1][1]);
    assert.equal(maps.get({}), undefined);
    const [sock] = sockets;
    const left = once(server, 'disconnect');
    await server.kill_socket(sock);
    await deadline(left, 'the end of the connection');
    assert.equal(maps.size, 1);
    assert.ok(!maps.has(sock));
  });
});

describe('an object that is made from a prototype only', () => {
  it('has no fields until they are assigned', () => {
    for (const Class of [impl.client, impl.server]) {
      const standIn = Object.create(Class.prototype);
      for (const name of ['pings', '_send_callbacks', '_peer_type']) {
        assert.equal(standIn[name], undefined, name);
        standIn[name] = name;
        assert.equal(standIn[name], name);
      }
    }
    const client = Object.create(impl.client.prototype);
    assert.equal(client.connected, undefined);
    assert.equal(client.auto_reconnect, undefined);
    assert.equal(client.socket, undefined);
    assert.ok(client instanceof impl.client);
  });
});
