'use strict';

// Tests a message that is longer than a string can be, among others that are not.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };
const MIB = 1024 * 1024;
/** Each byte becomes a character of three bytes: more than half a GiB in all. */
const MEGABYTES = 180;
const PING = '{"type":"SockhopPing","data":{"_id":"1"}}\n';
const text = (data) => `{"type":"String","data":"${data}"}\n`;

/**
 * A plain client. `say` sends, and resolves once the server has read the bytes, which its pong
 * shows.
 */
async function plainClient(t, port) {
  const socket = net.connect({ port, host: '127.0.0.1' });
  cleanup(t, () => socket.destroy());
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const say = (bytes) =>
    deadline(
      new Promise((resolve) => {
        socket.once('data', resolve);
        socket.write(Buffer.concat([Buffer.from(bytes), Buffer.from(PING)]));
      }),
      'the pong',
      120_000,
    );
  return { socket, say, closed };
}

describe('a message longer than a string can be', () => {
  it('is an error of its connection, and loses no message that came with it', limit, async (t) => {
    const go = path.join(temporaryDirectory(t), 'go');
    const child = program(
      t,
      ({ server: Server }, { go, most }) => {
        const fs = require('node:fs');
        const server = new Server({ port: 0, max_message_size: most });
        server.on('error', (err) => console.log(`error ${err.code}`));
        server.on('disconnect', () => console.log('disconnect'));
        server.on('receive', (word) => {
          console.log(word);
          // Everything that arrives in the meantime is delivered together.
          if (word === 'block') while (!fs.existsSync(go));
        });
        server.listen().then(() => console.log(`port ${server.server.address().port}`));
      },
      { go, most: 256 * MIB },
    );
    const port = Number((await child.line((line) => line.startsWith('port '))).slice(5));
    const [bad, one, other, blocker] = await Promise.all(
      [1, 2, 3, 4].map(() => plainClient(t, port)),
    );
    const chunk = Buffer.alloc(MIB, 0xff);
    for (let n = 0; n < MEGABYTES; n += 1) {
      await deadline(new Promise((resolve) => bad.socket.write(chunk, resolve)), 'room', 120_000);
    }
    blocker.socket.write(text('block'));
    await child.line('block');
    await one.say(text('one'));
    await other.say(text('other'));
    // The server then reads no connection until it continues, because it has reached its mark.
    await bad.say('\n');
    fs.writeFileSync(go, '');
    await deadline(bad.closed, 'the server to close the connection', 120_000);
    one.socket.write(text('later'));
    other.socket.write(text('later'));
    await child.line('disconnect');
    await child.line('later');
    await child.line('later');
    const told = child.log.all('line').map((line) => line.text);
    assert.ok(told.includes('one') && told.includes('other'), `${told}`);
    assert.deepEqual(
      told.filter((line) => line.startsWith('error')),
      ['error ERR_MESSAGE_TOO_LARGE'],
    );
    assert.equal(told.filter((line) => line === 'disconnect').length, 1);
  });
});
