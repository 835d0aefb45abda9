'use strict';

const { SockhopPing } = require('../../SockhopPing.js');

/** Sends single pings and measures the time of each answer. */
class PingProbe {
  #client;
  /** The pings that wait, by their ids: @type {Map<string, function(?number): void>} */
  #waiting = new Map();
  /** Ends the pause between two pings. */
  #endPause = () => {};
  #isStopped = false;

  /** @param {SockhopClient} client connected, with the option `debug`, so that it shows pongs */
  constructor(client) {
    this.#client = client;
    client.on('received', (message) => {
      if (message?.type !== 'SockhopPong') return;
      this.#waiting.get(message.data?._id)?.(performance.now());
    });
  }

  /**
   * @param {number} timeout in ms
   * @returns {Promise<?number>} the time of the answer, in ms; null if there is none
   */
  ping(timeout) {
    if (this.#isStopped) return Promise.resolve(null);
    const ping = new SockhopPing();
    const began = performance.now();
    return new Promise((resolve) => {
      const settle = (now) => {
        clearTimeout(timer);
        this.#waiting.delete(ping._id);
        resolve(now === null ? null : now - began);
      };
      const timer = setTimeout(settle, timeout, null);
      this.#waiting.set(ping._id, settle);
      this.#client.send(ping).catch(() => settle(null));
    });
  }

  /** @returns {Promise<void>} fulfilled after the time, or by `stop()` */
  pause(ms) {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** No further pings, and no waiting for answers. */
  stop() {
    this.#isStopped = true;
    this.#endPause();
    for (const settle of this.#waiting.values()) settle(null);
  }
}

module.exports = { PingProbe };
