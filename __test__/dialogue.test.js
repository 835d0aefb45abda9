'use strict';

// The event loop watches a connection by itself that exchanges one message after the other.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { transports, endpoint } = require('./support/addresses.js');
const { startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const DEADLINE = { timeout: 120_000 };
/** More than it takes until the connection is watched so. */
const MANY = 200;

/** Sends numbers to a server that answers each with itself: the next one follows the answer. */
async function converse(wire, count) {
  for (let i = 0; i < count; i++) {
    wire.write({ type: 'Object', data: { n: i } });
    assert.equal((await wire.frame()).data.n, i);
  }
}

for (const transport of transports) {
  test(
    `a dialogue that breaks ends alone, and another one begins (${transport})`,
    DEADLINE,
    async (t) => {
      const { server, log, where } = await startServer(t, {}, await endpoint(t, transport));
      server.on('receive', (object, { socket }) => server.send(socket, object));
      const first = await rawClient(t, where);
      await converse(first, MANY);
      // On a Unix socket, that is what a peer leaves that has not read everything.
      if (transport === 'tcp') first.socket.resetAndDestroy();
      else first.socket.destroy();
      await log.next('disconnect');

      const second = await rawClient(t, where);
      const third = await rawClient(t, where);
      await Promise.all([converse(second, MANY), converse(third, MANY / 10)]);
      second.socket.end();
      await log.next('disconnect');
      await converse(third, MANY);
      assert.equal(server.sockets.length, 1);
    },
  );

  test(`a quiet connection has its turns beside a dialogue (${transport})`, DEADLINE, async (t) => {
    const { server, where } = await startServer(t, {}, await endpoint(t, transport));
    server.on('receive', (object, { socket }) => server.send(socket, object));
    const busy = await rawClient(t, where);
    const quiet = await rawClient(t, where);
    await converse(busy, MANY);
    let isOver = false;
    const dialogue = (async () => {
      while (!isOver) await converse(busy, 1);
    })();
    await converse(quiet, 10);
    const newcomer = await rawClient(t, where);
    await converse(newcomer, 1);
    isOver = true;
    await dialogue;
  });

  test(
    `a dialogue stops while its socket is paused, and goes on (${transport})`,
    DEADLINE,
    async (t) => {
      const { server, log, where } = await startServer(t, {}, await endpoint(t, transport));
      server.on('receive', (object, { socket }) => server.send(socket, object));
      const paused = await rawClient(t, where);
      await converse(paused, MANY);
      const [socket] = server.sockets;
      socket.pause();
      paused.write({ type: 'Object', data: { n: -1 } });
      // Its own dialogue takes longer than the number would.
      await converse(await rawClient(t, where), MANY);
      const before = log.count('receive');
      assert.equal(before, 2 * MANY);
      const received = once(server, 'receive');
      socket.resume();
      assert.equal((await received)[0].n, -1);
      assert.equal((await paused.frame()).data.n, -1);
      await converse(paused, MANY);
    },
  );
}
