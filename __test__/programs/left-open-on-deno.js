'use strict';

// For `deno test`, which destroys native objects at the end of a file while timers still run: the
// timers left open here call them then. The test passes if the process does not crash.

const assert = require('node:assert/strict');
const { it } = require('node:test');
const impl = require('../support/impl.js');

it('leaves a server and clients that ping and send', async () => {
  const server = new impl.server({ port: 0 });
  await server.listen();
  server.ping(1);
  const { port } = server.server.address();
  for (let i = 0; i < 20; i += 1) {
    const client = new impl.client({ port });
    await client.connect();
    client.ping(1);
    setInterval(() => client.send(i).catch(() => {}), 1);
  }
  assert.equal(server.sockets.length, 20);
});
