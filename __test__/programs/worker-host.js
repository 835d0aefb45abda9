'use strict';

// Starts worker threads by a plan, and reports the descriptors and threads of this process before
// and after. The runtime's threads exist from the first connection on, so a first worker runs and
// ends before the count.

const { once } = require('node:events');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');
const { Worker } = require('node:worker_threads');
const { canCount, descriptors, held } = require('../support/resources.js');

const plan = JSON.parse(process.argv[2]);
/** A closed connection is read for some seconds more, and a busy machine takes longer. */
const PATIENCE_MS = 60_000;

function start(task, where, more = {}) {
  return new Worker(path.join(__dirname, 'worker.js'), {
    workerData: { task, where, ...more },
    // Captures the error output of a worker that throws.
    stderr: plan.kind === 'throw',
  });
}

/** A worker that runs to its end by itself. */
async function whole(task, where, more) {
  const worker = start(task, where, more);
  // Its last message and its end may come in one turn.
  const exited = once(worker, 'exit');
  const [answers] = await once(worker, 'message');
  const [code] = await exited;
  if (code !== 0) throw new Error(`exit code ${code}`);
  return answers;
}

async function inTurns(count, width, action) {
  for (let done = 0; done < count; done += width) {
    const these = Array.from({ length: Math.min(width, count - done) }, (_, n) => done + n);
    await Promise.all(these.map(action));
  }
}

const kinds = {
  'in turn': async ({ places, rounds }) => {
    const answers = [];
    for (let round = 0; round < rounds; round += 1) {
      answers.push(...(await Promise.all(places.map((place) => whole('come and go', place)))));
    }
    return { answers };
  },

  across: async ({ place, workers }) => {
    const server = start('serve', place);
    await once(server, 'message');
    const answers = await Promise.all(
      Array.from({ length: workers }, () => whole('use', place, { count: 200 })),
    );
    server.postMessage('stop');
    await once(server, 'exit');
    return { answers };
  },

  terminate: async ({ directory, count }) => {
    const codes = [];
    await inTurns(count, 4, async (n) => {
      const worker = start('flood', { path: path.join(directory, `${n}`) });
      await once(worker, 'message');
      codes.push(await worker.terminate());
    });
    return { codes };
  },

  leave: async ({ directory, count }) => {
    const codes = [];
    await inTurns(count, 4, async (n) => {
      const worker = start('leave', { path: path.join(directory, `${n}`) });
      codes.push((await once(worker, 'exit'))[0]);
    });
    return { codes };
  },

  throw: async ({ directory, count }) => {
    const codes = [];
    const errors = [];
    await inTurns(count, 4, async (n) => {
      const worker = start('throw', { path: path.join(directory, `${n}`) });
      worker.once('error', ({ message }) => errors.push(message));
      codes.push(await new Promise((resolve) => worker.once('exit', resolve)));
    });
    return { codes, errors };
  },

  'exit under workers': async ({ directory, count, n }) => {
    const workers = Array.from({ length: count }, (_, each) =>
      start('flood', { path: path.join(directory, `${n}-${each}`) }),
    );
    await Promise.all(workers.map((worker) => once(worker, 'message')));
    process.exit(0);
  },
};

/**
 * Waits until `take` returns an acceptable value; gives up after some time, and returns the last
 * value.
 */
async function settled(take, willDo) {
  const last = Date.now() + PATIENCE_MS;
  let now = take();
  while (!willDo(now) && Date.now() < last) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    now = take();
  }
  return now;
}

const sockets = () => descriptors().filter((name) => name.includes('socket:'));

async function main() {
  // This process ends in the middle of its plan, so that nothing would compare the counts.
  if (plan.kind === 'exit under workers') return kinds[plan.kind](plan);
  const warmUp = path.join(plan.directory ?? path.dirname(process.argv[2]), 'first');
  const first = plan.place ?? plan.places?.[0] ?? { path: warmUp };
  if (!canCount) {
    await whole('come and go', first);
    return kinds[plan.kind](plan);
  }
  const initial = sockets();
  await whole('come and go', first);
  await settled(sockets, (now) => isDeepStrictEqual(now, initial));
  const before = held();
  const result = await kinds[plan.kind](plan);
  // A thread of the first worker may have been counted before it ended.
  const after = await settled(
    held,
    (now) => now.descriptors <= before.descriptors && now.threads <= before.threads,
  );
  return { ...result, before, after, open: descriptors() };
}

main().then((report) => process.send(report, () => process.disconnect()));
