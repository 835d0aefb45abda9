'use strict';

// A client that continues to ask while its server is away: no question is lost, and none is asked
// twice. node examples/offline

const { once } = require('node:events');
const Sockhop = require(process.env.SOCKHOP || '../..');

async function startServer(where) {
  const server = new Sockhop.server({ ...where, captureRejections: true });
  server.on('receive', async (object, { callback }) => {
    // The answer takes some time, so that questions are in flight when the server closes.
    await new Promise((resolve) => setTimeout(resolve, 20));
    callback?.({ question: object?.question });
  });
  server.on('error', (error) => console.error(error.message));
  await server.listen();
  return server;
}

async function main() {
  let server = await startServer({ port: 0 });
  const { port } = server.server.address();

  const client = new Sockhop.client({
    port,
    auto_reconnect_interval: 20,
    auto_reconnect_factor: 1.5,
    offline_queue: 100,
  });
  client.on('connect', () => console.log('connected'));
  client.on('disconnect', () => console.log('disconnected'));
  client.on('error', (error) => console.error(error.message));
  let next = 0;
  const answers = [];
  const ask = () => {
    next += 1;
    return client.call({ question: next }).then(({ question }) => answers.push(question));
  };

  // The first questions wait for the first connection.
  const early = [ask(), ask(), ask()];
  console.log('waiting:', client.stats().offline_messages);
  await client.connect();
  client.auto_reconnect = true;
  await Promise.all(early);
  console.log('answered:', answers);

  // The server stops in order: it answers all questions that it has received, and the client keeps
  // the others.
  const during = [];
  const timer = setInterval(() => during.push(ask()), 1);
  const gone = once(client, 'disconnect');
  console.log('connections cut:', await server.close({ grace: 5000 }));
  await gone;
  const again = once(client, 'connect');
  server = await startServer({ port });
  await again;
  clearInterval(timer);
  await Promise.all(during);
  const inOrder = answers.every((question, i) => question === i + 1);
  console.log('all answered once, in order:', inOrder && answers.length === next);

  // A question that must not wait long. The client notices the end of the connection after the
  // server.
  const left = once(client, 'disconnect');
  await server.close();
  await left;
  await client.call({ question: 0 }, { timeout: 50 }).catch(({ code }) => console.log(code));
  await client.disconnect();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
