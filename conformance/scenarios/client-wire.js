'use strict';

class Widget {
  constructor(fields) {
    Object.assign(this, fields);
  }
}
class Gadget extends Widget {
  toJSON() {
    return { shown: true };
  }
}

const PAYLOADS = [
  'text',
  '',
  'line\nbreak and "quotes" and \u2028 and \ud83d\ude80 and \ud800 alone',
  0,
  -1.5e300,
  true,
  false,
  [],
  [1, 'two', [3], { four: null }],
  {},
  { nested: { deep: [{ value: 1 }] }, undefinedIsLeftOut: undefined },
  new Date(0),
  Buffer.from('hi'),
  new Uint8Array([1, 2]),
  new Map([[1, 2]]),
  /pattern/g,
  new Widget({ a: 1 }),
  new Gadget({ hidden: 1 }),
  new (class {})(),
  () => {},
  Symbol('s'),
  new Error('e'),
];

module.exports = [
  {
    name: 'client wire: the envelope of every kind of payload',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      for (const [index, payload] of PAYLOADS.entries()) {
        await ctx.attempt('sent', `payload ${index}`, () => client.send(payload));
      }
      await client.send('the end');
      await connection.when(() => connection.bytes().includes('"the end"'));
      for (const frame of connection.frames()) ctx.log('frames', frame);
    },
  },
  {
    name: 'client wire: order of many sends in one tick',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const sends = Array.from({ length: 300 }, (_, i) => client.send({ i }));
      const values = await Promise.all(sends);
      ctx.log('sent', values.length, new Set(values).size, values[0] ?? '<nothing>');
      ctx.log('frames', (await connection.received(300)).join());
    },
  },
  {
    name: 'client wire: a callback asks with an id and is answered once',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      ctx.watch(client, 'client', ['receive', 'error']);
      const answered = new Promise((resolve) => {
        const send = client.send({ question: 1 }, (...args) => {
          ctx.log('callback', ...args);
          resolve();
        });
        ctx.outcome('sent', 'send()', send);
      });
      const [frame] = await connection.received(1);
      ctx.log('frames', frame);
      const { id } = JSON.parse(frame);
      await connection.send({ type: 'Widget', data: { answer: 2 }, callback_id: id });
      await answered;
      await connection.send({ type: 'String', data: 'marker' });
      await ctx.next(client, 'receive');
    },
  },
  {
    name: 'client wire: answers without data or type, and with keys in another order',
    rows: ['envelope', 'key-order'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const answers = [
        '{"callback_id":ID,"data":null}',
        '{"callback_id":ID}',
        '{"x":1,"data":[2],"callback_id":ID,"type":"T"}',
      ];
      for (const [index, answer] of answers.entries()) {
        const answered = new Promise((resolve) => {
          client.send(index + 1, (...args) => {
            ctx.log('callback', ...args);
            resolve();
          });
        });
        const frames = await connection.received(index + 1);
        await connection.write(
          `${answer.replace('ID', JSON.stringify(JSON.parse(frames[index]).id))}\n`,
        );
        await answered;
      }
    },
  },
  {
    name: 'client wire: answering a callback of the server',
    rows: ['envelope', 'errors'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const asked = ctx.times(client, 'receive', 1);
      await connection.send({ type: 'String', data: 'RSVP', id: 'some-id' });
      const [[object, meta]] = await asked;
      ctx.log('receive', object, Object.keys(meta).sort(), meta.type, typeof meta.callback);
      for (const answer of ['yes', 0, new Widget({ a: 1 }), [], { b: 2 }, false]) {
        await ctx.attempt('answers', 'callback()', () => meta.callback(answer));
      }
      await ctx.attempt('answers', 'callback(undefined)', () => meta.callback());
      await ctx.attempt('answers', 'callback(null)', () => meta.callback(null));
      await client.send('the end');
      await connection.when(() => connection.bytes().includes('"the end"'));
      for (const frame of connection.frames()) ctx.log('frames', frame);
    },
  },
  {
    name: 'client wire: receive gives data and meta.type as they came',
    rows: ['envelope', 'key-order'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const all = ctx.times(client, 'receive', 10);
      await connection.send(
        { type: 'Widget', data: { a: 1 } },
        '{"data":{"b":2},"type":"Other"}\n',
        '{"more":true,"type":"String","data":"s","extra":{}}\n',
        '  { "type" : "Spaced" , "data" : [ 1 ] }  \r\n',
        { type: 'NoData' },
        { data: 'no type' },
        { type: 7, data: 'number as type' },
        { type: 'Null', data: null },
        { type: 'Id', data: 1, id: '' },
        { type: 'sockhopping', data: 'not a ping' },
      );
      for (const args of await all) ctx.log('receive', ...args);
    },
  },
  {
    name: 'client wire: frames byte by byte, many in one write, and in between',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const text = `${JSON.stringify({ type: 'String', data: 'ünï\ud83d\ude80' })}\n`;
      const slow = ctx.times(client, 'receive', 2);
      for (const byte of Buffer.from(text + text)) await connection.write(Buffer.from([byte]));
      for (const args of await slow) ctx.log('bytes', ...args);
      const many = ctx.times(client, 'receive', 200);
      await connection.send(
        ...Array.from({ length: 200 }, (_, i) => ({ type: 'Number', data: i })),
      );
      ctx.log('many', (await many).map(([data]) => data).join());
    },
  },
  {
    name: 'client wire: a message of one megabyte both ways',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const large = 'ä'.repeat(512 * 1024);
      await ctx.outcome('sent', 'send()', client.send(large));
      const [frame] = await connection.received(1);
      ctx.log('frames', frame.length, JSON.parse(frame).data === large);
      const back = ctx.times(client, 'receive', 1);
      await connection.write(`${frame}\n`);
      const [[data, meta]] = await back;
      ctx.log('receive', data === large, meta.type);
    },
  },
  ...['\r\n', '\0', 'END', '}\n'].map((terminator) => ({
    name: `client wire: terminator ${JSON.stringify(terminator)}`,
    rows: ['terminators'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ terminator });
      ctx.watch(client, 'client', ['receive', 'error']);
      await client.send({ a: 1 });
      await client.send('marker');
      await connection.when(() => connection.bytes().includes(`"marker"}${terminator}`));
      ctx.log('bytes', connection.bytes().toString());
      const marked = new Promise((resolve) => {
        client.on('receive', (data) => data === 'marker' && resolve());
      });
      const text = (value) => JSON.stringify(value) + terminator;
      await connection.write(text({ type: 'T', data: 1 }) + text({ type: 'T', data: 2 }));
      for (const byte of Buffer.from(text({ type: 'T', data: 3 })))
        await connection.write(Buffer.from([byte]));
      await connection.write(text({ type: 'T', data: 'marker' }));
      await marked;
    },
  })),
  {
    name: 'client wire: one terminator to receive and another to transmit',
    rows: ['terminators'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ terminator: ['\n', '\0'] });
      ctx.watch(client, 'client', ['receive', 'error']);
      await client.send({ a: 1 });
      await connection.received(1, '\0');
      ctx.log('bytes', connection.bytes());
      const received = ctx.times(client, 'receive', 2);
      await connection.write('{"type":"T","data":1}\n{"type":"T","data":2}\n');
      await received;
    },
  },
  {
    name: 'client wire: a terminator that is neither a string nor an array is the default',
    rows: ['terminators'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ terminator: undefined });
      await client.send({ a: 1 });
      await connection.received(1);
      ctx.log('bytes', connection.bytes());
    },
  },
  {
    name: 'client wire: json peers get and give bare values',
    rows: ['peer-type-json'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ peer_type: 'json' });
      ctx.watch(client, 'client', ['receive', 'error', 'request']);
      await client.send({ a: 1 });
      await client.send(new Widget({ b: 2 }));
      await client.send([1, 2]);
      await connection.received(3);
      for (const frame of connection.frames()) ctx.log('frames', frame);
      const all = ctx.times(client, 'receive', 7);
      const envelope = { type: 'Widget', data: 1, id: 'x', callback_id: 'y' };
      await connection.send(
        { c: 3 },
        [1],
        'str\n'.replace('str', '"str"'),
        '5\n',
        'true\n',
        envelope,
        {},
      );
      await all;
    },
  },
  {
    name: 'client wire: json peers with non objects, refused and allowed',
    rows: ['peer-type-json', 'bad-frames', 'errors'],
    role: 'client',
    async run(ctx) {
      for (const allow_non_objects of [false, true]) {
        const source = `allowed ${allow_non_objects}`;
        const raw = await ctx.rawServer(ctx.socketPath(source));
        const client = ctx.client({
          path: ctx.socketPath(source),
          peer_type: 'json',
          allow_non_objects,
        });
        ctx.watch(client, source, ['error', 'receive']);
        await client.connect();
        const connection = await raw.next();
        if (allow_non_objects) {
          for (const value of ['text', 5, true, ''])
            await ctx.attempt(source, 'send()', () => client.send(value));
        }
        await ctx.attempt(source, 'send()', () => client.send({ last: true }));
        await connection.when(() => connection.bytes().includes('last'));
        for (const frame of connection.frames()) ctx.log(source, frame);
        const marked = new Promise((resolve) => {
          client.on('receive', (value) => value?.marker && resolve());
        });
        await connection.write('not json\n"json"\n7\n{"marker":1}\n');
        await marked;
      }
    },
  },
  {
    name: 'client wire: json peers refuse callbacks and requests',
    rows: ['peer-type-json', 'errors'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected({ peer_type: 'json' });
      await ctx.attempt('client', 'send(callback)', () => client.send({ a: 1 }, () => {}));
      await ctx.attempt('client', 'request()', () => client.request({ a: 1 }));
      await client.send({ b: 2 });
      ctx.log('frames', await connection.received(1));
    },
  },
  {
    name: 'client wire: what send() throws and what it rejects',
    rows: ['thrown-by-send', 'errors'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const cycle = {};
      cycle.itself = cycle;
      const cases = {
        undefined,
        null: null,
        'no constructor': Object.create(null),
        BigInt: 10n,
        cycle,
      };
      for (const [label, value] of Object.entries(cases)) {
        await ctx.attempt('client', label, () => client.send(value));
      }
      await ctx.attempt('client', 'toJSON throws', () =>
        client.send({
          toJSON() {
            throw new RangeError('mine');
          },
        }),
      );
      for (const callback of ['text', 5, {}, true]) {
        await ctx.attempt('client', `callback ${typeof callback}`, () =>
          client.send({ a: 1 }, callback),
        );
      }
      for (const callback of [undefined, null, 0, '', false]) {
        await ctx.attempt('client', `no callback ${String(callback)}`, () =>
          client.send({ a: 2 }, callback),
        );
      }
      await client.send('the end');
      ctx.log('frames', await connection.received(6));
    },
  },
  {
    name: 'client wire: a payload is what it was when send() was called',
    rows: ['envelope'],
    role: 'client',
    async run(ctx) {
      const { client, connection } = await ctx.connected();
      const payload = { count: 1 };
      const first = client.send(payload);
      payload.count = 2;
      const second = client.send(payload);
      payload.count = 3;
      await Promise.all([first, second]);
      ctx.log('frames', await connection.received(2));
    },
  },
];
