'use strict';

const { UsageError, clientOptions, milliseconds, number } = require('../arguments.js');
const { connect, interrupted, makeClient } = require('../connecting.js');
const { formatEndpoint } = require('../endpoint.js');
const { EXIT } = require('../exit-codes.js');
const { PingProbe } = require('../ping-probe.js');
const { Printer, printable } = require('../text.js');

const options = clientOptions({
  count: {
    value: 'N',
    short: 'c',
    meaning: 'Stop after N pings; without it Ctrl-C stops',
    convert: number({ min: 1 }),
    default: Number.POSITIVE_INFINITY,
  },
  interval: {
    value: 'MS',
    short: 'i',
    meaning: 'Time between two pings (1000)',
    convert: milliseconds,
    default: 1000,
  },
  quiet: { type: 'boolean', short: 'q', meaning: 'Print only the statistics' },
});

/** @returns {?number} ms, exact to the microsecond */
const rounded = (ms) => (ms === null ? null : Math.round(ms * 1000) / 1000);

/** @returns {?{min: number, avg: number, max: number, mdev: number}} in ms, as ping(8) has them */
function summaryOf(times) {
  if (times.length === 0) return null;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const avg = sum(times) / times.length;
  const variance = sum(times.map((time) => (time - avg) ** 2)) / times.length;
  return {
    min: rounded(times.reduce((least, time) => Math.min(least, time))),
    avg: rounded(avg),
    max: rounded(times.reduce((most, time) => Math.max(most, time))),
    mdev: rounded(Math.sqrt(variance)),
  };
}

/** Pings until the count is reached or the program is to stop. */
async function pingUntil(stopped, client, { count, interval, timeout }, onAnswer) {
  const probe = new PingProbe(client);
  const times = [];
  let sent = 0;
  let isOver = false;
  const pending = new Set();
  stopped.then(() => {
    isOver = true;
    probe.stop();
  });
  const one = async (seq) => {
    const time = await probe.ping(timeout);
    if (time !== null) times.push(time);
    if (time !== null || !isOver) onAnswer(seq, time);
  };
  while (!isOver && sent < count) {
    sent += 1;
    const answered = one(sent).finally(() => pending.delete(answered));
    pending.add(answered);
    if (sent < count) await probe.pause(interval);
  }
  await Promise.all(pending);
  return { sent, times };
}

async function run({ values, endpoint }) {
  if (values.peer === 'json') throw new UsageError('a JSON peer answers no pings');
  const printer = new Printer(values.json);
  const where = formatEndpoint(endpoint);
  // With "debug", JavaScript gets the pongs.
  const client = makeClient(values, endpoint, { debug: true });
  client.on('error', (err) => process.stderr.write(`${printable(err.message)}\n`));
  const ended = interrupted();
  await connect(client, endpoint);
  const lost = new Promise((resolve) => {
    client.once('disconnect', () => resolve('disconnect'));
  });
  if (!values.json) process.stdout.write(`PING ${where}\n`);
  const began = performance.now();
  const onAnswer = (seq, time) => {
    if (values.quiet) return;
    const result = time === null ? 'no answer' : `time=${time.toFixed(3)} ms`;
    printer.print({ seq, time: rounded(time) }, `pong from ${where}: seq=${seq} ${result}`);
  };
  const stopped = Promise.race([ended, lost]);
  const { sent, times } = await pingUntil(stopped, client, values, onAnswer);
  const isLost = !client.connected;
  await client.disconnect();
  report(printer, where, { sent, times, elapsed: performance.now() - began, isLost });
  if (isLost) return EXIT.failed;
  return times.length > 0 ? EXIT.ok : EXIT.noAnswer;
}

function report(printer, where, { sent, times, elapsed, isLost }) {
  const summary = summaryOf(times);
  const loss = sent === 0 ? 0 : ((sent - times.length) / sent) * 100;
  const lines = [
    '',
    `--- ${where} ping statistics ---`,
    `${sent} sent, ${times.length} answered, ${loss.toFixed(0)}% lost, time ${elapsed.toFixed(0)} ms`,
  ];
  if (summary) {
    const values = Object.values(summary).map((value) => value.toFixed(3));
    lines.push(`rtt min/avg/max/mdev = ${values.join('/')} ms`);
  }
  if (isLost) lines.push('the connection ended');
  printer.print(
    { sent, answered: times.length, loss: loss / 100, elapsed: rounded(elapsed), ...summary },
    lines.join('\n'),
  );
}

module.exports = {
  summary: 'Measures the time that a peer takes to answer pings',
  usage: '[endpoint]',
  details: [
    'Each ping waits for its answer up to --timeout. The measured time is that of the network and of',
    'sockhop in the peer, which answers pings without the help of the program.',
  ],
  options,
  examples: ['--count 5 50000', '--interval 200 --tls --ca ca.pem server.example:50000'],
  run,
};
