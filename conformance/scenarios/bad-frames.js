'use strict';

const GOOD = (data) => `${JSON.stringify({ type: 'Good', data })}\n`;

/**
 * Lines that are not JSON or not an envelope, or unusual in another way. They harm neither package.
 */
const LINES = {
  'bad-frames': {
    'not json': 'hello\n',
    'half an object': '{"type":"String"\n',
    'a bare terminator': '\n',
    'three bare terminators': '\n\n\n',
    'white space': '  \t\n',
    'two values': '{}{}\n',
    'a NUL byte': '\0\n',
    'single quotes': "{'type':'String'}\n",
    'trailing comma': '{"type":"String",}\n',
    NaN: 'NaN\n',
    'deep nesting, unclosed': `${'['.repeat(5000)}\n`,
    'broken UTF-8': Buffer.from([0xff, 0xfe, 0x0a]),
    'broken UTF-8 in a string': Buffer.concat([
      Buffer.from('{"type":"S","data":"'),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('"}\n'),
    ]),
    'a BOM': Buffer.concat([
      Buffer.from([0xef, 0xbb, 0xbf]),
      Buffer.from('{"type":"S","data":1}\n'),
    ]),
    'a raw control character': '{"type":"S","data":"\u0001"}\n',
    'a carriage return before the terminator': '{"type":"S","data":1}\r\n',
  },
  'no-envelope': {
    'a number': '5\n',
    'a string': '"text"\n',
    true: 'true\n',
    false: 'false\n',
    'an array': '[1,2]\n',
    'an empty array': '[]\n',
    'an empty object': '{}\n',
    'another object': '{"hello":"world"}\n',
    'only an id': '{"id":"x"}\n',
    'an empty callback_id': '{"type":"T","data":1,"callback_id":""}\n',
    'null as callback_id': '{"type":"T","data":1,"callback_id":null}\n',
    'a number as id': '{"type":"T","data":1,"id":7}\n',
    'an object as id': '{"type":"T","data":1,"id":{"a":1}}\n',
    'an object as type': '{"type":{"a":1},"data":1}\n',
    'null as type': '{"type":null,"data":1}\n',
    '__proto__ as a key': '{"__proto__":{"type":"T"},"data":1}\n',
    'the type constructor': '{"type":"constructor","data":1}\n',
    'duplicate keys': '{"type":"A","type":"B","data":1,"data":2}\n',
    'a large number': '{"type":"N","data":123456789012345678901234567890}\n',
    'deep nesting': `{"type":"D","data":${'['.repeat(1000)}${']'.repeat(1000)}}\n`,
    'an unknown request packet':
      '{"type":"SockhopResponsePacket","data":{"uuid":"unknown","type":"S","data":1,"last":true}}\n',
    'a pong for no ping': '{"type":"SockhopPong","data":{"_id":"unknown"}}\n',
  },
};

/**
 * Errors are a separate source: the original emits the errors of a chunk before its objects, and
 * the kernel decides where chunks end. In the original the session of these errors is null (see
 * faults.js).
 */
function watch(ctx, emitter, label) {
  ctx.watch(emitter, label, ['receive', 'disconnect', 'request']);
  emitter.on('error', (error, sock) => ctx.log(`${label}, errors`, error, sock));
}

module.exports = [];
for (const [row, lines] of Object.entries(LINES)) {
  const what = row === 'bad-frames' ? 'bad frames' : 'values that are no envelope';
  module.exports.push(
    {
      name: `${what} between good ones, to a client`,
      rows: [row, 'errors'],
      role: 'client',
      async run(ctx) {
        const { client, connection } = await ctx.connected();
        for (const [label, line] of Object.entries(lines)) {
          client.removeAllListeners();
          watch(ctx, client, label);
          const marked = new Promise((resolve) =>
            client.on('receive', (data) => data === label && resolve()),
          );
          await connection.write(GOOD('before'));
          await connection.write(line);
          await connection.write(GOOD(label));
          await marked;
        }
        ctx.log('client', client.connected);
      },
    },
    {
      name: `${what} between good ones, to a server`,
      rows: [row, 'errors', 'server-events'],
      role: 'server',
      async run(ctx) {
        const { server, connection, sock, session } = await ctx.accepted();
        ctx.name(sock, '<its socket>');
        ctx.name(session, '<its session>');
        for (const [label, line] of Object.entries(lines)) {
          server.removeAllListeners();
          watch(ctx, server, label);
          const marked = new Promise((resolve) =>
            server.on('receive', (data) => data === label && resolve()),
          );
          await connection.write(
            Buffer.concat([
              Buffer.from(GOOD('before')),
              Buffer.from(line),
              Buffer.from(GOOD(label)),
            ]),
          );
          await marked;
        }
        ctx.log('server', server.sockets.length);
      },
    },
  );
}
module.exports.push(
  {
    name: 'bad frames are delivered as text with allow_non_objects',
    rows: ['bad-frames'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({
        peer_type: 'json',
        allow_non_objects: true,
      });
      for (const [label, line] of Object.entries(LINES['bad-frames'])) {
        client.removeAllListeners();
        watch(ctx, client, label);
        const marked = new Promise((resolve) =>
          client.on('receive', (data) => data?.data === label && resolve()),
        );
        await connection.write(line);
        await connection.write(GOOD(label));
        await marked;
      }
    },
  },
  {
    name: 'bad frames are delivered as text with allow_non_objects, to a sockhop peer',
    rows: ['bad-frames', 'no-envelope'],
    role: 'both',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ allow_non_objects: true });
      const got = ctx.times(client, 'receive', 2);
      await connection.write('not json\n"json"\n');
      for (const args of await got) ctx.log('client', ...args);
      const server = ctx.server({ path: ctx.socketPath('server'), allow_non_objects: true });
      await server.listen();
      const arrived = ctx.next(server, 'connect');
      const raw = await ctx.rawClient(ctx.socketPath('server'));
      await arrived;
      const served = ctx.times(server, 'receive', 2);
      await raw.write('not json\n"json"\n');
      for (const [object, meta] of await served) ctx.log('server', object, meta.type);
    },
  },
);
