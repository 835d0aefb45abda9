'use strict';

// Who is accepted, when, and in which order the program is told.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, nodeEndpoint, transports } = require('./support/addresses.js');
const { atEnd } = require('./support/at-end.js');
const { deadline } = require('./support/deadline.js');
const { startServer } = require('./support/local.js');

const limit = { timeout: 120_000 };

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
  atEnd(t, () => child.kill('SIGKILL'));
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
      it(`with ${name} keeps nobody from being accepted (${transport})`, limit, async (t) => {
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
          atEnd(t, () => socket.destroy());
          await log.next('connect');
        }
        assert.equal(flooder.exitCode, null);
        assert.equal(server.sockets.length, 11);
      });
    }
  }
});
