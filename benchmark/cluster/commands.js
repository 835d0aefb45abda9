// What a node does for the benchmark: it answers calls over the channel to its parent process, and
// measures the processor time of itself and of its JavaScript thread.

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

/**
 * @param {object} actions of the server: `port()`, `ready(count)`, `broadcast(data)`, and of this
 *   package also `ids()`, `call(id, data)`, `join(count, group)`, `toGroup(group, data)`
 */
function serveCommands(actions) {
  const commands = {
    ...actions,
    times: () => ({ process: processTime(), thread: threadTime() }),
    /** Sends messages, of which the kernel or the broker has taken all at the end. */
    send: async (count, data) => {
      const sent = [];
      for (let n = 0; n < count; n += 1) sent.push(actions.broadcast(data));
      await Promise.all(sent);
    },
    sendToGroups: async (count, groups, data) => {
      const sent = [];
      for (let n = 0; n < count; n += 1) sent.push(actions.toGroup(`group ${n % groups}`, data));
      await Promise.all(sent);
    },
    /** Calls a client of another node, with some calls in flight; resolves with times in ms. */
    calls: async (id, count, inFlight) => {
      const times = [];
      let next = 0;
      const began = performance.now();
      const work = async () => {
        while (next < count) {
          next += 1;
          const start = performance.now();
          await actions.call(id, { n: next });
          times.push(performance.now() - start);
        }
      };
      await Promise.all(Array.from({ length: inFlight }, work));
      times.sort((a, b) => a - b);
      return {
        median: times[times.length >> 1],
        rate: (count / (performance.now() - began)) * 1000,
      };
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
  cluster.setupPrimary({ args: [argument] });
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
