const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { payloads, plainText } = require('../lib/payloads.js');
const { quantile } = require('../lib/stats.js');
const { cpuColumns, deferred, jsonFloor, ofPayload, per } = require('./common.js');

/** The least that a round trip takes: both ends are loops of epoll, read and write in the load generator. */
const kernelFloor = {
  label: 'epoll, read and write',
  transports: ['tcp', 'unix'],
  async start({ generator, target }) {
    const server = await generator(['serve', 'echo', target]);
    const client = await generator(['ping', target, '110']);
    return { server, client };
  },
  async round({ server, client, ms }) {
    const before = await server.call('stats');
    const run = await client.call(`run ms=${ms}`);
    const after = await server.call('stats');
    return {
      value: run.p50,
      p99: run.p99,
      p999: run.p999,
      serverCpuUs: per(after.cpuUs - before.cpuUs, run.count),
      clientCpuUs: per(run.cpuUs, run.count),
    };
  },
};

/** Each side stringifies and parses the message, one after the other. */
const floorOf = (payload) =>
  payload.name === 'text'
    ? kernelFloor
    : jsonFloor(payload, (stringifyUs, parseUs) => ({
        value: 2 * (stringifyUs + parseUs),
        p99: null,
        p999: null,
        serverCpuUs: stringifyUs + parseUs,
        clientCpuUs: stringifyUs + parseUs,
      }));

/** One message to the server and one back; the next one is sent after that. */
function roundtrip({ name, payload, ms, tls = false, transports = ['tcp', 'unix'] }) {
  const content = payload.name === 'text' ? '' : `: ${payload.title}`;
  return {
    name,
    family: 'roundtrip',
    payload: payload.name,
    values: payload.values,
    title: `Round trip${tls ? ' over TLS' : ''}, median${content}`,
    unit: 'µs',
    better: 'lower',
    columns: [
      { key: 'p99', label: '99th percentile, µs', digits: 0 },
      { key: 'p999', label: '99.9th percentile, µs', digits: 0 },
      ...cpuColumns,
    ],
    transports,
    tls,
    ms,

    async server({ peer, transport, address, tls: certificates }) {
      const meter = new Meter();
      await peer.serve({
        transport,
        address,
        tls: certificates,
        receive: (data, reply) => reply(data),
      });
      return { begin: () => meter.start(), finish: () => meter.stop() };
    },

    async client({ peer, transport, address, tls: certificates }) {
      let answered = null;
      const client = await peer.connect({
        transport,
        address,
        tls: certificates,
        receive: (data) => answered(data),
      });
      return {
        async run({ ms }) {
          const done = deferred();
          const samples = [];
          const meter = new Meter();
          meter.start();
          const end = performance.now() + ms;
          let sent = 0;
          const next = () => {
            sent = performance.now();
            client.push(payload.make(samples.length));
          };
          answered = (data) => {
            const now = performance.now();
            if (!payload.matches(data, samples.length)) {
              const shown = JSON.stringify(data).slice(0, 60);
              done.reject(new Error(`the answer to no. ${samples.length} was ${shown}`));
              return;
            }
            samples.push((now - sent) * 1e3);
            if (now < end) {
              next();
            } else {
              done.resolve();
            }
          };
          next();
          await done.promise;
          return {
            count: samples.length,
            p50: quantile(samples, 0.5),
            p99: quantile(samples, 0.99),
            p999: quantile(samples, 0.999),
            ...meter.stop(),
          };
        },
      };
    },

    async round({ server, client, ms }) {
      await server.call('begin');
      const { count, p50, p99, p999, cpuUs } = await client.call('run', { ms });
      const served = await server.call('finish');
      return {
        value: p50,
        p99,
        p999,
        serverCpuUs: per(served.cpuUs, count),
        clientCpuUs: per(cpuUs, count),
      };
    },

    ...(!tls && { floor: floorOf(payload) }),
  };
}

module.exports = [
  roundtrip({ name: 'roundtrip', payload: plainText(64) }),
  roundtrip({ name: 'tls-roundtrip', payload: plainText(64), tls: true, transports: ['tcp'] }),
  ...payloads.map((payload) => roundtrip(ofPayload('roundtrip', payload))),
];
