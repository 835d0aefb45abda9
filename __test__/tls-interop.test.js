'use strict';

// Servers and clients with TLS against OpenSSL's own programs, with every kind of key.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { X509Certificate } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { describe, it } = require('node:test');
const { freePort, temporaryDirectory } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline } = require('./support/deadline.js');
const { makeClient, startServer } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const skip =
  onNodeOnly('other runtimes have their own TLS') || (!hasOpenssl && 'there is no openssl');

/** Arguments of `openssl req` for a new key of each kind. */
const KEYS = {
  RSA: ['-newkey', 'rsa:2048'],
  'ECDSA P-256': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ECDSA P-384': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  Ed25519: ['-newkey', 'ed25519'],
};

function openssl(args, cwd) {
  const { status, stderr } = spawnSync('openssl', args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** An authority with certificates for `server` and `client`, all with keys of one kind. */
function chainOf(t, key) {
  const cwd = temporaryDirectory(t);
  const request = ['req', '-x509', ...key, '-noenc', '-days', '30'];
  openssl([...request, '-subj', '/CN=Root', '-keyout', 'root.key', '-out', 'root.pem'], cwd);
  for (const name of ['server', 'client']) {
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost'];
    const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
    const leaf = ['-addext', 'basicConstraints=critical,CA:FALSE'];
    const signed = ['-CA', 'root.pem', '-CAkey', 'root.key'];
    openssl([...request, ...subject, ...leaf, ...files, ...signed], cwd);
  }
  const read = (name) => fs.readFileSync(path.join(cwd, name));
  return {
    cwd,
    ca: read('root.pem'),
    server: { cert: read('server.pem'), key: read('server.key') },
    client: { cert: read('client.pem'), key: read('client.key') },
  };
}

/** Runs a program of OpenSSL, and collects its output. */
function run(t, args, cwd) {
  const child = spawn('openssl', args, { cwd });
  const closed = new Promise((resolve) => child.on('close', resolve));
  cleanup(t, () => {
    child.kill();
    return closed;
  });
  child.stdin.on('error', () => {});
  const program = { child, closed, text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text) => {
      program.text += text;
      program.onText?.();
    });
  }
  program.prints = (pattern) =>
    deadline(
      new Promise((resolve) => {
        program.onText = () => pattern.test(program.text) && resolve();
        program.onText();
      }),
      () => `${pattern} of openssl, which printed ${program.text}`,
    );
  return program;
}

for (const [kind, key] of Object.entries(KEYS)) {
  for (const version of ['1_2', '1_3']) {
    describe(`TLS ${version.replace('_', '.')} with keys of ${kind}`, { skip }, () => {
      it(
        'joins a server to s_client, which resumes its session until the keys change',
        limit,
        async (t) => {
          const { cwd, ca, server: identity, client } = chainOf(t, key);
          const ssl_options = { ...identity, ca, requestCert: true };
          const { server, log } = await startServer(t, { ssl_options }, { port: 0 });
          const { port } = server.server.address();
          const args = ['s_client', '-connect', `127.0.0.1:${port}`, `-tls${version}`];
          args.push('-CAfile', 'root.pem', '-cert', 'client.pem', '-key', 'client.key');
          args.push('-servername', 'localhost', '-verify_return_error', '-nocommands');
          for (const [resumption, resumed, isChanged] of [
            [['-sess_out', 'session'], false],
            [['-sess_in', 'session'], true],
            [['-sess_in', 'session'], false, true],
          ]) {
            // New keys of tickets come with it.
            if (isChanged) server.set_secure_context(identity);
            const program = run(t, [...args, ...resumption], cwd);
            const { args: connected } = await log.next('connect');
            const [sock] = connected;
            assert.equal(sock instanceof tls.TLSSocket, false, 'the package secures it');
            assert.equal(sock.getProtocol(), `TLSv${version.replace('_', '.')}`);
            assert.equal(sock.authorized, true);
            assert.equal(
              sock.getPeerX509Certificate().fingerprint256,
              new X509Certificate(client.cert).fingerprint256,
            );
            assert.equal(sock.isSessionReused(), resumed);
            program.child.stdin.write('{"type":"Object","data":{"from":"s_client"}}\n');
            const { args: received } = await log.next('receive');
            assert.deepEqual(received[0], { from: 's_client' });
            await server.send(sock, { to: 's_client' });
            await program.prints(/"to":"s_client"/);
            program.child.stdin.end();
            await log.next('disconnect');
            await deadline(program.closed, 'the end of s_client');
          }
          assert.equal(server.stats().failed_handshakes, 0);
        },
      );

      it('joins a client to s_server', limit, async (t) => {
        const { cwd, ca, client: identity } = chainOf(t, key);
        const port = await freePort();
        const args = ['s_server', '-accept', String(port), `-tls${version}`, '-Verify', '1'];
        args.push('-CAfile', 'root.pem', '-cert', 'server.pem', '-key', 'server.key');
        args.push('-verify_return_error', '-quiet', '-naccept', '1');
        const program = run(t, args, cwd);
        const { client, log } = makeClient(
          t,
          { port },
          { ssl_options: { ...identity, ca, servername: 'localhost' } },
        );
        const connect = async () => {
          for (;;) {
            try {
              return await client.connect();
            } catch (err) {
              // s_server does not listen yet, and prints nothing with -quiet.
              if (err.code !== 'ECONNREFUSED') throw err;
            }
          }
        };
        await deadline(connect(), 'the connection');
        assert.equal(client.socket instanceof tls.TLSSocket, false, 'the package secures it');
        await client.send({ to: 's_server' });
        await program.prints(/"to":"s_server"/);
        program.child.stdin.write('{"type":"Object","data":{"from":"s_server"}}\n');
        const { args: received } = await log.next('receive');
        assert.deepEqual(received[0], { from: 's_server' });
      });
    });
  }
}
