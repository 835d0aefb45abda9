'use strict';

const { late } = require('../late.js');
const { MessageChannel } = require('./message-channel.js');

/** Loaded when it is needed, because each file delays the start of a program. */
const loadRichChannel = late(() => require('./rich-channel.js').RichChannel);

/**
 * @param {ChannelHandlers} handlers
 * @param {object} options checked
 * @returns {MessageChannel} of the kind that the option `values` says
 */
function makeChannel(handlers, options) {
  const Channel = options.values === 'rich' ? loadRichChannel() : MessageChannel;
  return new Channel(handlers, options);
}

module.exports = { makeChannel };
