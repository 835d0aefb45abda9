'use strict';

// Peers that send a line, end their direction and continue to read: echo '{"word":"level"}' | nc -N
// 127.0.0.1 50000 node examples/half-close

const { once } = require('node:events');
const net = require('node:net');
const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

/** Ends its connection when the peer has ended its direction, and all its lines are answered. */
class Dialogue extends Sockhop.session {
  unanswered = 0;

  async answer(object) {
    this.unanswered += 1;
    try {
      const word = String(object?.word);
      await new Promise((resolve) => setTimeout(resolve, 50));
      await this.send({ word, reversed: [...word].reverse().join('') });
    } finally {
      this.unanswered -= 1;
      this.endIfDone();
    }
  }

  endIfDone() {
    if (this.unanswered === 0 && this.sock.readableEnded) this.kill();
  }
}

async function startServer(path) {
  const server = new Sockhop.server({
    path,
    peer_type: 'json',
    allow_half_open: true,
    session_type: Dialogue,
    captureRejections: true,
  });
  server.on('error', (error) => console.error(error.message));
  server.on('connect', (sock, session) => sock.on('end', () => session.endIfDone()));
  server.on('receive', (object, { session }) => session.answer(object));
  await server.listen();
  return server;
}

async function main() {
  const path = scratchPath();
  const server = await startServer(path);

  // `nc -N` does the same.
  const peer = net.connect({ path, allowHalfOpen: true });
  peer.setEncoding('utf8').on('data', (text) => process.stdout.write(text));
  peer.end('{"word":"stressed"}\n{"word":"level"}\n');
  await once(peer, 'end');
  console.log('the server has ended the connection');

  await server.close();
}

module.exports = { startServer };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
