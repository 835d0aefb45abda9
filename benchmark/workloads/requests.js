const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { text } = require('../lib/payload.js');
const { cpuColumns, per } = require('./common.js');

/** Requests that are answered by a stream of four objects; 20 requests are in progress at any time. */
const requests = {
  name: 'requests',
  title: 'Requests answered by 4 objects, 20 in progress',
  unit: 'requests per second',
  better: 'higher',
  columns: cpuColumns,
  transports: ['tcp', 'unix'],
  options: { inFlight: 20, packets: 4 },

  async server({ peer, transport, address, options }) {
    const meter = new Meter();
    const body = text(64);
    await peer.serve({
      transport,
      address,
      receive() {
        throw new Error('a request came as a message');
      },
      request(data, response) {
        for (let i = 1; i < options.packets; i++) {
          response.write({ seq: data.seq, body });
        }
        response.end({ seq: data.seq, body });
      },
    });
    return { begin: () => meter.start(), finish: () => meter.stop() };
  },

  async client({ peer, transport, address, options }) {
    const client = await peer.connect({ transport, address });
    return {
      async run({ ms }) {
        const meter = new Meter();
        meter.start();
        const end = performance.now() + ms;
        let done = 0;
        const lane = async () => {
          do {
            const packets = await client.request({ seq: done });
            if (packets !== options.packets) {
              throw new Error(`a response of ${packets} objects instead of ${options.packets}`);
            }
            done++;
          } while (performance.now() < end);
        };
        await Promise.all(Array.from({ length: options.inFlight }, lane));
        return { done, ...meter.stop() };
      },
    };
  },

  async round({ server, client, ms }) {
    await server.call('begin');
    const run = await client.call('run', { ms });
    const served = await server.call('finish');
    return {
      value: (run.done * 1e3) / run.ms,
      serverCpuUs: per(served.cpuUs, run.done),
      clientCpuUs: per(run.cpuUs, run.done),
    };
  },
};

module.exports = [requests];
