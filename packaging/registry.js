const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const VERDACCIO = path.join(__dirname, 'node_modules', 'verdaccio', 'bin', 'verdaccio');
const START_LIMIT_MS = 60_000;

const CONFIGURATION = `
storage: ./storage
uplinks: {}
packages:
  '**':
    access: $all
    publish: $all
log: { type: stdout, format: pretty, level: warn }
`;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(url) {
  try {
    return (await fetch(`${url}-/ping`)).ok;
  } catch {
    return false;
  }
}

/**
 * Starts a registry on the loopback interface that has no packages and asks no other registry.
 * @param {string} directory where it keeps its files
 * @returns {Promise<{ url: string, stop: function(): Promise<void> }>}
 */
async function startRegistry(directory) {
  fs.mkdirSync(directory, { recursive: true });
  const configuration = path.join(directory, 'config.yaml');
  fs.writeFileSync(configuration, CONFIGURATION);
  const log = fs.openSync(path.join(directory, 'log'), 'w');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const child = spawn(
    process.execPath,
    [VERDACCIO, '--config', configuration, '--listen', `127.0.0.1:${port}`],
    { cwd: directory, stdio: ['ignore', log, log] },
  );
  fs.closeSync(log);
  const ended = once(child, 'close');
  const stop = async () => {
    child.kill();
    await ended;
  };

  const deadline = Date.now() + START_LIMIT_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      const text = fs.readFileSync(path.join(directory, 'log'), 'utf8');
      throw new Error(`the registry did not start:\n${text}`);
    }
    await sleep(100);
  }
  return { url, stop };
}

module.exports = { startRegistry };
