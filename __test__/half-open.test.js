'use strict';

// Tests the option allow_half_open, with peers that end their direction and continue to read.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, nodeEndpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { startServer } = require('./support/local.js');
const { Wire } = require('./support/raw.js');

const limit = { timeout: 600_000 };
const halfOpen = { allow_half_open: true };

/** A peer that sends frames and its end at once, and continues to read. */
async function speakAndListen(t, where, ...frames) {
  const socket = net.connect({ ...nodeEndpoint(where), allowHalfOpen: true });
  cleanup(t, () => socket.destroy());
  const wire = new Wire(socket);
  await once(socket, 'connect');
  socket.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(''));
  return wire;
}

describe('a peer that has ended its direction', () => {
  for (const transport of transports) {
    it(`gets answers to callbacks and the end after them, over ${transport}`, limit, async (t) => {
      const { server, where } = await startServer(t, halfOpen, await endpoint(t, transport));
      const questions = [];
      server.on('receive', (object, { callback }) => questions.push({ object, callback }));
      const wire = await speakAndListen(
        t,
        where,
        { type: 'Object', data: { n: 1 }, id: 'a' },
        { type: 'Object', data: { n: 2 }, id: 'b' },
      );
      await until(() => server.sockets[0]?.readableEnded && questions.length === 2, 'the end came');
      questions[0].callback({ one: 1 });
      assert.deepEqual((await wire.frame()).data, { one: 1 });
      await turn();
      assert.equal(server.sockets.length, 1);
      const left = once(server, 'disconnect');
      questions[1].callback({ two: 2 });
      assert.deepEqual((await wire.frame()).data, { two: 2 });
      await deadline(wire.next('end'), 'the end of the connection');
      await deadline(left, 'the disconnect event');
      assert.equal(server.sockets.length, 0);
    });
  }

  it('gets the last packet of its request', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const asked = once(server, 'request');
    const request = { uuid: 'r', type: 'Object', data: {} };
    const wire = await speakAndListen(t, where, { type: 'SockhopRequest', data: request });
    const [, response] = await deadline(asked, 'the request');
    await until(() => server.sockets[0].readableEnded, 'the end came');
    await response.write({ n: 1 });
    await turn();
    await response.send({ n: 2 });
    assert.deepEqual((await wire.frame()).data.data, { n: 1 });
    assert.deepEqual((await wire.frame()).data.data, { n: 2 });
    await deadline(wire.next('end'), 'the end of the connection');
  });

  it('gets the end at once if it waits for nothing', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const received = once(server, 'receive');
    const wire = await speakAndListen(t, where, { type: 'Object', data: { n: 1 } });
    assert.deepEqual((await deadline(received, 'the message'))[0], { n: 1 });
    await deadline(wire.next('end'), 'the end of the connection');
  });

  it('gets all bytes that wait, and broadcasts', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const asked = once(server, 'receive');
    const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
    const [, { callback }] = await asked;
    await until(() => server.sockets[0].readableEnded, 'the end came');
    wire.socket.pause();
    const text = 'x'.repeat(8 * 1024 * 1024);
    server.sendall(text);
    callback({});
    await until(() => server.stats().queued_bytes > 0, 'bytes wait');
    wire.socket.resume();
    assert.equal((await wire.frame()).data, text);
    assert.deepEqual((await wire.frame()).data, {});
    await deadline(wire.next('end'), 'the end of the connection');
  });

  it('is not considered dead because of pings that it cannot answer', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const asked = once(server, 'receive');
    const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
    const [sock] = [(await asked)[1]];
    const other = net.connect({ ...nodeEndpoint(where) });
    cleanup(t, () => other.destroy());
    await until(() => server.sockets.length === 2 && sock.socket.readableEnded, 'both are there');
    server.ping(20);
    // This peer does not answer pings and does not read either, so the server gives it up.
    await deadline(once(server, 'disconnect'), 'the end of the other connection');
    assert.deepEqual(server.sockets, [sock.socket]);
    sock.callback({ b: 1 });
    assert.deepEqual((await wire.frame(({ callback_id }) => callback_id === 'a')).data, { b: 1 });
  });

  it('is ended by the program if it speaks JSON', limit, async (t) => {
    const { server, where } = await startServer(t, { ...halfOpen, peer_type: 'json' });
    const asked = once(server, 'receive');
    const wire = await speakAndListen(t, where, { q: 7 });
    const [object, { socket, session }] = await deadline(asked, 'the question');
    await until(() => socket.readableEnded, 'the end came');
    await server.send(socket, { answer: object.q });
    assert.deepEqual(await wire.frame(), { answer: 7 });
    await turn();
    assert.equal(server.sockets.length, 1);
    await session.kill();
    await deadline(wire.next('end'), 'the end of the connection');
    assert.equal(server.sockets.length, 0);
  });

  it('is ended when nothing was sent to it for response_timeout', limit, async (t) => {
    for (const peer_type of ['json', 'Sockhop']) {
      const options = { ...halfOpen, peer_type, response_timeout: 150 };
      const { server, where } = await startServer(t, options);
      const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
      await deadline(wire.next('end'), 'the end of the connection');
      await until(() => server.sockets.length === 0, 'the connection is over');
    }
  });

  it('that has gone breaks the connection when something is sent', limit, async (t) => {
    const { server, where } = await startServer(t, { ...halfOpen, peer_type: 'json' });
    server.on('error', () => {});
    const wire = await speakAndListen(t, where, { q: 7 });
    await until(() => server.sockets[0]?.readableEnded, 'the end came');
    const [sock] = server.sockets;
    const left = new Promise((resolve) => server.once('disconnect', resolve));
    wire.socket.destroy();
    const send = async () => {
      while (server.sockets.length > 0) {
        await server.send(sock, { a: 'x'.repeat(100_000) }).catch(() => {});
        await turn();
      }
    };
    await deadline(Promise.all([send(), left]), 'the end of the connection');
  });

  it('is recognised if the session has read to its end', limit, async (t) => {
    class Reading extends impl.session {
      async start() {
        this.sock.resume();
        if (!this.sock.readableEnded) await once(this.sock, 'end');
      }
    }
    const { server, where } = await startServer(t, { ...halfOpen, session_type: Reading });
    server.on('connect', (sock) => server.send(sock, { hello: 1 }));
    const wire = await speakAndListen(t, where);
    assert.deepEqual((await wire.frame()).data, { hello: 1 });
    await deadline(wire.next('end'), 'the end of the connection');
    await until(() => server.sockets.length === 0, 'the connection is over');
  });

  it('is answered by close({ grace }), and not pinged', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const asked = once(server, 'receive');
    const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
    const [, { callback, socket }] = await asked;
    await until(() => socket.readableEnded, 'the end came');
    server.send(socket, { never: 'answered' }, () => assert.fail('the peer cannot answer'));
    const closed = server.close({ grace: 1_000_000 });
    callback({ b: 1 });
    assert.equal(await deadline(closed, 'the server to close'), 0);
    await deadline(wire.next('end'), 'the end of the connection');
    assert.equal(wire.all('frame').length, 2);
  });

  it('may end its direction while close({ grace }) waits for its pong', limit, async (t) => {
    const { server, where } = await startServer(t, halfOpen);
    const socket = net.connect({ ...nodeEndpoint(where), allowHalfOpen: true });
    cleanup(t, () => socket.destroy());
    const wire = new Wire(socket);
    await until(() => server.sockets.length === 1, 'the server has the connection');
    const closed = server.close({ grace: 1_000_000 });
    await wire.frame(({ type }) => type === 'SockhopPing');
    socket.end();
    assert.equal(await deadline(closed, 'the server to close'), 0);
  });

  it('is ended by kill_socket(), disconnect() and close()', limit, async (t) => {
    for (const end of [
      (server) => server.kill_socket(server.sockets[0]),
      (server) => server.disconnect(),
      (server) => server.close(),
    ]) {
      const { server, where } = await startServer(t, halfOpen);
      const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
      await until(() => server.sockets[0]?.readableEnded, 'the end came');
      await deadline(end(server), 'the end');
      await deadline(wire.next('end'), 'the end of the connection');
      assert.equal(server.sockets.length, 0);
    }
  });

  it('ends the connection without the option, as in 1.8.4', limit, async (t) => {
    const { server, where } = await startServer(t);
    const left = once(server, 'disconnect');
    const wire = await speakAndListen(t, where, { type: 'Object', data: {}, id: 'a' });
    await deadline(left, 'the disconnect event');
    await deadline(wire.next('end'), 'the end of the connection');
  });

  it('is answered over a stream that the program has brought', limit, async (t) => {
    const { server } = await startServer(t, halfOpen);
    const front = net.createServer({ allowHalfOpen: true }, (socket) =>
      server.server.emit('connection', socket),
    );
    cleanup(t, () => front.close());
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    const asked = once(server, 'receive');
    const place = { port: front.address().port };
    const wire = await speakAndListen(t, place, { type: 'Object', data: {}, id: 'a' });
    const [, { callback, socket }] = await asked;
    await until(() => socket.readableEnded, 'the end came');
    await turn();
    callback({ b: 1 });
    assert.deepEqual((await wire.frame()).data, { b: 1 });
    await deadline(wire.next('end'), 'the end of the connection');
  });
});
