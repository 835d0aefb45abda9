'use strict';

// Connects a number of times and sends ordinary messages without a pause, until it is killed.

const net = require('node:net');

const { where, connections } = JSON.parse(process.argv[2]);
const target = where.path ? { path: where.path } : { port: where.port, host: '127.0.0.1' };
const message = `${JSON.stringify({ type: 'Object', data: { text: 'n'.repeat(60), numbers: [1, 2, 3] } })}\n`;
const bytes = Buffer.from(message.repeat(2000));
let open = 0;

for (let i = 0; i < connections; i++) {
  const socket = net.connect(target, () => {
    open += 1;
    if (open === connections) process.send('connected');
    const more = () => {
      while (socket.write(bytes));
    };
    socket.on('drain', more);
    more();
  });
  socket.on('error', () => process.exit());
  socket.on('close', () => process.exit());
}
process.on('disconnect', () => process.exit());
