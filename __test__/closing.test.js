'use strict';

// The resources of a connection after the program has closed it, and the data that its peer still
// receives.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { clientOnWire } = require('./support/local.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };
const noDescriptors = !fs.existsSync('/proc/self/fd') && 'the system does not list descriptors';
const MIB = 1024 * 1024;

/**
 * A server that closes each session in the given way once it is connected, and counts its own
 * descriptors.
 */
function serverThat(t, how, max) {
  return program(
    t,
    ({ server: Server }, { how, max }) => {
      const fs = require('node:fs');
      const server = new Server({ port: 0, max_connections: max });
      const tell = () => console.log(fs.readdirSync('/proc/self/fd').length);
      server.on('error', () => {});
      server.on('connect', async (sock) => {
        if (how.includes('greet')) await server.send(sock, 'welcome').catch(() => {});
        if (how.includes('end')) server.kill_socket(sock);
        else sock.destroy();
        tell();
      });
      server.listen().then(() => {
        server.server.on('drop', tell);
        console.log(`port ${server.server.address().port}`);
      });
    },
    { how, max },
  );
}

async function portOf(child) {
  const line = await child.line((text) => text.startsWith('port '));
  return Number(line.slice(5));
}

/** A peer that sends nothing and stays connected; resolves once it is connected. */
function silentPeer(t, port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    cleanup(t, () => socket.destroy());
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      socket.resume();
      resolve(socket);
    });
  });
}

describe('descriptors of closed sessions', { skip: noDescriptors }, () => {
  const MAX = 20;
  const PEERS = 150;
  for (const how of ['destroy', 'end', 'greet and destroy', 'greet and end']) {
    it(
      `stay within max_connections + 16 if the server ends silent peers by "${how}"`,
      limit,
      async (t) => {
        const child = serverThat(t, how, MAX);
        const port = await portOf(child);
        const counts = [];
        await silentPeer(t, port);
        const before = Number(await child.line((text) => !text.startsWith('port')));
        for (let n = 0; n < PEERS; n += 1) {
          await silentPeer(t, port);
          counts.push(Number(await child.line((text) => !text.startsWith('port'))));
        }
        assert.ok(Math.max(...counts) <= before + MAX + 16, `${before} before, then ${counts}`);
      },
    );
  }
});

/**
 * The time for which a closed connection with a silent peer keeps its descriptor, unless the server
 * needs it.
 */
const LINGER_MS = 5000;

describe('a closed session', () => {
  it(
    'keeps no new client out, although its peer stays and the server serves one at a time',
    limit,
    async (t) => {
      const child = serverThat(t, 'greet and end', 1);
      const port = await portOf(child);
      /** The message of the server to a client that stays. */
      const greeting = async () => {
        const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        cleanup(t, () => socket.destroy());
        let text = '';
        socket.setEncoding('utf8').on('data', (more) => {
          text += more;
        });
        await deadline(once(socket, 'end'), 'the server to end the connection');
        return text;
      };
      for (let n = 0; n < 10; n += 1) {
        // A client sees the end before the server has closed the connection, so the next client may
        // come too early.
        const began = Date.now();
        while (!(await greeting()).includes('welcome')) {
          assert.ok(Date.now() - began < LINGER_MS, `client ${n} was turned away`);
        }
      }
    },
  );

  it(
    'is reset if its peer sends without end, after a number of bytes were discarded',
    limit,
    async (t) => {
      const child = serverThat(t, 'greet and destroy', 10);
      const port = await portOf(child);
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      cleanup(t, () => socket.destroy());
      const chunk = Buffer.alloc(256 * 1024, 'x');
      await deadline(
        new Promise((resolve) => {
          socket.resume();
          socket.on('error', () => {});
          socket.on('close', resolve);
          const more = (err) => err ?? socket.write(chunk, more);
          more();
        }),
        'the server to reset the connection',
        60_000,
      );
      // Eight MiB, and some more that kernels buffer.
      assert.ok(socket.bytesWritten < 48 * MIB, `${socket.bytesWritten / MIB} MiB`);
    },
  );

  it(
    'delivers everything sent before its end to a peer that reads slowly and keeps sending',
    limit,
    async (t) => {
      const child = program(t, ({ server: Server }) => {
        const server = new Server({ port: 0 });
        server.on('error', () => {});
        server.on('connect', async (sock) => {
          const sends = [];
          for (let n = 0; n < 40; n += 1) sends.push(server.send(sock, 'x'.repeat(100_000)));
          await Promise.all(sends);
          await server.kill_socket(sock);
          console.log('closed');
        });
        server.listen().then(() => console.log(`port ${server.server.address().port}`));
      });
      const port = await portOf(child);
      const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      cleanup(t, () => socket.destroy());
      let received = 0;
      const ended = new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('end', resolve);
      });
      socket.on('data', (bytes) => {
        received += bytes.length;
        // Reads slowly, and sends a message for each piece.
        socket.pause();
        socket.write(Buffer.alloc(10_000, 'y'), () => setTimeout(() => socket.resume(), 5));
      });
      await deadline(ended, () => `the end; ${received} bytes have come`, 60_000);
      assert.ok(received > 40 * 100_000, `${received} bytes`);
    },
  );
});

describe('a program that sends again and again while it is connected', () => {
  for (const transport of transports) {
    it(`gets the end of the connection from its peer (${transport})`, limit, async (t) => {
      const { client, log, wire } = await clientOnWire(t, {}, await endpoint(t, transport));
      // The kernel knows the end of the connection at once, and the program only by an event.
      wire.socket.destroy();
      let count = 0;
      while (client.connected && count < 10_000) {
        count += 1;
        await client.send({ count }).catch(() => {});
      }
      assert.ok(!client.connected, `${count} promises were settled before the event`);
      assert.equal(log.count('disconnect'), 1);
    });
  }
});
