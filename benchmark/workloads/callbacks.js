const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { text } = require('../lib/payload.js');
const { cpuColumns, deferred, per } = require('./common.js');

/** Calls with an answer, a hundred under way at any time. */
const callbacks = {
  name: 'callbacks-100',
  title: '100 callbacks in flight',
  unit: 'calls/s',
  better: 'higher',
  columns: cpuColumns,
  transports: ['tcp', 'unix'],
  options: { inFlight: 100 },

  async server({ peer, transport, address }) {
    const meter = new Meter();
    await peer.serve({ transport, address, receive: (data, reply) => reply({ seq: data.seq }) });
    return { begin: () => meter.start(), finish: () => meter.stop() };
  },

  async client({ peer, transport, address, options }) {
    const client = await peer.connect({ transport, address });
    const body = text(64);
    return {
      async run({ ms }) {
        const done = deferred();
        const meter = new Meter();
        meter.start();
        const end = performance.now() + ms;
        let calls = 0;
        let answers = 0;
        let over = false;
        const call = () => {
          const seq = calls++;
          client.call({ seq, body }, (answer) => {
            if (answer.seq !== seq) {
              done.reject(new Error(`the answer to no. ${seq} was that to no. ${answer.seq}`));
            }
            // The clock is asked now and then: it costs a tenth of a fast call.
            answers++;
            over ||= answers % 16 === 0 && performance.now() >= end;
            if (!over) {
              call();
            } else if (answers === calls) {
              done.resolve();
            }
          });
        };
        for (let i = 0; i < options.inFlight; i++) {
          call();
        }
        await done.promise;
        return { calls, ...meter.stop() };
      },
    };
  },

  async round({ server, client, ms }) {
    await server.call('begin');
    const run = await client.call('run', { ms });
    const served = await server.call('finish');
    return {
      value: (run.calls * 1e3) / run.ms,
      serverCpuUs: per(served.cpuUs, run.calls),
      clientCpuUs: per(run.cpuUs, run.calls),
    };
  },
};

module.exports = [callbacks];
