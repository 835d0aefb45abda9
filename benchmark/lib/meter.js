const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

/**
 * Measures a round in this process: elapsed time, processor time of all threads, and processor time
 * of the JavaScript thread alone (`null` if the system does not report it).
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

/** The processor time of this thread in microseconds, as counted by the scheduler. */
function threadTime() {
  try {
    return Number(fs.readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e3;
  } catch {
    return null;
  }
}

module.exports = { Meter };
