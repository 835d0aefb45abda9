'use strict';

// close({ grace }): a server that stops in order answers the calls that are in flight.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { endpoint } = require('./support/addresses.js');
const { STEP, deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { cannotHang, queueLength } = require('./support/hanging.js');
const { implementations } = require('./support/implementations.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };
/** A grace that no test reaches. */
const LONG = 1_000_000;
const original = require(implementations.original);

/** A client of the original, which answers pings and knows nothing of a grace. */
async function originalClient(t, where) {
  const { client } = makeClient(t, where, {}, original.client);
  client.on('error', () => {});
  cleanup(t, () => clearInterval(client._auto_reconnect_timer));
  await client.connect();
  return client;
}

/** The connections that the kernel has completed and no program has accepted. */
function waitingAt({ path, port }) {
  if (!path) return queueLength(port);
  const CONNECTING = '02';
  const sockets = fs.readFileSync('/proc/net/unix', 'utf8').split('\n');
  return sockets.filter((line) => line.endsWith(path) && line.split(/ +/)[5] === CONNECTING).length;
}

/** Blocks this thread until that many connections wait in the kernel for a listener. */
function blockUntilQueued(where, count) {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const last = Date.now() + STEP;
  while (waitingAt(where) < count) {
    if (Date.now() > last) throw new Error(`${waitingAt(where)} connections wait`);
    Atomics.wait(pause, 0, 0, 5);
  }
}

/** Waits until the server has a connection for each client. */
const arrived = (server, count) =>
  until(() => server.sockets.length === count, 'all are connected');

/** A promise of the answer to a callback. */
const ask = (send, ...args) => new Promise((resolve) => send(...args, resolve));

describe('close({ grace })', () => {
  for (const [name, connect] of [
    ['this package', async (t, where) => (await startClient(t, where)).client],
    ['1.8.4', originalClient],
  ]) {
    it(`answers a callback of ${name} that is in flight, and then ends`, limit, async (t) => {
      const { server, where } = await startServer(t);
      const client = await connect(t, where);
      const asked = once(server, 'receive');
      const answer = ask((...args) => client.send(...args), { a: 1 });
      const [, { callback }] = await deadline(asked, 'the question');
      const left = once(client, 'disconnect');
      const closed = server.close({ grace: LONG });
      assert.equal(server.draining, true);
      setImmediate(() => callback({ b: 2 }));
      assert.deepEqual(await deadline(answer, 'the answer'), { b: 2 });
      assert.equal(await deadline(closed, 'the server to close'), 0);
      await deadline(left, 'the end of the connection');
      assert.equal(server.draining, false);
      assert.equal(server.stats().cut_connections, 0);
    });

    it(`answers a request of ${name} to its last packet`, limit, async (t) => {
      const { server, where } = await startServer(t);
      const client = await connect(t, where);
      const asked = once(server, 'request');
      const stream = await client.request({ a: 1 });
      const packets = [];
      const ended = new Promise((resolve, reject) => {
        stream.on('data', (data) => packets.push(data.n));
        stream.on('end', (err) => (err ? reject(err) : resolve()));
      });
      const [, response] = await deadline(asked, 'the request');
      const closed = server.close({ grace: LONG });
      await response.write({ n: 1 });
      await response.write({ n: 2 });
      await response.send({ n: 3 });
      await deadline(ended, 'the last packet');
      assert.deepEqual(packets, [1, 2, 3]);
      assert.equal(await deadline(closed, 'the server to close'), 0);
    });

    it(`waits for the answer of ${name} to its question`, limit, async (t) => {
      const { server, where } = await startServer(t);
      const client = await connect(t, where);
      const asked = new Promise((resolve) => {
        client.on('receive', (_object, { callback }) => resolve(callback));
      });
      const requested = new Promise((resolve) => {
        client.on('request', (_request, response) => resolve(response));
      });
      await arrived(server, 1);
      const [sock] = server.sockets;
      const answer = ask((...args) => server.send(...args), sock, { a: 1 });
      const stream = await server.request(sock, { a: 2 });
      const reply = stream.next();
      const callback = await deadline(asked, 'the question');
      const response = await deadline(requested, 'the request');
      const closed = server.close({ grace: LONG });
      callback({ b: 1 });
      assert.deepEqual(await deadline(answer, 'the answer'), { b: 1 });
      assert.equal(server.sockets.length, 1);
      await response.send({ b: 2 });
      assert.deepEqual((await deadline(reply, 'the packet')).data, { b: 2 });
      assert.equal(await deadline(closed, 'the server to close'), 0);
    });

    it(`answers messages that ${name} sent before it could know of the end`, limit, async (t) => {
      const { server, where } = await startServer(t);
      const client = await connect(t, where);
      await arrived(server, 1);
      server.on('receive', (object, { callback }) => callback({ n: object.n }));
      const answers = Array.from({ length: 100 }, (_, n) =>
        ask((...args) => client.send(...args), { n }),
      );
      // None of them was read yet.
      const closed = server.close({ grace: LONG });
      const received = await deadline(Promise.all(answers), 'all answers');
      assert.deepEqual(
        received.map(({ n }) => n),
        Array.from({ length: 100 }, (_, n) => n),
      );
      assert.equal(await deadline(closed, 'the server to close'), 0);
    });
  }

  it('sends all bytes that wait before it ends a connection', limit, async (t) => {
    const { server, where } = await startServer(t);
    const socket = net.connect({ ...where, host: '127.0.0.1' });
    cleanup(t, () => socket.destroy());
    await arrived(server, 1);
    const [sock] = server.sockets;
    const text = 'x'.repeat(8 * 1024 * 1024);
    server.send(sock, text);
    await until(() => server.stats().queued_bytes > 0, 'bytes wait for the peer');
    const closed = server.close({ grace: LONG });
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (part) => {
      received += part;
      const ping = /"SockhopPing","data":\{"_id":"([^"]+)"/.exec(received.slice(text.length));
      if (ping === null) return;
      socket.removeAllListeners('data').resume();
      socket.write(`{"type":"SockhopPong","data":{"_id":"${ping[1]}"}}\n`);
    });
    assert.equal(await deadline(closed, 'the server to close'), 0);
    assert.ok(received.includes(text));
  });

  it('accepts no more connections', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const asked = once(server, 'receive');
    client.send({ a: 1 }, () => {});
    const [, { callback }] = await asked;
    const closed = server.close({ grace: LONG });
    await assert.rejects(makeClient(t, where).client.connect(), { code: 'ECONNREFUSED' });
    callback({});
    await deadline(closed, 'the server to close');
  });

  for (const transport of ['tcp', 'unix']) {
    it(`serves clients over ${transport} that only the kernel has accepted`, {
      ...limit,
      skip: cannotHang,
    }, async (t) => {
      const where = await endpoint(t, transport);
      const { server } = await startServer(t, {}, where);
      server.on('receive', (object, { callback }) => callback({ n: object.n }));
      const child = program(
        t,
        async ({ client: Client }, where) => {
          const clients = Array.from({ length: 50 }, () => new Client(where));
          process.once('SIGUSR2', async () => {
            const answers = clients.map(async (client, n) => {
              client.on('error', () => {});
              await client.connect();
              const answer = new Promise((resolve, reject) => {
                client.on('disconnect', () => reject(new Error(`client ${n} got no answer`)));
                client.send({ n }, resolve);
              });
              if ((await answer).n !== n) throw new Error('another answer');
            });
            await Promise.all(answers);
            console.log('answered');
          });
          console.log('ready');
          setInterval(() => {}, 1000);
        },
        where,
      );
      await child.line('ready');
      process.kill(child.pid, 'SIGUSR2');
      blockUntilQueued(where, 50);
      const closed = server.close({ grace: LONG });
      await child.line('answered');
      assert.equal(await deadline(closed, 'the server to close'), 0);
    });
  }

  it(
    'emits draining on the server and each session, also on one that starts later',
    limit,
    async (t) => {
      let begin;
      const mayBegin = new Promise((resolve) => {
        begin = resolve;
      });
      const told = [];
      class Told extends impl.session {
        async start() {
          this.on('draining', () => told.push(this));
          if (this.server.sessions.length > 0) await mayBegin;
        }
      }
      const { server, where } = await startServer(t, { session_type: Told });
      server.on('draining', () => told.push(server));
      server.on('receive', (_object, { callback }) => callback({}));
      await startClient(t, where);
      await arrived(server, 1);
      const { client: late } = await startClient(t, where);
      await until(() => server.server.connections === 2, 'the second connection is accepted');
      const answer = ask((...args) => late.send(...args), { a: 1 });
      const [first] = server.sessions;
      const closed = server.close({ grace: LONG });
      assert.deepEqual(told, [server, first]);
      begin();
      await deadline(answer, 'the answer to the second client');
      assert.equal(await deadline(closed, 'the server to close'), 0);
      assert.equal(told.length, 3);
      assert.ok(told[2] instanceof Told);
    },
  );

  it('ends other connections while one waits for its answer', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client: idle } = await startClient(t, where);
    const { client: busy } = await startClient(t, where);
    await arrived(server, 2);
    const asked = once(server, 'receive');
    const answer = ask((...args) => busy.send(...args), { a: 1 });
    const [, { callback }] = await asked;
    const left = once(idle, 'disconnect');
    const closed = server.close({ grace: LONG });
    await deadline(left, 'the end of the idle connection');
    assert.equal(busy.connected, true);
    callback({ b: 1 });
    await deadline(answer, 'the answer');
    assert.equal(await deadline(closed, 'the server to close'), 0);
  });

  it('cuts the connections that owe an answer at the end of the grace', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client: waiting } = await startClient(t, where);
    const { client: deaf } = await startClient(t, where);
    await startClient(t, where);
    await arrived(server, 3);
    deaf.socket.pause();
    waiting.send({ a: 1 }, () => assert.fail('nothing answers'));
    await once(server, 'receive');
    const left = once(waiting, 'disconnect');
    assert.equal(await deadline(server.close({ grace: 300 }), 'the server to close'), 2);
    await deadline(left, 'the end of the connection');
    assert.equal(server.stats().cut_connections, 2);
  });

  it('cuts a connection whose session does not start', limit, async (t) => {
    class Stuck extends impl.session {
      start() {
        return new Promise(() => {});
      }
    }
    const { server, where } = await startServer(t, { session_type: Stuck });
    await startClient(t, where);
    await until(() => server.server.connections === 1, 'the connection is accepted');
    assert.equal(await deadline(server.close({ grace: 100 }), 'the server to close'), 1);
  });

  it('is shortened by a further call, and ended by close()', limit, async (t) => {
    for (const shorten of [(s) => s.close({ grace: 1 }), (s) => s.close()]) {
      const { server, where } = await startServer(t);
      const { client } = await startClient(t, where);
      client.send({ a: 1 }, () => {});
      await once(server, 'receive');
      const closed = server.close({ grace: LONG });
      await shorten(server);
      assert.equal(await deadline(closed, 'the server to close'), 1);
    }
  });

  it('refuses listen() until all connections have ended', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const asked = once(server, 'receive');
    client.send({ a: 1 }, () => {});
    const [, { callback }] = await asked;
    const closed = server.close({ grace: LONG });
    await assert.rejects(server.listen(), { code: 'ERR_SERVER_DRAINING' });
    callback({});
    await deadline(closed, 'the server to close');
    await server.listen();
    await startClient(t, where);
  });

  it('is fulfilled with 0 by a server that does not listen', limit, async () => {
    assert.equal(await new impl.server({ port: 0 }).close({ grace: 5 }), 0);
  });

  it('ends a JSON connection when all its bytes are sent', limit, async (t) => {
    const { server, where } = await startServer(t, { peer_type: 'json' });
    const wire = await rawClient(t, where);
    await arrived(server, 1);
    server.send(server.sockets[0], { a: 1 });
    const closed = server.close({ grace: LONG });
    assert.deepEqual(await wire.frame(), { a: 1 });
    await wire.next('end');
    assert.equal(await deadline(closed, 'the server to close'), 0);
    assert.equal(wire.all('frame').length, 1);
  });

  it('drains streams that the program has brought', limit, async (t) => {
    const { server } = await startServer(t);
    const front = net.createServer((socket) => server.server.emit('connection', socket));
    cleanup(t, () => front.close());
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    const { client } = await startClient(t, { port: front.address().port });
    const asked = once(server, 'receive');
    const answer = ask((...args) => client.send(...args), { a: 1 });
    const [, { callback }] = await asked;
    const closed = server.close({ grace: LONG });
    setImmediate(() => callback({ b: 1 }));
    assert.deepEqual(await deadline(answer, 'the answer'), { b: 1 });
    assert.equal(await deadline(closed, 'the server to close'), 0);
  });

  it('pings through methods that the program has replaced', limit, async (t) => {
    const sent = [];
    class Own extends impl.server {
      send(sock, object, callback) {
        sent.push(object.constructor.name);
        return super.send(sock, object, callback);
      }
    }
    const { server, where } = await startServer(t, {}, undefined, Own);
    await startClient(t, where);
    await arrived(server, 1);
    assert.equal(await deadline(server.close({ grace: LONG }), 'the server to close'), 0);
    assert.deepEqual(sent, ['SockhopPing']);
  });

  it('refuses a grace that no timer can wait, and names the option', limit, async (t) => {
    const { server } = await startServer(t);
    await assert.rejects(server.close({ grace: {} }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /"options\.grace" property.*milliseconds/,
    });
    await assert.rejects(server.close({ grace: -1 }), { code: 'ERR_OUT_OF_RANGE' });
    assert.equal(server.server.listening, true);
  });

  it('is not turned on by the arguments of an event', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    client.send({ a: 1 }, () => {});
    await once(server, 'receive');
    class Signal {
      grace = LONG;
    }
    assert.equal(await deadline(server.close(new Signal()), 'the server to close'), undefined);
    assert.equal(server.draining, false);
  });
});

describe('server.server.close(callback)', () => {
  it('calls back when the last connection has ended, as in Node', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    await arrived(server, 1);
    let closed = false;
    const called = new Promise((resolve) => {
      server.server.close(() => {
        closed = true;
        resolve();
      });
    });
    const answered = ask((...args) => client.send(...args), { a: 1 });
    server.on('receive', (_object, { callback }) => callback({}));
    await deadline(answered, 'an answer over the open connection');
    assert.equal(closed, false);
    await client.disconnect();
    await deadline(called, 'the callback');
  });
});
