'use strict';

// Requests that are answered by a stream of packets.
//   node examples/requests

const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

class Query {
  constructor(from, to) {
    this.from = from;
    this.to = to;
  }
}

const isNumber = (value) => Number.isInteger(value) && value >= 0 && value <= 1000;

async function startServer(path) {
  const server = new Sockhop.server({ path, captureRejections: true });
  // With captureRejections, an exception in this async handler becomes an 'error' event. An answer to a client that has
  // disconnected throws such an exception.
  server.on('request', async (req, res) => {
    // A client may request anything.
    const { from, to } = req.data ?? {};
    if (req.type !== 'Query' || !isNumber(from) || !isNumber(to)) {
      await res.send({ error: `cannot answer a ${req.type}` });
      return;
    }
    for (let n = from; n < to; n++) await res.write({ n, square: n * n });
    await res.send({ n: to, square: to ** 2 });
  });
  server.on('error', (error) => console.error(`server: ${error.message}`));
  await server.listen();
  return server;
}

async function main() {
  const path = scratchPath();
  const server = await startServer(path);
  const client = new Sockhop.client({ path });
  await client.connect();

  // The packets as events.
  const stream = await client.request(new Query(1, 4));
  await new Promise((resolve) => {
    stream.on('data', ({ n, square }) => console.log(`${n} squared is ${square}`));
    stream.on('end', resolve);
  });

  // All packets in an array.
  const packets = await (await client.request(new Query(5, 7))).all();
  console.log('all:', packets.map(({ data }) => data.square).join(' '));

  // Only the first packet.
  const { data, type } = await (await client.request('what is this?')).next();
  console.log(`next: ${type}, ${data.error}`);

  // A request that is not answered in time.
  server.removeAllListeners('request');
  const silent = await client.request(new Query(0, 0), { timeout: 50 });
  const error = await new Promise((resolve) => silent.on('end', resolve));
  console.log(`end: ${error.code}`);

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
