'use strict';

// A client with two servers: it goes to the second one when the first one stops.
//   node examples/failover

const { once } = require('node:events');
const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

async function startServer(path, name = 'server') {
  const server = new Sockhop.server({ path, captureRejections: true });
  server.on('receive', (_object, { callback }) => callback?.({ name }));
  server.on('error', (error) => console.error(error.message));
  await server.listen();
  return server;
}

async function main() {
  const [primary, standby] = [scratchPath(), scratchPath()];
  const servers = {
    primary: await startServer(primary, 'primary'),
    standby: await startServer(standby, 'standby'),
  };

  const client = new Sockhop.client({
    addresses: [{ path: primary }, { path: standby }],
    auto_reconnect_interval: 20,
    auto_reconnect_factor: 2,
    offline_queue: 100,
  });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  client.auto_reconnect = true;
  const ask = async () => (await client.call({ who: 'are you?' })).name;
  console.log('answered by the', await ask());

  const left = once(client, 'disconnect');
  await servers.primary.close({ grace: 5000 });
  await left;
  // The question waits for the other server.
  console.log('answered by the', await ask());

  servers.primary = await startServer(primary, 'primary');
  await servers.standby.close({ grace: 5000 });
  console.log('answered by the', await ask());

  await servers.primary.close();
  const { errors } = await client.disconnect().then(() => client.connect().catch((err) => err));
  console.log('none left:', errors.map(({ code }) => code).join(' '));
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
