'use strict';

const { CallbackAges } = require('./callback-ages.js');

/**
 * @param {Array<?MessageChannel>} channels of the connections that are open now
 * @returns {object} their figures of stats() by their states
 */
function connectionFigures(channels) {
  let ending = 0;
  let paused = 0;
  for (const channel of channels) {
    const socket = channel?.socket;
    if (socket?.writableEnded) ending += 1;
    // A socket with a listener of `readable` is read by the program and counts as paused for Node.
    if (socket?.isPaused?.() && socket.listenerCount('readable') === 0) paused += 1;
  }
  return {
    connections: channels.length,
    ending_connections: ending,
    paused_connections: paused,
  };
}

/**
 * @param {Array<?MessageChannel>} channels
 * @returns {object} the figures of stats() of the callbacks that wait for answers
 */
function callbackFigures(channels) {
  const ages = new CallbackAges();
  let pending = 0;
  for (const channel of channels) {
    pending += channel?.pendingCallbacks ?? 0;
    channel?.callbacks?.countAges(ages);
  }
  return { pending_callbacks: pending, ...ages.figures };
}

module.exports = { callbackFigures, connectionFigures };
