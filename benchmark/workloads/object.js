const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { large } = require('../lib/payload.js');
const { deferred } = require('./common.js');

/** The limit for messages: twice 256 MB, which is close to the longest string of V8. */
const LARGEST = 512 * 1024 * 1024;

/** One large object: the time from `send()` to a short answer of the receiver. */
function object({ megabytes, rounds, limits, timeout }) {
  return {
    name: `object-${megabytes}m`,
    title: `Transfer of one object of ${megabytes} MB`,
    unit: 'ms',
    better: 'lower',
    columns: [
      { key: 'serverCpuMs', label: 'server CPU, ms', digits: 0 },
      { key: 'clientCpuMs', label: 'client CPU, ms', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    options: { megabytes },
    rounds,
    limits,
    timeout,

    async server({ peer, transport, address }) {
      const meter = new Meter();
      await peer.serve({
        transport,
        address,
        largest: LARGEST,
        receive: (data, reply) => reply({ rows: data.rows.length, last: data.rows.at(-1) }),
      });
      return { begin: () => meter.start(), finish: () => meter.stop() };
    },

    async client({ peer, transport, address }) {
      let answered = null;
      const client = await peer.connect({
        transport,
        address,
        largest: LARGEST,
        receive: (data) => answered.resolve(data),
      });
      const whole = large(megabytes);
      const small = large(1);
      return {
        /** The warm-up sends a small object to save time. */
        async run({ warm }) {
          const data = warm ? small : whole;
          globalThis.gc?.();
          answered = deferred();
          const meter = new Meter();
          meter.start();
          const begin = performance.now();
          client.send(data);
          const { rows, last } = await answered.promise;
          const ms = performance.now() - begin;
          if (rows !== data.rows.length || last !== data.rows.at(-1)) {
            throw new Error(`${rows} rows arrived of ${data.rows.length}`);
          }
          return { ...meter.stop(), ms };
        },
      };
    },

    async round({ server, client, warm = false }) {
      await server.call('begin');
      const { ms, cpuUs } = await client.call('run', { warm }, timeout);
      const served = await server.call('finish');
      return { value: ms, serverCpuMs: served.cpuUs / 1e3, clientCpuMs: cpuUs / 1e3 };
    },

    floor: {
      label: 'V8 JSON only',
      transports: ['tcp'],
      actions() {
        const envelope = { type: 'Object', data: large(megabytes) };
        return {
          run() {
            globalThis.gc?.();
            const begin = performance.now();
            const json = JSON.stringify(envelope);
            const middle = performance.now();
            if (JSON.parse(json).data.rows.length !== envelope.data.rows.length) {
              throw new Error('rows were lost');
            }
            return { stringifyMs: middle - begin, parseMs: performance.now() - middle };
          },
        };
      },
      async round({ end }) {
        const { stringifyMs, parseMs } = await end.call('run');
        return { value: stringifyMs + parseMs, serverCpuMs: parseMs, clientCpuMs: stringifyMs };
      },
    },
  };
}

// sockhop 1.8.4 and node-ipc reassemble messages in quadratic time: 64 MB take many seconds, and 256 MB
// would take minutes.
module.exports = [
  object({ megabytes: 1 }),
  object({ megabytes: 16 }),
  object({
    megabytes: 64,
    limits: { sockhop: 1, 'sockhop-nodelay': 0, 'node-ipc': 1 },
    timeout: 180_000,
  }),
  object({
    megabytes: 256,
    rounds: 3,
    limits: { sockhop: 0, 'sockhop-nodelay': 0, 'node-ipc': 0 },
    timeout: 180_000,
  }),
];
