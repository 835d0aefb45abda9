'use strict';

const { SockhopPing } = require('../../SockhopPing.js');
const { envelope } = require('./envelope.js');
const { kHasShownPings, kNextPing, kOriginalMethods, kPings, kTransmit } = require('../symbols.js');

const noop = () => {};
const { prototype } = SockhopPing;
const { conclude_with_pong, unanswered } = SockhopPing[kOriginalMethods];

/** Channels over which the program has sent pings of its own. @type {WeakSet<MessageChannel>} */
const withOwnPings = new WeakSet();

/**
 * The program sends its own ping, which it may have put among those of the channel. JavaScript must
 * therefore see the pong.
 *
 * @param {MessageChannel} channel
 */
function noticeOwnPing(channel) {
  if (withOwnPings.has(channel)) return;
  withOwnPings.add(channel);
  channel.updateShowControl();
}

/** @returns {boolean} whether the program has sent pings of its own */
const sendsOwnPings = (channel) => withOwnPings.has(channel);

/** @returns {boolean} whether a program has replaced the methods of pings */
const arePingsPatched = () =>
  prototype.conclude_with_pong !== conclude_with_pong || prototype.unanswered !== unanswered;

/**
 * @param {?MessageChannel} channel
 * @returns {boolean} whether the native side can send the ping of this connection together with those
 *   of others
 */
function isPingedNatively(channel) {
  if (channel === null || arePingsPatched() || channel.transport[kHasShownPings]) return false;
  return channel.isNative && !channel.sendsThroughProgram();
}

/**
 * The interval of `ping()` has passed: sends a ping, unless the native side sends it.
 *
 * @param {MessageChannel} channel
 */
function sendPing(channel) {
  if (arePingsPatched()) {
    noticeOwnPing(channel);
    // The list has the pings, whose methods are called.
    void channel.transport[kPings];
  }
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

module.exports = { isPingedNatively, noticeOwnPing, sendPing, sendsOwnPings };
