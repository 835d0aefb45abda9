const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

/**
 * Time of one round as this process sees it: the wall, the processor over all threads, and the
 * processor of the JavaScript thread alone (`null` where the system does not tell).
 */
class Meter {
  #wall = 0;
  #cpu = null;
  #thread = null;

  start() {
    this.#thread = threadTime();
    this.#cpu = process.cpuUsage();
    this.#wall = performance.now();
  }

  /** @returns {{ms: number, cpuUs: number, jsUs: number|null}} since `start()` */
  stop() {
    const ms = performance.now() - this.#wall;
    const { user, system } = process.cpuUsage(this.#cpu);
    const now = threadTime();
    const jsUs = now === null ? null : now - this.#thread;
    return { ms, cpuUs: user + system, jsUs };
  }
}

/** Microseconds this thread has spent on a processor, from the scheduler's own account. */
function threadTime() {
  try {
    return Number(fs.readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e3;
  } catch {
    return null;
  }
}

module.exports = { Meter };
