'use strict';

const { SockhopPong } = require('../../SockhopPing.js');
const { PONG_LIMIT } = require('../native/classes.js');
const { kTraffic, kTransmit } = require('../symbols.js');
const { envelope } = require('./envelope.js');

/** @type {WeakSet<MessageChannel>} */
const drainingPeers = new WeakSet();

/**
 * Answers a ping that was given to a message channel.
 *
 * @param {MessageChannel} channel
 * @param {*} ping the data of the message
 */
function answerPing(channel, ping) {
  if (ping === null) return;
  const { transport, options } = channel;
  if (ping?.draining === true && !isPeerDraining(channel)) drainingPeers.add(channel);
  else if (transport[kTraffic]().queued_bytes > PONG_LIMIT) return;
  const pong = new SockhopPong(ping);
  if (channel.sendsThroughProgram()) return channel.handlers.callSend(channel, pong);
  let text;
  try {
    text = options.peer_type === 'json' ? JSON.stringify(pong) : envelope(pong);
  } catch {
    // A pong repeats the ping, which may be nested so deep that it cannot be written.
    return;
  }
  text += options.terminator[1];
  if (text.length <= PONG_LIMIT) transport[kTransmit](text, false);
}

/**
 * @param {MessageChannel} channel
 * @returns {boolean} whether the peer has said, by the field `draining` of a ping, that it ends the
 *   connection when everything that was sent before the pong is answered
 */
function isPeerDraining(channel) {
  return drainingPeers.has(channel);
}

module.exports = { answerPing, isPeerDraining };
