'use strict';

// Servers with TLS: connections, their properties, and refusals. With the option
// "sigalgs" OpenSSL secures the connections, and nothing else may differ.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { implementations } = require('./support/implementations.js');
const { makeClient, startServer } = require('./support/local.js');
const { nativeTls, onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

/** Options of the program that make OpenSSL secure the connections. */
const ways = {
  'on the threads of the package': {},
  'through OpenSSL': { sigalgs: 'ecdsa_secp256r1_sha256:RSA-PSS+SHA256' },
};

let authority;
let member;
let stranger;
before(async () => {
  authority = await hierarchy();
  member = await issue({ name: 'member', issuer: authority.between });
  stranger = await issue({ name: 'stranger' });
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });
const trusting = (options) => ({ ca: authority.root.cert, servername: 'localhost', ...options });
const memberIdentity = () => ({ cert: member.cert + authority.between.cert, key: member.key });
const members = (options) => ({ requestCert: true, ca: authority.root.cert, ...options });

const secureServer = (t, options = {}, rest = {}, where = { port: 0 }) =>
  startServer(t, { ssl_options: { ...identity(), ...options }, ...rest }, where);

const portOf = (server) => server.server.address().port;

/** Node's own client, with the log of its end. */
function nodeClient(t, port, options = {}) {
  const socket = tls.connect({ port, host: '127.0.0.1', ...trusting(options) });
  cleanup(t, () => socket.destroy());
  const ended = new Promise((resolve) => {
    let error = null;
    socket.on('error', (err) => {
      error = err;
    });
    socket.on('close', () => resolve(error));
  });
  socket.resume();
  return { socket, ended };
}

/** A plain connection that writes `bytes`; resolves when the server has closed it. */
function plainClient(t, port, bytes) {
  const socket = net.connect(port, '127.0.0.1');
  cleanup(t, () => socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  if (bytes !== undefined) socket.write(bytes);
  return once(socket, 'close');
}

for (const [way, extra] of Object.entries(ways)) {
  describe(`a server with TLS ${way}`, { skip }, () => {
    const isNative = Object.keys(extra).length === 0;
    const start = (t, options = {}, rest = {}, where = undefined) =>
      secureServer(t, { ...extra, ...options }, rest, where);

    for (const [name, specifier] of Object.entries(implementations)) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        it(`exchanges messages with a client of ${name} over ${maxVersion}`, limit, async (t) => {
          const { server, log } = await start(t);
          server.on('receive', (object, meta) => meta.callback({ got: object }));
          const Client = require(specifier).client;
          const ssl_options = trusting({ maxVersion });
          const options = { ssl: true, ssl_options };
          const { client } = makeClient(t, { port: portOf(server) }, options, Client);
          await client.connect();
          const { args } = await log.next('connect');
          assert.equal(args[0] instanceof tls.TLSSocket, !isNative);
          assert.equal(args[0].getProtocol(), maxVersion);
          const answer = new Promise((resolve) =>
            client.send({ text: 'ü'.repeat(40_000) }, resolve),
          );
          const { got } = await deadline(answer, 'the answer');
          assert.equal(got.text, 'ü'.repeat(40_000));
        });
      }
    }

    it('serves a Unix socket', limit, async (t) => {
      const where = { path: unixPath(t) };
      const { server, log } = await start(t, {}, {}, where);
      const { client } = makeClient(t, where, { ssl_options: trusting() });
      await client.connect();
      const { args } = await log.next('connect');
      assert.equal(args[0].encrypted, true);
      const arrived = once(client, 'receive');
      server.sendall({ to: 'all' });
      assert.deepEqual((await deadline(arrived, 'the message'))[0], { to: 'all' });
    });

    it('knows the certificate of the client before the session starts', limit, async (t) => {
      let seen;
      class Session extends impl.session {
        start() {
          const { sock } = this;
          seen = {
            encrypted: sock.encrypted,
            authorized: sock.authorized,
            authorizationError: sock.authorizationError,
            servername: sock.servername,
            alpnProtocol: sock.alpnProtocol,
            protocol: sock.getProtocol(),
            version: sock.getCipher().version,
            name: sock.getPeerCertificate().subject.CN,
            root: sock.getPeerCertificate(true).issuerCertificate.issuerCertificate.subject.CN,
            fingerprint: sock.getPeerX509Certificate().fingerprint256,
            resumed: sock.isSessionReused(),
          };
        }
      }
      const { server, log } = await start(t, members({ ALPNProtocols: ['other', 'sockhop'] }), {
        session_type: Session,
      });
      const ssl_options = trusting({ ...memberIdentity(), ALPNProtocols: ['sockhop'] });
      const { client } = makeClient(t, { port: portOf(server) }, { ssl_options });
      await client.connect();
      await log.next('connect');
      assert.deepEqual(seen, {
        encrypted: true,
        authorized: true,
        authorizationError: null,
        servername: 'localhost',
        alpnProtocol: 'sockhop',
        protocol: 'TLSv1.3',
        version: 'TLSv1.3',
        name: 'member',
        root: 'Test Root',
        fingerprint: new (require('node:crypto').X509Certificate)(member.cert).fingerprint256,
        resumed: false,
      });
    });

    it('serves untrusted clients if it may, and gives the program the reason', limit, async (t) => {
      const { server, log } = await start(t, members({ rejectUnauthorized: false }));
      for (const [options, code] of [
        [{}, 'UNABLE_TO_GET_ISSUER_CERT'],
        [{ cert: stranger.cert, key: stranger.key }, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
        [{ cert: member.cert, key: member.key }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
        [memberIdentity(), null],
      ]) {
        const { socket } = nodeClient(t, portOf(server), options);
        const { args } = await log.next('connect');
        assert.equal(args[0].authorizationError, code);
        assert.equal(args[0].authorized, code === null);
        socket.end();
      }
      assert.equal(server.stats().failed_handshakes, 0);
    });

    it('trusts a self-signed certificate that "ca" contains', limit, async (t) => {
      const { server, log } = await start(t, members({ ca: [stranger.cert, authority.root.cert] }));
      nodeClient(t, portOf(server), { cert: stranger.cert, key: stranger.key });
      const { args } = await log.next('connect');
      assert.equal(args[0].authorized, true);
    });

    const expired = () => issue({ name: 'old', issuer: authority.between, days: [-10, -1] });
    for (const [what, options, code] of [
      ['no certificate', () => ({}), 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'],
      [
        'a certificate of its own making',
        () => ({ cert: stranger.cert, key: stranger.key }),
        'DEPTH_ZERO_SELF_SIGNED_CERT',
      ],
      [
        'a certificate that has expired',
        async () => {
          const { cert, key } = await expired();
          return { cert: cert + authority.between.cert, key };
        },
        'CERT_HAS_EXPIRED',
      ],
    ]) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
        it(`lets nothing of a client with ${what} through, ${maxVersion}`, limit, async (t) => {
          const { server, log } = await start(t, members());
          const { socket, ended } = nodeClient(t, portOf(server), {
            ...(await options()),
            maxVersion,
          });
          socket.write('{"type":"String","data":"in"}\n');
          const { args } = await log.next('error');
          assert.equal(args[0].code, code);
          assert.equal(args[0].address, '127.0.0.1');
          assert.ok(args[0].port > 0);
          assert.deepEqual(args.slice(1), [null, null]);
          await deadline(ended, 'the end of the client');
          assert.equal(server.stats().failed_handshakes, 1);
          assert.equal(server.stats().connections, 0);
          assert.deepEqual(
            log.entries.map(({ name }) => name),
            ['error'],
          );
        });
      }
    }

    for (const [what, bytes, code, cause] of [
      [
        'a message',
        '{"type":"String","data":"in"}\n',
        'ERR_SSL_WRONG_VERSION_NUMBER',
        /plain text/,
      ],
      ['HTTP', 'GET / HTTP/1.1\r\n\r\n', 'ERR_SSL_HTTP_REQUEST', /HTTP/],
    ]) {
      it(`says that a client without TLS sent ${what}`, limit, async (t) => {
        const { server, log } = await start(t);
        await deadline(plainClient(t, portOf(server), bytes), 'the end of the client');
        const { args } = await log.next('error');
        assert.equal(args[0].code, code);
        assert.match(args[0].cause.message, cause);
      });
    }

    for (const [what, theirs, own, code] of [
      [
        'protocol in common',
        { ALPNProtocols: ['b'] },
        { ALPNProtocols: ['a'] },
        'ERR_SSL_NO_APPLICATION_PROTOCOL',
      ],
      [
        'version in common',
        { maxVersion: 'TLSv1.2' },
        { minVersion: 'TLSv1.3' },
        'ERR_SSL_UNSUPPORTED_PROTOCOL',
      ],
      [
        'cipher in common',
        { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' },
        {},
        'ERR_SSL_NO_SHARED_CIPHER',
      ],
    ]) {
      // Before Node 20, OpenSSL continues without a protocol.
      const isRefused =
        isNative ||
        what !== 'protocol in common' ||
        Number.parseInt(process.versions.node, 10) >= 20;
      it(`has no ${what} in common with a client, and says so`, {
        ...limit,
        skip: !isRefused,
      }, async (t) => {
        const { server, log } = await start(t, own);
        const { ended } = nodeClient(t, portOf(server), theirs);
        const { args } = await log.next('error');
        assert.equal(args[0].code, code);
        assert.match((await deadline(ended, 'the end of the client')).code, /^ERR_SSL_.*ALERT/);
      });
    }

    it('ends a handshake after handshake_timeout', limit, async (t) => {
      const { server, log } = await start(t, {}, { handshake_timeout: 50 });
      const ended = plainClient(t, portOf(server));
      const { args } = await log.next('error');
      assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
      await deadline(ended, 'the end of the client');
      const { failed_handshakes, handshake_timeouts } = server.stats();
      assert.deepEqual([failed_handshakes, handshake_timeouts], [1, 1]);
    });

    it('reports failures of one kind once a second, and counts them all', limit, async (t) => {
      const { server, log } = await start(t);
      const begin = Date.now();
      const COUNT = 20;
      for (let i = 0; i < COUNT; i += 1) {
        await deadline(plainClient(t, portOf(server), 'GET / HTTP/1.1\r\n\r\n'), 'its end');
      }
      await until(() => server.stats().failed_handshakes === COUNT, 'all are counted');
      const reported = log.entries.filter(({ name }) => name === 'error').length;
      const seconds = Math.ceil((Date.now() - begin) / 1000) + 1;
      assert.ok(reported >= 1 && reported <= seconds, `${reported} in ${seconds} s`);
    });

    it('counts a connection whose handshake is under way as open', limit, async (t) => {
      const { server, log } = await start(t, {}, { max_connections: 1 });
      const silent = net.connect(portOf(server), '127.0.0.1');
      cleanup(t, () => silent.destroy());
      await once(silent, 'connect');
      const { ended } = nodeClient(t, portOf(server));
      const { args } = await log.next('error');
      assert.equal(args[0].code, 'ERR_TOO_MANY_CONNECTIONS');
      await deadline(ended, 'the end of the second client');
    });

    it('abandons handshakes as it closes', limit, async (t) => {
      const { server, log } = await start(t);
      const torn = plainClient(t, portOf(server), Buffer.from([0x16, 3, 1]));
      // A later client is connected: the torn handshake has begun.
      const { ended } = nodeClient(t, portOf(server));
      await log.next('connect');
      await server.close();
      await deadline(torn, 'the end of the torn handshake');
      await deadline(ended, 'the end of the other client');
      assert.deepEqual(
        log.entries.map(({ name }) => name),
        ['connect', 'disconnect'],
      );
    });

    it('listens again after it closed, with the options as they are then', limit, async (t) => {
      const ssl_options = { ...identity(), ...extra };
      const { server, log } = await startServer(t, { ssl_options }, { port: 0 });
      await server.close();
      Object.assign(ssl_options, members());
      await server.listen();
      nodeClient(t, portOf(server));
      const { args } = await log.next('error');
      assert.equal(args[0].code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    });
  });
}

describe('listen() with TLS', { skip }, () => {
  const refusal = (options) => {
    const server = new impl.server({ port: 0, ssl_options: { ...identity(), ...options } });
    return server.listen().then(
      () => server.close().then(() => null),
      (err) => {
        assert.equal(server.server.listening, false);
        return err;
      },
    );
  };
  const encrypted = () =>
    authority.server.exportKey({ type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'secret' });

  for (const [what, options, code, message] of [
    ['a key that is none', () => ({ key: 'k' }), 'ERR_OSSL_UNSUPPORTED', /ssl_options\.key"/],
    [
      'the key of another certificate',
      () => ({ key: stranger.key }),
      'ERR_OSSL_X509_KEY_VALUES_MISMATCH',
      /ssl_options\.key" property does not belong to the certificate in "cert" \(CN=localhost\)/,
    ],
    ['no key', () => ({ key: undefined }), 'ERR_INVALID_ARG_VALUE', /\.key" property is missing/],
    [
      'no certificate',
      () => ({ cert: '' }),
      'ERR_INVALID_ARG_VALUE',
      /\.cert" property is missing/,
    ],
    [
      'an encrypted key without its passphrase',
      () => ({ key: encrypted() }),
      /^ERR_OSSL/,
      /encrypted, and there is no "passphrase"/,
    ],
    [
      'an encrypted key with another passphrase',
      () => ({ key: encrypted(), passphrase: 'other' }),
      'ERR_OSSL_BAD_DECRYPT',
      /ssl_options\.key" property cannot be read/,
    ],
    [
      'an authority that is none',
      () => ({ ca: 'x', requestCert: true }),
      'ERR_INVALID_ARG_VALUE',
      /ssl_options\.ca" property/,
    ],
    [
      'the name of a protocol instead of a list',
      () => ({ ALPNProtocols: 'sockhop' }),
      'ERR_INVALID_ARG_TYPE',
      /\.ALPNProtocols" property must be an array of names/,
    ],
    ['ciphers that do not exist', () => ({ ciphers: 'x' }), 'ERR_SSL_NO_CIPHER_MATCH', /cipher/],
    [
      'a version that does not exist',
      () => ({ minVersion: 'x' }),
      'ERR_TLS_INVALID_PROTOCOL_VERSION',
      /"x" is not a valid minimum TLS protocol version/,
    ],
  ]) {
    it(`is rejected for ${what}`, limit, async () => {
      const err = await refusal(options());
      assert.ok(err, 'it does not listen');
      assert.match(err.code, typeof code === 'string' ? new RegExp(`^${code}$`) : code);
      assert.match(err.message, message);
    });
  }

  for (const [what, days, code, message] of [
    ['has expired', [-10, -1], 'CERT_HAS_EXPIRED', /has expired: CN=dated was valid until/],
    ['is not valid yet', [1, 10], 'CERT_NOT_YET_VALID', /is not valid yet: CN=dated is valid from/],
  ]) {
    it(`is rejected for a certificate that ${what}`, limit, async () => {
      const { cert, key } = await issue({ name: 'dated', days });
      const err = await refusal({ cert, key });
      assert.equal(err.code, code);
      assert.match(err.message, message);
    });
  }

  it('takes an encrypted key with its passphrase', limit, async (t) => {
    const { server, log } = await secureServer(t, { key: encrypted(), passphrase: 'secret' });
    nodeClient(t, portOf(server));
    const { args } = await log.next('connect');
    assert.equal(args[0] instanceof tls.TLSSocket, !nativeTls);
  });

  it('completes the chain of the certificate by "ca"', limit, async (t) => {
    const { server } = await secureServer(t, {
      cert: authority.server.cert,
      ca: [authority.between.cert, authority.root.cert],
    });
    const { socket } = nodeClient(t, portOf(server));
    await deadline(once(socket, 'secureConnect'), 'the handshake');
    assert.equal(socket.authorized, true);
  });

  it(
    'has several certificates, of which each client gets one that it can check',
    limit,
    async (t) => {
      const rsa = await issue({ name: 'localhost', names: ['localhost'], rsa: true });
      const { server } = await secureServer(t, {
        cert: [authority.chain, rsa.cert],
        key: [rsa.key, authority.server.key],
      });
      for (const [sigalgs, type] of [
        ['ecdsa_secp256r1_sha256', 'ec'],
        ['rsa_pss_rsae_sha256', 'rsa'],
      ]) {
        const ca = [authority.root.cert, rsa.cert];
        const { socket } = nodeClient(t, portOf(server), { ca, sigalgs });
        await deadline(once(socket, 'secureConnect'), 'the handshake');
        assert.equal(socket.getPeerX509Certificate().publicKey.asymmetricKeyType, type);
      }
    },
  );

  it(
    'is rejected if the program replaced server.server: it would serve plain text',
    limit,
    async () => {
      const server = new impl.server({ port: 0, ssl_options: identity() });
      server.server = net.createServer();
      await assert.rejects(server.listen(), {
        name: 'TypeError',
        message: /replaces server\.server/,
      });
    },
  );
});
