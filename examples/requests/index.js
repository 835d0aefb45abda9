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

async function startServer(path) {
  const server = new Sockhop.server({ path });
  server.on('request', async (req, res) => {
    if (req.type !== 'Query') {
      res.send({ error: `cannot answer a ${req.type}` });
      return;
    }
    for (let n = req.data.from; n < req.data.to; n++) await res.write({ n, square: n * n });
    await res.send({ n: req.data.to, square: req.data.to ** 2 });
  });
  await server.listen();
  return server;
}

async function main() {
  const path = scratchPath();
  const server = await startServer(path);
  const client = new Sockhop.client({ path });
  await client.connect();

  // As they come.
  const stream = await client.request(new Query(1, 4));
  await new Promise((resolve) => {
    stream.on('data', ({ n, square }) => console.log(`${n} squared is ${square}`));
    stream.on('end', resolve);
  });

  // All together.
  const packets = await (await client.request(new Query(5, 7))).all();
  console.log('all:', packets.map(({ data }) => data.square).join(' '));

  // Only the first.
  const { data, type } = await (await client.request('what is this?')).next();
  console.log(`next: ${type}, ${data.error}`);

  // No answer in time.
  server.removeAllListeners('request');
  const silent = await client.request(new Query(0, 0), { timeout: 50 });
  const error = await new Promise((resolve) => silent.on('end', resolve));
  console.log(`end: ${error.code}`);

  await client.disconnect();
  await server.close();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
