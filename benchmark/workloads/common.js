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

/** Per message, in microseconds; `null` stays `null`. */
function per(total, count) {
  return total === null || count === 0 ? null : total / count;
}

const cpuColumns = [
  { key: 'serverCpuUs', label: 'server CPU, µs', digits: 2 },
  { key: 'clientCpuUs', label: 'client CPU, µs', digits: 2 },
];

/**
 * The time V8 spends on a message: stringify on one side and parse on the other. Both sides work at the
 * same time, so the slower of the two limits the rate. Processor time is used where the system reports
 * it, because waiting for a processor must not count.
 */
async function jsonFloor({ data, ms }) {
  const envelope = { type: 'Object', data };
  const text = JSON.stringify(envelope);
  let sink = 0;
  const time = (work) => {
    const meter = new Meter();
    meter.start();
    const end = performance.now() + ms / 2;
    let done = 0;
    do {
      for (let i = 0; i < 100; i++) {
        sink += work();
      }
      done += 100;
    } while (performance.now() < end);
    const spent = meter.stop();
    return (spent.jsUs ?? spent.ms * 1e3) / done;
  };
  const stringifyUs = time(() => JSON.stringify(envelope).length);
  const parseUs = time(() => JSON.parse(text).type.length);
  if (sink === 0) {
    throw new Error('nothing was measured');
  }
  return { stringifyUs, parseUs };
}

module.exports = {
  HELLO,
  READY_HEX,
  WELCOME,
  connectionHex,
  cpuColumns,
  deferred,
  frameHex,
  jsonFloor,
  per,
};
