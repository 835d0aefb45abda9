'use strict';

const pong = (frame, extra = {}) => ({ type: 'SockhopPong', data: { ...frame.data, ...extra } });

module.exports = [
  {
    name: 'ping: the client sends ping frames, pongs keep the connection',
    rows: ['ping', 'envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      ctx.watch(client, 'client', ['disconnect', 'receive', 'error']);
      client.ping(10);
      for (let i = 1; i <= 6; i++) {
        const frames = await connection.received(i);
        const frame = JSON.parse(frames[i - 1]);
        ctx.log('frames', frame);
        await connection.send(pong(frame, { _returned: new Date().toISOString() }));
      }
      client.ping(0);
      ctx.log('client', client.connected, client.interval_timer, client.pings);
    },
  },
  {
    name: 'ping: four unanswered in a row end the client connection',
    rows: ['ping'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      ctx.name(client.socket, '<the socket>');
      ctx.watch(client, 'client', ['disconnect', 'receive', 'error']);
      const lost = ctx.next(client, 'disconnect');
      client.ping(15);
      await lost;
      await connection.end;
      ctx.log('raw', connection.frames().length);
      ctx.log('client', client.connected, client.socket, client.interval_timer !== null);
    },
  },
  {
    name: 'ping: pongs for other pings do not count',
    rows: ['ping'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      ctx.watch(client, 'client', ['receive', 'error']);
      client.on('disconnect', () => ctx.log('client', "'disconnect'"));
      const lost = ctx.next(client, 'disconnect');
      const other = {
        type: 'SockhopPong',
        data: { _id: 'not yours', _created: null, _returned: null, _finished: null },
      };
      await connection.send(other);
      client.ping(15);
      await connection.received(1);
      await connection.send(other, other, other, other);
      await lost;
    },
  },
  {
    name: 'ping: the client keeps pinging the connections that follow',
    rows: ['ping', 'auto-reconnect'],
    role: 'client',
    async run(ctx) {
      const { client, connection, raw } = await ctx.connected({}, { tcp: true });
      client.ping(15);
      await connection.received(1);
      const lost = ctx.next(client, 'disconnect');
      connection.finish();
      await lost;
      await client.connect();
      const second = await raw.next();
      const [frame] = await second.received(1);
      ctx.log('second', frame);
    },
  },
  {
    name: 'ping: the server pings every client and drops the one that is silent',
    rows: ['ping'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint, connection, sock } = await ctx.accepted();
      ctx.name(sock, '<silent>');
      const arrived = ctx.next(server, 'connect');
      const lively = await ctx.rawClient(endpoint.path);
      const [other] = await arrived;
      ctx.name(other, '<lively>');
      ctx.watch(server, 'server', ['receive', 'error']);
      const left = ctx.next(server, 'disconnect');
      let answered = 0;
      lively.socket.on('data', () => {
        for (const frame of lively.frames().slice(answered)) {
          answered++;
          lively.send(pong(JSON.parse(frame)));
        }
      });
      server.ping(30);
      const [gone] = await left;
      ctx.log('left', gone, server.sockets.slice());
      await connection.end;
      ctx.log('silent', JSON.parse(connection.frames()[0]));
      server.ping(0);
      ctx.log('server', server.interval_timer);
    },
  },
  {
    name: 'ping: both sides answer pings without telling the program',
    rows: ['ping', 'envelope'],
    role: 'both',
    async run(ctx) {
      const question = {
        _id: 'abc',
        _created: '2020-01-01T00:00:00.000Z',
        _returned: null,
        _finished: null,
      };
      const { client, connection } = await ctx.connected();
      ctx.watch(client, 'client', ['receive', 'error']);
      await connection.send({ type: 'SockhopPing', data: question });
      ctx.log('client frames', await connection.received(1));

      const server = ctx.watch(ctx.server({ path: ctx.socketPath('server') }), 'server', [
        'receive',
        'error',
      ]);
      await server.listen();
      const arrived = ctx.next(server, 'connect');
      const raw = await ctx.rawClient(ctx.socketPath('server'));
      await arrived;
      await raw.send(
        { type: 'SockhopPing', data: question },
        { data: question, type: 'SockhopPing' },
      );
      ctx.log('server frames', await raw.received(2));
    },
  },
  {
    name: 'ping: pings with fields missing are answered',
    rows: ['ping'],
    role: 'both',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      ctx.watch(client, 'client', ['receive', 'error']);
      await connection.send(
        { type: 'SockhopPing', data: {} },
        { type: 'SockhopPing', data: { _id: 'x', _returned: 'r', _finished: 'f', more: 1 } },
      );
      for (const frame of await connection.received(2)) ctx.log('frames', frame);
    },
  },
  {
    name: 'pause: a paused client answers no pings and is dropped by the server',
    rows: ['pause', 'ping'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      ctx.watch(client, 'client', ['receive', 'error']);
      client.socket.pause();
      await ctx.quiesce();
      await connection.send(
        { type: 'SockhopPing', data: { _id: 'p' } },
        { type: 'String', data: 'held' },
      );
      await ctx.quiesce();
      ctx.log('paused', connection.frames(), client.socket.isPaused());
      const received = ctx.next(client, 'receive');
      client.socket.resume();
      await received;
      ctx.log('resumed', (await connection.received(1)).length, client.socket.isPaused());
    },
  },
  {
    name: 'pause: a paused server socket answers no pings until it is resumed',
    rows: ['pause', 'ping'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      ctx.watch(server, 'server', ['receive', 'error']);
      ctx.name(sock, '<its socket>');
      sock.pause();
      await ctx.quiesce();
      await connection.send(
        { type: 'SockhopPing', data: { _id: 'p' } },
        { type: 'String', data: 'held' },
      );
      await ctx.quiesce();
      ctx.log('paused', connection.frames());
      const received = ctx.next(server, 'receive');
      sock.resume();
      await received;
      ctx.log('resumed', (await connection.received(1)).length);
    },
  },
  {
    name: 'ping: ping(0) and ping() stop, a new delay replaces the old',
    rows: ['ping'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      client.ping(10);
      await connection.received(1);
      ctx.log('client', client.ping(0), client.interval_timer);
      await ctx.quiesce();
      const count = connection.frames().length;
      await ctx.quiesce();
      ctx.log('client', connection.frames().length - count);
      client.ping(60_000);
      client.ping(10);
      await connection.received(count + 1);
      client.ping();
      ctx.log('client', client.interval_timer, client.connected);
    },
  },
  {
    name: 'ping: a ping without data is answered',
    rows: ['ping'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      await connection.send({ type: 'SockhopPing' });
      await ctx.quiesce();
      await client.send('marker');
      await connection.when(() => connection.bytes().includes('marker'));
      for (const frame of connection.frames()) ctx.log('frames', frame);
    },
  },
];
