// The brokers of the benchmark, each on a free port of the loopback interface.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { environmentOf, findProgram } = require('../../scripts/brokers.js');

const BROKERS = {
  nats: {
    program: 'nats-server',
    scheme: 'nats',
    args: (port) => ['-a', '127.0.0.1', '-p', String(port)],
  },
  redis: {
    program: 'redis-server',
    scheme: 'redis',
    args: (port) => [
      '--bind',
      '127.0.0.1',
      '--port',
      String(port),
      '--save',
      '',
      '--appendonly',
      'no',
    ],
  },
};

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** @returns {Promise<?{url: string, stop: Function}>} null: it is not installed */
async function startBroker(name) {
  const { program, scheme, args } = BROKERS[name];
  const file = findProgram(program);
  if (file === null) {
    console.error(`no ${program}: peers over it are left out`);
    return null;
  }
  const port = await freePort();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-bench-'));
  const child = spawn(file, args(port), {
    cwd: directory,
    stdio: 'ignore',
    env: environmentOf(file),
  });
  for (let isUp = false; !isUp; ) {
    isUp = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
      socket.once('close', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
  }
  const stop = () => {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  };
  return { url: `${scheme}://127.0.0.1:${port}`, stop };
}

module.exports = { BROKERS, startBroker };
