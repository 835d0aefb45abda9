'use strict';

// The addresses of clients and servers: names with several addresses, zones and abstract names, and
// the errors of a client that cannot reconnect.

const assert = require('node:assert/strict');
const dns = require('node:dns');
const net = require('node:net');
const os = require('node:os');
const { describe, it } = require('node:test');
const { freePort, temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { implementations } = require('./support/implementations.js');
const { makeClient, startServer } = require('./support/local.js');
const { rawServer } = require('./support/raw.js');
const { notOn } = require('./support/runtime.js');

const limit = { timeout: 600_000 };

/** Resolves a name of this test to these addresses. */
function named(t, addresses) {
  const found = addresses.map((address) => ({ address, family: net.isIP(address) }));
  const answer = (opts) => (opts?.all ? found : found[0]);
  const { lookup } = dns;
  const { lookup: promised } = dns.promises;
  dns.lookup = (_name, opts, done) => {
    if (opts.all) done(null, found);
    else done(null, found[0].address, found[0].family);
  };
  dns.promises.lookup = async (_name, opts) => answer(opts);
  cleanup(t, () => {
    dns.lookup = lookup;
    dns.promises.lookup = promised;
  });
  return 'several-addresses.test';
}

describe('a name with several addresses', () => {
  it('connects to the address that has a listener', limit, async (t) => {
    const { server, where } = await startServer(t, {}, { address: '127.0.0.1', port: 0 });
    const { port } = server.server.address();
    const address = named(t, ['127.0.0.3', '::1', '127.0.0.1', '127.0.0.2']);
    const { client } = makeClient(t, { ...where, address, port });
    await client.connect();
    assert.equal(client.socket.remoteAddress, '127.0.0.1');
  });

  it('without any listener fails with the code of the first address', limit, async (t) => {
    const port = await freePort();
    const address = named(t, ['127.0.0.3', '127.0.0.2']);
    const { client } = makeClient(t, { address, port });
    await assert.rejects(client.connect(), (err) => {
      assert.ok(err instanceof AggregateError);
      assert.equal(err.code, 'ECONNREFUSED');
      assert.deepEqual(
        err.errors.map((one) => [one.code, one.syscall, one.address, one.port]),
        ['127.0.0.3', '127.0.0.2'].map((one) => ['ECONNREFUSED', 'connect', one, port]),
      );
      return true;
    });
  });
});

describe('the zone of an IPv6 address', () => {
  const [[link, address] = []] = Object.entries(os.networkInterfaces())
    .flatMap(([name, ends]) => ends.map((end) => [name, end.address]))
    .filter(([, end]) => end.startsWith('fe80:'))
    .map(([name, end]) => [name, `${end}%${name}`]);
  const skip = link === undefined && 'no link has a link-local address here';

  it('is accepted by listen() and connect(), and shown as by net', {
    ...limit,
    skip,
  }, async (t) => {
    const { server } = await startServer(t, {}, { address, port: 0 });
    const { port } = server.server.address();
    assert.equal(server.server.address().address, address);
    const { client } = makeClient(t, { address, port });
    await client.connect();
    const plain = net.connect(port, address);
    cleanup(t, () => plain.destroy());
    await deadline(new Promise((resolve) => plain.once('connect', resolve)), 'net to connect');
    for (const end of ['remoteAddress', 'localAddress']) {
      assert.equal(client.socket[end], plain[end]);
    }
  });

  it('may be unknown: the error is that of net', limit, async (t) => {
    const where = { address: 'fe80::1%no-such-link', port: await freePort() };
    const { client } = makeClient(t, where);
    const plain = net.connect(where.port, where.address);
    const expected = await deadline(
      new Promise((resolve) => plain.once('error', resolve)),
      'the error of net',
    );
    await assert.rejects(client.connect(), { code: expected.code, syscall: 'connect' });
  });
});

describe('an abstract Unix socket', () => {
  const skip =
    process.platform !== 'linux' ||
    notOn('bun') ||
    notOn('deno') ||
    Number(process.versions.node.split('.')[0]) < 20
      ? 'libuv knows abstract names since Node 20, on Linux'
      : false;
  const unique = () => `\0sockhop-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const names = {
    'a short one': unique,
    'with NULs in it': () => `${unique()}\0a\0`,
    'as long as can be': () => unique().padEnd(108, 'x'),
    'that is not ASCII': () => `${unique()}ü`,
  };
  for (const [name, make] of Object.entries(names)) {
    it(`of a server is found by net (${name})`, { ...limit, skip }, async (t) => {
      const path = make();
      const { server, log } = await startServer(t, {}, { path });
      assert.equal(server.server.address(), path);
      const socket = net.connect(path);
      cleanup(t, () => socket.destroy());
      await log.next('connect');
      const { client } = makeClient(t, { path });
      await client.connect();
      assert.equal(server.sockets.length, 2);
    });

    it(`of net is found by a client (${name})`, { ...limit, skip }, async (t) => {
      const path = make();
      const raw = await rawServer(t, { path });
      const { client } = makeClient(t, { path });
      await client.connect();
      await raw.accept();
    });
  }

  it('without a listener refuses a client', { ...limit, skip }, async (t) => {
    const path = unique();
    const { client } = makeClient(t, { path });
    await assert.rejects(client.connect(), { code: 'ECONNREFUSED', address: path });
  });
});

describe('a client whose automatic attempts to connect fail', () => {
  const original = require(implementations.original);

  it('emits the reason, and counts it', limit, async (t) => {
    const path = `${temporaryDirectory(t)}/none/a.sock`;
    const { client, log } = makeClient(t, { path }, { auto_reconnect_interval: 10 });
    client.auto_reconnect = true;
    for (let n = 0; n < 2; n += 1) {
      const { args } = await log.next('error');
      assert.deepEqual([args[0].code, args[0].address], ['ENOENT', path]);
    }
    assert.ok(client.stats().failed_reconnects >= 2);
    client.auto_reconnect = false;
  });

  it('emits the errors that 1.8.4 emits', limit, async (t) => {
    const path = `${temporaryDirectory(t)}/none/a.sock`;
    const old = new original.client({ path, auto_reconnect_interval: 10 });
    cleanup(t, () => {
      old.auto_reconnect = false;
      clearInterval(old._auto_reconnect_timer);
    });
    const told = new Promise((resolve) => old.on('error', resolve));
    old.auto_reconnect = true;
    const expected = await deadline(told, 'the error of the original');
    const { client, log } = makeClient(t, { path }, { auto_reconnect_interval: 10 });
    client.auto_reconnect = true;
    const { args } = await log.next('error');
    for (const key of ['code', 'errno', 'syscall', 'address', 'message']) {
      assert.equal(args[0][key], expected[key]);
    }
    client.auto_reconnect = false;
  });

  it('emits no error while there is no listener yet, and counts the attempts', limit, async (t) => {
    const { client, log } = makeClient(
      t,
      { port: await freePort() },
      { auto_reconnect_interval: 10 },
    );
    client.auto_reconnect = true;
    await deadline(
      new Promise((resolve) => {
        const look = setInterval(() => {
          if (client.stats().failed_reconnects < 3) return;
          clearInterval(look);
          resolve();
        }, 5);
      }),
      'three attempts',
    );
    assert.deepEqual(log.all('error'), []);
    client.auto_reconnect = false;
  });

  it('emits nothing about an attempt that the program gave up', limit, async (t) => {
    const { client, log } = makeClient(
      t,
      { port: await freePort() },
      { auto_reconnect_interval: 5 },
    );
    for (let n = 0; n < 20; n += 1) {
      client.auto_reconnect = true;
      client._perform_auto_reconnect();
      await client.disconnect();
    }
    assert.deepEqual(log.all('error'), []);
  });
});
