'use strict';

const { diagnostics } = require('../diagnostics.js');
const { throwUncaught } = require('../native/dispatcher.js');
const { typeName } = require('./payloads.js');

/**
 * @param {*} message in its envelope, from a peer or from this side
 * @returns {?{kind: string, type: *, id: *, data: *, last: (boolean|undefined)}} null for a ping or a
 *   pong
 */
function describe(message) {
  const { type, data } = message;
  switch (type) {
    case 'SockhopPing':
    case 'SockhopPong':
      return null;
    case 'SockhopRequest':
      return {
        kind: 'request',
        type: data?.type,
        id: data?.uuid,
        data: data?.data,
        last: undefined,
      };
    case 'SockhopResponsePacket':
      return {
        kind: 'response',
        type: data?.type,
        id: data?.uuid,
        data: data?.data,
        last: Boolean(data?.last),
      };
  }
  if (message.callback_id) {
    return { kind: 'answer', type, id: message.callback_id, data, last: true };
  }
  return { kind: 'message', type, id: message.id, data, last: undefined };
}

/** Publishes a message on the channel `sockhop:message`. */
function publish(channel, direction, message) {
  if (message === null || message === undefined) return;
  const jsonMode = channel.options.peer_type === 'json';
  const described = jsonMode
    ? { kind: 'message', type: typeName(message), id: undefined, data: message, last: undefined }
    : describe(message);
  if (described === null) return;
  diagnostics.message.publish({ ...channel.handlers.sourceOf(channel), direction, ...described });
}

/** Publishes a message that the native side sends to all clients of a server. */
function publishBroadcast(server, object) {
  diagnostics.message.publish({
    server,
    socket: null,
    session: null,
    direction: 'sent',
    kind: 'broadcast',
    type: object.constructor.name,
    id: undefined,
    data: object,
    last: undefined,
  });
}

/**
 * Shows a message to those who watch: the subscribers of the channel, and with the option `debug`
 * the listeners of `sending` and `received`.
 *
 * @param {MessageChannel} channel
 * @param {'sending'|'received'} event
 * @param {*} message
 * @param {?string} text of the frame without its terminator; null if the program decodes frames
 */
function showMessage(channel, event, message, text) {
  if (diagnostics.message.hasSubscribers) {
    publish(channel, event === 'received' ? event : 'sent', message);
  }
  const { debug, terminator } = channel.options;
  if (!debug || text === null) return;
  try {
    channel.handlers.target.emit(event, message, Buffer.from(text + terminator[1]));
  } catch (err) {
    // An error of a listener must not keep the message from being sent or handled.
    throwUncaught(err);
  }
}

module.exports = { publishBroadcast, showMessage };
