'use strict';

const { SockhopPing } = require('../../SockhopPing.js');

/** So many pings are remembered. */
const MOST = 4;

/**
 * The pings of a native connection, as a list of the program's. The native side sends them and hears the answers; what
 * the program does to the list, or to a ping in it, counts from the next beat on.
 */
class Pings {
  /** Oldest first: @type {SockhopPing[]} */
  #list = [];
  /** What the native side remembers, too: id -> SockhopPing */
  #known = new Map();

  /**
   * Brings the list up to date.
   *
   * @param {object} connection the native one
   * @returns {SockhopPing[]} always the same array
   */
  of(connection) {
    const records = connection.pings();
    for (const { id, created, returned, finished } of records) {
      let ping = this.#known.get(id);
      if (ping === undefined) {
        ping = new SockhopPing({ _id: id, _created: new Date(created) });
        this.#known.set(id, ping);
        this.#list.push(ping);
      }
      if (finished && ping.unanswered()) {
        ping._returned = JSON.parse(returned);
        ping._finished = new Date(finished);
      }
    }
    const ids = new Set(records.map(({ id }) => id));
    for (const [id, ping] of this.#known) {
      if (ids.has(id)) continue;
      this.#known.delete(id);
      const place = this.#list.indexOf(ping);
      if (place >= 0) this.#list.splice(place, 1);
    }
    while (this.#list.length > MOST) this.#list.shift();
    return this.#list;
  }

  /** A beat is due: tells the native side what the program has done since the last one. */
  tell(connection) {
    this.of(connection);
    const known = [...this.#known.values()];
    if (known.some((ping) => !this.#list.includes(ping))) {
      connection.clearPings();
      this.#known.clear();
      return;
    }
    const waiting = new Set(
      connection.pings().flatMap(({ id, finished }) => (finished ? [] : [id])),
    );
    for (const { _id, _created, _returned, _finished } of known) {
      if (_finished === null || !waiting.has(_id)) continue;
      const data = { _id, _created, _returned: _returned ?? null, _finished: null };
      connection.pong(JSON.stringify({ type: 'SockhopPong', data }));
    }
  }
}

module.exports = { Pings };
