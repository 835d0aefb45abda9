'use strict';

/*
 * Reports events of the package: to programs through the channels of `node:diagnostics_channel`,
 * which API.md documents, and to developers through the lines of NODE_DEBUG=sockhop. Neither costs
 * anything while it is not used.
 */

const diagnostics_channel = require('node:diagnostics_channel');
const { debuglog } = require('node:util');

const { formatAddress } = require('./addresses.js');

/** A channel on which publishing costs nothing without subscribers. */
class Channel {
  #channel;

  constructor(name) {
    this.#channel = diagnostics_channel.channel(name);
  }

  get hasSubscribers() {
    return this.#channel.hasSubscribers;
  }

  publish(message) {
    if (this.#channel.hasSubscribers) this.#channel.publish(message);
  }

  subscribe(listener) {
    this.#channel.subscribe(listener);
  }
}

const diagnostics = {
  connect: new Channel('sockhop:connect'),
  disconnect: new Channel('sockhop:disconnect'),
  error: new Channel('sockhop:error'),
  cluster: new Channel('sockhop:cluster'),
  message: new Channel('sockhop:message'),
};

const log = debuglog('sockhop');

/**
 * Writes a line to standard error, with placeholders as in `util.format()`. It is null unless
 * NODE_DEBUG contains "sockhop": call it as `debug?.(...)`, so that the arguments are not even
 * evaluated.
 *
 * @type {?function(string, ...*): void}
 */
const debug = log.enabled === false ? null : log;

/** The numbers by which the lines name sockets, from 1. */
const numbers = new WeakMap();
let lastNumber = 0;

/**
 * @param {import('node:stream').Duplex} socket
 * @returns {string} the name of a connection in the lines of `debug`: "connection #3"
 */
function connectionName(socket) {
  if (!numbers.has(socket)) {
    lastNumber += 1;
    numbers.set(socket, lastNumber);
  }
  return `connection #${numbers.get(socket)}`;
}

/** @returns {string} the name of a client in the lines of `debug`, with its endpoint */
function clientName(client) {
  const { path, address, port } = client;
  return `${client.constructor.name} of ${formatAddress(path ? { address: path } : { address, port })}`;
}

/** The reason why a connection is over. */
function reasonOf(socket) {
  if (socket.errored) return socket.errored.message;
  return socket.readableEnded ? 'the peer ended it' : 'it was ended on this side';
}

const ownerName = ({ client, server }) => (client ?? server).constructor.name;

if (debug !== null) {
  diagnostics.connect.subscribe((message) => {
    const { socket } = message;
    const { remoteAddress: address, remotePort: port } = socket;
    debug(
      '%s: %s is open, the peer is %s%s',
      ownerName(message),
      connectionName(socket),
      formatAddress({ address, port }) ?? 'at a Unix socket',
      socket.encrypted ? ', with TLS' : '',
    );
  });
  diagnostics.disconnect.subscribe((message) => {
    const { socket } = message;
    debug('%s: %s is closed: %s', ownerName(message), connectionName(socket), reasonOf(socket));
  });
  diagnostics.cluster.subscribe(({ server, event, details }) => {
    debug('%s: cluster: %s %o', ownerName({ server }), event, details);
  });
  diagnostics.error.subscribe((message) => {
    const { socket, error } = message;
    const about = socket ? `${connectionName(socket)}: ` : '';
    const code = error?.code ? `${error.code}: ` : '';
    debug('%s: error: %s%s%s', ownerName(message), about, code, error?.message ?? error);
  });
}

module.exports = { clientName, connectionName, debug, diagnostics };
