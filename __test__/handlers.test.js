'use strict';

// An exception of the program's own code surfaces with its own stack. The other messages are
// delivered, and client and server continue. Each case is a separate program: programs/thrower.js.

const assert = require('node:assert/strict');
const { AsyncLocalStorage, executionAsyncId } = require('node:async_hooks');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const impl = require('./support/impl.js');
const { endpoint } = require('./support/addresses.js');

const limit = { timeout: 600_000 };
const THROWER = path.join(__dirname, 'programs', 'thrower.js');
const PATIENCE = 30_000;

async function thrower(t, where) {
  const child = spawn(process.execPath, [THROWER, where], { stdio: ['ignore', 'pipe', 'pipe'] });
  cleanup(t, () => child.kill('SIGKILL'));
  const texts = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => {
      texts[name] += text;
    });
  }
  const [code, signal] = await deadline(
    once(child, 'close'),
    () => `the program to end\n${texts.stdout}${texts.stderr}`,
    PATIENCE,
  );
  assert.deepEqual({ code, signal, stderr: texts.stderr }, { code: 0, signal: null, stderr: '' });
  return JSON.parse(texts.stdout);
}

const uncaught = (...messages) => messages.map((message) => ['uncaughtException', message]);
const unhandled = (...messages) => messages.map((message) => ['unhandledRejection', message]);
const rejected = (...messages) => messages.map((message) => ['rejection', message]);
const all = [0, 1, 2, 3, 4, 5];
const odd = (name, ...numbers) => uncaught(...numbers.map((n) => `${name} ${n}`));
const times = (count, message) => Array(count).fill(message);

/** The place of the exception, the exception that surfaces, and the other results. */
const cases = [
  ["a client's receive", odd('receive', 1, 3, 5), { result: all }],
  ["a server's receive", odd('receive', 1, 3, 5), { result: all }],
  ['an asynchronous receive', unhandled('receive 1', 'receive 3', 'receive 5'), { result: all }],
  ["a client's callback", odd('callback', 1, 3, 5), { result: all, pending: 0 }],
  ["a server's callback", odd('callback', 1, 3, 5), { result: all, pending: 0 }],
  ["a client's connect", uncaught('connect')],
  ["a server's connect", uncaught('connect')],
  ["a client's disconnect", uncaught('disconnect'), { result: [false, null] }],
  // The caller of disconnect() gets the exception.
  ["a client's disconnect, of its own", rejected('disconnect'), { result: [false, null] }],
  ["a server's disconnect", uncaught('disconnect'), { result: 0 }],
  [
    "a client's request",
    odd('request', 1, 3),
    { result: [0, 'ERR_RESPONSE_TIMEOUT', 2, 'ERR_RESPONSE_TIMEOUT'] },
  ],
  [
    "a server's request",
    odd('request', 1, 3),
    { result: [0, 'ERR_RESPONSE_TIMEOUT', 2, 'ERR_RESPONSE_TIMEOUT'] },
  ],
  ["a stream's data and end", uncaught('data 1', 'end'), { result: [[0, 1, 2, 'last'], true] }],
  ["a client's error", uncaught('error'), { result: 1 }],
  ["a server's error", uncaught('error'), { result: 1 }],
  ["a server's error, of a message too large", uncaught('error')],
  ["a server's error, of a failed listen", uncaught('error'), { result: 'EADDRINUSE' }],
  [
    "a server's error, of a connection too many",
    uncaught('drop', 'drop', 'error', 'error'),
    { result: 2 },
  ],
  ["a listener's listening and close", uncaught('listening', 'close'), { result: [true] }],
  ['sending and received', uncaught('sending', 'received'), { result: [1], pending: 0 }],
  ["a session's constructor", unhandled('constructor'), { result: 0 }],
  ["a session's start()", unhandled('start'), { result: 0 }],
  [
    "a session's asynchronous start(), and the error handler",
    unhandled('error: refused'),
    { result: 0 },
  ],
  ["a session's end()", unhandled('end'), { result: [true, 0] }],
  [
    "a session's asynchronous end(), and the error handler",
    uncaught('error: stuck'),
    { result: 0 },
  ],
  ["a socket's data", uncaught('data'), { result: [0, 1, 2] }],
  ["a socket's end and close", uncaught('end', 'close'), { result: 0 }],
  [
    "a socket's write callback",
    uncaught('write callback'),
    { result: [['written'], [0, 1, 2, 3]] },
  ],
  [
    'an object that is sent',
    unhandled(...times(5, 'toJSON'), ...times(5, 'getter')),
    { pending: 0 },
  ],
  [
    'an object that is sent, and the promise is looked at',
    rejected(...times(5, 'toJSON'), ...times(5, 'getter')),
  ],
  [
    'an object that is requested or answered with',
    [...unhandled('toJSON', 'toJSON', 'getter'), ...uncaught('getter')],
    { result: { n: 'in its place' } },
  ],
];

describe('an exception of the program surfaces: in', () => {
  for (const [where, surfaced, more = {}] of cases) {
    it(where, limit, async (t) => {
      assert.deepEqual(await thrower(t, where), { surfaced, ...more, fine: true });
    });
  }
});

describe('the asynchronous context', () => {
  const storage = new AsyncLocalStorage();
  const context = () => storage.getStore();

  /** A server that listens in a context and answers, and a client that connected in one. */
  async function pair(t) {
    const where = await endpoint(t);
    const server = new impl.server(where);
    const contexts = {};
    server.on('connect', () => {
      contexts.serverConnect = context();
    });
    cleanup(t, () => server.close());
    await storage.run('listen', () => server.listen());
    const { client } = makeClient(t, where);
    client.on('connect', () => {
      contexts.clientConnect = context();
    });
    const connect = once(server, 'connect');
    await storage.run('connect', () => client.connect());
    const [sock] = await connect;
    return { server, client, sock, where, contexts };
  }

  it('of an event is the one of connect(), or on a server, as with net, none', limit, async (t) => {
    const { server, client, sock, contexts } = await pair(t);
    assert.deepEqual(contexts, { serverConnect: 'listen', clientConnect: 'connect' });
    const seen = [];
    const done = new Promise((resolve) => {
      client.on('receive', () => seen.push(['client', context()]) === 2 && resolve());
      server.on('receive', () => seen.push(['server', context()]) === 2 && resolve());
    });
    storage.run('send', () => {
      client.send({});
      server.send(sock, {});
    });
    await done;
    assert.deepEqual(seen.sort(), [
      ['client', 'connect'],
      ['server', undefined],
    ]);
    const over = new Promise((resolve) => {
      client.on('disconnect', () => resolve(context()));
    });
    storage.run('kill', () => server.kill_socket(sock));
    assert.equal(await over, 'connect');
  });

  it(
    'of an automatic connection is the one in which auto_reconnect was turned on',
    limit,
    async (t) => {
      const { where } = await startServer(t);
      const { client } = makeClient(t, where, { auto_reconnect_interval: 10 });
      const connected = new Promise((resolve) => {
        client.on('connect', () => resolve(context()));
      });
      storage.run('reconnect', () => {
        client.auto_reconnect = true;
      });
      assert.equal(await connected, 'reconnect');
    },
  );

  it('of a callback is the one of the send that it answers', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const answer = (_object, { callback }) => callback({});
    client.on('receive', answer);
    server.on('receive', answer);
    const contexts = [];
    const ids = new Set();
    await Promise.all(
      [1, 2, 3, 4].map(
        (n) =>
          new Promise((resolve) => {
            const callback = () => {
              contexts.push([n, context()]);
              ids.add(executionAsyncId());
              resolve();
            };
            storage.run(`send ${n}`, () => {
              if (n % 2 === 0) client.send({ n }, callback);
              else server.send(sock, { n }, callback);
            });
          }),
      ),
    );
    assert.deepEqual(
      contexts.sort(),
      [1, 2, 3, 4].map((n) => [n, `send ${n}`]),
    );
    assert.equal(ids.size, 4, 'each is a resource of its own');
  });

  it('of an answer to a request is the one of the request', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const answer = (_request, response) => {
      response.write({});
      response.end();
    };
    client.on('request', answer);
    server.on('request', answer);
    const contexts = [];
    await Promise.all(
      [() => client.request({}), () => server.request(sock, {})].map((request, n) =>
        storage.run(n, async () => {
          const stream = await request();
          const ended = new Promise((resolve) => {
            // The place where a listener was added has no effect.
            storage.run('elsewhere', () => {
              stream.on('data', () => contexts.push([n, 'data', context()]));
              stream.on('end', () => resolve(contexts.push([n, 'end', context()])));
            });
          });
          await ended;
          assert.equal(context(), n, 'nor of a promise that was waited for');
        }),
      ),
    );
    assert.deepEqual(
      contexts.sort(),
      [0, 1].flatMap((n) => [
        [n, 'data', n],
        [n, 'data', n],
        [n, 'end', n],
      ]),
    );
  });

  it('that a handler enters does not apply to other connections', limit, async (t) => {
    const { server, client, where } = await pair(t);
    const { client: other } = await startClient(t, where);
    const seen = [];
    server.on('receive', ({ who }, { callback }) => {
      seen.push([who, context()]);
      if (who === 'first') storage.enterWith('entered');
      callback?.({});
    });
    const ask = (whom, who) => new Promise((resolve) => whom.send({ who }, resolve));
    // Both in one batch and in later batches.
    await Promise.all([ask(client, 'first'), ask(other, 'second')]);
    await ask(other, 'third');
    const late = await startClient(t, where);
    await ask(late.client, 'fourth');
    assert.deepEqual(seen.sort(), [
      ['first', undefined],
      ['fourth', undefined],
      ['second', undefined],
      ['third', undefined],
    ]);
  });
});
