'use strict';

// Workers of node:cluster that listen at the same address share it. The cluster is a process of its
// own; its clients are in this process.

const assert = require('node:assert/strict');
const { fork, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { canCount } = require('./support/resources.js');
const { endpoint, nodeEndpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { issue } = require('./support/certificates.js');
const { deadline } = require('./support/deadline.js');
const { EventLog } = require('./support/event-log.js');
const { implementations } = require('./support/implementations.js');
const { makeClient, startClient } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');

const original = require(implementations.original);

const limit = { timeout: 600_000 };
const HOST = path.join(__dirname, 'programs', 'cluster-host.js');
/** The time for starting processes on a busy machine. */
const PATIENCE = 60_000;

/** A cluster. Its events are the entries of its log. */
class Cluster extends EventLog {
  #child;

  constructor(t, plan) {
    super();
    this.#child = fork(HOST, [JSON.stringify({ implementation: 'native', ...plan })], {
      execArgv: [],
    });
    this.#child.on('message', ({ event, ...details }) => this.push({ name: event, ...details }));
    const exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        this.break(new Error(`the cluster has ended (${signal ?? `code ${code}`})`));
        resolve();
      });
    });
    cleanup(t, async () => {
      // Its workers end with it.
      this.#child.kill('SIGKILL');
      await exited;
    });
  }

  do(command, options = {}) {
    this.#child.send({ command, ...options });
  }

  /** The next message of that name from a worker. */
  from(worker, name) {
    return this.next(name, (entry) => entry.worker === worker, PATIENCE);
  }

  /** Starts workers; resolves with their ids once they listen. */
  async start(count, options) {
    for (let n = 0; n < count; n += 1) this.do('fork', options);
    const entries = await this.take('listening', count, PATIENCE);
    return entries.map(({ worker }) => worker).sort((a, b) => a - b);
  }

  async tell(worker, message, answer) {
    this.do('tell', { worker, message });
    return answer && this.from(worker, answer);
  }
}

const ask = (client, object) =>
  deadline(
    new Promise((resolve, reject) => {
      client.send(object, resolve).catch(reject);
    }),
    'an answer',
  );

/**
 * Asks until a connection lives long enough for the answer. A connection that a dying worker
 * accepts ends with the worker, and the client reconnects.
 */
async function askUntilAnswered(client) {
  for (;;) {
    if (!client.connected) await deadline(once(client, 'connect'), 'a connection');
    const answer = new Promise((resolve) => client.send({}, resolve).catch(() => {}));
    const lost = once(client, 'disconnect').then(() => null);
    const first = await deadline(
      Promise.race([answer, lost]),
      'an answer, or the end of the connection',
    );
    if (first !== null) return first;
  }
}

/** Connects clients one after the other; resolves with them and the workers that answer them. */
async function connect(t, where, count, implementation = undefined) {
  const clients = [];
  const workers = [];
  for (let n = 0; n < count; n += 1) {
    let client;
    if (implementation) {
      client = new implementation.client(where);
      client._auto_reconnect_timer?.unref?.();
      cleanup(t, () => client.disconnect());
      await client.connect();
    } else ({ client } = await startClient(t, where));
    clients.push(client);
    const { worker, object } = await ask(client, { n });
    assert.deepEqual(object, { n });
    workers.push(worker);
  }
  return { clients, workers };
}

const sorted = (numbers) => [...numbers].sort((a, b) => a - b);

for (const policy of ['rr', 'none']) {
  const title = policy === 'rr' ? 'round robin' : 'a shared handle';
  describe(`workers of a cluster, by ${title}`, () => {
    for (const transport of transports) {
      it(`share their address (${transport})`, limit, async (t) => {
        const where = await endpoint(t, transport);
        const cluster = new Cluster(t, { policy, where });
        const ids = await cluster.start(3);
        assert.deepEqual(ids, [1, 2, 3]);
        for (const { address } of cluster.all('listening')) {
          assert.deepEqual(
            address,
            where.path ?? { address: '127.0.0.1', family: 'IPv4', port: where.port },
          );
        }
        await cluster.take('cluster listening', 3);

        const { clients, workers } = await connect(t, where, 9);
        const old = await connect(t, where, 3, original);
        // The system chooses the worker for a connection from a shared handle.
        if (policy === 'rr') {
          assert.deepEqual(sorted(workers), [1, 1, 1, 2, 2, 2, 3, 3, 3]);
          assert.deepEqual(sorted(old.workers), [1, 2, 3]);
        }
        for (const { kind } of await cluster.take('connect', 12)) {
          assert.equal(kind, 'SockhopSocket', 'served natively');
        }
        if (transport === 'tcp') {
          const { remote, address } = await ask(clients[0], {});
          assert.deepEqual([remote, address], ['127.0.0.1', '127.0.0.1']);
        }
        const of = (id) => [...workers, ...old.workers].filter((worker) => worker === id).length;
        for (const id of ids) {
          const { connections } = await cluster.tell(id, 'count', 'count');
          assert.equal(connections, of(id));
        }
        for (const client of clients) await client.disconnect();
        await cluster.take('disconnect', 9);
      });

      it(`serve the clients of a killed one (${transport})`, limit, async (t) => {
        const where = await endpoint(t, transport);
        const cluster = new Cluster(t, { policy, where });
        await cluster.start(2);
        const clients = [];
        for (let n = 0; n < 4; n += 1) {
          const { client, log } = makeClient(t, where, { auto_reconnect_interval: 20 });
          client.auto_reconnect = true;
          await log.next('connect');
          clients.push({ client, log, worker: (await ask(client, {})).worker });
        }
        const reconnect = (on) => {
          for (const { client } of clients) client.auto_reconnect = on;
        };
        // By round robin, Node's primary neither serves nor closes a connection that it gives to a
        // worker which dies before taking it. So no client reconnects before the primary knows of
        // the death.
        if (policy === 'rr') reconnect(false);
        const victim = clients[0].worker;
        cluster.do('kill', { worker: victim, signal: 'SIGKILL' });
        assert.equal((await cluster.from(victim, 'exit')).signal, 'SIGKILL');
        if (policy === 'rr') await cluster.from(victim, 'left');
        for (const { log, worker } of clients) {
          if (worker === victim) await log.next('disconnect');
        }
        reconnect(true);
        for (const { client } of clients) {
          assert.notEqual((await askUntilAnswered(client)).worker, victim);
        }
        // A new worker takes part.
        const [id] = await cluster.start(1);
        assert.equal(id, 3);
        if (policy === 'rr') {
          const { workers } = await connect(t, where, 2);
          assert.ok(workers.includes(3), workers.join());
        }
      });

      it(
        `receive data that was sent before they had the connection (${transport})`,
        limit,
        async (t) => {
          const where = await endpoint(t, transport);
          const cluster = new Cluster(t, { policy, where });
          await cluster.start(2);
          const text = 'x'.repeat(1000);
          const frames = Array.from({ length: 100 }, (_, n) =>
            JSON.stringify({ type: 'Object', data: { n, text }, id: `${n}` }),
          );
          const wires = await Promise.all(
            Array.from({ length: 20 }, async () => {
              const wire = await rawClient(t, where);
              wire.write(...frames);
              return wire;
            }),
          );
          for (const wire of wires) {
            const answers = await wire.take('frame', frames.length);
            assert.deepEqual(
              answers.map(({ json }) => json.data.object.n),
              frames.map((_, n) => n),
            );
          }
        },
      );
    }
  });
}

describe('a worker of a cluster', () => {
  for (const implementation of ['native', 'original']) {
    it(
      `that disconnects serves its connections to their end (${implementation})`,
      limit,
      async (t) => {
        const where = await endpoint(t);
        const cluster = new Cluster(t, { where, implementation });
        await cluster.start(2);
        const { clients, workers } = await connect(t, where, 4);
        assert.deepEqual(sorted(workers), [1, 1, 2, 2]);
        cluster.do('disconnect', { worker: 1 });
        if (implementation === 'native') await cluster.from(1, 'closed');
        // New connections go to the other worker.
        const later = await connect(t, where, 2);
        assert.deepEqual(later.workers, [2, 2]);
        for (const [n, client] of clients.entries()) {
          assert.equal((await ask(client, {})).worker, workers[n]);
        }
        assert.equal(cluster.count('left'), 0);
        for (const client of clients) await client.disconnect();
        await cluster.from(1, 'left');
        // A timer of the original runs for half a minute.
        if (implementation === 'original') return;
        const { code, signal } = await cluster.from(1, 'exit');
        assert.deepEqual([code, signal], [0, null]);
      },
    );
  }

  it('gets the same port as the others for port 0', limit, async (t) => {
    const cluster = new Cluster(t, { where: { port: 0 } });
    await cluster.start(3);
    const ports = cluster.all('listening').map(({ address }) => address.port);
    assert.ok(ports[0] > 0);
    assert.deepEqual(ports, Array(3).fill(ports[0]));
    const { workers } = await connect(t, { port: ports[0] }, 3);
    assert.deepEqual(sorted(workers), [1, 2, 3]);
  });

  for (const transport of transports) {
    it(`fails as net does where the address is in use (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const occupied = net.createServer();
      await new Promise((resolve) => occupied.listen(nodeEndpoint(where), resolve));
      cleanup(t, () => new Promise((resolve) => occupied.close(resolve)));
      const errors = [];
      for (const implementation of ['native', 'original']) {
        const cluster = new Cluster(t, { where, implementation });
        cluster.do('fork');
        errors.push((await cluster.from(1, 'error')).error);
        if (implementation === 'native') {
          assert.deepEqual((await cluster.from(1, 'failed')).error, errors[0]);
        }
      }
      assert.equal(errors[0].code, 'EADDRINUSE');
      assert.deepEqual(errors[0], errors[1]);
    });

    it(`keeps other processes from its address (${transport})`, limit, async (t) => {
      const where = await endpoint(t, transport);
      const cluster = new Cluster(t, { where });
      await cluster.start(2);
      const stranger = program(
        t,
        async ({ server: Server }, { where, there }) => {
          const say = ({ code, errno, syscall, address, port, message }) =>
            console.log(JSON.stringify({ code, errno, syscall, address, port, message }));
          await new Server(where).listen().catch(say);
          const node = require('node:net').createServer();
          node.on('error', say).listen(there);
        },
        { where, there: nodeEndpoint(where) },
      );
      const { code, lines, stderr } = await stranger.ended(PATIENCE);
      assert.equal(stderr, '');
      assert.equal(code, 0);
      const [ours, nodes] = lines.map((line) => JSON.parse(line));
      assert.equal(ours.code, 'EADDRINUSE');
      assert.deepEqual(ours, nodes);
      // The address still belongs to the workers.
      assert.deepEqual(sorted((await connect(t, where, 2)).workers), [1, 2]);
    });
  }

  it('closes only its own listener, and may listen again', limit, async (t) => {
    const where = await endpoint(t);
    const cluster = new Cluster(t, { where });
    await cluster.start(2);
    const before = await connect(t, where, 2);
    assert.deepEqual(sorted(before.workers), [1, 2]);
    await cluster.tell(1, 'close', 'disconnect');
    assert.deepEqual((await connect(t, where, 3)).workers, [2, 2, 2]);
    const { address } = await cluster.tell(1, 'listen', 'listening');
    assert.equal(address.port, where.port);
    assert.deepEqual(sorted((await connect(t, where, 2)).workers), [1, 2]);

    // The listener closes without ending its connections.
    const { clients, workers } = await connect(t, where, 2);
    await cluster.tell(2, 'stop listening', 'closed');
    assert.equal((await cluster.tell(2, 'count', 'count')).listening, false);
    assert.deepEqual((await connect(t, where, 2)).workers, [1, 1]);
    assert.equal((await ask(clients[workers.indexOf(2)], {})).worker, 2);
    assert.equal(cluster.count('failed'), 0);
  });

  it('shares nothing with exclusive: true', limit, async (t) => {
    const where = await endpoint(t);
    const cluster = new Cluster(t, { where, listen: { exclusive: true } });
    await cluster.start(1);
    cluster.do('fork');
    const { error } = await cluster.from(2, 'failed');
    assert.deepEqual(error, {
      message: `listen EADDRINUSE: address already in use 127.0.0.1:${where.port}`,
      code: 'EADDRINUSE',
      syscall: 'listen',
      address: '127.0.0.1',
      port: where.port,
    });
    assert.deepEqual((await connect(t, where, 3)).workers, [1, 1, 1]);
  });

  it('has its own limit of connections', limit, async (t) => {
    const where = await endpoint(t);
    const cluster = new Cluster(t, { where, options: { max_connections: 1 } });
    await cluster.start(2);
    assert.deepEqual(sorted((await connect(t, where, 2)).workers), [1, 2]);
    const { log } = makeClient(t, where);
    const one = makeClient(t, where);
    await Promise.all([one.client.connect(), one.log.next('disconnect')]);
    const { error } = await cluster.next('error');
    assert.equal(error.code, 'ERR_TOO_MANY_CONNECTIONS');
    assert.equal(log.entries.length, 0);
  });

  it('keeps no descriptor of a connection that is over', limit, async (t) => {
    if (!canCount) return t.skip('needs /proc/self/fd');
    const where = await endpoint(t);
    const cluster = new Cluster(t, { where });
    await cluster.start(1);
    const round = async () => {
      const { clients } = await connect(t, where, 20);
      for (const client of clients) await client.disconnect();
      await cluster.take('disconnect', clients.length);
      return cluster.tell(1, 'count', 'count');
    };
    const first = await round();
    for (let n = 0; n < 4; n += 1) {
      let { connections, descriptors } = await round();
      assert.equal(connections, 0);
      // A task of the runtime closes the descriptor, after the event.
      const began = Date.now();
      while (descriptors > first.descriptors) {
        assert.ok(Date.now() - began < PATIENCE, `${first.descriptors}, then ${descriptors}`);
        ({ descriptors } = await cluster.tell(1, 'count', 'count'));
      }
    }
  });

  it('serves a connection for which there is no second descriptor', limit, async (t) => {
    if (!canCount || spawnSync('prlimit', ['--version']).error) {
      return t.skip('needs /proc/self/fd and prlimit');
    }
    const where = await endpoint(t);
    const cluster = new Cluster(t, { where });
    await cluster.start(1);
    await connect(t, where, 1);
    await cluster.take('connect', 1);
    assert.ok((await cluster.tell(1, 'frugal', 'frugal')).done);
    const { clients } = await connect(t, where, 1);
    assert.equal((await cluster.from(1, 'connect')).kind, 'Socket', 'by Node');
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => ask(clients[0], { n })),
    );
    assert.deepEqual(
      answers.map(({ object }) => object.n),
      answers.map((_, n) => n),
    );
    await clients[0].disconnect();
    await cluster.from(1, 'disconnect');
  });

  it('survives connections for which there is no descriptor at all', limit, async (t) => {
    if (!canCount || spawnSync('prlimit', ['--version']).error) {
      return t.skip('needs /proc/self/fd and prlimit');
    }
    const where = await endpoint(t);
    // By round robin the primary accepts the connections.
    const cluster = new Cluster(t, { where, policy: 'none' });
    await cluster.start(1);
    assert.ok((await cluster.tell(1, 'frugal', 'frugal')).done);
    const { clients } = await connect(t, where, 1);
    const turnedAway = await rawClient(t, where);
    // libuv closes the connection.
    await turnedAway.next('close');
    assert.equal((await ask(clients[0], {})).worker, 1);
  });

  it('shares a port with TLS in front', limit, async (t) => {
    const authority = await issue({ name: 'authority', ca: true });
    const own = await issue({ name: 'here', names: ['localhost', '127.0.0.1'], issuer: authority });
    const secure = { key: own.key, cert: own.cert };
    // Workers that ask the primary for any port get the same one.
    const cluster = new Cluster(t, { where: { port: 0 }, secure });
    cluster.do('fork');
    cluster.do('fork');
    const [{ address }] = await cluster.take('listening', 2, PATIENCE);
    const { port } = address;
    const { clients, workers } = await connect(
      t,
      { port, ssl: true, ssl_options: { ca: authority.cert } },
      4,
    );
    assert.deepEqual(sorted(workers), [1, 1, 2, 2]);
    for (const client of clients) assert.equal(client.socket.authorized, true);
    for (const { kind } of await cluster.take('connect', 4)) assert.equal(kind, tls.TLSSocket.name);
  });

  for (const [way, extra, kind] of [
    ['natively', {}, 'SockhopTlsSocket'],
    ['through OpenSSL', { sigalgs: 'ecdsa_secp256r1_sha256' }, tls.TLSSocket.name],
  ]) {
    it(`shares a port of servers with TLS, ${way}`, limit, async (t) => {
      const authority = await issue({ name: 'authority', ca: true });
      const issued = { names: ['localhost', '127.0.0.1'], issuer: authority };
      const own = await issue({ name: 'here', ...issued });
      const { cert, key } = await issue({ name: 'client', issuer: authority });
      const ca = authority.cert;
      const ssl_options = { key: own.key, cert: own.cert, ca, requestCert: true, ...extra };
      const cluster = new Cluster(t, { where: { port: 0 }, options: { ssl_options } });
      cluster.do('fork');
      cluster.do('fork');
      const [{ address }] = await cluster.take('listening', 2, PATIENCE);
      const client = { port: address.port, ssl_options: { ca, cert, key } };
      const { workers } = await connect(t, client, 4);
      assert.deepEqual(sorted(workers), [1, 1, 2, 2]);
      for (const { kind: seen } of await cluster.take('connect', 4)) assert.equal(seen, kind);
    });
  }
});
