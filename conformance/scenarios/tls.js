'use strict';

const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const { RawServer } = require('../wire.js');

const fixture = (name) => fs.readFileSync(path.join(__dirname, '..', 'fixtures', name));
const key = fixture('self-signed-key.pem');
const cert = fixture('self-signed-cert.pem');

const secureServer = async (ctx, at, options = {}) => {
  const server = await RawServer.listen(at, {
    create: (half) => tls.createServer({ key, cert, ...half, ...options }),
    event: 'secureConnection',
  });
  if (typeof at !== 'string') ctx.hide(server.port, '<port>');
  return server;
};

module.exports = [
  {
    name: 'tls: a client that knows the certificate talks to a tls server',
    rows: ['tls', 'envelope'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx);
      const client = ctx.client({
        port: raw.port,
        ssl: true,
        ssl_options: { ca: [cert], servername: 'localhost' },
      });
      ctx.watch(client, 'client', ['receive', 'error', 'disconnect']);
      await ctx.outcome('client', 'connect()', client.connect());
      const connection = await raw.next();
      const sock = ctx.name(client.socket, '<the socket>');
      ctx.log(
        'socket',
        sock.encrypted,
        sock.authorized,
        sock.authorizationError,
        sock.getProtocol(),
      );
      ctx.log(
        'socket',
        sock.getPeerCertificate().subject,
        sock.getPeerCertificate().subjectaltname,
      );
      await client.send({ a: 1 });
      ctx.log('frames', await connection.received(1));
      const received = ctx.next(client, 'receive');
      await connection.send({ type: 'String', data: 'in' });
      await received;
      const lost = ctx.next(client, 'disconnect');
      connection.finish();
      await lost;
    },
  },
  {
    name: 'tls: an unknown certificate rejects connect() with the code of Node',
    rows: ['tls', 'errors'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx);
      const client = ctx.client({ port: raw.port, ssl: true });
      client.on('error', () => {});
      await ctx.outcome('client', 'connect()', client.connect());
      ctx.log('client', client.connected);
    },
  },
  {
    name: 'tls: rejectUnauthorized off connects and says what was wrong',
    rows: ['tls'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx);
      const client = ctx.client({
        port: raw.port,
        ssl: true,
        ssl_options: { rejectUnauthorized: false },
      });
      await ctx.outcome('client', 'connect()', client.connect());
      const connection = await raw.next();
      ctx.log('socket', client.socket.authorized, client.socket.authorizationError);
      await client.send('secret');
      ctx.log('frames', await connection.received(1));
    },
  },
  {
    name: 'tls: a certificate for another name rejects connect()',
    rows: ['tls', 'errors'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx);
      const ssl_options = { ca: [cert], servername: 'other.example' };
      const client = ctx.client({ port: raw.port, ssl: true, ssl_options });
      client.on('error', () => {});
      await ctx.outcome('client', 'connect()', client.connect());
      ctx.log('client', client.connected);
    },
  },
  {
    name: 'tls: two ssl options turn it on, checkServerIdentity is asked',
    rows: ['tls'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx);
      const checkServerIdentity = (name, certificate) => {
        ctx.log('identity', name, certificate.subject);
      };
      const client = ctx.client({
        port: raw.port,
        ssl_options: { ca: [cert], checkServerIdentity, servername: 'other.example' },
      });
      await ctx.outcome('client', 'connect()', client.connect());
      await raw.next();
      ctx.log('socket', client.socket.authorized);
    },
  },
  {
    name: 'tls: over a Unix socket, with ALPN and a given version',
    rows: ['tls'],
    role: 'client',
    async run(ctx) {
      const raw = await secureServer(ctx, ctx.socketPath(), { ALPNProtocols: ['sockhop'] });
      const ssl_options = {
        ca: [cert],
        servername: 'localhost',
        ALPNProtocols: ['sockhop'],
        maxVersion: 'TLSv1.2',
      };
      const client = ctx.client({ path: ctx.socketPath(), ssl: true, ssl_options });
      await ctx.outcome('client', 'connect()', client.connect());
      const connection = await raw.next();
      ctx.log('socket', client.socket.alpnProtocol, client.socket.getProtocol());
      await client.send('x');
      ctx.log('frames', await connection.received(1));
    },
  },
  {
    name: 'tls: refused',
    rows: ['tls', 'errors'],
    role: 'client',
    async run(ctx) {
      const client = ctx.client({ port: await ctx.port(), ssl: true });
      client.on('error', (error) => ctx.log('event', error));
      await ctx.outcome('client', 'connect()', client.connect());
    },
  },
];
