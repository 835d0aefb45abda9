'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const test = require('node:test');

const SockhopError = require('../lib/SockhopError.js');
const {
  SockhopRequest,
  SockhopResponsePacket,
  SockhopResponseReadableStream: Readable,
  SockhopResponseWriteableStream: Writeable,
} = require('../lib/SockhopRequest.js');
const { kEndHeld, kHoldPackets, kReleasePackets } = require('../lib/internal/symbols.js');

const DEADLINE = { timeout: 600_000 };
const overTheWire = (value) => JSON.parse(JSON.stringify(value));

class Widget {
  a = 1;
}

const packet = (data, last = false) => SockhopResponsePacket.for_data(data, 'u', last);
const stream = () => new Readable({ uuid: 'u' });
const failure = () => new SockhopError('gone', 'ERR_SOCKET_DESTROYED');

/** Everything a stream emits, as [event, ...arguments]. */
function trace(readable) {
  const events = [];
  for (const event of ['data', 'end'])
    readable.on(event, (...args) => events.push([event, ...args]));
  return events;
}

/** The packets of a for-await loop over the stream, and its end. */
async function loop(readable, seen = []) {
  for await (const item of readable) seen.push(item);
  return seen;
}

test('a request carries its id, its data and the class of its data', () => {
  const req = SockhopRequest.from_data(new Widget());
  assert.deepEqual(Object.keys(overTheWire(req)), ['uuid', 'data', 'type']);
  assert.equal(req.type, 'Widget');
  assert.match(req.uuid, /^[0-9a-f-]{36}$/);
  assert.deepEqual(overTheWire(req).data, { a: 1 });
  assert.equal(SockhopRequest.from_data('text').type, 'String');
  assert.deepEqual(
    { ...SockhopRequest.from_data(undefined), uuid: '' },
    { uuid: '', data: {}, type: 'Object' },
  );
});

test('a parsed request equals the request that was written', () => {
  const req = SockhopRequest.from_data(new Widget());
  const read = SockhopRequest.parse(overTheWire(req));
  assert.ok(read instanceof SockhopRequest);
  assert.deepEqual({ ...read }, { uuid: req.uuid, data: { a: 1 }, type: 'Widget' });
});

test('a response packet writes uuid, type, data and last', () => {
  assert.equal(
    JSON.stringify(SockhopResponsePacket.for_data(new Widget(), 'u', true)),
    '{"uuid":"u","type":"Widget","data":{"a":1},"last":true}',
  );
  assert.equal(
    JSON.stringify(SockhopResponsePacket.for_data('A', 'u')),
    '{"uuid":"u","type":"String","data":"A","last":false}',
  );
});

test('a parsed response packet equals the packet that was written', () => {
  const read = SockhopResponsePacket.parse(overTheWire(packet('A', true)));
  assert.ok(read instanceof SockhopResponsePacket);
  assert.deepEqual({ ...read }, { uuid: 'u', data: 'A', type: 'String', last: true });
});

for (const [what, data] of [
  ['null', null],
  ['an object without a constructor', Object.create(null)],
]) {
  test(`${what} cannot be asked or answered`, () => {
    const expected = { name: 'TypeError', code: 'ERR_BAD_DATA' };
    assert.throws(() => SockhopRequest.from_data(data), expected);
    assert.throws(() => SockhopResponsePacket.for_data(data, 'u'), expected);
    assert.throws(() => new Writeable({ uuid: 'u', sockhop: {} }).send(data), expected);
  });
}

for (const hostile of [
  undefined,
  null,
  5,
  'text',
  true,
  [],
  { uuid: {} },
  { uuid: [] },
  { uuid: true },
  { uuid: 'u', data: null },
  { uuid: 'u', data: null, type: 5 },
  { uuid: 'u', data: { constructor: null } },
  { uuid: 'u', data: { constructor: { name: 'X' } } },
]) {
  test(`${JSON.stringify(hostile)} is neither a request nor a response`, () => {
    assert.equal(SockhopRequest.parse(hostile), null);
    assert.equal(SockhopResponsePacket.parse(hostile), null);
    assert.ok(Writeable.from_request(hostile, {}).uuid);
  });
}

test('messages that lack optional fields are accepted', () => {
  assert.match(SockhopRequest.parse({}).uuid, /^[0-9a-f-]{36}$/);
  assert.equal(SockhopRequest.parse({ uuid: 'u', data: [1] }).type, 'Array');
  assert.equal(SockhopRequest.parse({ uuid: 'u', data: [1], type: { x: 1 } }).type, 'Array');
  assert.equal(SockhopRequest.parse({ uuid: 7, data: 'Q', type: 'String' }).uuid, 7);
  assert.equal(SockhopRequest.parse({ uuid: 'u', data: null, type: 'Nothing' }).data, null);
  assert.equal(SockhopRequest.parse({ uuid: 'u', more: 1 }).more, undefined);
});

test('a response without an id belongs to no request', () => {
  assert.equal(SockhopResponsePacket.parse({}), null);
  assert.equal(SockhopResponsePacket.parse({ data: 'A', type: 'String' }), null);
});

test('a payload may have any key', () => {
  const message = JSON.parse(
    '{"uuid":"u","type":"T","data":{"__proto__":{"x":1},"constructor":1}}',
  );
  const read = SockhopRequest.parse(message);
  assert.equal(read.type, 'T');
  assert.equal(read.x, undefined);
  assert.deepEqual(Object.keys(read.data), ['__proto__', 'constructor']);
});

test('a stream has the id of its request', () => {
  const req = SockhopRequest.from_data('Q');
  assert.equal(Readable.from_request(req).uuid, req.uuid);
  assert.equal(Writeable.from_request(req).uuid, req.uuid);
  assert.notEqual(new Readable().uuid, new Readable().uuid);
});

test('a stream emits data and type of each packet, and ends with the last one', () => {
  const s = stream();
  const events = trace(s);
  s.receive_packet(packet('A'));
  s.receive_packet(packet(new Widget()));
  assert.equal(s.ended, false);
  s.receive_packet(packet({}, true));
  assert.equal(s.ended, true);
  assert.deepEqual(events, [
    ['data', 'A', 'String'],
    ['data', new Widget(), 'Widget'],
    ['data', {}, 'Object'],
    ['end', undefined],
  ]);
});

test('a stream that has ended receives nothing and does not end again', () => {
  const s = stream();
  const events = trace(s);
  s.end();
  s.end(failure());
  s.receive_packet(packet('late', true));
  assert.deepEqual(events, [['end', undefined]]);
});

test('the end event carries the error', () => {
  const s = stream();
  const events = trace(s);
  const err = failure();
  s.end(err);
  assert.deepEqual(events, [['end', err]]);
  assert.equal(events[0][1], err);
});

test('a handler that throws does not keep the last packet from ending the stream', () => {
  const s = stream();
  s.once('data', () => {
    throw new Error('of the program');
  });
  const all = s.all();
  assert.throws(() => s.receive_packet(packet('A', true)), /of the program/);
  assert.equal(s.ended, true);
  return all.then((packets) => assert.equal(packets.length, 1));
});

test('next() gives the next packet and ends the stream', DEADLINE, async () => {
  const s = stream();
  const next = s.next();
  const events = trace(s);
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B'));
  assert.deepEqual(await next, { data: 'A', type: 'String' });
  assert.deepEqual(events, [
    ['data', 'A', 'String'],
    ['end', undefined],
  ]);
});

test('several calls of next() get the same packet', DEADLINE, async () => {
  const s = stream();
  const calls = [s.next(), s.next()];
  s.receive_packet(packet('A'));
  assert.deepEqual(await Promise.all(calls), [
    { data: 'A', type: 'String' },
    { data: 'A', type: 'String' },
  ]);
});

test(
  'next() rejects with the error the stream ends with, or has ended with',
  DEADLINE,
  async () => {
    const s = stream();
    const err = failure();
    const before = s.next();
    s.end(err);
    await assert.rejects(before, (seen) => seen === err);
    await assert.rejects(s.next(), (seen) => seen === err);
  },
);

test('next() rejects if the stream ends, or has ended, without a packet', DEADLINE, async () => {
  const s = stream();
  const before = s.next();
  s.end();
  await assert.rejects(before, { code: 'ERR_RESPONSE_ENDED' });
  await assert.rejects(s.next(), { code: 'ERR_RESPONSE_ENDED' });
});

test('all() gives all packets from the call on', DEADLINE, async () => {
  const s = stream();
  s.receive_packet(packet('before'));
  const all = s.all();
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B', true));
  assert.deepEqual(await all, [
    { data: 'A', type: 'String' },
    { data: 'B', type: 'String' },
  ]);
  assert.deepEqual(await s.all(), []);
});

test('all() rejects rather than return a part of the answer', DEADLINE, async () => {
  const s = stream();
  const err = failure();
  const all = s.all();
  s.receive_packet(packet('A'));
  s.end(err);
  await assert.rejects(all, (seen) => seen === err);
  await assert.rejects(s.all(), (seen) => seen === err);
});

test('a loop sees all packets and ends with the stream', DEADLINE, async () => {
  const s = stream();
  const looping = loop(s);
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B'));
  await new Promise(setImmediate); // the loop has taken both and waits for more
  s.receive_packet(packet('C', true));
  assert.deepEqual(await looping, [
    { data: 'A', type: 'String' },
    { data: 'B', type: 'String' },
    { data: 'C', type: 'String' },
  ]);
});

test('a loop keeps packets from the moment the iterator is made', DEADLINE, async () => {
  const s = stream();
  const iterator = s[Symbol.asyncIterator]();
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B', true));
  assert.deepEqual(await loop(iterator), [
    { data: 'A', type: 'String' },
    { data: 'B', type: 'String' },
  ]);
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

test('a loop yields the packets before the error, then throws it, once', DEADLINE, async () => {
  const s = stream();
  const err = failure();
  const iterator = s[Symbol.asyncIterator]();
  s.receive_packet(packet('A'));
  s.end(err);
  const seen = [];
  await assert.rejects(loop(iterator, seen), (thrown) => thrown === err);
  assert.deepEqual(seen, [{ data: 'A', type: 'String' }]);
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

test('a loop that waits throws the error', DEADLINE, async () => {
  const s = stream();
  const err = failure();
  const iterator = s[Symbol.asyncIterator]();
  const waiting = [iterator.next(), iterator.next()];
  s.end(err);
  await assert.rejects(waiting[0], (thrown) => thrown === err);
  assert.deepEqual(await waiting[1], { value: undefined, done: true });
});

test('a loop over a stream that has ended ends, or throws the error', DEADLINE, async () => {
  const graceful = stream();
  graceful.end();
  assert.deepEqual(await loop(graceful), []);

  const failed = stream();
  const err = failure();
  failed.end(err);
  await assert.rejects(loop(failed), (thrown) => thrown === err);
});

test('leaving a loop early ends the stream', DEADLINE, async () => {
  const s = stream();
  const ended = once(s, 'end');
  const iterator = s[Symbol.asyncIterator]();
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B'));
  for await (const { data } of iterator) {
    assert.equal(data, 'A');
    break;
  }
  assert.deepEqual(await ended, [undefined]);
  assert.equal(s.ended, true);
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

test('packets that are held back are delivered in order, and the stream stays open', () => {
  const s = stream();
  s[kHoldPackets]();
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B'));
  const events = trace(s);
  assert.deepEqual(events, []);
  s[kReleasePackets]();
  s.receive_packet(packet('C'));
  assert.deepEqual(
    events.map(([, data]) => data),
    ['A', 'B', 'C'],
  );
  assert.equal(s.ended, false);
});

test('an error that ends a held stream comes after the packets', () => {
  const s = stream();
  const err = failure();
  s[kHoldPackets]();
  s.receive_packet(packet('A'));
  s[kEndHeld](err);
  s.receive_packet(packet('after the end'));
  assert.equal(s.ended, false);
  const events = trace(s);
  s[kReleasePackets]();
  assert.deepEqual(events, [
    ['data', 'A', 'String'],
    ['end', err],
  ]);
});

test('an error that ends a held stream without packets is emitted on release', () => {
  const s = stream();
  const err = failure();
  s[kHoldPackets]();
  s[kEndHeld](err);
  const events = trace(s);
  s[kReleasePackets]();
  assert.deepEqual(events, [['end', err]]);
});

test('a program that ends a held stream sees nothing more', () => {
  const s = stream();
  s[kHoldPackets]();
  s.receive_packet(packet('A'));
  const events = trace(s);
  s.end();
  s[kReleasePackets]();
  assert.deepEqual(events, [['end', undefined]]);
});

test('a handler that ends the stream gets none of the later packets', () => {
  const s = stream();
  s[kHoldPackets]();
  s.receive_packet(packet('A'));
  s.receive_packet(packet('B'));
  const events = trace(s);
  s.once('data', () => s.end());
  s[kReleasePackets]();
  assert.deepEqual(events, [
    ['data', 'A', 'String'],
    ['end', undefined],
  ]);
});

test('next(), all() and loops need no release', DEADLINE, async () => {
  const held = () => {
    const s = stream();
    s[kHoldPackets]();
    s.receive_packet(packet('A'));
    s.receive_packet(packet('B', true));
    return s;
  };
  assert.equal((await held().next()).data, 'A');
  assert.equal((await held().all()).length, 2);
  assert.equal((await loop(held())).length, 2);
});

test('next() of a held stream leaves the events to their listeners', DEADLINE, async () => {
  const s = stream();
  s[kHoldPackets]();
  s.receive_packet(packet('A', true));
  const next = s.next();
  const events = trace(s);
  await next;
  assert.deepEqual(events, [
    ['data', 'A', 'String'],
    ['end', undefined],
  ]);
});

test('releasing twice, or without a hold, changes nothing', () => {
  const s = stream();
  const events = trace(s);
  s[kReleasePackets]();
  s[kHoldPackets]();
  s.receive_packet(packet('A'));
  s[kReleasePackets]();
  s[kReleasePackets]();
  assert.equal(events.length, 1);
});

/** The sending end of a connection that keeps its messages, and sends them on command. */
class Outbox {
  sent = [];
  #waiting = [];

  _send_message(message) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message: overTheWire(message), resolve, reject });
    });
  }

  flush() {
    for (const { message, resolve } of this.#waiting.splice(0)) {
      this.sent.push(message);
      resolve();
    }
  }

  fail(err) {
    for (const { reject } of this.#waiting.splice(0)) reject(err);
  }
}

test('write, write and end make three packets, the last one empty', DEADLINE, async () => {
  const sockhop = new Outbox();
  const res = Writeable.from_request({ uuid: 'u' }, sockhop);
  const done = [res.write('A'), res.write(new Widget()), res.end()];
  sockhop.flush();
  await Promise.all(done);
  assert.deepEqual(sockhop.sent, [
    { type: 'SockhopResponsePacket', data: { uuid: 'u', type: 'String', data: 'A', last: false } },
    {
      type: 'SockhopResponsePacket',
      data: { uuid: 'u', type: 'Widget', data: { a: 1 }, last: false },
    },
    { type: 'SockhopResponsePacket', data: { uuid: 'u', type: 'Object', data: {}, last: true } },
  ]);
});

test('send() without data sends an empty object', DEADLINE, async () => {
  const sockhop = new Outbox();
  const done = new Writeable({ uuid: 'u', sockhop }).send();
  sockhop.flush();
  await done;
  assert.deepEqual(sockhop.sent[0].data, { uuid: 'u', type: 'Object', data: {}, last: true });
});

for (const method of ['send', 'write', 'end']) {
  test(`${method}() after send() is refused, also while that is on its way`, DEADLINE, async () => {
    const sockhop = new Outbox();
    const res = new Writeable({ uuid: 'u', sockhop });
    const first = res.send('A');
    await assert.rejects(res[method]('B'), { code: 'ERR_RESPONSE_SEND' });
    sockhop.flush();
    await first;
    await assert.rejects(res[method]('B'), { code: 'ERR_RESPONSE_SEND' });
    sockhop.flush();
    assert.equal(sockhop.sent.length, 1);
  });
}

test('an ignored refusal is no unhandled rejection', DEADLINE, async (t) => {
  const unhandled = t.mock.fn();
  process.on('unhandledRejection', unhandled);
  t.after(() => process.removeListener('unhandledRejection', unhandled));
  const sockhop = new Outbox();
  const res = new Writeable({ uuid: 'u', sockhop });
  res.send('A');
  res.send('B');
  sockhop.fail(failure());
  await new Promise(setImmediate);
  assert.equal(unhandled.mock.callCount(), 0);
});

test('an answer that could not be sent may be replaced by another', DEADLINE, async () => {
  const sockhop = new Outbox();
  const res = new Writeable({ uuid: 'u', sockhop });
  const failing = res.send('A');
  const err = new TypeError('Do not know how to serialize a BigInt');
  sockhop.fail(err);
  await assert.rejects(failing, (seen) => seen === err);
  const done = res.send('sorry');
  sockhop.flush();
  await done;
  assert.equal(sockhop.sent[0].data.data, 'sorry');
});

test('a stream without a connection cannot send', DEADLINE, async () => {
  await assert.rejects(new Writeable({ uuid: 'u' }).send('A'), { code: 'ERR_RESPONSE_SEND' });
});
