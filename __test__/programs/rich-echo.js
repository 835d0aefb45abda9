'use strict';

// A server and a client with rich values in one process: reports that the values came back
// unchanged.

const assert = require('node:assert/strict');
const { freePort } = require('../support/addresses.js');
const { implementations } = require('../support/implementations.js');
const { client: Client, server: Server } = require(implementations.native);

const value = (n) => ({
  n: BigInt(n),
  at: new Date(n),
  map: new Map([[n, new Set([undefined, -0])]]),
  bytes: Buffer.alloc(n * 500, n),
  rows: Array.from({ length: 30 }, (_, i) => ({
    i,
    name: `row ${i}`,
    floats: new Float32Array(2),
  })),
});

async function main() {
  const options = { port: await freePort(), values: 'rich' };
  const server = new Server(options);
  server.on('receive', (object, { callback }) => callback(object));
  await server.listen();
  const client = new Client(options);
  await client.connect();
  const count = 200;
  const answers = await Promise.all(Array.from({ length: count }, (_, n) => client.call(value(n))));
  for (let n = 0; n < count; n++) assert.deepStrictEqual(answers[n], value(n));
  await client.disconnect();
  await server.close();
  console.log('echoed');
}

main();
