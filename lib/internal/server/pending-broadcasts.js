'use strict';

const { broadcasts } = require('../native/dispatcher.js');

/**
 * The broadcasts of a server whose promises are not fulfilled yet.
 *
 * Several threads write them, so the native side may report a broadcast before the one that was
 * called before it. As in 1.8.4, the promises are fulfilled in the order of the calls.
 */
class PendingBroadcasts {
  /** A list from the oldest to the newest: each has the `next` one. */
  #oldest = null;
  #newest = null;

  /**
   * @param {number} id of the broadcast, which the native side reports
   * @param {number} count of its clients
   * @returns {Promise<null[]>} fulfilled when the native side has reported this broadcast and all
   *   that were added before it
   */
  add(id, count) {
    return new Promise((resolve) => {
      const broadcast = { count, resolve, isDone: false, next: null };
      if (this.#oldest === null) this.#oldest = broadcast;
      else this.#newest.next = broadcast;
      this.#newest = broadcast;
      broadcasts.set(id, () => {
        broadcast.isDone = true;
        this.#fulfill();
      });
    });
  }

  #fulfill() {
    while (this.#oldest?.isDone) {
      const { count, next, resolve } = this.#oldest;
      // Otherwise a broadcast in the old generation would keep later ones from being collected
      // young.
      this.#oldest.next = null;
      this.#oldest = next;
      resolve(new Array(count).fill(null));
    }
    if (this.#oldest === null) this.#newest = null;
  }
}

module.exports = { PendingBroadcasts };
