'use strict';

// Tests the errors of a node that cannot join, or whose broker refuses a command. Examples are
// wrong addresses and passwords, accounts with too few permissions, brokers that are too old, and
// clients with odd options.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { promisify } = require('node:util');

const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { nats } = require('../lib/cluster/nats.js');
const { redis } = require('../lib/cluster/redis.js');
const { freePort } = require('./support/addresses.js');
const { noNats, noRedis, startNatsServer, startRedisServer } = require('./support/brokers.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { JOIN_TIMEOUT, QUICK, recordCluster, startNode } = require('./support/nodes.js');

const limit = { timeout: 600_000 };
const WITHOUT_RELAY = path.join(__dirname, 'programs', 'without-relay.js');

/** A server that does not listen yet, and the events of its cluster. */
function makeServer(t, engine, options = {}) {
  const cluster = { engine, ...QUICK, join_timeout: JOIN_TIMEOUT, ...options };
  const server = new impl.server({ port: 0, cluster });
  cleanup(t, () => server.close());
  return { server, log: recordCluster(server) };
}

/** The reason for which a server cannot join. */
async function refusalOf(t, engine, options) {
  const { server } = makeServer(t, engine, options);
  let found;
  await assert.rejects(server.listen(), (err) => {
    found = err;
    return err.code === 'ERR_CLUSTER_JOIN' && err instanceof impl.error;
  });
  assert.equal(server.cluster.state, 'closed');
  return found.message;
}

/** An account of NATS that may publish or subscribe to less than the cluster needs. */
const account = (permissions) =>
  `authorization { users = [ { user: "node", password: "right", permissions: { ${permissions} } } ] }`;
const natsUrl = ({ port }, password = 'right') => `nats://node:${password}@127.0.0.1:${port}`;
const redisUrl = ({ port }, password = 'right') => `redis://node:${password}@127.0.0.1:${port}`;

/** An account of Redis with all that a node needs, on the channels of a pattern. */
const aclOf = (channels) =>
  `user node on >right resetchannels ${channels} -@all +@connection +subscribe +psubscribe +unsubscribe +punsubscribe +ssubscribe +sunsubscribe +publish +spublish +ping +info`.split(
    ' ',
  );
const startRedisWithAccount = (t, channels) =>
  startRedisServer(t, '--user', ...aclOf(channels).slice(1));

async function redisAdministrator(t, { port }) {
  const { Redis } = require('ioredis');
  const client = new Redis(port, '127.0.0.1');
  cleanup(t, () => client.disconnect());
  return client;
}

describe('a server whose join_timeout is 0', limit, () => {
  it('says why its engine cannot be opened, each reason once, and joins when it can', async (t) => {
    const bus = new MemoryBus();
    const engine = memory({ bus });
    const { open } = engine;
    const reasons = ['no package', 'no package', 'another reason'];
    engine.open = (host) => {
      const reason = reasons.shift();
      if (reason !== undefined) throw new Error(reason);
      return open.call(engine, host);
    };
    const { server, log } = makeServer(t, engine, { join_timeout: 0 });
    await server.listen();
    for (const reason of ['no package', 'another reason']) {
      const [err] = (await log.next('down')).args;
      assert.equal(err.code, 'ERR_CLUSTER_JOIN');
      assert.equal(err.message, `The cluster could not be joined: ${reason}`);
    }
    await log.next('up');
    assert.equal(log.count('down'), 2);
    const other = await startNode(t, memory({ bus }));
    await other.knows(2);
  });

  it('says that the broker is away', async (t) => {
    const bus = new MemoryBus();
    bus.stop();
    const { server, log } = makeServer(t, memory({ bus }), { join_timeout: 0 });
    await server.listen();
    const [err] = (await log.next('down')).args;
    assert.equal(err.code, 'ERR_CLUSTER_JOIN');
    assert.equal(server.cluster.state, 'joining');
    assert.equal(server.stats().cluster.up, 0);
    bus.start();
    await log.next('up');
    assert.equal(server.stats().cluster.up, 1);
  });

  it('can be closed while it tries', async (t) => {
    const engine = memory();
    let opened = 0;
    engine.open = async () => {
      opened += 1;
      throw new Error('no package');
    };
    const { server, log } = makeServer(t, engine, { join_timeout: 0 });
    await server.listen();
    await until(() => opened > 1, 'it tries again');
    await server.close();
    assert.equal(server.cluster.state, 'closed');
    assert.equal(log.count('down'), 1);
  });
});

describe('a node over NATS', { ...limit, skip: noNats }, () => {
  it('takes its account from the URL', async (t) => {
    const broker = await startNatsServer(t, account('publish: ">"'));
    await startNode(t, nats(natsUrl(broker)));
    const withToken = await startNatsServer(t, 'authorization { token: "a/b" }');
    await startNode(t, nats(`nats://a%2Fb@127.0.0.1:${withToken.port}`));
  });

  it('does not send its password without TLS if the URL asks for TLS', async (t) => {
    const broker = await startNatsServer(t, account('publish: ">"'));
    const url = natsUrl(broker).replace('nats:', 'tls:');
    assert.match(await refusalOf(t, nats(url), { join_timeout: 500 }), /tls/i);
  });

  it('says that its password is wrong', async (t) => {
    const broker = await startNatsServer(t, account('publish: ">"'));
    const message = await refusalOf(t, nats(natsUrl(broker, 'wrong')), { join_timeout: 1500 });
    assert.match(message, /within 1500 ms .*authorization violation/i);
    assert.doesNotMatch(message, /wrong/);
  });

  it('says so by an event if it listens at once', async (t) => {
    const broker = await startNatsServer(t, account('publish: ">"'));
    const { server, log } = makeServer(t, nats(natsUrl(broker, 'wrong')), { join_timeout: 0 });
    await server.listen();
    const [err] = (await log.next('down')).args;
    assert.match(err.message, /could not be joined: .*authorization violation/i);
  });

  it('names the address of the server, and no credentials', async (t) => {
    const nowhere = `127.0.0.1:${await freePort()}`;
    for (const given of [
      `nats://name:secret@${nowhere}`,
      { servers: [nowhere], token: 'secret' },
    ]) {
      const message = await refusalOf(t, nats(given), { join_timeout: 1500 });
      assert.match(message, /connection refused|ECONNREFUSED/);
      assert.ok(message.includes(`NATS at ${nowhere}`), message);
      assert.doesNotMatch(message, /secret|name/);
    }
  });

  it('says which permission is missing for heartbeats', async (t) => {
    for (const permissions of [
      'publish: "other.>", subscribe: "sockhop.>"',
      'publish: "sockhop.>", subscribe: "other.>"',
    ]) {
      const broker = await startNatsServer(t, account(permissions));
      const message = await refusalOf(t, nats(natsUrl(broker)), { join_timeout: 60_000 });
      assert.match(message, /permissions violation/i);
      assert.match(message, /publish and to subscribe to .* begin with "sockhop\."/);
    }
  });

  it('reports that messages to groups and nodes are refused, and rejects operations that wait for them', async (t) => {
    const broker = await startNatsServer(
      t,
      account('publish: { deny: ["sockhop.g.>", "sockhop.n.>"] }, subscribe: ">"'),
    );
    const [a, b] = [
      await startNode(t, nats(natsUrl(broker))),
      await startNode(t, nats(natsUrl(broker))),
    ];
    await a.knows(2);
    const { id, log } = await b.client();
    await a.cluster.group('room').send({ n: 1 });
    const [{ reason, from, error }] = (await a.log.next('refused')).args;
    assert.equal(reason, 'permission');
    assert.match(from, /^sockhop\.g\.\d+\.room$/);
    assert.equal(error.code, 'ERR_CLUSTER_DENIED');
    await assert.rejects(a.cluster.session(id).send({ n: 2 }), { code: 'ERR_CLUSTER_DENIED' });
    assert.ok(a.server.stats().cluster.lost >= 2);
    await a.server.sendall({ n: 3 });
    assert.deepEqual((await log.next('receive')).object, { n: 3 });
  });

  it('rejects joining a group whose messages it may not read, and tries it again', async (t) => {
    const broker = await startNatsServer(
      t,
      account('publish: ">", subscribe: { deny: "sockhop.g.>" }'),
    );
    const node = await startNode(t, nats(natsUrl(broker)));
    const { session } = await node.client();
    for (let n = 0; n < 2; n += 1) {
      await assert.rejects(node.cluster.join(session, 'room'), { code: 'ERR_CLUSTER_DENIED' });
    }
  });

  it('says that the server is too old', async (t) => {
    const broker = await startNatsServer(t, '');
    // A server before 2.2 does not announce headers: the rest of its greeting is that of the real
    // one.
    const proxy = net.createServer((near) => {
      const far = net.connect(broker.port, '127.0.0.1');
      far.once('data', (greeting) => {
        near.write(String(greeting).replace('"headers":true', '"headers":false'));
        far.pipe(near);
      });
      near.pipe(far);
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('close', () => far.destroy());
      far.on('close', () => near.destroy());
    });
    await new Promise((resolve) => {
      proxy.listen(0, '127.0.0.1', resolve);
    });
    cleanup(t, () => proxy.close());
    const message = await refusalOf(t, nats(`nats://127.0.0.1:${proxy.address().port}`), {
      join_timeout: 60_000,
    });
    assert.match(message, /The NATS server [\d.]+ is too old: a cluster needs version 2\.2/);
  });

  it('says that it does not hear itself, over a connection without echo', async (t) => {
    const broker = await startNatsServer(t, '');
    const { connect } = require('@nats-io/transport-node');
    const connection = await connect({ servers: `127.0.0.1:${broker.port}`, noEcho: true });
    cleanup(t, () => connection.close());
    const message = await refusalOf(t, nats(connection), { join_timeout: 4000 });
    assert.match(message, /does not deliver the heartbeats of this node to itself.*noEcho/);
  });

  for (const client of ['@nats-io/transport-node', 'nats']) {
    it(`reports that a connection of ${client} has given up, and names the option that prevents it`, async (t) => {
      const broker = await startNatsServer(t, '');
      const { connect } = require(client);
      const connection = await connect({
        servers: `127.0.0.1:${broker.port}`,
        maxReconnectAttempts: 2,
        reconnectTimeWait: 50,
        reconnectJitter: 10,
      });
      cleanup(t, () => connection.close());
      const node = await startNode(t, nats(connection));
      await broker.stop();
      const isFinal = ({ args: [err] }) => /closed.*"maxReconnectAttempts".*-1/.test(err.message);
      await node.log.next('down', isFinal);
      assert.equal(node.log.count('down'), 2);
    });
  }

  it('refuses the URL of another broker, and does not show its password', () => {
    for (const url of ['redis://u:secret@host', 'http://u:secret@host', '']) {
      assert.throws(
        () => nats(url),
        (err) =>
          err instanceof TypeError && /nats:\/\//.test(err.message) && !/secret/.test(err.message),
      );
    }
  });
});

describe('a node over Redis', { ...limit, skip: noRedis }, () => {
  /** Engines with a client of either package. */
  const clients = {
    ioredis: () => (url) => redis(url),
    '@redis/client': (t) => (url) => {
      const { createClient } = require('@redis/client');
      const client = createClient({ url, socket: { reconnectStrategy: () => 100 } });
      client.on('error', () => {});
      client.connect().catch(() => {});
      cleanup(t, () => client.destroy());
      return redis(client);
    },
  };

  for (const [name, make] of Object.entries(clients)) {
    it(`says that its password is wrong, over ${name}`, async (t) => {
      const broker = await startRedisWithAccount(t, '&sockhop.*');
      const engine = make(t)(redisUrl(broker, 'wrong'));
      const message = await refusalOf(t, engine, { join_timeout: 2000 });
      assert.match(message, /WRONGPASS/);
    });

    it(`says which permission is missing, and joins once it has it, over ${name}`, async (t) => {
      const broker = await startRedisWithAccount(t, '&other.*');
      const engine = make(t)(redisUrl(broker));
      const message = await refusalOf(t, engine, { join_timeout: 60_000 });
      assert.match(message, /NOPERM/);
      assert.match(message, /publish and to subscribe to .* begin with "sockhop\."/);
      const { server, log } = makeServer(t, make(t)(redisUrl(broker)), { join_timeout: 0 });
      await server.listen();
      assert.match((await log.next('down')).args[0].message, /NOPERM/);
      await (await redisAdministrator(t, broker)).acl('SETUSER', 'node', '&sockhop.*');
      await log.next('up');
    });

    it(`reports that messages are refused once an account has lost its permission, over ${name}`, async (t) => {
      const broker = await startRedisWithAccount(t, '&sockhop.*');
      const engine = make(t);
      const a = await startNode(t, engine(redisUrl(broker)));
      const other = await startNode(t, redis(`redis://127.0.0.1:${broker.port}`));
      await a.knows(2);
      const { id } = await other.client();
      const administrator = await redisAdministrator(t, broker);
      await administrator.acl('SETUSER', 'node', '-publish');
      await a.server.sendall({ n: 1 });
      const [{ reason, error }] = (await a.log.next('refused')).args;
      assert.equal(reason, 'permission');
      assert.match(error.message, /NOPERM/);
      await assert.rejects(a.cluster.session(id).send({ n: 2 }), { code: 'ERR_CLUSTER_DENIED' });
      assert.ok(a.server.stats().cluster.lost >= 2);
    });
  }

  it('says that the server does not know sharded channels', async (t) => {
    const broker = await startRedisServer(
      t,
      ...['--rename-command', 'SSUBSCRIBE', '', '--rename-command', 'SPUBLISH', ''],
    );
    const { Redis } = require('ioredis');
    const client = new Redis(broker.port, '127.0.0.1');
    cleanup(t, () => client.disconnect());
    const message = await refusalOf(t, redis(client, { sharded: true }), { join_timeout: 60_000 });
    assert.match(message, /need Redis 7 or newer.*sharded: false/);
  });

  it('says that a client is not connected', async (t) => {
    const { createClient } = require('@redis/client');
    const broker = await startRedisServer(t);
    const client = createClient({ url: `redis://127.0.0.1:${broker.port}` });
    const message = await refusalOf(t, redis(client), { join_timeout: 500 });
    assert.match(message, /not connected: call connect\(\) of the client/);
  });

  it('refuses the URL of another broker, and does not show its password', () => {
    for (const url of ['nats://u:secret@host', 'https://u:secret@host', '']) {
      assert.throws(
        () => redis(url),
        (err) =>
          err instanceof TypeError && /redis:\/\//.test(err.message) && !/secret/.test(err.message),
      );
    }
  });

  it('says that nothing listens there', async (t) => {
    const { server, log } = makeServer(t, redis(`redis://127.0.0.1:${await freePort()}`), {
      join_timeout: 0,
    });
    await server.listen();
    assert.match((await log.next('down')).args[0].message, /ECONNREFUSED/);
  });
});

describe('a worker whose primary process passes no messages on', limit, () => {
  it('says that the primary process has to call relay()', async () => {
    const run = promisify(execFile)(process.execPath, [WITHOUT_RELAY], { timeout: limit.timeout });
    const { stdout } = await deadline(run, 'the worker to give up', limit.timeout);
    assert.match(stdout, /^ERR_CLUSTER_JOIN .*the primary process does not answer.*relay\(\)/i);
  });
});
