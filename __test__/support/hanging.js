'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { cleanup } = require('./cleanup.js');

/** Whether this system shows that a connect got no answer. */
const canHang = fs.existsSync('/proc/net/tcp');

/** Sockets of this machine that sent a SYN to the port and got no answer. */
function unanswered(port) {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  const SYN_SENT = '02';
  return fs
    .readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state]) => remote?.endsWith(`:${hex}`) && state === SYN_SENT).length;
}

/** A port at which a connect gets no answer at all: somebody listens, does nothing, and has a full queue. */
async function hangingPort(t) {
  const holder = fork(path.join(__dirname, '..', 'peers', 'full-backlog.js'));
  cleanup(t, () => holder.kill('SIGKILL'));
  const [port] = await once(holder, 'message');
  holder.kill('SIGSTOP');
  for (let fillers = 0; unanswered(port) === 0; fillers += 1) {
    if (fillers > 100) throw new Error('the queue never filled');
    const filler = net.connect(port, '127.0.0.1');
    filler.on('error', () => {});
    cleanup(t, () => filler.destroy());
    await new Promise((resolve) => setImmediate(resolve));
  }
  return port;
}

module.exports = { canHang, hangingPort };
