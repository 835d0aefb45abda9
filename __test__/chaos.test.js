'use strict';

// A network that splits, delays, stalls, ends, resets and truncates connections: messages that
// arrive are whole, lost ones are reported, and the next connection works.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { ChaosProxy, randomFrom } = require('./chaos/proxy.js');
const { nodeEndpoint } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { matrix } = require('./support/matrix.js');
const { deadline } = require('./support/deadline.js');
const { expected } = require('./support/payload.js');
const { startClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };

async function proxyTo(t, where, plan) {
  const proxy = new ChaosProxy(nodeEndpoint(where), plan);
  const { port } = await proxy.listen();
  cleanup(t, () => proxy.close());
  return { proxy, near: { port } };
}

/** A client and a server of a cell of the interoperability matrix, with the proxy in between. */
async function through(cell, plan) {
  const { server, where } = await cell.server();
  const { proxy, near } = await proxyTo(cell.t, where, plan);
  const client = await cell.client(near);
  await client.do('connect');
  await server.next('connect');
  return { client, server, proxy };
}

const networks = {
  'split at every byte': () => ({ split: 1 }),
  'split and delayed': () => ({ split: 37, delay: 2 }),
  'stalled in the middle of a message': () => ({ split: 1000, stall: { after: 150, ms: 300 } }),
};

const behaviours = {};
for (const [name, plan] of Object.entries(networks)) {
  behaviours[`messages both ways, ${name}`] = async (cell) => {
    const { client, server } = await through(cell, plan);
    const specs = [
      { value: { text: 'ä€😀' }, as: 'Widget' },
      { value: 'a string' },
      { value: [1, [2, { three: null }]] },
      { characters: 3000 },
    ];
    for (const side of [client, server]) for (const spec of specs) await side.do('send', spec);
    for (const side of [client, server]) {
      const received = await side.take('receive', specs.length);
      assert.deepEqual(
        received.map(({ object }) => object),
        specs.map(expected),
      );
    }
  };
  behaviours[`questions and answers, ${name}`] = async (cell) => {
    const { client, server } = await through(cell, plan);
    await server.do('answerWith', { value: 'from the server' });
    await client.do('answerWith', { value: 'from the client' });
    assert.equal((await client.do('ask', { value: 1 })).data, 'from the server');
    assert.equal((await server.do('ask', { value: 1 })).data, 'from the client');
  };
}

describe('interoperability through a bad network', () => {
  matrix(behaviours);
});

/** A message of about 1000 bytes, and the number of its bytes after which each cut is made. */
const message = (number) => ({ number, filler: 'x'.repeat(940) });

describe('a connection that is broken on purpose', () => {
  const faults = {
    'reset by the network': (after) => ({ reset: { after } }),
    'cut off in the middle of a message': (after) => ({ truncate: { after } }),
    'half closed by the network': (after) => ({ halfClose: { after, direction: 'up' } }),
  };

  for (const [name, plan] of Object.entries(faults)) {
    it(
      `${name}: received messages are whole and in order, and the next connection works`,
      limit,
      async (t) => {
        const random = randomFrom(4);
        const cuts = [
          1,
          500,
          999,
          1000,
          1001,
          ...Array.from({ length: 15 }, () => 1 + Math.floor(20_000 * random())),
        ];
        const { server, log, where } = await startServer(t);
        const { near } = await proxyTo(t, where, (number) => plan(cuts[number]));
        for (const cut of cuts) {
          const { client, log: clientLog } = await startClient(t, near);
          await log.next('connect');
          const numbers = [];
          const take = ({ number }) => numbers.push(number);
          server.on('receive', take);
          const fates = [];
          for (let number = 0; number < 30; number += 1) {
            fates.push(
              client
                .send(message(number), () => assert.fail('nobody answers'))
                .catch(({ code }) => code),
            );
          }
          await log.next('disconnect');
          await clientLog.next('disconnect');
          server.removeListener('receive', take);
          for (const fate of await deadline(Promise.all(fates), 'all promises of send()')) {
            assert.ok(fate === null || fate === 'ERR_SOCKET_DESTROYED', `${fate}`);
          }
          assert.deepEqual(numbers, [...Array(numbers.length).keys()], `cut at ${cut}`);
          assert.ok(numbers.length <= cut / 900);
          assert.equal(client.stats().pending_callbacks, 0);
          await client.disconnect();
        }
        assert.equal(server.sockets.length, 0);
        assert.equal(log.count('connect'), log.count('disconnect'));
      },
    );
  }

  it('is made again automatically, once for each break', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const { near } = await proxyTo(t, where, (number) =>
      number < 5 ? { reset: { after: 2000 } } : {},
    );
    const { client, log: clientLog } = await startClient(t, near, { auto_reconnect_interval: 20 });
    client.auto_reconnect = true;
    for (let life = 0; life < 5; life += 1) {
      await log.next('connect');
      await clientLog.next('connect');
      for (let number = 0; number < 3; number += 1) client.send(message(number)).catch(() => {});
      await clientLog.next('disconnect');
      await log.next('disconnect');
    }
    await clientLog.next('connect');
    await log.next('connect');
    await client.send('at last');
    await log.next('receive', ({ args }) => args[0] === 'at last');
    assert.equal(server.sockets.length, 1);
  });
});
