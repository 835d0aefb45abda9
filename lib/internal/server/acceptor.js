'use strict';

const net = require('node:net');

const { diagnostics } = require('../diagnostics.js');
const { abortError } = require('../errors/errors.js');
const { reserveDescriptors } = require('../late.js');
const { chainable, tolerate } = require('../messaging/bare-then.js');
const { invalidValue } = require('../options/kinds.js');
const { throwUncaught } = require('../native/dispatcher.js');
const originals = require('../originals.js');
const { isUnclaimed } = require('../../SockhopSocket.js');
const { descriptorOf, netOptions } = require('./listen-place.js');
const { Listener, notRunning } = require('./listener.js');

/**
 * @returns {boolean} whether a program replaced a function of Node's servers: then `server.server` is
 *   a server of Node, which the program's function makes, starts or closes
 */
function isNetReplaced() {
  const { prototype } = net.Server;
  return (
    net.createServer !== originals.createServer ||
    prototype.listen !== originals.listen ||
    prototype.close !== originals.close
  );
}

/**
 * Makes the listeners of a server, makes them listen and close, and hands their connections to the
 * server.
 */
class Acceptor {
  /** The public object, for which errors are emitted. */
  #server;
  /** The handlers that listeners report to. */
  #handlers;
  /** Makes the connections secure; null without TLS: @type {?import('../tls/tls-server.js').TlsServer} */
  #tls;
  /** Takes the connections: @type {import('./server-connections.js').ServerConnections} */
  #connections;
  /** Whether the promise of listen() rejects with the error that the listener emits. */
  #isRejected = false;

  /**
   * @param {object} server
   * @param {object} parts
   * @param {object} parts.handlers
   * @param {import('./server-connections.js').ServerConnections} parts.connections
   * @param {?TlsServer} parts.tls
   */
  constructor(server, { handlers, connections, tls }) {
    this.#server = server;
    this.#handlers = handlers;
    this.#connections = connections;
    this.#tls = tls;
  }

  /** @returns {net.Server} for `server.server` */
  createListener() {
    const server = this.#server;
    const { max_connections } = this.#connections.options;
    // A listener of another kind would serve plain text.
    const isOwn = !isNetReplaced() || this.#tls !== null;
    const listener = isOwn
      ? new Listener(server, this.#handlers, max_connections, this.#tls)
      : net.createServer();
    listener.on('error', (err) => {
      diagnostics.error.publish({ server, error: err });
      if (this.#isRejected && server.listenerCount('error') === 0) return;
      server.emit('error', err, null, null);
    });
    listener.on('connection', (stream) => {
      // The native listener emits each of its sockets once. Anything else is a stream that
      // JavaScript reads.
      if (isUnclaimed(stream, this.#handlers)) this.#connections.accept(stream);
      else this.#connections.adopt(stream);
    });
    return listener;
  }

  /**
   * Makes a listener listen for the server.
   *
   * @param {net.Server} listener `server.server`
   * @param {{path: ?string, address: string, port: number}} target
   * @param {object} how the options of listen(), checked
   * @returns {Promise<net.Server>}
   */
  listen(listener, target, how) {
    reserveDescriptors();
    const isOwn = listener.listen === Listener.prototype.listen;
    const listening = chainable(
      isOwn
        ? this.#listenNatively(listener, target, how)
        : this.#listenElsewhere(listener, target, how),
    );
    // A program that listens for errors may ignore the promise, or only call then(callback).
    if (this.#server.listenerCount('error') > 0) tolerate(listening);
    return listening;
  }

  #listenNatively(listener, target, how) {
    const listening = listener.open(target, how).catch((err) => {
      // close() came first: in 1.8.4 the promise stays pending.
      if (err.code === 'ERR_SERVER_NOT_RUNNING') tolerate(listening);
      this.#isRejected = true;
      try {
        if (err.syscall) listener.emit('error', err);
      } catch (thrown) {
        throwUncaught(thrown);
      } finally {
        this.#isRejected = false;
      }
      throw err;
    });
    return listening;
  }

  /** Makes a server listen that the program has assigned to `server.server`. */
  #listenElsewhere(listener, target, how) {
    if (this.#tls !== null) return Promise.reject(replacedWithTls());
    const listening = listenOn(listener, target, how);
    this.#isRejected = true;
    const settled = () => {
      this.#isRejected = false;
    };
    listening.then(settled, settled);
    return listening;
  }

  /**
   * @param {net.Server} listener
   * @param {boolean} acceptsWaiting whether connections that the kernel has completed are accepted
   *   before
   * @returns {Promise<void>} fulfilled when the listener is closed
   */
  close(listener, acceptsWaiting) {
    return new Promise((resolve) => {
      // A program may have replaced the method.
      if (listener.close !== Listener.prototype.close) {
        listener.close(() => resolve());
        return;
      }
      if (!listener.listening) resolve();
      // This listener comes first: if one of the program throws, later listeners do not get the
      // event.
      else listener.prependOnceListener('close', resolve);
      listener.acceptsWaiting = acceptsWaiting;
      listener.close();
    });
  }
}

function replacedWithTls() {
  return invalidValue(
    'The "options.ssl_options" property',
    'left out if the program replaces server.server: that server listens, and these options have no effect on it',
    'ssl_options',
  );
}

/** @returns {Array} the arguments for a server of the program, as few as will do */
function netArguments({ path, address, port }, how) {
  const fd = descriptorOf(how);
  const endpoint = path ? { path } : { port, host: address };
  const place = fd === null ? endpoint : { fd };
  const given = netOptions(place, how);
  if (fd !== null || Object.keys(given).length > Object.keys(place).length) return [given];
  return path ? [path] : [port, address];
}

async function listenOn(server, target, how) {
  const { signal } = how;
  const args = netArguments(target, how);
  await new Promise((resolve, reject) => {
    // A server that is closed before it listens emits nothing else.
    const onClose = () => reject(signal?.aborted ? abortError(signal) : notRunning());
    server.once?.('error', reject);
    server.once?.('close', onClose);
    server.listen(...args, () => {
      server.removeListener?.('error', reject);
      server.removeListener?.('close', onClose);
      resolve();
    });
  });
  return server;
}

module.exports = { Acceptor };
