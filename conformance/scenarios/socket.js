'use strict';

const net = require('node:net');
const { Duplex, PassThrough } = require('node:stream');

const STATES = (sock) => [sock.readyState, sock.connecting, sock.pending, sock.destroyed];

module.exports = [
  {
    name: 'socket: a net.Socket, the same one in every event and property of the client',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer();
      const client = ctx.client({ port: raw.port });
      ctx.log('client', client.socket);
      const seen = new Set();
      client.on('connect', (sock) => seen.add(sock));
      client.on('disconnect', (sock) => seen.add(sock));
      await client.connect();
      seen.add(client.socket).add(client._socket);
      ctx.log('client', client.socket instanceof net.Socket, STATES(client.socket));
      const lost = ctx.next(client, 'disconnect');
      (await raw.next()).finish();
      const [sock] = await lost;
      ctx.log('client', seen.size, sock instanceof net.Socket, client.socket);
    },
  },
  {
    name: 'socket: a net.Socket, the same one in every event and property of the server',
    rows: ['socket'],
    role: 'server',
    async run(ctx) {
      const { server, sock, session, connection } = await ctx.accepted({}, { tcp: true });
      const seen = new Set([sock, session.sock, server.sockets[0], server.sessions[0].sock]);
      const received = ctx.times(server, 'receive', 2);
      await connection.send({ type: 'S', data: 1 }, { type: 'S', data: 2, id: 'x' });
      for (const [, meta] of await received) seen.add(meta.socket).add(meta.session.sock);
      const asked = ctx.next(server, 'request');
      await connection.send({ type: 'SockhopRequest', data: { uuid: 'u', data: 1, type: 'N' } });
      const [, , meta] = await asked;
      seen.add(meta.socket);
      const failed = ctx.next(server, 'error');
      await connection.write('garbage\n');
      const [, culprit] = await failed;
      seen.add(culprit);
      const left = ctx.next(server, 'disconnect');
      connection.finish();
      const [gone] = await left;
      seen.add(gone);
      ctx.log('server', seen.size, sock instanceof net.Socket);
    },
  },
  {
    name: 'socket: addresses on both sides',
    rows: ['socket'],
    role: 'server',
    async run(ctx) {
      const { sock, endpoint, connection } = await ctx.accepted({}, { tcp: true });
      ctx.log('server', STATES(sock), sock.remoteAddress, sock.remoteFamily, sock.localAddress);
      ctx.log(
        'server',
        sock.localPort === endpoint.port,
        sock.remotePort === connection.socket.localPort,
      );
      ctx.log(
        'server',
        sock.address().address,
        sock.address().port === endpoint.port,
        sock.address().family,
      );
    },
  },
  {
    name: 'socket: addresses on a Unix socket',
    rows: ['socket'],
    role: 'both',
    async run(ctx) {
      const { sock } = await ctx.accepted();
      ctx.log(
        'server',
        STATES(sock),
        sock.remoteAddress,
        sock.remotePort,
        sock.localAddress,
        sock.address(),
      );
    },
  },
  {
    name: 'socket: bytesRead and bytesWritten',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ codec: 'json' }, { tcp: true });
      const sock = client.socket;
      ctx.log('client', sock.bytesRead, sock.bytesWritten);
      await client.send({ a: 1 });
      await connection.received(1);
      const received = ctx.next(client, 'receive');
      await connection.send({ type: 'S', data: 'four' });
      await received;
      ctx.log('client', sock.bytesRead, sock.bytesWritten, connection.bytes().length);
    },
  },
  {
    name: 'socket: raw writes in order with send()',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      client.send('one');
      client.socket.write('raw 1\n');
      client.send('two');
      client.socket.write(Buffer.from('raw 2\n'), () => ctx.log('written', 'raw 2'));
      client.send('three');
      await connection.received(5);
      ctx.log('frames', ...connection.frames());
      await ctx.quiesce();
    },
  },
  {
    name: "socket: 'data' gives the raw bytes beside receive",
    rows: ['socket'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      const chunks = [];
      sock.on('data', (chunk) => chunks.push(chunk));
      const received = ctx.times(server, 'receive', 2);
      await connection.send({ type: 'S', data: 1 }, { type: 'S', data: 2 });
      for (const [object] of await received) ctx.log('receive', object);
      const expected = connection.socket.bytesWritten;
      await ctx.until(() => Buffer.concat(chunks).length >= expected);
      ctx.log('data', Buffer.concat(chunks));
    },
  },
  {
    name: 'socket: session.sock.end() sends FIN, the client leaves, disconnect comes',
    rows: ['socket', 'ending'],
    role: 'server',
    async run(ctx) {
      const { server, session, sock, connection } = await ctx.accepted();
      ctx.name(sock, '<its socket>');
      ctx.watch(server, 'server', ['disconnect', 'error']);
      const left = ctx.next(server, 'disconnect');
      session.sock.end();
      ctx.log('raw', await connection.end);
      connection.finish();
      await left;
      ctx.log('server', server.sockets.length, sock.destroyed);
    },
  },
  {
    name: "socket: sock.emit('end') ends the connection",
    rows: ['socket', 'ending'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      ctx.name(sock, '<its socket>');
      ctx.watch(server, 'server', ['disconnect', 'error']);
      const left = ctx.next(server, 'disconnect');
      sock.emit('end');
      ctx.log('server', server.sockets.length, sock.destroyed);
      await left;
      await connection.end;
    },
  },
  {
    name: 'socket: server.sockets[0].destroy() closes it for the client',
    rows: ['socket', 'ending'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      ctx.watch(server, 'server', ['error']);
      sock.on('close', (hadError) => ctx.log('socket', "'close'", hadError));
      const closed = ctx.next(sock, 'close');
      server.sockets[0].destroy();
      ctx.log('socket', STATES(sock));
      await closed;
      await connection.end;
    },
  },
  {
    name: 'socket: events when the peer ends: end, then close without error',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      const sock = ctx.watch(client.socket, 'socket', ['end', 'close', 'error', 'timeout']);
      const closed = ctx.next(sock, 'close');
      connection.finish();
      await closed;
      ctx.log('socket', STATES(sock));
    },
  },
  {
    name: 'socket: events when the peer resets',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      const sock = ctx.watch(client.socket, 'socket', ['close', 'error']);
      const closed = ctx.next(sock, 'close');
      connection.reset();
      await closed;
      ctx.log('socket', sock.destroyed, sock.readyState);
    },
  },
  {
    name: 'socket: end(data) flushes, finish comes',
    rows: ['socket', 'ending'],
    role: 'server',
    async run(ctx) {
      const { sock, connection } = await ctx.accepted();
      ctx.watch(sock, 'socket', ['finish', 'error']);
      const finished = ctx.next(sock, 'finish');
      sock.end('good bye\n', () => ctx.log('callback', 'end'));
      await finished;
      ctx.log('raw', await connection.end, connection.frames());
    },
  },
  {
    name: 'socket: setNoDelay, setKeepAlive, setTimeout, ref and unref return the socket',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client } = await ctx.connected({}, { tcp: true });
      const sock = client.socket;
      for (const method of [
        'setNoDelay',
        'setKeepAlive',
        'ref',
        'unref',
        'ref',
        'pause',
        'resume',
      ]) {
        ctx.log('socket', method, sock[method]() === sock);
      }
      ctx.log('socket', sock.timeout, sock.setTimeout(50_000) === sock, sock.timeout);
      const expired = ctx.next(sock, 'timeout');
      sock.setTimeout(20);
      await expired;
      ctx.log('socket', sock.timeout, sock.destroyed, client.connected);
    },
  },
  {
    name: 'socket: destroy(error) is reported by the client',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client } = await ctx.connected();
      ctx.watch(client, 'client', ['error']);
      const sock = ctx.watch(client.socket, 'socket', ['close']);
      const closed = ctx.next(sock, 'close');
      sock.destroy(new Error('of the program'));
      await closed;
      ctx.log('socket', sock.destroyed);
      await ctx.attempt('client', 'send()', () => client.send('late'));
    },
  },
  {
    name: 'socket: writableLength and the write callback',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const sock = client.socket;
      ctx.log('socket', sock.writableLength, sock.writable, sock.readable);
      await new Promise((resolve) => sock.write('raw\n', resolve));
      ctx.log('socket', sock.writableLength, await connection.received(1));
    },
  },
  {
    name: 'socket: the program gives the client a socket of its own',
    rows: ['adopting'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.watch(ctx.client(), 'client', [
        'receive',
        'error',
        'connect',
        'disconnect',
      ]);
      const mine = net.createConnection(ctx.socketPath());
      await ctx.next(mine, 'connect');
      client.socket = mine;
      ctx.log('client', client.socket === mine);
      const connection = await raw.next();
      await ctx.outcome('sent', 'send()', client.send({ a: 1 }));
      ctx.log('frames', await connection.received(1));
      const received = ctx.next(client, 'receive');
      await connection.send({ type: 'String', data: 'in' });
      await received;
      const answered = new Promise((resolve) => {
        client.send('ask', (...args) => {
          ctx.log('callback', ...args);
          resolve();
        });
      });
      const frames = await connection.received(2);
      await connection.send({ type: 'S', data: 'answer', callback_id: JSON.parse(frames[1]).id });
      await answered;
    },
  },
  {
    name: 'socket: the program gives the client a Duplex that is no socket',
    rows: ['adopting'],
    role: 'client',
    async run(ctx) {
      const [toProgram, fromProgram] = [new PassThrough(), new PassThrough()];
      const duplex = Duplex.from({ readable: toProgram, writable: fromProgram });
      const client = ctx.watch(ctx.client(), 'client', ['receive', 'error']);
      client.socket = duplex;
      ctx.log('client', client.socket === duplex);
      const written = ctx.next(fromProgram, 'data');
      client.send({ a: 1 });
      ctx.log('frames', String((await written)[0]));
      const received = ctx.next(client, 'receive');
      toProgram.write('{"type":"S","da');
      toProgram.write('ta":"in"}\n');
      await received;
      const ended = ctx.next(duplex, 'end');
      toProgram.end();
      await ended;
      ctx.log('client', client.socket);
    },
  },
];
