'use strict';

// The options of `ssl_options`: the native ones, and those for which the client uses Node's TLS.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { freePort } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const { makeClient } = require('./support/local.js');
const { nativeTls } = require('./support/runtime.js');
const { secureServer } = require('./support/secure.js');

const limit = { timeout: 600_000 };

let authority;
let ec;
let rsa;
before(async () => {
  authority = await hierarchy();
  ec = await issue({ name: 'Client', issuer: authority.between });
  rsa = await issue({ name: 'Client', issuer: authority.between, rsa: true });
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });
const isNative = (client) => !(client.socket instanceof tls.TLSSocket);

/** Connects with the options; answers the client and the server's socket. */
async function connect(t, at, ssl_options, options = {}) {
  const { client, log } = makeClient(
    t,
    { port: at.port },
    { ssl_options: { ca: authority.root.cert, ...ssl_options }, ...options },
  );
  await client.connect();
  const { socket, wire } = await at.log.next('connection');
  return { client, log, socket, wire };
}

/** Shows that a client and the wire understand each other. */
async function talk({ client, log, wire }) {
  await client.send('up');
  assert.equal((await wire.frame()).data, 'up');
  wire.write({ type: 'String', data: 'down' });
  assert.equal((await log.next('receive')).args[0], 'down');
}

describe('cert and key', () => {
  const server = () => ({
    ...identity(),
    requestCert: true,
    rejectUnauthorized: true,
    ca: authority.root.cert,
  });
  const forms = {
    'as PKCS#8': () => ({ cert: ec.cert, key: ec.key }),
    'as SEC1': () => ({ cert: ec.cert, key: ec.exportKey({ type: 'sec1' }) }),
    'as PKCS#1': () => ({ cert: rsa.cert, key: rsa.exportKey({ type: 'pkcs1' }) }),
    'in buffers': () => ({ cert: Buffer.from(rsa.cert), key: Buffer.from(rsa.key) }),
    'in arrays': () => ({ cert: [ec.cert], key: [ec.key] }),
  };
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    for (const [name, form] of Object.entries(forms)) {
      it(`${name}, are shown to a server that asks for them with ${version}`, limit, async (t) => {
        const at = await secureServer(t, { ...server(), maxVersion: version });
        const { cert, key } = form();
        const chain = Array.isArray(cert)
          ? [cert[0] + authority.between.cert]
          : cert + authority.between.cert;
        const made = await connect(t, at, { cert: chain, key });
        assert.equal(isNative(made.client), nativeTls);
        assert.equal(made.socket.authorized, true);
        assert.equal(made.socket.getPeerCertificate().subject.CN, 'Client');
        await talk(made);
      });
    }
  }

  it('with a passphrase, are left to OpenSSL', limit, async (t) => {
    const at = await secureServer(t, server());
    const key = ec.exportKey({ type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'open sesame' });
    const cert = ec.cert + authority.between.cert;
    const made = await connect(t, at, { cert, key, passphrase: 'open sesame' });
    assert.ok(!isNative(made.client));
    assert.equal(made.socket.authorized, true);
    await talk(made);
  });

  for (const [name, pair] of Object.entries({
    'that do not belong together': () => ({ cert: ec.cert, key: authority.server.key }),
    'that cannot be read': () => ({ cert: 'no certificate', key: 'no key' }),
    'that are of no use': () => ({ cert: 5, key: {} }),
  })) {
    it(`${name} fail as with tls.connect()`, limit, async (t) => {
      const at = await secureServer(t, identity());
      const options = { ca: authority.root.cert, ...pair() };
      let expected;
      try {
        const socket = tls.connect({ host: '127.0.0.1', port: at.port, ...options });
        cleanup(t, () => socket.destroy());
      } catch (error) {
        expected = error;
      }
      assert.ok(expected, 'Node refuses it at once');
      const { client } = makeClient(t, { port: at.port }, { ssl_options: options });
      await assert.rejects(client.connect(), { code: expected.code, message: expected.message });
    });
  }
});

describe('ALPNProtocols', () => {
  const server = () => ({ ...identity(), ALPNProtocols: ['sockhop/2', 'sockhop/1'] });
  for (const [name, offered] of Object.entries({
    'in an array': ['other', 'sockhop/1'],
    'in buffers': [Buffer.from('sockhop/1')],
    'as on the wire': Buffer.from('\x05other\x09sockhop/1'),
  })) {
    it(`${name}, are offered, and the socket has the chosen one`, limit, async (t) => {
      const at = await secureServer(t, server());
      const made = await connect(t, at, { ALPNProtocols: offered });
      assert.equal(isNative(made.client), nativeTls);
      assert.equal(made.client.socket.alpnProtocol, 'sockhop/1');
      assert.equal(made.socket.alpnProtocol, 'sockhop/1');
    });
  }

  it('that the server does not have fail as with tls.connect()', limit, async (t) => {
    const at = await secureServer(t, server());
    const options = { ca: authority.root.cert, ALPNProtocols: ['unknown'] };
    const socket = tls.connect({ host: '127.0.0.1', port: at.port, ...options });
    cleanup(t, () => socket.destroy());
    const expected = await deadline(
      Promise.race([
        once(socket, 'secureConnect').then(() => null),
        once(socket, 'error').then(([error]) => error),
      ]).catch((error) => error),
      "Node's client",
    );
    const { client } = makeClient(t, { port: at.port }, { ssl_options: options });
    if (expected) await assert.rejects(client.connect(), { code: expected.code });
    else {
      await client.connect();
      assert.equal(client.socket.alpnProtocol, false);
    }
  });
});

describe('servername', () => {
  it('is sent to the server', limit, async (t) => {
    const at = await secureServer(t, identity());
    const made = await connect(t, at, { servername: 'localhost' });
    assert.equal(isNative(made.client), nativeTls);
    assert.equal(made.socket.servername, 'localhost');
  });

  it('is not sent unless it is given, just as tls.connect() does it', limit, async (t) => {
    const at = await secureServer(t, identity());
    const made = await connect(t, at, {});
    assert.equal(isNative(made.client), nativeTls);
    const reference = tls.connect({
      host: 'localhost',
      family: 4,
      port: at.port,
      ca: authority.root.cert,
    });
    cleanup(t, () => reference.destroy());
    const { socket } = await at.log.next('connection');
    assert.equal(made.socket.servername, socket.servername);
  });

  it('chooses among the certificates of a server', limit, async (t) => {
    const other = await issue({ name: 'o', names: ['other.example'], issuer: authority.root });
    const at = await secureServer(t, identity());
    at.server.addContext('other.example', { cert: other.cert, key: other.key });
    const made = await connect(t, at, { servername: 'other.example' });
    assert.equal(isNative(made.client), nativeTls);
    assert.equal(made.client.socket.getPeerCertificate().subject.CN, 'o');
  });
});

describe('minVersion and maxVersion', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    it(`${version} is used if nothing else is allowed`, limit, async (t) => {
      const at = await secureServer(t, identity());
      const made = await connect(t, at, { minVersion: version, maxVersion: version });
      assert.equal(isNative(made.client), nativeTls);
      assert.equal(made.client.socket.getProtocol(), version);
      assert.equal(made.socket.getProtocol(), version);
      await talk(made);
    });
  }

  it('that do not match those of the server fail as with tls.connect()', limit, async (t) => {
    const at = await secureServer(t, { ...identity(), maxVersion: 'TLSv1.2' });
    const options = { ca: authority.root.cert, minVersion: 'TLSv1.3' };
    const socket = tls.connect({ host: '127.0.0.1', port: at.port, ...options });
    cleanup(t, () => socket.destroy());
    const [expected] = await deadline(once(socket, 'error'), "Node's error");
    const { client } = makeClient(t, { port: at.port }, { ssl_options: options });
    await assert.rejects(client.connect(), { code: expected.code });
  });
});

describe('an option that requires OpenSSL', () => {
  const options = {
    ciphers: () => ({ ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' }),
    ecdhCurve: () => ({ ecdhCurve: 'P-256' }),
    secureContext: () => ({ secureContext: tls.createSecureContext({ ca: authority.root.cert }) }),
    lookup: () => ({
      lookup: (_host, settings, callback) =>
        settings.all
          ? callback(null, [{ address: '127.0.0.1', family: 4 }])
          : callback(null, '127.0.0.1', 4),
    }),
    'an unknown option': () => ({ unheardOf: true }),
  };
  for (const [name, option] of Object.entries(options)) {
    it(`(${name}) has its effect, and the program does not notice OpenSSL`, limit, async (t) => {
      const at = await secureServer(t, identity());
      const made = await connect(t, at, option(), { address: 'localhost' });
      assert.ok(!isNative(made.client));
      assert.equal(made.client.socket.authorized, true);
      if (name === 'ciphers') {
        assert.equal(made.socket.getCipher().name, 'ECDHE-ECDSA-AES128-GCM-SHA256');
      }
      await talk(made);
    });
  }

  for (const [name, value] of [
    ['servername', 5],
    ['checkServerIdentity', true],
    ['checkServerIdentity', undefined],
    ['ALPNProtocols', 'sockhop'],
    ['session', 5],
  ]) {
    it(`a wrong ${name} (${value}) rejects connect(), and no socket connects`, limit, async (t) => {
      const accepted = [];
      const server = net.createServer((socket) => accepted.push(socket));
      cleanup(t, () => server.close());
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const where = { port: server.address().port };
      const { client } = makeClient(t, where, { ssl: true, ssl_options: { [name]: value } });
      await assert.rejects(client.connect(), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_TYPE',
        message: new RegExp(`"options\\.ssl_options\\.${name}" property must be`),
      });
      // A connection that was begun before would be accepted before this one.
      const last = net.connect(where.port, '127.0.0.1');
      const [first] = await once(server, 'connection');
      assert.equal(first.remotePort, last.localPort);
      assert.equal(accepted.length, 1);
      for (const socket of [first, last]) socket.destroy();
    });
  }

  it('the name of a file instead of its contents is explained', limit, async (t) => {
    const ssl_options = { cert: 'cert.pem', key: 'key.pem' };
    const { client } = makeClient(t, { port: await freePort() }, { ssl_options });
    const err = await client.connect().then(assert.fail, (e) => e);
    assert.match(err.code, /^ERR_OSSL_/);
    assert.match(err.cause.message, /"cert", "key" .* contents of files, not their names/);
  });

  it('that Node has removed causes an error that names it', limit, async (t) => {
    const at = await secureServer(t, identity());
    const ssl_options = { NPNProtocols: ['x'] };
    const { client } = makeClient(t, { port: at.port }, { ssl_options });
    await assert.rejects(client.connect(), { name: 'TypeError', message: /NPNProtocols/ });
  });

  it(
    'is not needed if the server requires OpenSSL: the client changes to it, and keeps using it',
    limit,
    async (t) => {
      // A suite without forward secrecy, which rustls does not have.
      const rsaServer = await issue({
        name: 'localhost',
        names: ['127.0.0.1'],
        issuer: authority.root,
        rsa: true,
      });
      const at = await secureServer(t, {
        cert: rsaServer.cert,
        key: rsaServer.key,
        maxVersion: 'TLSv1.2',
        ciphers: 'AES128-GCM-SHA256',
      });
      const { client } = makeClient(
        t,
        { port: at.port },
        { ssl_options: { ca: authority.root.cert } },
      );
      await client.connect();
      assert.equal(client.socket.authorized, true);
      assert.equal(client.socket.getCipher().name, 'AES128-GCM-SHA256');
      assert.equal(at.log.count('tcp'), 2);
      const over = once(client, 'disconnect');
      client.socket.end();
      await deadline(over, 'the end of the connection');
      await client.connect();
      assert.equal(at.log.count('tcp'), 3);
    },
  );
});

describe('a handshake that does not complete', () => {
  /** A server that handles every connection with a function of the test. */
  async function oddServer(t, onConnection) {
    const sockets = [];
    const server = net.createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => {});
      onConnection(socket);
    });
    cleanup(t, () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { port: server.address().port, server };
  }

  it('ends with connect_timeout', limit, async (t) => {
    const { port } = await oddServer(t, () => {});
    const { client } = makeClient(t, { port }, { ssl: true, connect_timeout: 100 });
    await assert.rejects(client.connect(), { message: 'Timeout exceeded on connect()' });
  });

  for (const [name, ssl_options] of Object.entries({
    natively: {},
    'with OpenSSL': { ecdhCurve: 'P-256' },
  })) {
    it(`ends with handshake_timeout, ${name}`, limit, async (t) => {
      const { port } = await oddServer(t, () => {});
      const options = { ssl: true, ssl_options, handshake_timeout: 100 };
      const { client } = makeClient(t, { port }, options);
      await assert.rejects(client.connect(), { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
      assert.equal(client.stats().handshake_timeouts, 1);
    });
  }

  it('ends when the program disconnects', limit, async (t) => {
    const { port, server } = await oddServer(t, () => {});
    const arrived = once(server, 'connection');
    const { client } = makeClient(t, { port }, { ssl: true });
    const connecting = client.connect();
    const rejection = assert.rejects(connecting, { code: 'ERR_SOCKET_DESTROYED' });
    const [socket] = await deadline(arrived, 'the connection');
    socket.resume();
    const closed = once(socket, 'close');
    await client.disconnect();
    await rejection;
    await deadline(closed, 'the socket to close');
  });

  const oddities = {
    'a server that speaks no TLS': (socket) => socket.write('220 welcome to a mail server\r\n'),
    'a server that hangs up': (socket) => socket.once('data', () => socket.end()),
  };
  for (const [name, behave] of Object.entries(oddities)) {
    it(`is reported as Node does: ${name}`, limit, async (t) => {
      const { port } = await oddServer(t, behave);
      const socket = tls.connect({ host: '127.0.0.1', port });
      cleanup(t, () => socket.destroy());
      const [expected] = await deadline(once(socket, 'error'), "Node's error");
      const { client } = makeClient(t, { port }, { ssl: true });
      await assert.rejects(client.connect(), { code: expected.code });
    });
  }

  it('does not begin with a port that has no listener', limit, async (t) => {
    const { port, server } = await oddServer(t, () => {});
    await new Promise((resolve) => server.close(resolve));
    const { client } = makeClient(t, { port }, { ssl: true });
    await assert.rejects(client.connect(), {
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.1',
      port,
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
});
