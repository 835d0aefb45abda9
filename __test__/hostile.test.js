'use strict';

// Tests the limits of a peer: its data never becomes an exception of the program, never disturbs
// another connection, never answers another peer's question, and never stays in memory.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const net = require('node:net');
const { describe, it } = require('node:test');
const { hostileInputs } = require('./chaos/hostile-inputs.js');
const { freePort, nodeEndpoint } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn } = require('./support/deadline.js');
const { clientOnWire, makeClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient, rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };
/** The reader of all connections, if it is fixed (scripts/readers.js). */
const reader = process.env.SOCKHOP_READER;
const everyInput = hostileInputs();
const lightInputs = hostileInputs({ heavy: false });

/** Answers every question, as a program does. */
function obliging(side) {
  side.on('receive', (_object, meta) => meta.callback?.({ answer: 1 }));
  side.on('request', (_request, response) => {
    response.write('part');
    response.send('end');
  });
  return side;
}

const modes = {
  'by default': {},
  'with debug': { debug: true },
  'with peer_type "json"': { peer_type: 'json' },
  'with allow_non_objects': { allow_non_objects: true },
};

/** A plain peer that discards the data it reads, and the side that it is connected to. */
const roles = {
  async server(t, options) {
    const { server, log, where } = await startServer(t, options);
    const socket = net.connect(nodeEndpoint(where));
    cleanup(t, () => socket.destroy());
    socket.resume();
    const [own] = (await log.next('connect')).args;
    return { side: obliging(server), log, socket, own, where };
  },
  async client(t, options) {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, options);
    await client.connect();
    const { socket } = await raw.accept();
    return { side: obliging(client), log, socket, own: client.socket };
  },
  async 'client on a stream of its own'(t, options) {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, options);
    const stream = net.connect(nodeEndpoint(raw.where));
    client.socket = stream;
    await log.next('connect');
    const { socket } = await raw.accept();
    return { side: obliging(client), log, socket, own: stream };
  },
};

describe('any input of a peer', () => {
  for (const [role, begin] of Object.entries(roles)) {
    // The program's own stream reads itself.
    if (reader && role === 'client on a stream of its own') continue;
    for (const [mode, options] of Object.entries(modes)) {
      // The modes only differ in the use of a frame after it was read.
      if (reader && mode !== 'by default') continue;
      // Parsing a million brackets takes long, and depends neither on the mode nor on the reader.
      const inputs = mode === 'by default' && !reader ? everyInput : lightInputs;
      it(`${role} ${mode}: ${inputs.size} inputs, and the connection lives`, limit, async (t) => {
        const { side, log, socket } = await begin(t, options);
        // Otherwise the frame after an input would wait until the system acknowledges the input.
        socket.setNoDelay(true);
        let number = 0;
        for (const [name, bytes] of inputs) {
          // A separate frame after every input shows that the input has been handled.
          number += 1;
          const mark = { type: 'String', data: { mark: number } };
          const seen = deadline(
            new Promise((resolve) => {
              const look = (object) => {
                const mine = options.peer_type === 'json' ? object?.data?.mark : object?.mark;
                if (mine !== number) return;
                side.removeListener('receive', look);
                resolve();
              };
              side.on('receive', look);
            }),
            `the message after "${name}"`,
            60_000,
          );
          socket.write(bytes);
          socket.write(`${JSON.stringify(mark)}\n`);
          await seen;
          // The log of millions of events is not needed.
          log.entries.length = Math.min(log.entries.length, 3);
        }
        await turn();
        assert.equal(socket.destroyed, false);
        assert.equal(side.stats().connections, 1);
        assert.equal(side.stats().pending_callbacks, 0);
        assert.deepEqual(Object.keys(Object.prototype), []);
        assert.equal({}.type, undefined);
      });
    }
  }

  it('random bytes, in random pieces, to both sides', limit, async (t) => {
    for (const role of ['server', 'client']) {
      const { side, socket } = await roles[role](t, { max_message_size: 1 << 20 });
      for (let round = 0; round < 200; round += 1) {
        const bytes = randomBytes(1 + (round % 7) * 997);
        if (round % 3 === 0) for (let i = 0; i < bytes.length; i += 41) bytes[i] = 10;
        socket.write(bytes);
        if (round % 10 === 0) await turn();
      }
      socket.write(`\n${JSON.stringify({ type: 'String', data: 'after' })}\n`);
      await deadline(
        new Promise((resolve) => {
          side.on('receive', (object) => object === 'after' && resolve());
        }),
        `the message after random bytes at the ${role}`,
      );
    }
  });
});

describe('without an error listener', () => {
  it('a peer that misbehaves all the time causes a warning at intervals', limit, async (t) => {
    const port = await freePort();
    const run = program(
      t,
      async (sockhop, where) => {
        let warnings = 0;
        process.on('warning', ({ name }) => {
          if (name === 'SockhopWarning') warnings += 1;
        });
        const server = new sockhop.server({ port: where });
        server.on('receive', () => {
          // Warnings are emitted in a later turn.
          setImmediate(() => {
            console.log(`${warnings} warnings, ${server.stats().bad_frames} bad frames`);
            process.exit();
          });
        });
        await server.listen();
        console.log('listening');
      },
      port,
    );
    await run.line('listening');
    const wire = await rawClient(t, { port });
    wire.write('not JSON\n'.repeat(9_999), { type: 'String', data: 'after' });
    // The text above ends with a frame of its own, which is empty.
    await run.line('1 warnings, 10000 bad frames');
  });
});

describe('answers', () => {
  async function twoClients(t) {
    const { server, log, where } = await startServer(t);
    const peers = [];
    for (let i = 0; i < 2; i += 1) {
      const wire = await rawClient(t, where);
      const [socket] = (await log.next('connect')).args;
      peers.push({ wire, socket });
    }
    return { server, log, peers };
  }

  /** Waits until everything a plain peer wrote so far has been dealt with. */
  async function settled(log, wire, text) {
    wire.write({ type: 'String', data: text });
    await log.next('receive', ({ args }) => args[0] === text);
  }

  it('to a callback count once, and only from the peer that was asked', limit, async (t) => {
    const { server, log, peers } = await twoClients(t);
    const answers = [];
    server.send(peers[0].socket, { q: 1 }, (answer) => answers.push(answer));
    const { id } = await peers[0].wire.frame();
    const answer = (data) => ({ type: 'Object', data, callback_id: id });
    peers[1].wire.write(answer('from the wrong one'));
    await settled(log, peers[1].wire, 'wrong');
    assert.deepEqual(answers, []);
    peers[0].wire.write(answer('right'), answer('again'));
    await settled(log, peers[0].wire, 'right');
    assert.deepEqual(answers, ['right']);
    assert.equal(server.stats().pending_callbacks, 0);
  });

  it('to a callback do not come over the next connection', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t);
    const answers = [];
    client.send({ q: 1 }, (answer) => answers.push(answer));
    const { id } = await wire.frame();
    wire.socket.destroy();
    await log.next('disconnect');
    await client.connect();
    const next = await raw.accept();
    next.write({ type: 'Object', data: 'late', callback_id: id });
    await settled(log, next, 'after');
    assert.deepEqual(answers, []);
  });

  it('to a request count only from the peer that was asked', limit, async (t) => {
    const { server, log, peers } = await twoClients(t);
    const stream = await server.request(peers[0].socket, 'Q');
    const seen = [];
    stream.on('data', (data) => seen.push(data));
    const { data: request } = await peers[0].wire.frame();
    const packet = (data) => ({
      type: 'SockhopResponsePacket',
      data: { uuid: request.uuid, type: 'String', data, last: true },
    });
    peers[1].wire.write(packet('from the wrong one'));
    await settled(log, peers[1].wire, 'wrong');
    assert.deepEqual([seen, stream.ended], [[], false]);
    peers[0].wire.write(packet('right'), packet('again'));
    await settled(log, peers[0].wire, 'right');
    assert.deepEqual([seen, stream.ended], [['right'], true]);
  });

  it('to a request do not come over the next connection', limit, async (t) => {
    const { client, log, raw, wire } = await clientOnWire(t);
    const stream = await client.request('Q');
    const seen = [];
    const ends = [];
    stream.on('data', (data) => seen.push(data));
    stream.on('end', (err) => ends.push(err?.code));
    const { data: request } = await wire.frame();
    wire.socket.destroy();
    await log.next('disconnect');
    await client.connect();
    const next = await raw.accept();
    next.write({
      type: 'SockhopResponsePacket',
      data: { uuid: request.uuid, type: 'String', data: 'late', last: true },
    });
    await settled(log, next, 'after');
    assert.deepEqual([seen, ends], [[], ['ERR_SOCKET_DESTROYED']]);
  });

  it('to pings that were not sent keep no connection alive', limit, async (t) => {
    const { server, log, peers } = await twoClients(t);
    server.ping(50);
    const [{ wire, socket }] = peers;
    peers[1].wire.socket.destroy();
    wire.socket.on('data', () => {
      wire.write({ type: 'SockhopPong', data: { _id: 'made up', _returned: 'now' } });
    });
    await log.next('disconnect', ({ args }) => args[0] === socket);
  });

  it('are not confused with inherited properties', limit, async (t) => {
    const { server, log, peers } = await twoClients(t);
    const stream = await server.request(peers[0].socket, 'Q');
    let called = 0;
    server.send(peers[0].socket, {}, () => {
      called += 1;
    });
    for (const key of ['__proto__', 'constructor', 'toString', 'valueOf']) {
      peers[0].wire.write(
        { type: 'Object', data: {}, callback_id: key },
        { type: 'SockhopResponsePacket', data: { uuid: key, type: 'String', last: true } },
        { type: 'SockhopPong', data: { _id: key } },
      );
    }
    await settled(log, peers[0].wire, 'after');
    assert.deepEqual([called, stream.ended], [0, false]);
  });
});

describe('memory', () => {
  /** A server in a process of its own, whose JavaScript thread is busy for a while on command. */
  const busyServer = async (sockhop, port) => {
    const server = new sockhop.server({ port });
    let frames = 0;
    server.on('error', () => {
      frames += 1;
    });
    server.on('receive', (object) => {
      frames += 1;
      if (object === 'go') {
        console.log('busy');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
        console.log(`read ${server.stats().bytes_received}`);
      } else if (object === 'count') {
        console.log(`frames ${frames}`);
      }
    });
    await server.listen();
    console.log('listening');
  };

  const floods = {
    'bare terminators': '\n',
    'the smallest messages': '{}\n',
    'frames that are no JSON': 'x\n',
  };

  for (const [name, frame] of Object.entries(floods)) {
    it(`${name} stop at the mark while the program is busy`, limit, async (t) => {
      const COUNT = 500_000;
      const port = await freePort();
      const run = program(t, busyServer, port);
      await run.line('listening');
      const wire = await rawClient(t, { port });
      wire.write({ type: 'String', data: 'go' });
      await run.line('busy');
      wire.socket.write(frame.repeat(COUNT));
      const line = await run.line((text) => text.startsWith('read'));
      // The mark is 1 MiB. Each frame counts 32 bytes and its own size, and one read may exceed the
      // mark.
      const read = Number(line.split(' ')[1]);
      assert.ok(read < 256 * 1024, `${read} bytes were read`);
      // None of them is lost.
      wire.write({ type: 'String', data: 'count' });
      const { text } = await run.log.next(
        'line',
        (entry) => entry.text.startsWith('frames'),
        60_000,
      );
      assert.equal(text, `frames ${COUNT + 2}`);
    });
  }

  it('a ping that asks for a long answer, or for many, gets none', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const socket = net.connect(nodeEndpoint(where));
    cleanup(t, () => socket.destroy());
    socket.pause();
    await log.next('connect');
    const ping = (id) => `${JSON.stringify({ type: 'SockhopPing', data: { _id: id } })}\n`;
    socket.write(ping('x'.repeat(1 << 20)));
    // The peer never reads, so pongs that cannot be written are not kept.
    for (let i = 0; i < 200; i += 1) {
      if (!socket.write(ping('y'.repeat(3000)).repeat(100))) {
        await new Promise((resolve) => socket.once('drain', resolve));
      }
    }
    socket.write('{"type":"String","data":"after"}\n');
    await log.next('receive', ({ args }) => args[0] === 'after', 30_000);
    const { queued_bytes } = server.stats();
    assert.ok(queued_bytes <= 2 * 64 * 1024, `${queued_bytes} bytes wait for it`);
    socket.destroy();
    await log.next('disconnect');
  });
});
