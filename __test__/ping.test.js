'use strict';

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { clientOnWire, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/** Milliseconds between pings of a connection that is to end. */
const INTERVAL = 40;
/**
 * Milliseconds between pings of a connection that is to live. A thread of a busy machine may wait
 * for tens of milliseconds, and four unanswered pings are the limit.
 */
const CALM = 150;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const isPing = (frame) => frame?.type === 'SockhopPing';
const isPong = (frame) => frame?.type === 'SockhopPong';

const pong = (ping) => ({
  type: 'SockhopPong',
  data: { ...ping.data, _returned: new Date().toISOString() },
});

async function serverOnWire(t) {
  const { server, log, where } = await startServer(t);
  const wire = await rawClient(t, where);
  await log.next('connect');
  return { side: server, log, wire, where };
}

async function clientSide(t) {
  const { client, log, wire, raw } = await clientOnWire(t);
  return { side: client, log, wire, raw };
}

/** The pings that a client, or a server with one client, has sent. */
const sent = ({ pings }) => (pings instanceof Map ? [...pings.values()][0] : pings);

for (const [role, connect] of Object.entries({ client: clientSide, server: serverOnWire })) {
  describe(`a ${role} that pings`, () => {
    it('sends pings as sockhop 1.8.4 does', limit, async (t) => {
      const { side, wire } = await connect(t);
      side.ping(INTERVAL);
      const first = await wire.frame();
      const second = await wire.frame();
      for (const ping of [first, second]) {
        assert.deepEqual(Object.keys(ping), ['type', 'data']);
        assert.equal(ping.type, 'SockhopPing');
        assert.deepEqual(Object.keys(ping.data), ['_id', '_created', '_returned', '_finished']);
        assert.match(ping.data._id, UUID);
        assert.match(ping.data._created, ISO_DATE);
        assert.equal(ping.data._returned, null);
        assert.equal(ping.data._finished, null);
      }
      assert.notEqual(first.data._id, second.data._id);
    });

    it('keeps a connection that answers', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 6; i += 1) wire.write(pong(await wire.frame(isPing)));
      assert.equal(log.count('disconnect'), 0);
      assert.equal(log.count('receive'), 0, 'pongs are not shown to the program');
    });

    it('keeps a connection that answers one ping in three', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 9; i += 1) {
        const ping = await wire.frame(isPing);
        if (i % 3 === 0) wire.write(pong(ping));
      }
      assert.equal(log.count('disconnect'), 0);
    });

    it('ends a connection that leaves four in a row unanswered', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(INTERVAL);
      await log.next('disconnect');
      await wire.next('end');
      // The client gives up instead of sending the fourth, the server after sending it.
      const pings = wire.count('frame');
      assert.ok(pings === 3 || pings === 4, `${pings} pings`);
      assert.equal(log.count('disconnect'), 1);
      assert.equal(log.count('error'), 0);
    });

    it('ignores pongs to pings that it did not send', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(INTERVAL);
      const deceive = async () => {
        for (;;) {
          const ping = await wire.frame(isPing);
          wire.write(pong({ data: { ...ping.data, _id: 'another' } }));
        }
      };
      deceive().catch(() => {});
      await log.next('disconnect');
    });

    it('stays connected as long as the program forgets the pings', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 6; i += 1) {
        await wire.frame(isPing);
        sent(side).length = 0;
      }
      assert.equal(log.count('disconnect'), 0);
      await log.next('disconnect');
    });

    it('stays connected as long as the program replaces the pings', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 6; i += 1) {
        await wire.frame(isPing);
        const { pings } = side;
        if (pings instanceof Map) for (const socket of pings.keys()) pings.set(socket, []);
        else side.pings = [];
      }
      assert.equal(log.count('disconnect'), 0);
    });

    it('stays connected as long as the program removes a ping', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 6; i += 1) {
        await wire.frame(isPing);
        sent(side).shift();
      }
      assert.equal(log.count('disconnect'), 0);
    });

    it('stays connected as long as the program concludes the pings itself', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      for (let i = 0; i < 6; i += 1) {
        await wire.frame(isPing);
        for (const ping of sent(side)) ping.conclude_with_pong({ _id: ping._id });
      }
      assert.equal(log.count('disconnect'), 0);
      await log.next('disconnect');
    });

    it('ends the connection although the program reads the pings', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(CALM);
      await wire.frame(isPing);
      const list = sent(side);
      assert.deepEqual(
        list.map((ping) => ping.unanswered()),
        [true],
      );
      const { data } = await wire.frame(isPing);
      assert.equal(sent(side), list, 'it is the same array');
      assert.equal(list[1]._id, data._id);
      await log.next('disconnect');
      assert.equal(wire.all('frame').length, 3, 'the fourth is not sent');
    });

    it('ends with ping(0)', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      side.ping(INTERVAL);
      await wire.take('frame', 2);
      side.ping(0);
      const before = wire.count('frame');
      // Ten of its own intervals, measured by pings of the other end, which it answers.
      for (let i = 0; i < 10; i += 1) {
        await new Promise((resolve) => setTimeout(resolve, INTERVAL));
        wire.write({ type: 'SockhopPing', data: { _id: String(i), _created: null } });
        await wire.frame((frame) => isPong(frame) && frame.data._id === String(i));
      }
      const late = wire.all('frame').filter(({ json }) => isPing(json)).length - before;
      assert.ok(late <= 1, 'at most the one that was on its way');
      assert.equal(log.count('disconnect'), 0);
    });

    it('may change the interval', limit, async (t) => {
      const { side, wire } = await connect(t);
      side.ping(3_600_000);
      side.ping(INTERVAL);
      await wire.frame(isPing);
    });
  });

  describe(`a ${role} that is pinged`, () => {
    it('answers silently with a pong of the same id and date', limit, async (t) => {
      const { side, log, wire } = await connect(t);
      wire.write({
        type: 'SockhopPing',
        data: {
          _id: 'abc',
          _created: '2020-01-01T00:00:00.000Z',
          _returned: null,
          _finished: null,
        },
      });
      const frame = await wire.frame();
      assert.deepEqual(Object.keys(frame), ['type', 'data']);
      assert.equal(frame.type, 'SockhopPong');
      assert.deepEqual(Object.keys(frame.data), ['_id', '_created', '_returned', '_finished']);
      assert.equal(frame.data._id, 'abc');
      assert.equal(frame.data._created, '2020-01-01T00:00:00.000Z');
      assert.match(frame.data._returned, ISO_DATE);
      assert.equal(frame.data._finished, null);
      assert.equal(log.count('receive'), 0);
      assert.ok(side);
    });

    it('answers in the order in which it was asked', limit, async (t) => {
      const { wire } = await connect(t);
      const ids = Array.from({ length: 50 }, (_, i) => `id ${i}`);
      wire.write(...ids.map((_id) => ({ type: 'SockhopPing', data: { _id } })));
      const frames = await wire.take('frame', 50);
      assert.deepEqual(
        frames.map(({ json }) => json.data._id),
        ids,
      );
    });
  });
}

describe('the pings of a client', () => {
  it('go on after it has connected again', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t, { auto_reconnect_interval: 20 });
    client.ping(CALM);
    client.auto_reconnect = true;
    await wire.frame(isPing);
    wire.socket.destroy();
    await log.next('disconnect');
    const next = await raw.accept();
    for (let i = 0; i < 6; i += 1) next.write(pong(await next.frame(isPing)));
    assert.equal(log.count('disconnect'), 1);
  });

  it('end with disconnect()', limit, async (t) => {
    const { client, raw, wire, log } = await clientOnWire(t);
    client.ping(INTERVAL);
    await wire.frame(isPing);
    await client.disconnect();
    await client.connect();
    const next = await raw.accept();
    for (let i = 0; i < 5; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
      next.write({ type: 'SockhopPing', data: { _id: String(i) } });
      await next.frame(isPong);
    }
    assert.equal(next.all('frame').filter(({ json }) => isPing(json)).length, 0);
    assert.equal(log.count('disconnect'), 1);
  });

  it('may be turned on before it connects', limit, async (t) => {
    const { client, raw, wire } = await clientOnWire(t);
    await client.disconnect();
    await wire.next('close');
    client.ping(INTERVAL);
    await client.connect();
    const next = await raw.accept();
    await next.frame(isPing);
  });
});

describe('the pings of a server', () => {
  it('go to every client, and end only the connection that is dead', limit, async (t) => {
    const { side: server, log, wire: dead, where } = await serverOnWire(t);
    const alive = await rawClient(t, where);
    await log.next('connect');
    alive.socket.on('data', () => {});
    const answer = async () => {
      for (;;) alive.write(pong(await alive.frame(isPing)));
    };
    answer().catch(() => {});
    const [deadSocket, aliveSocket] = server.sockets;
    server.ping(CALM);
    assert.equal((await log.next('disconnect')).args[0], deadSocket);
    await dead.next('end');
    assert.deepEqual([server.sockets.length, server.sockets[0] === aliveSocket], [1, true]);
  });

  it('reach clients that connect later', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    server.ping(INTERVAL);
    const wire = await rawClient(t, where);
    await log.next('connect');
    await wire.frame(isPing);
  });
});

describe('a side that is paused', () => {
  it('does not answer pings until it is resumed', limit, async (t) => {
    const { side: server, wire } = await serverOnWire(t);
    server.sockets[0].pause();
    wire.write({ type: 'SockhopPing', data: { _id: 'first' } });
    await server.send(server.sockets[0], 'still writing');
    assert.equal((await wire.frame()).data, 'still writing');
    assert.equal(wire.count('frame'), 1);
    server.sockets[0].resume();
    assert.equal((await wire.frame()).data._id, 'first');
  });

  it('considers the other side dead, because it does not read the pongs', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    client.socket.pause();
    client.ping(INTERVAL);
    for (let i = 0; i < 2; i += 1) wire.write(pong(await wire.frame(isPing)));
    await log.next('disconnect');
  });

  it('receives everything after it is resumed', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    client.socket.pause();
    for (let i = 0; i < 100; i += 1) wire.write({ type: 'Number', data: i });
    await client.send('sync');
    await wire.frame();
    assert.equal(log.count('receive'), 0);
    client.socket.resume();
    const received = await log.take('receive', 100);
    assert.equal(received.at(-1).args[0], 99);
  });
});
