'use strict';

const { cleanup } = require('./cleanup.js');
const net = require('node:net');
const { nodeEndpoint } = require('./addresses.js');
const { EventLog } = require('./event-log.js');
const { turn } = require('./deadline.js');

const NEWLINE = 0x0a;

/**
 * A proxy between a client and a server that records the frames, and may divide or join them.
 *
 * Entries of its log: `up` (client to server) and `down`, each with a frame's `text`.
 *
 * @param {object} t the test context
 * @param {object} from where the proxy listens
 * @param {object} to where the server listens
 * @param {{ drip?: boolean, hold?: number }} [shape] `drip`: forwards every byte in a write of its
 *   own; `hold`: collects that number of frames and forwards them in one write
 */
async function recordingProxy(t, from, to, { drip = false, hold = 0 } = {}) {
  const log = new EventLog();
  const sockets = new Set();

  const pass = (name, source, target) => {
    let rest = '';
    let held = [];
    let frames = 0;
    let queue = Promise.resolve();
    source.on('data', (bytes) => {
      const pieces = (rest + bytes.toString('latin1')).split('\n');
      rest = pieces.pop();
      for (const piece of pieces) log.push({ name, text: Buffer.from(piece, 'latin1').toString() });
      if (drip) {
        queue = queue.then(async () => {
          for (const byte of bytes) {
            if (target.destroyed) return;
            target.write(Buffer.of(byte));
            await turn();
          }
        });
      } else if (hold) {
        held.push(bytes);
        for (const byte of bytes) if (byte === NEWLINE) frames += 1;
        if (frames >= hold) {
          target.write(Buffer.concat(held));
          held = [];
          frames = 0;
        }
      } else {
        target.write(bytes);
      }
    });
    source.on('end', () => queue.then(() => target.end()));
    source.on('close', () => queue.then(() => target.destroy()));
    source.on('error', () => target.destroy());
  };

  const server = net.createServer((near) => {
    const far = net.connect(nodeEndpoint(to));
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('close', () => sockets.delete(socket));
    }
    pass('up', near, far);
    pass('down', far, near);
  });
  cleanup(
    t,
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        for (const socket of sockets) socket.destroy();
      }),
  );
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(nodeEndpoint(from), resolve);
  });
  return log;
}

module.exports = { recordingProxy };
