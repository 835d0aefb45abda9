'use strict';

/*
 * Counts the answers that this side owes to the peer of a channel: to messages with a callback and
 * to requests. A server that stops waits until it owes none, see server/drain.js.
 */

/**
 * @param {import('./message-channel.js').MessageChannel} channel
 * @param {*} id of the message, as the peer chose it
 * @returns {function(*): void} `meta.callback` of the message
 */
function replyFunction(channel, id) {
  const { handlers } = channel;
  let isOwed = true;
  channel.owedAnswers += 1;
  const callback = (data) => {
    const { target, originalMethods } = handlers;
    if (target._trigger_remote_callback === originalMethods._trigger_remote_callback) {
      channel.reply(id, data);
    } else handlers.callTriggerRemoteCallback(channel, id, data);
    // A program may answer a message more than once.
    if (isOwed) channel.owedAnswers -= 1;
    isOwed = false;
  };
  return handlers.replyFunction(callback);
}

module.exports = { replyFunction };
