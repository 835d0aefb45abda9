'use strict';

// A client over TLS, with servers of this package and of the original after Node's own TLS server.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const { implementations } = require('./support/implementations.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { nativeTls, notOn } = require('./support/runtime.js');
const { tlsRecordingProxy, secureServer, secureSockhop } = require('./support/secure.js');

const LARGE = 16 * 2 ** 20;
const limit = { timeout: 600_000 };

let authority;
before(async () => {
  authority = await hierarchy();
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });
const trusting = (options) => ({ ca: authority.root.cert, servername: 'localhost', ...options });

/** A connected client, which must not use OpenSSL, and the log of its events. */
async function connected(t, port, options = {}) {
  const { client, log } = makeClient(t, { port }, { ssl_options: trusting(), ...options });
  await client.connect();
  assert.equal(
    !(client.socket instanceof tls.TLSSocket),
    nativeTls,
    'the connection is a native one',
  );
  assert.equal(client.socket.authorized, true);
  return { client, log };
}

for (const [name, specifier] of Object.entries(implementations)) {
  describe(`a client over TLS and a server of ${name === 'native' ? 'this package' : 'the original'}`, () => {
    const start = async (t, options) => {
      const at = await secureSockhop(t, require(specifier), identity(), options);
      const joined = new Promise((resolve) =>
        at.server.on('connect', (sock, session) => resolve({ sock, session })),
      );
      const { client, log } = await connected(t, at.port);
      return { ...at, client, log, ...(await deadline(joined, 'the connection')) };
    };

    it('exchange objects', limit, async (t) => {
      const { client, server, sock, log } = await start(t);
      const arrived = once(server, 'receive');
      await client.send({ a: [1, 'ü', null] });
      const [object, meta] = await deadline(arrived, 'the object');
      assert.deepEqual(object, { a: [1, 'ü', null] });
      assert.equal(meta.type, 'Object');
      await server.send(sock, 'back');
      const { args } = await log.next('receive');
      assert.equal(args[0], 'back');
    });

    it('answer callbacks in both directions', limit, async (t) => {
      const { client, server, sock } = await start(t);
      server.on('receive', (object, meta) => meta.callback({ twice: object * 2 }));
      client.on('receive', (object, meta) => meta.callback({ thrice: object * 3 }));
      const asked = new Promise((resolve) => client.send(21, resolve));
      assert.deepEqual(await deadline(asked, 'the answer of the server'), { twice: 42 });
      const back = new Promise((resolve) => server.send(sock, 5, resolve));
      assert.deepEqual(await deadline(back, 'the answer of the client'), { thrice: 15 });
    });

    it('exchange a message of 16 MB in both directions at once', limit, async (t) => {
      const { client, server, sock, log } = await start(t);
      const text = 'A long text. '.repeat(LARGE / 13);
      const up = once(server, 'receive');
      const sending = [client.send({ text }), server.send(sock, { text })];
      const [object] = await deadline(up, 'the message up', 40_000);
      const down = await log.next('receive', undefined, 40_000);
      assert.ok(object.text === text, 'what arrived at the server is what was sent');
      assert.ok(down.args[0].text === text, 'what arrived at the client is what was sent');
      await deadline(Promise.all(sending), 'both to be sent');
    });

    it('keep the order of many small messages', limit, async (t) => {
      const { client, server } = await start(t);
      const COUNT = 5000;
      const seen = [];
      const all = new Promise((resolve) =>
        server.on('receive', (object) => {
          seen.push(object.n);
          if (seen.length === COUNT) resolve();
        }),
      );
      const sent = [];
      for (let n = 0; n < COUNT; n += 1) {
        sent.push(client.send({ n }));
        // Some messages share a record, and others have one each.
        if (n % 7 === 0) await sent[n];
      }
      await Promise.all(sent);
      await deadline(all, () => `all messages, ${seen.length} of which came`, 30_000);
      assert.deepEqual(
        seen,
        seen.map((_, n) => n),
      );
    });

    it('lose no message between questions, floods and pauses', limit, async (t) => {
      const { client, server, sock } = await start(t);
      server.on('receive', (object, meta) => meta.callback(object));
      const seen = [];
      client.on('receive', ({ n }) => seen.push(n));
      const filler = 'f'.repeat(1000);
      let sent = 0;
      const say = (count) =>
        Promise.all(Array.from({ length: count }, () => server.send(sock, { n: sent++, filler })));
      const all = () => until(() => seen.length === sent, `${sent} messages are here`, 20_000);
      for (let round = 0; round < 3; round += 1) {
        for (let i = 0; i < 100; i += 1) {
          const answer = new Promise((resolve) => client.send(i, resolve));
          assert.equal(await deadline(answer, `answer ${i}`), i);
        }
        for (let i = 0; i < 30; i += 1) await say(100);
        await all();
        const before = seen.length;
        client.socket.pause();
        await deadline(say(300), 'what was said to a paused client');
        // With another runtime's TLS, data that it has already read may still arrive.
        if (nativeTls) assert.equal(seen.length, before);
        client.socket.resume();
        await all();
      }
      assert.deepEqual(
        seen,
        seen.map((_, n) => n),
      );
    });

    it('see each other end', limit, async (t) => {
      const { client, server, log } = await start(t);
      const gone = once(server, 'disconnect');
      const arrived = once(server, 'receive');
      client.send('last words');
      await client.disconnect();
      const [object] = await deadline(arrived, 'the last words');
      assert.equal(object, 'last words');
      await deadline(gone, 'the server to learn of it');
      assert.equal(log.count('disconnect'), 1);
      assert.equal(log.count('error'), 0);
    });

    it('ping each other', limit, async (t) => {
      const { client } = await start(t);
      client.ping(150);
      await until(
        () => client.pings.length > 1 && client.pings[0].unanswered() === false,
        'a ping is answered',
      );
      assert.equal(client.connected, true);
    });
  });
}

describe('a client over TLS', () => {
  it('reconnects automatically when the server is back', limit, async (t) => {
    const first = await secureServer(t, identity());
    const { client, log } = makeClient(
      t,
      { port: first.port },
      {
        ssl_options: trusting(),
        auto_reconnect_interval: 20,
      },
    );
    client.auto_reconnect = true;
    for (let life = 0, at = first; ; life += 1) {
      await log.next('connect');
      const wire = await at.accept();
      client.send({ life });
      assert.deepEqual((await wire.frame()).data, { life });
      if (life === 3) break;
      await at.close();
      await log.next('disconnect');
      at = await secureServer(t, identity(), undefined, first.port);
    }
    assert.equal(log.count('connect'), 4);
    assert.equal(log.count('disconnect'), 3);
    assert.equal(!(client.socket instanceof tls.TLSSocket), nativeTls, 'and natively to the end');
  });

  const skip = notOn('bun', 'its TLS does not');
  it('sends close_notify before it ends', { ...limit, skip }, async (t) => {
    const at = await secureServer(t, identity());
    const proxy = await tlsRecordingProxy(t, at.port);
    // With TLS 1.3 an alert looks like data.
    const ssl_options = trusting({ maxVersion: 'TLSv1.2' });
    const { client } = await connected(t, proxy.port, { ssl_options });
    const wire = await at.accept();
    await client.send('bye');
    await client.disconnect();
    await wire.next('end');
    await wire.next('close');
    const ALERT = 21;
    assert.equal(proxy.types().at(-1), ALERT);
    assert.deepEqual(
      wire.all('frame').map(({ json }) => json.data),
      ['bye'],
    );
  });

  it('treats a FIN without close_notify as an end', limit, async (t) => {
    const at = await secureServer(t, identity());
    const proxy = await tlsRecordingProxy(t, at.port);
    const { log } = await connected(t, proxy.port);
    await at.accept();
    proxy.finish();
    await log.next('disconnect');
    assert.equal(log.count('error'), 0);
  });

  it('delivers data that comes with the end', limit, async (t) => {
    const at = await secureServer(t, identity());
    const { log } = await connected(t, at.port);
    const wire = await at.accept();
    wire.write({ type: 'String', data: 'one' }, { type: 'String', data: 'two' });
    wire.socket.end();
    await log.next('disconnect');
    assert.deepEqual(
      log.all('receive').map(({ args }) => args[0]),
      ['one', 'two'],
    );
  });

  it('delivers data that a server sends right after the handshake', limit, async (t) => {
    const at = await secureServer(t, identity(), (socket) =>
      socket.write('{"type":"String","data":"welcome"}\n'),
    );
    for (let round = 0; round < 10; round += 1) {
      const { client, log } = await connected(t, at.port);
      const { args } = await log.next('receive');
      assert.equal(args[0], 'welcome');
      await client.disconnect();
    }
  });

  it('settles send() when the kernel has the bytes, and not before', limit, async (t) => {
    const at = await secureServer(t, identity(), (socket) => socket.pause());
    const { client } = await connected(t, at.port);
    const { socket } = await at.log.next('connection');
    let settled = false;
    const sent = client.send({ text: 'x'.repeat(4 * LARGE) }).then(() => {
      settled = true;
    });
    // The peer reads nothing, and no buffer of the system holds that much.
    await until(() => client.stats().queued_bytes > 0, 'some of it waits');
    assert.equal(settled, false);
    socket.resume();
    await deadline(sent, 'the message to be sent', 40_000);
  });

  it('reports a server that refuses it after the handshake as Node does', limit, async (t) => {
    // With TLS 1.3 a client learns after its own handshake only that the server requires a
    // certificate.
    const options = { ...identity(), requestCert: true, ca: authority.root.cert };
    const at = await secureServer(t, options);
    const { client, log } = makeClient(t, { port: at.port }, { ssl_options: trusting() });
    const reference = tls.connect({ host: '127.0.0.1', port: at.port, ...trusting() });
    cleanup(t, () => reference.destroy());
    const [expected] = await deadline(once(reference, 'error'), 'the error of Node');
    await client.connect();
    const { args } = await log.next('error');
    assert.equal(args[0].code, expected.code);
    assert.equal(args[0].reason, expected.reason);
    await log.next('disconnect');
  });

  it('speaks TLS over a Unix socket', limit, async (t) => {
    const path = unixPath(t);
    const server = tls.createServer(identity(), (socket) => socket.pipe(socket));
    await new Promise((resolve) => server.listen(path, resolve));
    cleanup(t, () => server.close());
    const { client, log } = makeClient(t, { path }, { ssl_options: { ca: authority.root.cert } });
    await client.connect();
    assert.equal(!(client.socket instanceof tls.TLSSocket), nativeTls);
    await client.send('echo');
    assert.equal((await log.next('receive')).args[0], 'echo');
  });

  it('gives its socket the members of a TLS socket', limit, async (t) => {
    const at = await secureServer(t, identity());
    const { client } = await connected(t, at.port);
    const { socket } = client;
    const reference = tls.connect({ host: '127.0.0.1', port: at.port, ...trusting() });
    cleanup(t, () => reference.destroy());
    await once(reference, 'secureConnect');
    assert.ok(socket instanceof net.Socket);
    for (const name of [
      'encrypted',
      'authorized',
      'authorizationError',
      'alpnProtocol',
      'servername',
    ]) {
      assert.deepEqual(socket[name], reference[name], name);
    }
    assert.deepEqual(socket.getPeerCertificate(), reference.getPeerCertificate());
    assert.deepEqual(socket.getPeerCertificate(true), reference.getPeerCertificate(true));
    assert.deepEqual(socket.getCipher(), reference.getCipher());
    assert.equal(socket.getProtocol(), reference.getProtocol());
    assert.equal(socket.isSessionReused(), reference.isSessionReused());
    assert.equal(
      socket.getPeerX509Certificate().fingerprint256,
      reference.getPeerX509Certificate().fingerprint256,
    );
    await client.disconnect();
    reference.destroy();
    assert.deepEqual(socket.getPeerCertificate(), reference.getPeerCertificate());
    assert.deepEqual(socket.getCipher(), reference.getCipher());
    assert.deepEqual(socket.getProtocol(), reference.getProtocol());
  });

  it('leaves no member of TLS on the socket without TLS', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = await startClient(t, where);
    assert.equal(client.socket.encrypted, undefined);
    assert.equal(client.socket.getPeerCertificate, undefined);
  });
});

describe('a connection that ends during the handshake', () => {
  const ends = {
    'by FIN': (socket) => socket.end(),
    'by a reset': (socket) => socket.resetAndDestroy(),
  };
  for (const [how, end] of Object.entries(ends)) {
    it(`${how} does not turn the native TLS off for later connections`, {
      ...limit,
      skip: !nativeTls && 'TLS is not native here',
    }, async (t) => {
      const inner = await secureServer(t, identity(), (socket) => socket.resume());
      let number = 0;
      const front = net.createServer((socket) => {
        socket.on('error', () => {});
        number += 1;
        if (number === 1) socket.once('data', () => end(socket));
        else inner.server.emit('connection', socket);
      });
      cleanup(t, () => new Promise((resolve) => front.close(resolve)));
      await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
      const { client } = makeClient(t, { port: front.address().port }, { ssl_options: trusting() });
      // OpenSSL may have made this one.
      await client.connect();
      for (let n = 0; n < 2; n += 1) {
        await client.disconnect();
        await client.connect();
        assert.equal(client.socket instanceof tls.TLSSocket, false);
      }
      await client.disconnect();
    });
  }
});
