'use strict';

const { envelope } = require('./envelope.js');
const { kNextPing, kTransmit } = require('../symbols.js');

const noop = () => {};

/**
 * The interval of `ping()` has passed: sends a ping, unless the native side sends it.
 *
 * @param {MessageChannel} channel
 */
function sendPing(channel) {
  channel.updateShowControl();
  const ping = channel.transport[kNextPing](channel.sendsThroughProgram());
  if (ping === null) return;
  if (channel.sendsThroughProgram()) channel.handlers.callSend(channel, ping);
  else {
    const { peer_type, terminator } = channel.options;
    const text = peer_type === 'json' ? JSON.stringify(ping) : envelope(ping);
    channel.transport[kTransmit](text + terminator[1], false).catch(noop);
  }
}

module.exports = { sendPing };
