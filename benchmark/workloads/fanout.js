const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { READY, text } = require('../lib/payload.js');
const { READY_HEX, WELCOME, connectionHex, per } = require('./common.js');

const CONNECTIONS = 1000;

/** The same object is sent to a thousand clients, one broadcast after another. */
const fanout = {
  name: 'fanout-1000',
  family: 'fanout',
  payload: 'text',
  title: 'JavaScript time of sendall() per client, 1,000 clients',
  unit: 'µs',
  better: 'lower',
  columns: [
    { key: 'callUs', label: 'during the call, µs', digits: 2 },
    { key: 'cpuUs', label: 'server CPU, µs', digits: 2 },
    { key: 'rate', label: 'messages per second', digits: 0 },
  ],
  transports: ['tcp', 'unix'],
  generator: {
    arguments: ({ peer }) => [connectionHex(peer), READY_HEX],
    open: { count: CONNECTIONS, lanes: 32 },
  },

  async server({ peer, transport, address }) {
    const server = await peer.serve({
      transport,
      address,
      broadcast: true,
      receive: (_data, reply) => reply(WELCOME),
    });
    const data = { ready: READY, body: text(64) };
    return {
      async run({ ms }) {
        const meter = new Meter();
        meter.start();
        const end = performance.now() + ms;
        let broadcasts = 0;
        let calling = 0;
        do {
          const begin = performance.now();
          const sent = server.sendAll(data);
          calling += performance.now() - begin;
          broadcasts++;
          await sent;
        } while (performance.now() < end);
        // Includes work that other threads or buffers still have to do.
        await new Promise((resolve) => setImmediate(resolve));
        return { broadcasts, callMs: calling, ...meter.stop() };
      },
    };
  },

  async round({ server, generator, ms }) {
    await generator.call('reset');
    const run = await server.call('run', { ms });
    const messages = run.broadcasts * CONNECTIONS;
    const { received } = await generator.call(`await total=${messages}`);
    if (received !== messages) {
      throw new Error(`${received} messages arrived of ${messages}`);
    }
    return {
      value: per(run.jsUs ?? run.callMs * 1e3, messages),
      callUs: per(run.callMs * 1e3, messages),
      cpuUs: per(run.cpuUs, messages),
      rate: (messages * 1e3) / run.ms,
    };
  },
};

module.exports = [fanout];
