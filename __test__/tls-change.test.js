'use strict';

// Certificates of a server that change while it serves, and sessions of TLS that are resumed.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

/** Options of the program that make OpenSSL secure the connections. */
const ways = {
  'on the threads of the package': {},
  'through OpenSSL': { sigalgs: 'ecdsa_secp256r1_sha256:RSA-PSS+SHA256' },
};

let authority;
let next;
let member;
before(async () => {
  authority = await hierarchy();
  next = await issue({ name: 'next', names: ['localhost'], issuer: authority.root });
  member = await issue({ name: 'member', issuer: authority.root });
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });

async function start(t, options = {}) {
  const ssl_options = { ...identity(), ...options };
  const started = await startServer(t, { ssl_options }, { port: 0 });
  return { ...started, port: started.server.server.address().port };
}

/** The end and the session of each client. */
const closings = new WeakMap();
const sessions = new WeakMap();

/** A connected client of Node. */
async function connect(t, port, options = {}) {
  const ca = authority.root.cert;
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
  cleanup(t, () => socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  closings.set(socket, new Promise((resolve) => socket.on('close', resolve)));
  sessions.set(socket, new Promise((resolve) => socket.on('session', resolve)));
  await deadline(once(socket, 'secureConnect'), 'the handshake');
  return socket;
}

const nameOf = (socket) => socket.getPeerCertificate().subject.CN;

for (const [way, extra] of Object.entries(ways)) {
  describe(`set_secure_context() of a server with TLS ${way}`, { skip }, () => {
    it('changes the certificate for new connections, and drops none', limit, async (t) => {
      const { server, log, port } = await start(t, extra);
      const before = await connect(t, port);
      assert.equal(nameOf(before), 'localhost');
      server.set_secure_context({ cert: next.cert, key: next.key });
      const after = await connect(t, port);
      assert.equal(nameOf(after), 'next');
      before.write('{"type":"Object","data":{"still":"here"}}\n');
      const { args } = await log.next('receive');
      assert.deepEqual(args[0], { still: 'here' });
      await log.take('connect', 2);
      assert.equal(server.sockets.length, 2);
    });

    it('leaves the other options as they are, and can change them', limit, async (t) => {
      const { server, log, port } = await start(t, extra);
      server.set_secure_context({ requestCert: true, ca: authority.root.cert });
      await connect(t, port, { cert: member.cert, key: member.key });
      const { args } = await log.next('connect');
      assert.equal(args[0].authorized, true);
      const refused = await connect(t, port);
      await deadline(closings.get(refused), 'the end of a client without a certificate');
      const { args: failure } = await log.next('error');
      assert.equal(failure[0].code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    });

    it('changes nothing if the key belongs to another certificate', limit, async (t) => {
      const { server, port } = await start(t, extra);
      assert.throws(() => server.set_secure_context({ cert: next.cert }), {
        name: 'TypeError',
        code: 'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
      });
      assert.equal(nameOf(await connect(t, port)), 'localhost');
    });

    it('lasts when the server listens again', limit, async (t) => {
      const { server } = await start(t, extra);
      server.set_secure_context({ cert: next.cert, key: next.key });
      await server.close();
      await server.listen();
      assert.equal(nameOf(await connect(t, server.server.address().port)), 'next');
    });

    for (const version of ['TLSv1.2', 'TLSv1.3']) {
      it(`lets clients resume their sessions, ${version}`, limit, async (t) => {
        const { server, log, port } = await start(t, extra);
        const first = await connect(t, port, { maxVersion: version });
        const { args: one } = await log.next('connect');
        assert.equal(one[0].isSessionReused(), false);
        // With TLS 1.3 the session arrives after the handshake.
        const session =
          version === 'TLSv1.2'
            ? first.getSession()
            : await deadline(sessions.get(first), 'the session');
        const second = await connect(t, port, { maxVersion: version, session });
        const { args: two } = await log.next('connect');
        assert.equal(second.isSessionReused(), true);
        assert.equal(two[0].isSessionReused(), true);

        // New certificates come with new ticket keys, so no earlier session is resumed.
        server.set_secure_context({ cert: next.cert, key: next.key });
        const third = await connect(t, port, { maxVersion: version, session });
        assert.equal(third.isSessionReused(), false);
        assert.equal(nameOf(third), 'next');
      });
    }
  });
}

describe('set_secure_context()', { skip }, () => {
  it('takes effect at the next listen() if it is called before', limit, async (t) => {
    const server = new impl.server({ port: 0, ssl_options: identity() });
    cleanup(t, () => server.close());
    server.set_secure_context({ cert: next.cert, key: next.key });
    await server.listen();
    assert.equal(nameOf(await connect(t, server.server.address().port)), 'next');
  });

  it('throws for a server without TLS, and for a value that is not an object', limit, () => {
    const plain = new impl.server({ port: 0 });
    assert.throws(() => plain.set_secure_context(identity()), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /a server that was constructed with "ssl_options"/,
    });
    const secure = new impl.server({ port: 0, ssl_options: identity() });
    for (const nothing of [undefined, null, 'cert.pem', [], 5]) {
      assert.throws(() => secure.set_secure_context(nothing), { code: 'ERR_INVALID_ARG_TYPE' });
    }
  });

  it('does not change a listener to OpenSSL', limit, async (t) => {
    const { server, port } = await start(t);
    assert.throws(() => server.set_secure_context({ ciphers: tls.DEFAULT_CIPHERS }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /OpenSSL.*close\(\) and listen\(\)/,
    });
    assert.equal(nameOf(await connect(t, port)), 'localhost');
  });

  it('gives way to a method of that name of a subclass', limit, async (t) => {
    class Own extends impl.server {
      set_secure_context() {
        return 'own';
      }
    }
    const server = new Own({ port: 0, ssl_options: identity() });
    cleanup(t, () => server.close());
    await server.listen();
    assert.equal(server.set_secure_context(), 'own');
    assert.equal(nameOf(await connect(t, server.server.address().port)), 'localhost');
  });
});
