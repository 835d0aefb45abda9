'use strict';

// Worker threads: many environments share one runtime, start and end, and leave nothing behind. A
// process of its own counts descriptors and threads, so that those of the test runner do not
// matter.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { canCount } = require('./support/resources.js');
const { repeat } = require('./support/repeat.js');
const { endpoint, socketDirectory, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { program } = require('./support/program.js');

const limit = { timeout: 15 * 60_000 };
const HOST = path.join(__dirname, 'programs', 'worker-host.js');

/** Runs a plan in a process that starts workers, and returns its report. */
async function host(t, plan) {
  const child = fork(HOST, [JSON.stringify(plan)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    execArgv: ['--expose-gc'],
  });
  cleanup(t, () => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  let report;
  child.on('message', (message) => {
    report = message;
  });
  // The last report may arrive after the end of the process, and before the end of the channel.
  const told = new Promise((resolve) => child.on('disconnect', resolve));
  const [code, signal] = await deadline(
    new Promise((resolve) => child.on('close', (...end) => told.then(() => resolve(end)))),
    () => `the host of the workers to end\n${stderr}`,
    10 * 60_000,
  );
  assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  return report;
}

function nothingLeft({ before, after, open }) {
  if (!canCount) return;
  const message = `before: ${JSON.stringify(before)}, after: ${JSON.stringify(after)}\n${open.join('\n')}`;
  assert.ok(after.descriptors <= before.descriptors, message);
  assert.ok(after.threads <= before.threads, message);
}

describe('worker threads', () => {
  for (const transport of transports) {
    it(`several at once, on the same addresses in turn (${transport})`, limit, async (t) => {
      const places = await Promise.all([1, 2, 3, 4].map(() => endpoint(t, transport)));
      const report = await host(t, { kind: 'in turn', places, rounds: 3 });
      const each = [0, 1, 2, 3, 4];
      assert.deepEqual(report.answers, Array(12).fill(each));
      nothingLeft(report);
    });
  }

  it('a server in one serves clients in others', limit, async (t) => {
    const report = await host(t, { kind: 'across', place: await endpoint(t), workers: 4 });
    assert.deepEqual(report.answers, Array(4).fill(Array.from({ length: 200 }, (_, n) => n)));
    nothingLeft(report);
  });

  const ends = [
    { title: 'worker.terminate() during traffic', kind: 'terminate', code: 1 },
    { title: 'process.exit() inside a worker during traffic', kind: 'leave', code: 7 },
    { title: 'an uncaught exception in a handler ends the worker alone', kind: 'throw', code: 1 },
  ];
  for (const { title, kind, code } of ends) {
    it(title, limit, async (t) => {
      const directory = socketDirectory(t);
      const count = repeat(10);
      const report = await host(t, { kind, directory, count });
      assert.deepEqual(report.codes, Array(count).fill(code));
      if (kind === 'throw')
        assert.deepEqual(new Set(report.errors), new Set(['out of the handler']));
      nothingLeft(report);
    });
  }

  it('the process exits while workers are in the middle of traffic', limit, async (t) => {
    const directory = socketDirectory(t);
    for (let n = 0; n < repeat(5); n += 1) {
      await host(t, { kind: 'exit under workers', directory: path.join(directory), count: 3, n });
    }
  });

  it('a worker that listens may end while another thread connects to it', limit, async (t) => {
    const running = program(t, connectsToWorkersThatEnd, {
      workers: repeat(40),
      directory: socketDirectory(t),
    });
    const { code, lines } = await running.ended(5 * 60_000);
    assert.deepEqual({ code, lines }, { code: 0, lines: ['all have ended'] });
  });
});

function connectsToWorkersThatEnd({ client: Client }, { workers, directory }) {
  const { Worker } = require('node:worker_threads');
  const sockhop = Object.keys(require.cache).find((name) => name.endsWith('index.js'));
  const body = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { server: Server } = require(workerData.sockhop);
    const server = new Server({ path: workerData.path });
    server.on('error', () => {});
    server.listen().then(() => {
      parentPort.postMessage('up');
      setTimeout(() => process.exit(), 5 + 10 * Math.random());
    });`;
  const main = async () => {
    for (let n = 0; n < workers; n += 1) {
      const path = `${directory}/${n}.sock`;
      const worker = new Worker(body, { eval: true, workerData: { sockhop, path } });
      let ended = false;
      const end = new Promise((resolve) => {
        worker.on('exit', () => {
          ended = true;
          resolve();
        });
      });
      await new Promise((resolve) => {
        worker.once('message', resolve);
      });
      while (!ended) {
        const clients = Array.from({ length: 20 }, () => new Client({ path }));
        await Promise.allSettled(clients.map((client) => client.connect()));
        await Promise.allSettled(clients.map((client) => client.disconnect()));
      }
      await end;
    }
    console.log('all have ended');
  };
  main();
}
