'use strict';

// Faults of the original that this package corrects. Each has an entry in differences.js.

const net = require('node:net');

const GOOD = (data) => `${JSON.stringify({ type: 'Good', data })}\n`;

const HOSTILE = {
  null: 'null',
  'an answer never asked for': '{"callback_id":"x"}',
  'an answer to constructor': '{"callback_id":"constructor"}',
  'an answer to __proto__': '{"callback_id":"__proto__"}',
  'a request without data': '{"type":"SockhopRequest"}',
  'a request that is null': '{"type":"SockhopRequest","data":null}',
  'a response without data': '{"type":"SockhopResponsePacket"}',
  'a response that is null': '{"type":"SockhopResponsePacket","data":null}',
  'a pong without data': '{"type":"SockhopPong"}',
  'a pong that is null': '{"type":"SockhopPong","data":null}',
  'a ping that is null': '{"type":"SockhopPing","data":null}',
};

/** Sends pings to a peer that answers, because the original ignores pongs before the first ping. */
async function pinged(pinger, connection) {
  let answered = 0;
  connection.socket.on('data', () => {
    for (const frame of connection.frames().slice(answered)) {
      answered++;
      connection.send({ type: 'SockhopPong', data: JSON.parse(frame).data });
    }
  });
  pinger.ping(20);
  await connection.received(1);
}

module.exports = [];

for (const [label, line] of Object.entries(HOSTILE)) {
  module.exports.push(
    {
      name: `hostile line to a client: ${label}`,
      rows: ['fault-one-line'],
      role: 'client',
      async run(ctx) {
        const { client, connection } = await ctx.connected();
        ctx.watch(client, 'client', ['receive', 'request', 'disconnect']);
        client.on('error', () => {});
        if (line.includes('Pong')) await pinged(client, connection);
        const marked = ctx.next(client, 'receive');
        await connection.write(`${line}\n`);
        await ctx.quiesce();
        client.ping(0);
        await connection.write(GOOD('marker'));
        await marked;
        ctx.log('client', client.connected);
      },
    },
    {
      name: `hostile line to a server: ${label}`,
      rows: ['fault-one-line'],
      role: 'server',
      async run(ctx) {
        const { server, connection, sock } = await ctx.accepted();
        ctx.name(sock, '<its socket>');
        ctx.watch(server, 'server', ['receive', 'request', 'disconnect']);
        server.on('error', () => {});
        if (line.includes('Pong')) await pinged(server, connection);
        const marked = ctx.next(server, 'receive');
        await connection.write(`${line}\n`);
        await ctx.quiesce();
        server.ping(0);
        await connection.write(GOOD('marker'));
        await marked;
        ctx.log('server', server.sockets.length);
      },
    },
  );
}

module.exports.push(
  {
    name: 'fault: a handler that throws loses the frames behind it',
    rows: ['fault-handler-throws'],
    role: 'both',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      client.on('receive', (data) => {
        ctx.log('client', data);
        if (data === 2) throw new Error('of the handler');
      });
      const crashed = new Promise((resolve) => process.once('uncaughtException', resolve));
      await connection.write(GOOD(1) + GOOD(2) + GOOD(3) + GOOD(4));
      await crashed;
      await ctx.quiesce();
      const received = ctx.next(client, 'receive');
      await connection.write(GOOD('next chunk'));
      await received;
    },
  },
  {
    name: 'fault: an answer reaches a callback after its connection was lost',
    rows: ['fault-callbacks-kept'],
    role: 'client',
    async run(ctx) {
      const { client, connection, raw } = await ctx.connected();
      ctx.watch(client, 'client', ['receive']);
      client.on('error', () => {});
      await client.send('ask', (answer) => ctx.log('callback', answer));
      const [frame] = await connection.received(1);
      await client.disconnect();
      await client.connect();
      const second = await raw.next();
      const received = ctx.next(client, 'receive');
      await second.send(
        { type: 'S', data: 'stale', callback_id: JSON.parse(frame).id },
        GOOD('marker'),
      );
      await received;
    },
  },
  {
    name: 'fault: one client answers what was asked of another',
    rows: ['fault-callbacks-kept'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint, connection, sock } = await ctx.accepted();
      server.on('error', () => {});
      const arrived = ctx.next(server, 'connect');
      const thief = await ctx.rawClient(endpoint.path);
      await arrived;
      await server.send(sock, 'ask', (answer) => ctx.log('callback', answer));
      const [frame] = await connection.received(1);
      const received = ctx.next(server, 'receive');
      await thief.send(
        { type: 'S', data: 'of the thief', callback_id: JSON.parse(frame).id },
        GOOD('marker'),
      );
      await received;
      ctx.log('server', 'marker');
    },
  },
  {
    name: 'fault: close() and then listen() again',
    rows: ['fault-close-listen'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      await server.close();
      await ctx.outcome(
        'server',
        'listen() again',
        server.listen().then(() => 'listening'),
      );
      server.on('connect', () => ctx.log('server', "'connect'"));
      server.on('receive', (object) => ctx.log('server', "'receive'", object));
      const connection = await ctx.rawClient(endpoint.path);
      await connection.write(GOOD('hello'));
      await ctx.quiesce(40);
    },
  },
  {
    name: 'fault: listen() on a port that is taken',
    rows: ['fault-port-taken'],
    role: 'server',
    async run(ctx) {
      const raw = await ctx.rawServer();
      const server = ctx.server({ port: raw.port });
      const failed = ctx.next(server, 'error');
      const settled = ctx.track('promise', 'listen()', server.listen());
      ctx.log('server', ...(await failed));
      await ctx.quiesce();
      settled();
    },
  },
  {
    name: 'fault: session.start() rejects',
    rows: ['fault-start-rejects'],
    role: 'server',
    async run(ctx) {
      class Refusing extends ctx.sockhop.session {
        async start() {
          throw new Error('not you');
        }
        async end() {
          ctx.log('session', 'end()');
        }
      }
      const { server, endpoint } = await ctx.listening({ session_type: Refusing });
      ctx.watch(server, 'server', ['connect', 'disconnect', 'receive']);
      server.on('error', (error, sock, session) => {
        ctx.log('error', error, sock instanceof net.Socket, session instanceof Refusing);
      });
      const connection = await ctx.rawClient(endpoint.path);
      let ended = false;
      connection.end.then(() => {
        ended = true;
      });
      await connection.write(GOOD('held forever'));
      await ctx.quiesce(40);
      ctx.log('raw', 'ended', ended);
      ctx.log('server', server.sockets.length, server.sessions.length);
    },
  },
  {
    name: 'fault: session.start() throws',
    rows: ['fault-start-rejects'],
    role: 'server',
    async run(ctx) {
      class Throwing extends ctx.sockhop.session {
        start() {
          throw new Error('not you');
        }
      }
      const { server, endpoint } = await ctx.listening({ session_type: Throwing });
      server.on('error', (error) => ctx.log('error', error));
      const connection = await ctx.rawClient(endpoint.path);
      let ended = false;
      connection.end.then(() => {
        ended = true;
      });
      await ctx.quiesce(40);
      ctx.log('raw', 'ended', ended);
      ctx.log('server', server.sockets.length);
    },
  },
  {
    name: 'fault: a client that was only constructed keeps the process alive',
    rows: ['fault-process-alive'],
    role: 'client',
    async run(ctx) {
      // The number of timers that keep the process alive; the harness has one, before and after.
      const timers = () =>
        process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
      const before = timers();
      ctx.client();
      ctx.log('client', 'timers that keep the process alive', timers() - before);
    },
  },
  {
    name: 'fault: ssl_options with exactly one key are ignored',
    rows: ['fault-ssl-one-key'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer();
      const client = ctx.client({ port: raw.port, ssl_options: { rejectUnauthorized: false } });
      client.on('error', () => {});
      client
        .connect()
        .then(() => client.send({ pass: 'word' }))
        .catch(() => {});
      const connection = await raw.next();
      const [first] = await connection.receivedBytes(1);
      ctx.log('first byte', first === 0x16 ? 'a TLS handshake' : String.fromCharCode(first));
    },
  },
  {
    name: 'fault: a terminator that is no ASCII corrupts every second frame',
    rows: ['fault-terminator'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ terminator: 'é' });
      ctx.watch(client, 'client', ['receive', 'error']);
      await client.send({ a: 1 });
      await connection.received(1, 'é');
      ctx.log('bytes', connection.bytes().toString());
      await connection.write([1, 2, 3, 4].map((data) => `{"type":"N","data":${data}}é`).join(''));
      await ctx.quiesce();
    },
  },
  {
    name: 'fault: an empty terminator never returns',
    rows: ['fault-terminator'],
    role: 'static',
    async run(ctx) {
      const ObjectBuffer = ctx.lib('ObjectBuffer.js');
      await ctx.attempt('buffer', 'an empty terminator', () => {
        const buffer = new ObjectBuffer({ terminator: '' });
        let errors = 0;
        buffer.on('error', () => {
          // Only an exception ends the loop of the original.
          if (++errors === 1000) throw new Error('does not return');
        });
        return buffer.buf2obj(Buffer.from('{}'));
      });
    },
  },
  {
    name: 'fault: send() in flight when the connection dies',
    rows: ['fault-send-in-flight'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      client.on('error', () => {});
      connection.socket.pause();
      const lost = ctx.next(client, 'disconnect');
      // More than the socket buffers of both ends hold, so that part of it is on the way when the
      // reset arrives.
      const sending = client.send('x'.repeat(64 * 1024 * 1024));
      await ctx.quiesce();
      connection.reset();
      await lost;
      await sending.then(
        () => ctx.log('send()', 'fulfilled'),
        (error) => ctx.log('send()', 'rejected', error),
      );
    },
  },
  {
    name: 'fault: next() and all() of a stream that timed out',
    rows: ['fault-stream-timeout'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const [one, two] = [
        await client.request('Q', { timeout: 500 }),
        await client.request('Q', { timeout: 500 }),
      ];
      const settled = ctx.track('next', 'next()', one.next());
      const all = ctx.track('all', 'all()', two.all());
      const frames = await connection.received(2);
      const { uuid } = JSON.parse(frames[1]).data;
      await connection.send({
        type: 'SockhopResponsePacket',
        data: { uuid, type: 'S', data: 'part', last: false },
      });
      await Promise.all([ctx.next(one, 'end'), two.ended || ctx.next(two, 'end')]);
      await ctx.quiesce();
      settled();
      all();
      const late = ctx.track('next', 'next() after the end', one.next());
      const lateAll = ctx.track('all', 'all() after the end', two.all());
      await ctx.quiesce();
      late();
      lateAll();
    },
  },
  {
    name: 'fault: next() and all() of a stream whose connection is lost',
    rows: ['fault-stream-timeout'],
    role: 'client',
    async run(ctx) {
      const { client } = await ctx.connected();
      const [one, two] = [await client.request('Q'), await client.request('Q')];
      const settled = ctx.track('next', 'next()', one.next());
      const all = ctx.track('all', 'all()', two.all());
      await client.disconnect();
      await ctx.quiesce();
      settled();
      all();
    },
  },
  {
    name: 'fault: send() and request() before the first connect()',
    rows: ['fault-send-before-connect'],
    role: 'client',
    async run(ctx) {
      const client = ctx.client({ path: ctx.socketPath() });
      await ctx.attempt('client', 'send()', () => client.send({ a: 1 }));
      await ctx.attempt('client', 'request()', () => client.request({ a: 1 }));
    },
  },
  {
    name: 'fault: port 0 becomes 50000',
    rows: ['fault-port-0'],
    role: 'server',
    async run(ctx) {
      // The scenario does not listen, because another program may use port 50000.
      ctx.log('server', 'port 0 is', new ctx.sockhop.server({ port: 0 }).port);
    },
  },
  {
    name: 'fault: sendall() skips the client behind a dead one',
    rows: ['fault-sendall-skips'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      const connections = [];
      for (let i = 0; i < 3; i++) {
        const arrived = ctx.next(server, 'connect');
        connections.push(await ctx.rawClient(endpoint.path));
        await arrived;
      }
      const [, second, third] = server.sockets;
      server.sockets[0].destroy();
      await server.sendall('to all');
      await server.send(second, 'marker');
      await server.send(third, 'marker');
      for (const [i, connection] of connections.entries()) {
        if (i === 0) continue;
        await connection.when(() => connection.bytes().includes('marker'));
        ctx.log(`client ${i}`, connection.frames());
      }
    },
  },
  {
    name: 'fault: a bad frame ends a program that has no error listener',
    rows: ['fault-one-line'],
    role: 'client',
    async run(ctx) {
      const { connection } = await ctx.connected();
      await connection.write('garbage\n');
      await ctx.quiesce();
      ctx.log('client', 'told of it', true);
    },
  },
  {
    name: 'fault: the errors of a chunk come before its objects, without the session',
    rows: ['fault-error-order'],
    role: 'server',
    async run(ctx) {
      const { server, connection, sock, session } = await ctx.accepted();
      ctx.name(sock, '<its socket>');
      ctx.name(session, '<its session>');
      server.on('receive', (object) => ctx.log('server', "'receive'", object));
      server.on('error', (...args) => ctx.log('server', "'error'", ...args));
      const received = ctx.times(server, 'receive', 2);
      await connection.write(`${GOOD('before')}garbage\n${GOOD('behind')}`);
      await received;
    },
  },
  {
    name: 'fault: a path that is not there is an error event beside the rejection',
    rows: ['fault-connect-twice'],
    role: 'client',
    async run(ctx) {
      const client = ctx.client({ path: ctx.socketPath('absent') });
      client.on('error', (error) => ctx.log('event', error));
      await ctx.outcome('client', 'connect()', client.connect());
      await ctx.quiesce();
    },
  },
  {
    name: 'fault: kill_socket() twice is two disconnect events',
    rows: ['fault-disconnect-twice'],
    role: 'server',
    async run(ctx) {
      const { server, sock } = await ctx.accepted();
      server.on('disconnect', () => ctx.log('server', "'disconnect'"));
      const left = ctx.next(server, 'disconnect');
      await ctx.outcome('killed', 'kill_socket()', server.kill_socket(sock));
      await left;
      await ctx.outcome('killed', 'kill_socket() again', server.kill_socket(sock));
      await ctx.quiesce();
    },
  },
  {
    name: 'fault: a session that calls super() without arguments has no socket',
    rows: ['fault-bare-super'],
    role: 'server',
    async run(ctx) {
      class Bare extends ctx.sockhop.session {
        // biome-ignore lint/complexity/noUselessConstructor: the arguments are left out on purpose
        constructor() {
          super();
        }
      }
      const { server, sock, session } = await ctx.accepted({ session_type: Bare });
      ctx.log('session', session.sock === sock, session.server === server);
    },
  },
);
