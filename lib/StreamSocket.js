'use strict';

const native = require('./binding.js');
const SockhopError = require('./SockhopError.js');
const { SockhopPing } = require('./SockhopPing.js');
const { envelope } = require('./envelope.js');

const noop = () => {};
/** So many pings in a row without an answer, and the peer counts as dead. */
const UNANSWERED_LIMIT = 4;

/**
 * What a `SockhopSocket` does for a native connection, for any stream that the program gives a client:
 * a `tls.TLSSocket`, a `net.Socket`, a tunnel through a proxy. Its bytes go through the same framer.
 */
class StreamSocket {
  #stream;
  #framer;
  #pings = [];
  #messagesIn = 0;
  #messagesOut = 0;
  #bytesIn = 0;
  #bytesOut = 0;

  /**
   * @param {import('node:stream').Duplex} stream
   * @param {{terminator: string[], max_message_size: number}} options
   * @param {{receive(text: string): void, dead(): void, tooLarge(limit: number): void}} peer
   */
  constructor(stream, { terminator, max_message_size }, peer) {
    this.#stream = stream;
    this.#framer = new native.Framer(terminator[0], max_message_size);
    this.peer = peer;
    stream.on('data', (chunk) => {
      this.#bytesIn += chunk.length;
      const [text, ends, fits] = this.#framer.push(
        typeof chunk === 'string' ? Buffer.from(chunk) : chunk,
      );
      let start = 0;
      for (const end of ends) {
        if (stream.destroyed) return;
        this.#messagesIn += 1;
        peer.guarded(text.substring(start, end));
        start = end;
      }
      if (!fits) peer.tooLarge(max_message_size);
    });
  }

  start() {}

  transmit(text) {
    const stream = this.#stream;
    const promise = new Promise((resolve, reject) => {
      if (stream.destroyed || stream.writableEnded) return reject(destroyed());
      this.#messagesOut += 1;
      const bytes = Buffer.from(text);
      this.#bytesOut += bytes.length;
      stream.write(bytes, (err) => (err || stream.destroyed ? reject(destroyed()) : resolve()));
    });
    promise.catch(noop);
    return promise;
  }

  flush() {}

  /** The beat of the ping timer. */
  beat() {
    const ping = new SockhopPing();
    this.#pings.push(ping);
    while (this.#pings.length > UNANSWERED_LIMIT) this.#pings.shift();
    const lost = this.#pings.filter((sent) => sent.unanswered()).length;
    if (lost === UNANSWERED_LIMIT) this.peer.dead();
    else
      this.transmit(this.peer.terminated(this.peer.bare ? JSON.stringify(ping) : envelope(ping)));
  }

  clearPings() {
    this.#pings = [];
  }

  get pings() {
    return this.#pings;
  }

  pong(data) {
    for (const ping of this.#pings) ping.conclude_with_pong(data);
  }

  traffic() {
    return {
      messages_received: this.#messagesIn,
      messages_sent: this.#messagesOut,
      bytes_received: this.#bytesIn,
      bytes_sent: this.#bytesOut,
      queued_bytes: this.#stream.writableLength ?? 0,
    };
  }
}

const destroyed = () => new SockhopError('Socket was destroyed', 'ERR_SOCKET_DESTROYED');

module.exports = { StreamSocket };
