'use strict';

// A server with TLS that takes a new certificate from its files, without dropping a connection.
//   node examples/certificates          (needs the program openssl, to make certificates)

const { execFileSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const Sockhop = require(process.env.SOCKHOP || '../..');
const { scratchPath } = require('../scratch.js');

/** The time in which programs that renew certificates write both files, in ms. */
const SETTLING_TIME = 100;

const directory = path.dirname(scratchPath());
const CERT = path.join(directory, 'cert.pem');
const KEY = path.join(directory, 'key.pem');

const readIdentity = () => ({ cert: fs.readFileSync(CERT), key: fs.readFileSync(KEY) });

/** Makes a certificate, as a program that renews it would. */
function issue(organization) {
  const subject = ['-subj', `/O=${organization}/CN=localhost`];
  const names = ['-addext', 'subjectAltName=DNS:localhost'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  const files = ['-out', `${CERT}.new`, '-keyout', `${KEY}.new`];
  const args = ['req', '-x509', '-days', '30', ...key, ...subject, ...names, ...files];
  execFileSync('openssl', args, { stdio: 'ignore' });
  for (const file of [KEY, CERT]) fs.renameSync(`${file}.new`, file);
}

/** Makes a server use the certificate in the files whenever they change. */
function watchIdentity(server) {
  let timer;
  const reload = () => {
    try {
      server.set_secure_context(readIdentity());
      server.emit('renewed');
    } catch (error) {
      // One of the files is not written yet, or is invalid: the server keeps the old certificate.
      server.emit('error', error, null, null);
    }
  };
  // The directory is watched, because a renamed file is a new file.
  const watcher = fs.watch(directory, () => {
    clearTimeout(timer);
    timer = setTimeout(reload, SETTLING_TIME);
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}

async function startServer(where) {
  const server = new Sockhop.server({
    ...where,
    ssl_options: readIdentity(),
    captureRejections: true,
  });
  server.on('receive', async (object, meta) => meta.callback?.({ got: object }));
  server.on('error', (error) => console.log(`server: ${error.code}`));
  await server.listen();
  return server;
}

async function connect(port, name) {
  const client = new Sockhop.client({
    port,
    ssl_options: { ca: fs.readFileSync(CERT), servername: 'localhost' },
  });
  await client.connect();
  console.log(`${name}: connected to ${client.socket.getPeerCertificate().subject.O}`);
  return client;
}

async function main() {
  issue('Old');
  const server = await startServer({ port: 0 });
  const { port } = server.server.address();
  const first = await connect(port, 'first client');

  const stopWatching = watchIdentity(server);
  const renewed = once(server, 'renewed');
  issue('New');
  await renewed;
  console.log('server: has a new certificate');

  const second = await connect(port, 'second client');
  const answer = await new Promise((resolve) => first.send({ still: 'here' }, resolve));
  console.log('first client:', answer);

  stopWatching();
  await Promise.all([first.disconnect(), second.disconnect()]);
  await server.close();
}

if (require.main === module) main();

module.exports = { startServer };
