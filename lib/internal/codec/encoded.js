'use strict';

/*
 * The message that the encoder has written, for the transports that send it. The encoder itself is
 * loaded when a connection begins to use the codec.
 */

const encoded = {
  text: '',
  /** The range of its bytes in the buffer. */
  from: 0,
  to: 0,
  /** The bytes of all messages that are not sent yet. @type {?Buffer} */
  buffer: null,
  /** A burst keeps its messages in the buffer until `release()`. @type {?function(): void} */
  claim: null,
  release: null,
};

module.exports = { encoded };
