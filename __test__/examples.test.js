'use strict';

// Every program in examples/ runs once on the original and once on this package, and prints the
// same. Those that show a feature of this package run on this package alone. Its server outlives a
// hostile client.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { describe, it } = require('node:test');
const { original, underTest } = require('../conformance/under-test.js');
const { freePort, unixPath } = require('./support/addresses.js');
const { implementations } = require('./support/implementations.js');
const { attackClient, attackServer, startProgram, typesIn } = require('./support/under-attack.js');

const EXAMPLES = path.join(__dirname, '..', 'examples');
/** For a program on a busy machine; a quiet one needs a second. */
const DEADLINE_MS = 300_000;

/** The exact output of each example. */
const OUTPUT = {
  chat: [
    'Ada hears room: Ada came in',
    'Ada hears room: Charles came in',
    'Ada hears Charles: Does the engine run?',
    'Ada hears Ada: It does.',
    'Ada hears room: Charles left',
  ],
  rpc: [
    'add: 5',
    "sort: [ 'apple', 'fig', 'pear' ]",
    'fail: out of range',
    'toString: no method toString',
    'a hundred at once: 0 ... 198',
    'name: the client',
  ],
  sessions: [
    'server: Ada logged in',
    'client: logged in as Ada',
    'client: the server keeps one and two',
    'server: refused an unknown token',
    'server: unknown disconnected with 0 notes',
    'client: welcome false, connected false',
    'server: Ada disconnected with 2 notes',
  ],
  requests: [
    '1 squared is 1',
    '2 squared is 4',
    '3 squared is 9',
    '4 squared is 16',
    'all: 25 36 49',
    'next: Object, cannot answer a String',
    'end: ERR_RESPONSE_TIMEOUT',
  ],
  'json-peer': [
    'server: got Object {"greeting":"Grüße"}',
    'server: got Array [1,2,3.5]',
    'server: got Object {"nested":{"list":[null,true]}}',
    'server: Skipping corrupted data in buffer',
    'server: got Object {"still":"here"}',
    'python: got {"echo": {"greeting": "Grüße"}}',
    'python: got {"sum": 6.5}',
    'python: got {"echo": {"nested": {"list": [null, true]}}}',
    'python: got {"echo": {"still": "here"}}',
  ],
};

/** The output of the examples that show a feature of this package. */
const OWN_OUTPUT = {
  failover: [
    'answered by the primary',
    'answered by the standby',
    'answered by the primary',
    'none left: ENOENT ENOENT',
  ],
  offline: [
    'waiting: 3',
    'connected',
    'answered: [ 1, 2, 3 ]',
    'disconnected',
    'connections cut: 0',
    'connected',
    'all answered once, in order: true',
    'disconnected',
    'ERR_CALLBACK_TIMEOUT',
  ],
  rooms: [
    'Ada hears room: Ada came in',
    'Ada hears room: Charles came in',
    'Ada hears Charles: Does the engine run?',
    'Ada hears Ada: It does.',
    'in the room: { count: 2, complete: true }',
    'Ada hears room: Charles left',
  ],
  certificates: [
    'first client: connected to Old',
    'server: has a new certificate',
    'second client: connected to New',
    "first client: { got: { still: 'here' } }",
  ],
  calls: [
    'apple: { price: 3 }',
    'pear: { price: null }',
    'a hundred at once: 100',
    "the client answers: { heard: { news: 'fresh figs' } }",
    'not answered in time: ERR_CALLBACK_TIMEOUT',
    'stopped by the signal: AbortError',
    'the connection ended: ERR_SOCKET_DESTROYED',
  ],
  service: [
    'service: listens, permissions 660',
    'killed, its file is still there',
    'service: listens, permissions 660',
    'client: answered 2',
    'client: answered 4',
    'client: answered 6',
    'service: stopped, connections cut: 0',
    'exit code 0, its file is gone',
  ],
  'half-close': [
    '{"word":"stressed","reversed":"desserts"}',
    '{"word":"level","reversed":"level"}',
    'the server has ended the connection',
  ],
  testing: [
    'ok: the service answers a question',
    'ok: a request without an answer ends after half a minute, at once',
    'ok: the service notices that a client has left',
  ],
  tracing: [
    'server span: message Order',
    'client span: message Order',
    'server span: request Object',
    'client span: request Object',
    'client span: message Order, the connection ended',
    'server span: message Order, the connection ended',
  ],
  reconnecting: [
    'connected',
    'disconnected',
    'attempt 1 after 20 ms',
    'attempt 2 after 40 ms: ECONNREFUSED',
    'attempt 3 after 80 ms: ECONNREFUSED',
    'connected',
    'disconnected',
  ],
};

const python = spawnSync('python3', ['--version']).status === 0;
const openssl = spawnSync('openssl', ['version']).status === 0;

/**
 * Runs an example to its end. A program on the original does not end by itself, because its client
 * keeps the process alive (a fault repaired here). It is ended once it has printed everything.
 */
async function run(example, directory, lines, endsByItself) {
  const child = spawn(process.execPath, [path.join(EXAMPLES, example)], {
    env: { ...process.env, SOCKHOP: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
  child.stdout.on('data', (chunk) => {
    output += chunk;
    if (!endsByItself && output.split('\n').length > lines) child.kill();
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  const [code, signal] = await once(child, 'close');
  clearTimeout(deadline);
  return { output: output.split('\n').slice(0, -1), errors, code, signal };
}

describe('examples', () => {
  for (const [example, expected] of Object.entries(OUTPUT)) {
    const skip = example === 'json-peer' && !python ? 'python3 is not on this machine' : false;

    it(`${example}: on the original`, { skip, timeout: 600_000 }, async () => {
      const { output, errors } = await run(example, original(), expected.length, false);
      assert.deepEqual(output, expected, errors);
    });

    it(`${example}: on this package, and ends by itself`, { skip, timeout: 600_000 }, () =>
      runsHere(example, expected),
    );
  }

  for (const [example, expected] of Object.entries(OWN_OUTPUT)) {
    const isMissing = example === 'certificates' && !openssl && 'openssl is not on this machine';
    const skip = underTest() === original() ? 'the original has no such feature' : isMissing;

    it(`${example}: on this package, and ends by itself`, { skip, timeout: 600_000 }, () =>
      runsHere(example, expected),
    );
  }
});

async function runsHere(example, expected) {
  const endsByItself = underTest() !== original();
  const ended = await run(example, underTest(), expected.length, endsByItself);
  assert.deepEqual(ended.output, expected, ended.errors);
  assert.equal(ended.errors, '');
  if (endsByItself) assert.deepEqual([ended.code, ended.signal], [0, null]);
}

/** The servers among the examples: the file, and the text that starts it at a place. */
const SERVERS = {
  'chat/server.js': 'openRoom',
  'json-peer/server.js': 'startServer',
  'rpc/index.js': 'startServer',
  'requests/index.js': 'startServer',
  'sessions/index.js': 'startServer',
  'calls/index.js': 'startServer',
  'failover/index.js': 'startServer',
  'offline/index.js': 'startServer',
  'reconnecting/index.js': 'startServer',
  'rooms/server.js': 'openRooms',
  'service/server.js': 'startService',
  'half-close/index.js': 'startServer',
  'tracing/index.js': 'startServer',
  'testing/index.js': 'startService',
};

describe('the servers among the examples', () => {
  for (const [file, start] of Object.entries(SERVERS)) {
    it(`${file} outlives a hostile client`, { timeout: 600_000 }, async (t) => {
      const module = path.join(EXAMPLES, file);
      const where = { path: unixPath(t) };
      const takesOptions = /(chat|json-peer|offline|reconnecting|rooms|testing|tracing)\//.test(
        file,
      );
      const argument = JSON.stringify(takesOptions ? where : where.path);
      const source = `require(${JSON.stringify(module)}).${start}(${argument});`;
      const env = { ...process.env, SOCKHOP: path.resolve(implementations.native) };
      const program = startProgram(t, ['-e', source], { env });
      await attackServer(program, where, typesIn(fs.readFileSync(module, 'utf8')));
    });
  }

  it('the client of the chat outlives a hostile server', { timeout: 600_000 }, async (t) => {
    const port = await freePort();
    const module = path.join(EXAMPLES, 'chat', 'client.js');
    const source = `
      const { enter } = require(${JSON.stringify(module)});
      const again = () => setTimeout(begin, 50);
      const begin = () => enter('Ada', { port: ${port} }).then(({ client }) => client.on('disconnect', again), again);
      begin();
    `;
    const env = { ...process.env, SOCKHOP: path.resolve(implementations.native) };
    const program = startProgram(t, ['-e', source], { env });
    await attackClient(t, program, port, ['Say', 'Join', 'String']);
  });
});
