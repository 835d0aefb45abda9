'use strict';

const { checkGroupName } = require('./subjects.js');

const noop = () => {};

/** @returns {Promise} the same, which does not end the process if the program ignores it */
function handled(promise) {
  promise.catch(noop);
  return promise;
}

/** A session of any node. Making one does no I/O, and says nothing about whether it exists. */
class SessionHandle {
  #sessions;
  #address;

  /**
   * @param {string} id
   * @param {{node: string, number: number}} address
   * @param {RemoteSessions} sessions
   */
  constructor(id, address, sessions) {
    this.#address = address;
    this.#sessions = sessions;
    this.id = id;
  }

  /** The id of its node. @type {string} */
  get node() {
    return this.#address.node;
  }

  /**
   * Sends an object to the client, as `server.send()`.
   *
   * @param {*} object
   * @param {function(*, {type: string}): void} [callback] called with the answer, at most once
   * @returns {Promise<void>} fulfilled when the kernel of its node has the message
   */
  send(object, callback) {
    return handled(this.#sessions.send(this.#address, object, callback));
  }

  /**
   * Sends a request to the client, as `server.request()`.
   *
   * @param {*} object
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<SockhopResponseReadableStream>}
   */
  request(object, config) {
    return this.#sessions.request(this.#address, object, config);
  }

  /** Ends the connection. @returns {Promise<void>} */
  kill() {
    return handled(this.#sessions.kill(this.#address));
  }

  /** @param {string} group @returns {Promise<void>} */
  join(group) {
    return handled(this.#sessions.join(this.#address, checkGroupName(group)));
  }

  /** @param {string} group @returns {Promise<void>} */
  leave(group) {
    return handled(this.#sessions.leave(this.#address, checkGroupName(group)));
  }

  /** @returns {Promise<boolean>} */
  exists() {
    return handled(this.#sessions.exists(this.#address));
  }
}

/** A group of sessions of all nodes. */
class GroupHandle {
  #actions;

  /**
   * @param {string} name
   * @param {{send: Function, count: Function, ids: Function}} actions
   */
  constructor(name, actions) {
    this.#actions = actions;
    Object.defineProperty(this, 'name', { value: checkGroupName(name), enumerable: true });
  }

  /**
   * Sends an object to all members, on all nodes.
   *
   * @param {*} object
   * @param {{except?: string | string[]}} [options]
   * @returns {Promise<void>} fulfilled when the kernel has it for the local members, and the broker
   *   for the others
   */
  send(object, options) {
    return this.#actions.send(this.name, object, options);
  }

  /** @returns {Promise<{count: number, complete: boolean, missing: string[]}>} */
  count() {
    return this.#actions.count(this.name);
  }

  /** @returns {AsyncGenerator<string, {complete: boolean, missing: string[]}>} */
  ids() {
    return this.#actions.ids(this.name);
  }
}

module.exports = { GroupHandle, SessionHandle, handled };
