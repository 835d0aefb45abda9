'use strict';

const assert = require('node:assert/strict');
const { endpoint } = require('./support/addresses.js');
const { matrix } = require('./support/matrix.js');
const { recordingProxy } = require('./support/recording-proxy.js');
const { runtime } = require('./support/runtime.js');

/** Milliseconds between pings: long against the work of answering one on a busy machine. */
const INTERVAL = 250;

const isPing = ({ text }) => text.includes('"SockhopPing"');
const isPong = ({ text }) => text.includes('"SockhopPong"');

async function connectThroughTap(cell) {
  const { server, where } = await cell.server();
  const near = await endpoint(cell.t, cell.transport);
  const frames = await recordingProxy(cell.t, near, where);
  const client = await cell.client(near);
  await client.do('connect');
  await server.next('connect');
  return { client, server, frames };
}

/** Pings and pongs pass without an event on either side. */
async function staysConnected({ client, server, frames }, pings, pongs) {
  for (let i = 0; i < 6; i += 1) {
    const ping = JSON.parse((await frames.next(pings, isPing)).text);
    const pong = JSON.parse((await frames.next(pongs, isPong)).text);
    assert.equal(pong.data._id, ping.data._id);
    assert.equal(pong.data._created, ping.data._created);
  }
  assert.deepEqual(await client.do('state'), { connected: true });
  assert.deepEqual(await server.do('state'), { sockets: 1, sessions: 1 });
  assert.deepEqual([...client.names(), ...server.names()], ['connect', 'connect']);
}

matrix({
  'the client pings: the connection stays for many intervals': async (cell) => {
    const all = await connectThroughTap(cell);
    await all.client.do('ping', INTERVAL);
    await staysConnected(all, 'up', 'down');
  },

  'the server pings: the connection stays for many intervals': async (cell) => {
    const all = await connectThroughTap(cell);
    await all.server.do('ping', INTERVAL);
    await staysConnected(all, 'down', 'up');
  },

  'the client finds a server dead that stopped reading': async (cell) => {
    const { client, server, frames } = await connectThroughTap(cell);
    await client.do('ping', INTERVAL);
    await frames.next('down', isPong);
    await server.do('pause');
    await client.next('disconnect');
    assert.deepEqual(await client.do('state'), { connected: false });
    assert.equal(client.count('disconnect'), 1);
  },

  'the server finds a client dead that stopped reading': async (cell) => {
    const { client, server, frames } = await connectThroughTap(cell);
    await server.do('ping', INTERVAL);
    await frames.next('up', isPong);
    await client.do('pause');
    await server.next('disconnect');
    assert.deepEqual(await server.do('state'), { sockets: 0, sessions: 0 });
    // The original on Bun emits it twice.
    if (cell.pair.server === 'native' || runtime !== 'bun') {
      assert.equal(server.count('disconnect'), 1);
    }
  },
});
