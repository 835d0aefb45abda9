'use strict';

// Remote procedure calls with callbacks, in both directions.
//   node examples/rpc

const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

class Call {
  constructor(method, args) {
    this.method = method;
    this.args = args;
  }
}

/** Executes a call and returns the answer. The other side may have sent anything. */
async function perform(methods, call) {
  try {
    // The other side chooses the name, so only own properties count.
    if (!Object.hasOwn(methods, call.method)) throw new Error(`no method ${call.method}`);
    return { result: await methods[call.method](...call.args) };
  } catch (error) {
    return { error: error.message };
  }
}

/** Answers the calls that a client or a server receives. */
function provide(peer, methods) {
  // Clients and servers of this example use captureRejections. An exception outside of the `try` therefore becomes an
  // 'error' event, such as that of an answer to a peer that has disconnected.
  peer.on('receive', async (object, { type, callback }) => {
    if (type !== 'Call' || !callback) return;
    callback(await perform(methods, object));
  });
  peer.on('error', (error) => console.error(error.message));
}

/** Returns a function that calls methods of the other side. `send` is client.send or server.send. */
const caller =
  (send) =>
  (method, ...args) =>
    new Promise((resolve, reject) => {
      const answered = ({ result, error }) => (error ? reject(new Error(error)) : resolve(result));
      send(new Call(method, args), answered).catch(reject);
    });

async function startServer(path) {
  const server = new Sockhop.server({ path, captureRejections: true });
  provide(server, {
    add: (a, b) => a + b,
    sort: async (words) => words.sort(),
    fail: () => {
      throw new RangeError('out of range');
    },
  });
  await server.listen();
  return server;
}

async function main() {
  const path = scratchPath();
  const server = await startServer(path);

  const client = new Sockhop.client({ path, captureRejections: true });
  provide(client, { name: () => 'the client' });
  await client.connect();

  const call = caller((...args) => client.send(...args));
  console.log('add:', await call('add', 2, 3));
  console.log('sort:', await call('sort', ['pear', 'apple', 'fig']));
  await call('fail').catch((error) => console.log('fail:', error.message));
  await call('toString').catch((error) => console.log('toString:', error.message));

  const sums = await Promise.all(Array.from({ length: 100 }, (_, i) => call('add', i, i)));
  console.log('a hundred at once:', sums.at(0), '...', sums.at(-1));

  const back = caller((...args) => server.send(server.sockets[0], ...args));
  console.log('name:', await back('name'));

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
