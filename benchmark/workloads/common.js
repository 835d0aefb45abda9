const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { READY } = require('../lib/payload.js');

/** A promise with its `resolve` and `reject`, to be settled by an event handler. */
function deferred() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

/** The first message of the load generator on each connection, and the answer it waits for. */
const HELLO = { op: 'hello' };
const WELCOME = { ready: READY };

/** The hello of a peer, in the form the load generator reads. */
function connectionHex(peer) {
  const hello = peer.wire.hello(HELLO);
  if (Buffer.isBuffer(hello)) {
    return hello.toString('hex');
  }
  return [hello.first.toString('hex'), hello.wait, hello.rest.toString('hex')].join(':');
}

function frameHex(peer, data) {
  return peer.wire.frame(data).toString('hex');
}

const READY_HEX = Buffer.from(READY).toString('hex');

/** The length of a round of the workloads with payloads: there are many of them. */
const PAYLOAD_ROUND_MS = 250;

/** Per message, in microseconds; `null` stays `null`. */
function per(total, count) {
  return total === null || count === 0 ? null : total / count;
}

const cpuColumns = [
  { key: 'serverCpuUs', label: 'server CPU, µs', digits: 2 },
  { key: 'clientCpuUs', label: 'client CPU, µs', digits: 2 },
];

/**
 * The time V8 spends on a message: stringify on one side and parse on the other. Both sides work at
 * the same time, so the slower of the two limits the rate. Processor time is used where the system
 * reports it, because waiting for a processor must not count.
 *
 * @param {object} setting
 * @param {object} setting.payload of lib/payloads.js
 * @param {number} setting.ms
 */
async function jsonTimes({ payload, ms }) {
  const messages = 64;
  // Copies, because an object of make() is valid until the next call.
  const texts = Array.from({ length: messages }, (_, seq) =>
    JSON.stringify({ type: 'Object', data: payload.make(seq) }),
  );
  const envelopes = texts.map((text) => JSON.parse(text));
  const meter = new Meter();
  let sink = 0;
  const time = (work) => {
    meter.start();
    const end = performance.now() + ms / 2;
    let done = 0;
    do {
      for (let i = 0; i < messages; i++) {
        sink += work(i);
      }
      done += messages;
    } while (performance.now() < end);
    const spent = meter.stop();
    return (spent.jsUs ?? spent.ms * 1e3) / done;
  };
  const stringifyUs = time((i) => JSON.stringify(envelopes[i]).length);
  const parseUs = time((i) => JSON.parse(texts[i]).type.length);
  if (sink === 0) {
    throw new Error('nothing was measured');
  }
  return { stringifyUs, parseUs };
}

/**
 * V8's JSON alone, as the floor of a workload. Values that JSON does not carry have no floor.
 *
 * @param {object} payload of lib/payloads.js
 * @param {function(number, number): object} figures makes the values of a round from the times to
 *   stringify and to parse a message, in microseconds
 */
function jsonFloor(payload, figures) {
  if (payload.values === 'rich') return undefined;
  return {
    label: 'V8 JSON only',
    transports: ['tcp'],
    actions: () => ({ run: ({ ms }) => jsonTimes({ payload, ms }) }),
    async round({ end, ms }) {
      const { stringifyUs, parseUs } = await end.call('run', { ms });
      return figures(stringifyUs, parseUs);
    },
  };
}

/** The settings of the workload of a family that sends a payload. */
const ofPayload = (family, payload) => ({
  name: `${family}-${payload.name}`,
  payload,
  ms: PAYLOAD_ROUND_MS,
});

module.exports = {
  HELLO,
  READY_HEX,
  WELCOME,
  connectionHex,
  cpuColumns,
  deferred,
  frameHex,
  jsonFloor,
  ofPayload,
  per,
};
