'use strict';

const { cleanup } = require('./cleanup.js');
const { mkdtempSync, rmSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');

/** A TCP port on the loopback interface that nobody listens on at the moment. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A temporary directory that goes away with the test. */
function temporaryDirectory(t) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sockhop-'));
  cleanup(t, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A path for a Unix socket that goes away with the test. */
function unixPath(t) {
  return path.join(temporaryDirectory(t), 'socket');
}

/** The transports every interoperability test runs over. */
const transports = ['tcp', 'unix'];

/**
 * Options that say where to listen and where to connect to: `{ port }` or `{ path }`.
 *
 * @param {object} t the test context
 * @param {'tcp' | 'unix'} [transport]
 */
async function endpoint(t, transport = 'tcp') {
  return transport === 'unix' ? { path: unixPath(t) } : { port: await freePort() };
}

/** The same endpoint as `net.connect` and `server.listen` of Node take it. */
function nodeEndpoint({ path: socketPath, port }) {
  return socketPath ? { path: socketPath } : { port, host: '127.0.0.1' };
}

module.exports = {
  endpoint,
  freePort,
  nodeEndpoint,
  temporaryDirectory,
  transports,
  unixPath,
};
