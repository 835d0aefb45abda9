'use strict';

// Tests when connections are accepted, and in which order the program gets their events.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const net = require('node:net');
const { describe, it } = require('node:test');
const {
  endpoint,
  freePort,
  nodeEndpoint,
  transports,
  unixPath,
} = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { implementations } = require('./support/implementations.js');
const { startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };

/** Calls a function after some turns of the event loop. */
function afterTurns(count, callback) {
  if (count === 0) callback();
  else setImmediate(afterTurns, count - 1, callback);
}

/** A process that connects and writes the same frame without pause, until the test ends. */
function flood(t, where, frame) {
  const main = (place, line) => {
    const socket = require('node:net').connect(place);
    const bytes = Buffer.from(`${line}\n`.repeat(8192));
    const write = () => {
      while (socket.write(bytes));
    };
    socket.on('connect', write);
    socket.on('drain', write);
    socket.on('data', () => {});
    socket.on('error', () => {});
  };
  const source = `(${main})(${JSON.stringify(nodeEndpoint(where))}, ${JSON.stringify(frame)});`;
  const child = spawn(process.execPath, ['-e', source], { stdio: 'ignore' });
  cleanup(t, () => child.kill('SIGKILL'));
  return child;
}

describe('one peer that never pauses', () => {
  const frames = {
    pings: { type: 'SockhopPing', data: { _id: 'x', _created: '2020-01-01T00:00:00.000Z' } },
    messages: { type: 'Object', data: { a: 1 } },
    questions: { type: 'String', data: 'x', id: 'abc' },
  };
  for (const transport of transports) {
    for (const [name, frame] of Object.entries(frames)) {
      it(`with ${name} does not delay accepting other peers (${transport})`, limit, async (t) => {
        const where = await endpoint(t, transport);
        const { server, log } = await startServer(t, {}, where);
        const flooder = flood(t, where, JSON.stringify(frame));
        await log.next('connect');
        const begun = deadline(
          new Promise((resolve) => {
            const look = setInterval(() => {
              if (server.stats().bytes_received < 4 << 20) return;
              clearInterval(look);
              resolve();
            }, 10);
          }),
          'four megabytes of the flood',
        );
        await begun;
        for (let n = 0; n < 10; n += 1) {
          const socket = net.connect(nodeEndpoint(where)).on('error', () => {});
          cleanup(t, () => socket.destroy());
          await log.next('connect');
        }
        assert.equal(flooder.exitCode, null);
        assert.equal(server.sockets.length, 11);
      });
    }
  }
});

describe('both ends in one process', () => {
  const places = {
    tcp: () => ({ port: 0 }),
    unix: (t) => ({ path: unixPath(t) }),
    'a host name': () => ({ address: 'localhost', port: 0 }),
  };
  const packages = Object.entries(implementations);
  for (const [place, make] of Object.entries(places)) {
    for (const [name, specifier] of packages) {
      it(
        `connects the client before the server emits connect (${place}, ${name})`,
        limit,
        async (t) => {
          const { server: Server, client: Client } = require(specifier);
          for (let n = 0; n < 20; n += 1) {
            const where = make(t);
            // To the original, port 0 means its default port.
            if (where.port === 0) where.port = await freePort();
            const server = new Server(where);
            const client = new Client(where);
            cleanup(t, () => clearInterval(client._auto_reconnect_timer));
            const order = [];
            const all = new Promise((resolve) => {
              const note = (what) => {
                order.push(what);
                if (order.length === 4) resolve();
              };
              server.on('connect', (sock) => {
                note(`server: connect, client ${client.connected ? 'connected' : 'not connected'}`);
                server.send(sock, { from: 'server' });
                // The client gets the message within a few turns of the event loop.
                afterTurns(10, () => note('ten turns'));
              });
              server.on('receive', (object) => assert.deepEqual(object, { from: 'client' }));
              client.on('connect', () => {
                note('client: connect');
                client.send({ from: 'client' });
              });
              client.on('receive', () => note('client: receive'));
            });
            const received = new Promise((resolve) => server.once('receive', resolve));
            await server.listen();
            await client.connect();
            await deadline(Promise.all([all, received]), () => `all events, ${order}`);
            assert.deepEqual(order.slice(0, 2), [
              'client: connect',
              'server: connect, client connected',
            ]);
            if (name === 'native')
              assert.deepEqual(order.slice(2), ['client: receive', 'ten turns']);
            await client.disconnect();
            await server.close();
          }
        },
      );
    }
  }
});
