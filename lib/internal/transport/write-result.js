'use strict';

/*
 * The results of `write()` of a native connection. A positive result is a position in the outgoing
 * stream: the bytes have left when the native side reports that the stream is written up to it.
 */

module.exports = {
  /** The kernel has all of it. */
  WRITTEN: 0,
  /** The connection is closed. */
  CLOSED: -1,
  /** "send_high_water_mark" bytes wait already. */
  REFUSED: -2,
};
