'use strict';

// A server for programs in other languages: a frame is a JSON value and a newline, no envelope.
//   node examples/json-peer/server.js [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

async function startServer(options) {
  const server = new Sockhop.server({ ...options, peer_type: 'json', captureRejections: true });
  // Async, with captureRejections: an exception in here becomes an 'error' event. A value may be nested deeper than
  // JSON.stringify can write, for one.
  server.on('receive', async (value, { type, socket }) => {
    console.log(`server: got ${type} ${JSON.stringify(value)}`);
    if (Array.isArray(value)) {
      const numbers = value.filter((item) => typeof item === 'number');
      await server.send(socket, { sum: numbers.reduce((a, b) => a + b, 0) });
    } else {
      await server.send(socket, { echo: value });
    }
  });
  server.on('error', (error) => console.log(`server: ${error.message}`));
  await server.listen();
  return server;
}

module.exports = { startServer };

if (require.main === module) startServer({ port: Number(process.argv[2]) || 50000 });
