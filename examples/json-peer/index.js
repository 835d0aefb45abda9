'use strict';

// A server in this process and a Python program as its client.
//   node examples/json-peer

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { startServer } = require('./server.js');

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

async function main() {
  const port = await freePort();
  const server = await startServer({ port });
  // An 'error' event would reject the promise of events.once().
  const left = new Promise((resolve) => server.on('disconnect', resolve));

  const python = spawn('python3', [path.join(__dirname, 'client.py'), String(port)], {
    env: { ...process.env, PYTHONIOENCODING: 'utf-8' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  python.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  const [code] = await once(python, 'close');
  await left;
  process.stdout.write(printed);
  await server.close();
  if (code !== 0) throw new Error(`python3 left with code ${code}`);
}

main().catch((error) => {
  console.error(error.code === 'ENOENT' ? 'this example needs python3' : error);
  process.exitCode = 1;
});
