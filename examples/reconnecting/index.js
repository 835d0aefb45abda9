'use strict';

// A client that loses its server, and reconnects after growing delays. node examples/reconnecting

const { once } = require('node:events');
const Sockhop = require(process.env.SOCKHOP || '../..');

async function startServer(where) {
  const server = new Sockhop.server(where);
  server.on('error', (error) => console.error(error.message));
  await server.listen();
  return server;
}

async function main() {
  let server = await startServer({ port: 0 });
  const { port } = server.server.address();

  // A real program waits for seconds. With many clients it adds `auto_reconnect_jitter: 1`, so that they do not all
  // come back at the same time.
  const client = new Sockhop.client({
    port,
    auto_reconnect_interval: 20,
    auto_reconnect_factor: 2,
    auto_reconnect_max_interval: 1000,
  });
  client.on('connect', () => console.log('connected'));
  client.on('disconnect', () => console.log('disconnected'));
  client.on('error', (error) => console.error(error.message));
  const thirdAttempt = new Promise((resolve) => {
    client.on('reconnecting', (attempt, delay, lastError) => {
      const reason = lastError ? `: ${lastError.code}` : '';
      if (attempt <= 3) console.log(`attempt ${attempt} after ${delay} ms${reason}`);
      if (attempt === 3) resolve();
    });
  });
  await client.connect();
  client.auto_reconnect = true;

  const connected = once(client, 'disconnect').then(() => once(client, 'connect'));
  await server.close();
  await thirdAttempt;
  server = await startServer({ port });
  await connected;

  await client.disconnect();
  await server.close();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
