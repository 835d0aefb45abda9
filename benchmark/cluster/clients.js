// The clients of all nodes, in one process: plain sockets that count bytes, the same for all peers.
// A client of socket.io opens its WebSocket by hand. The clients of this package that are called
// answer with an envelope.

const { randomBytes } = require('node:crypto');
const net = require('node:net');

const received = { bytes: 0 };
let isAnswering = false;

/** A text frame of a client, which WebSocket wants masked. */
function frame(text) {
  const mask = randomBytes(4);
  const bytes = Buffer.from(text).map((byte, i) => byte ^ mask[i % 4]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | bytes.length]), mask, bytes]);
}

const UPGRADE =
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\n' +
  'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** Resolves when the text of the server contains the wanted one. */
function until(socket, wanted) {
  return new Promise((resolve) => {
    let text = '';
    const onData = (chunk) => {
      text += chunk.toString('latin1');
      if (!text.includes(wanted)) return;
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
  });
}

async function connect(port, kind) {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  if (kind === 'socket.io') {
    const opened = until(socket, '0{');
    socket.write(UPGRADE);
    await opened;
    const joined = until(socket, '40{');
    socket.write(frame('40'));
    await joined;
  }
  socket.on('data', (chunk) => {
    received.bytes += chunk.length;
    if (isAnswering) answer(socket, chunk);
  });
}

/** Answers the messages that have an id. */
function answer(socket, chunk) {
  let answers = '';
  for (const [, id] of chunk.toString('latin1').matchAll(/"id":"([^"]+)"/g)) {
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
    received.bytes = 0;
  },
  /** Resolves when that many bytes have arrived since `reset`. */
  got: async (bytes) => {
    const last = Date.now() + 60_000;
    while (received.bytes < bytes) {
      if (Date.now() > last) throw new Error(`${received.bytes} of ${bytes} bytes have arrived`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return received.bytes;
  },
  /** Resolves with the bytes when no more have arrived for a while. */
  settled: async () => {
    for (let before = -1; before !== received.bytes; ) {
      before = received.bytes;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return received.bytes;
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
