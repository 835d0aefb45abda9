'use strict';

const { onAbort } = require('../abort-signals.js');
const { abortError } = require('../errors/errors.js');
const { makeChannel } = require('../messaging/channels.js');
const { RichFrame } = require('../messaging/rich-sender.js');
const { kTakeQueued, kTransmit, kTransmitFrame, kWriteBytes } = require('../symbols.js');
const { UnavailableTransport } = require('../transport/transport.js');
const { offlineQueueFull, waitedTooLong } = require('./connect-errors.js');

const noop = () => {};

/** A message that waits for a connection. */
class QueuedMessage {
  #queue;
  #resolve;
  #reject;
  /** Stops its own timeout and signal. */
  #stopLimits = noop;

  /**
   * @param {OfflineQueue} queue
   * @param {string|Buffer|RichFrame} content the frame with its terminator
   * @param {boolean} isAwaited whether an answer is waited for
   */
  constructor(queue, content, isAwaited) {
    this.#queue = queue;
    this.content = content;
    this.isAwaited = isAwaited;
    this.length = content instanceof RichFrame ? content.length : Buffer.byteLength(content);
    /** Settled as the promise of `send()` is: @type {Promise<null>} */
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Like every promise of send(), it may be ignored.
    this.promise.catch(noop);
  }

  /** Whether it was not written to a socket yet. */
  get isWaiting() {
    return this.#queue.has(this);
  }

  /** Gives it to a channel. */
  leave(channel) {
    this.#stopLimits();
    this.#send(channel).then(this.#resolve, this.#reject);
  }

  #send({ transport, codec }) {
    const { content, isAwaited } = this;
    if (typeof content === 'string') return transport[kTransmit](content, isAwaited);
    return content instanceof RichFrame
      ? codec.sendFrame(content, isAwaited)
      : transport[kWriteBytes](content);
  }

  /** Takes it out of the queue, if it is still there. */
  withdraw(err) {
    if (!this.#queue.delete(this)) return;
    this.#stopLimits();
    this.#reject(err);
  }

  /**
   * Limits the time that it waits.
   *
   * @param {{timeout?: number, signal?: AbortSignal}} limits
   */
  limit({ timeout, signal }) {
    const stopListening = onAbort(signal, () => this.withdraw(abortError(signal)));
    const timer = timeout && setTimeout(() => this.withdraw(waitedTooLong(timeout)), timeout);
    timer?.unref?.();
    this.#stopLimits = () => {
      stopListening();
      clearTimeout(timer);
    };
  }
}

/**
 * The messages of a client that were not written to a socket yet. They leave in order when there is
 * a connection.
 *
 * It is the transport of a message channel, which serializes the messages when the program sends
 * them, and keeps their callbacks.
 *
 * @implements {Transport}
 */
class OfflineQueue extends UnavailableTransport {
  #handlers;
  /** @type {Set<QueuedMessage>} in order */
  #messages = new Set();
  #bytes = 0;
  /** The message that was queued last, until it is asked for. */
  #last = null;
  /** Made by the first message after a connection: @type {?MessageChannel} */
  #channel = null;

  /** @param {object} handlers of the client, with its options */
  constructor(handlers) {
    super(noop);
    this.#handlers = handlers;
  }

  get length() {
    return this.#messages.size;
  }

  get bytes() {
    return this.#bytes;
  }

  /** The channel whose messages wait here; null if there was none since the last connection. */
  get currentChannel() {
    return this.#channel;
  }

  /** The channel for messages that are to wait: @type {MessageChannel} */
  get channel() {
    if (this.#channel === null) {
      this.#channel = makeChannel(this.#handlers, this.#handlers.options);
      this.#channel.transport = this;
    }
    return this.#channel;
  }

  has(message) {
    return this.#messages.has(message);
  }

  /** @returns {boolean} whether it was there */
  delete(message) {
    if (!this.#messages.delete(message)) return false;
    this.#bytes -= message.length;
    return true;
  }

  [kTransmit](text, isAwaited) {
    return this.#add(new QueuedMessage(this, text, isAwaited));
  }

  [kTransmitFrame](frame, isAwaited) {
    return this.#add(new QueuedMessage(this, frame, isAwaited));
  }

  [kWriteBytes](bytes) {
    return this.#add(new QueuedMessage(this, bytes, false));
  }

  /** The message that was sent since the last call, if there was one. */
  [kTakeQueued]() {
    const last = this.#last;
    this.#last = null;
    return last;
  }

  #add(message) {
    this.#last = null;
    if (this.#isFull(message.length)) {
      const err = offlineQueueFull(this.length, this.#bytes);
      const promise = Promise.reject(this.#handlers.limits.count(err));
      promise.catch(noop);
      return promise;
    }
    this.#messages.add(message);
    this.#bytes += message.length;
    this.#last = message;
    return message.promise;
  }

  /** A queue that only bridges an attempt to connect has no limits, as any connecting socket. */
  #isFull(length) {
    const { offline_queue, offline_queue_bytes } = this.#handlers.options;
    if (offline_queue === 0) return false;
    return this.length >= offline_queue || this.#bytes + length > offline_queue_bytes;
  }

  /** Gives all messages to a channel that has a connection, and the answers they wait for. */
  leaveBy(channel) {
    if (this.#channel === null) return;
    channel.takeOver(this.#channel);
    this.#channel = null;
    this.#last = null;
    for (const message of this.#messages) {
      this.delete(message);
      message.leave(channel);
    }
  }

  /** The program disconnects, so nothing is sent. */
  discard(err) {
    for (const message of this.#messages) message.withdraw(err);
    this.#channel?.close();
    this.#channel = null;
  }
}

module.exports = { OfflineQueue };
