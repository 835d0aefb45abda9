const { once } = require('node:events');
const net = require('node:net');
const { monitorEventLoopDelay, performance } = require('node:perf_hooks');
const tls = require('node:tls');
const { setTimeout: delay } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { Meter } = require('../lib/meter.js');
const { HELLO, WELCOME, per } = require('./common.js');

/** How many connections are opened at a time. */
const LANES = 16;
/** The handshakes per second while the delay of the event loop is measured. */
const STEADY_RATE = 200;

/** Opens a connection of Node's TLS, exchanges one message in each direction, and closes it. */
function visit({ address, tls: { ca }, peer }) {
  return new Promise((resolve, reject) => {
    const target = address.path ? address : { port: address.port, host: '127.0.0.1' };
    const socket = tls.connect({ ...target, ca, servername: 'localhost' });
    socket.once('secureConnect', () => socket.write(peer.wire.frame(HELLO)));
    socket.once('data', () => socket.end());
    socket.once('error', reject);
    socket.once('close', resolve);
  });
}

async function server({ peer, transport, address, tls: certificates }) {
  const meter = new Meter();
  // The delay includes the millisecond of the sampling timer itself.
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  await peer.serve({
    transport,
    address,
    tls: certificates,
    receive: (_data, reply) => reply(WELCOME),
  });
  return {
    begin() {
      histogram.reset();
      histogram.enable();
      meter.start();
    },
    finish() {
      histogram.disable();
      return { ...meter.stop(), p99Ms: histogram.percentile(99) / 1e6 };
    },
  };
}

async function client(context) {
  return {
    /** As many as possible. */
    async churn({ ms }) {
      const begin = performance.now();
      const end = begin + ms;
      let connections = 0;
      const lane = async () => {
        while (performance.now() < end) {
          await visit(context);
          connections += 1;
        }
      };
      await Promise.all(Array.from({ length: LANES }, lane));
      return { connections, ms: performance.now() - begin };
    },
    /** At a steady rate. */
    async steady({ ms }) {
      const begin = performance.now();
      const visits = [];
      while (performance.now() < begin + ms) {
        const due = ((performance.now() - begin) * STEADY_RATE) / 1e3;
        while (visits.length < due) visits.push(visit(context));
        await delay(1);
      }
      await Promise.all(visits);
      return { connections: visits.length, ms: performance.now() - begin };
    },
  };
}

const common = { tls: true, transports: ['tcp', 'unix'], server, client };

const handshakes = {
  ...common,
  name: 'tls-handshakes',
  title: 'TLS handshakes, each with one message in each direction',
  unit: 'handshakes per second',
  better: 'higher',
  columns: [
    { key: 'serverCpuUs', label: 'server CPU, µs', digits: 0 },
    { key: 'serverJsUs', label: 'of which JavaScript thread, µs', digits: 0 },
  ],

  async round({ server: served, client: visitor, ms }) {
    await served.call('begin');
    const run = await visitor.call('churn', { ms });
    const { cpuUs, jsUs } = await served.call('finish');
    return {
      value: (run.connections * 1e3) / run.ms,
      serverCpuUs: per(cpuUs, run.connections),
      serverJsUs: per(jsUs, run.connections),
    };
  },
};

/** Opens plain connections at a steady rate, as `visit()` opens those with TLS. */
function visitPlain() {
  const { createConnection } = require('node:net');
  const { workerData } = require('node:worker_threads');
  const { port, ms, rate } = workerData;
  const begin = performance.now();
  let visits = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now > begin + ms) return clearInterval(timer);
    for (; visits < ((now - begin) * rate) / 1e3; visits += 1) {
      const socket = createConnection(port, '127.0.0.1', () => socket.write('hello'));
      socket.on('data', () => socket.end());
    }
  }, 1);
}

/** The delay of a `net.Server` that does nothing but answer these connections. */
async function delayWithoutTls({ ms }) {
  const plain = net.createServer((socket) => socket.pipe(socket));
  plain.listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const workerData = { port: plain.address().port, ms, rate: STEADY_RATE };
  const visitor = new Worker(`(${visitPlain})()`, { eval: true, workerData });
  const ended = once(visitor, 'exit');
  await once(plain, 'connection');
  histogram.enable();
  await ended;
  histogram.disable();
  plain.close();
  return { p99Ms: histogram.percentile(99) / 1e6 };
}

const loopDelay = {
  ...common,
  name: 'tls-loop-delay',
  title: `Event-loop delay of a server during ${STEADY_RATE} TLS handshakes a second, 99th percentile`,
  unit: 'ms',
  better: 'lower',
  columns: [{ key: 'rate', label: 'handshakes per second', digits: 0 }],

  async round({ server: served, client: visitor, ms }) {
    await served.call('begin');
    const run = await visitor.call('steady', { ms });
    const { p99Ms } = await served.call('finish');
    return { value: p99Ms, rate: (run.connections * 1e3) / run.ms };
  },

  floor: {
    label: 'net.Server, without TLS',
    transports: ['tcp'],
    actions: () => ({ run: delayWithoutTls }),
    async round({ end, ms }) {
      const { p99Ms } = await end.call('run', { ms });
      return { value: p99Ms, rate: STEADY_RATE };
    },
  },
};

module.exports = [handshakes, loopDelay];
