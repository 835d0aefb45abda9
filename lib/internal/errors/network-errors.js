'use strict';

/*
 * Distinguishes the errors of a connection that its peer or the network caused from those that the
 * program caused.
 */

/** Errors that the native side has reported. */
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
 * Whether the program caused an error that the socket of a channel emits: it called `destroy(err)`,
 * emitted `error` itself, or misused the stream. For a stream that the program brings this is not
 * known.
 *
 * @param {*} err
 * @param {{isNative: boolean, socket: net.Socket}} channel
 */
function isOfProgram(err, { isNative, socket }) {
  if (!isNative || networkErrors.has(err)) return false;
  return !(socket.readableEnded && AFTER_END.has(err?.code));
}

module.exports = { fromNetwork, isOfProgram };
