'use strict';

const WIDTH = 30;
const INTERVAL_MS = 200;

/** Shows on the terminal how far something is; on anything else it shows nothing. */
class ProgressBar {
  #timer = null;
  #look;

  /** @param {function(): {part: number, text: string}} look asked several times a second */
  constructor(look) {
    this.#look = look;
    if (!process.stderr.isTTY) return;
    this.#timer = setInterval(() => this.#draw(), INTERVAL_MS);
    this.#timer.unref();
  }

  #draw() {
    const { part, text } = this.#look();
    const filled = Math.round(Math.min(Math.max(part, 0), 1) * WIDTH);
    const bar = `${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}`;
    process.stderr.write(`\r\u001b[K[${bar}] ${text}`);
  }

  /** Removes it. */
  end() {
    if (this.#timer === null) return;
    clearInterval(this.#timer);
    process.stderr.write('\r\u001b[K');
  }
}

module.exports = { ProgressBar };
