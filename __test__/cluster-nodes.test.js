'use strict';

// Tests servers in one process that act as one, over every engine.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { inspect, promisify } = require('node:util');

const { freePort } = require('./support/addresses.js');
const { brokers } = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { startNode, startNodes } = require('./support/nodes.js');

const limit = { timeout: 600_000 };

class Price {
  constructor(value) {
    this.value = value;
  }
}

const received = async (log) => (await log.next('receive')).object;

/** Two nodes, each with a client. */
async function twoNodes(t, broker, options, serverOptions) {
  const [a, b] = await startNodes(t, broker, 2, options, serverOptions);
  return { a, b, onA: await a.client(), onB: await b.client() };
}

const ask = (handle, object) =>
  new Promise((resolve, reject) => {
    handle.send(object, (answer, meta) => resolve({ answer, meta })).catch(reject);
  });

/**
 * The engines that are tested with `SOCKHOP_BRIEF`: one client of each broker. The other clients only
 * change the engine, and cluster-engines.test.js tests all engines.
 */
const BRIEF = ['memory', 'workers of node:cluster', '@nats-io/transport-node', 'ioredis'];
const chosen = brokers.filter(({ name }) => !process.env.SOCKHOP_BRIEF || BRIEF.includes(name));

for (const { name, skip, start } of chosen) {
  describe(`a cluster over ${name}`, { ...limit, skip }, () => {
    it('delivers sendall() to every client of every node, once and in order', async (t) => {
      const broker = await start(t);
      const { a, b, onA, onB } = await twoNodes(t, broker);
      for (let n = 1; n <= 50; n += 1) a.server.sendall({ n });
      await b.server.sendall(new Price(7));
      for (const { log } of [onA, onB]) {
        const numbers = [];
        for (let n = 0; n < 51; n += 1) {
          const { object, meta } = await log.next('receive');
          if (meta.type === 'Price') assert.deepEqual(object, { value: 7 });
          else numbers.push(object.n);
        }
        assert.deepEqual(
          numbers,
          Array.from({ length: 50 }, (_, n) => n + 1),
        );
      }
    });

    it('sends to the clients of this server alone, and leaves sessions out, if asked to', async (t) => {
      const broker = await start(t);
      const { a, onA, onB } = await twoNodes(t, broker);
      await a.server.sendall({ n: 1 }, { local: true });
      await a.server.sendall({ n: 2 }, { except: onB.id });
      await a.server.sendall({ n: 3 }, { except: [onA.id] });
      await a.server.sendall({ n: 4 });
      assert.deepEqual(
        [await received(onA.log), await received(onA.log), await received(onA.log)],
        [{ n: 1 }, { n: 2 }, { n: 4 }],
      );
      assert.deepEqual([await received(onB.log), await received(onB.log)], [{ n: 3 }, { n: 4 }]);
    });

    it('counts the clients of all nodes, and lists the nodes', async (t) => {
      const broker = await start(t);
      const { a, b } = await twoNodes(t, broker);
      await b.client();
      await until(() => a.cluster.count() === 3, 'the heartbeat tells the new client');
      assert.deepEqual([...a.cluster.nodes.keys()].sort(), [a.cluster.node, b.cluster.node].sort());
      const info = a.cluster.nodes.get(b.cluster.node);
      assert.equal(info.pid, process.pid);
      assert.equal(info.sessions, 2);
      assert.ok(Date.now() - info.last_heard < 60_000);
    });

    it('addresses a session of any node: message, answer, request, end', async (t) => {
      const broker = await start(t);
      const { a, b, onB } = await twoNodes(t, broker);
      const { client, log, id } = onB;
      const handle = a.cluster.session(id);
      assert.equal(handle.node, b.cluster.node);
      assert.equal(handle.id, id);
      client.on('receive', (_object, meta) => meta.callback?.({ sum: 3 }));
      await handle.send(new Price(1));
      const { object, meta } = await log.next('receive');
      assert.deepEqual({ object, type: meta.type }, { object: { value: 1 }, type: 'Price' });
      const { answer, meta: answered } = await deadline(ask(handle, { ask: 1 }), 'the answer');
      assert.deepEqual({ answer, type: answered.type }, { answer: { sum: 3 }, type: 'Object' });
      client.on('request', async (request, response) => {
        for (const n of [1, 2]) await response.write({ n, of: request.data.many });
        response.send(new Price(3));
      });
      const stream = await handle.request({ many: 3 });
      assert.deepEqual(await stream.all(), [
        { data: { n: 1, of: 3 }, type: 'Object' },
        { data: { n: 2, of: 3 }, type: 'Object' },
        { data: { value: 3 }, type: 'Price' },
      ]);
      assert.equal(await handle.exists(), true);
      await handle.kill();
      await log.next('disconnect');
      assert.equal(await handle.exists(), false);
      await assert.rejects(handle.send({ late: 1 }), { code: 'ERR_CLUSTER_NO_SESSION' });
    });

    it('rejects messages to a node that does not exist at once', async (t) => {
      const broker = await start(t);
      const { a } = await twoNodes(t, broker);
      const gone = a.cluster.session(`${'x'.repeat(16)}.1`);
      await assert.rejects(gone.send({ n: 1 }), { code: 'ERR_CLUSTER_NO_NODE' });
      await assert.rejects(gone.request({ n: 1 }), { code: 'ERR_CLUSTER_NO_NODE' });
      await assert.rejects(gone.kill(), { code: 'ERR_CLUSTER_NO_NODE' });
      assert.equal(await gone.exists(), false);
    });

    it('sends to the members of a group on all nodes, and to no other session', async (t) => {
      const broker = await start(t);
      const { a, b, onA, onB } = await twoNodes(t, broker);
      const other = await b.client();
      const room = a.cluster.group('room 5 . * >');
      await a.cluster.join(onA.session, room.name);
      await a.cluster.session(onB.id).join(room.name);
      assert.deepEqual(b.cluster.groups_of(onB.session), new Set([room.name]));
      assert.deepEqual(await room.count(), { count: 2, complete: true, missing: [] });
      const ids = [];
      for await (const id of room.ids()) ids.push(id);
      assert.deepEqual(ids.sort(), [onA.id, onB.id].sort());
      await room.send({ n: 1 });
      assert.deepEqual(await received(onB.log), { n: 1 });
      await b.cluster.group(room.name).send({ n: 2 }, { except: onA.id });
      await a.cluster.session(onB.id).leave(room.name);
      await room.send({ n: 3 });
      await a.server.sendall({ last: true });
      const of = async ({ log }) => {
        const all = [];
        do all.push(await received(log));
        while (!all.at(-1).last);
        return all.slice(0, -1);
      };
      assert.deepEqual(await of(onA), [{ n: 1 }, { n: 3 }]);
      assert.deepEqual(await of(onB), [{ n: 2 }]);
      assert.deepEqual(await of(other), []);
    });

    it('removes a session from its groups when it ends', async (t) => {
      const broker = await start(t);
      const { a, b, onB } = await twoNodes(t, broker);
      await b.cluster.join(onB.sock, 'room');
      assert.equal((await a.cluster.group('room').count()).count, 1);
      const left = once(b.server, 'disconnect');
      await a.cluster.session(onB.id).kill();
      await deadline(left, 'the end of the session');
      assert.deepEqual(b.cluster.groups_of(onB.session), new Set());
      const count = async () => (await b.cluster.group('room').count()).count;
      assert.equal(await count(), 0);
    });

    it('emits remote events on the other nodes', async (t) => {
      const broker = await start(t);
      const { a, b } = await twoNodes(t, broker);
      await a.cluster.emit_remote('reload', { what: 'prices' });
      const { args } = await b.log.next('remote');
      assert.deepEqual(args, ['reload', { what: 'prices' }, a.cluster.node]);
      assert.equal(a.log.all('remote').length, 0);
    });

    it('informs the others at once when a node leaves', async (t) => {
      const broker = await start(t);
      const { a, b, onB } = await twoNodes(t, broker, { node_timeout: 60_000 });
      const node = b.cluster.node;
      await b.server.close();
      const { args } = await a.log.next('node_down');
      assert.equal(args[0].id, node);
      assert.equal(args[1], 'left');
      assert.equal(a.cluster.count(), 1);
      assert.equal(b.cluster.state, 'closed');
      await assert.rejects(a.cluster.session(onB.id).send({}), { code: 'ERR_CLUSTER_NO_NODE' });
      await assert.rejects(b.server.sendall({ n: 1 }), { code: 'ERR_CLUSTER_CLOSED' });
    });

    it('takes a new id when a server listens again, and finds the others', async (t) => {
      const broker = await start(t);
      const { a, b } = await twoNodes(t, broker);
      const before = b.cluster.node;
      await b.server.close();
      await a.knows(1);
      await b.server.listen();
      await a.knows(2);
      assert.notEqual(b.cluster.node, before);
      const { log } = await b.client();
      await a.server.sendall({ again: 1 });
      assert.deepEqual(await received(log), { again: 1 });
    });

    it('holds messages while the broker is away, and loses none', async (t) => {
      const broker = await start(t);
      if (broker.canStop === false) return t.skip('the primary ends its workers with itself');
      // The broker takes long to start on a busy machine, and the question waits for it.
      const { a, b, onA, onB } = await twoNodes(t, broker, { request_timeout: 300_000 });
      await b.cluster.join(onB.session, 'room');
      await a.server.sendall({ n: 0 });
      assert.deepEqual(await received(onB.log), { n: 0 });
      await broker.stop();
      await a.log.next('down');
      await b.log.next('down');
      assert.equal(a.cluster.state, 'down');
      for (let n = 1; n <= 20; n += 1) {
        if (n % 2) await a.server.sendall({ n });
        else await a.cluster.group('room').send({ n });
      }
      const answer = ask(a.cluster.session(onB.id), { held: true });
      onB.client.on('receive', (_, meta) => meta.callback?.({ fine: 1 }));
      await broker.start();
      await a.log.next('up', () => true);
      const held = (await onB.log.take('receive', 21)).map(({ object }) => object.n ?? 'last');
      const expected = [...Array.from({ length: 20 }, (_, n) => n + 1), 'last'];
      if (broker.isOrdered === false) {
        // Messages to all have an order, and messages to a group have another one.
        for (const rest of [0, 1]) {
          const of = (list) => list.filter((n) => n % 2 === rest);
          assert.deepEqual(of(held), of(expected));
        }
      } else assert.deepEqual(held, expected);
      assert.deepEqual((await deadline(answer, 'the answer')).answer, { fine: 1 });
      for (let n = 0; n <= 20; n += n === 0 ? 1 : 2)
        assert.deepEqual(await received(onA.log), { n });
      assert.equal(a.cluster.nodes.size, 2);
      assert.equal(b.log.all('gap').length, 0);
      assert.equal(a.log.all('node_down').length, 0);
    });

    it('refuses a message that is too large for the broker before any client gets it', async (t) => {
      const broker = await start(t);
      const { a, onA, onB } = await twoNodes(t, broker, {}, { max_message_size: 2000 });
      const large = { text: 'é'.repeat(1100) };
      const code = 'ERR_CLUSTER_TOO_LARGE';
      await assert.rejects(a.server.sendall(large), { code });
      await assert.rejects(a.cluster.group('room').send(large), { code });
      await assert.rejects(a.cluster.session(onB.id).send(large), { code });
      await a.server.sendall({ small: 1 });
      assert.deepEqual(await received(onA.log), { small: 1 });
      assert.deepEqual(await received(onB.log), { small: 1 });
    });

    it('stops a long answer while the program does not take it, and loses no packet', async (t) => {
      const broker = await start(t);
      const { a, onB } = await twoNodes(t, broker);
      const text = 'x'.repeat(100_000);
      const COUNT = 100;
      onB.client.on('request', async (_, response) => {
        for (let n = 1; n < COUNT; n += 1) await response.write({ n, text });
        response.send({ n: COUNT, text });
      });
      const stream = await a.cluster.session(onB.id).request({ all: true });
      let n = 0;
      for await (const { data } of stream) {
        n += 1;
        assert.equal(data.n, n);
      }
      assert.equal(n, COUNT);
    });

    it('ends the client’s work on an answer that the program gives up', async (t) => {
      const broker = await start(t);
      const { a, b, onB } = await twoNodes(t, broker);
      onB.client.on('request', (_, response) => response.write({ n: 1 }));
      const controller = new AbortController();
      const stream = await a.cluster
        .session(onB.id)
        .request({ n: 1 }, { signal: controller.signal });
      await once(stream, 'data');
      const ended = once(stream, 'end');
      controller.abort();
      assert.equal((await ended)[0].code, 'ABORT_ERR');
      const streams = () => b.server._response_stream_maps.get(onB.sock)._map.size;
      await until(() => streams() === 0, 'the other node has ended the stream, too');
    });

    it('connects by a URL, with a client of its own that close() ends', async (t) => {
      const broker = await start(t);
      if (broker.url === null) return t.skip('it has no URL');
      const a = await startNode(t, broker.url());
      const b = await startNode(t, broker.url());
      await a.knows(2);
      const { log } = await b.client();
      await a.server.sendall({ n: 1 });
      assert.deepEqual(await received(log), { n: 1 });
    });

    it('separates clusters of other prefixes, and refuses peers of another kind', async (t) => {
      const broker = await start(t);
      const { a, b, onA } = await twoNodes(t, broker);
      const other = await startNode(t, await broker.engine(), { prefix: 'other' });
      const json = await startNode(t, await broker.engine(), {}, { peer_type: 'json' });
      const { args } = await a.log.next('refused');
      assert.equal(args[0].reason, 'peer type');
      await other.server.sendall({ from: 'another prefix' });
      await json.server.sendall({ from: 'another kind' });
      await b.server.sendall({ from: 'this cluster' });
      assert.deepEqual(await received(onA.log), { from: 'this cluster' });
      assert.equal(other.cluster.nodes.size, 1);
      assert.equal(a.cluster.nodes.size, 2);
    });

    it('accepts only messages that are signed with one of its keys', async (t) => {
      const broker = await start(t);
      const { a, onA, onB } = await twoNodes(t, broker, { secret: ['new', 'old'] });
      const old = await startNode(t, await broker.engine(), { secret: ['old', 'new'] });
      await a.knows(3);
      const stranger = await startNode(t, await broker.engine(), { secret: 'guessed' });
      const unsigned = await startNode(t, await broker.engine());
      for (const node of [stranger, unsigned]) await node.server.sendall({ from: 'a stranger' });
      const { args } = await a.log.next('refused');
      assert.equal(args[0].reason, 'signature');
      await old.server.sendall({ from: 'a friend' });
      for (const { log } of [onA, onB]) assert.deepEqual(await received(log), { from: 'a friend' });
      assert.equal(stranger.cluster.nodes.size, 1);
      assert.ok(a.server.stats().cluster.refused > 0);
    });
  });
}

describe('a server in no cluster', limit, () => {
  it('has the same methods for its own sessions', async (t) => {
    const server = new impl.server({ port: 0 });
    cleanup(t, () => server.close());
    await server.listen();
    const { TestNode } = require('./support/nodes.js');
    const node = new TestNode(t, server);
    const { log, session, id, client } = await node.client();
    assert.equal(server.cluster.state, 'alone');
    assert.equal(server.cluster.count(), 1);
    await server.cluster.join(session, 'room');
    await server.cluster.group('room').send({ n: 1 });
    await server.cluster.session(id).send({ n: 2 });
    await server.sendall({ n: 3 }, { except: id });
    await server.sendall({ n: 4 });
    for (const n of [1, 2, 4]) assert.deepEqual(await received(log), { n });
    client.on('receive', (_, meta) => meta.callback({ fine: 1 }));
    assert.deepEqual((await ask(server.cluster.session(id), { n: 5 })).answer, { fine: 1 });
    assert.deepEqual(await server.cluster.group('room').count(), {
      count: 1,
      complete: true,
      missing: [],
    });
    assert.equal(server.stats().cluster, undefined);
  });

  it('lets a program use the name "cluster" for a property of its own', async (t) => {
    class Mine extends impl.server {
      constructor(options) {
        super(options);
        this.cluster = 'my own';
      }
    }
    const server = new Mine({ port: 0 });
    cleanup(t, () => server.close());
    await server.listen();
    assert.equal(server.cluster, 'my own');
    await server.sendall({ n: 1 });
  });
});

describe('the option "cluster"', limit, () => {
  const { memory } = require('../lib/cluster/memory.js');
  const { nats } = require('../lib/cluster/nats.js');
  const { redis } = require('../lib/cluster/redis.js');

  it('refuses an engine of another server, which keeps using it', async (t) => {
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const engine = memory({ bus: new MemoryBus() });
    const first = new impl.server({ port: 0, cluster: engine });
    const second = new impl.server({ port: 0, cluster: { engine } });
    cleanup(t, () => Promise.all([first.close(), second.close()]));
    await first.listen();
    await assert.rejects(second.listen(), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /"options\.cluster\.engine".*each server needs one of its own/,
    });
    assert.equal(second.server.listening, false);
    assert.equal(first.cluster.state, 'up');
    await first.close();
    await second.listen();
    assert.equal(second.cluster.state, 'up');
  });

  it('names the values that it accepts', () => {
    const make = (cluster) => new impl.server({ cluster });
    const engine = memory();
    for (const [cluster, text] of [
      ['nats://here', /"options\.cluster" property must be a cluster engine: nats\(connection\)/],
      [{ url: 'nats://here' }, /or an object whose "engine" is one/],
      [
        { engine, prefix: 'a.b' },
        /"options\.cluster\.prefix" property must be a string of 1 to 32/,
      ],
      [{ engine, secret: [''] }, /"options\.cluster\.secret" property must be a key/],
      [
        { engine, hold_size: -1 },
        /"options\.cluster\.hold_size" property must be a number of bytes/,
      ],
      [{ engine, join_timeout: -1 }, /join_timeout" property .* 0: do not wait/],
      [
        { engine, node_timeout: 2000 },
        /at least three times "heartbeat_interval", which is 1000 ms/,
      ],
    ]) {
      assert.throws(() => make(cluster), { name: /^(Type|Range)Error$/, message: text });
    }
    assert.throws(() => nats(7), TypeError);
    assert.throws(() => redis({}), TypeError);
  });

  it('checks ids, names of groups and the sessions to leave out', async (t) => {
    const server = new impl.server({ port: 0 });
    cleanup(t, () => server.close());
    await server.listen();
    const { cluster } = server;
    assert.throws(() => cluster.session('nonsense'), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.throws(() => cluster.session(7), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => cluster.group(''), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => cluster.group('x'.repeat(1025)), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => cluster.group(5), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => cluster.id_of({}), { code: 'ERR_CLUSTER_NO_SESSION' });
    const many = Array(101).fill(`${'x'.repeat(16)}.1`);
    assert.throws(() => server.sendall({ n: 1 }, { except: many }), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(cluster.join({}, 'room'), { code: 'ERR_CLUSTER_NO_SESSION' });
  });

  it('makes listen() reject when the broker cannot be reached, and succeed later', async (t) => {
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const bus = new MemoryBus();
    bus.stop();
    const server = new impl.server({
      port: 0,
      cluster: { engine: memory({ bus }), join_timeout: 50 },
    });
    cleanup(t, () => server.close());
    await assert.rejects(server.listen(), { code: 'ERR_CLUSTER_JOIN' });
    assert.equal(server.server.listening, false);
    assert.equal(server.cluster.state, 'closed');
    bus.start();
    await server.listen();
    assert.equal(server.cluster.state, 'up');
  });

  for (const { name, engine } of [
    { name: 'NATS', engine: (port) => nats(`nats://127.0.0.1:${port}`) },
    { name: 'Redis', engine: (port) => redis(`redis://127.0.0.1:${port}`) },
  ]) {
    it(`says why ${name} could not be reached, and can be closed`, async (t) => {
      const server = new impl.server({
        port: 0,
        cluster: { engine: engine(await freePort()), join_timeout: 1000 },
      });
      cleanup(t, () => server.close());
      await assert.rejects(server.listen(), ({ code, message, cause }) => {
        assert.equal(code, 'ERR_CLUSTER_JOIN');
        assert.match(message, /within 1000 ms \("join_timeout"\).*refused/i);
        assert.ok(cause instanceof Error);
        return true;
      });
    });
  }

  it('lets the process end after NATS could not be reached', async () => {
    const program = `
      const { server } = require('sockhop-native');
      const { nats } = require('sockhop-native/cluster/nats');
      const engine = nats('nats://127.0.0.1:${await freePort()}');
      new server({ port: 0, cluster: { engine, join_timeout: 100 } })
        .listen()
        .catch((err) => console.log(err.code));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
      cwd: __dirname,
      timeout: limit.timeout,
    });
    assert.equal(stdout.trim(), 'ERR_CLUSTER_JOIN');
  });

  it('makes listen() reject as without a cluster if the program ends it while the server joins', async (t) => {
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const bus = new MemoryBus();
    bus.stop();
    const server = new impl.server({
      port: 0,
      cluster: { engine: memory({ bus }), join_timeout: 60_000 },
    });
    cleanup(t, () => server.close());
    const refused = assert.rejects(server.listen(), { code: 'ERR_SERVER_NOT_RUNNING' });
    await assert.rejects(server.listen(), { code: 'ERR_SERVER_ALREADY_LISTEN' });
    await server.close();
    await refused;
    const controller = new AbortController();
    const aborted = assert.rejects(server.listen({ signal: controller.signal }), {
      name: 'AbortError',
    });
    controller.abort();
    await aborted;
    assert.equal(server.cluster.state, 'closed');
    bus.start();
    await server.listen();
    assert.equal(server.cluster.state, 'up');
  });

  it('rejects with the exception of the program while an object is serialized', async (t) => {
    const { server } = await startNode(t, memory());
    const bad = {
      toJSON() {
        throw new RangeError('of the program');
      },
    };
    await assert.rejects(server.sendall(bad), RangeError);
    await assert.rejects(server.cluster.group('room').send(bad), RangeError);
    await assert.rejects(server.cluster.emit_remote('event', bad), RangeError);
  });

  it('fulfils sendall() with null for each client of the server, as without a cluster', async (t) => {
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const node = await startNode(t, memory({ bus: new MemoryBus() }));
    assert.deepEqual(await node.server.sendall({ n: 1 }), []);
    const { id } = await node.client();
    await node.client();
    assert.deepEqual(await node.server.sendall({ n: 2 }), [null, null]);
    assert.deepEqual(await node.server.sendall({ n: 3 }, { except: id }), [null]);
  });

  it('reports why an engine has given up, and not that the time is over', async (t) => {
    const engine = memory();
    engine.open = async () => {
      throw new Error('no package of the broker is installed');
    };
    const server = new impl.server({ port: 0, cluster: engine });
    cleanup(t, () => server.close());
    await assert.rejects(server.listen(), {
      code: 'ERR_CLUSTER_JOIN',
      message: 'The cluster could not be joined: no package of the broker is installed',
    });
  });

  it('shows the node, its state and the number of nodes', async (t) => {
    const server = new impl.server({ port: 0, cluster: memory() });
    cleanup(t, () => server.close());
    const { cluster } = server;
    assert.equal(inspect(cluster), `SockhopCluster { ${cluster.node}, closed, 0 nodes }`);
    await server.listen();
    assert.equal(inspect(cluster), `SockhopCluster { ${cluster.node}, up, 1 node }`);
  });

  it('emits error if it cannot listen, so that the promise can be ignored', async (t) => {
    const { server: other } = await startNode(t, memory());
    const { port } = other.server.address();
    const server = new impl.server({ port, cluster: memory() });
    cleanup(t, () => server.close());
    const failed = once(server, 'error');
    // A rejection that nothing handles fails the test.
    server.listen();
    const [err] = await failed;
    assert.equal(err.code, 'EADDRINUSE');
    await until(() => server.cluster.state === 'closed', 'the server has left the cluster');
  });

  it('with a join_timeout of 0 listens at once, and joins when it can', async (t) => {
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const bus = new MemoryBus();
    bus.stop();
    const node = await startNode(t, memory({ bus }), { join_timeout: 0 });
    assert.equal(node.cluster.state, 'joining');
    const { log, session } = await node.client();
    node.cluster.join(session, 'room');
    await node.server.sendall({ n: 1 });
    assert.deepEqual(await received(log), { n: 1 });
    bus.start();
    await node.log.next('up');
    const other = await startNode(t, memory({ bus }));
    await other.knows(2);
    await other.cluster.group('room').send({ n: 2 });
    assert.deepEqual(await received(log), { n: 2 });
  });

  it('gives sessions of the class ClusterSession methods of their own', async (t) => {
    class Visitor extends impl.ClusterSession {
      async start() {
        await this.join('lobby');
      }
    }
    const { MemoryBus } = require('../lib/cluster/memory.js');
    const bus = new MemoryBus();
    const broker = { engine: async () => memory({ bus }) };
    const [a, b] = await startNodes(t, broker, 2, {}, { session_type: Visitor });
    const [one, two] = [await a.client(), await b.client()];
    assert.equal(one.session.id, one.id);
    assert.deepEqual(one.session.groups, new Set(['lobby']));
    await one.session.broadcast('lobby', { from: 'one' });
    assert.deepEqual(await received(two.log), { from: 'one' });
    await two.session.leave('lobby');
    assert.deepEqual(two.session.groups, new Set());
    await two.session.broadcast('lobby', { from: 'two' });
    assert.deepEqual(await received(one.log), { from: 'two' });
  });
});
