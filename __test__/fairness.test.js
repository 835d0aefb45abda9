'use strict';

// A quiet peer is served soon, regardless of how much others send. `npm run bench -- fairness`
// measures the time; these tests count the messages of others that are delivered first.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const path = require('node:path');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { EventLog } = require('./support/event-log.js');
const { deadline } = require('./support/deadline.js');
const { rawClient } = require('./support/raw.js');
const { server: Server } = require('..');

const limit = { timeout: 600_000 };
const FLOODER = path.join(__dirname, 'programs', 'flooder.js');

/** A process with a number of connections that send without a pause. */
async function flood(t, where, connections) {
  const child = fork(FLOODER, [JSON.stringify({ where, connections })], { execArgv: [] });
  const log = new EventLog();
  child.on('message', (name) => log.push({ name }));
  cleanup(t, () => child.kill('SIGKILL'));
  await log.next('connected');
  return child;
}

/**
 * Counts the messages of flooders that are delivered between a question and its receipt; the median
 * of some questions.
 *
 * @param {number} flooders
 * @param {() => void} work the work of the program for each of their messages
 */
async function delay(t, { transport, flooders, before, questions, work = () => {} }) {
  const where = await endpoint(t, transport);
  const server = new Server(where);
  server.on('error', () => {});
  await server.listen();
  cleanup(t, () => server.close());
  const quiet = await rawClient(t, where);
  quiet.write({ type: 'String', data: 'hello' });
  await new Promise((resolve) => server.once('receive', resolve));
  const delays = [];
  let noise = 0;
  let asked = -1;
  const done = new Promise((resolve) => {
    server.on('receive', (message) => {
      if (message === 'question') {
        delays.push(noise - asked);
        asked = -1;
        noise = 0;
        if (delays.length === questions) resolve();
        return;
      }
      noise += 1;
      work();
      // The flooders have filled all buffers by then.
      if (noise >= before && asked < 0) {
        asked = noise;
        quiet.write({ type: 'String', data: 'question' });
      }
    });
  });
  await flood(t, where, flooders);
  await deadline(done, () => `question ${delays.length} of a quiet peer`, 100_000);
  return delays.sort((a, b) => a - b)[questions >> 1];
}

for (const transport of transports) {
  describe(`among peers that send without a pause (${transport})`, limit, () => {
    it('a question waits for one turn of each peer, and not for all of their messages', async (t) => {
      // A turn is 64 KiB at most, 500 of these messages; the program's other turns come in between.
      const among = await delay(t, { transport, flooders: 8, before: 20_000, questions: 15 });
      assert.ok(among < 10_000, `${among} messages came before it`);
    });

    it('turns are short if the program takes long for a message', async (t) => {
      const work = () => {
        const end = performance.now() + 0.5;
        while (performance.now() < end);
      };
      const plan = { transport, flooders: 4, before: 100, questions: 15, work };
      const among = await delay(t, plan);
      assert.ok(among < 100, `${among} messages came before it`);
    });
  });
}
