const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { text } = require('../lib/payload.js');
const { cpuColumns, deferred, per } = require('./common.js');

/**
 * Calls that are answered, at most 100 at a time. With `bursts`, the next 100 calls start when all are
 * answered, as with Promise.all over a list. Otherwise each answer starts the next call.
 */
function callbacks({ name, title, bursts }) {
  return {
    name,
    title,
    unit: 'calls per second',
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
              // Reading the clock costs a tenth of a fast call, so it is not read after each answer.
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
  callbacks({ name: 'callbacks-100', title: 'Callbacks, 100 at a time', bursts: true }),
  callbacks({
    name: 'callbacks-steady',
    title: 'Callbacks, always 100 in progress',
    bursts: false,
  }),
];
