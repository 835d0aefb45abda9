'use strict';

// Tests that a server and a client trust the same peers as Node's own `tls`, for every kind of
// chain, with the same messages and without a second connection.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const x509 = require('@peculiar/x509');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, inVersion1, issue, revocationList } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const { makeClient, startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');
const { secureServer } = require('./support/secure.js');

const limit = { timeout: 600_000 };
const skip = onNodeOnly('other runtimes have their own TLS');

const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const PAST = [-20, -10];
const FUTURE = [10, 20];
const { KeyUsageFlags: USAGE } = x509;

const leaf = { name: 'localhost', names: ['localhost', '127.0.0.1'] };
/** The purpose that a certificate needs at each end. */
const purposes = { client: CLIENT_AUTHENTICATION, server: SERVER_AUTHENTICATION };
const otherEnd = { client: 'server', server: 'client' };

/** An extension that OpenSSL does not know. */
const unknown = (critical) =>
  new x509.Extension('1.3.6.1.4.1.99999.1', critical, Uint8Array.of(5, 0));

/** Name constraints: an authority may only certify names below this one. */
function onlyNames(name) {
  const wrap = (tag, bytes) => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  const subtree = wrap(0x30, wrap(0x82, Buffer.from(name)));
  return new x509.Extension('2.5.29.30', true, wrap(0x30, wrap(0xa0, subtree)));
}

let house;
let stranger;
before(async () => {
  house = await hierarchy();
  stranger = await hierarchy('Strange');
});

/**
 * The chains: each makes the certificate of the peer, the certificates that it sends with it, and
 * those that are trusted. `end` is that of the peer.
 */
const chains = {
  'a chain up to a trusted root': async () => ({
    own: await issue({ ...leaf, issuer: house.between }),
    above: [house.between],
  }),
  'a chain with its root': async () => ({
    own: await issue({ ...leaf, issuer: house.between }),
    above: [house.between, house.root],
  }),
  'an expired certificate': async () => ({
    own: await issue({ ...leaf, issuer: house.root, days: PAST }),
  }),
  'a certificate that is not yet valid': async () => ({
    own: await issue({ ...leaf, issuer: house.root, days: FUTURE }),
  }),
  'a self-signed certificate': async () => ({ own: await issue(leaf) }),
  'a self-signed certificate that is trusted': async () => {
    const own = await issue(leaf);
    return { own, trusted: [own] };
  },
  'a self-signed certificate that is trusted, and expired': async () => {
    const own = await issue({ ...leaf, days: PAST });
    return { own, trusted: [own] };
  },
  'a trusted self-signed certificate for the other end': async ({ end }) => {
    const own = await issue({ ...leaf, purposes: [purposes[otherEnd[end]]] });
    return { own, trusted: [own] };
  },
  'a self-signed certificate that is expired': async () => ({
    own: await issue({ ...leaf, days: PAST }),
  }),
  'a self-signed root that is not trusted': async () => ({
    own: await issue({ ...leaf, issuer: stranger.between }),
    above: [stranger.between, stranger.root],
  }),
  'a self-signed root that is not trusted, over an expired certificate': async () => ({
    own: await issue({ ...leaf, issuer: stranger.between, days: PAST }),
    above: [stranger.between, stranger.root],
  }),
  'a missing intermediate certificate': async () => ({
    own: await issue({ ...leaf, issuer: house.between }),
  }),
  'a chain without its root, which is not trusted': async () => ({
    own: await issue({ ...leaf, issuer: stranger.between }),
    above: [stranger.between],
  }),
  'an intermediate certificate that is trusted, without its root': async () => ({
    own: await issue({ ...leaf, issuer: house.between }),
    trusted: [house.between],
  }),
  'an expired intermediate certificate': async () => {
    const between = await issue({ name: 'Old', ca: true, issuer: house.root, days: PAST });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'an expired root': async () => {
    const root = await issue({ name: 'Old Root', ca: true, days: PAST });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'a certificate for this purpose': async ({ end }) => ({
    own: await issue({ ...leaf, issuer: house.root, purposes: [purposes[end]] }),
  }),
  'a certificate for the other purpose': async ({ end }) => ({
    own: await issue({ ...leaf, issuer: house.root, purposes: [purposes[otherEnd[end]]] }),
  }),
  'an authority for the other purpose': async ({ end }) => {
    const between = await issue({
      name: 'Other Purpose',
      ca: true,
      issuer: house.root,
      purposes: [purposes[otherEnd[end]]],
    });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'an issuer that is no authority': async () => {
    const between = await issue({ name: 'No Authority', issuer: house.root });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'an issuer whose key must not sign certificates': async () => {
    const between = await issue({
      name: 'No Signer',
      ca: true,
      issuer: house.root,
      usage: USAGE.digitalSignature,
    });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'a root whose key must not sign certificates': async () => {
    const root = await issue({ name: 'No Root', ca: true, usage: USAGE.digitalSignature });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'a key that may only sign certificates': async () => ({
    own: await issue({ ...leaf, issuer: house.root, usage: USAGE.keyCertSign }),
  }),
  'a key that may sign': async () => ({
    own: await issue({ ...leaf, issuer: house.root, usage: USAGE.digitalSignature }),
  }),
  "an authority's own certificate": async () => ({
    own: await issue({ ...leaf, issuer: house.root, ca: true }),
  }),
  'a path that is longer than its root allows': async () => {
    const root = await issue({ name: 'Short Root', ca: true, pathLength: 0 });
    const between = await issue({ name: 'Below', ca: true, issuer: root });
    return {
      own: await issue({ ...leaf, issuer: between }),
      above: [between],
      trusted: [root],
    };
  },
  'a path that is longer than an intermediate certificate allows': async () => {
    const first = await issue({ name: 'First', ca: true, issuer: house.root, pathLength: 0 });
    const second = await issue({ name: 'Second', ca: true, issuer: first });
    return { own: await issue({ ...leaf, issuer: second }), above: [second, first] };
  },
  'an unknown extension': async () => ({
    own: await issue({ ...leaf, issuer: house.root, extensions: [unknown(false)] }),
  }),
  'an unknown critical extension': async () => ({
    own: await issue({ ...leaf, issuer: house.root, extensions: [unknown(true)] }),
    isUnreadable: true,
  }),
  'a certificate of version 1': async () => ({
    own: inVersion1(await issue({ ...leaf, issuer: house.root }), house.root),
    isUnreadable: true,
  }),
  'a certificate of version 1 with an RSA key': async () => ({
    own: inVersion1(await issue({ ...leaf, issuer: house.root, rsa: true }), house.root),
    isUnreadable: true,
  }),
  'a certificate of version 1 that is not trusted': async () => ({
    own: inVersion1(await issue({ ...leaf, issuer: stranger.root }), stranger.root),
    isUnreadable: true,
  }),
  'an unknown critical extension of an authority': async () => {
    const between = await issue({
      name: 'Unknown',
      ca: true,
      issuer: house.root,
      extensions: [unknown(true)],
    });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'a root with a weak key': async () => {
    const root = await issue({ name: 'Weak', ca: true, rsa: 768 });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'a root with a key of 1024 bits': async () => {
    const root = await issue({ name: 'Short', ca: true, rsa: 1024 });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'a root for the other purpose': async ({ end }) => {
    const root = await issue({
      name: 'Root For Others',
      ca: true,
      purposes: [purposes[otherEnd[end]]],
    });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'names that the authority must not certify': async () => {
    const between = await issue({
      name: 'For Example Only',
      ca: true,
      issuer: house.root,
      extensions: [onlyNames('example.org')],
    });
    return { own: await issue({ ...leaf, issuer: between }), above: [between] };
  },
  'names that the root must not certify': async () => {
    const root = await issue({ name: 'Root', ca: true, extensions: [onlyNames('example.org')] });
    return { own: await issue({ ...leaf, issuer: root }), trusted: [root] };
  },
  'a forged signature': async () => {
    const forger = await issue({ name: 'Test Root', ca: true });
    return { own: await issue({ ...leaf, issuer: forger }) };
  },
};

/** The chains whose root has lists of revoked certificates. */
const lists = {
  'a certificate that is not revoked': async () => ({ days: [-1, 30], revoked: false }),
  'a revoked certificate': async () => ({ days: [-1, 30], revoked: true }),
  'an expired list': async () => ({ days: PAST, revoked: false }),
  'a list that is not yet valid': async () => ({ days: FUTURE, revoked: false }),
  'the list of another authority': async () => ({ days: [-1, 30], other: true }),
};

async function listed({ days, revoked, other }) {
  const own = await issue({ ...leaf, issuer: house.root });
  const crl = await revocationList(other ? stranger.root : house.root, revoked ? [own] : [], days);
  return { own, crl };
}

const pemOf = (certificates) => certificates.map(({ cert }) => cert).join('');

/** The options of the two ends for a chain. */
function optionsOf({ own, above = [], trusted = [house.root], crl }) {
  return {
    identity: { cert: pemOf([own, ...above]), key: own.key },
    trust: { ca: pemOf(trusted), ...(crl && { crl }) },
  };
}

// ---- a server, and the chains of clients --------------------------------------------------------

/** The own identity of the server. */
const serverIdentity = () => ({ cert: house.chain, key: house.server.key });

/** A client of Node that shows its certificate. */
function visit(t, port, identity) {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...identity });
  cleanup(t, () => socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  return socket;
}

/** The result of Node's server. */
async function nodesVerdict(t, { identity, trust }) {
  const server = tls.createServer({
    ...serverIdentity(),
    ...trust,
    requestCert: true,
    rejectUnauthorized: false,
  });
  cleanup(t, () => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const arrived = once(server, 'secureConnection');
  const socket = visit(t, server.address().port, identity);
  const [{ authorized, authorizationError }] = await deadline(arrived, "Node's server");
  socket.destroy();
  return { authorized, authorizationError: authorizationError ?? null };
}

async function startSecure(t, options) {
  const ssl_options = { ...serverIdentity(), ...options, requestCert: true };
  const started = await startServer(t, { ssl_options }, { port: 0 });
  return { ...started, port: started.server.server.address().port };
}

async function checkServer(t, chain) {
  const options = optionsOf(chain);
  const expected = await nodesVerdict(t, options);

  const lenient = await startSecure(t, { ...options.trust, rejectUnauthorized: false });
  visit(t, lenient.port, options.identity);
  const [sock] = (await lenient.log.next('connect')).args;
  const { authorized, authorizationError } = sock;
  assert.deepEqual({ authorized, authorizationError }, expected);

  const strict = await startSecure(t, options.trust);
  visit(t, strict.port, options.identity);
  if (expected.authorized) {
    await strict.log.next('connect');
    return;
  }
  const [error] = (await strict.log.next('error')).args;
  assert.equal(error.code, expected.authorizationError);
  assert.equal(strict.log.entries.filter(({ name }) => name === 'connect').length, 0);
}

describe('a server trusts a client as Node does', { skip }, () => {
  for (const [name, make] of Object.entries(chains)) {
    it(name, limit, async (t) => checkServer(t, await make({ end: 'client' })));
  }
  for (const [name, make] of Object.entries(lists)) {
    it(`with lists of revoked certificates: ${name}`, limit, async (t) =>
      checkServer(t, await listed(await make())),
    );
  }
});

describe('a server trusts a client whose certificate rustls cannot read', { skip }, () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    for (const rsa of [false, true]) {
      it(`over ${maxVersion}, with ${rsa ? 'an RSA key' : 'a key on P-256'}`, limit, async (t) => {
        const own = inVersion1(await issue({ ...leaf, issuer: house.root, rsa }), house.root);
        const { identity, trust } = optionsOf({ own });
        const { log, port } = await startSecure(t, trust);
        visit(t, port, { ...identity, maxVersion });
        const [sock] = (await log.next('connect')).args;
        assert.equal(sock.constructor.name, 'SockhopTlsSocket', 'OpenSSL must not be needed');
        assert.equal(sock.getProtocol(), maxVersion);
        assert.equal(sock.getPeerCertificate().subject.CN, leaf.name);
      });
    }
  }
});

// ---- a client, and the chains of servers --------------------------------------------------------

/** The properties of an error that a program can compare. */
const told = ({ code, message, reason, host }) => ({ code, message, reason, host });

/** The result of Node's client. */
function reference(t, port, options) {
  const socket = tls.connect({ port, host: '127.0.0.1', ...options });
  cleanup(t, () => socket.destroy());
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve(told(error)));
    socket.on('secureConnect', () =>
      resolve({
        authorized: socket.authorized,
        authorizationError: socket.authorizationError ?? null,
      }),
    );
  });
}

async function outcome(t, port, ssl_options) {
  const { client } = makeClient(t, { port }, { ssl_options });
  try {
    await client.connect();
  } catch (error) {
    return told(error);
  }
  const { authorized, authorizationError } = client.socket;
  return { authorized, authorizationError: authorizationError ?? null };
}

/** The codes to whose messages some versions of Node add advice, which only Node has. */
const ADVISED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

async function checkClient(t, chain) {
  const { identity, trust } = optionsOf(chain);
  const at = await secureServer(t, identity);
  for (const rejectUnauthorized of [true, false]) {
    const options = { ...trust, rejectUnauthorized };
    const expected = await deadline(reference(t, at.port, options), "Node's client");
    const before = at.log.count('tcp');
    assert.deepEqual(await deadline(outcome(t, at.port, options), 'the client'), expected);
    if (ADVISED.includes(expected.code) || chain.isUnreadable) continue;
    assert.equal(at.log.count('tcp') - before, 1, 'one connection is enough');
  }
}

describe('a client trusts a server as Node does, over one connection', { skip }, () => {
  for (const [name, make] of Object.entries(chains)) {
    it(name, limit, async (t) => checkClient(t, await make({ end: 'server' })));
  }
});
