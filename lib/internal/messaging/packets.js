'use strict';

/*
 * Requests and response packets in the messages of a channel.
 */

const {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseWriteableStream,
} = require('../../SockhopRequest.js');
const { kOweTo, kTextLength } = require('../symbols.js');

/** The lengths of response packets that pass through a method of the program. @type {WeakMap} */
const textLengths = new WeakMap();

/**
 * Notes the length of a message that a method of the program gets and may pass on.
 *
 * @param {object} message
 * @param {string} text of it
 */
function keepTextLength(message, text) {
  if (message.type === 'SockhopResponsePacket') textLengths.set(message, text.length);
}

/**
 * @param {MessageChannel} channel
 * @param {*} data of a peer's message
 * @param {string} [text] of the message, for the error
 */
function receiveRequest(channel, data, text) {
  const { handlers } = channel;
  const request = SockhopRequest.parse(data);
  if (request === null) return channel.reportBadFrame(text);
  const responder = handlers.responderFor(channel);
  const response = SockhopResponseWriteableStream.from_request(request, responder);
  response[kOweTo]?.(channel);
  handlers.onRequest(request, response, channel);
}

/**
 * @param {MessageChannel} channel
 * @param {object} message of a peer; one that was a binary frame has `kTextLength`
 * @param {string} [text] of the message
 */
function receiveResponse(channel, message, text) {
  const packet = SockhopResponsePacket.parse(message.data);
  if (packet === null) return channel.reportBadFrame(text);
  packet[kTextLength] = text?.length ?? message[kTextLength] ?? textLengths.get(message) ?? 0;
  channel.handlers.callOnResponsePacket(channel, packet);
}

/**
 * @param {*} message that a program may have made or changed
 * @returns {?object} the object whose JSON is that of the request or response packet; null if the
 *   message is another one, or has more than a type and data
 */
function packetOf(message) {
  const { type, data } = message ?? {};
  if (type === 'SockhopRequest') {
    if (data?.constructor !== SockhopRequest) return null;
  } else if (type !== 'SockhopResponsePacket' || data?.constructor !== SockhopResponsePacket) {
    return null;
  }
  if (Object.keys(message).length !== 2) return null;
  if (type === 'SockhopRequest') return data;
  // JSON calls no toJSON() of a value that a toJSON() has returned.
  const packet = data.toJSON('data');
  return typeof packet?.toJSON === 'function' ? null : packet;
}

module.exports = { keepTextLength, packetOf, receiveRequest, receiveResponse };
