'use strict';

// Every byte in either direction counts as activity, as with a socket of Node.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { undisturbed } = require('./support/deadline.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };
const IDLE = 400;
/** The number of signs of life before the test checks the connection. */
const SIGNS = 24;

async function serverOnWire(t, transport, options) {
  const where = await endpoint(t, transport);
  const { server, log } = await startServer(t, options, where);
  const wire = await rawClient(t, where);
  await log.next('connect');
  return { side: server, log, wire, socket: server.sockets[0] };
}

async function clientSide(t, transport, options) {
  const where = await endpoint(t, transport);
  const { client, log, wire } = await clientOnWire(t, options, where);
  return { side: client, log, wire, socket: client.socket };
}

/**
 * Sends signs of life. Resolves with the longest time between two of them, which is an eighth of
 * `idle` unless the machine paused.
 */
async function keepAlive(idle, sign) {
  let longest = 0;
  let last = performance.now();
  for (let i = 0; i < SIGNS; i++) {
    sign(i);
    await new Promise((resolve) => setTimeout(resolve, idle / 8));
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return longest;
}

const signs = {
  'pings of the peer': ({ wire }) => wire.write({ type: 'SockhopPing', data: { _id: '1' } }),
  'parts of one message': ({ wire }, i) =>
    wire.socket.write(i === 0 ? '{"type":"String","data":"' : 'x'),
  'messages sent to all': ({ side, wire }) => {
    wire.socket.resume();
    if (side.sendall) side.sendall('hello').catch(() => {});
    else side.send('hello').catch(() => {});
  },
};

for (const transport of transports) {
  for (const [role, connect] of Object.entries({ client: clientSide, server: serverOnWire })) {
    // These tests mostly wait.
    const options = { ...limit, concurrency: true };
    describe(`a connection of a ${role} (${transport})`, options, () => {
      for (const [name, sign] of Object.entries(signs)) {
        it(`is not idle while there are ${name}`, (t) =>
          undisturbed(IDLE, async (idle) => {
            const ends = await connect(t, transport, { idle_timeout: idle });
            let timeouts = 0;
            ends.socket.setTimeout(idle, () => timeouts++);
            const pause = await keepAlive(idle, (i) => sign(ends, i));
            const { destroyed } = ends.socket;
            const seen = timeouts;
            const verify = () => assert.deepEqual([seen, destroyed], [0, false]);
            return { pause, verify };
          }));
      }

      it('is idle when nothing arrives any more', (t) =>
        undisturbed(IDLE, async (idle) => {
          const { wire, socket } = await connect(t, transport, {});
          let last = 0;
          const timeout = new Promise((resolve) => socket.setTimeout(idle, resolve));
          const pause = await keepAlive(idle, () => {
            last = performance.now();
            wire.write({ type: 'SockhopPing', data: { _id: '1' } });
          });
          await timeout;
          const waited = performance.now() - last;
          const verify = () => assert.ok(waited >= idle - 2, `after ${waited} ms`);
          return { pause, verify };
        }));

      it('ends after "idle_timeout" without a byte', async (t) => {
        const { log, side } = await connect(t, transport, { idle_timeout: IDLE });
        const { args } = await log.next('error');
        assert.equal(args[0].code, 'ERR_IDLE_TIMEOUT');
        await log.next('disconnect');
        assert.equal(side.stats().idle_timeouts, 1);
      });
    });
  }
}

/** A link to `where` that forwards at most `bytes` bytes in 20 ms, until the test ends. */
async function slowLink(t, where, bytes) {
  const open = new Set();
  const link = net.createServer((near) => {
    const far = net.connect(where.path ?? where.port, where.path ? undefined : '127.0.0.1');
    const tick = setInterval(() => {
      const part = near.read(Math.min(bytes, near.readableLength));
      if (part) far.write(part);
    }, 20);
    far.pipe(near);
    near.on('readable', () => {});
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        clearInterval(tick);
        other.destroy();
      });
    }
  });
  link.listen(0, '127.0.0.1');
  await once(link, 'listening');
  cleanup(t, () => {
    for (const one of open) one.destroy();
    link.close();
  });
  return { port: link.address().port };
}

describe('a message that takes longer than four pings', { ...limit, concurrency: true }, () => {
  for (const pinger of ['client', 'server']) {
    it(`arrives although the ${pinger} pings and the pongs wait until the message has passed`, async (t) => {
      const { server, log, where } = await startServer(t);
      const { client, log: told } = makeClient(t, await slowLink(t, where, 60_000));
      await client.connect();
      await log.next('connect');
      (pinger === 'client' ? client : server).ping(1000);
      const text = 'x'.repeat(18_000_000);
      client.send({ text }).catch(() => {});
      const { args } = await log.next('receive', undefined, 60_000);
      assert.equal(args[0].text.length, text.length);
      assert.equal(told.count('disconnect') + log.count('disconnect'), 0);
    });
  }
});
