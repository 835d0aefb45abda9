'use strict';

// Tests `values: "rich"` between two ends: values arrive unchanged, and any other peer is
// recognised before it gets a byte that it does not understand.

const assert = require('node:assert/strict');
const { execFile, fork } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { promisify } = require('node:util');

const { endpoint, nodeEndpoint, transports } = require('./support/addresses.js');
const { hierarchy } = require('./support/certificates.js');
const { cleanup } = require('./support/cleanup.js');
const { richFrame } = require('./support/codec.js');
const { until } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');
const { implementations } = require('./support/implementations.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { rawClient, rawServer } = require('./support/raw.js');
const { recordingProxy } = require('./support/recording-proxy.js');

const original = require(implementations.original);
const limit = { timeout: 600_000 };
const rich = { values: 'rich' };
const UNSUPPORTED = { name: 'Error', code: 'ERR_VALUES_UNSUPPORTED' };
const MARK = 0xff;
const SWITCH = '\t'.repeat(8);

/** One of each kind of value. */
const everything = () => ({
  buffer: Buffer.from('bytes'),
  floats: new Float64Array([1.5, NaN]),
  memory: new Uint8Array([1, 2]).buffer,
  view: new DataView(new ArrayBuffer(3)),
  date: new Date(86_400_000),
  map: new Map([[{ key: 1n }, new Set([undefined, NaN])]]),
  big: -(2n ** 80n),
  nothing: undefined,
  numbers: [NaN, Infinity, -Infinity, -0],
  nested: [[{ deep: new Map([[new Date(1), Buffer.alloc(3)]]) }]],
});

class Reading {
  constructor(value) {
    this.value = value;
    this.at = new Date(5);
  }
}

async function pair(t, { transport, options = {} } = {}) {
  const { server, log, where } = await startServer(
    t,
    { ...rich, ...options },
    await endpoint(t, transport),
  );
  const { client, log: clientLog } = await startClient(t, where, { ...rich, ...options });
  const [socket] = (await log.next('connect')).args;
  return { server, log, where, client, clientLog, socket };
}

const ask = (send) =>
  new Promise((resolve, reject) => {
    send(resolve).catch(reject);
  });

describe('rich values arrive unchanged', () => {
  for (const transport of transports) {
    it(`in every kind of message, both ways (${transport})`, limit, async (t) => {
      const { server, log, client, clientLog, socket } = await pair(t, { transport });
      server.on('receive', (object, meta) => meta.callback?.({ echo: object }));
      client.on('receive', (object, meta) => meta.callback?.({ echo: object }));
      await client.send(everything());
      assert.deepStrictEqual((await log.next('receive')).args[0], everything());
      await server.send(socket, everything());
      assert.deepStrictEqual((await clientLog.next('receive')).args[0], everything());
      const [answer] = await Promise.all([ask((callback) => client.send(everything(), callback))]);
      assert.deepStrictEqual(answer, { echo: everything() });
      assert.deepStrictEqual(await server.call(socket, everything()), { echo: everything() });
      await server.sendall(everything());
      await clientLog.next('receive');
      assert.deepStrictEqual((await clientLog.next('receive')).args[0], everything());
      assert.equal(log.count('error') + clientLog.count('error'), 0);
    });
  }

  it('in requests and in the packets of answers', limit, async (t) => {
    const { server, client } = await pair(t);
    server.on('request', async (request, response) => {
      await response.write({ asked: request.data });
      await response.send(new Map([['last', request.data.big]]));
    });
    const stream = await client.request(everything());
    const packets = await stream.all();
    assert.deepStrictEqual(packets, [
      { data: { asked: everything() }, type: 'Object' },
      { data: new Map([['last', everything().big]]), type: 'Map' },
    ]);
  });

  it('with the names of their classes', limit, async (t) => {
    const { log, client } = await pair(t);
    const sent = [
      new Reading(1n),
      new Map([[1, 2]]),
      new Date(3),
      Buffer.from('b'),
      5n,
      [NaN],
      'text',
    ];
    for (const value of sent) await client.send(value);
    const received = await log.take('receive', sent.length);
    assert.deepEqual(
      received.map(({ args }) => args[1].type),
      ['Reading', 'Map', 'Date', 'Buffer', 'BigInt', 'Array', 'String'],
    );
    assert.deepStrictEqual(
      received.map(({ args }) => args[0]),
      [{ value: 1n, at: new Date(5) }, ...sent.slice(1)],
    );
  });

  it(
    'in order, with messages from handlers of connect and before there is a connection',
    limit,
    async (t) => {
      const { server, where } = await startServer(t, rich);
      server.on('connect', (socket) => {
        for (let n = 0; n < 5; n++) server.send(socket, { n: BigInt(n) });
        server.sendall({ n: 5n });
      });
      const received = [];
      server.on('receive', ({ n }) => received.push(n));
      const { client, log } = makeClient(t, where, { ...rich, offline_queue: 10 });
      client.on('connect', () => client.send({ n: 1n }));
      const early = client.send({ n: 0n });
      await client.connect();
      await early;
      await client.send({ n: 2n });
      await until(() => received.length === 3, 'the server has three messages');
      assert.deepEqual([...received].sort(), [0n, 1n, 2n]);
      const greeted = await log.take('receive', 6);
      assert.deepEqual(
        greeted.map(({ args }) => args[0].n),
        [0n, 1n, 2n, 3n, 4n, 5n],
      );
    },
  );

  it('through methods that the program has replaced', limit, async (t) => {
    const seen = [];
    class Client extends impl.client {
      _on_recieved_object(message) {
        seen.push(message.data);
        super._on_recieved_object(message);
      }

      _send_message(message) {
        return super._send_message({ ...message, data: new Map([['wrapped', message.data]]) });
      }
    }
    const { server, log, where } = await startServer(t, rich);
    server.on('receive', (object, meta) => meta.callback?.(object));
    const { client, log: clientLog } = makeClient(t, where, rich, Client);
    await client.connect();
    const answer = await ask((callback) => client.send({ big: 1n }, callback));
    const wrapped = new Map([['wrapped', { big: 1n }]]);
    assert.deepStrictEqual(answer, wrapped);
    // It sees pings and pongs as well, as in 1.8.4.
    assert.deepStrictEqual(seen.at(-1), wrapped);
    assert.equal(log.count('error') + clientLog.count('error'), 0);
  });

  it('in large and in many messages', limit, async (t) => {
    const { server, log, client, socket } = await pair(t);
    const large = { bytes: Buffer.alloc(5_000_000, 7), map: new Map([[1, 'x'.repeat(300_000)]]) };
    client.send(large);
    for (let n = 0; n < 3000; n++)
      client.send({ n, at: new Date(n), bytes: Buffer.alloc(n % 200, n) });
    assert.deepStrictEqual((await log.next('receive')).args[0], large);
    const many = await log.take('receive', 3000);
    for (const [n, { args }] of many.entries()) {
      assert.deepStrictEqual(args[0], { n, at: new Date(n), bytes: Buffer.alloc(n % 200, n) });
    }
    const flags = server.stats();
    assert.equal(flags.messages_received, 3001);
    assert.equal(socket.destroyed, false);
  });

  it('while bytes wait for a peer that does not read yet', limit, async (t) => {
    const { server, clientLog, client, socket } = await pair(t);
    client.socket.pause();
    const sent = [];
    for (let n = 0; n < 200; n++)
      sent.push(server.send(socket, { n, bytes: Buffer.alloc(100_000, n) }));
    client.socket.resume();
    await Promise.all(sent);
    const received = await clientLog.take('receive', 200);
    assert.ok(
      received.every(({ args }, n) => args[0].n === n && args[0].bytes[99_999] === n % 256),
    );
  });

  for (const transport of transports) {
    it(`to all clients, in order with messages to single ones (${transport})`, limit, async (t) => {
      const COUNT = 40;
      const { server, log, where } = await startServer(t, rich, await endpoint(t, transport));
      const logs = [];
      for (let i = 0; i < COUNT; i++) logs.push((await startClient(t, where, rich)).log);
      await log.take('connect', COUNT);
      const send = (n) => {
        const message = { n: BigInt(n), at: new Date(n), bytes: Buffer.alloc(2000, n) };
        if (n % 3 === 0) for (const socket of server.sockets) server.send(socket, message);
        else server.sendall(message);
      };
      for (let n = 0; n < 60; n++) send(n);
      const { log: late } = await startClient(t, where, rich);
      await log.next('connect');
      for (let n = 60; n < 120; n++) send(n);
      const numbers = async (of, count) =>
        (await of.take('receive', count)).map(({ args: [{ n, at, bytes }] }) => {
          assert.equal(at.getTime(), Number(n));
          assert.ok(bytes.equals(Buffer.alloc(2000, Number(n))));
          return Number(n);
        });
      for (const each of logs) assert.deepEqual(await numbers(each, 120), [...Array(120).keys()]);
      assert.deepEqual(
        await numbers(late, 60),
        Array.from({ length: 60 }, (_, i) => 60 + i),
      );
      // The client gets a pong for each as well.
      assert.equal(server.stats().messages_sent, 120 * COUNT + 60 + COUNT + 1);
    });
  }

  it('to all clients but one that is too slow', limit, async (t) => {
    const { server, log, where } = await startServer(t, {
      ...rich,
      slow_consumer: 'drop',
      send_high_water_mark: 100_000,
    });
    const { client: slow, log: slowLog } = await startClient(t, where, rich);
    const { log: quick } = await startClient(t, where, rich);
    await log.take('connect', 2);
    slow.socket.pause();
    for (let n = 0; n < 400; n++) {
      // Its promise waits for the slow client.
      server.sendall({ n: BigInt(n), bytes: Buffer.alloc(50_000, n) });
      await quick.next('receive', ({ args: [object] }) => object.n === BigInt(n));
    }
    const { refused_messages: refused } = server.stats();
    assert.ok(refused > 0 && refused < 400, `${refused} messages were refused`);
    slow.socket.resume();
    const received = await slowLog.take('receive', 400 - refused);
    for (const { args } of received) {
      const { n, bytes } = args[0];
      assert.ok(bytes.equals(Buffer.alloc(50_000, Number(n))), `no. ${n}`);
    }
    await server.sendall({ last: 1n });
    assert.deepStrictEqual((await slowLog.next('receive')).args[0], { last: 1n });
    assert.equal(slowLog.count('error') + log.count('error'), 0);
  });

  it('over TLS', limit, async (t) => {
    const authority = await hierarchy();
    const identity = { cert: authority.chain, key: authority.server.key };
    const { server, where } = await startServer(t, { ...rich, ssl_options: identity });
    server.on('receive', (object, meta) => meta.callback?.(object));
    const trust = { ca: authority.root.cert, servername: 'localhost' };
    const { client } = await startClient(t, where, { ...rich, ssl: true, ssl_options: trust });
    assert.deepStrictEqual(await client.call(everything()), everything());
  });

  it('over streams that the program brings, on both sides', limit, async (t) => {
    const { server, log, where } = await startServer(t, rich);
    const front = net.createServer((stream) => server.server.emit('connection', stream));
    cleanup(t, () => front.close());
    await new Promise((resolve) => front.listen(0, '127.0.0.1', resolve));
    server.on('receive', (object, meta) => meta.callback?.(object));
    for (const port of [front.address().port, where.port]) {
      const { client, log: clientLog } = makeClient(t, where, rich);
      client.socket = net.connect(port, '127.0.0.1');
      const early = client.send(everything());
      assert.deepStrictEqual(await client.call({ n: 1n }), { n: 1n });
      await early;
      const large = { bytes: Buffer.alloc(1_000_000, 5), text: 'ä'.repeat(100_000) };
      assert.deepStrictEqual(await client.call(large), large);
      await server.sendall(everything());
      assert.deepStrictEqual((await clientLog.next('receive')).args[0], everything());
      const { args } = await log.next('receive', ({ args: [object] }) => 'big' in object);
      assert.deepStrictEqual(args[0], everything());
      await client.disconnect();
    }
    assert.equal(log.count('error'), 0);
  });

  it('over TLS of OpenSSL', limit, async (t) => {
    const authority = await hierarchy();
    const sigalgs = 'ecdsa_secp256r1_sha256:RSA-PSS+SHA256';
    const identity = { cert: authority.chain, key: authority.server.key, sigalgs };
    const { server, where } = await startServer(t, { ...rich, ssl_options: identity });
    server.on('receive', (object, meta) => meta.callback?.(object));
    const trust = { ca: authority.root.cert, servername: 'localhost', sigalgs };
    const { client } = await startClient(t, where, { ...rich, ssl: true, ssl_options: trust });
    assert.deepStrictEqual(await client.call(everything()), everything());
  });

  for (const [name, flags, env] of [
    ['without compiled functions', ['--disallow-code-generation-from-strings'], {}],
    ['read by the I/O threads', [], { SOCKHOP_READER: 'runtime' }],
  ]) {
    it(name, limit, async () => {
      const program = path.join(__dirname, 'programs', 'rich-echo.js');
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, program], {
        env: { ...process.env, ...env },
      });
      assert.equal(stdout, 'echoed\n');
    });
  }

  it('in worker threads', limit, async () => {
    const { Worker } = require('node:worker_threads');
    const worker = new Worker(path.join(__dirname, 'programs', 'rich-echo.js'), { stdout: true });
    let text = '';
    worker.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
    });
    const [code] = await once(worker, 'exit');
    assert.deepEqual({ code, text }, { code: 0, text: 'echoed\n' });
  });
});

describe('values that cannot be sent', () => {
  it('are an error of the call, and the next message arrives', limit, async (t) => {
    const { server, log, client, socket } = await pair(t);
    const circle = new Map();
    circle.set('self', circle);
    for (const sent of [
      client.send(circle),
      server.send(socket, { circle }),
      server.sendall([circle]),
    ]) {
      await assert.rejects(sent, { name: 'TypeError', message: /^Converting circular structure/ });
    }
    await client.send({ fine: 1n });
    assert.deepStrictEqual((await log.next('receive')).args[0], { fine: 1n });
  });

  it('are larger than the peer accepts', limit, async (t) => {
    const { server, log, where } = await startServer(t, { ...rich, max_message_size: 10_000 });
    const { client } = await startClient(t, where, rich);
    await client.send({ bytes: Buffer.alloc(9000) });
    await log.next('receive');
    client.send({ bytes: Buffer.alloc(11_000) }).catch(() => {});
    assert.equal((await log.next('error')).args[0].code, 'ERR_MESSAGE_TOO_LARGE');
    await log.next('disconnect');
    assert.equal(server.sockets.length, 0);
  });
});

/** Servers that do not take rich values, each with the objects that its program receives. */
const SERVERS = {
  'sockhop 1.8.4': (t, where) => startOriginal(t, where, {}),
  'sockhop 1.8.4 with peer_type "json"': (t, where) =>
    startOriginal(t, where, { peer_type: 'json' }),
  'this package': (t, where) => startServer(t, {}, where),
  'this package with codec "json"': (t, where) => startServer(t, { codec: 'json' }, where),
  'this package with peer_type "json"': (t, where) => startServer(t, { peer_type: 'json' }, where),
};

async function startOriginal(t, where, options) {
  const server = new original.server({ ...where, ...options });
  const log = record(server);
  cleanup(t, () => server.close());
  await server.listen();
  return { server, log };
}

describe('a client with rich values', () => {
  for (const [name, start] of Object.entries(SERVERS)) {
    it(
      `does not connect to a server of ${name}, whose program sees no message`,
      limit,
      async (t) => {
        const where = await endpoint(t);
        const near = await endpoint(t);
        const { log } = await start(t, where);
        const wire = await recordingProxy(t, near, where);
        const { client } = makeClient(t, near, rich);
        const sent = new Promise((resolve) => {
          client.on('connect', () => client.send(everything()).catch(resolve));
        });
        await assert.rejects(client.connect(), { ...UNSUPPORTED, message: /"values" is "rich"/ });
        assert.equal((await sent).code, 'ERR_VALUES_UNSUPPORTED');
        assert.equal(client.connected, false);
        await log.next('disconnect');
        assert.equal(log.count('receive') + log.count('error'), 0, log.summary());
        // A byte that is in no UTF-8 text would be U+FFFD.
        const texts = wire.all('up').map(({ text }) => text);
        assert.ok(
          texts.length > 0 &&
            texts.every((text) => /^\{"type":"SockhopP[io]ng"[^\ufffd]*$/.test(text)),
          texts.join(),
        );
      },
    );
  }

  it('names the peer, and the remedy', limit, async (t) => {
    const { where } = await startServer(t);
    const { client } = makeClient(t, where, rich);
    const err = await client.connect().catch((thrown) => thrown);
    assert.equal(err.port, where.port);
    assert.match(err.cause.message, /on both ends/);
    assert.equal(client.stats().last_connect_error, 'ERR_VALUES_UNSUPPORTED');
  });

  it('does not connect to a server of bare JSON that sends a value', limit, async (t) => {
    const raw = await rawServer(t);
    const { client, log } = makeClient(t, raw.where, rich);
    const connected = client.connect();
    const wire = await raw.accept();
    wire.write({ temperature: 5 });
    await assert.rejects(connected, UNSUPPORTED);
    assert.equal(log.count('receive'), 0);
    const { type, data } = await wire.frame();
    assert.deepEqual([type, data.values], ['SockhopPing', 'rich']);
  });

  it('does not wait for a silent server longer than connect_timeout', limit, async (t) => {
    const raw = await rawServer(t);
    const { client } = makeClient(t, raw.where, { ...rich, connect_timeout: 200 });
    await assert.rejects(client.connect(), { ...UNSUPPORTED, message: /within 200 ms/ });
  });

  it('reports each attempt of auto_reconnect', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, where, { ...rich, auto_reconnect_interval: 10 });
    client.auto_reconnect = true;
    for (const { args } of await log.take('error', 2))
      assert.equal(args[0].code, 'ERR_VALUES_UNSUPPORTED');
  });

  it('tries the next server of addresses', limit, async (t) => {
    const plain = await startServer(t);
    const { where, log } = await startServer(t, rich);
    const { client } = makeClient(t, {}, { ...rich, addresses: [plain.where, where] });
    await client.connect();
    await client.send({ big: 1n });
    assert.deepStrictEqual((await log.next('receive')).args[0], { big: 1n });
  });

  it('says so for a stream of the program', limit, async (t) => {
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, where, rich);
    client.socket = net.connect(nodeEndpoint(where));
    assert.equal((await log.next('error')).args[0].code, 'ERR_VALUES_UNSUPPORTED');
  });
});

describe('a server with rich values', () => {
  const CLIENTS = {
    'sockhop 1.8.4': original.client,
    'this package': impl.client,
  };
  for (const [name, Client] of Object.entries(CLIENTS)) {
    it(`refuses a client of ${name}, whose program sees no message`, limit, async (t) => {
      const { server, log, where } = await startServer(t, rich);
      const sent = new Promise((resolve) => {
        server.on('connect', (socket) => server.send(socket, everything()).catch(resolve));
      });
      const { client, log: clientLog } = makeClient(t, where, {}, Client);
      await client.connect();
      const [err, socket] = (await log.next('error')).args;
      assert.equal(err.code, 'ERR_VALUES_UNSUPPORTED');
      assert.equal(socket.remotePort, err.port);
      assert.equal((await sent).code, 'ERR_VALUES_UNSUPPORTED');
      await clientLog.next('disconnect');
      assert.equal(clientLog.count('receive') + clientLog.count('error'), 0, clientLog.summary());
    });

    it(`refuses a client of ${name} that sends at once`, limit, async (t) => {
      const { log, where } = await startServer(t, rich);
      const { client } = makeClient(t, where, {}, Client);
      await client.connect();
      client.send({ at: new Date(1) }).catch(() => {});
      assert.equal((await log.next('error')).args[0].code, 'ERR_VALUES_UNSUPPORTED');
      assert.equal(log.count('receive'), 0);
    });
  }

  it('sends to the clients that take rich values, and refuses the others', limit, async (t) => {
    const { server, log, where } = await startServer(t, rich);
    const { log: first } = await startClient(t, where, rich);
    await rawClient(t, where);
    const { log: second } = await startClient(t, where, rich);
    await log.take('connect', 3);
    server.sendall({ big: 1n });
    for (const clientLog of [first, second]) {
      assert.deepStrictEqual((await clientLog.next('receive')).args[0], { big: 1n });
    }
  });

  it('refuses a client that says nothing for handshake_timeout', limit, async (t) => {
    const { log, where } = await startServer(t, { ...rich, handshake_timeout: 200 });
    const wire = await rawClient(t, where);
    assert.match((await log.next('error')).args[0].message, /within 200 ms/);
    await wire.next('close');
  });

  it('sends no JSON to groups and nodes', limit, async (t) => {
    const { server } = await startServer(t, rich);
    assert.throws(() => server.cluster, UNSUPPORTED);
    assert.throws(() => server.sendall({ a: 1 }, { except: 'x.1' }), UNSUPPORTED);
  });
});

describe('a program that reads the bytes of a socket', () => {
  it('gets the bytes on the wire, and messages continue', limit, async (t) => {
    const { server, log, client, socket } = await pair(t);
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await client.send({ n: 1n });
    assert.deepStrictEqual((await log.next('receive')).args[0], { n: 1n });
    await until(() => Buffer.concat(chunks).includes(MARK), 'the bytes have arrived');
    assert.deepEqual(server.sockets, [socket]);
  });

  it('may be the only reader', limit, async (t) => {
    const { log, client, socket } = await pair(t);
    await client.send({ n: 1n });
    await log.next('receive');
    socket.removeAllListeners('data');
    const read = once(socket, 'data');
    client.socket.write('bytes of another protocol\t\n');
    assert.equal(String(await read), 'bytes of another protocol\t\n');
    assert.equal(log.count('error'), 0);
  });

  it('cannot give the connection to another process', limit, async (t) => {
    const { socket } = await pair(t);
    const child = fork('-e', ['process.on("message", () => {})'], {
      execPath: process.execPath,
      execArgv: [],
    });
    cleanup(t, () => child.kill('SIGKILL'));
    assert.throws(() => child.send('take it', socket), UNSUPPORTED);
  });
});

describe('the option values', () => {
  for (const other of [
    { codec: 'json' },
    { peer_type: 'json' },
    { debug: true },
    { terminator: ' \n' },
  ]) {
    it(`cannot be "rich" with ${JSON.stringify(other)}`, () => {
      for (const Endpoint of [impl.client, impl.server]) {
        assert.throws(() => new Endpoint({ ...rich, ...other }), {
          name: 'TypeError',
          code: 'ERR_INVALID_ARG_VALUE',
          message: /"options.values" property must be left out, or "json", together with/,
        });
      }
    });
  }

  it('cannot be "rich" in a cluster', () => {
    const { memory, MemoryBus } = require('../lib/cluster/memory.js');
    const options = { ...rich, cluster: memory({ bus: new MemoryBus() }) };
    assert.throws(() => new impl.server(options), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /cluster/,
    });
  });

  it('is refused when the program makes JSON itself', limit, async (t) => {
    const { where } = await startServer(t, rich);
    const { client } = makeClient(t, where, rich);
    client._objectbuffer.obj2buf = () => Buffer.from('{}\n');
    await assert.rejects(client.connect(), { ...UNSUPPORTED, message: /ObjectBuffer/ });
  });
});

// ---- bytes of a peer ----------------------------------------------------------------------------

const announcement = JSON.stringify({ type: 'SockhopPing', data: { _id: 'x', values: 'rich' } });
const message = (n) => richFrame({ type: 'Object', data: { n } });

describe('a peer that speaks rich values by hand', () => {
  it('is understood, and bad frames are skipped', limit, async (t) => {
    const { log, where } = await startServer(t, rich);
    const wire = await rawClient(t, where);
    assert.equal((await wire.frame()).data.values, 'rich');
    wire.write(announcement);
    assert.equal((await wire.frame()).type, 'SockhopPong');
    const bad = message(2n);
    bad[bad.indexOf(0xbb)] = 0xbf;
    const other = message(2n);
    other[1] = 7;
    wire.socket.write(
      Buffer.concat([
        Buffer.from(`${SWITCH}\n`),
        message(1n),
        bad,
        other,
        richFrame(new Map()),
        richFrame(5n),
        Buffer.from('{"type":"Object","data":{"json":1}}\n'),
        message(3n),
      ]),
    );
    const received = await log.take('receive', 2);
    assert.deepStrictEqual(
      received.map(({ args }) => args[0]),
      [{ n: 1n }, { n: 3n }],
    );
    const errors = await log.take('error', 5);
    assert.ok(errors.every(({ args }) => args[0].code === 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA'));
  });

  it('may send pongs that JSON cannot express', limit, async (t) => {
    const { log, where } = await startServer(t, rich);
    const wire = await rawClient(t, where);
    wire.write(announcement);
    const pong = richFrame({ type: 'SockhopPong', data: { _id: 5n } });
    wire.socket.write(Buffer.concat([Buffer.from(`${SWITCH}\n`), pong, message(1n)]));
    assert.deepEqual((await log.next('receive')).args[0], { n: 1n });
    assert.equal(log.count('error'), 0);
  });

  it('is refused if it sends a message before its announcement', limit, async (t) => {
    const { log, where } = await startServer(t, rich);
    const wire = await rawClient(t, where);
    wire.socket.write(Buffer.concat([Buffer.from(`${SWITCH}\n`), message(1n)]));
    assert.equal((await log.next('error')).args[0].code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
    wire.write({ type: 'Object', data: {} });
    assert.equal((await log.next('error')).args[0].code, 'ERR_VALUES_UNSUPPORTED');
    await wire.next('close');
    assert.equal(log.count('receive'), 0);
  });

  it('gets no rich value before its announcement', limit, async (t) => {
    const { client, wire } = await (async () => {
      const raw = await rawServer(t);
      const made = makeClient(t, raw.where, rich);
      const connected = made.client.connect();
      const end = await raw.accept();
      made.client.send({ n: 1n });
      await end.frame();
      end.write({ type: 'SockhopPing', data: { _id: 'mine' } });
      await end.frame(({ type }) => type === 'SockhopPong');
      assert.equal(Buffer.concat(end.all('data').map(({ bytes }) => bytes)).includes(MARK), false);
      end.write(announcement);
      await connected;
      return { client: made.client, wire: end };
    })();
    assert.equal(client.connected, true);
    await wire.next('data', ({ bytes }) => bytes.includes(MARK));
  });
});

it('is not noticed by programs with JSON values', limit, async (t) => {
  const { client, wire } = await clientOnWire(t);
  await client.send({ at: new Date(0) });
  assert.deepEqual(await wire.frame(), {
    type: 'Object',
    data: { at: '1970-01-01T00:00:00.000Z' },
  });
});
