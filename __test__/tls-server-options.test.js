'use strict';

// Each option of a server's TLS has the effect that Node documents, whether the package or OpenSSL
// secures the connections.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue, revocationList } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const { startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

let authority;
let other;
let member;
before(async () => {
  authority = await hierarchy();
  other = await issue({ name: 'other', names: ['other.example'], issuer: authority.root });
  member = await issue({ name: 'member', issuer: authority.root });
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });

async function start(t, ssl_options, rest = {}) {
  const started = await startServer(t, { ssl_options, ...rest }, { port: 0 });
  return { ...started, port: started.server.server.address().port };
}

/** Connects with Node's client: resolves with the socket once it is secure, or with the error. */
function connect(t, port, options = {}) {
  const ca = authority.root.cert;
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
  cleanup(t, () => socket.destroy());
  socket.resume();
  const outcome = new Promise((resolve) => {
    socket.on('error', resolve);
    socket.on('secureConnect', () => resolve(socket));
  });
  return deadline(outcome, 'the end of the handshake');
}

const isSecure = (outcome) => outcome instanceof tls.TLSSocket;

/** Whether the package itself secures the connection. */
const isNative = (sock) => !(sock instanceof tls.TLSSocket);

/** The server's end of a connection that a client of Node makes. */
async function accepted(t, { port, log }, options) {
  const client = await connect(t, port, options);
  assert.ok(isSecure(client), client.message);
  const { args } = await log.next('connect');
  return { client, sock: args[0] };
}

describe('the option of a server with TLS', { skip }, () => {
  it('minVersion', limit, async (t) => {
    const { port } = await start(t, { ...identity(), minVersion: 'TLSv1.3' });
    assert.equal(isSecure(await connect(t, port, { maxVersion: 'TLSv1.2' })), false);
    assert.equal(isSecure(await connect(t, port)), true);
  });

  it('maxVersion', limit, async (t) => {
    const { port } = await start(t, { ...identity(), maxVersion: 'TLSv1.2' });
    assert.equal((await connect(t, port)).getProtocol(), 'TLSv1.2');
  });

  it('honorCipherOrder', limit, async (t) => {
    const [first, second] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'];
    const theirs = { maxVersion: 'TLSv1.2', ciphers: `${first}:${second}` };
    for (const [honorCipherOrder, chosen] of [
      [undefined, second],
      [false, first],
    ]) {
      const server = await start(t, { ...identity(), honorCipherOrder });
      const { sock } = await accepted(t, server, theirs);
      assert.ok(isNative(sock));
      assert.equal(sock.getCipher().name, chosen);
    }
  });

  it('ALPNProtocols, as texts and as bytes', limit, async (t) => {
    for (const ALPNProtocols of [['b', 'a'], Buffer.from('\x01b\x01a')]) {
      const server = await start(t, { ...identity(), ALPNProtocols });
      const { client, sock } = await accepted(t, server, { ALPNProtocols: ['a', 'b'] });
      assert.deepEqual([client.alpnProtocol, sock.alpnProtocol], ['b', 'b']);
    }
  });

  it('crl', limit, async (t) => {
    const revoked = await issue({ name: 'revoked', issuer: authority.root });
    const crl = await revocationList(authority.root, [revoked]);
    const server = await start(t, {
      ...identity(),
      crl,
      ca: authority.root.cert,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const good = await accepted(t, server, { cert: member.cert, key: member.key });
    assert.ok(isNative(good.sock));
    assert.equal(good.sock.authorized, true);
    const bad = await accepted(t, server, { cert: revoked.cert, key: revoked.key });
    assert.equal(bad.sock.authorizationError, 'CERT_REVOKED');

    const strict = await start(t, {
      ...identity(),
      crl,
      ca: authority.root.cert,
      requestCert: true,
    });
    await connect(t, strict.port, { cert: revoked.cert, key: revoked.key });
    const { args } = await strict.log.next('error');
    assert.equal(args[0].code, 'CERT_REVOKED');
  });

  it('pfx', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const file = (name, text) => {
      fs.writeFileSync(path.join(directory, name), text);
      return path.join(directory, name);
    };
    const args = ['pkcs12', '-export', '-passout', 'pass:secret', '-out', file('all.pfx', '')];
    args.push('-in', file('cert.pem', authority.chain));
    args.push('-inkey', file('key.pem', authority.server.key));
    if (spawnSync('openssl', args).status !== 0) return t.skip('there is no openssl');
    const pfx = fs.readFileSync(path.join(directory, 'all.pfx'));
    const server = await start(t, { pfx, passphrase: 'secret' });
    const { client } = await accepted(t, server);
    assert.equal(client.authorized, true);
    const unreadable = startServer(t, { ssl_options: { pfx, passphrase: 'other' } }, { port: 0 });
    await assert.rejects(unreadable, { name: 'TypeError', message: /ssl_options.*mac verify/ });
  });

  it('SNICallback, with a context for each name', limit, async (t) => {
    const context = tls.createSecureContext({ cert: other.cert, key: other.key });
    const server = await start(t, {
      ...identity(),
      SNICallback: (name, done) => done(null, name === 'other.example' ? context : undefined),
    });
    const one = await accepted(t, server, { servername: 'other.example' });
    assert.equal(one.client.getPeerCertificate().subject.CN, 'other');
    assert.equal(one.sock.servername, 'other.example');
    const two = await accepted(t, server);
    assert.equal(two.client.getPeerCertificate().subject.CN, 'localhost');
  });

  it('ciphers', limit, async (t) => {
    const ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305';
    const server = await start(t, { ...identity(), ciphers, maxVersion: 'TLSv1.2' });
    const { sock } = await accepted(t, server);
    assert.equal(sock.getCipher().name, ciphers);
  });

  it('ecdhCurve', limit, async (t) => {
    const { port } = await start(t, { ...identity(), ecdhCurve: 'secp384r1' });
    assert.equal(isSecure(await connect(t, port, { ecdhCurve: 'prime256v1' })), false);
    const client = await connect(t, port, { ecdhCurve: 'secp384r1' });
    assert.equal(client.getEphemeralKeyInfo().name, 'secp384r1');
  });

  it('ticketKeys, which two servers may share', limit, async (t) => {
    const options = { ...identity(), ticketKeys: randomBytes(48), maxVersion: 'TLSv1.2' };
    const [one, two] = [await start(t, options), await start(t, options)];
    const { client } = await accepted(t, one);
    const session = client.getSession();
    const resumed = await accepted(t, two, { session });
    assert.equal(resumed.sock.isSessionReused(), true);
  });

  it('sessionTimeout', limit, async (t) => {
    const server = await start(t, { ...identity(), sessionTimeout: 1, maxVersion: 'TLSv1.2' });
    const { client } = await accepted(t, server);
    const session = client.getSession();
    // Twice the time, which OpenSSL counts in whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 2100));
    const { sock } = await accepted(t, server, { session });
    assert.equal(sock.isSessionReused(), false);
  });

  it('handshake_timeout, and not handshakeTimeout', limit, async (t) => {
    const { log, port } = await start(
      t,
      { ...identity(), handshakeTimeout: 600_000 },
      { handshake_timeout: 50 },
    );
    const socket = require('node:net').connect(port, '127.0.0.1');
    cleanup(t, () => socket.destroy());
    socket.on('error', () => {});
    const { args } = await log.next('error');
    assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
  });
});
