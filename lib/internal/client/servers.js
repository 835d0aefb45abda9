'use strict';

const { abortError } = require('../errors/errors.js');
const { serversFailed } = require('./connect-errors.js');

/** @returns {Array} the same in a random order */
function shuffled(list) {
  const order = [...list];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/** Whether the program itself has ended an attempt: no other server is tried. */
const isWanted = ({ code }) => code === 'ERR_SOCKET_DESTROYED' || code === 'ABORT_ERR';

/**
 * One attempt of a client with the option `addresses`: it tries the servers one after another,
 * until there is a connection.
 */
class MultiServerAttempt {
  #places;
  #signal;
  #connect;
  #cancel;
  /** The error with which it was cancelled: @type {?Error} */
  #cancelled = null;

  /**
   * @param {{addresses: object[], address_order: string}} options of the client, as checked
   * @param {object} how
   * @param {AbortSignal} [how.signal]
   * @param {function(object): Promise<void>} how.connect tries the server at a place
   * @param {function(Error): void} how.cancel ends the attempt that is under way
   */
  constructor({ addresses, address_order }, { signal, connect, cancel }) {
    this.#places = address_order === 'random' ? shuffled(addresses) : addresses;
    this.#signal = signal;
    this.#connect = connect;
    this.#cancel = cancel;
  }

  /** @returns {Promise<void>} rejects with the errors of all servers */
  async run() {
    const errors = [];
    for (const place of this.#places) {
      if (this.#signal?.aborted) throw abortError(this.#signal);
      try {
        await this.#connect(place);
        return;
      } catch (err) {
        if (this.#cancelled !== null) throw this.#cancelled;
        if (isWanted(err)) throw err;
        errors.push(err);
      }
    }
    throw serversFailed(errors);
  }

  /** Ends the attempt. */
  cancel(err) {
    this.#cancelled ??= err;
    this.#cancel(err);
  }
}

module.exports = { MultiServerAttempt };
