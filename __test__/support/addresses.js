'use strict';

const { cleanup } = require('./cleanup.js');
const { randomInt, randomUUID } = require('node:crypto');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const net = require('node:net');
const { tmpdir } = require('node:os');
const path = require('node:path');

/** Where the search for a free port begins. */
const FIRST_PORT = 10_000;
/** The number of consecutive ports that a process reserves. */
const BLOCK = 128;

/**
 * The ports that the system never gives to an outgoing connection. No connection can take one
 * between the moment it is found free and the moment a test listens on it, and no client can
 * connect to itself through it.
 *
 * @returns {[number, number] | null} the first, and the one after the last
 */
function reservedForListeners() {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const firstOutgoing = Number.parseInt(range, 10);
    return firstOutgoing > FIRST_PORT + 1000 ? [FIRST_PORT, firstOutgoing] : null;
  } catch {
    return null;
  }
}

/** Listens on a port of the loopback interface. Resolves with null if the port is in use. */
function listenOn(port) {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/** Listens on a port for a moment. Resolves with the port, or with null if it is in use. */
async function probe(port) {
  const server = await listenOn(port);
  if (server === null) return null;
  const { port: found } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return found;
}

/**
 * Reserves a block of ports for this process, which listens on the first one until it exits. Test
 * processes that run side by side can therefore not choose the same port.
 *
 * @returns {Promise<number[]>} the other ports of the block
 * @throws {Error} if all blocks are reserved
 */
async function reserveBlock([first, end]) {
  const blocks = Math.floor((end - first) / BLOCK);
  const begin = randomInt(blocks);
  for (let tried = 0; tried < blocks; tried += 1) {
    const start = first + BLOCK * ((begin + tried) % blocks);
    const holder = await listenOn(start);
    if (holder === null) continue;
    holder.unref();
    return Array.from({ length: BLOCK - 1 }, (_, n) => start + BLOCK - 1 - n);
  }
  throw new Error(`all ${blocks} blocks of ports from ${first} to ${end} are reserved`);
}

/** The reserved ports that were not chosen yet, and the reservation of further ones. */
const ports = [];
let reservation = null;

/** The next reserved port. None is chosen twice, because Deno listens on no port in TIME_WAIT. */
async function reservedPort(range) {
  while (ports.length === 0) {
    reservation ??= reserveBlock(range).then((block) => {
      ports.push(...block);
      reservation = null;
    });
    await reservation;
  }
  return ports.pop();
}

/** A TCP port on the loopback interface on which nothing listens. */
async function freePort() {
  const range = reservedForListeners();
  for (;;) {
    const port = await probe(range ? await reservedPort(range) : 0);
    if (port !== null) return port;
  }
}

/** A temporary directory that is removed at the end of the test. */
function temporaryDirectory(t) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sockhop-'));
  cleanup(t, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A path for a Unix socket that is removed at the end of the test; on Windows the name of a pipe. */
function unixPath(t) {
  if (process.platform === 'win32') return `\\\\.\\pipe\\sockhop-${randomUUID()}`;
  return path.join(temporaryDirectory(t), 'socket');
}

/**
 * The directory of Unix sockets that are removed at the end of the test; on Windows the beginning
 * of the names of pipes.
 */
function socketDirectory(t) {
  return process.platform === 'win32' ? unixPath(t) : temporaryDirectory(t);
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
  socketDirectory,
  temporaryDirectory,
  transports,
  unixPath,
};
