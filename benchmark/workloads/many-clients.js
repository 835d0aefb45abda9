const { performance } = require('node:perf_hooks');
const { setImmediate, setTimeout: sleep } = require('node:timers/promises');
const { Meter } = require('../lib/meter.js');
const { payloads } = require('../lib/payloads.js');
const { HELLO, WELCOME, deferred, jsonFloor, ofPayload, per } = require('./common.js');

/*
 * One server and many real clients. The load generator repeats the bytes of one message, so it
 * could not send the many objects of a payload, or a format on which two ends of a package agree.
 */

/** The number of clients that connect at a time. */
const LANES = 32;
const SENDERS = 100;
const RECEIVERS = 1000;
/** Messages per second of all senders together: every peer can handle it, so each is read separately. */
const RATE = 10_000;

/** Connects clients, each of which sends a message and waits for the answer. */
async function connectAll({ peer, transport, address, count, receive }) {
  const clients = [];
  const lane = async () => {
    while (clients.length < count) {
      const index = clients.length;
      clients.push(null);
      const welcomed = deferred();
      const client = await peer.connect({
        transport,
        address,
        receive: (data) => (data.ready === undefined ? receive(data) : welcomed.resolve()),
      });
      clients[index] = client;
      await client.send(HELLO);
      await welcomed.promise;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return clients;
}

/** Counts messages, and checks each of them. */
class Counter {
  #payload;
  #count = 0;
  #wanted = Number.POSITIVE_INFINITY;
  #done = deferred();

  constructor(payload) {
    this.#payload = payload;
  }

  begin() {
    this.#count = 0;
    this.#wanted = Number.POSITIVE_INFINITY;
    this.#done = deferred();
  }

  receive(data) {
    if (!this.#payload.matches(data, data.seq)) {
      this.#done.reject(new Error(`${JSON.stringify(data).slice(0, 60)} came`));
    }
    this.#count++;
    if (this.#count >= this.#wanted) this.#done.resolve(this.#count);
  }

  /** @returns {Promise<number>} fulfilled when that many messages have arrived */
  reach(wanted) {
    this.#wanted = wanted;
    if (this.#count >= wanted) this.#done.resolve(this.#count);
    return this.#done.promise;
  }
}

/** Many clients send at a moderate rate: the server's cost of one message. */
function fanin({ name, payload, ms }) {
  return {
    name,
    family: 'fanin',
    payload: payload.name,
    values: payload.values,
    title: `Server CPU time per message, ${SENDERS} clients: ${payload.title}`,
    unit: 'µs',
    better: 'lower',
    columns: [
      { key: 'jsUs', label: 'JavaScript thread, µs', digits: 2 },
      { key: 'rate', label: 'messages per second', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    ms,

    async server({ peer, transport, address }) {
      const meter = new Meter();
      const counter = new Counter(payload);
      await peer.serve({
        transport,
        address,
        receive: (data, reply) => (data.op === undefined ? counter.receive(data) : reply(WELCOME)),
      });
      return {
        begin() {
          counter.begin();
          meter.start();
        },
        async finish({ wanted }) {
          await counter.reach(wanted);
          return meter.stop();
        },
      };
    },

    async client({ peer, transport, address }) {
      const clients = await connectAll({ peer, transport, address, count: SENDERS, receive() {} });
      return {
        async run({ ms: duration }) {
          const begin = performance.now();
          let seq = 0;
          for (let time = 0; time < duration; time = performance.now() - begin) {
            while (seq < (time * RATE) / 1000) {
              const busy = clients[seq % clients.length].push(payload.make(seq++));
              if (busy !== undefined) {
                await busy;
              }
            }
            await sleep(1);
          }
          return { sent: seq };
        },
      };
    },

    async round({ server, client, ms: duration }) {
      await server.call('begin');
      const { sent } = await client.call('run', { ms: duration });
      const { cpuUs, jsUs, ms: time } = await server.call('finish', { wanted: sent });
      return { value: per(cpuUs, sent), jsUs: per(jsUs, sent), rate: (sent * 1e3) / time };
    },

    floor: jsonFloor(payload, (_, parseUs) => ({ value: parseUs, jsUs: parseUs, rate: null })),
  };
}

/** The same object is sent to many clients, one broadcast after another. */
function fanout({ name, payload, ms }) {
  return {
    name,
    family: 'fanout',
    payload: payload.name,
    values: payload.values,
    title: `JavaScript time of sendall() per client, ${RECEIVERS.toLocaleString('en')} clients: ${payload.title}`,
    unit: 'µs',
    better: 'lower',
    columns: [
      { key: 'callUs', label: 'during the call, µs', digits: 2 },
      { key: 'cpuUs', label: 'server CPU, µs', digits: 2 },
      { key: 'rate', label: 'messages per second', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    ms,

    async server({ peer, transport, address }) {
      const server = await peer.serve({
        transport,
        address,
        broadcast: true,
        receive: (_data, reply) => reply(WELCOME),
      });
      return {
        async run({ ms: duration }) {
          const meter = new Meter();
          meter.start();
          const end = performance.now() + duration;
          let broadcasts = 0;
          let calling = 0;
          do {
            const data = payload.make(broadcasts++);
            const begin = performance.now();
            const sent = server.sendAll(data);
            calling += performance.now() - begin;
            await sent;
          } while (performance.now() < end);
          // Includes work that other threads or buffers still have to do.
          await setImmediate();
          return { broadcasts, callMs: calling, ...meter.stop() };
        },
      };
    },

    async client({ peer, transport, address }) {
      const counter = new Counter(payload);
      const receive = (data) => counter.receive(data);
      await connectAll({ peer, transport, address, count: RECEIVERS, receive });
      return {
        begin: () => counter.begin(),
        finish: ({ wanted }) => counter.reach(wanted),
      };
    },

    async round({ server, client, ms: duration }) {
      await client.call('begin');
      const run = await server.call('run', { ms: duration });
      const messages = run.broadcasts * RECEIVERS;
      const received = await client.call('finish', { wanted: messages });
      if (received !== messages) {
        throw new Error(`${received} messages arrived of ${messages}`);
      }
      return {
        value: per(run.jsUs ?? run.callMs * 1e3, messages),
        callUs: per(run.callMs * 1e3, messages),
        cpuUs: per(run.cpuUs, messages),
        rate: (messages * 1e3) / run.ms,
      };
    },
  };
}

module.exports = [
  // Buffers would arrive faster than some peers read them.
  ...payloads
    .filter(({ values }) => values === undefined)
    .map((payload) => fanin(ofPayload('fanin', payload))),
  ...payloads.map((payload) => fanout(ofPayload('fanout', payload))),
];
