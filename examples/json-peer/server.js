'use strict';

// A server for programs in other languages: a frame is a JSON value and a newline, no envelope.
//   node examples/json-peer/server.js [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

async function startServer(options) {
  const server = new Sockhop.server({ ...options, peer_type: 'json' });
  server.on('receive', (value, { type, socket }) => {
    console.log(`server: got ${type} ${JSON.stringify(value)}`);
    if (type === 'Array') server.send(socket, { sum: value.reduce((a, b) => a + b, 0) });
    else server.send(socket, { echo: value });
  });
  server.on('error', (error) => console.log(`server: ${error.message}`));
  await server.listen();
  return server;
}

module.exports = { startServer };

if (require.main === module) startServer({ port: Number(process.argv[2]) || 50000 });
