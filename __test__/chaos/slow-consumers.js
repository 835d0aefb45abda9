'use strict';

/*
 * A server that broadcasts to clients of which many have stopped reading.
 *
 *   node __test__/chaos/slow-consumers.js [--implementation native|original]
 *     [--policy wait|drop|disconnect] [--stopped 100] [--readers 4] [--megabytes 1024]
 *     [--message 65536]
 *
 * The server runs in a process of its own. It sends the next message when all readers have the last
 * one: first with the readers alone, then with the stopped clients connected as well. Prints one
 * line of JSON: the time until all readers have a message in both phases (ms), and the growth of
 * the resident memory (MiB).
 */

const { fork } = require('node:child_process');
const net = require('node:net');
const { once } = require('node:events');
const { setTimeout } = require('node:timers/promises');
const { freePort } = require('../support/addresses.js');
const { implementations } = require('../support/implementations.js');

const NEWLINE = 0x0a;
const MIB = 1 << 20;

function parse(argv) {
  const options = {
    implementation: 'native',
    policy: 'drop',
    stopped: 100,
    readers: 4,
    megabytes: 1024,
    message: 65536,
  };
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].replace(/^--/, '');
    if (!(name in options)) throw new Error(`unknown option ${argv[i]}`);
    options[name] = typeof options[name] === 'number' ? Number(argv[i + 1]) : argv[i + 1];
  }
  return options;
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The server process, which obeys commands. */
function serve() {
  const [, , , module, policy] = process.argv;
  const sockhop = require(module);
  const server = new sockhop.server({ port: 0, address: '127.0.0.1', slow_consumer: policy });
  server.on('error', () => {});
  let acknowledged = 0;
  let next = null;
  let wanted = 0;
  server.on('receive', () => {
    acknowledged += 1;
    if (acknowledged === wanted) next();
  });

  async function broadcast({ rounds, size, readers }) {
    const filler = 'x'.repeat(size);
    const times = [];
    let promises = 0;
    for (let round = 0; round < rounds; round += 1) {
      acknowledged = 0;
      wanted = readers;
      const all = new Promise((resolve) => {
        next = resolve;
      });
      const began = performance.now();
      promises += 1;
      Promise.resolve(server.sendall({ round, filler })).then(
        () => {
          promises -= 1;
        },
        () => {},
      );
      await all;
      times.push(performance.now() - began);
    }
    // The acknowledgements of the last round may arrive before its promise is fulfilled, a few
    // turns later. A promise that is never fulfilled stays counted.
    for (let i = 0; promises > 0 && i < 50; i += 1) await setTimeout(20);
    times.sort((a, b) => a - b);
    return {
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
      max: times.at(-1),
      promises,
    };
  }

  const rss = () => process.memoryUsage().rss / MIB;
  let peak = 0;
  const meter = setInterval(() => {
    peak = Math.max(peak, rss());
  }, 20);
  meter.unref();

  process.on('message', async ({ ask, ...rest }) => {
    switch (ask) {
      case 'listen': {
        // The original takes port 0 for its default.
        const port = await freePort();
        server.port = port;
        await server.listen();
        process.send({ port });
        break;
      }
      case 'count':
        process.send({ connections: server.sockets.length });
        break;
      case 'broadcast':
        process.send(await broadcast(rest));
        break;
      case 'reset':
        peak = rss();
        process.send({ rss: peak });
        break;
      case 'figures':
        process.send({
          peak: Math.max(peak, rss()),
          connections: server.sockets.length,
          stats: typeof server.stats === 'function' ? server.stats() : null,
        });
        break;
    }
  });
  process.on('disconnect', () => process.exit());
}

async function run(options) {
  const { implementation, policy, stopped, readers, megabytes, message } = options;
  const server = fork(__filename, ['serve', implementations[implementation], policy]);
  const died = once(server, 'exit').then(([code, signal]) => {
    throw new Error(`the server has ended: ${signal ?? code}`);
  });
  died.catch(() => {});
  const ask = async (question, rest = {}) => {
    server.send({ ask: question, ...rest });
    const [answer] = await Promise.race([once(server, 'message'), died]);
    return answer;
  };
  const sockets = [];
  try {
    const { port } = await ask('listen');
    const connect = async () => {
      const socket = net.connect(port, '127.0.0.1');
      socket.setNoDelay(true);
      socket.on('error', () => {});
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    };
    const connected = async (count) => {
      while ((await ask('count')).connections < count);
    };
    for (let i = 0; i < readers; i += 1) {
      const socket = await connect();
      socket.on('data', (bytes) => {
        for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
          socket.write('{"type":"Number","data":1}\n');
        }
      });
    }
    await connected(readers);
    const rounds = Math.ceil((megabytes * MIB) / message);
    const before = Math.min(rounds, 500);
    await ask('broadcast', { rounds: Math.min(rounds, 200), size: message, readers });
    const alone = await ask('broadcast', { rounds: before, size: message, readers });
    for (let i = 0; i < stopped; i += 1) (await connect()).pause();
    await connected(readers + stopped);
    const { rss } = await ask('reset');
    const together = await ask('broadcast', { rounds, size: message, readers });
    const { peak, connections, stats } = await ask('figures');
    const round = (number) => Math.round(number * 100) / 100;
    return {
      ...options,
      p50_alone: round(alone.p50),
      p99_alone: round(alone.p99),
      p50: round(together.p50),
      p99: round(together.p99),
      max: round(together.max),
      memory_before: round(rss),
      memory_peak: round(peak),
      memory_growth: round(peak - rss),
      connections_left: connections,
      pending_promises: together.promises,
      refused_messages: stats?.refused_messages,
      slow_consumers: stats?.slow_consumers,
    };
  } finally {
    for (const socket of sockets) socket.destroy();
    if (server.connected) server.disconnect();
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit');
  }
}

module.exports = { run };

if (require.main === module) {
  if (process.argv[2] === 'serve') serve();
  else {
    run(parse(process.argv.slice(2))).then(
      (result) => console.log(JSON.stringify(result)),
      (error) => {
        console.error(error.message);
        process.exitCode = 1;
      },
    );
  }
}
