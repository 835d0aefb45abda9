'use strict';

/** How many messages are asked for at once. */
const BATCH = 64;
const TIMEOUT_MS = 5000;
/** The code with which the server says that there is a stream of that name, with other limits. */
const EXISTS = 10058;
const NOT_FOUND = 404;

/** A log of the messages of one subject: a stream of JetStream, by its requests. */
class JetStreamLog {
  #connection;
  #name;

  /**
   * @param {object} connection of `@nats-io/transport-node` or `nats`
   * @param {string} subject
   */
  constructor(connection, subject) {
    this.#connection = connection;
    this.#name = subject.replaceAll('.', '_');
  }

  /** @param {string} subject @param {number} length messages that it keeps */
  async create(subject, length) {
    const { error } = await this.#ask('STREAM.CREATE', {
      name: this.#name,
      subjects: [subject],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      max_msgs: length,
      num_replicas: 1,
      // The publications have no room for an answer.
      no_ack: true,
    });
    if (error !== undefined && error.err_code !== EXISTS) throw refused(error.description);
  }

  async #ask(what, body) {
    const subject = `$JS.API.${what}.${this.#name}`;
    let answer;
    try {
      answer = await this.#connection.request(subject, Buffer.from(JSON.stringify(body)), {
        timeout: TIMEOUT_MS,
      });
    } catch (err) {
      throw refused(err.message, err);
    }
    return JSON.parse(Buffer.from(answer.data).toString());
  }

  async #state() {
    const { state, error } = await this.#ask('STREAM.INFO', {});
    if (state === undefined) throw refused(error?.description);
    return state;
  }

  /** @returns {Promise<number>} the number of its last message */
  async position() {
    return (await this.#state()).last_seq;
  }

  /** @param {number} position @returns {AsyncGenerator<Uint8Array>} the messages after it */
  async *read(position) {
    const { first_seq: first, last_seq: last } = await this.#state();
    // A smaller number is that of a new log.
    const start = last < position ? first : Math.max(first, position + 1);
    for (let from = start; from <= last; from += BATCH) {
      const count = Math.min(BATCH, last - from + 1);
      const batch = Array.from({ length: count }, (_, n) => this.#get(from + n));
      for (const bytes of await Promise.all(batch)) if (bytes !== null) yield bytes;
    }
  }

  async #get(seq) {
    const { message, error } = await this.#ask('STREAM.MSG.GET', { seq });
    if (error !== undefined && error.code !== NOT_FOUND) throw refused(error.description);
    return message === undefined ? null : Buffer.from(message.data, 'base64');
  }
}

const refused = (reason, cause) =>
  new Error(
    `"replay" needs JetStream (nats-server -js) and the permission to publish to "$JS.API.>": ${reason}`,
    { cause },
  );

module.exports = { JetStreamLog };
