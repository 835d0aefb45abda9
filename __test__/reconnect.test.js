'use strict';

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { freePort } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { PeerProcess } = require('./support/peers.js');
const { program } = require('./support/program.js');
const { rawServer } = require('./support/raw.js');
const { repeat } = require('./support/repeat.js');

/** Each life is a process that is killed; the first two test the remains of a killed server. */
const LIVES = Math.max(3, repeat(10));

/** A client that reconnects. It prints its events, and disconnects on command. */
function reconnectingClient(sockhop, port) {
  const client = new sockhop.client({ port, auto_reconnect_interval: 50 });
  let life = 0;
  client.on('connect', () => {
    life += 1;
    console.log(`connect ${life}`);
    client.send({ life }).catch((error) => console.log(`send: ${error.code}`));
  });
  client.on('receive', ({ leave }) => {
    if (leave) client.disconnect().then(() => console.log('left'));
  });
  client.on('disconnect', () => console.log(`disconnect ${life}`));
  client.on('error', (error) => console.log(`error ${error.message}`));
  client.auto_reconnect = true;
}

for (const implementation of ['native', 'original']) {
  describe(`a client whose ${implementation} server is killed and started again`, () => {
    it('connects and disconnects once per life, and ends by itself', {
      timeout: 600_000,
    }, async (t) => {
      const port = await freePort();
      const client = program(t, reconnectingClient, port);
      let life = 0;
      for (let round = 1; round <= LIVES; round += 1) {
        const peer = new PeerProcess(implementation);
        cleanup(t, () => peer.kill());
        const server = await peer.server(null, { port });
        await server.do('listen');
        // A dying process closes its connections before its listener. A client that reconnects in
        // between has a life that no server reports.
        const { life: now } = (await server.next('receive')).object;
        assert.ok(now > life, `life ${now} after ${life}`);
        life = now;
        if (round === LIVES) {
          // The original on Bun may emit the message before the connection.
          await server.next('connect');
          await server.do('send', { value: { leave: true } });
          await server.next('disconnect');
        } else {
          await peer.kill();
        }
        await client.line(`disconnect ${life}`);
      }
      // Nothing keeps it alive: no timer, no connection, no thread.
      const { code, lines, stderr } = await client.ended();
      const expected = Array.from({ length: life }, (_, i) => [
        `connect ${i + 1}`,
        `disconnect ${i + 1}`,
      ]).flat();
      assert.deepEqual(
        lines.filter((line) => !line.startsWith('send: ')),
        [...expected, 'left'],
      );
      assert.deepEqual([code, stderr], [0, '']);
    });
  });
}

describe('a client that reconnects', () => {
  it('reconnects at its interval while there is no server, and ends by itself', {
    timeout: 600_000,
  }, async (t) => {
    const port = await freePort();
    const client = program(
      t,
      (sockhop, place) => {
        const client = new sockhop.client({ port: place, auto_reconnect_interval: 10 });
        client.on('error', (error) => console.log(`error ${error.message}`));
        client.auto_reconnect = true;
        setTimeout(() => client.disconnect(), 200);
      },
      port,
    );
    const { code, lines } = await client.ended();
    assert.deepEqual([code, lines], [0, []]);
  });

  it('stays alive while it tries', { timeout: 600_000 }, async (t) => {
    const port = await freePort();
    const client = program(t, reconnectingClient, port);
    const raw = await rawServer(t, { port });
    const wire = await raw.accept();
    assert.deepEqual((await wire.frame()).data, { life: 1 });
    wire.socket.destroy();
    await client.line('disconnect 1');
    const next = await raw.accept();
    assert.deepEqual((await next.frame()).data, { life: 2 });
    next.write({ type: 'Object', data: { leave: true } });
    assert.equal((await client.ended()).code, 0);
  });

  it('survives a server that resets every connection', { timeout: 600_000 }, async (t) => {
    const raw = await rawServer(t);
    const client = program(t, reconnectingClient, raw.where.port);
    for (let life = 1; life <= 5; life += 1) {
      const wire = await raw.accept();
      await wire.frame();
      wire.socket.resetAndDestroy();
      await client.line(`disconnect ${life}`);
    }
    const last = await raw.accept();
    await last.frame();
    last.write({ type: 'Object', data: { leave: true } });
    const { code, lines } = await client.ended();
    assert.equal(code, 0);
    assert.equal(lines.filter((line) => line.startsWith('connect')).length, 6);
    assert.equal(lines.filter((line) => line.startsWith('disconnect')).length, 6);
    assert.equal(lines.filter((line) => line.startsWith('error')).length, 0);
  });
});
