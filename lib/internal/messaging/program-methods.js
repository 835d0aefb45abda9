'use strict';

/*
 * Whether a program has replaced the methods that messages pass through, or its ObjectBuffer, which
 * 1.8.4 encodes and decodes with.
 */

const ObjectBuffer = require('../../ObjectBuffer.js');
const { diagnostics } = require('../diagnostics.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { showMessage } = require('./observed.js');
const { kHasOversizedFrame, kOriginalMethods } = require('../symbols.js');

const { message: messageChannel } = diagnostics;
const buffers = ObjectBuffer.prototype;
const { buf2obj, obj2buf } = ObjectBuffer[kOriginalMethods];

/** Whether the package encodes the frames of a channel. */
function encodesItself({ handlers, options }) {
  const { encoding } = handlers;
  if (encoding === null) return buffers.obj2buf === obj2buf;
  return (
    encoding.obj2buf === obj2buf &&
    encoding._tx_terminator === options.terminator[1] &&
    encoding._allow_non_objects === options.allow_non_objects
  );
}

/** Whether the package sends the messages of a channel, past `_send_message()` of the program. */
function sendsItself(channel) {
  const { target, originalMethods } = channel.handlers;
  return target._send_message === originalMethods._send_message && encodesItself(channel);
}

/** Whether the package decodes the frames of a channel. */
function decodesItself({ decoding, handlers, options }) {
  const decoder = decoding ?? handlers.decoding;
  return decoder === null ? buffers.buf2obj === buf2obj : decodesAlike(decoder, options);
}

function decodesAlike(decoder, options) {
  return (
    decoder.buf2obj === buf2obj &&
    decoder._rx_terminator === options.terminator[0] &&
    decoder._allow_non_objects === options.allow_non_objects
  );
}

/** Whether the messages of all connections of a client or server are sent through its methods. */
function sendsThroughProgram({ handlers, options }) {
  const { target, originalMethods } = handlers;
  return (
    handlers.isRetyped ||
    target.send !== originalMethods.send ||
    target._send_message !== originalMethods._send_message ||
    !encodesItself({ handlers, options })
  );
}

/** Whether a client or server receives messages through its own method. */
function receivesThroughProgram({ target, originalMethods }) {
  return target._on_recieved_object !== originalMethods._on_recieved_object;
}

/**
 * Makes the program's decoder decode bytes.
 *
 * @param {MessageChannel} channel
 * @param {Buffer} bytes
 * @param {function(): void} reportBadFrame
 */
function receiveBytes(channel, bytes, reportBadFrame) {
  const { handlers } = channel;
  const decoder = handlers.decoder(channel);
  let messages;
  handlers.isDecoding = true;
  try {
    messages = decoder.buf2obj(bytes);
  } catch (err) {
    // A fault of the program's decoder, not of the peer.
    return throwUncaught(err);
  } finally {
    handlers.isDecoding = false;
  }
  for (const message of messages) {
    if (channel.socket?.destroyed) return;
    if (message === null || message === undefined) {
      reportBadFrame();
      continue;
    }
    if (messageChannel.hasSubscribers) showMessage(channel, 'received', message, null);
    try {
      handlers.callOnReceivedObject(channel, message);
    } catch (err) {
      throwUncaught(err);
    }
  }
  if (decoder[kHasOversizedFrame]) {
    decoder[kHasOversizedFrame] = false;
    channel.onTooLarge(channel.options.max_message_size);
  }
}

module.exports = {
  decodesItself,
  encodesItself,
  receiveBytes,
  receivesThroughProgram,
  sendsItself,
  sendsThroughProgram,
};
