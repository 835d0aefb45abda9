'use strict';

// In place of the original's `socket-hangs` test, which stubs net.createConnection: a real peer
// whose queue of connections is full, so that a connect gets no answer at all.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { after, before, describe, it } = require('node:test');
const { original, underTest } = require('../conformance/under-test.js');

/** Sockets of this machine that sent a SYN to the port and got no answer. */
function unanswered(port) {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const SYN_SENT = '02';
  return fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state]) => remote?.endsWith(`:${hex}`) && state === SYN_SENT).length;
}

const linux = fs.existsSync('/proc/net/tcp');

describe('connect() to a peer that does not answer', {
  skip: linux ? false : 'needs /proc/net/tcp to see that a connect hangs',
  timeout: 60_000,
}, () => {
  let peer;
  let port;
  const fillers = [];

  before(async () => {
    peer = fork(path.join(__dirname, 'peers', 'full-backlog.js'));
    [port] = await once(peer, 'message');
    peer.kill('SIGSTOP');
    // The kernel goes on accepting until the queue is full; a loopback handshake is over, or
    // hangs, by the time the call returns.
    while (unanswered(port) === 0) {
      assert.ok(fillers.length < 100, 'the queue never filled');
      const filler = net.connect(port, '127.0.0.1');
      filler.on('error', () => {});
      fillers.push(filler);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  after(() => {
    for (const filler of fillers) filler.destroy();
    peer.kill('SIGKILL');
  });

  const packages = { 'the original': original(), 'this package': underTest() };
  for (const [name, directory] of Object.entries(packages)) {
    const { client: Client } = require(directory);

    it(`rejects "Timeout exceeded on connect()" after connect_timeout: ${name}`, async () => {
      const client = new Client({ port, connect_timeout: 200 });
      const events = [];
      for (const event of ['connect', 'disconnect', 'error'])
        client.on(event, () => events.push(event));
      const started = performance.now();
      await assert.rejects(client.connect(), (error) => {
        assert.equal(error.constructor, Error);
        assert.equal(error.message, 'Timeout exceeded on connect()');
        return true;
      });
      assert.ok(performance.now() - started >= 195, 'not before the time');
      assert.equal(client.connected, false);
      assert.deepEqual(events, []);
      await client.disconnect();
      clearInterval(client._auto_reconnect_timer);
    });

    it(`reads _connect_timeout at the call: ${name}`, async () => {
      const client = new Client({ port });
      client._connect_timeout = 150;
      await assert.rejects(client.connect(), /Timeout exceeded on connect\(\)/);
      await client.disconnect();
      clearInterval(client._auto_reconnect_timer);
    });
  }

  it('connects once the peer answers again', async () => {
    const { client: Client } = require(packages['this package']);
    const client = new Client({ port, connect_timeout: 200 });
    client.on('error', () => {});
    await assert.rejects(client.connect(), /Timeout exceeded on connect\(\)/);
    peer.kill('SIGCONT');
    client._connect_timeout = 10_000;
    await client.connect();
    assert.equal(client.connected, true);
    await client.disconnect();
    clearInterval(client._auto_reconnect_timer);
  });
});
