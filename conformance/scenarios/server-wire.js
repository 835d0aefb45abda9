'use strict';

class Widget {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

const PAYLOADS = [
  'text',
  5,
  true,
  [1],
  {},
  { a: { b: [] } },
  new Date(0),
  Buffer.from('hi'),
  new Widget({ a: 1 }),
];

module.exports = [
  {
    name: 'server wire: the envelope of every kind of payload',
    rows: ['envelope'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      for (const payload of PAYLOADS)
        await ctx.attempt('sent', 'send()', () => server.send(sock, payload));
      for (const frame of await connection.received(PAYLOADS.length)) ctx.log('frames', frame);
    },
  },
  {
    name: 'server wire: receive gives the object and meta with type, socket and session',
    rows: ['envelope', 'server-events', 'key-order'],
    role: 'server',
    async run(ctx) {
      const { server, sock, session, connection } = await ctx.accepted();
      ctx.name(sock, '<its socket>');
      ctx.name(session, '<its session>');
      const all = ctx.times(server, 'receive', 6);
      await connection.send(
        { type: 'Widget', data: { a: 1 } },
        '{"data":[1],"more":0,"type":"Array"}\n',
        { type: 'NoData' },
        { data: 'no type' },
        { type: 'String', data: 'id', id: 'answer me' },
        { type: 'String', data: 'empty id', id: '' },
      );
      for (const [object, meta] of await all)
        ctx.log('receive', object, meta, Object.keys(meta).sort());
    },
  },
  {
    name: 'server wire: answering a callback of the client, with a value and without',
    rows: ['envelope', 'server-events'],
    role: 'server',
    async run(ctx) {
      const { server, connection } = await ctx.accepted();
      const asked = ctx.next(server, 'receive');
      await connection.send({ type: 'String', data: 'ask', id: 'the-id' });
      const [, meta] = await asked;
      for (const answer of ['yes', 0, new Widget({ a: 1 }), false]) {
        await ctx.attempt('answers', 'callback()', () => meta.callback(answer));
      }
      await ctx.attempt('answers', 'callback(nothing)', () => meta.callback());
      await ctx.attempt('answers', 'callback(null)', () => meta.callback(null));
      for (const frame of await connection.received(5)) ctx.log('frames', frame);
    },
  },
  {
    name: 'server wire: a callback asks with an id and is answered once',
    rows: ['envelope'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      ctx.watch(server, 'server', ['receive', 'error']);
      const answered = new Promise((resolve) => {
        const sent = server.send(sock, new Widget({ q: 1 }), (...args) => {
          ctx.log('callback', ...args);
          resolve();
        });
        ctx.outcome('sent', 'send()', sent);
      });
      const [frame] = await connection.received(1);
      ctx.log('frames', frame);
      await connection.send({ type: 'String', data: 'answer', callback_id: JSON.parse(frame).id });
      await answered;
      const marker = ctx.next(server, 'receive');
      await connection.send({ type: 'String', data: 'marker' });
      await marker;
    },
  },
  {
    name: 'server wire: fragments and batches on two connections at once',
    rows: ['envelope'],
    role: 'server',
    async run(ctx) {
      const { server, endpoint, connection, sock } = await ctx.accepted();
      const arrived = ctx.next(server, 'connect');
      const other = await ctx.rawClient(endpoint.path);
      const [otherSock] = await arrived;
      const of = new Map([
        [sock, 'one'],
        [otherSock, 'two'],
      ]);
      server.on('receive', (object, meta) => ctx.log(of.get(meta.socket), object, meta.type));
      const all = ctx.times(server, 'receive', 40);
      for (let i = 0; i < 20; i++) {
        const frame = JSON.stringify({ type: 'Object', data: { i, text: '\ud83d\ude80' } });
        for (const [place, peer] of [connection, other].entries()) {
          const cut = (i * 3 + place * 5) % frame.length;
          const bytes = Buffer.from(`${frame}\n`);
          await peer.write(bytes.subarray(0, cut));
          await peer.write(bytes.subarray(cut));
        }
      }
      await all;
    },
  },
  {
    name: 'server wire: terminators',
    rows: ['terminators'],
    role: 'server',
    async run(ctx) {
      const cases = { crlf: '\r\n', nul: '\0', word: '<end>', pair: ['\n', '\0'] };
      for (const [label, terminator] of Object.entries(cases)) {
        const [rx, tx] = Array.isArray(terminator) ? terminator : [terminator, terminator];
        const server = ctx.server({ path: ctx.socketPath(label), terminator });
        ctx.watch(server, `events ${label}`, ['error']);
        await server.listen();
        const arrived = ctx.next(server, 'connect');
        const connection = await ctx.rawClient(ctx.socketPath(label));
        const [sock] = await arrived;
        await server.send(sock, { a: 1 });
        await connection.received(1, tx);
        ctx.log(label, connection.bytes());
        const received = ctx.times(server, 'receive', 2);
        await connection.write(`{"type":"T","data":1}${rx}{"type":"T","data":2}${rx}`);
        for (const [object, meta] of await received) ctx.log(label, object, meta.type);
      }
    },
  },
  {
    name: 'server wire: json peers get and give bare values',
    rows: ['peer-type-json', 'errors'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted({ peer_type: 'json' });
      ctx.watch(server, 'server', ['error', 'request']);
      await server.send(sock, { a: 1 });
      await server.send(sock, new Widget({ b: 2 }));
      await server.sendall([3]);
      await ctx.attempt('refused', 'send(callback)', () => server.send(sock, {}, () => {}));
      await ctx.attempt('refused', 'request()', () => server.request(sock, {}));
      for (const frame of await connection.received(3)) ctx.log('frames', frame);
      const all = ctx.times(server, 'receive', 5);
      const envelope = { type: 'Widget', data: 1, id: 'x' };
      await connection.send({ c: 3 }, [1], '"str"\n', '5\n', envelope);
      for (const [object, meta] of await all) ctx.log('receive', object, meta);
    },
  },
  {
    name: 'server wire: json peers with text that is no JSON, allowed',
    rows: ['peer-type-json', 'bad-frames'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted({
        peer_type: 'json',
        allow_non_objects: true,
      });
      ctx.watch(server, 'server', ['error']);
      for (const value of ['text', 5, true])
        await ctx.attempt('sent', 'send()', () => server.send(sock, value));
      for (const frame of await connection.received(3)) ctx.log('frames', frame);
      const all = ctx.times(server, 'receive', 4);
      await connection.write('plain text\n"json text"\n\n{"open\n');
      for (const [object, meta] of await all) ctx.log('receive', object, meta.type);
    },
  },
  {
    name: 'server wire: what send() throws and what it rejects',
    rows: ['thrown-by-send', 'errors'],
    role: 'server',
    async run(ctx) {
      const { server, sock, connection } = await ctx.accepted();
      const cycle = {};
      cycle.itself = cycle;
      const cases = { undefined, null: null, zero: 0, empty: '', false: false };
      for (const [label, value] of Object.entries({
        ...cases,
        'no constructor': Object.create(null),
        BigInt: 10n,
        cycle,
      })) {
        await ctx.attempt('server', label, () => server.send(sock, value));
      }
      for (const callback of ['text', 5, {}]) {
        await ctx.attempt('server', `callback ${typeof callback}`, () =>
          server.send(sock, { a: 1 }, callback),
        );
      }
      await ctx.attempt('server', 'no socket', () => server.send(undefined, { a: 1 }));
      await ctx.attempt('server', 'null as socket', () => server.send(null, { a: 1 }));
      await server.send(sock, 'the end');
      ctx.log('frames', await connection.received(1));
    },
  },
  {
    name: 'server wire: send() on a destroyed socket is refused and ends the connection',
    rows: ['errors', 'server-events'],
    role: 'server',
    async run(ctx) {
      const { server, sock, session } = await ctx.accepted();
      ctx.name(sock, '<its socket>');
      ctx.name(session, '<its session>');
      ctx.watch(server, 'server', ['disconnect', 'error']);
      const left = ctx.next(server, 'disconnect');
      sock.destroy();
      await ctx.attempt('sent', 'send()', () => server.send(sock, { a: 1 }));
      ctx.log('sent', server.sockets.length, server.sessions.length);
      await left;
      await ctx.attempt('sent', 'session.send()', () => session.send({ a: 1 }));
    },
  },
  {
    name: 'session wire: send() and request() speak on its own connection',
    rows: ['session', 'envelope'],
    role: 'server',
    async run(ctx) {
      const { endpoint, server, session, connection } = await ctx.accepted();
      const arrived = ctx.next(server, 'connect');
      const other = await ctx.rawClient(endpoint.path);
      const [, otherSession] = await arrived;
      await ctx.outcome('sent', 'send()', session.send(new Widget({ a: 1 })));
      await ctx.outcome('sent', 'send()', otherSession.send('two'));
      ctx.log('one', await connection.received(1));
      ctx.log('two', await other.received(1));
      await session.request('Q');
      ctx.log('one', (await connection.received(2))[1]);
    },
  },
];
