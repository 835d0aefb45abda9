'use strict';

// Connects with TLS to the port given as its argument, with the default trust, and prints the
// result.

const path = require('node:path');
const tls = require('node:tls');
const { implementations } = require(path.join(__dirname, '..', 'support', 'implementations.js'));
const { client: Client } = require(implementations.native);

async function main() {
  const client = new Client({ port: Number(process.argv[2]), ssl: true });
  await client.connect();
  const { socket } = client;
  const native = !(socket instanceof tls.TLSSocket);
  console.log(JSON.stringify({ authorized: socket.authorized, native }));
  await client.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
