'use strict';

// Listens with the smallest backlog and sends the port. The test stops this process with SIGSTOP
// and fills the queue; a connect to the port hangs from then on.

const net = require('node:net');

const server = net.createServer((socket) => socket.on('error', () => {}));
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
  process.send(server.address().port),
);
process.on('disconnect', () => process.exit());
