const { performance } = require('node:perf_hooks');
const { Meter } = require('../lib/meter.js');
const { READY } = require('../lib/payload.js');

/** A promise and its ends, for what is settled from an event handler. */
function deferred() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

/** What the load generator sends first on each connection, and what it takes for an answer. */
const HELLO = { op: 'hello' };
const WELCOME = { ready: READY };

/** The hello of a peer as the load generator takes it. */
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
  { key: 'serverCpuUs', label: 'server CPU, us', digits: 2 },
  { key: 'clientCpuUs', label: 'client CPU, us', digits: 2 },
];

/**
 * V8's part of a message: stringify on one side, parse on the other, with nothing between. The
 * slower of the two bounds a stream, in which both ends work at the same time. Counted in processor
 * time where the system tells it: a floor that waits for a core is none.
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
