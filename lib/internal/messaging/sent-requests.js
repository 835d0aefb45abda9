'use strict';

const { onAbort } = require('../abort-signals.js');
const { SockhopRequest, SockhopResponseReadableStream } = require('../../SockhopRequest.js');
const { Backlog, awaitsPackets } = require('./backlog.js');
const { chainable } = require('./bare-then.js');
const { responseStopped, responseTimedOut } = require('./channel-errors.js');
const { abortError, socketDestroyed } = require('../errors/errors.js');
const { normalizeRequestOptions } = require('../options/options.js');
const {
  kBacklog,
  kEndHeld,
  kHoldPackets,
  kQueued,
  kReleasePackets,
  kTakeQueued,
} = require('../symbols.js');
const { setImmediate } = require('../real-timers.js');

const noop = () => {};

/**
 * The requests that are sent over one channel. Their response streams are kept by its client or
 * server.
 */
class SentRequests {
  #channel;
  #handlers;
  #backlog;

  /**
   * @param {MessageChannel} channel
   * @param {ChannelHandlers} handlers
   */
  constructor(channel, handlers) {
    this.#channel = channel;
    this.#handlers = handlers;
    this.#backlog = new Backlog(
      channel,
      () => channel.pendingCallbacks > 0 || this.#hasStreamWithoutPackets(),
    );
  }

  /** A callback has begun to wait: it must not wait for packets that the program does not take. */
  reviewBacklog() {
    this.#backlog.review();
  }

  #hasStreamWithoutPackets() {
    const streams = this.#handlers.responseStreams(this.#channel)?._map.values() ?? [];
    for (const [stream] of streams) if (awaitsPackets(stream)) return true;
    return false;
  }

  /** This channel sends the requests of another channel of this client from now on. */
  takeOver(other) {
    const streams = this.#handlers.responseStreams(this.#channel)?._map.values() ?? [];
    for (const [stream] of streams) {
      if (stream[kBacklog] === other.#backlog) stream[kBacklog] = this.#backlog;
    }
  }

  /**
   * @param {*} data
   * @param {{timeout?: number, signal?: AbortSignal}} [config]
   * @returns {Promise<SockhopResponseReadableStream>}
   */
  send(data, config) {
    return chainable(this.#send(data, config));
  }

  async #send(data, config) {
    const { timeout, signal } = normalizeRequestOptions(config);
    if (signal?.aborted) throw abortError(signal);
    const request = SockhopRequest.from_data(data);
    const stream = SockhopResponseReadableStream.from_request(request);
    const streams = this.#handlers.responseStreams(this.#channel);
    if (!streams) throw socketDestroyed();
    stream[kBacklog] = this.#backlog;
    // The answer may arrive before the program has the stream.
    stream[kHoldPackets]();
    // Sending may have to wait for a peer that does not read, but no longer than the answer may
    // take.
    let stopWaiting = noop;
    const giveUp = (err) => {
      stream[kQueued]?.withdraw(err);
      stream[kEndHeld](err);
      stopWaiting();
    };
    const onRemoved = (reason) => {
      if (reason === 'timed-out') giveUp(responseTimedOut());
      else if (reason !== 'deleted') {
        const err = responseStopped(reason);
        stream[kQueued]?.withdraw(err);
        stream[kEndHeld](err);
      }
    };
    streams.set(stream.uuid, stream, onRemoved, timeout);
    this.#backlog.review();
    const stopListening = onAbort(signal, () => giveUp(abortError(signal)));
    stream.once('end', () => {
      stopListening();
      streams.delete(stream.uuid);
    });
    try {
      const message = { type: 'SockhopRequest', data: request };
      this.#channel.transport[kTakeQueued]?.();
      const sent = this.#handlers.callSendMessage(this.#channel, message);
      const queued = this.#channel.transport[kTakeQueued]?.() ?? null;
      if (queued !== null) stream[kQueued] = queued;
      await new Promise((resolve, reject) => {
        stopWaiting = resolve;
        Promise.resolve(sent).then(resolve, reject);
      });
    } catch (err) {
      stream[kReleasePackets]();
      stream.end();
      throw err;
    }
    setImmediate(() => stream[kReleasePackets]());
    return stream;
  }
}

module.exports = { SentRequests };
