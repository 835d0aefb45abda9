const { monitorEventLoopDelay } = require('node:perf_hooks');

/** The length above which turns are not distinguished, in microseconds. */
const LONGEST_US = 100_000;

/**
 * Measures how long an event at a random moment waits for the event loop: until the current turn
 * ends. The loop does not sleep meanwhile, so the time that the system takes to wake a thread is
 * not counted. No timer is involved, because those of libuv count whole milliseconds.
 */
class LoopDelay {
  /** How many turns there were of each length in microseconds. */
  #turns = new Float64Array(LONGEST_US + 1);
  #histogram = monitorEventLoopDelay({ resolution: 1 });
  #isOn = false;
  #begin = 0n;
  #last = 0n;

  start() {
    this.#turns.fill(0);
    this.#histogram.reset();
    this.#histogram.enable();
    this.#isOn = true;
    this.#begin = process.hrtime.bigint();
    this.#last = this.#begin;
    setImmediate(() => this.#turn());
  }

  #turn() {
    const now = process.hrtime.bigint();
    const length = Math.round(Number(now - this.#last) / 1e3);
    this.#turns[Math.min(LONGEST_US, length)] += 1;
    this.#last = now;
    if (this.#isOn) setImmediate(() => this.#turn());
  }

  /**
   * @returns {{p99Ms: number, timerP99Ms: number}} since `start()`; the second is that of
   *   `monitorEventLoopDelay`, which includes the millisecond of its timer
   */
  stop() {
    this.#isOn = false;
    this.#histogram.disable();
    const wholeUs = Number(this.#last - this.#begin) / 1e3;
    return {
      p99Ms: waitingTime(this.#turns, wholeUs, 0.99) / 1e3,
      timerP99Ms: this.#histogram.percentile(99) / 1e6,
    };
  }
}

/**
 * How long events wait at most, if a part of them is left out. An event may come at any moment, and
 * waits until the turn ends.
 *
 * @param {ArrayLike<number>} turns how many turns there were of each length in microseconds
 * @param {number} wholeUs the time that all turns took
 * @param {number} part of the events that wait no longer
 * @returns {number} in microseconds
 */
function waitingTime(turns, wholeUs, part) {
  const most = wholeUs * (1 - part);
  let time = turns.length - 1;
  // The number of turns that are longer, and by how much in all.
  let longer = 0;
  let beyond = 0;
  for (; time > 0; time -= 1) {
    longer += turns[time];
    beyond += longer;
    if (beyond > most) break;
  }
  return time;
}

module.exports = { LoopDelay, waitingTime };
