'use strict';

// Each option of `ssl_options` has an effect, and a server without the option does not have it. The
// table has a check for every option that API.md names.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { constants, randomBytes } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue, revocationList } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const { startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

/** Options of the program that make OpenSSL secure the connections. */
const throughOpenssl = { sigalgs: 'ecdsa_secp256r1_sha256:RSA-PSS+SHA256' };

let authority;
let other;
let member;
let revoked;
let rsa;
let crl;
before(async () => {
  authority = await hierarchy();
  const issuer = authority.root;
  other = await issue({ name: 'other', names: ['other.example'], issuer });
  member = await issue({ name: 'member', issuer });
  revoked = await issue({ name: 'revoked', issuer });
  rsa = await issue({ name: 'localhost', names: ['localhost'], issuer, rsa: true });
  crl = await revocationList(authority.root, [revoked]);
});

const identity = () => ({ cert: authority.chain, key: authority.server.key });
const identityOf = ({ cert, key }) => ({ cert, key });
const asking = () => ({ ...identity(), requestCert: true, ca: authority.root.cert });

/** @returns {Promise<?object>} null if `listen()` refuses the options */
async function start(t, ssl_options, rest = {}) {
  try {
    const { server, log } = await startServer(t, { ssl_options, ...rest }, { port: 0 });
    return { server, log, port: server.server.address().port };
  } catch (err) {
    assert.equal(err.name, 'TypeError', err.stack);
    return null;
  }
}

/** A client of Node that has finished its handshake; null if the server refuses it. */
function visit(t, { port }, options = {}) {
  const ca = authority.root.cert;
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
  cleanup(t, () => socket.destroy());
  socket.resume();
  const outcome = new Promise((resolve) => {
    socket.on('error', () => resolve(null));
    socket.on('secureConnect', () => resolve(socket));
  });
  return deadline(outcome, 'the end of the handshake');
}

/** The server's end of the connection of a client; the error of the handshake if it has failed. */
async function meet(t, server, options) {
  const outcomes = () => server.log.entries.filter(({ name }) => name !== 'disconnect');
  const { length } = outcomes();
  const client = await visit(t, server, options);
  await until(() => outcomes().length > length, 'the server knows the end of the handshake');
  const { args } = outcomes()[length];
  return { client, sock: args[0], code: args[0].code };
}

const listens = async (t, options) => (await start(t, options)) !== null;

/** A file for OpenSSL to read. */
function file(directory, name, text) {
  fs.writeFileSync(path.join(directory, name), text);
  return path.join(directory, name);
}

function pfx(t) {
  const directory = temporaryDirectory(t);
  const out = file(directory, 'all.pfx', '');
  const args = ['pkcs12', '-export', '-passout', 'pass:secret', '-out', out];
  args.push('-in', file(directory, 'cert.pem', authority.chain));
  args.push('-inkey', file(directory, 'key.pem', authority.server.key));
  return spawnSync('openssl', args).status === 0 ? fs.readFileSync(out) : null;
}

/** Whether the second of two visits resumes the session of the first, at another server. */
async function resumes(t, [one, two], wait = 0) {
  const { client } = await meet(t, one);
  const session = client.getSession();
  await new Promise((resolve) => setTimeout(resolve, wait));
  return (await meet(t, two, { session })).sock.isSessionReused();
}

/**
 * The options of the server, and whether a server with these options shows the effect of the one
 * that the entry is named after. `openssl`: the option takes OpenSSL by itself.
 *
 * @type {Object<string, {options: function(object): ?object, shows: function(object, object):
 *   Promise<boolean>, openssl?: boolean}>}
 */
const effects = {
  cert: { options: identity, shows: listens },
  key: { options: identity, shows: listens },
  passphrase: {
    options: () => ({
      cert: authority.chain,
      key: authority.server.exportKey({ type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'p' }),
      passphrase: 'p',
    }),
    shows: listens,
  },
  requestCert: {
    options: asking,
    async shows(t, options) {
      const { sock } = await meet(t, await start(t, options), identityOf(member));
      return sock.getPeerCertificate().subject?.CN === 'member';
    },
  },
  rejectUnauthorized: {
    options: () => ({ ...asking(), rejectUnauthorized: false }),
    async shows(t, options) {
      const { sock } = await meet(t, await start(t, options));
      return sock.encrypted === true && sock.authorized === false;
    },
  },
  ca: {
    options: asking,
    async shows(t, options) {
      const { sock } = await meet(t, await start(t, options), identityOf(member));
      return sock.authorized === true;
    },
  },
  crl: {
    options: () => ({ ...asking(), crl }),
    async shows(t, options) {
      const { code } = await meet(t, await start(t, options), identityOf(revoked));
      return code === 'CERT_REVOKED';
    },
  },
  minVersion: {
    options: () => ({ ...identity(), minVersion: 'TLSv1.3' }),
    shows: async (t, options) =>
      (await visit(t, await start(t, options), { maxVersion: 'TLSv1.2' })) === null,
  },
  maxVersion: {
    options: () => ({ ...identity(), maxVersion: 'TLSv1.2' }),
    shows: async (t, options) =>
      (await visit(t, await start(t, options))).getProtocol() === 'TLSv1.2',
  },
  ALPNProtocols: {
    options: () => ({ ...identity(), ALPNProtocols: ['b', 'a'] }),
    async shows(t, options) {
      const client = await visit(t, await start(t, options), { ALPNProtocols: ['a', 'b'] });
      return client.alpnProtocol === 'b';
    },
  },
  honorCipherOrder: {
    options: () => ({ ...identity(), honorCipherOrder: false }),
    async shows(t, options) {
      const ciphers = 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384';
      const server = await start(t, options);
      const client = await visit(t, server, { maxVersion: 'TLSv1.2', ciphers });
      return client.getCipher().name === 'ECDHE-ECDSA-CHACHA20-POLY1305';
    },
  },
  pfx: {
    openssl: true,
    options(t) {
      const bytes = pfx(t);
      return bytes && { pfx: bytes, passphrase: 'secret' };
    },
    shows: listens,
  },
  ciphers: {
    openssl: true,
    options: () => ({
      ...identity(),
      ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305',
      maxVersion: 'TLSv1.2',
    }),
    async shows(t, options) {
      const client = await visit(t, await start(t, options));
      return client.getCipher().name === 'ECDHE-ECDSA-CHACHA20-POLY1305';
    },
  },
  SNICallback: {
    openssl: true,
    options: () => ({
      ...identity(),
      SNICallback: (name, done) => {
        const isOther = name === 'other.example';
        done(null, isOther ? tls.createSecureContext(identityOf(other)) : undefined);
      },
    }),
    async shows(t, options) {
      const server = await start(t, options);
      // The client does not check the name, which the usual certificate does not contain.
      const named = { servername: 'other.example', checkServerIdentity: () => undefined };
      const names = [await visit(t, server, named), await visit(t, server)].map(
        (client) => client.getPeerCertificate().subject.CN,
      );
      return names[0] === 'other' && names[1] === 'localhost';
    },
  },
  ecdhCurve: {
    openssl: true,
    options: () => ({ ...identity(), ecdhCurve: 'secp384r1' }),
    shows: async (t, options) =>
      (await visit(t, await start(t, options), { ecdhCurve: 'prime256v1' })) === null,
  },
  sigalgs: {
    openssl: true,
    // The server's key is on another curve, so that it cannot sign.
    options: () => ({ ...identity(), sigalgs: 'ecdsa_secp384r1_sha384', minVersion: 'TLSv1.3' }),
    shows: async (t, options) => (await visit(t, await start(t, options))) === null,
  },
  dhparam: {
    openssl: true,
    options: () => ({ ...identityOf(rsa), dhparam: 'auto', maxVersion: 'TLSv1.2' }),
    shows: async (t, options) =>
      (await visit(t, await start(t, options), { ciphers: 'DHE-RSA-AES128-GCM-SHA256' })) !== null,
  },
  ticketKeys: {
    openssl: true,
    options: () => ({ ...identity(), ticketKeys: randomBytes(48), maxVersion: 'TLSv1.2' }),
    shows: async (t, options) => resumes(t, [await start(t, options), await start(t, options)]),
  },
  sessionTimeout: {
    openssl: true,
    options: () => ({ ...identity(), sessionTimeout: 1, maxVersion: 'TLSv1.2' }),
    async shows(t, options) {
      const server = await start(t, options);
      // Twice the time, which OpenSSL counts in whole seconds.
      return !(await resumes(t, [server, server], 2100));
    },
  },
  secureOptions: {
    openssl: true,
    options: () => ({ ...identity(), secureOptions: constants.SSL_OP_NO_TLSv1_3 }),
    shows: async (t, options) =>
      (await visit(t, await start(t, options))).getProtocol() === 'TLSv1.2',
  },
};

/** The options of `ssl_options` that the section of API.md names. */
function documentedOptions() {
  const text = fs.readFileSync(path.join(__dirname, '..', 'API.md'), 'utf8');
  const [section] = /^### TLS of a server$.*?(?=^## )/ms.exec(text);
  const rows = [...section.matchAll(/^\| (`[^|]*`) \|/gm)].map(([, names]) => names);
  const [, others] = /Any other option of `tls\.createServer\(\)` \(([^)]*)\)/.exec(section);
  return [...rows, others].flatMap((names) => [...names.matchAll(/`(\w+)`/g)].map(([, it]) => it));
}

describe('an option of a server with TLS has an effect, and none if it is left out', {
  skip,
}, () => {
  it('as this table shows for all options of API.md', () => {
    assert.deepEqual(Object.keys(effects).sort(), documentedOptions().sort());
  });

  for (const [name, { options, shows, openssl = false }] of Object.entries(effects)) {
    const ways = openssl ? { '': {} } : { '': {}, ', through OpenSSL': throughOpenssl };
    for (const [way, extra] of Object.entries(ways)) {
      it(`${name}${way}`, limit, async (t) => {
        const given = options(t);
        if (given === null) return t.skip('there is no openssl');
        assert.equal(await shows(t, { ...given, ...extra }), true, 'with the option');
        const { [name]: _, ...others } = given;
        assert.equal(await shows(t, { ...others, ...extra }), false, 'without the option');
      });
    }
  }

  for (const [way, extra] of Object.entries({ '': {}, ', through OpenSSL': throughOpenssl })) {
    it(`handshake_timeout${way}`, limit, async (t) => {
      const options = { ...identity(), ...extra };
      const patient = await start(t, options);
      const hasty = await start(t, options, { handshake_timeout: 50 });
      for (const { port } of [patient, hasty]) {
        const silent = net.connect(port, '127.0.0.1');
        cleanup(t, () => silent.destroy());
        silent.on('error', () => {});
      }
      const { args } = await hasty.log.next('error');
      assert.equal(args[0].code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
      const { server } = patient;
      await until(() => server.stats().handshaking_connections === 1, 'the other client waits');
      assert.equal(server.stats().failed_handshakes, 0);
    });
  }
});
