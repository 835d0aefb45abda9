'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');

const { freePort } = require('./support/addresses.js');
const { systemError } = require('../lib/internal/errors/system-errors.js');

const DEADLINE = { timeout: 600_000 };

/** The properties by which a program distinguishes errors. */
const traits = (err) => ({ message: err.message, name: err.name, string: String(err), ...err });

const failure = async (emitter) => (await once(emitter, 'error'))[0];

async function listening(...args) {
  const server = net.createServer().listen(...args);
  await once(server, 'listening');
  return server;
}

function temporaryDirectory(t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-'));
  t.after(() => fs.rmSync(dir, { recursive: true }));
  return dir;
}

test('a refused connection looks as net reports it', DEADLINE, async () => {
  const port = await freePort();
  const real = await failure(net.connect(port, '127.0.0.1'));
  assert.equal(real.message, `connect ECONNREFUSED 127.0.0.1:${port}`);
  assert.deepEqual(traits(systemError(real.errno, 'connect', '127.0.0.1', port)), traits(real));
  assert.deepEqual(traits(systemError('ECONNREFUSED', 'connect', '127.0.0.1', port)), traits(real));
});

test('a missing Unix socket looks as net reports it', DEADLINE, async (t) => {
  const file = path.join(temporaryDirectory(t), 'none.sock');
  const real = await failure(net.connect(file));
  assert.equal(real.message, `connect ENOENT ${file}`);
  assert.deepEqual(traits(systemError(real.errno, 'connect', file)), traits(real));
});

test('a taken port looks as net reports it', DEADLINE, async (t) => {
  const holder = await listening(0, '127.0.0.1');
  t.after(() => holder.close());
  const { port } = holder.address();
  const real = await failure(net.createServer().listen(port, '127.0.0.1'));
  assert.equal(real.message, `listen EADDRINUSE: address already in use 127.0.0.1:${port}`);
  assert.deepEqual(traits(systemError(real.errno, 'listen', '127.0.0.1', port)), traits(real));
});

test('a taken Unix socket looks as net reports it', DEADLINE, async (t) => {
  const file = path.join(temporaryDirectory(t), 'taken.sock');
  const holder = await listening(file);
  t.after(() => holder.close());
  const real = await failure(net.createServer().listen(file));
  assert.equal(real.message, `listen EADDRINUSE: address already in use ${file}`);
  assert.deepEqual(traits(systemError(real.errno, 'listen', file, -1)), traits(real));
});

test('an address of another machine looks as net reports it', DEADLINE, async () => {
  const real = await failure(net.createServer().listen(50000, '192.0.2.1'));
  assert.equal(real.code, 'EADDRNOTAVAIL');
  assert.deepEqual(traits(systemError(real.errno, 'listen', '192.0.2.1', 50000)), traits(real));
});

test('a connection that was reset looks as net reports it', DEADLINE, async (t) => {
  const server = await listening(0, '127.0.0.1');
  t.after(() => server.close());
  const socket = net.connect(server.address().port, '127.0.0.1');
  const [[peer]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  peer.resetAndDestroy();
  const real = await failure(socket);
  assert.equal(real.message, 'read ECONNRESET');
  assert.deepEqual(traits(systemError(real.errno, 'read')), traits(real));
});

test('a write to a closed peer looks as net reports it', DEADLINE, async (t) => {
  const server = await listening(path.join(temporaryDirectory(t), 'epipe.sock'));
  t.after(() => server.close());
  // Half-open, so that the write fails and not the read.
  const socket = net.connect({ path: server.address(), allowHalfOpen: true });
  const [[peer]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  const closed = once(peer, 'close');
  peer.destroy();
  await closed;
  socket.write('anybody there?');
  const real = await failure(socket);
  assert.equal(real.message, 'write EPIPE');
  assert.deepEqual(traits(systemError(real.errno, 'write')), traits(real));
});

test('the same properties are own and enumerable', () => {
  const err = systemError('ECONNREFUSED', 'connect', '127.0.0.1', 1);
  assert.deepEqual(Object.keys(err).sort(), ['address', 'code', 'errno', 'port', 'syscall']);
  assert.deepEqual(Object.keys(systemError('ECONNRESET', 'read')).sort(), [
    'code',
    'errno',
    'syscall',
  ]);
});

test('the stack of an error begins at the code that makes it', () => {
  const [, frame] = systemError('ECONNRESET', 'read').stack.split('\n');
  assert.match(frame, /errors\.test\.js/);
});

test('an unknown error number still yields an error', () => {
  const err = systemError(-123456, 'read');
  assert.equal(err.errno, -123456);
  assert.equal(err.code, 'Unknown system error -123456');
  assert.equal(err.message, 'read Unknown system error -123456');
  assert.equal(systemError('EWHATEVER', 'read').code, 'EWHATEVER');
});
