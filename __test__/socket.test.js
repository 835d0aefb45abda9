'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { PassThrough } = require('node:stream');
const { describe, it } = require('node:test');
const { freePort } = require('./support/addresses.js');
const impl = require('./support/impl.js');
const { turn, until } = require('./support/deadline.js');
const { withoutOffer } = require('./support/codec.js');
const { clientOnWire, startClient, startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

/** More messages than the kernel keeps of a peer's data. */
const MANY = 5000;

/** Both ends of a connection of the package with itself. */
async function pair(t, options) {
  const { server } = await startServer(t, options, { port: 0 });
  const connected = once(server, 'connect');
  const { client } = await startClient(t, { port: server.server.address().port });
  const [sock, session] = await connected;
  return { server, client, sock, session };
}

/** Collects the text that arrives over a raw socket, until it contains `end`. */
async function text(socket) {
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('the socket of a connection', { timeout: 600_000 }, () => {
  it('refuses to connect again when it is over, and names the remedy', async (t) => {
    const { client } = await pair(t);
    const { socket } = client;
    await client.disconnect();
    assert.throws(() => socket.connect(1), {
      code: 'ERR_SOCKET_DESTROYED',
      message: /call connect\(\) of the client/,
    });
  });

  it("is read no faster than a listener of 'readable' reads", async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [{ args }] = await log.take('connect', 1);
    const [sock] = args;
    let isReading = false;
    let most = 0;
    const read = () => {
      most = Math.max(most, sock.readableLength);
      if (isReading) while (sock.read() !== null);
    };
    sock.on('readable', read);
    const numbers = [];
    const all = new Promise((resolve) => {
      server.on('receive', ({ n }) => {
        if (numbers.push(n) === MANY) resolve();
      });
    });
    const text = 'x'.repeat(4096);
    for (let n = 0; n < MANY; n += 1) wire.write({ type: 'Object', data: { n, text } });
    // Waits until nothing has arrived for many turns.
    for (let quiet = 0, last = -1; quiet < 200; quiet = last === most ? quiet + 1 : 0) {
      last = most;
      await turn();
      read();
    }
    isReading = true;
    read();
    await all;
    assert.deepEqual(numbers, Array.from(numbers.keys()));
    assert.ok(most < 4 << 20, `${most} bytes waited for the program`);
  });

  it("is read without a listener of 'readable' once the last one is removed", async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [{ args }] = await log.take('connect', 1);
    const [sock] = args;
    const unread = () => {};
    sock.on('readable', unread);
    const text = 'x'.repeat(4096);
    for (let n = 0; n < 256; n += 1) wire.write({ type: 'Object', data: { n, text } });
    await until(() => sock.readableLength >= sock.readableHighWaterMark, 'the stream is full');
    const last = new Promise((resolve) => {
      server.on('receive', ({ n }) => n === 255 && resolve());
    });
    sock.removeListener('readable', unread);
    await last;
  });

  it('is one net.Socket, the same everywhere', async (t) => {
    const { server, client, sock, session } = await pair(t);
    assert.ok(sock instanceof net.Socket);
    assert.ok(client.socket instanceof net.Socket);
    assert.ok(sock instanceof impl.SockhopSocket);
    assert.equal(server.sockets[0], sock);
    assert.equal(session.sock, sock);
    const received = once(server, 'receive');
    await client.send('where?');
    const [, meta] = await received;
    assert.equal(meta.socket, sock);
  });

  it('has both addresses, and keeps them after the end', async (t) => {
    const { server, client, sock } = await pair(t);
    const { port } = server.server.address();
    assert.equal(client.socket.remoteAddress, '127.0.0.1');
    assert.equal(client.socket.remotePort, port);
    assert.equal(client.socket.remoteFamily, 'IPv4');
    assert.deepEqual(client.socket.address(), {
      address: '127.0.0.1',
      family: 'IPv4',
      port: sock.remotePort,
    });
    assert.equal(sock.localAddress, '127.0.0.1');
    assert.equal(sock.localPort, port);
    assert.equal(sock.localFamily, 'IPv4');
    const gone = once(server, 'disconnect');
    const { remotePort } = sock;
    await client.disconnect();
    await gone;
    assert.equal(sock.remotePort, remotePort);
  });

  it('goes from open to closed', async (t) => {
    const { client } = await pair(t);
    const { socket } = client;
    assert.deepEqual(
      [socket.readyState, socket.destroyed, socket.connecting, socket.pending],
      ['open', false, false, false],
    );
    const closed = once(socket, 'close');
    socket.destroySoon();
    assert.deepEqual(await closed, [false]);
    assert.deepEqual(
      [socket.readyState, socket.destroyed, socket.connecting, socket.pending],
      ['closed', true, false, true],
    );
    assert.equal(client.connected, false);
  });

  it('writes raw bytes in order with messages', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const all = text(wire.socket);
    client.send('one');
    client.socket.write('{"type":"Raw","data":2}\n');
    client.send('three');
    client.socket.write(Buffer.from('{"type":"Raw","data":4}\n'));
    const sent = client.send('five');
    await sent;
    client.socket.end();
    assert.equal(
      withoutOffer(await all),
      '{"type":"String","data":"one"}\n{"type":"Raw","data":2}\n{"type":"String","data":"three"}\n' +
        '{"type":"Raw","data":4}\n{"type":"String","data":"five"}\n',
    );
  });

  it('emits raw bytes while there is a listener, and messages as well', async (t) => {
    const { client, wire, log } = await clientOnWire(t);
    const chunks = [];
    const listen = (chunk) => chunks.push(chunk);
    client.socket.on('data', listen);
    wire.write({ type: 'Object', data: { n: 1 } });
    await log.next('receive');
    wire.write({ type: 'Object', data: { n: 2 } });
    await log.next('receive');
    assert.equal(
      Buffer.concat(chunks).toString(),
      '{"type":"Object","data":{"n":1}}\n{"type":"Object","data":{"n":2}}\n',
    );
    client.socket.removeListener('data', listen);
    wire.write({ type: 'Object', data: { n: 3 } });
    await log.next('receive');
    assert.equal(chunks.length, 2);
  });

  it('can be piped, in and out', async (t) => {
    const { client, wire } = await clientOnWire(t);
    const out = client.socket.pipe(new PassThrough());
    wire.socket.write('{"type":"Object","data":{"piped":true}}\n');
    const [piped] = await once(out, 'data');
    assert.equal(piped.toString(), '{"type":"Object","data":{"piped":true}}\n');
    const source = new PassThrough();
    source.pipe(client.socket);
    const arrived = once(wire.socket, 'data');
    source.write('through');
    assert.match((await arrived)[0].toString(), /through/);
  });

  it('drains when a peer that was not reading reads again', async (t) => {
    const { client, wire } = await clientOnWire(t);
    wire.socket.pause();
    const block = Buffer.alloc(1 << 20, 'x');
    let blocks = 0;
    while (client.socket.write(block)) blocks += 1;
    while (client.socket.writableLength === 0) {
      client.socket.write(block);
      blocks += 1;
    }
    assert.ok(client.socket.writableLength > 0);
    assert.ok(client.socket.bytesWritten >= blocks * block.length);
    const drained = once(client.socket, 'drain');
    wire.socket.resume();
    await drained;
    assert.equal(client.socket.writableLength, 0);
  });

  it('counts bytes in both directions', async (t) => {
    const { client, wire, log } = await clientOnWire(t, { codec: 'json' });
    const frame = '{"type":"Object","data":{}}\n';
    wire.socket.write(frame);
    await log.next('receive');
    assert.equal(client.socket.bytesRead, frame.length);
    await client.send({});
    assert.equal(client.socket.bytesWritten, frame.length);
  });

  it('times out when nothing happens, and not while something does', async (t) => {
    const { client } = await clientOnWire(t);
    assert.equal(client.socket.setTimeout(50), client.socket);
    assert.equal(client.socket.timeout, 50);
    await once(client.socket, 'timeout');
    assert.equal(client.connected, true);
    client.socket.setTimeout(0);
  });

  it('resets the connection on resetAndDestroy()', async (t) => {
    const { client, wire } = await clientOnWire(t, {}, { port: await freePort() });
    const failed = once(wire.socket, 'error');
    client.socket.resetAndDestroy();
    assert.equal((await failed)[0].code, 'ECONNRESET');
  });

  it('reports the error it is destroyed with, and ends the client', async (t) => {
    const { client, log } = await clientOnWire(t);
    const closed = new Promise((resolve) => {
      client.socket.once('close', resolve);
    });
    client.socket.destroy(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
    assert.equal(await closed, true);
    assert.equal((await log.next('error')).args[0].code, 'ENOUGH');
    assert.equal(client.connected, false);
  });
});
