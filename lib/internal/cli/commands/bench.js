'use strict';

const { createHistogram } = require('node:perf_hooks');

const { UsageError, clientOptions, number } = require('../arguments.js');
const { connect, interrupted, makeClient } = require('../connecting.js');
const { formatEndpoint } = require('../endpoint.js');
const { EXIT } = require('../exit-codes.js');
const { ProgressBar } = require('../progress-bar.js');
const { Printer, formatBytes, formatNumber, printable } = require('../text.js');

const MODES = ['call', 'request', 'send'];

const options = clientOptions({
  mode: {
    value: 'MODE',
    short: 'm',
    meaning: 'Kind of messages: call (the default), request, or send, which waits for no answer',
    convert: (text) => {
      if (MODES.includes(text)) return text;
      throw new UsageError(`must be one of ${MODES.join(', ')}`);
    },
    default: 'call',
  },
  duration: {
    value: 'SECONDS',
    short: 'd',
    meaning: 'Time to measure (5)',
    convert: number({ min: 0.1, max: 86_400, isInteger: false }),
    default: 5,
  },
  'warm-up': {
    value: 'SECONDS',
    meaning: 'Time to warm up before the measurement (a tenth of it, at most 1)',
    convert: number({ min: 0, max: 86_400, isInteger: false }),
  },
  clients: {
    value: 'N',
    short: 'n',
    meaning: 'Number of connections (1)',
    convert: number({ min: 1, max: 65_535 }),
    default: 1,
  },
  'in-flight': {
    value: 'N',
    short: 'f',
    meaning: 'Messages of each connection that wait for their answers at a time (16)',
    convert: number({ min: 1, max: 1_000_000 }),
    default: 16,
  },
  size: {
    value: 'BYTES',
    short: 's',
    meaning: 'Length of the text in each message (64)',
    convert: number({ min: 0, max: 2 ** 28 }),
    default: 64,
  },
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** The counts and times of a measurement. */
class Measurement {
  isOver = false;
  messages = 0;
  errors = 0;
  /** @type {?Error} */
  lastError = null;
  /** The times of answers, in ns. */
  times = createHistogram();

  /** Discards the counts of the warm-up. */
  reset() {
    this.messages = 0;
    this.times.reset();
  }

  answered(ms) {
    this.messages += 1;
    this.times.record(Math.max(1, Math.round(ms * 1e6)));
  }

  failed(err) {
    this.errors += 1;
    this.lastError = err;
  }
}

const ASK = {
  call: (client, payload, timeout) => client.call(payload, { timeout }),
  request: async (client, payload, timeout) => {
    const stream = await client.request(payload, { timeout });
    return stream.next();
  },
};

/** Sends questions until the measurement or the connection is over. */
async function askOn(client, { mode, payload, timeout }, measurement) {
  const ask = ASK[mode];
  while (!measurement.isOver && client.connected) {
    const began = performance.now();
    try {
      await ask(client, payload, timeout);
      measurement.answered(performance.now() - began);
    } catch (err) {
      measurement.failed(err);
      await turn();
    }
  }
}

/** Messages between two turns of the event loop, which `await` alone does not allow. */
const SENDS_PER_TURN = 64;

async function sendOn(client, { payload, timeout }, measurement) {
  while (!measurement.isOver && client.connected) {
    try {
      const sends = Array.from({ length: SENDS_PER_TURN }, () => client.send(payload));
      await Promise.all(sends);
      measurement.messages += SENDS_PER_TURN;
    } catch (err) {
      measurement.failed(err);
    }
    await turn();
  }
  // The answer to a last message shows that the peer has read those before it.
  if (client.connected) await client.call({ done: true }, { timeout });
}

/** Connects all clients, or fails. */
async function connectAll(values, endpoint) {
  const clients = Array.from({ length: values.clients }, () => makeClient(values, endpoint));
  for (const client of clients) {
    client.on('error', (err) => process.stderr.write(`${printable(err.message)}\n`));
  }
  try {
    for (const client of clients) await connect(client, endpoint);
  } catch (err) {
    await Promise.all(clients.map((client) => client.disconnect()));
    throw err;
  }
  return clients;
}

/** @returns {Promise<void>} fulfilled after the time, or when `stopped` is */
function pause(ms, stopped) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stopped.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const noop = () => {};

/** Lets the clients work for a time, and shows the progress. */
async function measure(clients, job, { duration, warmUp, ended }) {
  const measurement = new Measurement();
  const loops = clients.flatMap((client) =>
    job.mode === 'send'
      ? [sendOn(client, job, measurement)]
      : Array.from({ length: job.inFlight }, () => askOn(client, job, measurement)),
  );
  const working = Promise.all(loops);
  // Without a connection all loops end early. A failure is thrown when it is waited for.
  const stopped = Promise.race([ended, working.catch(noop)]);
  if (warmUp > 0) await pause(warmUp * 1000, stopped);
  measurement.reset();
  const began = performance.now();
  const elapsed = () => (performance.now() - began) / 1000;
  const progress = new ProgressBar(() => ({
    part: elapsed() / duration,
    text: `${formatNumber(Math.round(measurement.messages / elapsed()))} messages/s`,
  }));
  await pause(duration * 1000, stopped);
  let seconds = elapsed();
  measurement.isOver = true;
  progress.end();
  await working;
  if (job.mode === 'send') seconds = elapsed();
  return { measurement, seconds };
}

const rounded = (value) => Math.round(value * 1000) / 1000;

/** @returns {?object} the times of answers, in ms */
function latencyOf({ times }) {
  if (times.count === 0) return null;
  const ms = (ns) => rounded(ns / 1e6);
  const at = (percentile) => ms(times.percentile(percentile));
  return { min: ms(times.min), p50: at(50), p90: at(90), p99: at(99), max: ms(times.max) };
}

async function run({ values, endpoint }) {
  if (values.peer === 'json') throw new UsageError('a JSON peer cannot confirm what it has read');
  const ended = interrupted();
  const clients = await connectAll(values, endpoint);
  const job = {
    mode: values.mode,
    payload: { text: 'x'.repeat(values.size) },
    timeout: values.timeout,
    inFlight: values['in-flight'],
  };
  try {
    const { measurement, seconds } = await measure(clients, job, {
      duration: values.duration,
      warmUp: values['warm-up'] ?? Math.min(values.duration / 10, 1),
      ended,
    });
    return report(new Printer(values.json), { values, endpoint, measurement, seconds });
  } catch (err) {
    if (err.code !== 'ERR_CALLBACK_TIMEOUT') throw err;
    process.stderr.write('the server does not answer: start it with "listen --echo --quiet"\n');
    return EXIT.noAnswer;
  } finally {
    await Promise.all(clients.map((client) => client.disconnect()));
  }
}

function report(printer, { values, endpoint, measurement, seconds }) {
  const { messages, errors, lastError } = measurement;
  const { mode, clients, size } = values;
  const rate = messages / seconds;
  const latency = latencyOf(measurement);
  const inFlight = mode === 'send' ? undefined : values['in-flight'];
  const lines = [
    `${mode} to ${formatEndpoint(endpoint)}, ${clients} connection${clients === 1 ? '' : 's'}` +
      `${inFlight ? `, ${inFlight} in flight each` : ''}, ${size} bytes`,
    `  ${formatNumber(Math.round(rate))} messages/s, ${formatBytes(rate * size)}/s, in ${seconds.toFixed(1)} s`,
  ];
  if (latency) {
    const { min, p50, p90, p99, max } = latency;
    lines.push(`  answers in ms: min ${min}, p50 ${p50}, p90 ${p90}, p99 ${p99}, max ${max}`);
  }
  if (errors > 0) lines.push(`  ${errors} errors, the last one: ${printable(lastError.message)}`);
  printer.print(
    {
      mode,
      clients,
      in_flight: inFlight,
      size,
      seconds: rounded(seconds),
      messages,
      rate: Math.round(rate),
      errors,
      latency,
    },
    lines.join('\n'),
  );
  if (messages > 0 && errors === 0) return EXIT.ok;
  return lastError?.code === 'ERR_CALLBACK_TIMEOUT' || lastError?.code === 'ERR_RESPONSE_TIMEOUT'
    ? EXIT.noAnswer
    : EXIT.failed;
}

module.exports = {
  summary: 'Measures how many messages a server answers in a second',
  usage: '[endpoint]',
  details: [
    'Start "sockhop-native listen --echo --quiet" on another machine, or use any server that answers. On',
    'a single machine the result shows what both sides need together.',
  ],
  options,
  examples: [
    '--clients 10 --in-flight 32 server.example:50000',
    '--mode send --size 1000 --duration 10 --json 50000',
  ],
  run,
};
