'use strict';

// A child that is given connections and listeners: `heir.js IMPLEMENTATION`.

const net = require('node:net');
const { implementations } = require('../support/implementations.js');

const { server: Server } = require(implementations[process.argv[2]]);

let server = null;

const ways = {
  /** Answers as the child itself. */
  echo: (socket) => {
    socket.on('data', (data) => socket.write(`child: ${data}`));
    socket.on('end', () => socket.end());
  },
  /** Passes the connection to a server in this process. */
  serve: (socket) => {
    server ??= new Server()
      .on('receive', (object, { callback }) => callback({ by: 'child', object }))
      .on('request', (_request, response) => response.end());
    server.server.emit('connection', socket);
  },
  /** Like the one above, and sends a greeting. */
  greet: (socket) => {
    ways.serve(socket);
    server.once('connect', (sock) => server.send(sock, 'greeting of the child'));
  },
  /** Listens. */
  listen: (handle) => {
    net
      .createServer((socket) => socket.end('child'))
      .listen(handle, () => process.send('listening'));
  },
};

process.on('message', (way, handle) => {
  process.send(handle ? handle.constructor.name : 'nothing');
  ways[way](handle);
});
process.on('disconnect', () => process.exit());
process.send('ready');
