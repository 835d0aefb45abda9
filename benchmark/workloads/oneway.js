const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { payloads, plainText, usual } = require('../lib/payloads.js');
const { cpuColumns, deferred, jsonFloor, ofPayload, per } = require('./common.js');

/** Objects in one direction, as fast as the sender's promises allow. */
function oneway({ name, payload, ms, tls = false, transports = ['tcp', 'unix'] }) {
  const { bytes } = payload;
  // A sender that awaits no promise fills memory, and one that awaits every promise measures latency.
  // This one awaits a promise for about every 256 KiB of data.
  const window = Math.min(500, Math.max(4, Math.floor((256 * 1024) / bytes)));
  const over = tls ? ', over TLS' : '';
  return {
    name,
    family: 'oneway',
    payload: payload.name,
    values: payload.values,
    title: `${payload.title} in one direction${over}`,
    unit: 'messages per second',
    better: 'higher',
    columns: cpuColumns,
    transports,
    tls,
    ms,

    async server({ peer, transport, address, tls: certificates }) {
      const meter = new Meter();
      let messages = 0;
      let done = deferred();
      await peer.serve({
        transport,
        address,
        tls: certificates,
        receive(data) {
          if (payload.matches(data, messages)) {
            if (messages++ === 0) {
              meter.start();
            }
          } else if (data.total === messages) {
            done.resolve({ messages, ...meter.stop() });
          } else {
            done.reject(new Error(`${JSON.stringify(data).slice(0, 60)} came as no. ${messages}`));
          }
        },
      });
      return {
        begin() {
          messages = 0;
          done = deferred();
        },
        finish: () => done.promise,
      };
    },

    async client({ peer, transport, address, tls: certificates }) {
      const client = await peer.connect({ transport, address, tls: certificates });
      return {
        async run({ ms }) {
          const meter = new Meter();
          meter.start();
          const end = performance.now() + ms;
          let seq = 0;
          do {
            for (let i = 1; i < window; i++) {
              const busy = client.push(payload.make(seq++));
              if (busy !== undefined) {
                await busy;
              }
            }
            await client.send(payload.make(seq++));
          } while (performance.now() < end);
          await client.send({ total: seq });
          return { sent: seq, ...meter.stop() };
        },
      };
    },

    async round({ server, client, ms }) {
      await server.call('begin');
      const [received, sent] = await Promise.all([
        server.call('finish'),
        client.call('run', { ms }),
      ]);
      // A receiver that delivers nothing before it has everything started at the same time as the sender.
      const took = Math.max(received.ms, sent.ms);
      return {
        value: (received.messages * 1e3) / took,
        serverCpuUs: per(received.cpuUs, received.messages),
        clientCpuUs: per(sent.cpuUs, sent.sent),
      };
    },

    floor: jsonFloor(payload, (stringifyUs, parseUs) => ({
      value: 1e6 / Math.max(stringifyUs, parseUs),
      serverCpuUs: parseUs,
      clientCpuUs: stringifyUs,
    })),
  };
}

module.exports = [
  oneway({ name: 'oneway-64', payload: plainText(64) }),
  oneway({ name: 'oneway-4k', payload: plainText(4096) }),
  oneway({ name: 'oneway-64k', payload: plainText(65_536) }),
  oneway({ name: 'tls-oneway', payload: plainText(64), tls: true, transports: ['tcp'] }),
  ...usual.map((name) => {
    const payload = payloads.find((each) => each.name === name);
    return oneway({ ...ofPayload('tls-oneway', payload), tls: true, transports: ['tcp'] });
  }),
  ...payloads.map((payload) => oneway(ofPayload('oneway', payload))),
];
