'use strict';

const net = require('node:net');

const EVENTS = ['connect', 'disconnect', 'error', 'receive', 'request'];

module.exports = [
  {
    name: 'connect: the event comes before the promise, connected is true in both',
    rows: ['connect', 'client-disconnect'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.watch(ctx.client({ path: ctx.socketPath() }), 'client', EVENTS);
      client.on('connect', (sock) => ctx.log('client', client.connected, sock === client.socket));
      const connecting = client
        .connect()
        .then((value) => ctx.log('client', 'resolved', value, client.connected));
      ctx.log('client', 'called', client.connected);
      await connecting;
      await raw.next();
      await ctx.attempt('client', 'disconnect()', () => client.disconnect());
      ctx.log('client', client.connected, client.socket);
    },
  },
  {
    name: 'connect: resolves at once if connected',
    rows: ['connect'],
    role: 'client',
    async run(ctx) {
      const { client, raw } = await ctx.connected();
      const before = client.socket;
      ctx.watch(client, 'client', EVENTS);
      await ctx.outcome('client', 'again', client.connect());
      await ctx.quiesce();
      ctx.log('client', client.socket === before, raw.connections.length);
    },
  },
  {
    name: 'connect: a second call while connecting is refused',
    rows: ['connect', 'errors'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.watch(ctx.client({ path: ctx.socketPath() }), 'client', EVENTS);
      const first = client.connect();
      await ctx.outcome('second', 'connect()', client.connect());
      await ctx.outcome('first', 'connect()', first);
      await raw.next();
      await ctx.outcome('third', 'connect()', client.connect());
      ctx.log('client', raw.connections.length);
    },
  },
  {
    name: 'connect: refused over TCP rejects with the error of Node, without an error event',
    rows: ['connect', 'errors'],
    role: 'client',
    async run(ctx) {
      const client = ctx.watch(ctx.client({ port: await ctx.port() }), 'client', EVENTS);
      await ctx.outcome('client', 'connect()', client.connect());
      ctx.log('client', client.connected);
      await ctx.outcome('client', 'connect() again', client.connect());
      await ctx.quiesce();
    },
  },
  {
    name: 'connect: a Unix path that is not there',
    rows: ['connect', 'errors'],
    role: 'client',
    async run(ctx) {
      const client = ctx.client({ path: ctx.socketPath('absent') });
      client.on('error', () => {});
      await ctx.outcome('client', 'connect()', client.connect());
      ctx.log('client', client.connected);
    },
  },
  {
    name: 'connect: after a refusal the next connect() works',
    rows: ['connect'],
    role: 'client',
    async run(ctx) {
      const port = await ctx.port();
      const client = ctx.watch(ctx.client({ port }), 'client', EVENTS);
      await ctx.outcome('client', 'connect()', client.connect());
      const raw = await ctx.rawServer(port);
      await ctx.outcome('client', 'connect() again', client.connect());
      await raw.next();
      ctx.log('client', client.connected);
    },
  },
  {
    name: 'path wins over address and port on the client',
    rows: ['defaults'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.client({ path: ctx.socketPath(), address: '127.0.0.1', port: 1 });
      await ctx.outcome('client', 'connect()', client.connect());
      await raw.next();
      ctx.log('client', raw.connections.length);
    },
  },
  {
    name: 'path wins over address and port on the server',
    rows: ['defaults'],
    role: 'server',
    async run(ctx) {
      const server = ctx.server({ path: ctx.socketPath(), address: '192.0.2.1', port: 1 });
      const listening = await ctx.outcome('server', 'listen()', server.listen());
      ctx.log(
        'server',
        listening === server.server,
        server.server.address(),
        server.server.listening,
      );
      const arrived = ctx.next(server, 'connect');
      await ctx.rawClient(ctx.socketPath());
      await arrived;
      await ctx.attempt('server', 'get_bound_address()', () => server.get_bound_address());
    },
  },
  {
    name: 'options read late: port and address count from the next connect()',
    rows: ['options-read-late'],
    role: 'client',
    async run(ctx) {
      const [one, two] = [await ctx.rawServer(), await ctx.rawServer()];
      const client = ctx.watch(
        ctx.client({ port: one.port, address: '192.0.2.1' }),
        'client',
        EVENTS,
      );
      client.address = '127.0.0.1';
      await client.connect();
      await one.next();
      client.port = two.port;
      await client.connect();
      ctx.log('client', 'still the first', one.connections.length, two.connections.length);
      await client.disconnect();
      await client.connect();
      await two.next();
      ctx.log('client', one.connections.length, two.connections.length, client.port === two.port);
    },
  },
  {
    name: 'options read late: path can be set and taken back',
    rows: ['options-read-late'],
    role: 'client',
    async run(ctx) {
      const tcp = await ctx.rawServer();
      const unix = await ctx.rawServer(ctx.socketPath());
      const client = ctx.client({ port: tcp.port });
      client.path = ctx.socketPath();
      await client.connect();
      await unix.next();
      await client.disconnect();
      client.path = null;
      await client.connect();
      await tcp.next();
      ctx.log('client', unix.connections.length, tcp.connections.length, client.path);
    },
  },
  {
    name: 'get_bound_address() and the addresses of a connected client',
    rows: ['socket'],
    role: 'client',
    async run(ctx) {
      const { client, raw } = await ctx.connected({}, { tcp: true });
      ctx.log(
        'client',
        client.get_bound_address(),
        client.socket.remoteAddress,
        client.socket.remotePort === raw.port,
      );
      ctx.log(
        'client',
        client.socket.remoteFamily,
        client.socket.localAddress,
        typeof client.socket.localPort,
      );
      ctx.log('client', client.socket.address().family, client.socket.address().address);
    },
  },
  {
    name: 'auto_reconnect: set before a server is there, one connect event when it comes',
    rows: ['auto-reconnect'],
    role: 'client',
    async run(ctx) {
      const port = await ctx.port();
      const client = ctx.watch(ctx.client({ port, auto_reconnect_interval: 30 }), 'client', EVENTS);
      client.auto_reconnect = true;
      ctx.log('client', client.auto_reconnect, client.connected);
      await ctx.quiesce(60);
      const connected = ctx.next(client, 'connect');
      const raw = await ctx.rawServer(port);
      await connected;
      await ctx.quiesce(60);
      ctx.log('client', client.connected, raw.connections.length);
    },
  },
  {
    name: 'auto_reconnect: a connection per life of the server, one connect and one disconnect each',
    rows: ['auto-reconnect', 'client-disconnect'],
    role: 'client',
    async run(ctx) {
      const port = await ctx.port();
      const client = ctx.watch(ctx.client({ port, auto_reconnect_interval: 30 }), 'client', [
        'disconnect',
        'error',
      ]);
      client.on('connect', (sock) => ctx.log('client', "'connect'", sock === client.socket));
      client.auto_reconnect = true;
      for (let life = 1; life <= 3; life++) {
        const connected = ctx.next(client, 'connect');
        const raw = await ctx.rawServer(port);
        await connected;
        const connection = await raw.next();
        const lost = ctx.next(client, 'disconnect');
        // The server stops listening before the connection ends, so that the client cannot
        // reconnect at once.
        raw.stopListening();
        connection.finish();
        await lost;
        ctx.log(
          'client',
          'life',
          life,
          client.connected,
          client.auto_reconnect,
          raw.connections.length,
        );
        await raw.close();
      }
    },
  },
  {
    name: 'auto_reconnect: disconnect() turns it and pinging off',
    rows: ['auto-reconnect', 'ping'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.client({ path: ctx.socketPath(), auto_reconnect_interval: 20 });
      ctx.watch(client, 'client', EVENTS);
      const connected = ctx.next(client, 'connect');
      client.auto_reconnect = true;
      await connected;
      client.ping(20_000);
      ctx.log('client', client.interval_timer !== null);
      await client.disconnect();
      ctx.log('client', client.auto_reconnect, client.interval_timer, client.connected);
      await ctx.quiesce(60);
      ctx.log('client', raw.connections.length, client.connected);
    },
  },
  {
    name: 'auto_reconnect: turned off by hand it stays off',
    rows: ['auto-reconnect'],
    role: 'client',
    async run(ctx) {
      const raw = await ctx.rawServer(ctx.socketPath());
      const client = ctx.client({ path: ctx.socketPath(), auto_reconnect_interval: 20 });
      ctx.watch(client, 'client', EVENTS);
      const connected = ctx.next(client, 'connect');
      client.auto_reconnect = true;
      await connected;
      client.auto_reconnect = false;
      const lost = ctx.next(client, 'disconnect');
      (await raw.next()).finish();
      await lost;
      await ctx.quiesce(60);
      ctx.log('client', raw.connections.length, client.connected, client.auto_reconnect);
    },
  },
  {
    name: 'client disconnect: once, with the socket, when the server ends',
    rows: ['client-disconnect'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      ctx.name(client.socket, '<the socket>');
      ctx.watch(client, 'client', EVENTS);
      client.on('disconnect', () => ctx.log('client', 'in the event', client.connected));
      const lost = ctx.next(client, 'disconnect');
      connection.finish();
      await lost;
      await connection.closed;
      await ctx.quiesce();
      ctx.log('client', client.connected, client.socket);
      await ctx.attempt('client', 'disconnect()', () => client.disconnect());
    },
  },
  {
    name: 'client disconnect: once when the connection is reset, without an error event',
    rows: ['client-disconnect'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      ctx.name(client.socket, '<the socket>');
      ctx.watch(client, 'client', EVENTS);
      const lost = ctx.next(client, 'disconnect');
      connection.reset();
      await lost;
      await ctx.quiesce();
      ctx.log('client', client.connected, client.socket);
    },
  },
  {
    name: 'client disconnect: the peer sees FIN, the event comes before the promise',
    rows: ['client-disconnect', 'ending'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      ctx.name(client.socket, '<the socket>');
      ctx.watch(client, 'client', EVENTS);
      const ending = client.disconnect();
      ctx.log('client', 'called', client.connected, client.socket);
      await ctx.outcome('client', 'disconnect()', ending);
      ctx.log('raw', await connection.end, connection.error);
      await ctx.attempt('client', 'disconnect() again', () => client.disconnect());
      await ctx.quiesce();
    },
  },
  {
    name: 'client disconnect: what was sent in the same tick arrives before the FIN',
    rows: ['client-disconnect', 'ending'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({}, { tcp: true });
      const sent = client.send({ last: 'words' });
      await sent;
      await client.disconnect();
      await connection.end;
      ctx.log('raw', connection.frames(), connection.error);
    },
  },
  {
    name: 'client disconnect() before any connect() resolves',
    rows: ['client-disconnect'],
    role: 'client',
    async run(ctx) {
      const client = ctx.watch(ctx.client(), 'client', EVENTS);
      await ctx.attempt('client', 'disconnect()', () => client.disconnect());
      await ctx.quiesce();
      ctx.log('client', client.connected, client.auto_reconnect);
    },
  },
  {
    name: 'client reconnects by hand after disconnect(), with a socket of its own',
    rows: ['connect', 'client-disconnect'],
    role: 'client',
    async run(ctx) {
      const { client, raw } = await ctx.connected();
      const first = client.socket;
      ctx.watch(client, 'client', EVENTS);
      await client.disconnect();
      await client.connect();
      await raw.next();
      ctx.log(
        'client',
        client.socket !== first,
        first.destroyed,
        client.socket instanceof net.Socket,
      );
      await client.disconnect();
    },
  },
  {
    name: 'send() after disconnect() and after the server left is refused',
    rows: ['send-unconnected', 'errors'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const lost = ctx.next(client, 'disconnect');
      connection.finish();
      await lost;
      await ctx.attempt('client', 'send()', () => client.send({ a: 1 }));
      await ctx.attempt('client', 'send(callback)', () => client.send({ a: 1 }, () => {}));
      await ctx.attempt('client', 'request()', () => client.request('Q'));
      await client.disconnect();
      await ctx.attempt('client', 'send()', () => client.send('text'));
    },
  },
  {
    name: '_end_socket() ends the connection, _perform_auto_reconnect() begins one',
    rows: ['internals'],
    role: 'client',
    async run(ctx) {
      const { client, connection, raw } = await ctx.connected();
      ctx.name(client.socket, '<the socket>');
      ctx.watch(client, 'client', ['connect', 'disconnect', 'error']);
      ctx.log('client', client._socket === client.socket);
      client._end_socket();
      ctx.log('client', client.connected, client.socket, client.pings);
      await connection.end;
      client._end_socket();
      client._perform_auto_reconnect();
      await ctx.quiesce();
      ctx.log('client', 'not turned on', raw.connections.length);
      client.auto_reconnect = true;
      const connected = ctx.next(client, 'connect');
      client._perform_auto_reconnect();
      await connected;
      await raw.next();
      ctx.log('client', raw.connections.length, client._response_stream_map._map instanceof Map);
    },
  },
];
