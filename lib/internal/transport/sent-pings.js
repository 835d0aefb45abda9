'use strict';

const { SockhopPing } = require('../../SockhopPing.js');
const { UNANSWERED_LIMIT } = require('../native/classes.js');

/**
 * The pings of a native connection as a list for the program. The native side sends the pings and
 * receives the pongs. A change that the program makes to the list, or to a ping in it, takes effect
 * with the next ping.
 */
class SentPings {
  /** Oldest first: @type {SockhopPing[]} */
  #pings = [];
  /** The pings that the native side also remembers: id -> SockhopPing */
  #byId = new Map();
  /** The pings that the native side knows as concluded. @type {WeakSet<SockhopPing>} */
  #concluded = new WeakSet();

  /**
   * Takes over the state of the native side.
   *
   * @param {object} connection the native connection
   * @returns {SockhopPing[]} always the same array
   */
  update(connection) {
    const records = connection.pings();
    let hasNew = false;
    for (const { id, created, returned, finished } of records) {
      let ping = this.#byId.get(id);
      if (ping === undefined) {
        ping = new SockhopPing({ _id: id, _created: new Date(created) });
        this.#byId.set(id, ping);
        hasNew = true;
        this.#pings.push(ping);
      }
      if (finished && !this.#concluded.has(ping)) {
        this.#concluded.add(ping);
        // This calls the methods of the ping, which a program may have replaced.
        if (!ping.unanswered()) continue;
        ping.conclude_with_pong({ _id: id, _returned: JSON.parse(returned) });
        if (!ping.unanswered()) ping._finished = new Date(finished);
      }
    }
    const ids = new Set(records.map(({ id }) => id));
    for (const [id, ping] of this.#byId) {
      if (ids.has(id)) continue;
      this.#byId.delete(id);
      const index = this.#pings.indexOf(ping);
      if (index >= 0) this.#pings.splice(index, 1);
    }
    // Pings that the program puts into the list itself count with the next ping.
    while (hasNew && this.#pings.length > UNANSWERED_LIMIT) this.#pings.shift();
    return this.#pings;
  }

  /**
   * Concludes the pings that the program has put into the list, which the native side does not
   * know.
   */
  answered(pong) {
    for (const ping of this.#pings) {
      if (!this.#byId.has(ping?._id)) ping?.conclude_with_pong?.(pong);
    }
  }

  /** Gives the native side the changes that the program has made since the last ping. */
  applyProgramChanges(connection) {
    this.update(connection);
    const known = [...this.#byId.values()];
    if (known.some((ping) => !this.#pings.includes(ping))) {
      connection.clearPings();
      this.#byId.clear();
      return;
    }
    const waiting = new Set(
      connection.pings().flatMap(({ id, finished }) => (finished ? [] : [id])),
    );
    for (const ping of known) {
      const { _id, _created, _returned } = ping;
      if (!waiting.has(_id) || ping.unanswered()) continue;
      const data = { _id, _created, _returned: _returned ?? null, _finished: null };
      connection.pong(JSON.stringify({ type: 'SockhopPong', data }));
    }
  }
}

module.exports = { SentPings };
