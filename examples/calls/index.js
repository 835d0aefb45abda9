'use strict';

// Questions in both directions, each answered by a promise: with a time limit, and ended by a signal.
//   node examples/calls

const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

const prices = new Map([
  ['apple', 3],
  ['fig', 5],
]);

async function startServer(path) {
  const server = new Sockhop.server({ path, captureRejections: true });
  server.on('receive', (object, { callback }) => {
    // Some questions are not answered.
    if (!callback || object?.ask === 'secret') return;
    callback({ price: prices.get(object?.ask) ?? null });
  });
  server.on('error', (error) => console.error(error.message));
  await server.listen();
  return server;
}

async function main() {
  const path = scratchPath();
  const server = await startServer(path);
  const client = new Sockhop.client({ path, captureRejections: true });
  client.on('receive', (object, { callback }) => callback?.({ heard: object }));
  client.on('error', (error) => console.error(error.message));
  await client.connect();

  // One signal serves all calls of a program, for example to stop it.
  const stop = new AbortController();
  const ask = (name, timeout = 60_000) =>
    client.call({ ask: name }, { timeout, signal: stop.signal });

  console.log('apple:', await ask('apple'));
  console.log('pear:', await ask('pear'));
  const answers = await Promise.all(Array.from({ length: 100 }, () => ask('fig')));
  console.log('a hundred at once:', answers.filter(({ price }) => price === 5).length);
  console.log('the client answers:', await server.sessions[0].call({ news: 'fresh figs' }));

  await ask('secret', 50).catch(({ code }) => console.log('not answered in time:', code));
  const given = ask('secret').catch(({ name }) => console.log('stopped by the signal:', name));
  stop.abort();
  await given;
  const lost = client
    .call({ ask: 'secret' })
    .catch(({ code }) => console.log('the connection ended:', code));
  await server.close();
  await lost;
  await client.disconnect();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
