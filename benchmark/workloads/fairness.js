const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { text } = require('../lib/payload.js');
const { quantile } = require('../lib/stats.js');
const { READY_HEX, connectionHex } = require('./common.js');
const { countingServer, flood } = require('./fanin.js');

/** The pause of the quiet client between an answer and its next question. */
const PAUSE_MS = 5;
/** The flood starts before the first question, so that all buffers are full, and ends after the last answer. */
const LEAD_MS = 200;
const TAIL_MS = 100;
/** There is at most one sample every 5 ms, so a round takes longer than those of other workloads. */
const LONGER = 2;

/** The time until a quiet client is answered while others send without a pause. */
function fairness(flooders) {
  const others = flooders === 1 ? 'one flooding client' : `${flooders} flooding clients`;
  return {
    name: `fairness-${flooders}`,
    title: `Round trip of a quiet client beside ${others}, median`,
    unit: 'ms',
    better: 'lower',
    columns: [
      { key: 'p95', label: '95th percentile, ms', digits: 2 },
      { key: 'maxMs', label: 'longest, ms', digits: 1 },
      { key: 'questions', label: 'questions', digits: 0 },
      { key: 'rate', label: 'messages per second of the flood', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    // The buffer of node-ipc grows until a chunk happens to end with a message. A round takes seconds
    // with one flooding client, and longer than the time limit with 16.
    limits: { 'node-ipc': flooders > 4 ? 0 : 1 },
    generator: {
      arguments: ({ peer }) => [connectionHex(peer), READY_HEX],
      open: { count: 1, lanes: 1 },
      processes: flooders,
    },
    server: (context) => countingServer({ ...context, connections: flooders }),

    async client({ peer, transport, address }) {
      const client = await peer.connect({ transport, address });
      const body = text(64);
      const ask = (seq) =>
        new Promise((resolve, reject) => {
          client.call({ op: 'question', seq, body }, (answer) => {
            if (answer.seq === seq) {
              resolve();
            } else {
              reject(new Error(`the answer to no. ${seq} was that to no. ${answer.seq}`));
            }
          });
        });
      return {
        async run({ ms }) {
          const samples = [];
          const end = performance.now() + ms;
          do {
            const asked = performance.now();
            await ask(samples.length);
            samples.push(performance.now() - asked);
            await sleep(PAUSE_MS);
          } while (performance.now() < end);
          return {
            questions: samples.length,
            p50: quantile(samples, 0.5),
            p95: quantile(samples, 0.95),
            maxMs: Math.max(...samples),
          };
        },
      };
    },

    async round({ server, client, generators, peer, ms }) {
      const asking = ms * LONGER;
      const [{ messages, ms: time }, run] = await Promise.all([
        flood({ server, generators, peer, ms: LEAD_MS + asking + TAIL_MS, batch: 32 }),
        sleep(LEAD_MS).then(() => client.call('run', { ms: asking })),
      ]);
      const { p50, p95, maxMs, questions } = run;
      return { value: p50, p95, maxMs, questions, rate: (messages * 1e3) / time };
    },
  };
}

module.exports = [fairness(1), fairness(4), fairness(16)];
