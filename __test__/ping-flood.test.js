'use strict';

// A peer that pings without pause.

const assert = require('node:assert/strict');
const net = require('node:net');
const { describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };
const PING = '{"type":"SockhopPing","data":{"_id":"1"}}\n';
/** The number of pings that fit into the buffers of the system. */
const PINGS = Math.floor((192 * 1024) / PING.length);
const text = (data) => `{"type":"String","data":"${data}"}\n`;

// The subject is the reader of the event loop.
process.env.SOCKHOP_READER = 'loop';
const noPoller = process.platform !== 'linux' && 'the event loop reads on Linux alone';

async function plainClient(t, port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  cleanup(t, () => socket.destroy());
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

describe('a peer that pings without pause', { skip: noPoller }, () => {
  it('has its pings answered over several turns of the event loop', limit, async (t) => {
    const child = program(t, ({ server: Server }) => {
      const server = new Server({ port: 0 });
      let flooded = null;
      let turns = 0;
      const turn = () => {
        turns += 1;
        setImmediate(turn);
      };
      server.on('receive', (word, { socket }) => {
        if (word === 'pause') {
          flooded = socket;
          flooded.pause();
          console.log('paused');
        } else if (word === 'resume') {
          flooded.resume();
          turn();
        } else console.log(`${turns} turns`);
      });
      server.listen().then(() => console.log(`port ${server.server.address().port}`));
    });
    const port = Number((await child.line((line) => line.startsWith('port '))).slice(5));
    const [flooder, other] = await Promise.all([plainClient(t, port), plainClient(t, port)]);
    flooder.resume();
    flooder.write(text('pause'));
    await child.line('paused');
    const written = new Promise((resolve) =>
      flooder.write(PING.repeat(PINGS) + text('last'), resolve),
    );
    await deadline(written, 'the system to take the pings');
    other.write(text('resume'));
    const turns = Number.parseInt(await child.line((line) => line.endsWith('turns')), 10);
    assert.ok(turns > 5, `${turns} turns`);
  });
});
