'use strict';

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { turn } = require('./support/deadline.js');
const { clientOnWire, startClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Sends with a callback; resolves to the callback's arguments. */
function ask(send) {
  return new Promise((resolve, reject) => {
    send((...args) => resolve(args)).catch(reject);
  });
}

/** A server with a plain client on it, and the server's socket for it. */
async function serverOnWire(t, options) {
  const { server, log, where } = await startServer(t, options);
  const wire = await rawClient(t, where);
  const [socket, session] = (await log.next('connect')).args;
  return { server, log, where, wire, socket, session };
}

describe('a question on the wire', () => {
  it('of a client carries a fresh id', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    client.send({ b: 1 }, () => {});
    client.send({ b: 1 }, () => {});
    const [first, second] = await wire.take('frame', 2);
    assert.deepEqual(Object.keys(first.json), ['type', 'data', 'id']);
    assert.match(first.json.id, UUID);
    assert.match(second.json.id, UUID);
    assert.notEqual(first.json.id, second.json.id);
  });

  it('of a server carries a fresh id', limit, async (t) => {
    const { server, wire, socket } = await serverOnWire(t);
    server.send(socket, 'question', () => {});
    const frame = await wire.frame();
    assert.deepEqual(Object.keys(frame), ['type', 'data', 'id']);
    assert.deepEqual([frame.type, frame.data], ['String', 'question']);
    assert.match(frame.id, UUID);
  });

  it('gives the server a callback that answers', limit, async (t) => {
    const { log, wire } = await serverOnWire(t);
    wire.write({ type: 'Object', data: { q: 1 }, id: 'any id' });
    const [object, meta] = (await log.next('receive')).args;
    assert.deepEqual(object, { q: 1 });
    class Answer {
      a = 1;
    }
    meta.callback(new Answer());
    assert.deepEqual(await wire.frame(), { type: 'Answer', data: { a: 1 }, callback_id: 'any id' });
  });

  it('gives the client a callback that answers', limit, async (t) => {
    const { log, wire } = await clientOnWire(t);
    wire.write({ type: 'Object', data: { q: 1 }, id: 'any id' });
    const [, meta] = (await log.next('receive')).args;
    meta.callback('text');
    assert.deepEqual(await wire.frame(), { type: 'String', data: 'text', callback_id: 'any id' });
  });

  it('is answered with an empty object if the server passes no answer', limit, async (t) => {
    const { log, wire } = await serverOnWire(t);
    wire.write({ type: 'Object', data: {}, id: '1' });
    (await log.next('receive')).args[1].callback();
    assert.deepEqual(await wire.frame(), { type: 'Object', data: {}, callback_id: '1' });
  });
});

describe('an answer', () => {
  it('comes to the callback with its type, and not as an event', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    const answer = ask((callback) => client.send({ q: 1 }, callback));
    const { id } = await wire.frame();
    wire.write({ type: 'Widget', data: { a: 1 }, callback_id: id }, { type: 'Number', data: 1 });
    assert.deepEqual(await answer, [{ a: 1 }, { type: 'Widget' }]);
    await log.next('receive');
    assert.equal(log.count('receive'), 1);
  });

  it('finds its question in any order', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const answers = [1, 2, 3].map((n) => ask((callback) => client.send(n, callback)));
    const frames = await wire.take('frame', 3);
    for (const { json } of frames.reverse()) {
      wire.write({ type: 'Number', data: json.data * 10, callback_id: json.id });
    }
    assert.deepEqual(
      (await Promise.all(answers)).map(([data]) => data),
      [10, 20, 30],
    );
  });

  it('may be false, zero, empty, null or left out', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    for (const data of [false, 0, '', null, undefined]) {
      const answer = ask((callback) => client.send({ q: 1 }, callback));
      const { id } = await wire.frame();
      wire.write({ type: 'Any', data, callback_id: id });
      assert.deepEqual(await answer, [data, { type: 'Any' }]);
    }
  });

  it('throws ERR_BAD_DATA if it is null or has no constructor', limit, async (t) => {
    const { log, server, where } = await startServer(t);
    const { client, log: clientLog } = await startClient(t, where);
    client.send({ q: 1 }, () => {});
    server.send((await log.next('connect')).args[0], { q: 2 }, () => {});
    const metas = await Promise.all([log.next('receive'), clientLog.next('receive')]);
    for (const { args } of metas) {
      const [, { callback }] = args;
      for (const data of [null, Object.create(null)]) {
        assert.throws(() => callback(data), { name: 'TypeError', code: 'ERR_BAD_DATA' });
      }
    }
  });

  it('counts once, even if it arrives twice', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    let calls = 0;
    client.send({ q: 1 }, () => {
      calls += 1;
    });
    const { id } = await wire.frame();
    const answer = { type: 'Number', data: 1, callback_id: id };
    wire.write(answer, answer, { type: 'String', data: 'after' });
    await log.next('receive', ({ args }) => args[0] === 'after');
    assert.equal(calls, 1);
  });

  it('counts only from the client that was asked', limit, async (t) => {
    const { server, log, where, wire, socket } = await serverOnWire(t);
    const other = await rawClient(t, where);
    await log.next('connect');
    let calls = 0;
    const answered = ask((callback) =>
      server.send(socket, 'secret?', (...args) => {
        calls += 1;
        callback(...args);
      }),
    );
    const { id } = await wire.frame();
    other.write({ type: 'String', data: 'forged', callback_id: id }, { type: 'Number', data: 1 });
    await log.next('receive', ({ args }) => args[0] === 1);
    assert.equal(calls, 0);
    wire.write({ type: 'String', data: 'genuine', callback_id: id });
    assert.equal((await answered)[0], 'genuine');
  });

  it('comes to the server from a client', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const [socket] = (await log.next('connect')).args;
    client.on('receive', (object, { callback }) => callback([object, 'seen']));
    const [data, meta] = await ask((callback) => server.send(socket, 'q', callback));
    assert.deepEqual(data, ['q', 'seen']);
    assert.equal(meta.type, 'Array');
    assert.equal(log.count('receive'), 0);
  });
});

describe('many questions', () => {
  it('are answered together, in both directions', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const [socket] = (await log.next('connect')).args;
    for (const side of [server, client]) {
      side.on('receive', ({ n }, { callback }) => callback({ n: n * 2 }));
    }
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    const up = numbers.map((n) => ask((callback) => client.send({ n }, callback)));
    const down = numbers.map((n) => ask((callback) => server.send(socket, { n }, callback)));
    for (const answers of [await Promise.all(up), await Promise.all(down)]) {
      assert.deepEqual(
        answers.map(([data]) => data.n),
        numbers.map((n) => n * 2),
      );
    }
  });

  it('may be asked in the callbacks of other questions', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    server.on('receive', (n, { callback }) => callback(n - 1));
    const last = await new Promise((resolve, reject) => {
      const step = (n) => {
        if (n === 0) resolve(n);
        else client.send(n, step).catch(reject);
      };
      step(50);
    });
    assert.equal(last, 0);
  });

  it('may be answered later than others that came after them', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const callbacks = [];
    server.on('receive', (object, { callback }) => {
      callbacks.push(() => callback(object));
      if (callbacks.length === 3) for (const each of callbacks.reverse()) each();
    });
    const order = [];
    await Promise.all(
      ['a', 'b', 'c'].map(async (name) => {
        order.push((await ask((callback) => client.send(name, callback)))[0]);
      }),
    );
    assert.deepEqual(order, ['c', 'b', 'a']);
  });
});

describe('a callback that cannot be used', () => {
  it('is refused when it is not a function', limit, async (t) => {
    const { client } = await clientOnWire(t);
    const { server, socket } = await serverOnWire(t);
    assert.throws(() => client.send({}, 'callback'), { code: 'ERR_REMOTE_CALLBACK_TYPE' });
    assert.throws(() => server.send(socket, {}, {}), { code: 'ERR_REMOTE_CALLBACK_TYPE' });
  });

  it('is refused with peer_type "json"', limit, async (t) => {
    const { client } = await clientOnWire(t, { peer_type: 'json' });
    const { server, socket } = await serverOnWire(t, { peer_type: 'json' });
    const callback = () => {};
    assert.throws(() => client.send({}, callback), { code: 'ERR_REMOTE_CALLBACK_TYPE' });
    assert.throws(() => server.send(socket, {}, callback), { code: 'ERR_REMOTE_CALLBACK_TYPE' });
  });

  it('throws at the server when the client has left', limit, async (t) => {
    const { log, wire } = await serverOnWire(t);
    wire.write({ type: 'Object', data: {}, id: '1' });
    const [, meta] = (await log.next('receive')).args;
    wire.socket.destroy();
    await log.next('disconnect');
    assert.throws(() => meta.callback({ late: 1 }), { code: 'ERR_SOCKET_DESTROYED' });
    await turn();
    assert.equal(log.count('disconnect'), 1);
  });

  it('throws at the client when it has disconnected', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    wire.write({ type: 'Object', data: {}, id: '1' });
    const [, meta] = (await log.next('receive')).args;
    await client.disconnect();
    assert.throws(() => meta.callback({ late: 1 }), { code: 'ERR_SOCKET_DESTROYED' });
  });

  it('does not answer on the next connection', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t);
    wire.write({ type: 'Object', data: {}, id: '1' });
    const [, meta] = (await log.next('receive')).args;
    await client.disconnect();
    await client.connect();
    const next = await raw.accept();
    assert.throws(() => meta.callback({ late: 1 }), { code: 'ERR_SOCKET_DESTROYED' });
    await client.send('first');
    assert.equal((await next.frame()).data, 'first');
  });
});

describe('callbacks that wait when the connection ends', () => {
  it('are reported by one error if there is a time-out', limit, async (t) => {
    const { server, log, wire, socket, session } = await serverOnWire(t, {
      callback_timeout: 600_000,
    });
    for (const number of [1, 2, 3]) server.send(socket, { number }, () => assert.fail('no answer'));
    await wire.take('frame', 3);
    wire.socket.destroy();
    const [err, ...whose] = (await log.next('error')).args;
    assert.deepEqual(
      [err.code, err.message],
      ['ERR_SOCKET_DESTROYED', 'The connection ended before 3 callbacks were answered'],
    );
    assert.deepEqual(whose, [socket, session]);
    await log.next('disconnect');
    assert.equal(server.stats().lost_callbacks, 3);
    assert.equal(log.count('error'), 1);
  });

  it('are reported to a client, and not repeated for the next connection', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t, { callback_timeout: 600_000 });
    client.send({ a: 1 }, () => assert.fail('no answer'));
    await wire.frame();
    wire.socket.destroy();
    const [err] = (await log.next('error')).args;
    assert.equal(err.message, 'The connection ended before a callback was answered');
    await log.next('disconnect');
    await client.connect();
    (await raw.accept()).socket.destroy();
    await log.next('disconnect');
    assert.equal(log.count('error'), 1);
    assert.equal(client.stats().lost_callbacks, 1);
  });

  it('are only counted without a time-out, or if the program disconnects', limit, async (t) => {
    const without = await clientOnWire(t);
    without.client.send({ a: 1 }, () => assert.fail('no answer'));
    await without.wire.frame();
    without.wire.socket.destroy();
    await without.log.next('disconnect');
    const own = await clientOnWire(t, { callback_timeout: 600_000 });
    own.client.send({ a: 1 }, () => assert.fail('no answer'));
    await own.client.disconnect();
    for (const { client, log } of [without, own]) {
      assert.equal(client.stats().lost_callbacks, 1);
      assert.equal(log.count('error'), 0);
    }
  });
});
