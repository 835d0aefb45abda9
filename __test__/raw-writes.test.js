'use strict';

// Bytes that a program writes to the socket, and messages: they reach the peer in the order of the
// calls, and the socket counts both while they wait.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { PassThrough } = require('node:stream');
const { describe, it } = require('node:test');
const { endpoint, nodeEndpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, until } = require('./support/deadline.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');
const { rawClient, rawServer } = require('./support/raw.js');
const { freePort } = require('./support/addresses.js');

const limit = { timeout: 600_000 };

/**
 * The bytes are compared with those of JSON; codec-wire.test.js writes bytes among those of the
 * codec.
 */
const options = { codec: 'json' };

/** More than a kernel keeps for a peer that does not read. */
const MUCH = 'x'.repeat(8 << 20);

/** The two sockets that send: the sender, `sock`, and the plain end of the connection. */
const ends = {
  'a client': async (t, where) => {
    const { client, wire } = await clientOnWire(t, options, where);
    const send = (...args) => client.send(...args);
    return { send, sock: client.socket, peer: wire.socket, emitter: client };
  },
  'a server': async (t, where) => {
    const { server } = await startServer(t, options, where);
    const connected = once(server, 'connect');
    const wire = await rawClient(t, where);
    const [sock] = await connected;
    const send = (...args) => server.send(sock, ...args);
    return { send, sendall: (o) => server.sendall(o), sock, peer: wire.socket, emitter: server };
  },
  'a client that was given a stream': async (t, where) => {
    const raw = await rawServer(t, where);
    const stream = net.connect(nodeEndpoint(where));
    cleanup(t, () => stream.destroy());
    await once(stream, 'connect');
    const { client } = makeClient(t, where, options);
    client.on('error', () => {});
    client.socket = stream;
    const wire = await raw.accept();
    const send = (...args) => client.send(...args);
    return { send, sock: stream, peer: wire.socket, emitter: client };
  },
};

/**
 * Collects the data of a plain socket, which does not read before `all()` is called or it is
 * resumed.
 */
function reader(peer) {
  const chunks = [];
  let count = 0;
  peer.on('data', (chunk) => {
    chunks.push(chunk);
    count += chunk.length;
  });
  peer.pause();
  /** The data, once it has the given length. */
  const all = async (length) => {
    peer.resume();
    await until(() => count >= length, `${length} bytes are here`);
    return Buffer.concat(chunks).toString();
  };
  return { all, resume: () => peer.resume() };
}

/** The place of the first difference, which is more useful than two long texts. */
function assertSame(actual, expected) {
  if (actual === expected) return;
  let at = 0;
  while (actual[at] === expected[at]) at += 1;
  const part = (text) => text.slice(Math.max(0, at - 40), at + 80);
  assert.fail(
    `differs at ${at} of ${expected.length}:\n${part(actual)}\ninstead of\n${part(expected)}`,
  );
}

/** A small generator of numbers from 0 to 1, so that a failure can be repeated. */
function random(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

const frame = (data) => `{"type":"${data.constructor.name}","data":${JSON.stringify(data)}}\n`;

for (const [who, connect] of Object.entries(ends)) {
  for (const transport of transports) {
    describe(`${who} that writes bytes of its own, over ${transport}`, limit, () => {
      const open = async (t) => {
        const end = await connect(t, await endpoint(t, transport));
        return { ...end, peer: reader(end.peer) };
      };

      it('sends after a write that waits for the kernel', async (t) => {
        const { send, sock, peer } = await open(t);
        sock.write('{"type":"File","data":"');
        sock.write(MUCH);
        sock.write('"}\n');
        const sent = send('done');
        const expected = `{"type":"File","data":"${MUCH}"}\n${frame('done')}`;
        assertSame(await peer.all(expected.length), expected);
        await sent;
      });

      it('writes after messages that wait', async (t) => {
        const { send, sock, peer } = await open(t);
        send(MUCH);
        sock.write('{"type":"Raw","data":1}\n');
        send('between');
        sock.write('{"type":"Raw","data":2}\n');
        const expected = `${frame(MUCH)}{"type":"Raw","data":1}\n${frame('between')}{"type":"Raw","data":2}\n`;
        assertSame(await peer.all(expected.length), expected);
      });

      it('holds messages behind a cork until it is removed', async (t) => {
        const { send, sock, peer } = await open(t);
        send('before');
        sock.cork();
        sock.write('{"type":"Raw","data":1}\n');
        const sent = send('corked');
        sock.write('{"type":"Raw","data":2}\n');
        await turn();
        assert.ok(sock.writableLength > 0);
        process.nextTick(() => sock.uncork());
        const expected = `${frame('before')}{"type":"Raw","data":1}\n${frame('corked')}{"type":"Raw","data":2}\n`;
        assertSame(await peer.all(expected.length), expected);
        await sent;
      });

      it('keeps the order of all kinds of calls', async (t) => {
        const { send, sendall, sock, peer } = await open(t);
        const next = random(who.length * 31 + transport.length);
        const expected = [];
        const sent = [];
        let corks = 0;
        for (let i = 0; i < 400; i += 1) {
          const text = `${i} `.repeat(next() < 0.1 ? 20_000 : 1 + next() * 20);
          const kind = next();
          if (kind < 0.4) {
            sent.push(send(text));
            expected.push(frame(text));
          } else if (kind < 0.5 && sendall) {
            sent.push(sendall(text));
            expected.push(frame(text));
          } else if (kind < 0.8) {
            sock.write(frame(text));
            expected.push(frame(text));
          } else if (kind < 0.86) {
            sock.cork();
            corks += 1;
          } else if (kind < 0.95) {
            if (corks > 0) sock.uncork();
            corks = Math.max(0, corks - 1);
          } else await turn();
          if (i === 300) peer.resume();
        }
        for (; corks > 0; corks -= 1) sock.uncork();
        const whole = expected.join('');
        assertSame(await peer.all(whole.length), whole);
        await Promise.all(sent);
      });

      it('passes on a stream that is piped into the socket while messages are sent', async (t) => {
        const { send, sock, peer } = await open(t);
        peer.resume();
        const source = new PassThrough();
        source.pipe(sock, { end: false });
        const lines = [];
        for (let i = 0; i < 50; i += 1) {
          lines.push(frame(`piped ${i} ${'y'.repeat(30_000)}`), frame(`sent ${i}`));
          if (!source.write(lines.at(-2))) await once(source, 'drain');
          await turn();
          send(`sent ${i}`);
        }
        const whole = await peer.all(lines.join('').length);
        assert.deepEqual(whole.split('\n').sort(), lines.join('').split('\n').sort());
      });

      it('counts the waiting bytes of send(), and emits drain when they have left', async (t) => {
        const { send, sock, peer } = await open(t);
        const drained = once(sock, 'drain');
        const sent = [];
        while (sock.writableLength === 0) sent.push(send(MUCH));
        assert.ok(sock.writableLength >= MUCH.length);
        assert.equal(sock.writableNeedDrain, true);
        assert.equal(sock.bufferSize, sock.writableLength);
        assert.equal(sock.write('{"type":"Raw","data":1}\n'), false);
        peer.resume();
        await deadline(drained, 'the socket to drain');
        await Promise.all(sent);
        assert.equal(sock.writableLength, 0);
        assert.equal(sock.writableNeedDrain, false);
      });

      it('counts each byte that was written once', async (t) => {
        const { send, sock, peer } = await open(t);
        const before = sock.bytesWritten;
        sock.write(MUCH);
        sock.write(MUCH);
        send('x');
        const wanted = 2 * MUCH.length + frame('x').length;
        await until(() => sock.bytesWritten - before >= wanted, 'all is counted');
        assert.equal(sock.bytesWritten - before, wanted);
        await peer.all(wanted);
        assert.equal(sock.bytesWritten - before, wanted);
      });

      it('rejects held messages when the connection ends', async (t) => {
        const { send, sock, emitter } = await open(t);
        emitter.on('error', () => {});
        sock.cork();
        sock.write('{"type":"Raw","data":1}\n');
        const sent = send('never');
        sock.destroy();
        await assert.rejects(sent, { code: 'ERR_SOCKET_DESTROYED' });
      });

      it('sends before the bytes that end() is given', async (t) => {
        const { send, sock, peer } = await open(t);
        const expected = `${frame('one')}${frame('two')}{"type":"Raw","data":3}\n`;
        send('one');
        send('two');
        sock.end('{"type":"Raw","data":3}\n');
        assertSame(await peer.all(expected.length), expected);
      });

      it('fulfils send() with null, as the callback of write() gets', async (t) => {
        const { send, sendall } = await open(t);
        assert.equal(await send('one'), null);
        assert.deepEqual(await Promise.all([send('two'), send('three')]), [null, null]);
        if (sendall) assert.deepEqual(await sendall('four'), [null]);
      });
    });
  }
}

describe('a socket that a program writes bytes to', limit, () => {
  it('gets a message to all after the bytes that its toJSON() writes', async (t) => {
    const where = { port: await freePort() };
    const { sock, sendall, peer } = await ends['a server'](t, where);
    const { all } = reader(peer);
    const bytes = frame('bytes');
    class Written {
      toJSON() {
        sock.write(bytes);
        return 'message';
      }
    }
    const message = '{"type":"Written","data":"message"}\n';
    await sendall(new Written());
    await sendall('next');
    const whole = bytes + message + frame('next');
    assertSame(await all(whole.length), whole);
  });

  it('writes no pong between the writes of one turn', async (t) => {
    const where = { port: await freePort() };
    const { sock, peer } = await ends['a server'](t, where);
    const ping = { _id: 'p', _created: new Date(0), _returned: null, _finished: null };
    const pinged = new Promise((resolve) => {
      peer.write(`{"type":"SockhopPing","data":${JSON.stringify(ping)}}\n`, resolve);
    });
    await pinged;
    sock.write('{"type":"File","data":"');
    // Long enough for the runtime to answer instead of a blocked program.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
    sock.write('whole"}\n');
    const log = [];
    let text = '';
    peer.on('data', (chunk) => {
      text += chunk;
      log.push(chunk);
    });
    await until(() => text.includes('SockhopPong') && text.includes('whole'), 'both are here');
    assert.ok(text.includes('{"type":"File","data":"whole"}\n'), text);
  });

  it('counts the waiting bytes of sendall()', async (t) => {
    const where = { port: await freePort() };
    const { sendall, sock, peer } = await ends['a server'](t, where);
    peer.pause();
    const drained = once(sock, 'drain');
    const sent = [sendall(MUCH), sendall(MUCH)];
    await until(() => sock.writableLength > 0, 'the kernel has enough');
    assert.equal(sock.writableNeedDrain, true);
    peer.resume();
    await deadline(drained, 'the socket to drain');
    await Promise.all(sent);
    assert.equal(sock.writableLength, 0);
  });

  it('drains after a large message that the kernel took at once', async (t) => {
    const where = { port: await freePort() };
    const { send, sock } = await ends['a server'](t, where);
    const drained = once(sock, 'drain');
    send('y'.repeat(sock.writableHighWaterMark));
    await deadline(drained, 'the socket to drain');
  });

  it('is not cut off for bytes that slow_consumer "drop" would leave out', async (t) => {
    const { client, wire } = await clientOnWire(t, {
      slow_consumer: 'drop',
      send_high_water_mark: 64 * 1024,
    });
    wire.socket.pause();
    const sent = [];
    for (let i = 0; i < 40; i += 1)
      sent.push(client.send(MUCH.slice(0, 1 << 20)).catch((err) => err.code));
    client.socket.write('{"type":"Raw","data":1}\n');
    client.socket.write('{"type":"Raw","data":2}\n');
    wire.socket.resume();
    await wire.frame((json) => json?.type === 'Raw' && json.data === 1);
    await wire.frame((json) => json?.type === 'Raw' && json.data === 2);
    assert.ok((await Promise.all(sent)).includes('ERR_BACKPRESSURE'));
    assert.equal(client.connected, true);
  });
});
