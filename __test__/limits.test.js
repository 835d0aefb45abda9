'use strict';

// Every limit: its effect, the code of its error, and its counter in stats().

const assert = require('node:assert/strict');
const net = require('node:net');
const { describe, it } = require('node:test');
const { nodeEndpoint } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, undisturbed, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { clientOnWire, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };
const MIB = 1 << 20;

/** The error a promise rejects with. */
async function rejection(promise, what = 'a promise') {
  try {
    await deadline(promise, what);
  } catch (error) {
    return error;
  }
  throw new Error(`${what} was fulfilled`);
}

/** A plain peer that does not read at first. */
async function stopped(t, where) {
  const socket = net.connect(nodeEndpoint(where));
  cleanup(t, () => socket.destroy());
  socket.pause();
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

const roles = {
  async server(t, options) {
    const { server, log, where } = await startServer(t, options);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    const send = (...args) => server.send(socket, ...args);
    return { side: server, send, log, wire, where, socket };
  },
  async client(t, options) {
    const { client, log, raw, wire } = await clientOnWire(t, options);
    const send = (...args) => client.send(...args);
    return { side: client, send, log, wire, where: raw.where, socket: client.socket };
  },
};

/** As above, with a peer that does not read. */
const slow = {
  async server(t, options) {
    const { server, log, where } = await startServer(t, options);
    const peer = await stopped(t, where);
    const [socket] = (await log.next('connect')).args;
    return { side: server, send: (object) => server.send(socket, object), log, peer, where };
  },
  async client(t, options) {
    const { client, log, wire } = await clientOnWire(t, options);
    wire.socket.pause();
    return { side: client, send: (object) => client.send(object), log, peer: wire.socket };
  },
};

/** Collects the frames that a peer receives from now on, by the number in each. */
function numbersAt(peer) {
  const numbers = [];
  let rest = '';
  peer.on('data', (bytes) => {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop();
    for (const line of lines) numbers.push(JSON.parse(line).data.number);
  });
  peer.resume();
  return numbers;
}

const payload = (number, size = 100_000) => ({ number, filler: 'x'.repeat(size) });

for (const role of Object.keys(roles)) {
  describe(`${role}: max_message_size`, () => {
    it('is the length of the longest frame that is accepted', limit, async (t) => {
      const { side, log, wire } = await roles[role](t, { max_message_size: 1000 });
      const frame = (length) => `"${'x'.repeat(length - 2)}"`;
      wire.write(frame(1000));
      await log.next('receive');
      wire.write(frame(1001));
      const [error] = (await log.next('error')).args;
      assert.ok(error instanceof impl.error);
      assert.equal(error.code, 'ERR_MESSAGE_TOO_LARGE');
      await log.next('disconnect');
      await wire.next('close');
      assert.equal(side.stats().oversized_messages, 1);
      assert.equal(side.stats().connections, 0);
    });

    it('applies to a frame that arrives in many pieces', limit, async (t) => {
      const { side, log, wire } = await roles[role](t, { max_message_size: 5 * MIB });
      const piece = 'x'.repeat(64 * 1024);
      wire.socket.on('error', () => {});
      for (let sent = 0; sent < 6 * MIB && !wire.socket.destroyed; sent += piece.length) {
        wire.socket.write(piece);
        await turn();
      }
      assert.equal((await log.next('error')).args[0].code, 'ERR_MESSAGE_TOO_LARGE');
      await log.next('disconnect');
      assert.ok(side.stats().bytes_received < 6 * MIB);
    });
  });

  describe(`${role}: max_pending_callbacks`, () => {
    it('is the number of callbacks that may wait', limit, async (t) => {
      const { side, send, wire, log } = await roles[role](t, { max_pending_callbacks: 2 });
      const answers = [];
      for (let i = 0; i < 2; i += 1) await send({ i }, (answer) => answers.push(answer));
      const error = await rejection(send({ i: 2 }, () => answers.push('never')));
      assert.ok(error instanceof impl.error);
      assert.equal(error.code, 'ERR_TOO_MANY_CALLBACKS');
      assert.equal(side.stats().refused_callbacks, 1);
      assert.equal(side.stats().pending_callbacks, 2);
      // Messages without a callback are still sent, and an answer makes room.
      await send({ i: 3 });
      const { id } = await wire.frame();
      wire.write({ type: 'Number', data: 7, callback_id: id }, { type: 'Number', data: 0 });
      await log.next('receive');
      assert.deepEqual(answers, [7]);
      await send({ i: 4 }, () => {});
    });
  });

  describe(`${role}: callback_timeout`, () => {
    it('is the time that a callback waits', limit, async (t) => {
      const { side, send, log, wire } = await roles[role](t, { callback_timeout: 50 });
      const answers = [];
      await send({ q: 1 }, (answer) => answers.push(answer));
      await send({ q: 2 }, (answer) => answers.push(answer));
      const { id } = await wire.frame();
      for (const { args } of await log.take('error', 2)) {
        assert.ok(args[0] instanceof impl.error);
        assert.equal(args[0].code, 'ERR_CALLBACK_TIMEOUT');
      }
      assert.equal(side.stats().timed_out_callbacks, 2);
      assert.equal(side.stats().pending_callbacks, 0);
      wire.write({ type: 'Number', data: 7, callback_id: id }, { type: 'Number', data: 0 });
      await log.next('receive');
      assert.deepEqual(answers, []);
      assert.equal(log.count('disconnect'), 0);
    });

    it('does not affect callbacks that are answered in time', limit, (t) =>
      undisturbed(400, async (callback_timeout) => {
        const { side, send, wire } = await roles[role](t, { callback_timeout });
        const began = performance.now();
        const answered = new Promise((resolve) => send({ q: 1 }, resolve));
        const { id } = await wire.frame();
        wire.write({ type: 'Number', data: 7, callback_id: id });
        const late = new Promise((resolve) => side.once('error', () => resolve('too late')));
        const answer = await Promise.race([answered, late]);
        const pause = performance.now() - began;
        const verify = async () => {
          assert.equal(answer, 7);
          await send({ q: 2 }, () => {});
          await deadline(late, 'the error of the callback that is not answered');
          assert.equal(side.stats().timed_out_callbacks, 1);
        };
        return { pause, verify };
      }),
    );
  });

  describe(`${role}: idle_timeout`, () => {
    it('is the time that a connection may be silent', limit, async (t) => {
      const { side, log, wire } = await roles[role](t, { idle_timeout: 100 });
      const [error] = (await log.next('error')).args;
      assert.ok(error instanceof impl.error);
      assert.equal(error.code, 'ERR_IDLE_TIMEOUT');
      await log.next('disconnect');
      await wire.next('close');
      assert.equal(side.stats().idle_timeouts, 1);
    });

    it('counts from the last message, in either direction', limit, (t) =>
      undisturbed(400, async (idle_timeout) => {
        const { send, log, wire } = await roles[role](t, { idle_timeout });
        wire.socket.on('error', () => {});
        let pause = 0;
        let last = performance.now();
        for (let i = 0; i < 8; i += 1) {
          await new Promise((resolve) => setTimeout(resolve, idle_timeout / 4));
          if (i % 2 === 0) wire.write({ type: 'Number', data: i });
          else await send({ i }).catch(() => {});
          const now = performance.now();
          pause = Math.max(pause, now - last);
          last = now;
        }
        const errors = log.count('error');
        const verify = async () => {
          assert.equal(errors, 0);
          assert.equal((await log.next('error')).args[0].code, 'ERR_IDLE_TIMEOUT');
        };
        return { pause, verify };
      }),
    );

    it('ends a connection whose message breaks off in the middle', limit, async (t) => {
      const { side, log, wire } = await roles[role](t, { idle_timeout: 300 });
      wire.socket.on('error', () => {});
      for (let part = 0; part < 5; part += 1) {
        const before = side.stats().bytes_received;
        wire.socket.write('x');
        // On a busy machine the connection may end between two parts.
        await until(
          () => side.stats().bytes_received > before || log.count('error') > 0,
          'the part is here, or the connection has ended',
        );
      }
      assert.equal((await log.next('error')).args[0].code, 'ERR_IDLE_TIMEOUT');
      await log.next('disconnect');
    });
  });

  describe(`${role}: receive_high_water_mark`, () => {
    it('stops reading a peer whose messages are not taken', limit, async (t) => {
      const { side, log, wire, socket } = await roles[role](t, {
        receive_high_water_mark: 100_000,
      });
      const line = `${JSON.stringify({ type: 'Object', data: payload(0, 10_000) })}\n`;
      let taken = 0;
      side.on('receive', () => {
        taken += 1;
      });
      // The program is busy while the peer writes all it can.
      let written = 0;
      while (wire.socket.write(line) && written < 2000) written += 1;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      const total = 3000;
      for (let i = written + 1; i < total; i += 1) wire.socket.write(line);
      await until(() => taken >= total, 'all messages are here');
      assert.equal(side.stats().messages_received, total);
      assert.equal(log.count('error'), 0);
      assert.equal(socket.destroyed, false);
    });
  });

  describe(`${role}: slow_consumer "wait"`, () => {
    it('keeps promises until the peer reads, and loses nothing', limit, async (t) => {
      const { side, send, peer, log } = await slow[role](t, { send_high_water_mark: MIB });
      let settled = 0;
      const promises = Array.from({ length: 200 }, (_, n) => {
        const promise = send(payload(n));
        promise.then(() => {
          settled += 1;
        });
        return promise;
      });
      await until(() => side.stats().queued_bytes > MIB, 'the mark is passed');
      assert.ok(settled < 200);
      assert.equal(side.stats().refused_messages, 0);
      const numbers = numbersAt(peer);
      await deadline(Promise.all(promises), 'the promises, now that the peer reads', 30_000);
      await until(() => numbers.length === 200, 'all messages are there');
      assert.deepEqual(numbers, [...Array(200).keys()]);
      assert.equal(side.stats().queued_bytes, 0);
      assert.equal(log.count('error'), 0);
    });
  });

  describe(`${role}: slow_consumer "drop"`, () => {
    it('refuses messages past the mark, and takes them again later', limit, async (t) => {
      const { side, send, peer, log } = await slow[role](t, {
        send_high_water_mark: MIB,
        slow_consumer: 'drop',
      });
      const fates = [];
      for (let n = 0; n < 200; n += 1) {
        fates.push(
          send(payload(n)).then(
            () => 'sent',
            (error) => error.code,
          ),
        );
        await turn();
      }
      const { queued_bytes, refused_messages, messages_sent } = side.stats();
      // One message may begin below the mark.
      assert.ok(queued_bytes <= MIB + 200_000, `${queued_bytes} bytes wait`);
      assert.ok(refused_messages > 0);
      assert.equal(messages_sent, 200 - refused_messages);
      const numbers = numbersAt(peer);
      const seen = await deadline(Promise.all(fates), 'the promises, now that the peer reads');
      const sent = seen.flatMap((fate, n) => (fate === 'sent' ? [n] : []));
      assert.equal(seen.filter((fate) => fate === 'ERR_BACKPRESSURE').length, refused_messages);
      assert.equal(sent.length, 200 - refused_messages);
      await until(() => numbers.length === sent.length, 'what was taken is there');
      assert.deepEqual(numbers, sent);
      await deadline(send(payload(200)), 'a message when there is room again');
      assert.equal(log.count('error') + log.count('disconnect'), 0);
    });

    it('forgets the callback of a message that was refused', limit, async (t) => {
      const { side } = await slow[role](t, {
        send_high_water_mark: 1,
        slow_consumer: 'drop',
      });
      const asking =
        role === 'server'
          ? (object) => side.send(side.sockets[0], object, () => {})
          : (object) => side.send(object, () => {});
      let refused = 0;
      let asked = 0;
      while (refused < 3) {
        asked += 1;
        asking(payload(asked)).catch(({ code }) => {
          if (code === 'ERR_BACKPRESSURE') refused += 1;
        });
        await turn();
      }
      assert.equal(side.stats().pending_callbacks, asked - refused);
    });
  });

  describe(`${role}: slow_consumer "disconnect"`, () => {
    it('cuts the peer off', limit, async (t) => {
      const { side, send, log } = await slow[role](t, {
        send_high_water_mark: MIB,
        slow_consumer: 'disconnect',
      });
      const codes = new Set();
      let over = false;
      side.once('disconnect', () => {
        over = true;
      });
      for (let n = 0; !over; n += 1) {
        send(payload(n)).catch(({ code }) => codes.add(code));
        await turn();
      }
      const [error, socket] = (await log.next('error')).args;
      assert.ok(error instanceof impl.error);
      assert.equal(error.code, 'ERR_SLOW_CONSUMER');
      if (role === 'server') assert.equal(typeof socket.destroy, 'function');
      await log.next('disconnect');
      await turn();
      assert.deepEqual([...codes].sort(), ['ERR_SLOW_CONSUMER', 'ERR_SOCKET_DESTROYED']);
      const { slow_consumers, queued_bytes, connections } = side.stats();
      assert.deepEqual([slow_consumers, queued_bytes, connections], [1, 0, 0]);
      assert.equal(log.count('error'), 1);
    });
  });
}

describe('server: max_connections', () => {
  it('refuses connections beyond it, and accepts others later', limit, async (t) => {
    const { server, log, where } = await startServer(t, { max_connections: 2 });
    const first = await rawClient(t, where);
    await rawClient(t, where);
    await log.take('connect', 2);
    const third = await rawClient(t, where);
    await third.next('close');
    const [error, socket] = (await log.next('error')).args;
    assert.ok(error instanceof impl.error);
    assert.equal(error.code, 'ERR_TOO_MANY_CONNECTIONS');
    assert.equal(socket, null);
    assert.equal(server.stats().refused_connections, 1);
    assert.equal(server.stats().connections, 2);
    first.socket.destroy();
    await log.next('disconnect');
    const fourth = await rawClient(t, where);
    await log.next('connect');
    fourth.write({ type: 'Number', data: 4 });
    assert.equal((await log.next('receive')).args[0], 4);
  });

  it('counts connections whose session has not started', limit, async (t) => {
    let go;
    const gate = new Promise((resolve) => {
      go = resolve;
    });
    class Slow extends impl.session {
      start() {
        return gate;
      }
    }
    const { log, where } = await startServer(t, { max_connections: 1, session_type: Slow });
    await rawClient(t, where);
    const second = await rawClient(t, where);
    await second.next('close');
    assert.equal((await log.next('error')).args[0].code, 'ERR_TOO_MANY_CONNECTIONS');
    go();
    await log.next('connect');
  });
});

describe('sendall', () => {
  for (const [mode, options] of Object.entries({
    'as envelopes': {},
    'as bare values': { peer_type: 'json' },
  })) {
    it(`${mode}: "drop" leaves a slow client out, and counts`, limit, async (t) => {
      const { server, log, where } = await startServer(t, {
        ...options,
        send_high_water_mark: MIB,
        slow_consumer: 'drop',
      });
      const wire = await rawClient(t, where);
      await stopped(t, where);
      await log.take('connect', 2);
      const all = [];
      for (let n = 0; n < 100; n += 1) {
        all.push(server.sendall(payload(n)));
        await wire.next('frame');
      }
      const { refused_messages, queued_bytes, messages_sent } = server.stats();
      assert.ok(refused_messages > 0);
      assert.equal(messages_sent, 200 - refused_messages);
      assert.ok(queued_bytes <= MIB + 200_000);
      assert.equal(log.count('error') + log.count('disconnect'), 0);
      // The promises of messages that it still gets stay pending until its connection ends.
      await server.disconnect();
      await deadline(Promise.all(all), 'the promises of sendall()');
    });
  }

  it('"disconnect" cuts a slow client off, and the others get everything', limit, async (t) => {
    const { server, log, where } = await startServer(t, {
      send_high_water_mark: MIB,
      slow_consumer: 'disconnect',
    });
    const wire = await rawClient(t, where);
    await log.next('connect');
    await stopped(t, where);
    const [lazy] = (await log.next('connect')).args;
    const all = [];
    for (let n = 0; n < 100; n += 1) {
      all.push(server.sendall(payload(n)));
      assert.equal((await wire.frame()).data.number, n);
    }
    const [error, socket] = (await log.next('error')).args;
    assert.equal(error.code, 'ERR_SLOW_CONSUMER');
    assert.equal(socket, lazy);
    await log.next('disconnect');
    await deadline(Promise.all(all), 'the promises of sendall()');
    assert.equal(server.stats().slow_consumers, 1);
    assert.equal(server.sockets.length, 1);
  });

  it('"wait" reaches the others at once, and the slow one when it reads', limit, async (t) => {
    const { server, log, where } = await startServer(t, { send_high_water_mark: MIB });
    const wire = await rawClient(t, where);
    const lazy = await stopped(t, where);
    await log.take('connect', 2);
    const all = [];
    for (let n = 0; n < 100; n += 1) {
      all.push(server.sendall(payload(n)));
      assert.equal((await wire.frame()).data.number, n);
    }
    const numbers = numbersAt(lazy);
    await deadline(Promise.all(all), 'the promises of sendall(), now that the peer reads');
    await until(() => numbers.length === 100, 'everything is there');
    assert.deepEqual(numbers, [...Array(100).keys()]);
  });
});
