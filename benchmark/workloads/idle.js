const { setTimeout: sleep } = require('node:timers/promises');
const { Unsupported } = require('../peers');
const { READY_HEX, WELCOME, connectionHex } = require('./common.js');

/** The memory of a connection that has sent one message and is silent since. */
function idle({ connections, rounds }) {
  return {
    name: `idle-${connections}`,
    title: `Resident memory per idle connection, ${connections.toLocaleString('en')} connections`,
    unit: 'bytes',
    better: 'lower',
    columns: [{ key: 'baseMb', label: 'process without connections, MB', digits: 0 }],
    transports: ['tcp'],
    rounds,
    fresh: true,
    generator: { arguments: ({ peer }) => [connectionHex(peer), READY_HEX] },

    async server({ peer, transport, address }) {
      await peer.serve({ transport, address, receive: (_data, reply) => reply(WELCOME) });
      return {
        /** Resident memory after garbage collection, when the value has become stable. */
        async resident() {
          let before = 0;
          let now = 0;
          let patience = 20;
          do {
            before = now;
            globalThis.gc();
            await sleep(100);
            now = process.memoryUsage.rss();
          } while (Math.abs(now - before) > now / 500 && --patience > 0);
          return now;
        },
      };
    },

    async round({ server, generator }) {
      if (generator.greeting.files < connections + 100) {
        throw new Unsupported(
          `the limit of open files is ${generator.greeting.files} (raise it with ulimit -n)`,
        );
      }
      // A few connections come first, so that compiled code and pools are not counted.
      await generator.call('open count=50 lanes=10');
      await generator.call('close');
      const base = await server.call('resident');
      await generator.call(`open count=${connections} lanes=32`);
      const full = await server.call('resident');
      return { value: (full - base) / connections, baseMb: base / 1e6 };
    },
  };
}

module.exports = [idle({ connections: 1000 }), idle({ connections: 10_000, rounds: 3 })];
