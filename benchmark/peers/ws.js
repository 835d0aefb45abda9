const crypto = require('node:crypto');
const http = require('node:http');
const https = require('node:https');
const { callsAndRequests, answering } = require('./by-hand.js');

/**
 * The sender waits while a socket holds more bytes than this; ws itself has no other backpressure.
 */
const HIGH_WATER = 1 << 20;

async function serve({ transport, address, tls, largest, receive, request }) {
  const { WebSocketServer } = require('ws');
  const front = tls ? https.createServer({ key: tls.key, cert: tls.cert }) : http.createServer();
  const server = new WebSocketServer({ server: front, ...limit(largest) });
  const incoming = answering({ receive, request });
  server.on('connection', (socket) => {
    const send = (message) => socket.send(JSON.stringify(message));
    socket.on('message', (text) => incoming(JSON.parse(text), send));
    socket.on('error', () => {});
  });
  await new Promise((resolve, reject) => {
    front.once('error', reject);
    front.listen(
      transport === 'unix' ? address.path : { port: address.port, host: '127.0.0.1' },
      resolve,
    );
  });
  return {
    sendAll(data) {
      const text = JSON.stringify(data);
      const sent = [];
      for (const socket of server.clients) {
        sent.push(new Promise((resolve) => socket.send(text, resolve)));
      }
      return Promise.all(sent);
    },
  };
}

async function connect({ transport, address, tls, largest, receive }) {
  const { WebSocket } = require('ws');
  const scheme = tls ? 'wss' : 'ws';
  const url =
    transport === 'unix'
      ? `${scheme}+unix:${address.path}:/`
      : `${scheme}://127.0.0.1:${address.port}/`;
  const socket = new WebSocket(url, {
    ...limit(largest),
    ...(tls && { ca: tls.ca, servername: 'localhost' }),
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const { client, incoming } = callsAndRequests((message) => socket.send(JSON.stringify(message)));
  socket.on('message', (text) => incoming(JSON.parse(text), receive));
  const send = (data) =>
    new Promise((resolve, reject) => {
      socket.send(JSON.stringify(data), (error) => (error ? reject(error) : resolve()));
    });
  return {
    ...client,
    send,
    push(data) {
      if (socket.bufferedAmount > HIGH_WATER) {
        return send(data);
      }
      socket.send(JSON.stringify(data));
    },
  };
}

function limit(largest) {
  return largest === undefined ? {} : { maxPayload: largest };
}

/** A masked text frame, as clients send it. */
function frame(data) {
  const body = Buffer.from(JSON.stringify(data));
  const mask = crypto.randomBytes(4);
  const head =
    body.length < 126
      ? Buffer.from([0x81, 0x80 | body.length])
      : Buffer.from([0x81, 0x80 | 126, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, mask, body.map((byte, i) => byte ^ mask[i % 4])]);
}

function hello(data) {
  const upgrade = [
    'GET / HTTP/1.1',
    'Host: 127.0.0.1',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${crypto.randomBytes(16).toString('base64')}`,
  ];
  return Buffer.concat([Buffer.from(`${upgrade.join('\r\n')}\r\n\r\n`), frame(data)]);
}

module.exports = {
  label: 'ws',
  transports: ['tcp', 'unix'],
  tls: true,
  version: () => require('ws/package.json').version,
  serve,
  connect,
  wire: { hello, frame },
};
