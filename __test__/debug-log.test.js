'use strict';

// The lines that NODE_DEBUG=sockhop writes to standard error, in processes of their own.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };

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
  c.socket.write('not JSON\n');
  await failed;
  const closed = once(s, 'disconnect');
  await c.disconnect();
  await closed;
  await s.close();
}

/**
 * A client that reconnects by itself once there is a server, over TLS that only OpenSSL supports.
 */
async function reconnect({ client, server }) {
  const { once } = require('node:events');
  const s = new server({ port: 0 });
  const { port } = (await s.listen()).address();
  const c = new client({ port, auto_reconnect_interval: 10 });
  c.auto_reconnect = true;
  await once(c, 'connect');
  await c.disconnect();
  await s.close();
  for (const ssl_options of [{ servername: 'a' }, { ciphers: 'HIGH' }]) {
    await new client({ port, ssl_options }).connect().catch(() => {});
  }
}

/** A peer that does not read, and a server that refuses messages for it. */
async function refuse({ server }) {
  const { once } = require('node:events');
  const s = new server({ port: 0, slow_consumer: 'drop', send_high_water_mark: 1000 });
  s.on('error', () => {});
  const { port } = (await s.listen()).address();
  const peer = require('node:net').connect(port, '127.0.0.1').pause();
  const [sock] = await once(s, 'connect');
  const object = { text: 'x'.repeat(100_000) };
  let refused = false;
  while (!refused) {
    s.send(sock, object).catch(() => {
      refused = true;
    });
    await new Promise(setImmediate);
  }
  peer.destroy();
  await s.close();
}

/** Asserts that each line was printed, once or more often. */
function assertLines(lines, expected) {
  for (const pattern of expected) {
    assert.ok(
      lines.some((line) => pattern.test(line)),
      `${pattern} is not among\n${lines.join('\n')}`,
    );
  }
}

describe('NODE_DEBUG=sockhop', () => {
  it('reports connections, with the peer and the reason of the end', limit, async (t) => {
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

  it('reports listening, attempts, reconnecting and the kind of TLS', limit, async (t) => {
    const lines = await linesOf(t, reconnect);
    const [, where] = /^Listener: listens on (127\.0\.0\.1:\d+)$/.exec(lines[0]);
    const native = require('./support/runtime.js').nativeTls;
    assertLines(lines, [
      new RegExp(`^SockhopClient of ${where}: reconnects, attempt 1$`),
      new RegExp(`^SockhopClient of ${where}: connects$`),
      new RegExp(`^Listener: stops listening on ${where}$`),
      new RegExp(`^SockhopClient of ${where}: connects, with ${native ? 'native TLS' : 'TLS'}`),
      new RegExp(`^SockhopClient of ${where}: connects, with TLS of OpenSSL$`),
      new RegExp(`^SockhopClient of ${where}: could not connect: connect ECONNREFUSED ${where}$`),
    ]);
  });

  it('reports a peer that does not read', limit, async (t) => {
    assertLines(await linesOf(t, refuse), [
      /^connection #\d+: "send_high_water_mark" is reached, messages refused: \d+$/,
    ]);
  });

  it('is off without the variable, and for other names', limit, async (t) => {
    assert.deepEqual(await linesOf(t, converse, ''), []);
    assert.deepEqual(await linesOf(t, converse, 'sock'), []);
  });
});
