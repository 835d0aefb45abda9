'use strict';

const SockhopError = require('../../SockhopError.js');

/** Codes of the streams of Node and of TLS: whether a write meets an end depends on the peer. */
const STREAM_CODE = /^(EPIPE$|ABORT_ERR$|ERR_STREAM_|ERR_SOCKET_|ERR_SSL_|ERR_TLS_)/;

/**
 * Whether the program made an error that the socket of a channel emits: it called `destroy(err)` or
 * emitted `error` itself. An error that a peer can cause must never pass, because without a listener
 * it ends the process. Of a stream that the program brings this is not known.
 *
 * @param {*} err
 * @param {{isNative: boolean}} channel
 */
function isOfProgram(err, { isNative }) {
  if (!isNative || err instanceof SockhopError) return false;
  const isOfSystem = typeof err?.errno === 'number';
  const isOfStream = typeof err?.code === 'string' && STREAM_CODE.test(err.code);
  return !isOfSystem && !isOfStream;
}

module.exports = { isOfProgram };
