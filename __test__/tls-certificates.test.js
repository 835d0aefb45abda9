'use strict';

// Tests that a client trusts exactly the servers that Node's own `tls.connect()` trusts, for every
// kind of certificate, and with the same errors.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const { writeFileSync } = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { before, describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy, issue } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const { makeClient } = require('./support/local.js');
const { nativeTls, onNodeOnly } = require('./support/runtime.js');
const { secureServer } = require('./support/secure.js');

const limit = { timeout: 600_000 };
const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const LOCAL = ['localhost', '127.0.0.1'];

let trusted;
const made = {};
before(async () => {
  trusted = await hierarchy();
  const { between, root } = trusted;
  const local = { name: 'localhost', names: LOCAL };
  Object.assign(made, {
    selfSigned: await issue(local),
    selfSignedAuthority: await issue({ ...local, ca: true }),
    selfSignedExpired: await issue({ ...local, days: [-20, -10] }),
    selfSignedForClients: await issue({ ...local, purposes: [CLIENT_AUTHENTICATION] }),
    selfSignedForServers: await issue({ ...local, purposes: [SERVER_AUTHENTICATION] }),
    expired: await issue({ ...local, issuer: between, days: [-20, -10] }),
    early: await issue({ ...local, issuer: between, days: [10, 20] }),
    forClients: await issue({ ...local, issuer: between, purposes: [CLIENT_AUTHENTICATION] }),
    otherName: await issue({ name: 'other.example', names: ['other.example'], issuer: between }),
    commonNameOnly: await issue({ name: 'localhost', issuer: between }),
    wildcard: await issue({ name: 'wild', names: ['*.example.org'], issuer: between }),
    address: await issue({ name: 'address', names: ['127.0.0.1'], issuer: between }),
    authorityItself: await issue({ ...local, issuer: between, ca: true }),
    direct: await issue({ ...local, issuer: root }),
    rsa: await issue({ ...local, issuer: between, rsa: true }),
    stranger: await hierarchy('Strange'),
  });
  const expiredRoot = await issue({ name: 'Old Root', ca: true, days: [-20, -10] });
  made.underExpiredRoot = await issue({ ...local, issuer: expiredRoot });
  made.expiredRoot = expiredRoot;
  const expiredBetween = await issue({
    name: 'Old Authority',
    ca: true,
    issuer: root,
    days: [-20, -10],
  });
  made.underExpiredAuthority = await issue({ ...local, issuer: expiredBetween });
  made.expiredBetween = expiredBetween;
  const noAuthority = await issue({ name: 'No Authority', issuer: root });
  made.underNoAuthority = await issue({ ...local, issuer: noAuthority });
  made.noAuthority = noAuthority;
});

/**
 * The served certificate, the client's options, and whether the native side must decide alone. (It
 * may otherwise ask OpenSSL, which allows any result.)
 */
const cases = {
  'a chain up to a trusted root': () => [
    trusted.server,
    [trusted.between],
    { ca: trusted.root.cert },
    'native',
  ],
  'a chain with the trusted root in it': () => [
    trusted.server,
    [trusted.between, trusted.root],
    { ca: trusted.root.cert },
    'native',
  ],
  'a certificate right below a trusted root': () => [
    made.direct,
    [],
    { ca: [trusted.root.cert] },
    'native',
  ],
  'a certificate with an RSA key': () => [
    made.rsa,
    [trusted.between],
    { ca: Buffer.from(trusted.root.cert) },
    'native',
  ],
  'a chain that the trusted certificates complete': () => [
    trusted.server,
    [],
    { ca: [trusted.root.cert, trusted.between.cert] },
    'native',
  ],
  'a trusted authority whose root is not trusted': () => [
    trusted.server,
    [trusted.between],
    { ca: trusted.between.cert },
  ],
  'a chain without a trusted root': () => [
    trusted.server,
    [trusted.between],
    { ca: made.stranger.root.cert },
  ],
  'a certificate whose issuer is missing': () => [
    trusted.server,
    [],
    { ca: made.stranger.root.cert },
  ],
  'a chain with a root that is not trusted': () => [
    trusted.server,
    [trusted.between, trusted.root],
    { ca: made.stranger.root.cert },
    'native',
  ],
  'a chain with a root that is not trusted, by default': () => [
    trusted.server,
    [trusted.between, trusted.root],
    {},
  ],
  'a certificate by an authority unknown by default': () => [trusted.server, [trusted.between], {}],
  'a self-signed certificate': () => [made.selfSigned, [], { ca: trusted.root.cert }],
  'a self-signed certificate, by default': () => [made.selfSigned, [], {}],
  'a self-signed certificate that is trusted': () => [
    made.selfSigned,
    [],
    { ca: made.selfSigned.cert },
    'native',
  ],
  'a self-signed certificate of an authority that is trusted': () => [
    made.selfSignedAuthority,
    [],
    { ca: made.selfSignedAuthority.cert },
    'native',
  ],
  'a self-signed certificate that is trusted, and expired': () => [
    made.selfSignedExpired,
    [],
    { ca: made.selfSignedExpired.cert },
    'native',
  ],
  'a self-signed certificate that is trusted, for clients': () => [
    made.selfSignedForClients,
    [],
    { ca: made.selfSignedForClients.cert },
  ],
  'a self-signed certificate that is trusted, for servers': () => [
    made.selfSignedForServers,
    [],
    { ca: made.selfSignedForServers.cert },
    'native',
  ],
  'a self-signed certificate that is expired': () => [
    made.selfSignedExpired,
    [],
    { ca: trusted.root.cert },
    'native',
  ],
  'an expired certificate': () => [
    made.expired,
    [trusted.between],
    { ca: trusted.root.cert },
    'native',
  ],
  'a certificate that is not valid yet': () => [
    made.early,
    [trusted.between],
    { ca: trusted.root.cert },
    'native',
  ],
  'an expired authority': () => [
    made.underExpiredAuthority,
    [made.expiredBetween],
    { ca: trusted.root.cert },
  ],
  'an expired root that is trusted': () => [
    made.underExpiredRoot,
    [],
    { ca: made.expiredRoot.cert },
  ],
  'an issuer that is no authority': () => [
    made.underNoAuthority,
    [made.noAuthority],
    { ca: trusted.root.cert },
  ],
  'a certificate for clients': () => [
    made.forClients,
    [trusted.between],
    { ca: trusted.root.cert },
  ],
  "an authority's certificate": () => [
    made.authorityItself,
    [trusted.between],
    { ca: trusted.root.cert },
  ],
  'a certificate for another name': () => [
    made.otherName,
    [trusted.between],
    { ca: trusted.root.cert },
    'native',
  ],
  'a certificate for the name that was asked for': () => [
    made.otherName,
    [trusted.between],
    { ca: trusted.root.cert, servername: 'other.example' },
    'native',
  ],
  'a certificate for any name of a domain': () => [
    made.wildcard,
    [trusted.between],
    { ca: trusted.root.cert, servername: 'a.example.org' },
    'native',
  ],
  'a certificate for other names of a domain': () => [
    made.wildcard,
    [trusted.between],
    { ca: trusted.root.cert, servername: 'a.b.example.org' },
    'native',
  ],
  'a certificate with a common name only': () => [
    made.commonNameOnly,
    [trusted.between],
    { ca: trusted.root.cert, servername: 'localhost' },
    'native',
  ],
  'a certificate for an IP address': () => [
    made.address,
    [trusted.between],
    { ca: trusted.root.cert },
    'native',
  ],
  'a certificate for an IP address, asked for a name': () => [
    made.address,
    [trusted.between],
    { ca: trusted.root.cert, servername: 'localhost' },
    'native',
  ],
};

/** The result of Node's own client. */
async function reference(t, port, options) {
  const socket = tls.connect({ host: '127.0.0.1', port, ...options });
  cleanup(t, () => socket.destroy());
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve({ error }));
    socket.once('secureConnect', () =>
      resolve({ authorized: socket.authorized, authorizationError: socket.authorizationError }),
    );
  });
}

/** The result of this package's client. */
async function outcome(t, port, ssl_options) {
  const { client } = makeClient(t, { port }, { ssl: true, ssl_options });
  try {
    await client.connect();
  } catch (error) {
    return { error };
  }
  const { authorized, authorizationError } = client.socket;
  return { authorized, authorizationError };
}

/** The properties of an error that a program can compare. */
const told = ({ error, ...rest }) =>
  error
    ? {
        code: error.code,
        message: error.message,
        reason: error.reason,
        host: error.host,
        certificate: error.cert?.fingerprint256,
      }
    : rest;

describe('the certificate of a server', () => {
  for (const [name, describeCase] of Object.entries(cases)) {
    it(`${name} has the same outcome as with tls.connect()`, limit, async (t) => {
      const [server, above, options, how] = describeCase();
      const cert = [server, ...above].map((each) => each.cert).join('');
      const at = await secureServer(t, { cert, key: server.key });
      for (const mode of [{}, { rejectUnauthorized: false }]) {
        const all = { ...options, ...mode };
        const expected = told(await deadline(reference(t, at.port, all), "Node's client"));
        const before = at.log.count('tcp');
        const actual = told(await deadline(outcome(t, at.port, all), 'the client'));
        assert.deepEqual(actual, expected);
        if (how === 'native') {
          assert.equal(at.log.count('tcp') - before, 1, 'one connection is enough');
        }
      }
    });
  }

  const skip = onNodeOnly('the server is not told of a connection that was given up so early');
  it('is not shown any data before it is accepted', { ...limit, skip }, async (t) => {
    const cert = made.selfSigned;
    const at = await secureServer(t, cert);
    const { client } = makeClient(t, { port: at.port }, { ssl_options: { ca: trusted.root.cert } });
    const early = client.send('secret').catch((error) => error);
    client.auto_reconnect = false;
    await assert.rejects(client.connect(), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    assert.equal((await early).code, 'ERR_SOCKET_DESTROYED');
    const wire = await at.accept();
    await wire.next('close');
    assert.equal(wire.count('data'), 0);
    assert.equal(client.connected, false);
  });

  it(
    'is judged by the checkServerIdentity of the program, as tls.connect() calls it',
    limit,
    async (t) => {
      const at = await secureServer(t, { cert: trusted.chain, key: trusted.server.key });
      const calls = { native: [], node: [] };
      const options = (list, result) => ({
        ca: trusted.root.cert,
        servername: 'localhost',
        checkServerIdentity: (...args) => {
          list.push(args);
          return result;
        },
      });
      assert.deepEqual(
        told(await outcome(t, at.port, options(calls.native))),
        told(await reference(t, at.port, options(calls.node))),
      );
      assert.deepEqual(calls.native, calls.node);
      assert.equal(calls.native.length, 1);
      const refusal = Object.assign(new Error('not this one'), { code: 'MINE' });
      assert.equal((await outcome(t, at.port, options([], refusal))).error, refusal);
      const lenient = { ...options([], refusal), rejectUnauthorized: false };
      assert.deepEqual(await outcome(t, at.port, lenient), {
        authorized: false,
        authorizationError: 'MINE',
      });
    },
  );

  it('is checked again for every connection', limit, async (t) => {
    const port = (await secureServer(t, { cert: trusted.chain, key: trusted.server.key })).port;
    const ssl_options = { ca: made.stranger.root.cert };
    const { client } = makeClient(t, { port }, { ssl_options });
    await assert.rejects(client.connect());
    await assert.rejects(client.connect());
    ssl_options.ca = trusted.root.cert;
    await client.connect();
    assert.equal(client.socket.authorized, true);
  });

  it('is trusted by default if NODE_EXTRA_CA_CERTS says so', limit, async (t) => {
    const at = await secureServer(t, { cert: trusted.chain, key: trusted.server.key });
    const file = path.join(temporaryDirectory(t), 'extra.pem');
    writeFileSync(file, trusted.root.cert);
    const child = execFile(
      process.execPath,
      [path.join(__dirname, 'peers', 'tls-client.js'), String(at.port)],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: file } },
    );
    let output = '';
    child.stdout.on('data', (text) => {
      output += text;
    });
    const [code] = await deadline(once(child, 'close'), 'the client to end');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(output), { authorized: true, native: nativeTls });
  });
});
