const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { text } = require('../lib/payload.js');
const { quantile } = require('../lib/stats.js');
const { READY_HEX, connectionHex } = require('./common.js');
const { countingServer, flood } = require('./fanin.js');

/** The quiet client waits so long after an answer before it asks again. */
const PAUSE_MS = 5;
/** The flood has filled what there is to fill before the first question, and outlasts the last. */
const LEAD_MS = 200;
const TAIL_MS = 100;
/** There is one sample every 5 ms at best, so a round takes longer than those of other workloads. */
const LONGER = 2;

/** How soon a client that says little is answered among others that send without a pause. */
function fairness(flooders) {
  const plural = flooders === 1 ? 'one client that floods' : `${flooders} clients that flood`;
  return {
    name: `fairness-${flooders}`,
    title: `Round trip of a quiet client beside ${plural}, p50`,
    unit: 'ms',
    better: 'lower',
    columns: [
      { key: 'p95', label: 'p95, ms', digits: 2 },
      { key: 'maxMs', label: 'longest, ms', digits: 1 },
      { key: 'questions', label: 'questions', digits: 0 },
      { key: 'rate', label: 'messages/s of the flood', digits: 0 },
    ],
    transports: ['tcp', 'unix'],
    // Its buffer grows until a chunk happens to end with a message: seconds for a round with one
    // flooder, more than the harness waits with 16.
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
