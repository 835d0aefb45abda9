'use strict';

// A server for programs in other languages. Each frame is a JSON value and a newline, without an envelope.
//   node examples/json-peer/server.js [port]

const Sockhop = require(process.env.SOCKHOP || '../..');

async function startServer(options) {
  const server = new Sockhop.server({ ...options, peer_type: 'json', captureRejections: true });
  // With captureRejections, an exception in this async handler becomes an 'error' event. For example, a value may be
  // nested too deeply for JSON.stringify().
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
