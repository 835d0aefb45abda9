'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { cleanup } = require('./cleanup.js');
const { unixPath } = require('./addresses.js');
const { EventLog } = require('./event-log.js');
const { Wire } = require('./raw.js');

/**
 * Node's own TLS server on a port of its own.
 *
 * Entries of its log: `connection` (`wire`, `socket`), `refused` (`error`), `tcp`.
 *
 * @param {object} t the test context
 * @param {object} options of `tls.createServer()`
 * @param {(socket: tls.TLSSocket) => void} [onConnection] instead of a `Wire`
 */
async function secureServer(t, options, onConnection = undefined, port = 0) {
  const log = new EventLog();
  const sockets = new Set();
  const server = tls.createServer(options, (socket) => {
    socket.on('error', () => {});
    if (onConnection) onConnection(socket);
    log.push({ name: 'connection', socket, wire: onConnection ? null : new Wire(socket) });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    log.push({ name: 'tcp', socket });
  });
  server.on('tlsClientError', (error) => log.push({ name: 'refused', error }));
  const close = () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  cleanup(t, close);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    server,
    log,
    close,
    port: server.address().port,
    accept: async () => (await log.next('connection')).wire,
  };
}

/**
 * A sockhop server after Node's TLS server, which forwards the plaintext over a Unix socket.
 *
 * @param {object} t the test context
 * @param {{server: Function}} implementation of the API
 * @param {object} options of `tls.createServer()`
 */
async function secureSockhop(t, implementation, options, serverOptions = {}) {
  const path = unixPath(t);
  const server = new implementation.server({ path, ...serverOptions });
  cleanup(t, () => server.close());
  await server.listen();
  const front = await secureServer(t, options, (socket) => {
    const behind = net.connect(path);
    behind.on('error', () => socket.destroy());
    socket.pipe(behind).pipe(socket);
    socket.on('close', () => behind.destroy());
    behind.on('close', () => socket.end());
  });
  return { server, front, port: front.port };
}

/**
 * A proxy that records the TLS records.
 *
 * @param {object} t the test context
 * @param {number} to the port of the server
 * @returns {Promise<{port: number, types: () => number[], finish: () => void}>} `types`: the types
 *   of the client's records; `finish`: ends the direction to the client without a record
 */
async function tlsRecordingProxy(t, to) {
  const pieces = [];
  let client;
  const sockets = [];
  const server = net.createServer((near) => {
    const far = net.connect(to, '127.0.0.1');
    sockets.push(near, far);
    client = near;
    near.on('data', (bytes) => pieces.push(bytes));
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
  });
  cleanup(t, () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const types = () => {
    const sent = Buffer.concat(pieces);
    const found = [];
    for (let at = 0; at + 5 <= sent.length; at += 5 + sent.readUInt16BE(at + 3))
      found.push(sent[at]);
    return found;
  };
  return { port: server.address().port, types, finish: () => client.end() };
}

module.exports = { tlsRecordingProxy, secureServer, secureSockhop };
