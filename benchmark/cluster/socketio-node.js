// One node of socket.io 4, with one of its adapters.

const cluster = require('node:cluster');
const http = require('node:http');
const { Server } = require('socket.io');
const { forkWorkers, serveCommands } = require('./commands.js');

/** The adapter for a name and the URL of a broker. */
function adapterFor({ adapter, url }) {
  if (adapter === 'cluster') return require('@socket.io/cluster-adapter').createAdapter();
  if (adapter === undefined) return undefined;
  const { Redis } = require('ioredis');
  if (adapter === 'redis') {
    return require('@socket.io/redis-adapter').createAdapter(new Redis(url), new Redis(url));
  }
  return require('@socket.io/redis-streams-adapter').createAdapter(new Redis(url));
}

async function main(config) {
  const server = http.createServer();
  const adapter = adapterFor(config);
  const io = new Server(server, { transports: ['websocket'], ...(adapter && { adapter }) });
  await new Promise((resolve) => {
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, resolve);
  });
  serveCommands({
    port: () => server.address().port,
    ready: async (count) => {
      for (;;) {
        const others = adapter ? await io.of('/').adapter.serverCount() : 1;
        if (!adapter || others >= count) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    broadcast: async (data) => {
      io.emit('message', data);
    },
  });
}

if (cluster.isPrimary && process.argv[3] === 'primary') {
  require('@socket.io/cluster-adapter').setupPrimary();
  forkWorkers(process.argv[2]);
} else main(JSON.parse(process.argv[2]));
