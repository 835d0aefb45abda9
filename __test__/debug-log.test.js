'use strict';

// The lines that NODE_DEBUG=sockhop writes to standard error, in processes of their own.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { program } = require('./support/program.js');

const limit = { timeout: 90_000 };

/** The lines that a program writes with NODE_DEBUG, without their head (`SOCKHOP 1234: `). */
async function linesOf(t, main, NODE_DEBUG = 'sockhop') {
  const { code, stderr } = await program(t, main, null, { env: { NODE_DEBUG } }).ended();
  assert.equal(code, 0, stderr);
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^SOCKHOP \d+: /, ''));
}

/** A connection that gets a bad frame and ends. */
async function converse({ client, server }) {
  const { once } = require('node:events');
  const s = new server({ port: 0 });
  s.on('error', () => {});
  const { port } = (await s.listen()).address();
  const c = new client({ port });
  const accepted = once(s, 'connect');
  await c.connect();
  await accepted;
  const failed = once(s, 'error');
  c.socket.write('no JSON\n');
  await failed;
  const closed = once(s, 'disconnect');
  await c.disconnect();
  await closed;
  await s.close();
}

describe('NODE_DEBUG=sockhop', () => {
  it('tells of connections, with the peer and the reason of the end', limit, async (t) => {
    const lines = await linesOf(t, converse);
    const [, number] = /^SockhopServer: (connection #\d+) is open/.exec(
      lines.find((line) => line.startsWith('SockhopServer: connection')),
    );
    for (const expected of [
      /^SockhopClient: connection #\d+ is open, the peer is 127\.0\.0\.1:\d+$/,
      /^SockhopServer: connection #\d+ is open, the peer is 127\.0\.0\.1:\d+$/,
      new RegExp(`^SockhopServer: error: ${number}: ERR_OBJECTBUFFER_BAD_BUFFER_DATA: Skipping`),
      /^SockhopClient: connection #\d+ is closed: it was ended on this side$/,
      new RegExp(`^SockhopServer: ${number} is closed: the peer ended it$`),
    ]) {
      assert.equal(lines.filter((line) => expected.test(line)).length, 1, `${expected} ${lines}`);
    }
  });

  it('is off without the variable, and for other names', limit, async (t) => {
    assert.deepEqual(await linesOf(t, converse, ''), []);
    assert.deepEqual(await linesOf(t, converse, 'sock'), []);
  });
});
