const { X509Certificate } = require('node:crypto');
const { once } = require('node:events');
const net = require('node:net');
const { setTimeout: delay } = require('node:timers/promises');
const { Worker } = require('node:worker_threads');
const { LoopDelay } = require('../lib/loop-delay.js');
const { Meter } = require('../lib/meter.js');
const { READY_HEX, WELCOME, connectionHex, per } = require('./common.js');

/** How many connections are opened at a time. */
const LANES = 16;
/** The handshakes per second while the delay of the event loop is measured. */
const STEADY_RATE = 200;
/**
 * How long a server is busy before its first round, so that V8 has compiled the functions that run
 * often.
 */
const WARM_UP_MS = 1000;
const IDLE_MS = 150;

/** The part of the system: the delay of a loop that has nothing to do. */
async function delayWhileIdle(loopDelay, ms) {
  loopDelay.start();
  await delay(ms);
  return loopDelay.stop();
}

async function server({ peer, transport, address, tls: certificates }) {
  const meter = new Meter();
  const loopDelay = new LoopDelay();
  await peer.serve({
    transport,
    address,
    tls: certificates,
    receive: (_data, reply) => reply(WELCOME),
  });
  return {
    begin: () => meter.start(),
    finish: () => meter.stop(),
    watchLoop: () => loopDelay.start(),
    unwatchLoop: () => loopDelay.stop(),
    idle: ({ ms }) => delayWhileIdle(loopDelay, ms),
  };
}

const common = {
  tls: true,
  transports: ['tcp', 'unix'],
  server,
  generator: {
    role: 'visit',
    arguments: ({ peer, certificates }) => [
      connectionHex(peer),
      READY_HEX,
      new X509Certificate(certificates.cert).raw.toString('hex'),
    ],
  },
};

const churn = (generator, ms) => generator.call(`churn ms=${ms} lanes=${LANES}`);

const handshakes = {
  ...common,
  name: 'tls-handshakes',
  title: 'TLS handshakes, each with one message in each direction',
  unit: 'handshakes per second',
  better: 'higher',
  columns: [
    { key: 'serverCpuUs', label: 'server CPU, µs', digits: 0 },
    { key: 'serverJsUs', label: 'of which JavaScript thread, µs', digits: 0 },
    { key: 'clientCpuUs', label: 'client CPU, µs', digits: 0 },
  ],

  async round({ server: served, generator, ms, warm }) {
    await served.call('begin');
    const run = await churn(generator, warm ? WARM_UP_MS : ms);
    const { cpuUs, jsUs } = await served.call('finish');
    return {
      value: (run.connections * 1e3) / run.ms,
      serverCpuUs: per(cpuUs, run.connections),
      serverJsUs: per(jsUs, run.connections),
      clientCpuUs: per(run.cpuUs, run.connections),
    };
  },
};

/** Opens plain connections at a steady rate, as the load generator opens those with TLS. */
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
  const loopDelay = new LoopDelay();
  const idle = await delayWhileIdle(loopDelay, IDLE_MS);
  const workerData = { port: plain.address().port, ms, rate: STEADY_RATE };
  const visitor = new Worker(`(${visitPlain})()`, { eval: true, workerData });
  const ended = once(visitor, 'exit');
  await once(plain, 'connection');
  loopDelay.start();
  await ended;
  const { p99Ms, timerP99Ms } = loopDelay.stop();
  plain.close();
  return { p99Ms, timerP99Ms, idleMs: idle.p99Ms };
}

const delays = {
  ...common,
  name: 'tls-loop-delay',
  title: `Event-loop delay of a server during ${STEADY_RATE} TLS handshakes a second, 99th percentile`,
  unit: 'ms',
  better: 'lower',
  columns: [
    { key: 'moreMs', label: 'increase over idle, ms', digits: 2 },
    { key: 'timerMs', label: 'by monitorEventLoopDelay, ms', digits: 2 },
    { key: 'rate', label: 'handshakes per second', digits: 0 },
  ],
  // About 140 handshakes: of fewer, the slowest are a matter of chance.
  ms: 700,

  async round({ server: served, generator, ms, warm }) {
    if (warm) await churn(generator, WARM_UP_MS);
    const idle = await served.call('idle', { ms: IDLE_MS });
    await served.call('watchLoop');
    const run = await generator.call(`steady ms=${ms} rate=${STEADY_RATE}`);
    const { p99Ms, timerP99Ms } = await served.call('unwatchLoop');
    return {
      value: p99Ms,
      moreMs: p99Ms - idle.p99Ms,
      timerMs: timerP99Ms,
      rate: (run.connections * 1e3) / run.ms,
    };
  },

  floor: {
    label: 'net.Server, without TLS',
    transports: ['tcp'],
    actions: () => ({ run: delayWithoutTls }),
    async round({ end, ms }) {
      const { p99Ms, timerP99Ms, idleMs } = await end.call('run', { ms });
      const moreMs = p99Ms - idleMs;
      return { value: p99Ms, moreMs, timerMs: timerP99Ms, rate: STEADY_RATE };
    },
  },
};

module.exports = [handshakes, delays];
