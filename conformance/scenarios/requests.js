'use strict';

class Widget {
  constructor(fields) {
    Object.assign(this, fields);
  }
}

const packet = (uuid, data, last = false, type = data.constructor.name) => ({
  type: 'SockhopResponsePacket',
  data: { uuid, type, data, last },
});

function watchStream(ctx, stream, source) {
  return ctx.watch(stream, source, ['data', 'end']);
}

/**
 * Sends a request to a raw peer, by a client or a server. Returns the uuid for the answer of the
 * peer.
 */
const ASKERS = {
  client: async (ctx, config, options) => {
    const { client, connection } = await ctx.connected(options);
    const stream = await client.request('Q', config);
    const [frame] = await connection.received(1);
    const map = () => client._response_stream_map._map.size;
    const end = () => client.disconnect();
    return { stream, connection, frame, uuid: JSON.parse(frame).data.uuid, map, end };
  },
  server: async (ctx, config, options) => {
    const { server, sock, connection } = await ctx.accepted(options);
    const stream = await server.request(sock, 'Q', config);
    const [frame] = await connection.received(1);
    const map = () => server._response_stream_maps.get(sock)?._map.size;
    const end = () => server.kill_socket(sock);
    return { stream, connection, frame, uuid: JSON.parse(frame).data.uuid, map, end };
  },
  session: async (ctx, config, options) => {
    const { server, sock, session, connection } = await ctx.accepted(options);
    const stream = await session.request('Q', config);
    const [frame] = await connection.received(1);
    const map = () => server._response_stream_maps.get(sock)?._map.size;
    const end = () => session.kill();
    return { stream, connection, frame, uuid: JSON.parse(frame).data.uuid, map, end };
  },
};

module.exports = [];
for (const [role, ask] of Object.entries(ASKERS)) {
  module.exports.push(
    {
      name: `${role}.request(): frame, data and end events, ended`,
      rows: ['requests'],
      role,
      async run(ctx) {
        const { stream, connection, frame, uuid, map } = await ask(ctx);
        ctx.log('frames', frame, stream.uuid === uuid);
        watchStream(ctx, stream, 'stream');
        ctx.log('stream', stream.constructor.name, stream.ended, map());
        const ended = ctx.next(stream, 'end');
        await connection.send(
          packet('someone else', 'x'),
          packet(uuid, 'first'),
          packet(uuid, { second: 2 }, false, 'Widget'),
          packet(uuid, [3], true),
          packet(uuid, 'after the end'),
        );
        await ended;
        await ctx.quiesce();
        ctx.log('stream', stream.ended, map());
      },
    },
    {
      name: `${role}.request(): next() gives the next packet and ends the stream`,
      rows: ['requests'],
      role,
      async run(ctx) {
        const { stream, connection, uuid, map } = await ask(ctx);
        watchStream(ctx, stream, 'events');
        const next = stream.next();
        await connection.send(packet(uuid, 'one'), packet(uuid, 'two'));
        await ctx.outcome('stream', 'next()', next);
        ctx.log('stream', stream.ended, map());
        await ctx.quiesce();
      },
    },
    {
      name: `${role}.request(): all() gives every packet, the last {} of end() too`,
      rows: ['requests'],
      role,
      async run(ctx) {
        const { stream, connection, uuid, map } = await ask(ctx);
        const all = stream.all();
        await connection.send(
          packet(uuid, 'one'),
          packet(uuid, { a: 2 }, false, 'Widget'),
          packet(uuid, {}, true),
        );
        await ctx.outcome('stream', 'all()', all);
        ctx.log('stream', stream.ended, map());
      },
    },
    {
      name: `${role}.request(): times out by the object's response_timeout`,
      rows: ['requests', 'errors'],
      role,
      async run(ctx) {
        const { stream, map } = await ask(ctx, undefined, { response_timeout: 30 });
        watchStream(ctx, stream, 'stream');
        await ctx.next(stream, 'end');
        await ctx.until(() => map() === 0);
        ctx.log('stream', stream.ended, map());
      },
    },
    {
      name: `${role}.request(): times out by the call's timeout, after data`,
      rows: ['requests', 'errors'],
      role,
      async run(ctx) {
        const { stream, connection, uuid } = await ask(ctx, { timeout: 500 });
        watchStream(ctx, stream, 'stream');
        const ended = ctx.next(stream, 'end');
        await connection.send(packet(uuid, 'but no end'));
        await ended;
        ctx.log('stream', stream.ended);
      },
    },
    {
      name: `${role}.request(): the call's timeout is longer than the object's`,
      rows: ['requests'],
      role,
      async run(ctx) {
        const { stream, connection, uuid } = await ask(
          ctx,
          { timeout: 20_000 },
          { response_timeout: 10 },
        );
        watchStream(ctx, stream, 'stream');
        await ctx.quiesce(40);
        const ended = ctx.next(stream, 'end');
        await connection.send(packet(uuid, 'in time', true));
        await ended;
      },
    },
    {
      name: `${role}.request(): the stream ends with the connection`,
      rows: ['requests', 'ending'],
      role,
      async run(ctx) {
        const { stream, map, end } = await ask(ctx);
        watchStream(ctx, stream, 'stream');
        const ended = ctx.next(stream, 'end');
        await end();
        await ended;
        ctx.log('stream', stream.ended, map() ?? 0);
      },
    },
    {
      name: `${role}.request(): the program ends the stream itself`,
      rows: ['requests'],
      role,
      async run(ctx) {
        const { stream, connection, uuid, map } = await ask(ctx);
        watchStream(ctx, stream, 'stream');
        stream.end();
        stream.end(new Error('too late'));
        ctx.log('stream', stream.ended, map());
        await connection.send(packet(uuid, 'nobody listens'));
        await ctx.quiesce();
      },
    },
  );
}

const question = (uuid, data, type) => ({ type: 'SockhopRequest', data: { uuid, data, type } });

/** Lets a raw peer send a request, and records the frames of the answer. */
const ANSWERERS = {
  client: async (ctx) => {
    const { client, connection } = await ctx.connected();
    return { emitter: client, connection };
  },
  server: async (ctx) => {
    const { server, connection } = await ctx.accepted();
    return { emitter: server, connection };
  },
};
for (const [role, begin] of Object.entries(ANSWERERS)) {
  module.exports.push(
    {
      name: `request event on the ${role}: its arguments`,
      rows: ['requests', 'server-events'],
      role,
      async run(ctx) {
        const { emitter, connection } = await begin(ctx);
        const asked = ctx.times(emitter, 'request', 4);
        await connection.send(
          question('u-1', 'Q', 'String'),
          question('u-2', { a: 1 }, 'Widget'),
          question('u-3', [1]),
          question('u-4', null, 'Null'),
        );
        for (const [req, res, meta] of await asked) {
          ctx.log('request', req.constructor.name, req.uuid, req.data, req.type);
          ctx.log(
            'request',
            res.constructor.name,
            res.uuid,
            meta && Object.keys(meta).sort(),
            meta,
          );
        }
      },
    },
    {
      name: `request event on the ${role}: write, send and end, and what comes too late`,
      rows: ['requests', 'errors', 'envelope'],
      role,
      async run(ctx) {
        const { emitter, connection } = await begin(ctx);
        const asked = ctx.times(emitter, 'request', 2);
        await connection.send(question('u-1', 'Q', 'String'), question('u-2', 'Q', 'String'));
        const [[, one], [, two]] = await asked;
        await ctx.attempt('answers', 'write', () => one.write(new Widget({ p: 1 })));
        await ctx.attempt('answers', 'write', () => one.write(0));
        await ctx.attempt('answers', 'send', () => one.send('ans'));
        await ctx.attempt('answers', 'send again', () => one.send('again'));
        await ctx.attempt('answers', 'write after send', () => one.write('again'));
        await ctx.attempt('answers', 'end after send', () => one.end());
        await ctx.attempt('answers', 'write', () => two.write('only'));
        await ctx.attempt('answers', 'end', () => two.end());
        await ctx.attempt('answers', 'end again', () => two.end());
        for (const frame of await connection.received(5)) ctx.log('frames', frame);
      },
    },
    {
      name: `request event on the ${role}: answers that cannot be sent`,
      rows: ['requests', 'errors'],
      role,
      async run(ctx) {
        const { emitter, connection } = await begin(ctx);
        const asked = ctx.next(emitter, 'request');
        await connection.send(question('u-1', 'Q', 'String'));
        const [, res] = await asked;
        await ctx.attempt('answers', 'null', () => res.write(null));
        await ctx.attempt('answers', 'undefined', () => res.write(undefined));
        await ctx.attempt('answers', 'BigInt', () => res.write(1n));
        const left = ctx.next(emitter, 'disconnect');
        connection.finish();
        await left;
        await ctx.attempt('answers', 'after the connection', () => res.send('late'));
      },
    },
  );
}

module.exports.push(
  {
    name: 'response streams built by hand',
    rows: ['requests', 'errors'],
    role: 'static',
    async run(ctx) {
      const {
        SockhopRequest,
        SockhopResponsePacket,
        SockhopResponseReadableStream,
        SockhopResponseWriteableStream,
      } = ctx.lib('SockhopRequest.js');
      const request = SockhopRequest.from_data('Q');
      const readable = watchStream(
        ctx,
        SockhopResponseReadableStream.from_request(request),
        'readable',
      );
      ctx.log('readable', readable.uuid === request.uuid, readable.ended);
      readable.receive_packet(SockhopResponsePacket.for_data('d', request.uuid));
      readable.receive_packet(SockhopResponsePacket.for_data('last', request.uuid, true));
      readable.receive_packet(SockhopResponsePacket.for_data('late', request.uuid));
      ctx.log('readable', readable.ended);
      const failing = watchStream(
        ctx,
        new SockhopResponseReadableStream({ uuid: 'mine' }),
        'failing',
      );
      failing.end(new Error('mine'));
      ctx.log('failing', failing.uuid, failing.ended);
      const writeable = new SockhopResponseWriteableStream({});
      ctx.log('writeable', writeable.uuid.length);
      await ctx.attempt('writeable', 'send()', () => writeable.send('x'));
      await ctx.attempt('writeable', 'write()', () => writeable.write('x'));
      const sent = [];
      const through = SockhopResponseWriteableStream.from_request(request, {
        _send_message: async (message) => sent.push(JSON.stringify(message)),
      });
      await through.write('w');
      await through.send('s');
      for (const message of sent) ctx.log('through', JSON.parse(message));
    },
  },
  {
    name: 'request(): what cannot be asked',
    rows: ['requests', 'errors', 'thrown-by-send'],
    role: 'both',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      await ctx.attempt('client', 'BigInt', () => client.request(1n));
      await ctx.attempt('client', 'null', () => client.request(null));
      const asked = await client.request();
      ctx.log('client', asked.ended, await connection.received(1));
      const { server, sock } = await ctx.accepted({ path: ctx.socketPath('server') });
      await ctx.attempt('server', 'no socket', () => server.request(undefined, 'Q'));
      await ctx.attempt('server', 'null', () => server.request(sock, null));
    },
  },
);
