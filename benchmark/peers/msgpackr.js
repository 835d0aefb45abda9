const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { callsAndRequests, answering } = require('./by-hand.js');

/*
 * msgpackr over a plain net.Socket, as its users write it by hand. The shapes of objects are sent
 * once on each connection ("records" and "sequential"). The messages of a tick are written
 * together.
 */

/** The package does not export it. */
const PACKAGE = path.join(__dirname, '..', 'node_modules', 'msgpackr', 'package.json');

/** The sender waits while a socket holds more bytes than this; there is no other backpressure. */
const HIGH_WATER = 1 << 20;

/** One end of a connection: packs, unpacks and writes. */
class Channel {
  #socket;
  #packr;
  #isCorked = false;

  /**
   * @param {net.Socket} socket
   * @param {function(object): void} receive gets each message
   */
  constructor(socket, receive) {
    const { Packr, UnpackrStream } = require('msgpackr');
    this.#socket = socket;
    this.#packr = new Packr({ sequential: true });
    socket.setNoDelay?.(true);
    socket.on('error', () => {});
    // The plain maps of broadcasts become objects, as records do.
    socket.pipe(new UnpackrStream({ mapsAsObjects: true })).on('data', receive);
  }

  #write(bytes, done) {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes, done);
  }

  /** Sends a message. @returns {Promise<void>|undefined} a promise if the caller should wait */
  push(message) {
    if (this.#socket.writableLength > HIGH_WATER) {
      return this.send(message);
    }
    this.#write(this.#packr.pack(message));
  }

  /** @returns {Promise<void>} fulfilled when the message is written */
  send(message) {
    return this.sendBytes(this.#packr.pack(message));
  }

  sendBytes(bytes) {
    return new Promise((resolve, reject) => {
      this.#write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }
}

async function serve({ transport, address, receive, request }) {
  const { Packr } = require('msgpackr');
  // A broadcast is packed once, so it must not refer to the shapes of one connection.
  const plain = new Packr({ useRecords: false });
  const incoming = answering({ receive, request });
  const channels = new Set();
  const server = net.createServer((socket) => {
    const channel = new Channel(socket, (message) => incoming(message, send));
    const send = (message) => channel.push(message);
    channels.add(channel);
    socket.on('close', () => channels.delete(channel));
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      transport === 'unix' ? address.path : { port: address.port, host: '127.0.0.1' },
      resolve,
    );
  });
  return {
    sendAll(data) {
      const bytes = plain.pack(data);
      return Promise.all(Array.from(channels, (channel) => channel.sendBytes(bytes)));
    },
  };
}

async function connect({ transport, address, receive }) {
  const socket = net.connect(
    transport === 'unix' ? address.path : { port: address.port, host: '127.0.0.1' },
  );
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const channel = new Channel(socket, (message) => incoming(message, receive));
  const { client, incoming } = callsAndRequests((message) => channel.push(message));
  return {
    ...client,
    push: (data) => channel.push(data),
    send: (data) => channel.send(data),
  };
}

/** The bytes of one message. The load generator repeats them, so they must not refer to others. */
function frame(data) {
  const { Packr } = require('msgpackr');
  return Buffer.from(new Packr({ useRecords: false }).pack(data));
}

module.exports = {
  label: 'msgpackr over a socket',
  transports: ['tcp', 'unix'],
  tls: false,
  carriesBuffers: true,
  version: () => JSON.parse(fs.readFileSync(PACKAGE, 'utf8')).version,
  serve,
  connect,
  wire: { hello: frame, frame },
};
