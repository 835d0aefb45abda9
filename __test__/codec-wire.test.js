'use strict';

// The codec on the wire: two ends of this package speak it without anything that a program or
// another peer could see.

const assert = require('node:assert/strict');
const { fork } = require('node:child_process');
const diagnostics_channel = require('node:diagnostics_channel');
const { once } = require('node:events');
const path = require('node:path');
const { describe, it } = require('node:test');

const {
  COMPILED_AFTER,
  MAX_CREDIT,
  OBJECTS_PER_FUNCTION,
} = require('../lib/internal/codec/compiling.js');
const { encode } = require('../lib/internal/codec/encoder.js');
const { ShapeTable } = require('../lib/internal/codec/shape-table.js');
const { HEADER, MAX_SHAPES } = require('../lib/internal/codec/format.js');
const {
  FAREWELL,
  OF_CLIENT,
  OF_SERVER,
  SWITCH,
  WITHDRAWAL,
} = require('../lib/internal/codec/negotiation.js');
const { MessageCodec } = require('../lib/internal/messaging/message-codec.js');
const { endpoint } = require('./support/addresses.js');
const { countCompilations, frameOfEncoded, shapedFrame } = require('./support/codec.js');
const { deadline, turn } = require('./support/deadline.js');
const { implementations } = require('./support/implementations.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { rawClient, rawServer } = require('./support/raw.js');
const { recordingProxy } = require('./support/recording-proxy.js');
const { program } = require('./support/program.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const MARK = 0xff;
/** The number of messages that each end sends before it uses the codec. */
const GREETINGS = MessageCodec.WEIGHT_BEFORE_OFFER + 3;

/**
 * A client and a server with both ends of their connection, and a count of the binary frames
 * between them.
 */
async function pair(t, clientOptions = {}, serverOptions = {}, shape = undefined) {
  const started = await startServer(t, serverOptions);
  const near = await endpoint(t);
  const wire = await recordingProxy(t, near, started.where, shape);
  const { client, log } = await startClient(t, near, clientOptions);
  const [socket] = (await started.log.next('connect')).args;
  const nextRequest = () => once(started.server, 'request');
  return { ...started, client, clientLog: log, socket, wire, nextRequest };
}

/** Both ends have the offer of the other. */
async function acquaint({ client, log }) {
  for (let i = 0; i < GREETINGS; i++) {
    const answered = new Promise((resolve) => client.send({ greeting: i }, resolve));
    const [, meta] = (await log.next('receive')).args;
    meta.callback({ greeting: i });
    await answered;
  }
}

const isBinary = ({ text }) => text.includes('\ufffd') || text.includes('\0');

/** Counts the binary frames that a plain socket has received. */
function binaryBytes(wire) {
  const bytes = Buffer.concat(wire.all('data').map((entry) => entry.bytes));
  return bytes.filter((byte) => byte === MARK).length;
}

/** Makes a server send the offer to a plain socket. */
async function offerTo(server, socket, wire) {
  for (let i = 0; i < MessageCodec.WEIGHT_BEFORE_OFFER; i++) server.send(socket, { i });
  await turn();
  server.send(socket, { last: true });
  const frames = await wire.take('frame', MessageCodec.WEIGHT_BEFORE_OFFER + 1);
  assert.ok(frames.at(-1).text.endsWith(OF_SERVER));
}

describe('two ends of this package', limit, () => {
  it('send binary frames once one of them has sent enough messages', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    both.client.send({ record: 1, list: [1.5, 'text'] });
    both.client.send({ record: 1, list: [1.5, 'text'] });
    both.client.send({ record: 1, list: [1.5, 'text'] });
    const messages = await both.log.take('receive', 3);
    for (const { args } of messages) assert.deepEqual(args[0], { record: 1, list: [1.5, 'text'] });
    for (let i = 0; i < 3; i++) both.server.send(both.socket, { reply: i, list: [0.5] });
    await both.clientLog.take('receive', 3);
    both.client.send({ record: 2, list: [0.5, 'last'] });
    await both.log.next('receive');
    assert.ok(both.wire.all('up').some(isBinary));
    assert.ok(both.wire.all('down').some(isBinary));
    assert.ok(both.wire.all('up').filter(({ text }) => text.includes('"record"')).length < 4);
  });

  it('have all messages in order, of any kind and size, however the stream is divided', async (t) => {
    for (const shape of [undefined, { drip: true }]) {
      const both = await pair(t, {}, {}, shape);
      await acquaint(both);
      const payloads = [
        ...Array.from({ length: 40 }, (_, i) => ({ i, name: `n${i}`, more: [{ i }, { i }] })),
        ...Array.from({ length: 20 }, (_, i) => ({ [`key ${i}`]: i })),
        'a string',
        [1, 2, { three: 3 }],
        { text: 'z\u00fc\ud800'.repeat(30), at: new Date(0), gone: undefined },
        { long: 'x'.repeat(shape ? 3000 : 300_000), i: 1 },
        { long: 'x\u20ac'.repeat(shape ? 3000 : 300_000), i: 1 },
        { done: true },
      ];
      for (const payload of payloads) both.client.send(payload);
      for (const payload of payloads) {
        const [value, { type }] = (await both.log.next('receive')).args;
        assert.deepEqual(value, JSON.parse(JSON.stringify(payload)));
        assert.equal(type, payload.constructor.name);
      }
      for (const payload of payloads) both.server.send(both.socket, payload);
      both.server.sendall({ to: 'all' });
      both.server.send(both.socket, { after: 1 });
      for (const payload of [...payloads, { to: 'all' }, { after: 1 }]) {
        const [value] = (await both.clientLog.next('receive')).args;
        assert.deepEqual(value, JSON.parse(JSON.stringify(payload)));
      }
      assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
    }
  });

  it('count messages, and nothing else', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    for (let i = 0; i < 10; i++) both.client.send({ i });
    await both.log.take('receive', 10);
    const there = both.client.stats();
    const here = both.server.stats();
    assert.deepEqual([there.messages_sent, there.messages_received], [GREETINGS + 10, GREETINGS]);
    assert.deepEqual([here.messages_sent, here.messages_received], [GREETINGS, GREETINGS + 10]);
  });

  it('answer callbacks, and give the program the ids of 1.8.4', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const ids = [];
    const original = both.server._trigger_remote_callback;
    both.server._trigger_remote_callback = function trigger(socket, id, data) {
      ids.push(id);
      return original.call(this, socket, id, data);
    };
    const answered = new Promise((resolve) => both.client.send({ a: 1 }, resolve));
    const waiting = Object.keys(both.client._send_callbacks);
    (await both.log.next('receive')).args[1].callback({ b: 2 });
    assert.deepEqual(await answered, { b: 2 });
    assert.deepEqual(ids, waiting);
    assert.match(ids[0], /^[0-9a-f-]{36}$/);
  });

  it('send requests and response packets as binary frames', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const ask = async (seq) => {
      const requested = both.nextRequest();
      const stream = await both.client.request({ seq });
      const [request, response] = await requested;
      assert.deepEqual([request.data, request.type], [{ seq }, 'Object']);
      response.write({ seq, part: 1, at: new Date(0) });
      response.send([seq]);
      return stream.all();
    };
    // The peer takes the end of its offer with the first of them.
    for (let seq = 0; seq < 4; seq++) {
      assert.deepEqual(await ask(seq), [
        { data: { seq, part: 1, at: new Date(0).toJSON() }, type: 'Object' },
        { data: [seq], type: 'Array' },
      ]);
    }
    // JSON frames have a terminator, and are recorded.
    const isJson = ({ text }) => text.includes('"SockhopRe');
    assert.ok(both.wire.all('up').filter(isJson).length <= 1);
    assert.ok(both.wire.all('down').filter(isJson).length <= 2);
    assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
  });

  it('send packets as JSON that a program has changed', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const own = both.client._send_message;
    both.client._send_message = (message) => own.call(both.client, { ...message, note: 'mine' });
    const seen = [];
    const receive = both.server._on_recieved_object;
    both.server._on_recieved_object = function received(message, ...rest) {
      seen.push(message);
      return receive.call(this, message, ...rest);
    };
    const requested = both.nextRequest();
    const answers = (await both.client.request({ seq: 1 })).all();
    (await requested)[1].send({ seq: 1 });
    assert.deepEqual((await answers)[0].data, { seq: 1 });
    assert.equal(seen[0].note, 'mine');
    assert.ok(both.wire.all('up').some(({ text }) => text.includes('"note":"mine"')));
  });

  it('give a program that replaces _on_recieved_object() the packets of 1.8.4', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const seen = [];
    const receive = both.client._on_recieved_object;
    both.client._on_recieved_object = function received(message) {
      seen.push(message);
      return receive.call(this, message);
    };
    const requested = both.nextRequest();
    const stream = await both.client.request({ seq: 1 });
    (await requested)[1].send({ seq: 1 });
    assert.equal((await stream.all()).length, 1);
    const data = { uuid: stream.uuid, type: 'Object', data: { seq: 1 }, last: true };
    assert.deepEqual(seen, [{ type: 'SockhopResponsePacket', data }]);
  });

  it('show a program that replaces _on_recieved_object() the messages of 1.8.4', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const seen = [];
    const original = both.client._on_recieved_object;
    both.client._on_recieved_object = function receive(message) {
      seen.push(message);
      return original.call(this, message);
    };
    for (let i = 0; i < 3; i++) both.server.send(both.socket, { i });
    await both.clientLog.take('receive', 3);
    assert.deepEqual(
      seen,
      [0, 1, 2].map((i) => ({ type: 'Object', data: { i } })),
    );
    const answered = new Promise((resolve) => both.client.send({ question: 1 }, resolve));
    const [id] = Object.keys(both.client._send_callbacks);
    (await both.log.next('receive')).args[1].callback({ answer: 1 });
    await answered;
    assert.deepEqual(seen[3], { type: 'Object', data: { answer: 1 }, callback_id: id });
  });

  it('ping each other while binary frames pass', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    both.client.ping(10);
    for (let round = 0; both.client.stats().round_trip === null; round++) {
      both.client.send({ round });
      await both.log.next('receive');
    }
    assert.equal(both.log.count('error'), 0);
  });

  it('start again when a client reconnects', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    await both.client.disconnect();
    await both.log.next('disconnect');
    await both.client.connect();
    await acquaint(both);
    for (let i = 0; i < 5; i++) both.client.send({ i, again: true });
    const messages = await both.log.take('receive', 5);
    assert.deepEqual(
      messages.map(({ args }) => args[0].i),
      [0, 1, 2, 3, 4],
    );
  });

  it('speak JSON if one of them has codec "json"', async (t) => {
    for (const options of [
      [{ codec: 'json' }, {}],
      [{}, { codec: 'json' }],
    ]) {
      const both = await pair(t, ...options);
      await acquaint(both);
      for (let i = 0; i < 5; i++) both.client.send({ i });
      await both.log.take('receive', 5);
      const frames = [...both.wire.all('up'), ...both.wire.all('down')];
      for (const { text } of frames) assert.equal(typeof JSON.parse(text), 'object');
    }
  });

  it('show "sending" and "received" with the JSON that is sent', async (t) => {
    const both = await pair(t, { debug: true });
    const seen = [];
    both.client.on('sending', (_message, bytes) => seen.push(bytes.toString()));
    await acquaint(both);
    both.client.send({ shown: 1 });
    await both.log.next('receive');
    const frames = both.wire.all('up').map(({ text }) => `${text}\n`);
    assert.deepEqual(frames, seen);
  });
});

describe('a program that reads the bytes', limit, () => {
  const lines = (chunks) => Buffer.concat(chunks).toString().split('\n').slice(0, -1);

  it('gets JSON if it listens from the beginning', async (t) => {
    const { server, log, where } = await startServer(t);
    const chunks = [];
    server.on('connect', (socket) => socket.on('data', (chunk) => chunks.push(chunk)));
    const { client } = await startClient(t, where);
    await acquaint({ client, log });
    for (let i = 0; i < 5; i++) client.send({ i });
    await log.take('receive', 5);
    await turn();
    assert.equal(lines(chunks).length, GREETINGS + 5);
    for (const line of lines(chunks)) assert.equal(JSON.parse(line).type, 'Object');
  });

  it('gets JSON of every frame from then on if it begins later', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const chunks = [];
    both.client.send({ i: 0, before: true });
    await both.log.next('receive');
    both.socket.on('data', (chunk) => chunks.push(chunk));
    for (let i = 0; i < 200; i++) both.client.send({ i, name: `n${i}` });
    await both.log.take('receive', 200);
    both.client.send({ i: 200 }, () => {});
    await both.log.next('receive');
    const messages = lines(chunks)
      .filter((line) => line.trim() !== '')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      messages.map(({ data }) => data.i),
      Array.from({ length: 201 }, (_, i) => i),
    );
    assert.match(messages.at(-1).id, /^[0-9a-f-]{36}$/);
  });

  it('reads alone once it has removed the listeners of the package', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const chunks = [];
    both.socket.removeAllListeners('data');
    both.socket.on('data', (chunk) => chunks.push(chunk));
    for (let i = 0; i < 20; i++) both.client.send({ i });
    while (lines(chunks).length < 20) await once(both.socket, 'data');
    assert.deepEqual(
      lines(chunks).map((line) => JSON.parse(line).data.i),
      Array.from({ length: 20 }, (_, i) => i),
    );
    assert.equal(both.log.count('receive'), GREETINGS);
  });

  it('withdraws its offer only if the peer has made one', async (t) => {
    for (const readsAlone of [true, false]) {
      const { client, wire } = await clientOnWire(t);
      for (let i = 0; i < MessageCodec.WEIGHT_BEFORE_OFFER; i++) client.send({ i });
      await turn();
      client.send({ last: true });
      await wire.take('frame', MessageCodec.WEIGHT_BEFORE_OFFER + 1);
      if (readsAlone) client.socket.removeAllListeners('data');
      client.socket.on('data', () => {});
      client.send({ after: 1 });
      assert.deepEqual((await wire.next('frame')).json.data, { after: 1 });
      wire.write(OF_SERVER);
      assert.equal((await wire.next('frame')).text, readsAlone ? FAREWELL : WITHDRAWAL);
      client.send({ after: 2 });
      // The peer of a program that reads its messages nevertheless may get binary frames.
      if (readsAlone) assert.deepEqual((await wire.next('frame')).json.data, { after: 2 });
    }
  });

  it('may send other messages when it is shown the messages that it sends', async (t) => {
    const both = await pair(t);
    const other = await pair(t);
    await acquaint(both);
    await acquaint(other);
    for (let i = 0; i < 4; i++) other.client.send({ record: i });
    await other.log.take('receive', 4);
    const record = ({ direction, data }) => {
      if (direction === 'sent' && data.i !== undefined) other.client.send({ record: data.i });
    };
    diagnostics_channel.subscribe('sockhop:message', record);
    t.after(() => diagnostics_channel.unsubscribe('sockhop:message', record));
    for (let i = 0; i < 10; i++) {
      both.client.send({ i }, () => {});
      const [message, { callback }] = (await both.log.next('receive')).args;
      assert.deepEqual(message, { i });
      assert.deepEqual((await other.log.next('receive')).args[0], { record: i });
      callback({ i: 100 + i });
      assert.deepEqual((await other.log.next('receive')).args[0], { record: 100 + i });
    }
    assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
  });

  it('may write bytes between messages', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    for (let i = 0; i < 10; i++) {
      both.client.send({ i: 2 * i });
      both.client.socket.write(`{"type":"Object","data":{"i":${2 * i + 1}}}\n`);
    }
    const messages = await both.log.take('receive', 20);
    assert.deepEqual(
      messages.map(({ args }) => args[0].i),
      Array.from({ length: 20 }, (_, i) => i),
    );
  });
});

describe('two programs that switch to another protocol', limit, () => {
  const OTHER = Buffer.from([1, 0xff, 1, 0xfe, 10, 0xff, 3, 0, 0xff]);

  /** Only the program reads the socket; the returned function waits for a number of bytes. */
  function readAlone(socket) {
    const chunks = [];
    socket.removeAllListeners('data');
    socket.on('data', (chunk) => chunks.push(chunk));
    return async (length) => {
      while (Buffer.concat(chunks).length < length) await once(socket, 'data');
      return Buffer.concat(chunks);
    };
  }

  /** Both ends have sent binary frames. */
  async function exchangeBinary(both) {
    await acquaint(both);
    for (let i = 0; i < 3; i++) {
      both.client.send({ before: i });
      await both.log.next('receive');
      both.server.send(both.socket, { before: i });
      await both.clientLog.next('receive');
    }
    assert.ok(both.wire.all('up').some(({ text }) => text === SWITCH));
    assert.ok(both.wire.all('down').some(({ text }) => text === SWITCH));
  }

  it('receive its bytes unchanged if both begin at once', async (t) => {
    for (const shape of [undefined, { drip: true }]) {
      const both = await pair(t, {}, {}, shape);
      await exchangeBinary(both);
      const ends = [both.client.socket, both.socket];
      const readers = ends.map(readAlone);
      for (let round = 1; round <= 3; round++) {
        for (const socket of ends) socket.write(OTHER);
        for (const read of readers) {
          const expected = Buffer.concat(Array.from({ length: round }, () => OTHER));
          assert.deepEqual(await read(expected.length), expected);
        }
      }
      assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
    }
  });

  it('receive its bytes unchanged if one waits for the other', async (t) => {
    for (const shape of [undefined, { drip: true }]) {
      const both = await pair(t, {}, {}, shape);
      await exchangeBinary(both);
      const asked = new Promise((resolve) => both.client.send({ upgrade: 1 }, resolve));
      const [, { callback, socket }] = (await both.log.next('receive')).args;
      callback('go on');
      const readThere = readAlone(socket);
      assert.equal(await asked, 'go on');
      const readHere = readAlone(both.client.socket);
      both.client.socket.write(OTHER);
      assert.deepEqual(await readThere(OTHER.length), OTHER);
      socket.write(OTHER);
      assert.deepEqual(await readHere(OTHER.length), OTHER);
      assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
    }
  });

  it('receive its bytes unchanged if one of them has never removed the listener', async (t) => {
    const both = await pair(t);
    await exchangeBinary(both);
    const readHere = readAlone(both.client.socket);
    both.client.send({ download: 1 });
    await both.log.next('receive');
    both.socket.write(OTHER);
    assert.deepEqual(await readHere(OTHER.length), OTHER);
    both.client.send({ download: 2 });
    assert.deepEqual((await both.log.next('receive')).args[0], { download: 2 });
    assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
  });
});

describe('a connection given to another process', {
  ...limit,
  skip: onNodeOnly('it has handles'),
}, () => {
  it('carries JSON messages from then on', async (t) => {
    const both = await pair(t);
    await acquaint(both);
    const child = fork(path.join(__dirname, 'programs', 'heir.js'), ['native'], { execArgv: [] });
    t.after(() => child.kill('SIGKILL'));
    await once(child, 'message');
    child.send('greet', both.socket);
    // It follows the end of the offer.
    await both.clientLog.next('receive', ({ args }) => args[0] === 'greeting of the child');
    await deadline((await both.client.request({})).next(), 'an answer');
    for (let i = 0; i < 3; i++) {
      const answer = new Promise((resolve) => both.client.send({ i }, resolve));
      assert.deepEqual(await deadline(answer, 'an answer'), { by: 'child', object: { i } });
    }
    assert.equal(both.clientLog.count('error') + both.log.count('error'), 0);
  });
});

describe('another peer', limit, () => {
  it('gets the JSON of 1.8.4, and after some traffic one message with blanks after it', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const before = MessageCodec.WEIGHT_BEFORE_OFFER;
    for (let i = 0; i < before; i++) client.send({ i });
    await turn();
    for (let i = before; i < before + 3; i++) client.send({ i });
    const frames = (await wire.take('frame', before + 3)).map(({ text }) => text);
    assert.deepEqual(
      frames,
      Array.from(
        { length: before + 3 },
        (_, i) => `{"type":"Object","data":{"i":${i}}}${i === before ? OF_CLIENT : ''}`,
      ),
    );
    assert.match(OF_CLIENT + OF_SERVER, /^[\t ]+$/);
  });

  it('gets the blanks in the message that follows a long one with many values', async (t) => {
    const { client, wire } = await clientOnWire(t);
    client.send({ list: Array(20_000).fill(1) });
    await turn();
    client.send({ i: 1 });
    const frames = await wire.take('frame', 2);
    assert.equal(frames[0].text.at(-1), '}');
    assert.equal(frames[1].text, `{"type":"Object","data":{"i":1}}${OF_CLIENT}`);
  });

  it('gets no blanks after as many characters in long strings, but after many of these', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const before = 5;
    for (let i = 0; i < before; i++) {
      client.send({ list: Array(1024).fill('x'.repeat(1021)) });
      await turn();
    }
    client.send({ i: 1 });
    const [last] = (await wire.take('frame', before + 1)).slice(-1);
    assert.equal(last.text, '{"type":"Object","data":{"i":1}}');
    for (let i = 0; i < 2; i++) client.send({ text: 'x'.repeat(32 * 1024 * 1024) });
    await turn();
    client.send({ i: 2 });
    const frames = await wire.take('frame', 3);
    assert.equal(frames[2].text, `{"type":"Object","data":{"i":2}}${OF_CLIENT}`);
  });

  it('gets no blanks in the turn of the event loop in which the traffic was', async (t) => {
    const { client, wire } = await clientOnWire(t);
    for (let i = 0; i < 2 * GREETINGS; i++) client.send({ i });
    for (const { text } of await wire.take('frame', 2 * GREETINGS)) assert.equal(text.at(-1), '}');
  });

  it('gets exactly the bytes of 1.8.4 with codec "json", peer_type "json", or blank terminators', async (t) => {
    for (const options of [{ codec: 'json' }, { peer_type: 'json' }, { terminator: '\t\n' }]) {
      const { client, wire } = await clientOnWire(t, options, undefined, {
        terminator: options.terminator ?? '\n',
      });
      for (let i = 0; i < GREETINGS; i++) {
        client.send({ i });
        const { text } = await wire.next('frame');
        assert.equal(
          text,
          options.peer_type ? `{"i":${i}}` : `{"type":"Object","data":{"i":${i}}}`,
        );
      }
    }
  });

  /** Makes a client send the offer to a plain socket. */
  async function offerFrom(client, wire) {
    for (let i = 0; i < MessageCodec.WEIGHT_BEFORE_OFFER; i++) client.send({ i });
    await turn();
    client.send({ last: true });
    const frames = await wire.take('frame', MessageCodec.WEIGHT_BEFORE_OFFER + 1);
    assert.ok(frames.at(-1).text.endsWith(OF_CLIENT));
  }

  it('may switch to another protocol, whose bytes only reach a program that reads them', async (t) => {
    for (const readsAlone of [true, false]) {
      const { client, log, wire } = await clientOnWire(t);
      await offerFrom(client, wire);
      const chunks = [];
      client.on('receive', () => {
        if (readsAlone) client.socket.removeAllListeners('data');
        client.socket.on('data', (chunk) => chunks.push(chunk));
        client.socket.write('ready\n');
      });
      wire.write({ type: 'Object', data: { upgrade: 1 } });
      assert.equal((await wire.next('frame')).text, 'ready');
      const bytes = Buffer.from([1, 0xff, 1, 0xfe, 10, 0xff, 3]);
      wire.socket.write(bytes);
      while (Buffer.concat(chunks).length < bytes.length) await once(client.socket, 'data');
      assert.deepEqual(Buffer.concat(chunks), bytes);
      assert.equal(log.count('error'), readsAlone ? 0 : 1);
    }
  });

  it('that makes its offer when a program already reads the bytes is understood', async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    await offerFrom(client, wire);
    wire.write({ type: 'Object', data: { first: 1 } });
    await log.next('receive');
    const chunks = [];
    client.socket.on('data', (chunk) => chunks.push(chunk));
    wire.write(`{"type":"Object","data":{"second":2}}${OF_SERVER}`);
    await log.next('receive');
    assert.ok(encode(new ShapeTable(), 'Array', ['third']));
    wire.socket.write(Buffer.concat([Buffer.from(`${SWITCH}\n`), frameOfEncoded()]));
    assert.deepEqual((await log.next('receive')).args[0], ['third']);
    const messages = Buffer.concat(chunks).toString().trimEnd().split('\n');
    assert.deepEqual(
      messages.map((text) => JSON.parse(text).data),
      [{ second: 2 }, ['third']],
    );
    assert.equal(log.count('error'), 0);
  });

  it('that returns all bytes is not taken for an end of this package', async (t) => {
    const { client, log, wire } = await clientOnWire(t);
    wire.socket.pipe(wire.socket);
    for (let i = 0; i < GREETINGS + 20; i++) {
      client.send({ i });
      assert.deepEqual((await log.next('receive')).args[0], { i });
    }
    assert.equal(binaryBytes(wire), 0);
  });

  it('understands all messages if it is the original', async (t) => {
    const Original = implementations.original;
    const where = await endpoint(t);
    const Sockhop = require(Original);
    const server = new Sockhop.server(where);
    await server.listen();
    t.after(() => server.close());
    const received = [];
    server.on('receive', (object, meta) => {
      received.push(object);
      meta.callback?.({ echo: object });
    });
    const { client } = await startClient(t, where);
    for (let i = 0; i < GREETINGS; i++) {
      const answer = await new Promise((resolve) => client.send({ i }, resolve));
      assert.deepEqual(answer, { echo: { i } });
    }
    assert.equal(received.length, GREETINGS);
  });

  it('may send the first byte of binary frames as text', async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    await offerTo(server, socket, wire);
    wire.socket.write(Buffer.concat([Buffer.from([MARK, 1, 5, 0]), Buffer.from('\n')]));
    wire.write({ type: 'Object', data: { after: 1 } });
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.deepEqual((await log.next('receive')).args[0], { after: 1 });
  });
});

describe('a slow consumer', limit, () => {
  it('gets messages that are sent after others were dropped', async (t) => {
    const both = await pair(t, { slow_consumer: 'drop', send_high_water_mark: 20_000 });
    await acquaint(both);
    both.socket.pause();
    let refused = 0;
    const count = () => {
      refused += 1;
    };
    for (let i = 0; refused === 0; i++) {
      const sent = [];
      for (let k = 0; k < 100; k++) {
        sent.push(both.client.send({ i, [`name${i % 50}`]: 'x'.repeat(1000), k }).catch(count));
      }
      await Promise.race([Promise.allSettled(sent), turn()]);
    }
    both.socket.resume();
    const isLast = ({ args }) => args[0].last === true;
    let isSent = false;
    while (!isSent) {
      await turn();
      isSent = await both.client.send({ last: true, name1: 'x' }).then(
        () => true,
        () => false,
      );
    }
    await both.log.next('receive', isLast);
    for (let i = 0; i < 50; i++) both.client.send({ after: i, [`name${i}`]: i });
    const messages = both.log.take('receive', 1);
    await messages;
    await both.log.next('receive', ({ args }) => args[0].after === 49);
    assert.equal(both.log.count('error'), 0);
  });
});

/** Whether V8 stringifies values of any depth, as from Node 26 on. */
const isAnyDepthJson = Number.parseInt(process.versions.node, 10) >= 26;

describe('a hostile peer that has the offer', limit, () => {
  /** A plain client that sends binary frames to a server. */
  async function attacker(t, options) {
    const { server, log, where } = await startServer(t, options);
    const wire = await rawClient(t, where);
    const [socket] = (await log.next('connect')).args;
    await offerTo(server, socket, wire);
    wire.socket.write(`${SWITCH}\n`);
    return { server, log, wire, socket };
  }

  function goodFrame(list) {
    const shapes = new ShapeTable();
    // Each frame is independent: the receiver forgets the shapes before it.
    shapes.reset();
    assert.ok(encode(shapes, 'Array', list));
    return frameOfEncoded();
  }

  /** A frame whose value JSON.parse() makes, and JSON.stringify() does not. */
  function deepFrame(type = '') {
    const json = '['.repeat(50_000) + ']'.repeat(50_000);
    const kind = type === '' ? [0] : [0xff, 0x80 + type.length];
    const data = Buffer.from([0, ...kind, 0xb9, 0, 0, 0, 0]);
    data.writeUInt32LE(json.length, data.length - 4);
    const text = Buffer.from(type + json);
    const head = Buffer.from([MARK, 1, 0, 0, 0, 0, data.length, 0, 0, 0]);
    head.writeUInt32LE(text.length, 2);
    return Buffer.concat([head, text, data]);
  }

  it('gets an error for each bad frame, and the frames around it are delivered', async (t) => {
    const { log, wire } = await attacker(t);
    const good = goodFrame(['good']);
    const bad = [
      Buffer.from([MARK, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
      Buffer.from([MARK, 99, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
      Buffer.from([MARK, 1, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0xbf]),
      Buffer.from([MARK, 1, 2, 0, 0, 0, 3, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x81]),
    ];
    for (const bytes of bad) {
      wire.socket.write(Buffer.concat([good, bytes, Buffer.from('{"type":"Object","data":1}\n')]));
      assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
      const [first, second] = await log.take('receive', 2);
      assert.deepEqual([first.args[0], second.args[0]], [['good'], 1]);
    }
  });

  it('gets an error or a message for a frame that is damaged at any byte, and none is lost', async (t) => {
    const { log, wire } = await attacker(t);
    const payload = [
      { a: 1, b: 'text' },
      { a: 0.5, b: 'zü' },
      [null, -300, 70_000, 'x'.repeat(40)],
    ];
    const whole = goodFrame(payload);
    let damaged = 0;
    for (let at = HEADER; at < whole.length; at++) {
      for (const byte of [0, 0xb3, 0xb8, 0xbb, 0xc0, 0xff, whole[at] ^ 1]) {
        const frame = Buffer.from(whole);
        frame[at] = byte;
        damaged += 1;
        wire.socket.write(Buffer.concat([frame, goodFrame(['marker', damaged])]));
      }
    }
    let markers = 0;
    while (markers < damaged) {
      const [message] = (await log.next('receive')).args;
      if (message?.[0] === 'marker') {
        markers += 1;
        assert.equal(message[1], markers);
      }
    }
    const others = log.count('receive') - markers;
    assert.ok(others > 0 && log.count('error') > 0);
    assert.equal(others + log.count('error'), damaged);
    for (const { args } of log.all('error')) {
      assert.equal(args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    }
  });

  it('may announce binary frames again, and mix all kinds of frames, byte by byte', async (t) => {
    const { log, wire } = await attacker(t);
    const text = (i) => Buffer.from(`{"type":"Array","data":[${i}]}\n`);
    const control = (frame) => Buffer.from(`${frame}\n`);
    const bytes = Buffer.concat([
      control(SWITCH),
      goodFrame([0]),
      text(1),
      control(OF_CLIENT),
      goodFrame([2]),
      control(WITHDRAWAL),
      goodFrame([3]),
      Buffer.from(`{"type":"Array","data":[4]}${OF_CLIENT}\n`),
      control(SWITCH),
      goodFrame([5]),
      goodFrame([6]),
      text(7),
    ]);
    await wire.drip(bytes);
    const messages = await log.take('receive', 8);
    assert.deepEqual(
      messages.map(({ args }) => args[0][0]),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    assert.equal(log.count('error'), 0);
  });

  it('leaves no incomplete message when it ends within a frame', async (t) => {
    for (const kept of [1, HEADER - 1, HEADER, HEADER + 3]) {
      const { log, wire } = await attacker(t);
      const frame = goodFrame(['good']);
      wire.socket.end(Buffer.concat([frame, frame.subarray(0, kept)]));
      await log.next('disconnect');
      assert.equal(log.count('receive'), 1);
      assert.equal(log.count('error'), 0);
    }
  });

  it('causes few functions to be compiled for shapes that it sends over many connections', async (t) => {
    const compilations = countCompilations(t);
    const OBJECTS = COMPILED_AFTER + 1;
    const connections = 10;
    for (let i = 0; i < connections; i++) {
      const { log, wire } = await attacker(t);
      for (let shape = 0; shape < MAX_SHAPES; shape++) {
        wire.socket.write(shapedFrame([`of ${i}`, `no. ${shape}`], OBJECTS, shape));
      }
      await log.take('receive', MAX_SHAPES);
      wire.socket.destroy();
    }
    const objects = connections * MAX_SHAPES * OBJECTS;
    assert.ok(compilations.count > 0);
    assert.ok(
      compilations.count <= MAX_CREDIT + objects / OBJECTS_PER_FUNCTION,
      `compiled ${compilations.count}`,
    );
  });

  it('is cut off by the header of a frame above the limit', async (t) => {
    const { log, wire } = await attacker(t, { max_message_size: 1000 });
    wire.socket.write(Buffer.from([MARK, 1, 0, 0, 0, 0x40, 0, 0, 0, 0]));
    assert.equal((await log.next('error')).args[0].code, 'ERR_MESSAGE_TOO_LARGE');
    await wire.next('close');
  });

  it('gets an error for values that are too deep for the JSON of a program that reads bytes', {
    skip: isAnyDepthJson,
  }, async (t) => {
    const { log, wire, socket } = await attacker(t);
    wire.socket.write(goodFrame(['good']));
    await log.next('receive');
    socket.on('data', () => {});
    wire.socket.write(Buffer.concat([deepFrame(), goodFrame(['good'])]));
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.deepEqual((await log.next('receive')).args[0], ['good']);
  });

  it('gets an error for values that are too deep for the ObjectBuffer of a program', {
    skip: isAnyDepthJson,
  }, async (t) => {
    const { log, server, wire } = await attacker(t);
    wire.socket.write(goodFrame(['good']));
    await log.next('receive');
    const [decoder] = server._objectbuffers;
    const { buf2obj } = decoder;
    decoder.buf2obj = function decode(...args) {
      return buf2obj.apply(this, args);
    };
    wire.socket.write(Buffer.concat([deepFrame(), goodFrame(['good'])]));
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.deepEqual((await log.next('receive')).args[0], ['good']);
  });

  it('may send pings and pongs whose values are too deep for JSON', async (t) => {
    const { server, log, wire } = await attacker(t);
    server.ping(20);
    for (const type of ['SockhopPong', 'SockhopPing']) wire.socket.write(deepFrame(type));
    wire.socket.write(goodFrame(['after']));
    assert.deepEqual((await log.next('receive')).args[0], ['after']);
    assert.equal(log.count('error'), 0);
  });

  it('is cut off if it defines too many shapes', async (t) => {
    const { log, wire } = await attacker(t);
    for (let i = 0; i <= MAX_SHAPES; i++) {
      const name = `n${i}`;
      const data = [0, 0, 0xbb, 1, name.length, 1];
      const head = Buffer.from([MARK, 1, name.length, 0, 0, 0, data.length, 0, 0, 0]);
      wire.socket.write(Buffer.concat([head, Buffer.from(name), Buffer.from(data)]));
    }
    assert.equal((await log.next('error')).args[0].code, 'ERR_TOO_MANY_SHAPES');
    await wire.next('close');
    assert.equal(log.count('receive'), MAX_SHAPES);
  });

  it('cannot send binary frames without an offer', async (t) => {
    const { log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    await log.next('connect');
    wire.socket.write(
      Buffer.concat([Buffer.from(`${SWITCH}\n`), goodFrame(['good']), Buffer.from('\n')]),
    );
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.equal(log.count('receive'), 0);
  });
});

describe('a client that is connected to a plain server', limit, () => {
  it('counts the packets of an answer that its program does not take, in frames of any kind', async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where);
    await client.connect();
    const wire = await raw.accept();
    const asked = client.request({ question: 1 });
    const { data: request } = await wire.frame((json) => json?.type === 'SockhopRequest');
    wire.write(OF_SERVER);
    await wire.next('frame');
    wire.write(SWITCH);
    const packet = { uuid: request.uuid, type: 'String', data: 'x'.repeat(200_000), last: false };
    const json = JSON.stringify(packet);
    const data = Buffer.from([0, 255, 0x80 + 21, 0xb9, 0, 0, 0, 0]);
    data.writeUInt32LE(json.length, 4);
    const text = Buffer.from(`SockhopResponsePacket${json}`);
    const head = Buffer.from([MARK, 1, 0, 0, 0, 0, data.length, 0, 0, 0]);
    head.writeUInt32LE(text.length, 2);
    wire.socket.write(Buffer.concat([head, text, data]));
    const packets = (await asked)[Symbol.asyncIterator]();
    while (client.stats().unread_bytes < 3 * 65_536) await turn();
    assert.equal((await packets.next()).value.data.length, 200_000);
  });

  it('makes its offer at once when it gets one', async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where);
    await client.connect();
    const wire = await raw.accept();
    wire.socket.write(`{"type":"Object","data":1}${OF_SERVER}\n`);
    assert.equal((await log.next('receive')).args[0], 1);
    assert.equal((await wire.next('frame')).text, OF_CLIENT);
    client.send({ first: 1 });
    client.send('a string');
    assert.equal((await wire.next('frame')).json.data.first, 1);
    assert.equal((await wire.next('frame')).text, SWITCH);
  });
});

describe('a program that only answers', () => {
  it('answers each of many calls, with the ids of another process', async (t) => {
    const child = program(t, ({ server: Server }) => {
      const server = new Server({ port: 0 });
      server.on('receive', (object, { callback }) => callback(object));
      server.listen().then(() => console.log(`port ${server.server.address().port}`));
    });
    const line = await child.line((text) => text.startsWith('port '));
    const { client } = await startClient(t, { port: Number(line.slice(5)) });
    for (let n = 0; n < 100; n++) {
      const answer = await deadline(client.call({ n }), `the answer to call ${n}`);
      assert.deepEqual(answer, { n });
    }
  });
});
