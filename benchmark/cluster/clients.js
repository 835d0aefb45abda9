// The clients of all nodes, in one process: plain sockets that count bytes, the same for all peers.
// A client of socket.io opens its WebSocket by hand. The clients of this package that are called
// answer with an envelope.

const { randomBytes } = require('node:crypto');
const net = require('node:net');

/** How long to wait for bytes. */
const PATIENCE_MS = 60_000;
/** All clients read into the same memory, so that reading costs the kernel's time and little else. */
const memory = Buffer.allocUnsafeSlow(64 * 1024);
let received = 0;
/** The number of bytes to wait for; `isEnough()` is called then. */
let wanted = Number.POSITIVE_INFINITY;
let isEnough = () => {};
let isAnswering = false;

/** A text frame of a client, which WebSocket requires to be masked. */
function frame(text) {
  const mask = randomBytes(4);
  const bytes = Buffer.from(text).map((byte, i) => byte ^ mask[i % 4]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length]), mask, bytes]);
}

const UPGRADE =
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\n' +
  'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** Opens a session of socket.io, whose server says when the WebSocket and the session are open. */
async function openSession(socket, client) {
  let text = '';
  const until = (mark) =>
    new Promise((resolve) => {
      client.onBytes = (length) => {
        text += memory.latin1Slice(0, length);
        if (text.includes(mark)) resolve();
      };
    });
  const opened = until('0{');
  socket.write(UPGRADE);
  await opened;
  const joined = until('40{');
  socket.write(frame('40'));
  await joined;
}

/** That many bytes have arrived at the beginning of the memory. */
function onBytes(length, socket) {
  received += length;
  if (isAnswering) answer(socket, memory.latin1Slice(0, length));
  if (received >= wanted) isEnough();
}

async function connect(port, kind) {
  const client = { onBytes };
  const callback = (length) => {
    client.onBytes(length, socket);
    return true;
  };
  const onread = { buffer: memory, callback };
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, onread });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  if (kind === 'socket.io') await openSession(socket, client);
  client.onBytes = onBytes;
}

/** Answers the messages that have an id. */
function answer(socket, text) {
  let answers = '';
  for (const [, id] of text.matchAll(/"id":"([^"]+)"/g)) {
    answers += `{"type":"Object","data":{"ok":1},"callback_id":"${id}"}\n`;
  }
  if (answers !== '') socket.write(answers);
}

const commands = {
  connect: async (ports, count, kind) => {
    for (const port of ports) {
      for (let n = 0; n < count; n += 1) await connect(port, kind);
    }
  },
  answering: (value) => {
    isAnswering = value;
  },
  reset: () => {
    received = 0;
  },
  /** Resolves when that many bytes have arrived since `reset`. */
  got: (bytes) =>
    new Promise((resolve, reject) => {
      const patience = setTimeout(() => {
        reject(new Error(`${received} of ${bytes} bytes have arrived`));
      }, PATIENCE_MS);
      wanted = bytes;
      isEnough = () => {
        clearTimeout(patience);
        wanted = Number.POSITIVE_INFINITY;
        resolve(received);
      };
      if (received >= wanted) isEnough();
    }),
  /** Resolves with the bytes when no more have arrived for a while. */
  settled: async () => {
    for (let before = -1; before !== received; ) {
      before = received;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return received;
  },
};

process.on('message', async ({ call, method, args }) => {
  try {
    process.send({ call, result: (await commands[method](...args)) ?? null });
  } catch (err) {
    process.send({ call, error: err.stack });
  }
});
process.send({ ready: true });
