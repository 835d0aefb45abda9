// The part of a node that serves the benchmark: it answers calls over the channel to its parent
// process, and measures the processor time of the process and of its JavaScript thread.

const cluster = require('node:cluster');
const { readFileSync } = require('node:fs');

/** Processor time of the JavaScript thread so far, in microseconds. */
function threadTime() {
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ');
  return Number(nanoseconds) / 1000;
}

function processTime() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Runs an operation a number of times, with some of them in flight. */
async function repeat(count, inFlight, act) {
  let next = 0;
  const work = async () => {
    while (next < count) {
      next += 1;
      await act(next - 1);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
}

/**
 * @param {object} actions of the program. All have `broadcast(data)`, servers also `port()` and
 *   `ready(count)`. What can be called has `ids()` and `call(id, data)`, and what has groups
 *   `joinGroups(count, part)`, `toGroup(group, data)` and `change(id, group)`
 */
function serveCommands(actions) {
  const commands = {
    ...actions,
    times: () => ({ process: processTime(), thread: threadTime() }),
    heap: () => {
      global.gc();
      global.gc();
      return process.memoryUsage().heapUsed;
    },
    /** Sends messages, of which the kernel or the broker has taken all at the end. */
    send: async (count, data) => {
      const sent = [];
      for (let n = 0; n < count; n += 1) sent.push(actions.broadcast(data));
      await Promise.all(sent);
    },
    /** Sends messages to groups by turns, from the one of that number on. */
    sendToGroups: async (first, count, groups, data) => {
      const sent = [];
      for (let n = first; n < first + count; n += 1) {
        sent.push(actions.toGroup(`group ${n % groups}`, data));
      }
      await Promise.all(sent);
    },
    /** Calls a client of another node; resolves with the median time in ms. */
    calls: async (id, count, inFlight) => {
      const spent = [];
      await repeat(count, inFlight, async (n) => {
        const start = performance.now();
        await actions.call(id, { n });
        spent.push(performance.now() - start);
      });
      spent.sort((a, b) => a - b);
      return { median: spent[spent.length >> 1] };
    },
    /** Makes sessions join groups and leave them; resolves with the number of changes. */
    changes: async (ids, count, inFlight) => {
      await repeat(count / 2, inFlight, (n) => actions.change(ids[n % ids.length], `change ${n}`));
      return count;
    },
  };
  process.on('message', async ({ call, method, args }) => {
    if (call === undefined) return;
    try {
      process.send({ call, result: (await commands[method](...args)) ?? null });
    } catch (err) {
      process.send({ call, error: err.stack });
    }
  });
  process.send({ ready: true });
}

/** In a primary of node:cluster: forks workers on command, and passes calls and answers on. */
function forkWorkers(argument) {
  cluster.setupPrimary({ args: [argument], execArgv: ['--expose-gc'] });
  process.on('message', ({ fork, worker: id, ...message }) => {
    if (!fork) return cluster.workers[id].send(message);
    const worker = cluster.fork();
    worker.on('message', (answer) => {
      if (answer.ready || answer.call !== undefined) process.send({ worker: worker.id, ...answer });
    });
  });
  process.on('disconnect', () => process.exit());
}

module.exports = { forkWorkers, serveCommands };
