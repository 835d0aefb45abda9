'use strict';

// Faults of the original that are repaired here, in one suite for each row of the table of faults.
// The tests of the framer in Rust count its steps, because the linear time of reassembly cannot be
// observed here without a clock.

const assert = require('node:assert/strict');
const net = require('node:net');
const { describe, it } = require('node:test');
const { endpoint, freePort, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient, rawServer } = require('./support/raw.js');
const { notOn } = require('./support/runtime.js');

const limit = { timeout: 600_000 };

async function serverOnWire(t, options) {
  const { server, log, where } = await startServer(t, options);
  const wire = await rawClient(t, where);
  const [socket, session] = (await log.next('connect')).args;
  return { side: server, server, log, where, wire, socket, session };
}

async function clientSide(t, options) {
  const { client, log, raw, wire } = await clientOnWire(t, options);
  return { side: client, client, log, raw, wire, socket: client.socket };
}

const roles = { client: clientSide, server: serverOnWire };

describe('one line from any peer ends the process', () => {
  const inherited = [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'valueOf',
    '__defineGetter__',
  ];
  const lines = [
    'null',
    'true',
    'false',
    '0',
    '-1e999',
    '"text"',
    '"SockhopPing"',
    '[]',
    '[null]',
    '[{"type":"SockhopPing"}]',
    '{}',
    '{"type":null}',
    '{"type":null,"data":null,"id":null,"callback_id":null}',
    '{"type":{"toString":null}}',
    '{"type":"Widget","data":{"a":null,"b":[null,{"c":null}]}}',
    '{"type":["SockhopPing"],"data":{}}',
    '{"__proto__":null}',
    '{"__proto__":{"type":"SockhopPong"}}',
    '{"constructor":null,"toString":1,"hasOwnProperty":2}',
    '{"callback_id":"x"}',
    '{"callback_id":1}',
    '{"callback_id":{}}',
    '{"callback_id":["x"]}',
    '{"type":"Object","data":null,"id":{}}',
    '{"type":"Object","data":null,"id":"__proto__"}',
    ...['SockhopPing', 'SockhopPong', 'SockhopRequest', 'SockhopResponsePacket'].flatMap((type) =>
      [
        undefined,
        null,
        0,
        'text',
        true,
        [],
        {},
        { _id: null, uuid: null },
        { _id: {}, uuid: [] },
      ].map((data) => JSON.stringify({ type, data })),
    ),
    '{"type":"SockhopRequest","data":{"uuid":"u","type":null,"data":null}}',
    '{"type":"SockhopRequest","data":{"uuid":"u","type":"SockhopRequest","data":{"uuid":null}}}',
    '{"type":"SockhopResponsePacket","data":{"uuid":"unknown","data":null,"last":true}}',
    ...inherited.flatMap((key) => [
      JSON.stringify({ type: 'Object', data: {}, callback_id: key }),
      JSON.stringify({ type: 'SockhopPong', data: { _id: key } }),
      JSON.stringify({ type: 'SockhopResponsePacket', data: { uuid: key, last: true } }),
      JSON.stringify({ type: key, data: { [key]: null } }),
    ]),
    `${'['.repeat(2000)}${']'.repeat(2000)}`,
  ];

  for (const [role, connect] of Object.entries(roles)) {
    for (const line of new Set(lines)) {
      const name = line.length > 100 ? `${line.slice(0, 20)}... (${line.length} characters)` : line;
      it(`${role}: ${name}`, limit, async (t) => {
        const { side, log, wire } = await connect(t);
        // A pending question and a ping must not be confused with the content of the line.
        let answered = 0;
        const question = role === 'client' ? [{ q: 1 }] : [side.sockets[0], { q: 1 }];
        await side.send(...question, () => {
          answered += 1;
        });
        const { id } = await wire.frame();
        wire.write({ type: 'String', data: 'before' }, line, { type: 'String', data: 'after' });
        wire.write({ type: 'SockhopPing', data: { _id: 'still there' } });
        await wire.frame(
          (frame) => frame?.type === 'SockhopPong' && frame.data._id === 'still there',
        );
        await log.next('receive', ({ args }) => args[0] === 'before');
        await log.next('receive', ({ args }) => args[0] === 'after');
        assert.equal(answered, 0);
        wire.write({ type: 'Number', data: 1, callback_id: id }, { type: 'String', data: 'end' });
        await log.next('receive', ({ args }) => args[0] === 'end');
        assert.equal(answered, 1);
        assert.equal(log.count('disconnect'), 0);
      });
    }
  }

  it('nothing of it reaches Object.prototype', limit, async (t) => {
    const { log, wire } = await serverOnWire(t);
    wire.write(
      '{"__proto__":{"polluted":1},"type":"Object","data":{"__proto__":{"polluted":1}}}',
      '{"type":"SockhopPing","data":{"__proto__":{"polluted":1},"_id":"p"}}',
      '{"type":"SockhopRequest","data":{"__proto__":{"polluted":1},"uuid":"u","data":{},"type":"Object"}}',
    );
    await log.next('receive');
    await wire.frame((frame) => frame.type === 'SockhopPong');
    assert.equal({}.polluted, undefined);
  });

  it('bytes that are not UTF-8 do not end the process either', limit, async (t) => {
    for (const connect of Object.values(roles)) {
      const { log, wire } = await connect(t);
      wire.socket.write(
        Buffer.from([0xff, 0xfe, 0x00, 0x80, 0x0a, 0x22, 0xc3, 0x28, 0x22, 0x0a, 0x0a]),
      );
      wire.write({ type: 'String', data: 'after' });
      await log.next('receive', ({ args }) => args[0] === 'after');
      assert.equal(log.count('disconnect'), 0);
    }
  });
});

describe('Nagle left on', { skip: notOn('bun', 'its own sockets have it off') }, () => {
  const ROUNDS = 30;

  /**
   * Traffic that is slow with Nagle's algorithm and delayed acknowledgements: one side writes
   * twice, and the other answers after the second write. Resolves after a number of rounds.
   */
  async function play(send) {
    for (let round = 0; round < ROUNDS; round += 1) {
      await send({ round, part: 1 });
      await turn();
      await send({ round, part: 2 });
      await send.answered();
    }
  }

  /** Answers every second frame, as a plain peer. */
  function answerEverySecond(wire) {
    (async () => {
      for (;;) {
        await wire.next('frame');
        await wire.next('frame');
        wire.write({ type: 'String', data: 'go on' });
      }
    })().catch(() => {});
  }

  /** The sending side of this traffic on a plain socket with Nagle on. */
  function plainSender(wire) {
    wire.socket.setNoDelay(false);
    const send = async (object) => wire.write({ type: 'Object', data: object });
    send.answered = () => wire.next('frame');
    return send;
  }

  it('a client finishes before a socket with Nagle on', limit, async (t) => {
    const raw = await rawServer(t, undefined, { noDelay: true });
    const { client, log } = await startClient(t, raw.where);
    answerEverySecond(await raw.accept());
    const slow = plainSender(await rawClient(t, raw.where));
    answerEverySecond(await raw.accept());
    const send = (object) => client.send(object);
    send.answered = () => log.next('receive');
    const winner = await Promise.race([
      play(send).then(() => 'client'),
      play(slow).then(() => 'Nagle'),
    ]);
    assert.equal(winner, 'client');
  });

  it('a server finishes before a socket with Nagle on', limit, async (t) => {
    const { server, log, wire } = await serverOnWire(t);
    wire.socket.setNoDelay(true);
    answerEverySecond(wire);
    const raw = await rawServer(t, undefined, { noDelay: true });
    const slow = plainSender(await rawClient(t, raw.where));
    answerEverySecond(await raw.accept());
    const send = (object) => server.send(server.sockets[0], object);
    send.answered = () => log.next('receive');
    const winner = await Promise.race([
      play(send).then(() => 'server'),
      play(slow).then(() => 'Nagle'),
    ]);
    assert.equal(winner, 'server');
  });
});

describe('no limit on a frame', () => {
  for (const [role, connect] of Object.entries(roles)) {
    it(
      `${role}: a frame beyond max_message_size is an error and ends the connection`,
      limit,
      async (t) => {
        const { log, wire, socket } = await connect(t, { max_message_size: 1000 });
        const frame = (n) => `{"type":"String","data":"${'x'.repeat(n)}"}`;
        wire.write(frame(900));
        assert.equal((await log.next('receive')).args[0].length, 900);
        wire.write(frame(1100));
        const [error, source] = (await log.next('error')).args;
        assert.ok(error instanceof impl.error);
        assert.equal(error.code, 'ERR_MESSAGE_TOO_LARGE');
        assert.match(error.message, /1000/);
        if (role === 'server') assert.equal(source, socket);
        await log.next('disconnect');
        await wire.next('close');
        assert.equal(log.count('receive'), 1);
      },
    );

    it(`${role}: a frame without an end is cut off at the limit`, limit, async (t) => {
      const { log, wire } = await connect(t, { max_message_size: 1000 });
      wire.socket.write('x'.repeat(600));
      await turn();
      wire.socket.write('x'.repeat(600));
      assert.equal((await log.next('error')).args[0].code, 'ERR_MESSAGE_TOO_LARGE');
      await log.next('disconnect');
    });
  }

  it('the other connections of the server do not notice', limit, async (t) => {
    const { server, log, where, wire } = await serverOnWire(t, { max_message_size: 1000 });
    const other = await rawClient(t, where);
    await log.next('connect');
    wire.socket.write('x'.repeat(5000));
    await log.next('disconnect');
    other.write({ type: 'Number', data: 1 });
    assert.equal((await log.next('receive')).args[0], 1);
    assert.equal(server.sockets.length, 1);
  });
});

describe('callbacks that are never answered are kept forever', () => {
  it('they are dropped with their connection', limit, async (t) => {
    const run = program(
      t,
      async (sockhop, port) => {
        const server = new sockhop.server({ port });
        const client = new sockhop.client({ port });
        const connected = new Promise((resolve) => server.once('connect', resolve));
        await server.listen();
        await client.connect();
        const socket = await connected;
        const left = new Promise((resolve) => server.once('disconnect', resolve));

        const collected = [];
        const registry = new FinalizationRegistry((name) => collected.push(name));
        (function ask() {
          for (const name of ['client', 'server']) {
            const callback = () => {};
            registry.register(callback, name);
            if (name === 'client') client.send({ q: 1 }, callback);
            else server.send(socket, { q: 1 }, callback);
          }
        })();
        await client.disconnect();
        await left;
        for (let i = 0; i < 200 && collected.length < 2; i += 1) {
          global.gc();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        console.log(collected.sort().join(' '));
        await server.close();
        // Both are still in use, so the callbacks were not collected together with them.
        console.log(client.connected, server.sockets.length);
      },
      await freePort(),
      { flags: ['--expose-gc'] },
    );
    const { code, lines } = await run.ended();
    assert.deepEqual([code, lines], [0, ['client server', 'false 0']]);
  });
});

describe('close() then listen()', () => {
  for (const transport of transports) {
    it(`works again and again, ${transport}`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const server = new impl.server(where);
      const log = record(server);
      cleanup(t, () => server.close());
      for (let life = 1; life <= 3; life += 1) {
        await server.listen();
        const { client, log: clientLog } = await startClient(t, where);
        await log.next('connect');
        await client.send({ life });
        assert.deepEqual((await log.next('receive')).args[0], { life });
        assert.equal(server.sockets.length, 1);
        await deadline(server.close(), 'close()');
        await clientLog.next('disconnect');
        await log.next('disconnect');
        assert.equal(server.sockets.length, 0);
      }
    });
  }
});

describe('listen() on a taken port', () => {
  it('rejects as well as emitting error', limit, async (t) => {
    const { where } = await startServer(t);
    const second = new impl.server(where);
    const log = record(second);
    cleanup(t, () => second.close());
    await assert.rejects(deadline(second.listen(), 'listen()'), { code: 'EADDRINUSE' });
    const { args } = await log.next('error');
    assert.equal(args[0].code, 'EADDRINUSE');
    assert.deepEqual(args.slice(1), [null, null]);
  });

  it('causes no unhandled rejection if an error listener got the error', limit, async (t) => {
    const { where } = await startServer(t);
    const second = new impl.server(where);
    const log = record(second);
    cleanup(t, () => second.close());
    second.listen();
    await log.next('error');
    // The runner reports an unhandled rejection of this process as a failure of this test.
    await turn();
  });
});

describe('session.start() rejects', () => {
  it('is an error with socket and session, and the connection ends', limit, async (t) => {
    const refusal = new Error('refused');
    class Refusing extends impl.session {
      async start() {
        throw refusal;
      }
    }
    const { server, log, where } = await startServer(t, { session_type: Refusing });
    const wire = await rawClient(t, where);
    const [error, socket, session] = (await log.next('error')).args;
    assert.equal(error, refusal);
    assert.ok(socket instanceof net.Socket);
    assert.ok(session instanceof Refusing);
    await wire.next('close');
    await turn();
    assert.deepEqual([server.sockets, server.sessions], [[], []]);
    assert.deepEqual(log.names(), ['error']);
  });

  it('a client that was refused sees its connection end', limit, async (t) => {
    class Refusing extends impl.session {
      async start() {
        throw new Error('refused');
      }
    }
    const { where } = await startServer(t, { session_type: Refusing });
    const { client, log } = await startClient(t, where);
    await log.next('disconnect');
    assert.equal(client.connected, false);
  });
});

describe('a client that was only constructed', () => {
  it('lets the process end', limit, async (t) => {
    const run = program(t, (sockhop) => {
      globalThis.client = new sockhop.client({ auto_reconnect_interval: 60_000 });
    });
    assert.equal((await run.ended()).code, 0);
  });

  const endings = {
    'after disconnect()': async (sockhop, port) => {
      const client = new sockhop.client({ port });
      await client.connect();
      await client.disconnect();
    },
    'after the server has left': async (sockhop, port) => {
      const client = new sockhop.client({ port });
      await client.connect();
      await client.send({ leave: true });
    },
    'after a refused connect()': async (sockhop) => {
      const { createServer } = require('node:net');
      const probe = createServer();
      await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
      const { port } = probe.address();
      await new Promise((resolve) => probe.close(resolve));
      const client = new sockhop.client({ port });
      await client.connect().catch((error) => console.log(error.code));
    },
    'after close()': async (sockhop) => {
      const server = new sockhop.server({ port: 0 });
      await server.listen();
      await server.close();
    },
    'with a server that was only constructed': async (sockhop) => {
      globalThis.server = new sockhop.server();
    },
  };

  for (const [name, main] of Object.entries(endings)) {
    it(`the process ends ${name}`, limit, async (t) => {
      const raw = await rawServer(t);
      const leaving = async () => {
        for (;;) {
          const wire = await raw.accept();
          wire.next('frame').then(
            () => wire.socket.end(),
            () => {},
          );
        }
      };
      leaving().catch(() => {});
      const run = program(t, main, raw.where.port);
      const { code, stderr } = await run.ended(4000);
      assert.deepEqual([code, stderr], [0, '']);
    });
  }
});

describe('ssl_options with exactly one key', () => {
  it('turns TLS on', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, { ssl_options: { rejectUnauthorized: false } });
    const attempt = client.connect().then(
      () => 'connected',
      () => 'failed',
    );
    // A client that considers itself connected then has a message to lose.
    client.on('error', () => {});
    client.on('connect', () => client.send({ secret: 1 }));
    const wire = await raw.accept();
    const { bytes } = await wire.next('data');
    assert.equal(bytes[0], 0x16, 'the first byte is that of a TLS handshake');
    assert.equal(bytes.includes('secret'), false);
    wire.socket.destroy();
    assert.equal(await deadline(attempt, 'connect() to settle'), 'failed');
  });
});

describe('terminator measured in characters', () => {
  for (const [role, connect] of Object.entries(roles)) {
    it(`${role}: every frame after a terminator beyond ASCII is received`, limit, async (t) => {
      const { log, wire } = await connect(t, { terminator: '∎é' });
      const frame = (n) => `{"type":"Number","data":${n}}∎é`;
      wire.socket.write([1, 2, 3, 4].map(frame).join(''));
      const received = await log.take('receive', 4);
      assert.deepEqual(
        received.map(({ args }) => args[0]),
        [1, 2, 3, 4],
      );
      assert.equal(log.count('error'), 0);
    });

    it(`${role}: an empty terminator is a TypeError of the constructor`, limit, () => {
      for (const terminator of ['', ['', '\n'], ['\n', '']]) {
        assert.throws(() => new impl[role]({ terminator }), TypeError);
      }
    });
  }
});

describe('send() in flight when the connection dies', () => {
  /** More than the kernel takes for a peer that does not read. */
  const large = () => 'x'.repeat(48 * 2 ** 20);

  for (const [role, connect] of Object.entries(roles)) {
    for (const [how, kill] of Object.entries({
      'is reset': (wire) => wire.socket.resetAndDestroy(),
      'is ended by its own side': (_, { side }) => side.disconnect(),
      'is destroyed by its own side': (_, { socket }) => socket.destroy(),
    })) {
      it(`${role}: rejects when the connection ${how}`, limit, async (t) => {
        const all = await connect(t);
        const { side, wire, socket } = all;
        wire.socket.pause();
        const send = (object) =>
          role === 'client' ? side.send(object) : side.send(socket, object);
        const sent = [send(large()), send({ behind: 1 })];
        const settled = Promise.allSettled(sent);
        // The program ignores this promise: it must not become an unhandled rejection.
        send({ forgotten: true });
        await turn();
        await turn();
        kill(wire, all);
        for (const { status, reason } of await deadline(settled, 'send() to settle')) {
          assert.equal(status, 'rejected');
          assert.ok(reason instanceof impl.error);
          assert.equal(reason.code, 'ERR_SOCKET_DESTROYED');
        }
        await turn();
      });
    }
  }

  it('is not reported as unhandled when the promise is ignored', limit, async (t) => {
    const raw = await rawServer(t);
    const run = program(
      t,
      async (sockhop, port) => {
        process.on('unhandledRejection', (error) => console.log('unhandled', error));
        const client = new sockhop.client({ port });
        client.on('disconnect', () => setTimeout(() => console.log('done'), 50));
        await client.connect();
        for (let i = 0; i < 10; i += 1) client.send('x'.repeat(8 * 2 ** 20));
        console.log('sent');
      },
      raw.where.port,
    );
    const wire = await raw.accept();
    wire.socket.pause();
    await run.line('sent');
    wire.socket.resetAndDestroy();
    await run.line('done');
    const { lines } = await run.ended();
    assert.deepEqual(lines, ['sent', 'done']);
  });
});

describe('stream.next() and all() after a time-out', () => {
  for (const [role, connect] of Object.entries(roles)) {
    it(`${role}: reject with the error`, limit, async (t) => {
      const { side, wire, socket } = await connect(t);
      const config = { timeout: 50 };
      const request = (data) =>
        role === 'client' ? side.request(data, config) : side.request(socket, data, config);
      const streams = [await request('first'), await request('second'), await request('third')];
      const [first, second, third] = streams;
      const frames = await wire.take('frame', 3);
      // A part of the answer, which must not be taken for the whole answer.
      wire.write({
        type: 'SockhopResponsePacket',
        data: { uuid: frames[1].json.data.uuid, type: 'String', data: 'part', last: false },
      });
      const timeOut = { code: 'ERR_RESPONSE_TIMEOUT' };
      const waiting = Promise.all([
        assert.rejects(first.next(), timeOut),
        assert.rejects(second.all(), timeOut),
      ]);
      const ended = new Promise((resolve) => third.once('end', resolve));
      assert.equal((await deadline(ended, 'the stream to end')).code, 'ERR_RESPONSE_TIMEOUT');
      await deadline(waiting, 'next() and all() to reject');
      await assert.rejects(deadline(third.next(), 'next() after the time-out'), timeOut);
      await assert.rejects(deadline(third.all(), 'all() after the time-out'), timeOut);
    });
  }
});

describe('a handler that throws', () => {
  const onServer = async (sockhop, port) => {
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const server = new sockhop.server({ port });
    server.on('receive', (n) => {
      console.log(n);
      if (n % 2 === 0) throw new Error(`even ${n}`);
      if (n === 5) server.close();
    });
    await server.listen();
    console.log('ready');
  };

  const onClient = async (sockhop, port) => {
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const client = new sockhop.client({ port });
    client.on('receive', (n) => {
      console.log(n);
      if (n % 2 === 0) throw new Error(`even ${n}`);
      if (n === 5) client.disconnect();
    });
    await client.connect();
    console.log('ready');
  };

  const inCallback = async (sockhop, port) => {
    process.on('uncaughtException', (error) => console.log('uncaught', error.message));
    const client = new sockhop.client({ port });
    client.on('receive', (n) => {
      console.log(n);
      if (n === 5) client.disconnect();
    });
    await client.connect();
    client.send('question', (answer) => {
      console.log('answer', answer);
      throw new Error('in the callback');
    });
    console.log('ready');
  };

  const numbers = [1, 2, 3, 4, 5].map((data) => ({ type: 'Number', data }));

  it('server: the other frames of the chunk are delivered', limit, async (t) => {
    const port = await freePort();
    const run = program(t, onServer, port);
    await run.line('ready');
    const wire = await rawClient(t, { port });
    wire.write(...numbers);
    const { code, lines } = await run.ended();
    assert.equal(code, 0);
    assert.deepEqual(
      lines.filter((line) => /^\d$/.test(line)),
      ['1', '2', '3', '4', '5'],
    );
    assert.deepEqual(
      lines.filter((line) => line.startsWith('uncaught')),
      ['uncaught even 2', 'uncaught even 4'],
    );
  });

  it('client: the other frames of the chunk are delivered', limit, async (t) => {
    const raw = await rawServer(t);
    const run = program(t, onClient, raw.where.port);
    const wire = await raw.accept();
    await run.line('ready');
    wire.write(...numbers);
    const { code, lines } = await run.ended();
    assert.equal(code, 0);
    assert.deepEqual(
      lines.filter((line) => /^\d$/.test(line)),
      ['1', '2', '3', '4', '5'],
    );
    assert.deepEqual(
      lines.filter((line) => line.startsWith('uncaught')),
      ['uncaught even 2', 'uncaught even 4'],
    );
  });

  it('callback: the frames after the answer are delivered', limit, async (t) => {
    const raw = await rawServer(t);
    const run = program(t, inCallback, raw.where.port);
    const wire = await raw.accept();
    const { id } = await wire.frame();
    wire.write({ type: 'String', data: 'yes', callback_id: id }, ...numbers);
    const { code, lines } = await run.ended();
    assert.equal(code, 0);
    assert.deepEqual(lines.filter((line) => line !== 'ready').sort(), [
      '1',
      '2',
      '3',
      '4',
      '5',
      'answer yes',
      'uncaught in the callback',
    ]);
  });

  it('without a handler of its own the program ends with that error', limit, async (t) => {
    const port = await freePort();
    const run = program(
      t,
      async (sockhop, place) => {
        const server = new sockhop.server({ port: place });
        server.on('receive', () => {
          throw new Error('the reason');
        });
        await server.listen();
        console.log('ready');
      },
      port,
    );
    await run.line('ready');
    const wire = await rawClient(t, { port });
    wire.write({ type: 'Number', data: 1 });
    const { code, stderr } = await run.ended();
    assert.equal(code, 1);
    // Bun begins it with a small letter.
    assert.match(stderr, /error: the reason/i);
  });
});

describe('send() before the first connect()', () => {
  it('rejects', limit, async (t) => {
    const { client, log } = makeClient(t, { port: await freePort() });
    const error = await client.send({ a: 1 }).then(
      () => null,
      (reason) => reason,
    );
    assert.ok(error instanceof impl.error);
    assert.equal(error.code, 'ERR_SOCKET_DESTROYED');
    await assert.rejects(
      client.send({ a: 1 }, () => {}),
      { code: 'ERR_SOCKET_DESTROYED' },
    );
    assert.deepEqual(log.names(), []);
  });

  it('waits while connecting', limit, async (t) => {
    const { where, log } = await startServer(t);
    const { client } = makeClient(t, where);
    const connecting = client.connect();
    await client.send({ a: 1 });
    await connecting;
    await client.send({ a: 2 });
    assert.deepEqual((await log.next('receive')).args[0], { a: 1 });
    assert.deepEqual((await log.next('receive')).args[0], { a: 2 });
  });
});

describe('port 0', () => {
  it('is an ephemeral port, which the server reports', limit, async (t) => {
    const server = new impl.server({ port: 0 });
    cleanup(t, () => server.close());
    const log = record(server);
    const listener = await server.listen();
    const { address, family, port } = listener.address();
    assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
    assert.ok(Number.isInteger(port) && port > 0 && port !== 50_000, `${port}`);
    assert.deepEqual(server.server.address(), { address, family, port });
    assert.equal(server.get_bound_address(), '127.0.0.1');
    await startClient(t, { port });
    await log.next('connect');
  });

  it('is another one for another server', limit, async (t) => {
    const ports = new Set();
    for (let i = 0; i < 3; i += 1) {
      const server = new impl.server({ port: 0 });
      cleanup(t, () => server.close());
      ports.add((await server.listen()).address().port);
    }
    assert.equal(ports.size, 3);
  });
});
