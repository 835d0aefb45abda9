'use strict';

// A worker of a cluster: a server that answers with its own id. Its plan is in the environment;
// commands are messages.

const cluster = require('node:cluster');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const tls = require('node:tls');
const { implementations } = require('../support/implementations.js');
const { canCount, held } = require('../support/resources.js');

const { implementation, where, options, listen, secure } = JSON.parse(process.env.PLAN);
const { server: Server } = require(implementations[implementation]);

const server = new Server({ ...where, ...options });
/** The channel may already be closed at the end. */
const say = (event, more) => process.connected && process.send({ event, ...more }, () => {});
const plain = ({ message, code, syscall, address, port }) => ({
  message,
  code,
  syscall,
  address,
  port,
});

server.on('connect', (sock) => say('connect', { kind: sock.constructor.name }));
server.on('disconnect', () => say('disconnect'));
server.on('error', (err) => say('error', { error: plain(err) }));
server.on('receive', (object, { callback, socket }) => {
  const { address } = socket.address();
  callback?.({ worker: cluster.worker.id, object, remote: socket.remoteAddress, address });
});

function begin() {
  if (secure) {
    // In every worker, a TLS server accepts in front of the server.
    const front = tls.createServer(secure, (stream) => server.server.emit('connection', stream));
    front.listen(where.port, '127.0.0.1', () => say('listening', { address: front.address() }));
    return;
  }
  const { server: listener } = server;
  const { close } = listener;
  // The event comes when the last connection is gone.
  listener.close = (...args) => {
    close.apply(listener, args);
    say('closed');
    return listener;
  };
  server.listen(listen).then(
    () => say('listening', { address: server.server.address() }),
    (err) => say('failed', { error: plain(err) }),
  );
}

const commands = {
  listen: begin,
  close: () => server.close(),
  'stop listening': () => server.server.close(),
  count: () => {
    server.server.getConnections((_err, connections) =>
      say('count', {
        connections,
        listening: server.server.listening,
        descriptors: canCount ? held().descriptors : 0,
      }),
    );
  },
  // There is room for exactly one more descriptor.
  frugal: () => {
    const most = Math.max(...fs.readdirSync('/proc/self/fd').map(Number)) + 1;
    const { status, error } = spawnSync('prlimit', [
      `--pid=${process.pid}`,
      `--nofile=${most}:${most}`,
    ]);
    let last;
    try {
      for (;;) last = fs.openSync('/dev/null');
    } catch (err) {
      fs.closeSync(last);
      say('frugal', { done: !error && status === 0 && err.code === 'EMFILE' });
    }
  },
};
process.on('message', (message) => commands[message]?.());

begin();
