'use strict';

/** How many characters of answers may be on their way to another node. */
const WINDOW = 1024 * 1024;

/**
 * The requests that other nodes have sent to clients of this one: passes the packets of the answers
 * on, and waits when the other node does not take them.
 */
class AnsweredRequests {
  #server;
  #reply;
  /** The requests, by node and ticket. @type {Map<string, object>} */
  #streams = new Map();

  /**
   * @param {SockhopServer} server
   * @param {function(string, string, object, object): boolean} reply sends to another node
   */
  constructor(server, reply) {
    this.#server = server;
    this.#reply = reply;
  }

  /**
   * @param {net.Socket} socket
   * @param {*} object
   * @param {{node: string, ticket: number, timeout: (number|undefined)}} asker
   * @returns {Promise<void>} fulfilled when the request is sent
   */
  async start(socket, object, { node, ticket, timeout }) {
    const stream = await this.#server.request(socket, object, { timeout });
    const key = `${node} ${ticket}`;
    const entry = { node, stream, sent: 0, taken: 0, resume: null };
    this.#streams.set(key, entry);
    this.#pass(entry, node, ticket).finally(() => this.#streams.delete(key));
  }

  /** Passes the packets of an answer on, and then its end. */
  async #pass(entry, node, ticket) {
    let count = 0;
    let failure;
    try {
      for await (const { data, type } of entry.stream) {
        const json = JSON.stringify(data) ?? '';
        if (entry.sent - entry.taken > WINDOW) {
          await new Promise((resolve) => {
            entry.resume = resolve;
          });
        }
        if (entry.isStopped) return;
        count += 1;
        if (!this.#reply(node, 'P', { k: ticket, n: count }, { type: type ?? '', json })) return;
        entry.sent += json.length;
      }
    } catch (err) {
      failure = { code: err?.code ?? 'ERR_RESPONSE_ENDED', message: err?.message };
    }
    if (!entry.isStopped) this.#reply(node, 'X', { k: ticket, n: count, ...failure });
  }

  /**
   * The asking node has taken packets, or wants no more.
   *
   * @param {string} node
   * @param {{k: number, w?: number, stop?: boolean}} extra
   */
  control(node, { k, w, stop }) {
    const entry = this.#streams.get(`${node} ${k}`);
    if (entry === undefined) return;
    if (Number.isSafeInteger(w)) entry.taken = Math.max(entry.taken, w);
    if (stop === true) this.#stop(entry);
    else if (entry.sent - entry.taken <= WINDOW) this.#resume(entry);
  }

  #stop(entry) {
    entry.isStopped = true;
    entry.stream.end();
    this.#resume(entry);
  }

  #resume(entry) {
    entry.resume?.();
    entry.resume = null;
  }

  endNode(node) {
    for (const entry of this.#streams.values()) if (entry.node === node) this.#stop(entry);
  }

  close() {
    for (const entry of this.#streams.values()) this.#stop(entry);
  }
}

module.exports = { AnsweredRequests };
