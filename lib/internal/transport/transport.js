'use strict';

const {
  kClearPings,
  kFlush,
  kHasCustomWrite,
  kHasShownPings,
  kMayTransmitBinary,
  kMayTransmitFrames,
  kNextPing,
  kOfferBinary,
  kOnPong,
  kPings,
  kReleaseRetained,
  kRetain,
  kRoundTrip,
  kSetBytesOnly,
  kSetShowControl,
  kStartReading,
  kTraffic,
  kTransmit,
  kTransmitBinary,
  kTransmitControl,
  kTransmitFrame,
  kUncountFrame,
  kWriteBytes,
} = require('../symbols.js');

/**
 * The connection of a message channel, as the channel uses it. There are two kinds:
 *
 * - native: a `SockhopSocket`. The native side reads, finds frames, writes, and sends and answers
 *   pings;
 * - stream: a `StreamTransport` around a stream that the program brings. JavaScript does all of
 *   that.
 *
 * `UnavailableTransport` is used where there is no connection.
 *
 * @typedef {object} Transport
 * @property {function(string, boolean=): Promise<null>} kTransmit sends the text of a frame with
 *   its terminator; the second argument says whether the peer or this side waits for an answer.
 *   Fulfilled when the kernel or the stream has the text
 * @property {function(boolean): Promise<null>} kTransmitBinary sends the message that the encoder of
 *   the codec has written
 * @property {function(RichFrame, boolean): Promise<null>} [kTransmitFrame] sends a message with rich
 *   values; not of a native connection
 * @property {boolean} [kMayTransmitFrames] whether the peer of a stream can get such messages: then
 *   its own are read from now on
 * @property {function(string): void} kTransmitControl sends a text frame that is not a message
 * @property {boolean} kMayTransmitBinary whether messages can be sent as binary frames
 * @property {function(): boolean} kOfferBinary accepts binary frames of the peer from now on; false
 *   if that is not possible
 * @property {function(): void} kUncountFrame the last received frame was not a message
 * @property {function(Buffer): Promise<null>} kWriteBytes sends the bytes of a message that the
 *   program has encoded
 * @property {function(): ?QueuedMessage} [kTakeQueued] the message that was sent last, if it waits
 *   for a connection; only of a client's offline queue
 * @property {function(): void} kFlush hands over the messages of a burst now
 * @property {function(): void} kStartReading begins to give frames to the channel
 * @property {function(boolean): void} kSetShowControl whether the channel also gets the pings and
 *   pongs of the peer
 * @property {function(): void} kSetBytesOnly gives bytes to the channel instead of frames; before
 *   `kStartReading`
 * @property {function(number): void} kRetain counts bytes that were delivered as unread again: past
 *   "receive_high_water_mark" reading stops
 * @property {function(number): void} kReleaseRetained takes back a part of that
 * @property {function(boolean): ?SockhopPing} kNextPing the interval of `ping()` has passed. The
 *   argument says whether the program's own methods send pings. Returns the ping to be sent; null
 *   if there is none, or the native side sends it
 * @property {SockhopPing[]} kPings the last pings that were sent, oldest first
 * @property {boolean} kHasShownPings whether the program has read `kPings` and may have changed
 *   them
 * @property {function(): void} kClearPings forgets the pings that were sent
 * @property {function(object, string): void} kOnPong takes a pong that was given to the channel, as
 *   message and text
 * @property {boolean} kHasCustomWrite whether the program has replaced `write()`
 * @property {function(): object} kTraffic the counters of the connection
 * @property {function(): ?number} kRoundTrip the time that the last answered ping took, in ms
 */

/**
 * The transport of a channel without a connection: everything that is sent is rejected.
 *
 * @implements {Transport}
 */
class UnavailableTransport {
  #reject;

  /** @param {function(): Promise<never>} reject makes the promise of each message */
  constructor(reject) {
    this.#reject = reject;
  }

  [kTransmit]() {
    return this.#reject();
  }

  [kTransmitBinary]() {
    return this.#reject();
  }

  get [kMayTransmitFrames]() {
    return false;
  }

  [kTransmitFrame]() {
    return this.#reject();
  }

  [kTransmitControl]() {}

  get [kMayTransmitBinary]() {
    return false;
  }

  [kOfferBinary]() {
    return false;
  }

  [kUncountFrame]() {}

  [kWriteBytes]() {
    return this.#reject();
  }

  [kFlush]() {}

  [kStartReading]() {}

  [kSetShowControl]() {}

  [kSetBytesOnly]() {}

  [kRetain]() {}

  [kReleaseRetained]() {}

  [kNextPing]() {
    return null;
  }

  get [kPings]() {
    return [];
  }

  get [kHasShownPings]() {
    return false;
  }

  [kClearPings]() {}

  [kOnPong]() {}

  get [kHasCustomWrite]() {
    return false;
  }

  [kTraffic]() {
    return { queued_bytes: 0 };
  }

  [kRoundTrip]() {
    return null;
  }
}

module.exports = { UnavailableTransport };
