'use strict';

/*
 * Tells the errors of a connection that come from its peer or the network from those that the
 * program has made.
 */

/** Errors that the native side has found. */
const networkErrors = new WeakSet();

/** The codes of a write after the peer has ended the connection. */
const AFTER_END = new Set(['EPIPE', 'ERR_STREAM_WRITE_AFTER_END']);

/**
 * @template {Error} E
 * @param {E} err of the native side, with which a socket is to be destroyed
 * @returns {E} the same
 */
function fromNetwork(err) {
  networkErrors.add(err);
  return err;
}

/**
 * Whether an error that the socket of a channel emits is the program's: it has called
 * `destroy(err)`, emitted `error` itself, or misused the stream. An error of a stream that the
 * program has brought is not known to be.
 *
 * @param {*} err
 * @param {{isNative: boolean, socket: net.Socket}} channel
 */
function isOfProgram(err, { isNative, socket }) {
  if (!isNative || networkErrors.has(err)) return false;
  return !(socket.readableEnded && AFTER_END.has(err?.code));
}

module.exports = { fromNetwork, isOfProgram };
