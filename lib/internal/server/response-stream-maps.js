'use strict';

const TimedMap = require('../../TimedMap.js');

/**
 * The response streams that wait for packets, by the sockets of a server. The map of a socket is
 * made when it is first looked up, because most sockets send no request.
 */
class ResponseStreamMaps extends Map {
  #server;
  #timeout;

  /**
   * @param {SockhopServer} server lists the sockets, and has the time that a program may change
   * @param {number} timeout how long a stream waits if the program has set no time, in ms
   */
  constructor(server, timeout) {
    super();
    this.#server = server;
    this.#timeout = timeout;
  }

  /** @returns {TimedMap|undefined} undefined for a socket that is not listed */
  get(socket) {
    const streams = super.get(socket);
    if (streams !== undefined || !this.#server._sockets.includes(socket)) return streams;
    const timeout = this.#server._res_stream_timeout || this.#timeout;
    const made = new TimedMap({ timeout, ref: false });
    this.set(socket, made);
    return made;
  }
}

module.exports = { ResponseStreamMaps };
