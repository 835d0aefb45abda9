const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { payloads, plainText } = require('../lib/payloads.js');
const { cpuColumns, deferred, jsonFloor, ofPayload, per } = require('./common.js');

/**
 * Calls that are answered, at most 100 at a time. With `bursts`, the next 100 calls start when all are
 * answered, as with Promise.all over a list. Otherwise each answer starts the next call.
 *
 * A text is answered by its number, any other payload by itself.
 */
function callbacks({ name, payload, ms, title, bursts }) {
  const echoes = payload.name !== 'text';
  return {
    name,
    family: 'callbacks',
    payload: payload.name,
    values: payload.values,
    title,
    unit: 'calls per second',
    better: 'higher',
    columns: cpuColumns,
    transports: ['tcp', 'unix'],
    ms,
    options: { inFlight: 100 },

    async server({ peer, transport, address }) {
      const meter = new Meter();
      const answer = echoes ? (data) => data : ({ seq }) => ({ seq });
      await peer.serve({ transport, address, receive: (data, reply) => reply(answer(data)) });
      return { begin: () => meter.start(), finish: () => meter.stop() };
    },

    async client({ peer, transport, address, options }) {
      const client = await peer.connect({ transport, address });
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
            client.call(payload.make(seq), (answer) => {
              if (echoes ? !payload.matches(answer, seq) : answer.seq !== seq) {
                done.reject(new Error(`no. ${seq} got a wrong answer, no. ${answer.seq}`));
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
    ...(echoes && {
      // Each side stringifies one message and parses another one.
      floor: jsonFloor(payload, (stringifyUs, parseUs) => ({
        value: 1e6 / (stringifyUs + parseUs),
        serverCpuUs: stringifyUs + parseUs,
        clientCpuUs: stringifyUs + parseUs,
      })),
    }),
  };
}

const TITLE = 'Callbacks, 100 at a time';

module.exports = [
  callbacks({ name: 'callbacks-100', payload: plainText(64), title: TITLE, bursts: true }),
  callbacks({
    name: 'callbacks-steady',
    payload: plainText(64),
    title: 'Callbacks, always 100 in progress',
    bursts: false,
  }),
  ...payloads.map((payload) =>
    callbacks({
      ...ofPayload('callbacks', payload),
      title: `${TITLE}: ${payload.title}`,
      bursts: true,
    }),
  ),
];
