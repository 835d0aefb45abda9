const { Meter } = require('../lib/meter.js');
const { READY_HEX, WELCOME, connectionHex, per } = require('./common.js');

/** Connections that are opened, exchange one message in each direction, and are closed; sixteen at a time. */
const connectRate = {
  name: 'connect-rate',
  title: 'Connect, exchange one message, disconnect',
  unit: 'connections per second',
  better: 'higher',
  columns: [{ key: 'serverCpuUs', label: 'server CPU, µs', digits: 1 }],
  transports: ['tcp', 'unix'],
  generator: { arguments: ({ peer }) => [connectionHex(peer), READY_HEX] },

  async server({ peer, transport, address }) {
    const meter = new Meter();
    await peer.serve({ transport, address, receive: (_data, reply) => reply(WELCOME) });
    return { begin: () => meter.start(), finish: () => meter.stop() };
  },

  async round({ server, generator, ms }) {
    await server.call('begin');
    const run = await generator.call(`churn ms=${ms} lanes=16`);
    const served = await server.call('finish');
    return {
      value: (run.connections * 1e3) / run.ms,
      serverCpuUs: per(served.cpuUs, run.connections),
    };
  },
};

module.exports = [connectRate];
