'use strict';

/**
 * The pings of a server by its sockets, as they are when the program reads them. A change to the
 * map is one to the pings that were sent, as in 1.8.4.
 */
class PingsOfSockets extends Map {
  /**
   * @param {net.Socket[]} sockets
   * @param {function(net.Socket): ?MessageChannel} channelOf
   */
  constructor(sockets, channelOf) {
    super();
    for (const socket of sockets) super.set(socket, channelOf(socket)?.pings ?? []);
  }

  /** @param {SockhopPing[]} pings takes the place of those that were sent */
  set(socket, pings) {
    const sent = this.get(socket);
    if (sent === undefined || !Array.isArray(pings)) return super.set(socket, pings);
    sent.splice(0, sent.length, ...pings);
    return this;
  }

  delete(socket) {
    this.set(socket, []);
    return super.delete(socket);
  }

  clear() {
    for (const socket of [...this.keys()]) this.delete(socket);
  }
}

module.exports = { PingsOfSockets };
