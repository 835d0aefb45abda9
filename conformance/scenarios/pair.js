'use strict';

// The package under test communicates with the original, which runs in another process.

class Widget {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

// Four unanswered pings end a connection. The interval is long enough for a process that has to
// wait for a processor.
const PING_MS = 100;

/** Resolves when both sides have answered more pings than the other would tolerate unanswered. */
function pingsExchanged(socket) {
  let text = '';
  const count = (type) => text.split(`"type":"${type}"`).length - 1;
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      text += chunk;
      if (count('SockhopPing') >= 5 && count('SockhopPong') >= 5) resolve();
    });
  });
}

/**
 * A server of the original that carries out commands of its clients until the scenario stops it.
 */
async function originalServer(ctx, { path, options }) {
  class Member extends ctx.sockhop.session {
    async start() {
      this.since = 'start';
    }
    async end() {
      ctx.log('session', 'end()');
    }
  }
  const server = ctx.server({ path, session_type: Member, ...options });
  ctx.name(server, '<peer server>');
  let open = 0;
  // The original emits 'connect' a turn later, before or after the first frame.
  server.on('connect', (_, session) => {
    open += 1;
    ctx.log('connect', session.since);
  });
  server.on('disconnect', () => {
    open -= 1;
    ctx.log('server', "'disconnect'");
  });
  server.on('error', (error) => ctx.log('server', "'error'", error));
  server.on('receive', (object, meta) => {
    ctx.log('server', "'receive'", object, meta.type, typeof meta.callback);
    if (meta.callback) meta.callback(new Widget({ answer: object }));
    else if (object?.please === 'broadcast') server.sendall({ broadcast: true });
    else if (object?.please === 'ask') {
      server.send(meta.socket, 'a question', (answer, about) =>
        ctx.log('server', 'answered', answer, about),
      );
    } else if (object?.please === 'ping') server.ping(PING_MS);
    else if (object?.please === 'stop pinging') server.ping(0);
    else if (object?.please === 'kill') meta.session.kill();
    else if (object?.please === 'request') {
      meta.session
        .request('of the server')
        .then((stream) => stream.all())
        .then((all) => ctx.log('response to the server', all));
    } else if (object?.please === 'echo') meta.session.send(object.value);
  });
  server.on('request', (req, res) => {
    ctx.log('server', "'request'", req.data, req.type);
    res.write('one');
    res.write(new Widget({ two: 2 }));
    res.end();
  });
  await server.listen();
  ctx.post('listening');
  await ctx.message();
  // The client has ended its connection; on a busy machine that is noticed later.
  while (open > 0) await ctx.next(server, 'disconnect');
  await server.close();
}

/** Connects a client of the package to a server of the original. */
function withOriginalServer(run, options) {
  return {
    role: 'client',
    peer: originalServer,
    async run(ctx) {
      const path = ctx.socketPath('pair');
      const peer = ctx.peer({ path, options });
      await peer.message();
      const client = ctx.client({ path, ...options });
      ctx.watch(client, 'client', ['receive', 'error']);
      client.on('disconnect', () => ctx.log('client', "'disconnect'"));
      await client.connect();
      await run(ctx, client, peer);
      if (client.connected) await client.disconnect();
      await ctx.quiesce();
      peer.post('stop');
    },
  };
}

/**
 * A client of the original that connects, and carries out commands of the server of the package.
 */
async function originalClient(ctx, { path, options, say }) {
  const client = ctx.client({ path, ...options });
  client.on('receive', (object, meta) => {
    ctx.log('client', "'receive'", object, meta.type, typeof meta.callback);
    if (meta.callback) meta.callback(['answer', object]);
  });
  client.on('error', (error) => ctx.log('client', "'error'", error));
  client.on('disconnect', () => ctx.log('client', "'disconnect'"));
  client.on('request', (req, res) => {
    ctx.log('client', "'request'", req.data, req.type);
    res.write([1]);
    res.send({ last: 'packet' });
  });
  await client.connect();
  for (const message of say ?? []) await client.send(message);
  for (;;) {
    const order = await ctx.message();
    if (order === 'stop') break;
    if (order === 'ask')
      client.send('a question', (answer, about) => ctx.log('client', 'answered', answer, about));
    else if (order === 'request') {
      const stream = await client.request(new Widget({ q: 1 }));
      ctx.log('client', 'response', await stream.all());
    } else if (order === 'ping') client.ping(PING_MS);
    else if (order === 'pause') client.socket.pause();
    else if (order === 'widget') await client.send(new Widget({ w: 1 }));
    else if (order === 'many')
      await Promise.all(Array.from({ length: 500 }, (_, i) => client.send(i)));
    ctx.post(`did ${order}`);
  }
  await client.disconnect();
}

function withOriginalClient(run, { options, say } = {}) {
  return {
    role: 'server',
    peer: originalClient,
    async run(ctx) {
      const path = ctx.socketPath('pair');
      const server = ctx.server({ path, ...options });
      ctx.watch(server, 'server', ['error']);
      server.on('disconnect', () => ctx.log('server', "'disconnect'"));
      await server.listen();
      const arrived = ctx.next(server, 'connect');
      const peer = ctx.peer({ path, options, say });
      const [sock, session] = await arrived;
      await run(ctx, { server, sock, session, peer });
      const left = server.sockets.length > 0 ? ctx.next(server, 'disconnect') : undefined;
      peer.post('stop');
      await left;
    },
  };
}

const order = (peer, what) => {
  peer.post(what);
  return peer.message();
};

module.exports = [
  {
    name: 'with an original server: objects, callbacks and broadcasts both ways',
    rows: ['envelope', 'pair'],
    ...withOriginalServer(async (ctx, client) => {
      await client.send(new Widget({ a: 1 }));
      await client.send([1, 2, 'three']);
      const answered = new Promise((resolve) => {
        client.send('ask', (answer, meta) => {
          ctx.log('callback', answer, meta);
          resolve();
        });
      });
      await answered;
      const broadcast = ctx.next(client, 'receive');
      await client.send({ please: 'broadcast' });
      await broadcast;
      const asked = ctx.next(client, 'receive');
      await client.send({ please: 'ask' });
      const [, meta] = await asked;
      meta.callback('an answer');
      const echoed = ctx.next(client, 'receive');
      await client.send({ please: 'echo', value: 'last' });
      await echoed;
    }),
  },
  {
    name: 'with an original server: requests both ways',
    rows: ['requests', 'pair'],
    ...withOriginalServer(async (ctx, client) => {
      const stream = await client.request(new Widget({ q: 1 }));
      await ctx.outcome('stream', 'all()', stream.all());
      const next = await client.request('again');
      await ctx.outcome('stream', 'next()', next.next());
      const asked = ctx.next(client, 'request');
      await client.send({ please: 'request' });
      const [req, res] = await asked;
      ctx.log('client', req.data, req.type);
      await res.write('first');
      await res.send({ second: 2 });
      const echoed = ctx.next(client, 'receive');
      await client.send({ please: 'echo', value: 'last' });
      await echoed;
    }),
  },
  {
    name: 'with an original server: pings both ways keep the connection',
    rows: ['ping', 'pair'],
    ...withOriginalServer(async (ctx, client) => {
      const exchanged = pingsExchanged(client.socket);
      client.ping(PING_MS);
      await client.send({ please: 'ping' });
      await exchanged;
      client.ping(0);
      const echoed = ctx.next(client, 'receive');
      await client.send({ please: 'stop pinging' });
      await client.send({ please: 'echo', value: 'still here' });
      await echoed;
      ctx.log('client', client.connected);
    }),
  },
  {
    name: 'with an original server: it kills the session',
    rows: ['ending', 'pair'],
    ...withOriginalServer(async (ctx, client) => {
      const lost = ctx.next(client, 'disconnect');
      await client.send({ please: 'kill' });
      await lost;
      await ctx.attempt('sent', 'send()', () => client.send('late'));
    }),
  },
  {
    name: 'with an original server: two terminators, crossed',
    rows: ['terminators', 'pair'],
    ...withOriginalServer(
      async (ctx, client) => {
        const echoed = ctx.next(client, 'receive');
        await client.send({ please: 'echo', value: 'ünï' });
        await echoed;
      },
      { terminator: '\r\n' },
    ),
  },
  {
    name: 'with an original client: objects and callbacks both ways',
    rows: ['envelope', 'pair'],
    ...withOriginalClient(async (ctx, { server, sock, session, peer }) => {
      const received = ctx.next(server, 'receive');
      await order(peer, 'widget');
      const [object, meta] = await received;
      ctx.log('receive', object, meta.type, meta.socket === sock, meta.session === session);
      const question = ctx.next(server, 'receive');
      await order(peer, 'ask');
      const [asked, about] = await question;
      about.callback({ to: asked });
      await new Promise((resolve) => {
        server.send(sock, new Widget({ q: 1 }), (answer, about) => {
          ctx.log('callback', answer, about);
          resolve();
        });
      });
      await server.sendall('to all');
      await session.send({ by: 'session' });
    }),
  },
  {
    name: 'with an original client: requests both ways',
    rows: ['requests', 'pair'],
    ...withOriginalClient(async (ctx, { server, sock, session, peer }) => {
      server.on('request', (req, res, meta) => {
        ctx.log(
          'server',
          "'request'",
          req.data,
          req.type,
          meta.socket === sock,
          meta.session === session,
        );
        res.write(new Widget({ r: 1 }));
        res.end();
      });
      await order(peer, 'request');
      const stream = await session.request('of the session');
      await ctx.outcome('stream', 'all()', stream.all());
      const other = await server.request(sock, { of: 'the server' });
      await ctx.outcome('stream', 'next()', other.next());
    }),
  },
  {
    name: 'with an original client: it pings, and is dropped when it is paused',
    rows: ['ping', 'pause', 'pair'],
    ...withOriginalClient(async (ctx, { server, sock, peer }) => {
      const exchanged = pingsExchanged(sock);
      await order(peer, 'ping');
      server.ping(PING_MS);
      await exchanged;
      ctx.log('server', server.sockets.length);
      const left = ctx.next(server, 'disconnect');
      await order(peer, 'pause');
      await left;
      ctx.log('server', server.sockets.length);
      server.ping(0);
    }),
  },
  {
    name: 'with an original client: five hundred messages in order',
    rows: ['envelope', 'pair'],
    ...withOriginalClient(async (ctx, { server, peer }) => {
      const all = ctx.times(server, 'receive', 500);
      await order(peer, 'many');
      ctx.log('receive', (await all).map(([n]) => n).join());
    }),
  },
];
