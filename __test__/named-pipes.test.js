'use strict';

// Tests named pipes of Windows, which take the place of Unix sockets.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { freePort, unixPath } = require('./support/addresses.js');
const { record } = require('./support/event-log.js');
const { cleanup } = require('./support/cleanup.js');
const { implementations } = require('./support/implementations.js');
const impl = require('./support/impl.js');
const { makeClient, startClient, startServer } = require('./support/local.js');

const original = require(implementations.original);

const limit = { timeout: 600_000 };
const suite = { skip: process.platform !== 'win32' && 'only Windows has named pipes' };

/** The error with which an attempt to connect, or to listen, rejects. */
async function codeOf(attempt) {
  const error = await attempt.then(
    () => null,
    (reason) => reason,
  );
  return error?.code;
}

describe('a path on Windows', suite, () => {
  for (const [name, peer] of [
    ['this package', impl],
    ['sockhop 1.8.4', original],
  ]) {
    it(`is a pipe over which a client of ${name} is served`, limit, async (t) => {
      const { server, log, where } = await startServer(t, {}, { path: unixPath(t) });
      server.on('receive', ({ text }, { callback }) => callback({ text: text.toUpperCase() }));
      const client = new peer.client(where);
      cleanup(t, () => client.disconnect());
      await client.connect();
      const answer = await new Promise((resolve, reject) => {
        client.send({ text: 'x'.repeat(300_000) }, resolve).catch(reject);
      });
      assert.equal(answer.text, 'X'.repeat(300_000));
      await client.disconnect();
      await log.next('disconnect');
      assert.equal(server.sockets.length, 0);
    });

    it(`is a pipe on which a client finds a server of ${name}`, limit, async (t) => {
      const where = { path: unixPath(t) };
      const server = new peer.server(where);
      cleanup(t, () => server.close());
      const log = record(server);
      await server.listen();
      const { client, log: events } = await startClient(t, where);
      await client.send({ from: 'the client' });
      const { args } = await log.next('receive');
      assert.deepEqual(args[0], { from: 'the client' });
      await server.sendall({ from: 'the server' });
      const { args: got } = await events.next('receive');
      assert.deepEqual(got[0], { from: 'the server' });
    });
  }

  it('may begin with the other prefix', limit, async (t) => {
    const path = unixPath(t).replace('.', '?');
    const { server } = await startServer(t, {}, { path });
    assert.equal(server.server.address(), path);
    await startClient(t, { path });
    assert.equal(server.sessions.length, 1);
  });

  it('takes many clients that connect at once', limit, async (t) => {
    const { server, where } = await startServer(t, {}, { path: unixPath(t) });
    const clients = Array.from({ length: 40 }, () => makeClient(t, where).client);
    await Promise.all(clients.map((client) => client.connect()));
    assert.equal(server.sessions.length, 40);
  });

  it('delivers data that was sent just before the end of a connection', limit, async (t) => {
    const { log, where } = await startServer(t, {}, { path: unixPath(t) });
    const { client } = await startClient(t, where);
    for (let number = 0; number < 100; number += 1) client.send({ number });
    await client.disconnect();
    const received = await log.take('receive', 100);
    assert.deepEqual(received.at(-1).args[0], { number: 99 });
    await log.next('disconnect');
  });

  it('is free again when its server is closed', limit, async (t) => {
    const where = { path: unixPath(t) };
    const { server } = await startServer(t, {}, where);
    await server.close();
    await startServer(t, {}, where);
    await startClient(t, where);
  });

  it('belongs to the server that listens there', limit, async (t) => {
    const where = { path: unixPath(t) };
    await startServer(t, {}, where);
    assert.equal(await codeOf(new impl.server(where).listen()), 'EADDRINUSE');
  });

  it("fails with Node's codes", limit, async (t) => {
    const where = { path: unixPath(t) };
    assert.equal(await codeOf(makeClient(t, where).client.connect()), 'ENOENT');
    const file = { path: 'C:\\no\\pipe' };
    assert.equal(await codeOf(new impl.server(file).listen()), 'EACCES');
    const { client } = makeClient(t, file);
    const error = await client.connect().then(null, (reason) => reason);
    assert.equal(error.code, 'ENOENT');
    assert.match(error.cause.message, /named pipe/);
  });
});

describe('listen() on Windows', suite, () => {
  it('refuses options of Unix sockets', limit, async (t) => {
    const server = new impl.server({ path: unixPath(t) });
    for (const options of [{ fd: 3 }, { mode: 0o600 }, { unlink_stale: true }]) {
      await assert.rejects(server.listen(options), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /Windows/,
      });
    }
  });

  it('leaves a port to the server that has it', limit, async (t) => {
    const where = { port: await freePort() };
    await startServer(t, {}, where);
    assert.equal(await codeOf(new impl.server(where).listen()), 'EADDRINUSE');
    const nobody = makeClient(t, { port: await freePort() });
    assert.equal(await codeOf(nobody.client.connect()), 'ECONNREFUSED');
  });
});
