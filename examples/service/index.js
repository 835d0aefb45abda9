'use strict';

// Kills a service, and starts it again on the socket file that it has left. Then stops it with
// SIGTERM during a call, as "docker stop" and "systemctl stop" do. node examples/service

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

/** Starts the service, and waits until it listens. */
async function start(socketPath) {
  const service = fork(path.join(__dirname, 'server.js'), [socketPath]);
  const until = (state) =>
    new Promise((resolve) => {
      service.on('message', (message) => message.startsWith(state) && resolve(message));
    });
  await until('listening');
  const mode = fs.statSync(socketPath).mode & 0o777;
  console.log(`service: listens, permissions ${mode.toString(8)}`);
  return { service, until };
}

async function main() {
  const socketPath = scratchPath();

  const first = await start(socketPath);
  first.service.kill('SIGKILL');
  await once(first.service, 'exit');
  console.log(`killed, its file is ${fs.existsSync(socketPath) ? 'still there' : 'gone'}`);

  const { service, until } = await start(socketPath);
  const client = new Sockhop.client({ path: socketPath });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  const answers = [1, 2, 3].map((number) => client.call({ number }));
  await until('asked');
  const stopped = until('stopped');
  const exited = once(service, 'exit');
  service.kill('SIGTERM');
  for (const { double } of await Promise.all(answers)) console.log(`client: answered ${double}`);
  console.log(`service: ${await stopped}`);
  const [code] = await exited;
  console.log(
    `exit code ${code}, its file is ${fs.existsSync(socketPath) ? 'still there' : 'gone'}`,
  );
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
