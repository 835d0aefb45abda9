'use strict';

// Raw peers: plain sockets that record every byte and send only the bytes that a scenario gives
// them.

const { once } = require('node:events');
const net = require('node:net');
const { withoutOffer } = require('../__test__/support/codec.js');

/** A raw connection of either side. */
class RawConnection {
  #socket;
  #chunks = [];
  #length = 0;
  #waiters = new Set();

  constructor(socket) {
    this.#socket = socket;
    this.ended = false;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    this.end = new Promise((resolve) => {
      socket.once('end', () => {
        this.ended = true;
        resolve('FIN');
      });
      socket.once('close', () => resolve('closed'));
    });
    socket.on('error', (error) => {
      this.error = error;
    });
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      for (const waiter of this.#waiters) waiter();
    });
    socket.once('close', () => {
      for (const waiter of this.#waiters) waiter();
    });
  }

  get socket() {
    return this.#socket;
  }

  /** The bytes received so far, without the blanks that offer the codec. */
  bytes() {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks, this.#length)];
    return Buffer.from(withoutOffer((this.#chunks[0] ?? '').toString('latin1')), 'latin1');
  }

  /** The complete frames received so far, as text. */
  frames(terminator = '\n') {
    return this.bytes().toString('utf8').split(terminator).slice(0, -1);
  }

  /** Resolves when the predicate is true; rejects if the connection closes first. */
  when(predicate) {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (predicate(this)) {
          this.#waiters.delete(check);
          resolve(this);
        } else if (this.#socket.destroyed) {
          this.#waiters.delete(check);
          reject(new Error(`connection closed after ${this.#length} bytes`));
        }
      };
      this.#waiters.add(check);
      check();
    });
  }

  async received(count, terminator = '\n') {
    await this.when(() => this.frames(terminator).length >= count);
    return this.frames(terminator);
  }

  async receivedBytes(count) {
    await this.when(() => this.#length >= count);
    return this.bytes();
  }

  write(data) {
    return new Promise((resolve) => this.#socket.write(data, resolve));
  }

  /** Sends values: an object as JSON with a terminator, and a string unchanged. */
  send(...values) {
    const text = values.map((v) => (typeof v === 'string' ? v : `${JSON.stringify(v)}\n`)).join('');
    return this.write(text);
  }

  finish() {
    this.#socket.end();
  }

  reset() {
    this.#socket.resetAndDestroy();
  }

  destroy() {
    this.#socket.destroy();
  }
}

/** A listening raw peer. `next()` returns its connections in the order of their arrival. */
class RawServer {
  #arrived = [];
  #wanted = [];
  #closed;
  // All TCP connections, including those whose TLS handshake failed.
  #sockets = new Set();

  constructor(server, event) {
    this.server = server;
    this.connections = [];
    // A TLS client disconnected during the handshake, so there is no connection to return.
    server.on('tlsClientError', () => {});
    server.on('connection', (socket) => this.#sockets.add(socket));
    server.on(event, (socket) => {
      const connection = new RawConnection(socket);
      this.connections.push(connection);
      const wanted = this.#wanted.shift();
      if (wanted) wanted(connection);
      else this.#arrived.push(connection);
    });
  }

  /** @param {string | number | undefined} at a path or a port; by default any free port */
  static async listen(
    at,
    { allowHalfOpen = true, create = net.createServer, event = 'connection' } = {},
  ) {
    const server = create({ allowHalfOpen });
    const raw = new RawServer(server, event);
    if (typeof at === 'string') server.listen(at);
    else server.listen(at ?? 0, '127.0.0.1');
    await once(server, 'listening');
    return raw;
  }

  get port() {
    return this.server.address().port;
  }

  next() {
    const arrived = this.#arrived.shift();
    return arrived
      ? Promise.resolve(arrived)
      : new Promise((resolve) => this.#wanted.push(resolve));
  }

  stopListening() {
    this.#closed ??= new Promise((resolve) => this.server.close(resolve));
    return this.#closed;
  }

  async close() {
    const closed = this.stopListening();
    for (const connection of this.connections) connection.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

async function connectRaw(endpoint) {
  const socket = net.createConnection({ allowHalfOpen: true, ...endpoint });
  const connection = new RawConnection(socket);
  await once(socket, 'connect');
  return connection;
}

module.exports = { RawConnection, RawServer, connectRaw };
