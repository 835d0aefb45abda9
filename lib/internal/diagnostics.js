'use strict';

const diagnostics_channel = require('node:diagnostics_channel');

/** For monitoring: publishes only while somebody subscribes. */
class Channel {
  #channel;

  constructor(name) {
    this.#channel = diagnostics_channel.channel(name);
  }

  publish(message) {
    if (this.#channel.hasSubscribers) this.#channel.publish(message);
  }
}

const diagnostics = {
  connect: new Channel('sockhop:connect'),
  disconnect: new Channel('sockhop:disconnect'),
  error: new Channel('sockhop:error'),
};

module.exports = { diagnostics };
