const { once } = require('node:events');
const { callsAndRequests, answering } = require('./by-hand.js');

/**
 * The sender waits while a socket holds more bytes than this; node-ipc itself has no backpressure.
 */
const HIGH_WATER = 1 << 20;

function configured() {
  const { IPC } = require('node-ipc');
  const ipc = new IPC();
  ipc.config.silent = true;
  ipc.config.maxConnections = 65_535;
  return ipc;
}

function serve({ transport, address, receive, request }) {
  const ipc = configured();
  const incoming = answering({ receive, request });
  return new Promise((resolve, reject) => {
    const ready = () => {
      ipc.server.on('message', (message, socket) => {
        incoming(message, (answer) => ipc.server.emit(socket, 'message', answer));
      });
      resolve({
        async sendAll(data) {
          ipc.server.broadcast('message', data);
          const slow = ipc.server.sockets.filter((socket) => socket.writableNeedDrain);
          await Promise.all(slow.map((socket) => once(socket, 'drain')));
        },
      });
    };
    if (transport === 'unix') {
      ipc.serve(address.path, ready);
    } else {
      ipc.serveNet('127.0.0.1', address.port, ready);
    }
    ipc.server.on('error', reject);
    ipc.server.start();
  });
}

async function connect({ transport, address, receive }) {
  const ipc = configured();
  const name = 'server';
  await new Promise((resolve) => {
    const connected = () => ipc.of[name].on('connect', resolve);
    if (transport === 'unix') {
      ipc.connectTo(name, address.path, connected);
    } else {
      ipc.connectToNet(name, '127.0.0.1', address.port, connected);
    }
  });
  const connection = ipc.of[name];
  const { client, incoming } = callsAndRequests((message) => connection.emit('message', message));
  connection.on('message', (message) => incoming(message, receive));
  const push = (data) => {
    connection.emit('message', data);
    if (connection.socket.writableLength > HIGH_WATER) {
      return once(connection.socket, 'drain');
    }
  };
  return {
    ...client,
    push,
    async send(data) {
      connection.emit('message', data);
      if (connection.socket.writableNeedDrain) {
        await once(connection.socket, 'drain');
      } else if (connection.socket.writableLength > 0) {
        await new Promise((resolve) => connection.socket.write('', resolve));
      }
    },
  };
}

const wire = {
  hello: (data) => wire.frame(data),
  frame: (data) => Buffer.from(`${JSON.stringify({ type: 'message', data })}\f`),
};

module.exports = {
  label: 'node-ipc 9',
  transports: ['tcp', 'unix'],
  tls: false,
  version: () => require('node-ipc/package.json').version,
  serve,
  connect,
  wire,
};
