'use strict';

/**
 * The state of reading that differs from its initial value on few sockets: those that a program
 * reads itself, or decodes. The others share one object, which keeps an idle connection small.
 */
class Reading {
  /** While the program reads before its session has started: @type {?PreSessionReader} */
  preSessionReader = null;
  /** Whether the program has called `resume()` without listening to bytes. */
  resumedByProgram = false;
  /** Whether the channel also gets pings and pongs. */
  showsControl = false;
  /** Whether the channel gets bytes, because the program decodes them. */
  bytesOnly = false;
  /** Whether the program has removed the package's listener of `data`, see `listeners()`. */
  isListenerRemoved = false;
  /** The package's listener of `data`, made when the program asks for the listeners. */
  ownListener = null;
  /** Whether the program listens to raw bytes. */
  isRawEnabled = false;
  /**
   * Whether the raw bytes are made from frames, because the peer may send binary frames: the
   * program gets their JSON.
   */
  isRawMade = false;
  /**
   * Whether the frames that come before the first raw bytes were read without them, so that the
   * bytes are made of the frames.
   */
  awaitsRaw = false;
  /** Whether the native side is paused until the program has read the bytes in the stream. */
  isFull = false;
  /** Whether the stream itself is emitting `data`. */
  inStream = false;
  /** How many bytes the stream holds that the program has put there by `unshift()`. */
  unshifted = 0;
}

const INITIAL_READING = Object.freeze(new Reading());

module.exports = { INITIAL_READING, Reading };
