'use strict';

// A test of a service that uses sockhop: real sockets, a fake clock, and nothing left open at the end.
//   npm install --save-dev sinon
//   node examples/testing

const assert = require('node:assert/strict');
const sinon = require('sinon');
const Sockhop = require(process.env.SOCKHOP || '../..');

/** The service under test, which answers questions, some of them late or never. */
async function startService(options) {
  const server = new Sockhop.server({ ...options, captureRejections: true });
  server.on('error', (error) => console.error(error.message));
  server.on('receive', (_object, { type, callback }) => callback?.({ known: type === 'Question' }));
  server.on('request', () => {
    // Never answered.
  });
  await server.listen();
  return server;
}

class Question {
  text = 'Is there tea?';
}

/** Port 0 is a port that is free, so that tests can run at the same time. */
async function withService(test) {
  const server = await startService({ port: 0 });
  const client = new Sockhop.client({ port: server.server.address().port });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  try {
    await test(client, server);
  } finally {
    await client.disconnect();
    await server.close();
  }
}

const tests = {
  'the service answers a question': (client) =>
    withDeadline(async () => {
      const answer = await new Promise((resolve) => client.send(new Question(), resolve));
      assert.deepEqual(answer, { known: true });
    }),

  'a request without an answer ends after half a minute, at once': async (client) => {
    const clock = sinon.useFakeTimers();
    try {
      // The clock does not advance, but messages are still delivered.
      const stream = await client.request(new Question());
      const answer = stream.next();
      clock.tick(30_000);
      await assert.rejects(answer, { code: 'ERR_RESPONSE_TIMEOUT' });
    } finally {
      clock.restore();
    }
  },

  'the service notices that a client has left': async (client, server) => {
    const left = new Promise((resolve) => server.once('disconnect', resolve));
    await client.disconnect();
    await left;
    assert.equal(server.sockets.length, 0);
  },
};

/** A test without an answer must not hang. */
async function withDeadline(test) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the test takes too long')), 10_000);
  });
  await Promise.race([test(), late]).finally(() => clearTimeout(timer));
}

async function main() {
  for (const [name, test] of Object.entries(tests)) {
    await withService(test);
    console.log(`ok: ${name}`);
  }
  // The process ends by itself, because all clients and servers are closed.
}

module.exports = { startService };

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
