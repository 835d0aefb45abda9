'use strict';

const { cleanup } = require('./cleanup.js');
const net = require('node:net');
const { endpoint, nodeEndpoint } = require('./addresses.js');
const { turn } = require('./deadline.js');
const { EventLog } = require('./event-log.js');

/**
 * A plain `net.Socket` with frames written by hand: the peer as it looks on the wire.
 *
 * Entries: `frame` (`text`, and `json` where the text is JSON), `data` (`bytes`), `end`, `close`,
 * `error`.
 */
class Wire extends EventLog {
  /** The data after the last frame, in the pieces in which it arrived. */
  #pieces = [];
  /** The end of that data, with which a terminator may begin. */
  #end = Buffer.alloc(0);
  #terminator;

  /**
   * @param {net.Socket} socket
   * @param {string} [terminator] ends a received frame
   */
  constructor(socket, terminator = '\n') {
    super();
    this.socket = socket;
    this.#terminator = Buffer.from(terminator);
    socket.on('data', (bytes) => this.#onData(bytes));
    socket.on('end', () => this.push({ name: 'end' }));
    socket.on('close', () => {
      this.push({ name: 'close' });
      this.break(new Error('the socket is closed'));
    });
    socket.on('error', (error) => this.push({ name: 'error', error }));
  }

  /** The next frame that arrived, parsed. */
  async frame(predicate = () => true) {
    const { json } = await this.next('frame', ({ json }) => predicate(json));
    return json;
  }

  /** Writes frames, each with a newline; a string goes out as it is, anything else as JSON. */
  write(...frames) {
    const texts = frames.map((frame) =>
      typeof frame === 'string' ? frame : JSON.stringify(frame),
    );
    this.socket.write(texts.map((text) => `${text}\n`).join(''));
  }

  /** Writes bytes one at a time, each in a packet of its own as far as the kernel lets it. */
  async drip(bytes) {
    this.socket.setNoDelay(true);
    for (const byte of Buffer.from(bytes)) {
      this.socket.write(Buffer.of(byte));
      await turn();
    }
  }

  #onData(bytes) {
    this.push({ name: 'data', bytes });
    this.#pieces.push(bytes);
    // A long frame arrives in many pieces, so only the new piece is searched for its end.
    const searched = Buffer.concat([this.#end, bytes]);
    if (!searched.includes(this.#terminator)) return this.#keepEnd(searched);
    let rest = Buffer.concat(this.#pieces);
    for (let end = rest.indexOf(this.#terminator); end >= 0; end = rest.indexOf(this.#terminator)) {
      const text = rest.toString('utf8', 0, end);
      rest = rest.subarray(end + this.#terminator.length);
      const entry = { name: 'frame', text };
      try {
        entry.json = JSON.parse(text);
      } catch {
        // The frame is not JSON, so the entry has only its text.
      }
      this.push(entry);
    }
    this.#pieces = [rest];
    this.#keepEnd(rest);
  }

  #keepEnd(bytes) {
    this.#end = bytes.subarray(Math.max(0, bytes.length - this.#terminator.length + 1));
  }
}

/** Connects a plain socket; resolves once it is connected. */
async function rawClient(t, where, terminator = '\n') {
  const socket = net.connect(nodeEndpoint(where));
  cleanup(t, () => socket.destroy());
  const wire = new Wire(socket, terminator);
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return wire;
}

/**
 * A plain server. `accept()` gives its connections one after the other.
 *
 * @param {object} t the test context
 * @param {object} [where] `{ port }` or `{ path }`; a free port if left out
 * @param {{ terminator?: string, socketOptions?: object }} [options]
 */
async function rawServer(t, where = undefined, { terminator = '\n', ...options } = {}) {
  const place = where ?? (await endpoint(t));
  const log = new EventLog();
  const sockets = new Set();
  const server = net.createServer(options, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    log.push({ name: 'connection', wire: new Wire(socket, terminator) });
  });
  const close = () =>
    new Promise((resolve) => {
      log.break(new Error('the plain server is closed'));
      server.close(resolve);
      for (const socket of sockets) socket.destroy();
    });
  cleanup(t, close);
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(nodeEndpoint(place), resolve);
  });
  return {
    where: place,
    server,
    close,
    connections: log,
    accept: async () => (await log.next('connection')).wire,
  };
}

module.exports = { Wire, rawClient, rawServer };
