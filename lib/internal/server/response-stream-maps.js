'use strict';

const { kSize } = require('../symbols.js');
const TimedMap = require('../../TimedMap.js');

/**
 * The response streams that wait for packets, by the sockets of a server. Each socket is set with
 * `null`, and its map is made when it is looked up, because most sockets send no request.
 */
class ResponseStreamMaps extends Map {
  #server;
  #timeout;

  /**
   * @param {SockhopServer} server has the time that a program may change
   * @param {number} timeout how long a stream waits if the program has set no time, in ms
   */
  constructor(server, timeout) {
    super();
    this.#server = server;
    this.#timeout = timeout;
  }

  /** @returns {TimedMap|undefined} */
  get(socket) {
    const streams = super.get(socket);
    if (streams !== null) return streams;
    const timeout = this.#server._res_stream_timeout || this.#timeout;
    const made = new TimedMap({ timeout, ref: false });
    this.set(socket, made);
    return made;
  }

  values() {
    this.#makeAll();
    return super.values();
  }

  entries() {
    this.#makeAll();
    return super.entries();
  }

  [Symbol.iterator]() {
    return this.entries();
  }

  forEach(visit, thisArg) {
    this.#makeAll();
    super.forEach(visit, thisArg);
  }

  #makeAll() {
    for (const socket of this.keys()) this.get(socket);
  }

  /** The number of streams that wait. */
  get [kSize]() {
    let size = 0;
    for (const streams of super.values()) size += streams?.[kSize] ?? 0;
    return size;
  }
}

module.exports = { ResponseStreamMaps };
