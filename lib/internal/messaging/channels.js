'use strict';

const { MessageChannel } = require('./message-channel.js');
const { RichChannel } = require('./rich-channel.js');

/**
 * @param {ChannelHandlers} handlers
 * @param {object} options checked
 * @returns {MessageChannel} of the kind that the option `values` says
 */
function makeChannel(handlers, options) {
  const Channel = options.values === 'rich' ? RichChannel : MessageChannel;
  return new Channel(handlers, options);
}

module.exports = { makeChannel };
