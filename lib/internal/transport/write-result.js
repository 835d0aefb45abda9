'use strict';

/*
 * The results of `write()` of a native connection. A positive result is a position in the outgoing
 * stream: the bytes have left when the native side reports that the stream is written up to it.
 */

module.exports = {
  /** The kernel has all of it. */
  WRITTEN: 0,
  /**
   * The connection is closed or broken. The program learns of it by an event of a later turn of the
   * event loop. A promise must not reject before that turn: a program that sends again and again
   * while it is connected would never get there.
   */
  CLOSED: -1,
  /** "send_high_water_mark" bytes wait already. */
  REFUSED: -2,
};
