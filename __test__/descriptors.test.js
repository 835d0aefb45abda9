'use strict';

// Tests resources that the system lacks or removes: descriptors, disk space, the path of a socket,
// an address.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { temporaryDirectory, unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const { EventLog, record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { implementations } = require('./support/implementations.js');
const { startClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };
const DESCRIPTORS = 80;

/**
 * The command that runs a program in separate namespaces, where it may change addresses and mount
 * file systems.
 */
const NAMESPACES = ['unshare', '--map-root-user', '--net', '--mount'];
const noNamespaces =
  spawnSync(NAMESPACES[0], [
    ...NAMESPACES.slice(1),
    '/bin/sh',
    '-c',
    'ip addr add 10.0.0.1/32 dev lo && mount -t tmpfs none /tmp',
  ]).status !== 0 && 'namespaces of its own are not to be had here';

/** Runs a function as a Node program with a limited number of descriptors. */
function frugal(t, main, argument) {
  return prepared(t, [], `ulimit -n ${DESCRIPTORS}`, main, argument);
}

/** Runs a function as a Node program where a command of the shell has changed something before. */
function prepared(t, wrapper, preparation, main, argument) {
  const source = `(${main})(require(${JSON.stringify(implementations.native)}), ${JSON.stringify(argument)});`;
  const [command, ...args] = [
    ...wrapper,
    '/bin/sh',
    '-c',
    `${preparation} && exec "$0" -e "$1"`,
    process.execPath,
    source,
  ];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const log = new EventLog();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) log.push({ name: 'line', ...JSON.parse(line) });
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  cleanup(t, () => {
    child.kill('SIGKILL');
    return closed;
  });
  return { log, say: (word) => child.stdin.write(`${word}\n`) };
}

describe('without descriptors', () => {
  it('a server still loads files for methods at their first call', limit, async (t) => {
    const run = frugal(t, async (sockhop) => {
      const say = (message) => console.log(JSON.stringify(message));
      process.on('uncaughtException', ({ code, message }) => say({ uncaught: code, message }));
      const server = new sockhop.server({ port: 0, captureRejections: true });
      server.on('error', ({ code, message }) => say({ error: code, message }));
      server.on('connect', (_sock, session) => {
        const held = [];
        try {
          for (;;) held.push(require('node:fs').openSync('/dev/null'));
        } catch ({ code }) {
          say({ code, held: held.length > 0 });
        }
        for (const use of [
          () => server.stats(),
          () => server.metrics(),
          () => server.ping(60_000),
          () => server.cluster.join(session, 'all'),
          () => session.request({ a: 1 }, { timeout: 60_000 }),
          () => new sockhop.client({ port: server.port }).connect().catch(() => {}),
        ]) {
          use();
          say({ used: String(use) });
        }
        say({ done: true });
      });
      await server.listen();
      say({ port: server.server.address().port });
    });
    const { port } = await run.log.next('line', ({ port: there }) => there > 0);
    const socket = net.connect(port, '127.0.0.1');
    cleanup(t, () => socket.destroy());
    socket.on('error', () => {});
    const { code, held } = await run.log.next('line', (line) => line.code !== undefined);
    assert.deepEqual({ code, held }, { code: 'EMFILE', held: true });
    const end = await run.log.next('line', (line) => line.done || line.uncaught || line.error);
    assert.deepEqual(end, { name: 'line', done: true });
  });

  it(
    'a server emits one error, keeps its connections, and accepts others when there is room',
    limit,
    async (t) => {
      const run = frugal(t, async (sockhop) => {
        const server = new sockhop.server({ port: 0 });
        const say = (message) => console.log(JSON.stringify(message));
        server.on('error', ({ code, syscall }, sock) => say({ error: code, syscall, sock }));
        server.on('connect', () => say({ connected: server.sockets.length }));
        server.on('receive', (object, { callback }) => callback(object));
        await server.listen();
        say({ port: server.server.address().port });
      });
      const { port } = await run.log.next('line', ({ port: there }) => there > 0);
      const sockets = [];
      const more = () => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('error', () => {});
        cleanup(t, () => socket.destroy());
        sockets.push(socket);
        return new Promise((resolve) => socket.once('connect', resolve));
      };
      for (let i = 0; i < 2 * DESCRIPTORS; i += 1) await more();
      const { error, syscall, sock } = await run.log.next(
        'line',
        ({ error: code }) => code !== undefined,
      );
      assert.deepEqual([error, syscall, sock], ['EMFILE', 'accept', null]);
      const there = () => Math.max(...run.log.entries.map(({ connected }) => connected ?? 0));
      await until(() => there() > DESCRIPTORS / 2, 'half of the descriptors are connections');
      assert.ok(there() < DESCRIPTORS);
      // The connected clients notice nothing.
      const answered = new Promise((resolve) => sockets[0].once('data', resolve));
      sockets[0].write('{"type":"Number","data":1,"id":"x"}\n');
      assert.match(String(await deadline(answered, 'an answer')), /"callback_id":"x"/);
      // The last client in the queue is accepted as soon as the first ones have left.
      const last = sockets.at(-1);
      const welcome = new Promise((resolve) => last.once('data', resolve));
      last.write('{"type":"Number","data":2,"id":"last"}\n');
      for (const socket of sockets.slice(0, -1)) socket.destroy();
      assert.match(String(await deadline(welcome, 'the last one to be let in')), /"last"/);
      // The error is emitted again only after the server could accept a connection in between.
      const { entries } = run.log;
      const errors = entries.filter(({ error: code }) => code !== undefined);
      const later = entries.slice(entries.indexOf(errors[0]));
      const accepted = later.filter(({ connected }) => connected !== undefined).length;
      assert.ok(
        errors.length <= accepted + 1,
        `${errors.length} errors, ${accepted} connections after the first of them`,
      );
    },
  );

  it('a server that has one left serves and ends a connection', limit, async (t) => {
    const run = frugal(t, async (sockhop) => {
      const fs = require('node:fs');
      const say = (message) => console.log(JSON.stringify(message));
      const server = new sockhop.server({ port: 0 });
      server.on('connect', (sock) => server.kill_socket(sock));
      server.on('disconnect', () => say({ gone: true }));
      await server.listen();
      say({ port: server.server.address().port });
      const open = [];
      try {
        for (;;) open.push(fs.openSync('/dev/null'));
      } catch {
        fs.closeSync(open.pop());
      }
      say({ full: true });
    });
    const { port } = await run.log.next('line', ({ port: there }) => there > 0);
    await run.log.next('line', ({ full }) => full);
    const socket = net.connect(port, '127.0.0.1');
    cleanup(t, () => socket.destroy());
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.resume();
    await run.log.next('line', ({ gone }) => gone);
    await deadline(ended, 'the end of the connection');
  });

  it('a client gets the error, and connects when there is room', limit, async (t) => {
    const { where } = await startServer(t);
    const run = frugal(
      t,
      async (sockhop, { port }) => {
        const fs = require('node:fs');
        const say = (message) => console.log(JSON.stringify(message));
        const first = new sockhop.client({ port });
        await first.connect();
        const open = [];
        try {
          for (;;) open.push(fs.openSync('/dev/null'));
        } catch {
          // None is left.
        }
        const client = new sockhop.client({ port });
        await client.connect().then(
          () => say({ outcome: 'connected' }),
          ({ code, syscall }) => say({ outcome: code, syscall }),
        );
        for (const fd of open) fs.closeSync(fd);
        await client.connect();
        say({ outcome: 'connected', first: first.connected });
        process.exit();
      },
      where,
    );
    const refused = await run.log.next('line');
    assert.deepEqual([refused.outcome, refused.syscall], ['EMFILE', 'connect']);
    const connected = await run.log.next('line');
    assert.deepEqual([connected.outcome, connected.first], ['connected', true]);
  });
});

describe('the path of a socket', () => {
  it('can be removed without harm to connected clients', limit, async (t) => {
    const where = { path: unixPath(t) };
    const { server, log } = await startServer(t, {}, where);
    const { client } = await startClient(t, where);
    await log.next('connect');
    fs.unlinkSync(where.path);
    await client.send('still here');
    await log.next('receive');
    const other = new impl.client(where);
    await assert.rejects(other.connect(), { code: 'ENOENT' });
    await deadline(server.close(), 'close()');
    // The path is free for another.
    await server.listen();
    const again = await startClient(t, where);
    await again.client.send('again');
    await log.next('receive', ({ args }) => args[0] === 'again');
  });

  it('is that of a file or of a directory that is missing: listen() says so', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, 'content');
    for (const [where, code] of [
      [file, 'EADDRINUSE'],
      [path.join(directory, 'missing', 'socket'), 'EACCES'],
    ]) {
      const server = new impl.server({ path: where });
      record(server);
      await assert.rejects(server.listen(), { code, syscall: 'listen' });
      await server.close();
    }
    assert.equal(fs.readFileSync(file, 'utf8'), 'content');
  });

  it('is removed with its directory; the server emits nothing and closes', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const where = { path: path.join(directory, 'socket') };
    const { server, log } = await startServer(t, {}, where);
    const { client } = await startClient(t, where);
    await log.next('connect');
    fs.rmSync(directory, { recursive: true });
    await client.send('still here');
    await log.next('receive');
    await deadline(server.close(), 'close()');
    assert.equal(log.count('error'), 0);
  });

  it('is too long: connect() and listen() say so', limit, async (t) => {
    const where = { path: path.join(temporaryDirectory(t), 'x'.repeat(200)) };
    const server = new impl.server(where);
    record(server);
    await assert.rejects(server.listen(), ({ code }) => ['EINVAL', 'ENAMETOOLONG'].includes(code));
    const client = new impl.client(where);
    await assert.rejects(client.connect(), ({ code }) => ['EINVAL', 'ENAMETOOLONG'].includes(code));
  });
});

describe('a disk that is full', () => {
  it('has no room for a socket: listen() says so, and listens when there is', {
    ...limit,
    skip: noNamespaces,
  }, async (t) => {
    const directory = temporaryDirectory(t);
    const run = prepared(
      t,
      NAMESPACES,
      // Room for its root and one file.
      `mount -t tmpfs -o nr_inodes=2 none ${directory} && touch ${directory}/file`,
      async (sockhop, where) => {
        const fs = require('node:fs');
        const say = (message) => console.log(JSON.stringify(message));
        const server = new sockhop.server({ path: `${where}/socket` });
        server.on('error', () => {});
        server.on('receive', (object) => say({ received: object }));
        await server.listen().then(
          () => say({ outcome: 'listens' }),
          ({ code, syscall }) => say({ outcome: code, syscall }),
        );
        fs.unlinkSync(`${where}/file`);
        await server.listen();
        const client = new sockhop.client({ path: `${where}/socket` });
        await client.connect();
        await client.send('there is room');
      },
      directory,
    );
    const { outcome, syscall } = await run.log.next('line');
    assert.deepEqual([outcome, syscall], ['ENOSPC', 'listen']);
    assert.equal((await run.log.next('line')).received, 'there is room');
  });
});

describe('an address', () => {
  it('that no machine has: connect() and listen() report it', limit, async () => {
    // For documentation; no machine has it.
    const server = new impl.server({ port: 1234, address: '192.0.2.1' });
    record(server);
    await assert.rejects(server.listen(), { code: 'EADDRNOTAVAIL', syscall: 'listen' });
    await server.close();
  });

  it('that disappears ends no process, and serves again when it is back', {
    ...limit,
    skip: noNamespaces,
  }, async (t) => {
    const run = prepared(
      t,
      NAMESPACES,
      'ip link set lo up && ip addr add 10.9.8.7/32 dev lo',
      async (sockhop) => {
        const { execSync } = require('node:child_process');
        const say = (message) => console.log(JSON.stringify(message));
        const address = '10.9.8.7';
        const server = new sockhop.server({ port: 0, address });
        server.on('error', () => {});
        server.on('receive', (object) => say({ received: object }));
        await server.listen();
        const { port } = server.server.address();
        const client = new sockhop.client({ port, address, connect_timeout: 30_000 });
        client.on('error', () => {});
        await client.connect();
        await client.send('before');
        execSync(`ip addr del ${address}/32 dev lo`);
        const other = new sockhop.client({ port, address, connect_timeout: 1000 });
        other.on('error', () => {});
        await other.connect().then(
          () => say({ outcome: 'connected' }),
          ({ code }) => say({ outcome: code }),
        );
        const late = new sockhop.server({ port: 0, address });
        late.on('error', () => {});
        await late.listen().catch(({ code }) => say({ outcome: code }));
        // Data that is sent meanwhile waits in the kernel, which tries again.
        const sent = client.send('meanwhile');
        execSync(`ip addr add ${address}/32 dev lo`);
        // The time is long enough for a busy machine.
        other._connect_timeout = 30_000;
        await other.connect();
        await other.send('after');
        await sent;
      },
    );
    const line = async (key) => (await run.log.next('line', (entry) => key in entry))[key];
    assert.equal(await line('received'), 'before');
    assert.match(await line('outcome'), /^(ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)$/);
    assert.equal(await line('outcome'), 'EADDRNOTAVAIL');
    const rest = [await line('received'), await line('received')];
    assert.deepEqual(rest.sort(), ['after', 'meanwhile']);
  });
});
