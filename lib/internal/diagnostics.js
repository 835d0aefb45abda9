'use strict';

const diagnostics_channel = require('node:diagnostics_channel');

/** A channel of `node:diagnostics_channel`, on which publishing costs nothing without subscribers. */
class Channel {
  #channel;

  constructor(name) {
    this.#channel = diagnostics_channel.channel(name);
  }

  publish(message) {
    if (this.#channel.hasSubscribers) this.#channel.publish(message);
  }
}

/** The channels that API.md documents. */
const diagnostics = {
  connect: new Channel('sockhop:connect'),
  disconnect: new Channel('sockhop:disconnect'),
  error: new Channel('sockhop:error'),
};

module.exports = { diagnostics };
