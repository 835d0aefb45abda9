'use strict';

// A method that a program overrides, spies on or patches sees everything that passes through it in
// 1.8.4. With SOCKHOP_UNDER_TEST=sockhop-1.8 the same tests pass on the original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { underTest } = require('../conformance/under-test.js');
const { withoutOffer } = require('./support/codec.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const ObjectBuffer = require(path.join(underTest(), 'lib', 'ObjectBuffer.js'));

const limit = { timeout: 600_000 };

/** A subclass whose methods record the first arguments of their calls before they run. */
function spied(Base, names) {
  const calls = Object.fromEntries(names.map((name) => [name, []]));
  class Spied extends Base {}
  for (const name of names) {
    Spied.prototype[name] = function spy(...args) {
      calls[name].push(args);
      return Base.prototype[name].apply(this, args);
    };
  }
  return { Spied, calls };
}

/** A server and a client that are connected, and answer each other. */
async function pair(t, { Server, Client, options = {}, before = () => {} } = {}) {
  const { server, where } = await startServer(t, options, undefined, Server);
  const { client } = makeClient(t, where, options, Client);
  before(server, client);
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock, session] = await deadline(arrived, 'the connection');
  for (const end of [server, client]) {
    end.on('receive', (object, meta) => meta.callback?.({ echo: object }));
    end.on('request', (request, response) => response.send(request.data));
  }
  const asked = (object) => new Promise((resolve) => client.send(object, resolve));
  const askedBack = (object) => new Promise((resolve) => server.send(sock, object, resolve));
  return { server, client, sock, session, asked, askedBack };
}

const types = (calls, at) => calls.map((args) => args[at]?.constructor?.name);

describe('an overridden method', () => {
  it('send() of a server is used by sendall()', limit, async (t) => {
    class Stamping extends impl.server {
      send(sock, object, callback) {
        return super.send(sock, { ...object, stamp: 1 }, callback);
      }
    }
    const { server, client } = await pair(t, { Server: Stamping });
    const received = once(client, 'receive');
    await server.sendall({ a: 1 });
    assert.deepEqual((await deadline(received, 'what is sent to all'))[0], { a: 1, stamp: 1 });
  });

  it(
    '_on_recieved_object() sees the packets of an answer, which are delivered nevertheless',
    limit,
    async (t) => {
      const near = spied(impl.client, ['_on_recieved_object']);
      const far = spied(impl.server, ['_on_recieved_object']);
      const { server, client, sock } = await pair(t, { Server: far.Spied, Client: near.Spied });
      const answer = async (stream) => (await deadline(stream.next(), 'the answer')).data;
      assert.equal(await answer(await client.request('Q')), 'Q');
      assert.equal(await answer(await server.request(sock, 'Q')), 'Q');
      for (const { calls } of [near, far]) {
        const packets = calls._on_recieved_object.map(([message]) => message.type);
        assert.ok(packets.includes('SockhopResponsePacket'), packets.join());
      }
    },
  );

  it('send() of a client and of a server sees their pings and pongs', limit, async (t) => {
    const near = spied(impl.client, ['send']);
    const far = spied(impl.server, ['send']);
    const { server, client, sock } = await pair(t, { Server: far.Spied, Client: near.Spied });
    client.ping(150);
    server.ping(150);
    const seen = (calls, at) => new Set(types(calls, at));
    await until(
      () => seen(near.calls.send, 0).size >= 2 && seen(far.calls.send, 1).size >= 2,
      'pings and pongs were sent by both',
    );
    assert.deepEqual([...seen(near.calls.send, 0)].sort(), ['SockhopPing', 'SockhopPong']);
    assert.deepEqual([...seen(far.calls.send, 1)].sort(), ['SockhopPing', 'SockhopPong']);
    // More beats than the four unanswered ones that end a connection: pongs are received.
    await until(() => near.calls.send.length > 20, 'twenty were sent');
    assert.ok(client.connected);
    const answered = (pings) => pings.some((ping) => !ping.unanswered());
    await until(() => answered(client.pings), 'a ping of the client is answered');
    await until(() => answered(server.pings.get(sock)), 'a ping of the server is answered');
  });

  it(
    'send() that does nothing leaves pings unsent, which ends the connection',
    limit,
    async (t) => {
      class Mute extends impl.client {
        send(object) {
          if (object.constructor.name === 'SockhopPing') return Promise.resolve();
          return super.send(object);
        }
      }
      const { client } = await pair(t, { Client: Mute });
      const lost = once(client, 'disconnect');
      client.ping(150);
      await deadline(lost, 'the end of the connection');
    },
  );

  it('_send_message() sees messages, requests and answers to requests', limit, async (t) => {
    const near = spied(impl.client, ['_send_message']);
    const far = spied(impl.server, ['_send_message']);
    const { client, server, sock, asked } = await pair(t, {
      Server: far.Spied,
      Client: near.Spied,
    });
    await client.send({ a: 1 });
    assert.deepEqual(await deadline(asked({ b: 1 }), 'the answer'), { echo: { b: 1 } });
    assert.deepEqual((await (await client.request({ c: 1 })).next()).data, { c: 1 });
    assert.deepEqual((await (await server.request(sock, { d: 1 })).next()).data, { d: 1 });
    const label = (message) => `${message.type}${message.id ? ' asked' : ''}`;
    assert.deepEqual(
      near.calls._send_message.map(([message]) => label(message)),
      ['Object', 'Object asked', 'SockhopRequest', 'SockhopResponsePacket'],
    );
    assert.deepEqual(
      far.calls._send_message.map(([, message]) => label(message)),
      ['SockhopResponsePacket', 'SockhopRequest'],
    );
    const received = once(client, 'receive');
    await server.sendall({ e: 1 });
    await deadline(received, 'what is sent to all');
    assert.equal(far.calls._send_message.length, 3);
  });

  it('_on_recieved_object() gets everything that arrives, and may change it', limit, async (t) => {
    const seen = [];
    class Reading extends impl.server {
      _on_recieved_object(message, sock, session) {
        assert.ok(sock instanceof net.Socket);
        assert.ok(session instanceof impl.session);
        seen.push(message.type);
        if (message.data?.secret) message.data = 'hidden';
        return super._on_recieved_object(message, sock, session);
      }
    }
    const near = spied(impl.client, ['_on_recieved_object']);
    const { server, client, asked } = await pair(t, { Server: Reading, Client: near.Spied });
    const received = once(server, 'receive');
    await client.send({ secret: 1 });
    assert.equal((await deadline(received, 'the message'))[0], 'hidden');
    await deadline(asked({ a: 1 }), 'the answer');
    assert.deepEqual((await (await client.request({ b: 1 })).next()).data, { b: 1 });
    client.ping(150);
    server.ping(150);
    await until(() => seen.includes('SockhopPing') && seen.includes('SockhopPong'), 'both came');
    const others = seen.filter((type) => !type.startsWith('SockhopP'));
    assert.deepEqual(others, ['Object', 'Object', 'SockhopRequest']);
    assert.ok(near.calls._on_recieved_object.some(([message]) => message.callback_id));
  });

  it('_on_response_packet() and _trigger_remote_callback() are used by both', limit, async (t) => {
    const names = ['_on_response_packet', '_trigger_remote_callback'];
    const near = spied(impl.client, names);
    const far = spied(impl.server, names);
    const { server, client, sock, asked, askedBack } = await pair(t, {
      Server: far.Spied,
      Client: near.Spied,
    });
    await deadline(asked({ a: 1 }), 'the answer of the server');
    await deadline(askedBack({ b: 1 }), 'the answer of the client');
    await (await client.request({ c: 1 })).next();
    await (await server.request(sock, { d: 1 })).next();
    assert.deepEqual(near.calls._trigger_remote_callback[0][1], { echo: { b: 1 } });
    assert.equal(far.calls._trigger_remote_callback[0][0], sock);
    assert.deepEqual(far.calls._trigger_remote_callback[0][2], { echo: { a: 1 } });
    assert.deepEqual(near.calls._on_response_packet[0][0].data, { c: 1 });
    assert.equal(far.calls._on_response_packet[0][0], sock);
    assert.deepEqual(far.calls._on_response_packet[0][1].data, { d: 1 });
  });

  it('emit_async() emits connections, and later events follow in order', limit, async (t) => {
    const { Spied, calls } = spied(impl.server, ['emit_async']);
    const { server, client, sock, session } = await pair(t, { Server: Spied });
    const left = once(server, 'disconnect');
    await client.disconnect();
    assert.deepEqual(await deadline(left, 'the disconnect'), [sock, session]);
    assert.deepEqual(
      calls.emit_async.map(([name]) => name),
      ['connect', 'disconnect'],
    );
  });

  it('emit() receives errors that have no listener', limit, async (t) => {
    const taken = [];
    class Taking extends impl.server {
      emit(name, ...args) {
        if (name !== 'error') return super.emit(name, ...args);
        taken.push(args[0].code);
        return true;
      }
    }
    const { server, where } = await startServer(t, {}, undefined, Taking);
    const wire = await rawClient(t, where);
    const received = once(server, 'receive');
    server.removeAllListeners('error');
    wire.write('no JSON', { type: 'A', data: 1 });
    await deadline(received, 'the message behind the bad one');
    assert.deepEqual(taken, ['ERR_OBJECTBUFFER_BAD_BUFFER_DATA']);
  });

  it('_end_socket() that does not end the socket is called once for an end', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const { socket } = client;
    let calls = 0;
    client._end_socket = () => {
      calls += 1;
    };
    const closed = once(socket, 'close');
    server.kill_socket(sock);
    await deadline(closed, 'the end of the socket');
    assert.equal(calls, 1);
    delete client._end_socket;
    client._end_socket();
  });

  it('send() that throws makes sendall() throw', limit, async (t) => {
    const { server } = await pair(t);
    const err = new Error('of the program');
    server.send = () => {
      throw err;
    };
    assert.throws(() => server.sendall({ a: 1 }), err);
  });

  it('listenerCount() does not decide whether errors are emitted', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    for (const [target, write] of [
      [client, () => sock.write('no JSON\n')],
      [server, () => client.socket.write('no JSON\n')],
    ]) {
      target.listenerCount = () => 0;
      const code = new Promise((resolve) => target.once('error', (err) => resolve(err.code)));
      write();
      assert.equal(await deadline(code, 'the error'), 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    }
  });

  it('_on_response_packet() gets a packet with the fields of 1.8.4 alone', limit, async (t) => {
    const { server, client } = await pair(t);
    server.removeAllListeners('request');
    server.on('request', (_request, response) => response.send({ b: 1 }));
    const { _on_response_packet: original } = client;
    const packet = new Promise((resolve) => {
      client._on_response_packet = function spy(arrived) {
        resolve(arrived);
        return original.call(this, arrived);
      };
    });
    const { uuid } = await client.request({ a: 1 });
    const found = await deadline(packet, 'the packet');
    assert.deepEqual(Reflect.ownKeys(found).sort(), ['data', 'last', 'type', 'uuid']);
    assert.deepEqual({ ...found }, { uuid, data: { b: 1 }, type: 'Object', last: true });
  });

  it('_send() of a response stream sees its packets', limit, async (t) => {
    const { server, client } = await pair(t);
    const packets = [];
    server.removeAllListeners('request');
    server.on('request', (_request, response) => {
      const { _send } = response;
      response._send = function spy(packet) {
        packets.push(packet.data);
        return _send.call(this, packet);
      };
      response.write(1);
      response.send(2);
    });
    const stream = await client.request({ q: 1 });
    await deadline(once(stream, 'end'), 'the end of the stream');
    assert.deepEqual(packets, [1, 2]);
    assert.equal(stream._ended, true);
  });

  it('of a prototype may be replaced while a connection lasts', limit, async (t) => {
    const { server, client } = await pair(t);
    const { send } = impl.server.prototype;
    const seen = [];
    impl.server.prototype.send = function replaced(sock, object, callback) {
      seen.push(object);
      return send.call(this, sock, object, callback);
    };
    try {
      const received = once(client, 'receive');
      await server.sendall({ a: 1 });
      await deadline(received, 'what is sent to all');
    } finally {
      impl.server.prototype.send = send;
    }
    assert.deepEqual(seen, [{ a: 1 }]);
  });
});

describe('ObjectBuffer', () => {
  /** Patches a method of all buffers for the time of a test. */
  function patch(t, name, method) {
    const plain = ObjectBuffer.prototype[name];
    ObjectBuffer.prototype[name] = function patched(value) {
      return method.call(this, (given) => plain.call(this, given), value);
    };
    t.after(() => {
      ObjectBuffer.prototype[name] = plain;
    });
  }

  it('with its methods patched reads and writes all messages', limit, async (t) => {
    const flip = (bytes) => bytes.map((byte) => byte ^ 0xff);
    let read = 0;
    let written = 0;
    patch(t, 'obj2buf', (plain, object) => {
      written += 1;
      return flip(plain(object));
    });
    patch(t, 'buf2obj', (plain, bytes) => {
      read += 1;
      return plain(flip(bytes));
    });
    const { client, server, asked, askedBack, sock } = await pair(t);
    assert.deepEqual(await deadline(asked({ a: 1 }), 'the answer'), { echo: { a: 1 } });
    assert.deepEqual(await deadline(askedBack({ b: 1 }), 'the answer'), { echo: { b: 1 } });
    assert.deepEqual((await (await client.request({ c: 1 })).next()).data, { c: 1 });
    const received = once(client, 'receive');
    await server.sendall({ d: 1 });
    assert.deepEqual((await deadline(received, 'what is sent to all'))[0], { d: 1 });
    server.ping(150);
    await until(() => server.pings.get(sock)?.some((ping) => !ping.unanswered()), 'a pong came');
    assert.ok(read >= 6 && written >= 6, `${read} read, ${written} written`);
  });

  it('patched while a connection lasts is used from then on', limit, async (t) => {
    const { server, client } = await pair(t);
    const first = once(server, 'receive');
    await client.send({ a: 1 });
    await deadline(first, 'the first message');
    const seen = [];
    patch(t, 'buf2obj', (plain, bytes) => {
      seen.push(String(bytes));
      return plain(bytes);
    });
    const second = once(server, 'receive');
    await client.send({ a: 2 });
    assert.deepEqual((await deadline(second, 'the second message'))[0], { a: 2 });
    assert.deepEqual(seen, ['{"type":"Object","data":{"a":2}}\n']);
  });

  it('of a client may be replaced by another codec', limit, async (t) => {
    const hex = {
      obj2buf: (object) => Buffer.from(`${Buffer.from(JSON.stringify(object)).toString('hex')};`),
      buf2obj: (bytes) =>
        String(bytes)
          .split(';')
          .filter(Boolean)
          .map((text) => JSON.parse(Buffer.from(text, 'hex'))),
    };
    const raw = net.createServer((stream) => stream.on('error', () => {}).pipe(stream));
    t.after(() => raw.close());
    await new Promise((resolve) => raw.listen(0, '127.0.0.1', resolve));
    const { client } = makeClient(t, { port: raw.address().port });
    client._objectbuffer = hex;
    await client.connect();
    const received = once(client, 'receive');
    client.send({ a: 1 });
    // The server is an echo.
    assert.deepEqual((await deadline(received, 'the echo'))[0], { a: 1 });
  });

  it('of a client emits an error for frames that are not JSON', limit, async (t) => {
    const { client, sock } = await pair(t);
    const errors = [];
    client._objectbuffer.on('error', (err) => errors.push(err.code));
    const told = once(client, 'error').catch((err) => [err]);
    sock.write('no JSON\n');
    const [err] = await deadline(told, 'the error');
    assert.equal(err.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    assert.deepEqual(errors, ['ERR_OBJECTBUFFER_BAD_BUFFER_DATA']);
  });

  it(
    'of a client and of a server can be read, and its _buffer can be cleared',
    limit,
    async (t) => {
      const { client, server } = await pair(t);
      client.on('disconnect', () => {
        client._objectbuffer._buffer = null;
      });
      assert.equal(server._objectbuffers.length, 1);
      assert.equal(server._objectbuffers[0], server._objectbuffers[0]);
      assert.ok(server._objectbuffers[0] instanceof ObjectBuffer);
      assert.ok(server._encoding_objectbuffer instanceof ObjectBuffer);
      const lost = once(client, 'disconnect');
      server.disconnect();
      await deadline(lost, 'the end of the connection');
      await client.connect();
      const received = once(server, 'receive');
      await client.send({ a: 1 });
      assert.deepEqual((await deadline(received, 'the message'))[0], { a: 1 });
    },
  );
});

describe('a socket', () => {
  it('with write() wrapped passes all bytes through it', limit, async (t) => {
    const { server, client, sock, asked } = await pair(t);
    const written = [];
    const { write } = sock;
    sock.write = function wrapped(bytes, ...args) {
      written.push(String(bytes));
      return write.call(this, bytes, ...args);
    };
    await server.send(sock, { a: 1 });
    const received = once(client, 'receive');
    await server.sendall({ b: 1 });
    await deadline(received, 'what is sent to all');
    await deadline(asked({ c: 1 }), 'the answer');
    assert.deepEqual(
      written.map((text) => JSON.parse(text).data),
      [{ a: 1 }, { b: 1 }, { echo: { c: 1 } }],
    );
    server.ping(150);
    await until(() => written.some((text) => text.includes('SockhopPing')), 'a ping was written');
  });

  it('passes all bytes through a patched net.Socket.prototype.write', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    const plain = Object.getOwnPropertyDescriptor(net.Socket.prototype, 'write');
    const { write } = net.Socket.prototype;
    let bytes = 0;
    net.Socket.prototype.write = function patched(chunk, ...args) {
      if (this === sock) bytes += chunk.length;
      return write.call(this, chunk, ...args);
    };
    try {
      const received = once(client, 'receive');
      await server.send(sock, { a: 1 });
      await deadline(received, 'the message');
    } finally {
      if (plain) Object.defineProperty(net.Socket.prototype, 'write', plain);
      else delete net.Socket.prototype.write;
    }
    assert.equal(bytes, '{"type":"Object","data":{"a":1}}\n'.length);
  });

  it('that emits data in a test is read as if a peer had sent it', limit, async (t) => {
    const { server, client, sock } = await pair(t);
    for (const [end, stream] of [
      [server, sock],
      [client, client.socket],
    ]) {
      const received = once(end, 'receive');
      stream.emit('data', Buffer.from('{"type":"A","da'));
      assert.equal(stream.emit('data', Buffer.from('ta":7}\n')), true);
      const [object, meta] = await deadline(received, 'the message');
      assert.equal(object, 7);
      assert.equal(meta.type, 'A');
    }
  });

  it('that emits ECONNRESET in a test is over, on either side', limit, async (t) => {
    for (const which of ['server', 'client']) {
      const ends = await pair(t);
      const gone = Promise.all([once(ends.server, 'disconnect'), once(ends.client, 'disconnect')]);
      const err = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
      (which === 'server' ? ends.sock : ends.client.socket).emit('error', err);
      await deadline(gone, `the end of the connection whose ${which} was told`);
      assert.equal(ends.client.connected, false);
      assert.deepEqual(ends.server.sockets, []);
    }
  });

  for (const code of ['EPIPE', 'ETIMEDOUT', 'ECONNREFUSED']) {
    it(`that emits ${code} in a test goes on, and the client emits it`, limit, async (t) => {
      const { client, asked } = await pair(t);
      const seen = [];
      client.on('error', (err) => seen.push(err));
      client.on('disconnect', () => seen.push('disconnect'));
      const err = Object.assign(new Error(`connect ${code}`), { code });
      client.socket.emit('error', err);
      assert.deepEqual(await deadline(asked(1), 'the answer'), { echo: 1 });
      assert.deepEqual(seen, [err]);
      assert.equal(client.connected, true);
    });
  }

  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener']) {
    it(`shows its bytes to a listener added with ${method}()`, limit, async (t) => {
      const { server, client, sock } = await pair(t);
      const chunks = [];
      sock[method]('data', (chunk) => chunks.push(String(chunk)));
      for (const a of [1, 2]) {
        const received = once(server, 'receive');
        await client.send({ a });
        assert.deepEqual((await deadline(received, 'the message'))[0], { a });
        await until(() => chunks.length >= (method.includes('nce') ? 1 : a), 'the bytes came');
      }
      const frame = (a) => `{"type":"Object","data":{"a":${a}}}\n`;
      const text = withoutOffer(chunks.join(''));
      assert.equal(text, method.includes('nce') ? frame(1) : frame(1) + frame(2));
    });
  }

  it(
    'can be taken over by removing the listeners of its data, and given back',
    limit,
    async (t) => {
      const { server, client, sock } = await pair(t);
      const objects = [];
      server.on('receive', (object) => objects.push(object));
      const [reader, ...others] = sock.listeners('data');
      assert.deepEqual(others, []);
      sock.removeAllListeners('data');
      let text = '';
      sock.on('data', (chunk) => {
        text += chunk;
      });
      await client.send({ a: 1 });
      await until(() => text.endsWith('\n'), 'the bytes came');
      assert.equal(withoutOffer(text), '{"type":"Object","data":{"a":1}}\n');
      assert.deepEqual(sock.listeners('data').length, 1);
      sock.on('data', reader);
      const received = once(server, 'receive');
      await client.send({ a: 2 });
      await deadline(received, 'the message');
      assert.deepEqual(objects, [{ a: 2 }]);
    },
  );

  it('gives its bytes to events.once()', limit, async (t) => {
    const { client, sock } = await pair(t);
    const first = once(sock, 'data');
    await client.send({ a: 1 });
    assert.match(String((await deadline(first, 'the bytes'))[0]), /"a":1/);
  });
});
