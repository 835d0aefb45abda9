const { monitorEventLoopDelay } = require('node:perf_hooks');
const { READY_HEX, connectionHex } = require('./common.js');
const { countingServer, flood } = require('./fanin.js');

const CONNECTIONS = 10;

/** The delay of other work on the event loop of a server while ten connections flood it. */
const loopDelay = {
  name: 'loop-delay',
  title: 'Event-loop delay of a flooded server, 99th percentile',
  unit: 'ms',
  better: 'lower',
  columns: [
    { key: 'moreMs', label: 'increase over idle, ms', digits: 1 },
    { key: 'maxMs', label: 'longest, ms', digits: 1 },
    { key: 'rate', label: 'messages per second', digits: 0 },
  ],
  transports: ['tcp', 'unix'],
  // The buffer of node-ipc grows until a chunk happens to end with a message: a round takes seconds.
  limits: { 'node-ipc': 2 },
  generator: {
    arguments: ({ peer }) => [connectionHex(peer), READY_HEX],
    open: { count: CONNECTIONS, lanes: 32 },
  },

  async server(context) {
    // The delay includes the millisecond of the sampling timer itself.
    const histogram = monitorEventLoopDelay({ resolution: 1 });
    const actions = await countingServer({
      ...context,
      connections: CONNECTIONS,
      onBegin() {
        histogram.reset();
        histogram.enable();
      },
      onEnd() {
        histogram.disable();
        return { p99Ms: histogram.percentile(99) / 1e6, maxMs: histogram.max / 1e6 };
      },
    });
    return {
      ...actions,
      /** The delay while the connections are silent. */
      async idle({ ms }) {
        histogram.reset();
        histogram.enable();
        await new Promise((resolve) => setTimeout(resolve, ms));
        histogram.disable();
        return histogram.percentile(99) / 1e6;
      },
    };
  },

  async round({ server, generators, peer, ms }) {
    const idleMs = await server.call('idle', { ms });
    const run = await flood({ server, generators, peer, ms, batch: 32 });
    return {
      value: run.p99Ms,
      moreMs: run.p99Ms - idleMs,
      maxMs: run.maxMs,
      rate: (run.messages * 1e3) / run.ms,
    };
  },
};

module.exports = [loopDelay];
