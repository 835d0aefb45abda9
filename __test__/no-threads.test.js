'use strict';

// Tests a system that refuses to create threads.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { EventLog } = require('./support/event-log.js');
const { implementations } = require('./support/implementations.js');

const limit = { timeout: 600_000 };
/** The limit does not hold for root. */
const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** Sets how many threads the user of a process may have. */
function setThreads(pid, count) {
  const set = spawnSync('prlimit', ['--pid', String(pid), `--nproc=${count}:`], nobody);
  assert.equal(set.status, 0, String(set.stderr));
}

function threadsOf(pid) {
  const got = spawnSync(
    'prlimit',
    ['--pid', String(pid), '--nproc', '--output=SOFT', '--noheadings'],
    nobody,
  );
  assert.equal(got.status, 0, String(got.stderr));
  return String(got.stdout).trim();
}

function unusable() {
  if (process.platform !== 'linux') return 'the system has no prlimit';
  if (spawnSync('prlimit', ['--version']).status !== 0) return 'there is no prlimit';
  const source = `require(${JSON.stringify(implementations.native)})`;
  const ran = spawnSync(process.execPath, ['-e', source], { cwd: '/', ...nobody });
  return ran.status !== 0 && 'another user cannot run the package here';
}

describe('a system that refuses to create threads', { skip: unusable() }, () => {
  for (const count of [1, 'one more']) {
    it(
      `makes listen() and connect() fail with EAGAIN, until it does (${count})`,
      limit,
      async (t) => {
        const main = ({ server: Server, client: Client }) => {
          const fs = require('node:fs');
          const server = new Server({ port: 0 });
          const say = (word) => fs.writeSync(1, `${word}\n`);
          process.on('SIGUSR2', async () => {
            const listening = await server.listen().then(
              () => 'listening',
              (err) => `${err.code} ${err.syscall}`,
            );
            const port = server.server.listening ? server.server.address().port : 1;
            const client = new Client({ port });
            const connected = await client.connect().then(
              () => 'connected',
              (err) => `${err.code} ${err.syscall}`,
            );
            say(`${listening}, ${connected}`);
          });
          const threads = fs.readdirSync('/proc/self/task').length;
          say(`ready ${threads}`);
        };
        const child = spawn(
          process.execPath,
          [
            '-e',
            `(${main})(require(${JSON.stringify(implementations.native)}));setInterval(() => {}, 1000)`,
          ],
          { cwd: '/', stdio: ['ignore', 'pipe', 'inherit'], ...nobody },
        );
        const log = new EventLog();
        let rest = '';
        child.stdout.setEncoding('utf8').on('data', (text) => {
          const lines = (rest + text).split('\n');
          rest = lines.pop();
          for (const line of lines) log.push({ name: 'line', text: line });
        });
        const closed = new Promise((resolve) => {
          child.on('close', (code, signal) => {
            log.break(new Error(`the program has ended (${signal ?? `code ${code}`})`));
            resolve();
          });
        });
        cleanup(t, () => {
          child.kill('SIGKILL');
          return closed;
        });
        const ready = await log.next('line');
        const threads = Number(ready.text.split(' ')[1]);
        const before = threadsOf(child.pid);
        setThreads(child.pid, count === 1 ? 1 : threads + 1);
        child.kill('SIGUSR2');
        const refused = await deadline(log.next('line'), 'the errors');
        assert.equal(refused.text, 'EAGAIN listen, EAGAIN connect');
        setThreads(child.pid, before);
        child.kill('SIGUSR2');
        const served = await deadline(log.next('line'), 'the server to listen');
        assert.equal(served.text, 'listening, connected');
      },
    );
  }
});
