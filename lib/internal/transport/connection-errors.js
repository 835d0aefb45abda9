'use strict';

const SockhopError = require('../../SockhopError.js');

/*
 * The errors of connections whose peer reads too slowly, and of connections that cannot be handed
 * over.
 */

const sendRefused = () =>
  new SockhopError(
    'The peer reads too slowly: "send_high_water_mark" bytes wait for it already',
    'ERR_BACKPRESSURE',
  );

const slowConsumer = () =>
  new SockhopError(
    'The peer reads too slowly and is cut off: "send_high_water_mark" bytes waited for it',
    'ERR_SLOW_CONSUMER',
  );

/** @param {{encrypted: boolean}} socket that was to be sent to another process */
function cannotHandOver({ encrypted }) {
  if (encrypted) {
    const err = new TypeError('A connection with TLS cannot be given to another process');
    err.code = 'ERR_INVALID_HANDLE_TYPE';
    return err;
  }
  return new SockhopError(
    'The connection cannot be given to another process while something that was sent waits for the peer: wait for ' +
      'send(), or the callback of write(), first',
    'ERR_BACKPRESSURE',
  );
}

module.exports = { cannotHandOver, sendRefused, slowConsumer };
