'use strict';

const { now } = require('../real-timers.js');

/** The time between two events for one cause, in ms. */
const QUIET_MS = 10_000;
/** How many causes are remembered. */
const MAX_CAUSES = 100;

/** Counts messages that this node or the broker refuses, and reports each reason at an interval. */
class Refusals {
  #report;
  /** When each cause was reported last: @type {Map<string, number>} */
  #reported = new Map();

  count = 0;

  /** @param {function({reason: string, from: string, error: (Error|undefined)}): void} report */
  constructor(report) {
    this.#report = report;
  }

  /**
   * @param {string} reason
   * @param {string} from a node or a subject
   * @param {Error} [error]
   */
  add(reason, from, error) {
    this.count += 1;
    const last = this.#reported.get(reason);
    if (last !== undefined && now() - last < QUIET_MS) return;
    if (this.#reported.size >= MAX_CAUSES) this.#reported.clear();
    this.#reported.set(reason, now());
    this.#report(error === undefined ? { reason, from } : { reason, from, error });
  }
}

module.exports = { Refusals };
