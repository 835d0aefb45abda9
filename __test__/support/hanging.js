'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { cleanup } = require('./cleanup.js');
const { turn, until } = require('./deadline.js');

/** Why a test that needs a listener with a full queue is skipped, or false. */
const cannotHang =
  !fs.existsSync('/proc/net/tcp') &&
  'needs /proc/net/tcp to see that the queue of a listener is full';

/** The backlog of peers/full-backlog.js. A queue takes one connection more than its backlog. */
const BACKLOG = 1;

/** The connections that wait in the queue of a listener on the loopback interface. */
function queueLength(port) {
  const LISTEN = '0A';
  const place = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, , state, queues] = line.trim().split(/\s+/);
    if (local === place && state === LISTEN) return Number.parseInt(queues.split(':')[1], 16);
  }
  return 0;
}

const isStopped = (pid) => / T /.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));

/**
 * A listener that accepts nothing and has a full queue, so that a connect to it gets no answer.
 *
 * @param {object} t the test context
 * @returns {Promise<{port: number, resume: function(): void}>} `resume` lets it accept connections
 */
async function hangingListener(t) {
  const holder = fork(path.join(__dirname, '..', 'peers', 'full-backlog.js'));
  cleanup(t, () => holder.kill('SIGKILL'));
  const [port] = await once(holder, 'message');
  holder.kill('SIGSTOP');
  await until(() => isStopped(holder.pid), 'the process of the listener is stopped');
  for (let fillers = 0; queueLength(port) <= BACKLOG; fillers += 1) {
    if (fillers > 100) throw new Error(`the queue never filled: ${queueLength(port)} wait in it`);
    const filler = net.connect(port, '127.0.0.1');
    filler.on('error', () => {});
    cleanup(t, () => filler.destroy());
    await turn();
  }
  return { port, resume: () => holder.kill('SIGCONT') };
}

/** The port of such a listener. */
const hangingPort = async (t) => (await hangingListener(t)).port;

module.exports = { cannotHang, hangingListener, hangingPort, queueLength };
