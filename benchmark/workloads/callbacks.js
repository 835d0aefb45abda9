const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { text } = require('../lib/payload.js');
const { cpuColumns, deferred, per } = require('./common.js');

/**
 * Calls with an answer, a hundred under way: either a hundred at once and the next hundred when all
 * are answered (Promise.all over a list, the usual way), or each answer starting one more call.
 */
function callbacks({ name, title, bursts }) {
  return {
    name,
    title,
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
              answers++;
              // The clock is asked now and then: it costs a tenth of a fast call.
              if (answers % options.inFlight === 0) {
                over ||= performance.now() >= end;
              }
              if (over) {
                if (answers === calls) {
                  done.resolve();
                }
              } else if (!bursts) {
                call();
              } else if (answers === calls) {
                burst();
              }
            });
          };
          const burst = () => {
            for (let i = 0; i < options.inFlight; i++) {
              call();
            }
          };
          burst();
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
}

module.exports = [
  callbacks({ name: 'callbacks-100', title: '100 callbacks in flight, in bursts', bursts: true }),
  callbacks({
    name: 'callbacks-steady',
    title: '100 callbacks in flight, each answer starting the next call',
    bursts: false,
  }),
];
