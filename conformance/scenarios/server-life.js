'use strict';

const EVENTS = ['connect', 'disconnect', 'receive', 'request', 'error'];

/** A session class that logs its methods. The scenario decides what start() and end() wait for. */
function tracedSession(ctx, { starting, ending } = {}) {
  return class Traced extends ctx.sockhop.session {
    constructor(sock, server) {
      super(sock, server);
      ctx.log(
        'life',
        'constructor',
        sock === this.sock,
        server === this.server,
        server.sockets.length,
      );
    }
    async start() {
      ctx.log('life', 'start()', this.server.sockets.length, this.server.sessions.length);
      await starting;
      this.started = true;
      ctx.log('life', 'start() done');
    }
    async end() {
      ctx.log('life', 'end()', this.server.sockets.includes(this.sock));
      await ending;
      this.ended = true;
      ctx.log('life', 'end() done');
    }
  };
}

module.exports = [
  {
    name: 'server: connect, receive and disconnect of one client, with the same socket and session',
    rows: ['server-events'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      ctx.watch(server, 'server', EVENTS);
      const arrived = ctx.next(server, 'connect');
      const connection = await ctx.rawClient(endpoint.path);
      const [sock, session] = await arrived;
      ctx.log('server', session.sock === sock, session.server === server, server.sockets.length);
      ctx.log('server', server.sockets[0] === sock, server.sessions[0] === session);
      const received = ctx.next(server, 'receive');
      await connection.send({ type: 'String', data: 'hello' });
      await received;
      const left = ctx.next(server, 'disconnect');
      connection.finish();
      await left;
      ctx.log('server', server.sockets.length, server.sessions.length);
    },
  },
  {
    name: 'server: disconnect once when the client resets, without an error event',
    rows: ['server-events'],
    role: 'server',
    async run(ctx) {
      const { server, connection } = await ctx.accepted({}, { tcp: true });
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      connection.reset();
      await left;
      await ctx.quiesce();
      ctx.log('server', server.sockets.length, server.sessions.length);
    },
  },
  {
    name: 'server: data that came together with the FIN is delivered before disconnect',
    rows: ['server-events'],
    role: 'server',
    async run(ctx) {
      const { server, connection } = await ctx.accepted();
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      for (let i = 0; i < 5; i++) connection.send({ type: 'Number', data: i });
      connection.finish();
      await left;
    },
  },
  {
    name: 'server: an unfinished frame is dropped with its connection',
    rows: ['server-events', 'bad-frames'],
    role: 'server',
    async run(ctx) {
      const { server, connection, endpoint } = await ctx.accepted();
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      await connection.write('{"type":"String","data":"cut o');
      connection.finish();
      await left;
      const arrived = ctx.next(server, 'connect');
      const next = await ctx.rawClient(endpoint.path);
      await arrived;
      const received = ctx.next(server, 'receive');
      await next.send({ type: 'String', data: 'whole' });
      await received;
    },
  },
  {
    name: 'session: constructor, start, then connect; end, then disconnect',
    rows: ['session', 'server-events'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening({ session_type: tracedSession(ctx) });
      server.on('connect', (_, session) =>
        ctx.log('life', "'connect'", session.started, server.sockets.length),
      );
      server.on('disconnect', (_, session) =>
        ctx.log('life', "'disconnect'", session.ended, server.sockets.length),
      );
      const arrived = ctx.next(server, 'connect');
      const connection = await ctx.rawClient(endpoint.path);
      const [, session] = await arrived;
      ctx.log('life', session.constructor.name, session instanceof ctx.sockhop.session);
      const left = ctx.next(server, 'disconnect');
      connection.finish();
      await left;
    },
  },
  {
    name: 'session: what arrives before start() resolved is held back, then delivered in order',
    rows: ['data-before-start', 'session'],
    role: 'server',
    async run(ctx) {
      let release;
      const starting = new Promise((resolve) => {
        release = resolve;
      });
      const { server, endpoint } = await ctx.listening({
        session_type: tracedSession(ctx, { starting }),
      });
      // The original emits 'connect' a turn later than the delayed messages.
      const arrived = ctx.next(server, 'connect');
      server.on('receive', (object, meta) =>
        ctx.log('life', "'receive'", object, meta.session.started),
      );
      const connection = await ctx.rawClient(endpoint.path);
      await connection.send({ type: 'Number', data: 1 }, { type: 'Number', data: 2 });
      await ctx.quiesce();
      ctx.log('life', 'released', server.sockets.length);
      const all = ctx.times(server, 'receive', 3);
      release();
      await connection.send({ type: 'Number', data: 3 });
      await all;
      await arrived;
    },
  },
  {
    name: 'session: disconnect waits until end() resolved',
    rows: ['session', 'server-events'],
    role: 'server',
    async run(ctx) {
      let release;
      const ending = new Promise((resolve) => {
        release = resolve;
      });
      const { server, connection } = await ctx.accepted({
        session_type: tracedSession(ctx, { ending }),
      });
      server.on('disconnect', () => ctx.log('life', "'disconnect'"));
      const left = ctx.next(server, 'disconnect');
      connection.finish();
      await ctx.until(() => server.sockets.length === 0);
      await ctx.quiesce();
      ctx.log('life', 'released', server.sessions.length);
      release();
      await left;
    },
  },
  {
    name: 'session: a class that calls super() without arguments and keeps its own socket',
    rows: ['session'],
    role: 'server',
    async run(ctx) {
      class Bare extends ctx.sockhop.session {
        constructor(sock, server) {
          super();
          this.mine = sock;
          this.home = server;
        }
        async start() {}
        async end() {
          ctx.log('life', 'end()');
        }
      }
      const { server, session, sock, connection } = await ctx.accepted({ session_type: Bare });
      ctx.log('session', session.mine === sock, session.home === server);
      const received = ctx.next(server, 'receive');
      await connection.send({ type: 'String', data: 's' });
      const [, meta] = await received;
      ctx.log('session', meta.session === session, meta.socket === sock);
      await server.send(sock, 'answer');
      ctx.log('frames', await connection.received(1));
      const left = ctx.next(server, 'disconnect');
      await server.kill_socket(sock);
      const [, last] = await left;
      ctx.log('session', last === session);
    },
  },
  {
    name: 'session: _from_socket is what the server calls, and can be replaced',
    rows: ['session', 'internals'],
    role: 'server',
    async run(ctx) {
      class Made extends ctx.sockhop.session {
        static async _from_socket(sock, server) {
          ctx.log('life', '_from_socket', server.sockets.length);
          // biome-ignore lint/complexity/noThisInStatic: super keeps `this`, the class to construct
          const session = await super._from_socket(sock, server);
          session.made = true;
          return session;
        }
      }
      const { session, sock, server } = await ctx.accepted({ session_type: Made });
      ctx.log(
        'life',
        session.made,
        session.sock === sock,
        session.server === server,
        session.constructor.name,
      );
    },
  },
  {
    name: 'session: is an EventEmitter that keeps the fields of the program',
    rows: ['session'],
    role: 'server',
    async run(ctx) {
      const { server, session, connection } = await ctx.accepted();
      session.user = { name: 'someone' };
      session.on('own', (...args) => ctx.log('session', ...args));
      session.emit('own', 1, 2);
      const received = ctx.next(server, 'receive');
      await connection.send({ type: 'String', data: 's' });
      const [, meta] = await received;
      ctx.log('session', meta.session.user, meta.session.constructor.name);
    },
  },
  {
    name: 'sockets and sessions: live arrays with the same index, also when one in the middle leaves',
    rows: ['sockets-sessions'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      const { sockets, sessions } = server;
      const connections = [];
      for (let i = 0; i < 3; i++) {
        const arrived = ctx.next(server, 'connect');
        connections.push(await ctx.rawClient(endpoint.path));
        const [sock, session] = await arrived;
        ctx.name(sock, `<socket of ${i}>`);
        session.number = i;
      }
      const show = () => {
        ctx.log(
          'arrays',
          server.sockets.slice(),
          server.sessions.map((s) => s.number),
        );
        ctx.log(
          'arrays',
          server.sockets.every((sock, i) => server.sessions[i].sock === sock),
        );
        ctx.log('arrays', sockets === server.sockets, sessions === server.sessions);
        ctx.log('arrays', server._sockets === server.sockets, server._sessions === server.sessions);
      };
      show();
      const left = ctx.next(server, 'disconnect');
      connections[1].finish();
      await left;
      show();
      ctx.log(
        'arrays',
        Array.isArray(server.sockets),
        server.pings.size,
        server._response_stream_maps.size,
      );
    },
  },
  {
    name: 'sendall(): to every client, its promise when all are sent',
    rows: ['sendall'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      await ctx.outcome('sent', 'to nobody', server.sendall('x'));
      const connections = [];
      for (let i = 0; i < 3; i++) {
        const arrived = ctx.next(server, 'connect');
        connections.push(await ctx.rawClient(endpoint.path));
        await arrived;
      }
      const values = await server.sendall({ to: 'all' });
      ctx.log('sent', Array.isArray(values), values.length);
      for (const connection of connections) ctx.log('frames', await connection.received(1));
    },
  },
  {
    name: 'sendall(): a destroyed socket is removed and reported as disconnected',
    rows: ['sendall'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      const connections = [];
      for (let i = 0; i < 2; i++) {
        const arrived = ctx.next(server, 'connect');
        connections.push(await ctx.rawClient(endpoint.path));
        const [sock] = await arrived;
        ctx.name(sock, `<socket of ${i}>`);
      }
      ctx.watch(server, 'server', ['disconnect', 'error']);
      const left = ctx.next(server, 'disconnect');
      server.sockets[1].destroy();
      await server.sendall('living');
      ctx.log('sent', server.sockets.slice());
      await left;
      ctx.log('frames', await connections[0].received(1), connections[1].frames());
    },
  },
  {
    name: 'sendall(): what it throws',
    rows: ['sendall', 'thrown-by-send'],
    role: 'server',
    async run(ctx) {
      const { server } = await ctx.listening();
      await ctx.attempt('empty', 'undefined, nobody there', () => server.sendall());
      const arrived = ctx.next(server, 'connect');
      await ctx.rawClient(ctx.socketPath());
      await arrived;
      for (const value of [undefined, null, 0]) {
        await ctx.attempt('one', String(value), () => server.sendall(value));
      }
      await ctx.attempt('one', 'BigInt', () => server.sendall(1n));
    },
  },
  {
    name: 'kill_socket(): FIN to the client, disconnect event, promise',
    rows: ['ending'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted({}, { tcp: true });
      ctx.name(sock, '<its socket>');
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      await server.send(sock, 'last words');
      await ctx.outcome('killed', 'kill_socket()', server.kill_socket(sock));
      ctx.log('killed', server.sockets.length);
      await left;
      ctx.log('raw', await connection.end, connection.frames(), connection.error);
    },
  },
  {
    name: 'session.kill(): FIN to the client, disconnect event, promise',
    rows: ['ending', 'session'],
    role: 'server',
    async run(ctx) {
      const { server, session, connection } = await ctx.accepted();
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      await ctx.outcome('killed', 'kill()', session.kill());
      await left;
      ctx.log('raw', await connection.end);
      ctx.log('killed', server.sockets.length, server.sessions.length);
    },
  },
  {
    name: 'server.disconnect(): every client ends, the server stays and takes new ones',
    rows: ['ending'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint, connection } = await ctx.accepted();
      const left = ctx.next(server, 'disconnect');
      const values = await server.disconnect();
      ctx.log(
        'server',
        Array.isArray(values),
        values.length,
        server.sockets.length,
        server.server.listening,
      );
      await left;
      ctx.log('raw', await connection.end);
      const arrived = ctx.next(server, 'connect');
      await ctx.rawClient(endpoint.path);
      await arrived;
      ctx.log('server', server.sockets.length);
    },
  },
  {
    name: 'server.close(): ends clients, refuses new ones, twice is harmless',
    rows: ['ending'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint, connection } = await ctx.accepted({}, { tcp: true });
      ctx.watch(server, 'server', EVENTS);
      const left = ctx.next(server, 'disconnect');
      await ctx.outcome('closed', 'close()', server.close());
      await left;
      ctx.log('raw', await connection.end);
      ctx.log('closed', server.sockets.length, server.sessions.length);
      await ctx.outcome('closed', 'close() again', server.close());
      await ctx.outcome('raw', 'connecting', ctx.rawClient(endpoint));
    },
  },
  {
    name: 'server.close() before listen() is harmless',
    rows: ['ending'],
    role: 'server',
    async run(ctx) {
      const server = ctx.watch(ctx.server({ path: ctx.socketPath() }), 'server', EVENTS);
      await ctx.outcome('server', 'close()', server.close());
      await ctx.outcome('server', 'disconnect()', server.disconnect());
      ctx.log('server', server.sockets.length);
    },
  },
  {
    name: 'listen(): its value, address and state over TCP',
    rows: ['listening'],
    role: 'server',
    async run(ctx) {
      const port = await ctx.port();
      const server = ctx.server({ port });
      ctx.log('server', server.server.listening);
      const value = await server.listen();
      ctx.log('server', value === server.server, value.listening, value.address());
      ctx.log('server', server.get_bound_address(), server.port === port);
      const arrived = ctx.next(server, 'connect');
      await ctx.rawClient({ port });
      await arrived;
      const count = await new Promise((resolve) =>
        server.server.getConnections((_, n) => resolve(n)),
      );
      ctx.log('server', count);
    },
  },
  {
    name: 'listen(): a path that cannot be is an error event with nulls',
    rows: ['server-events', 'errors'],
    role: 'server',
    async run(ctx) {
      const server = ctx.server({ path: ctx.socketPath('missing/directory') });
      const failed = ctx.next(server, 'error');
      const settled = ctx.track('promise', 'listen()', server.listen());
      ctx.log('server', ...(await failed));
      await ctx.quiesce();
      settled();
    },
  },
  {
    name: 'emit_async() emits later, with the arguments',
    rows: ['internals'],
    role: 'server',
    async run(ctx) {
      const server = ctx.server();
      const came = ctx.next(server, 'own');
      server.on('own', (...args) => ctx.log('server', "'own'", ...args));
      ctx.log('server', 'returned', server.emit_async('own', 1, { two: 2 }));
      await came;
    },
  },
  {
    name: 'server: sendall() inside disconnect reaches those who stay',
    rows: ['sendall', 'server-events'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      const connections = [];
      for (let i = 0; i < 3; i++) {
        const arrived = ctx.next(server, 'connect');
        connections.push(await ctx.rawClient(endpoint.path));
        const [, session] = await arrived;
        session.number = i;
      }
      server.on('disconnect', (_, session) => {
        ctx.log('server', 'left', session.number, server.sockets.length);
        server.sendall({ left: session.number });
      });
      connections[0].finish();
      ctx.log('frames', await connections[1].received(1), await connections[2].received(1));
    },
  },
  {
    name: 'server: a hundred clients come, speak and go',
    rows: ['server-events', 'sockets-sessions'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint } = await ctx.listening();
      const arrived = ctx.times(server, 'connect', 100);
      const connections = await Promise.all(
        Array.from({ length: 100 }, () => ctx.rawClient(endpoint.path)),
      );
      const all = await arrived;
      ctx.log('server', server.sockets.length, new Set(all.map(([sock]) => sock)).size);
      const received = ctx.times(server, 'receive', 100);
      for (const [i, connection] of connections.entries())
        connection.send({ type: 'Number', data: i });
      const got = await received;
      ctx.log(
        'server',
        got
          .map(([n]) => n)
          .sort((a, b) => a - b)
          .join(),
      );
      ctx.log(
        'server',
        got.every(([, meta]) => meta.session.sock === meta.socket),
      );
      const left = ctx.times(server, 'disconnect', 100);
      for (const connection of connections) connection.finish();
      await left;
      ctx.log('server', server.sockets.length, server.sessions.length, server.pings.size);
    },
  },
];
