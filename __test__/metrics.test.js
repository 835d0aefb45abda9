'use strict';

// metrics(): the figures of stats() as Prometheus reads them.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { Registry, Counter } = require('prom-client');
const { memory, MemoryBus } = require('../lib/cluster/memory.js');
const { freePort } = require('./support/addresses.js');
const { issue } = require('./support/certificates.js');
const { cleanup } = require('./support/cleanup.js');
const { until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { parse, parserMissing } = require('./support/openmetrics.js');
const { nativeTls, runtime } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const withParser = { ...limit, skip: parserMissing() };

/** The samples of a family, by the value of a label. */
function samplesOf(families, name, label = 'role') {
  const family = families.find((each) => each.name === name);
  return Object.fromEntries(
    (family?.samples ?? []).map(({ labels, value }) => [labels[label], value]),
  );
}

describe('metrics()', () => {
  it('has every figure of stats(), in text that the parser accepts', withParser, async (t) => {
    const { server, where } = await startServer(t);
    server.on('receive', (object, { callback }) => callback?.(object));
    const { client } = await startClient(t, where);
    await new Promise((resolve) => client.send({ a: 1 }, resolve));
    client.ping(150);
    await until(() => client.stats().round_trip !== null, 'a ping is answered');
    client.ping(0);

    const families = parse(server.metrics({ others: [client] }));

    const names = families.map(({ name }) => name);
    const expected = Object.keys(server.stats())
      .filter((name) => !/^callbacks_over_|^oldest_|^last_/.test(name))
      .map((name) => name.replace(/^bytes_(\w+)$/, '$1_bytes').replace('round_trip', '$&_seconds'))
      .map((name) => `sockhop_${name}`);
    assert.deepEqual(
      expected.filter((name) => !names.includes(name)),
      [],
    );
    assert.deepEqual(samplesOf(families, 'sockhop_connections'), { server: 1, client: 1 });
    assert.deepEqual(samplesOf(families, 'sockhop_messages_sent'), { server: 1, client: 1 });
    const { bytes_sent } = client.stats();
    assert.equal(samplesOf(families, 'sockhop_sent_bytes').client, bytes_sent);
    const trip = samplesOf(families, 'sockhop_round_trip_seconds').client;
    assert.equal(trip, client.stats().round_trip / 1000);
    for (const { name, help } of families) assert.match(help, /^[A-Z].*\.$/, name);
  });

  it('has the figures of the cluster of a server, and of no other', withParser, async (t) => {
    const options = { cluster: memory({ bus: new MemoryBus() }) };
    const { server } = await startServer(t, options);
    const { server: alone, where } = await startServer(t);
    await server.sendall({ a: 1 });
    const families = parse(alone.metrics({ others: [server] }));
    const { cluster } = server.stats();
    assert.equal(cluster.up, 1);
    assert.equal(cluster.nodes, 1);
    assert.equal(cluster.published, 1);
    for (const [name, value] of Object.entries(cluster)) {
      const samples = samplesOf(families, `sockhop_cluster_${name}`, 'endpoint');
      assert.deepEqual(Object.values(samples), [value], name);
    }
    const { type, help } = families.find(({ name }) => name === 'sockhop_cluster_published');
    assert.equal(type, 'counter');
    assert.match(help, /^Messages published/);
    const text = alone.metrics();
    assert.ok(!text.includes('sockhop_cluster_'), where.port);
  });

  it('names the role and the endpoint of each sample, and the labels', withParser, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = makeClient(t, where);
    const odd = 'a "quoted" \\ value\nof two lines';
    const families = parse(server.metrics({ labels: { odd, shard: 3 }, others: [client] }));
    const { samples } = families.find(({ name }) => name === 'sockhop_connections');
    const endpoint = where.path ?? `127.0.0.1:${where.port}`;
    assert.deepEqual(
      samples.map(({ labels }) => labels),
      [
        { role: 'server', endpoint, odd, shard: '3' },
        { role: 'client', endpoint, odd, shard: '3' },
      ],
    );
  });

  it('adds up clients of one endpoint', withParser, async (t) => {
    const { where } = await startServer(t);
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => startClient(t, where)));
    await second.client.send({ b: 2 });
    await third.client.disconnect();
    const others = [second.client, third.client, first.client];
    const families = parse(first.client.metrics({ others }));
    assert.deepEqual(samplesOf(families, 'sockhop_connections'), { client: 2 });
    assert.deepEqual(samplesOf(families, 'sockhop_opened_connections'), { client: 3 });
    assert.deepEqual(samplesOf(families, 'sockhop_messages_sent'), { client: 1 });
  });

  it('has the ages of waiting callbacks as a histogram', withParser, async (t) => {
    const { where } = await startServer(t);
    const { client } = await startClient(t, where);
    client.send({ a: 1 }, () => {});
    await until(() => client.stats().callbacks_over_1s === 1, 'the callback is a second old');
    client.send({ a: 2 }, () => {});
    const families = parse(client.metrics());
    const { type, samples } = families.find(({ name }) => name === 'sockhop_callback_age_seconds');
    assert.equal(type, 'gaugehistogram');
    const byLimit = Object.fromEntries(samples.map(({ labels, value }) => [labels.le, value]));
    const { '1.0': young, ...others } = byLimit;
    // The machine may have paused for a second.
    assert.ok(young <= 1, `${young}`);
    assert.deepEqual(others, { '10.0': 2, '60.0': 2, '+Inf': 2 });
    const [oldest] = Object.values(samplesOf(families, 'sockhop_oldest_callback_seconds'));
    assert.ok(oldest >= 1, `${oldest}`);
  });

  it('names the last error of an attempt to connect', withParser, async (t) => {
    const { server, where } = await startServer(t);
    await server.close();
    const { client } = makeClient(t, where);
    await assert.rejects(client.connect());
    const [code] = Object.keys(
      samplesOf(parse(client.metrics()), 'sockhop_last_connect_error', 'code'),
    );
    assert.equal(code, client.stats().last_connect_error);
  });

  it('can be appended to the text of a registry of prom-client', withParser, async (t) => {
    const { server } = await startServer(t);
    const registry = new Registry(Registry.OPENMETRICS_CONTENT_TYPE);
    const orders = new Counter({ name: 'orders', help: 'Orders.', registers: [registry] });
    orders.inc(5);
    const own = await registry.metrics();
    const families = parse(own.replace(/# EOF\n$/, '') + server.metrics());
    assert.equal(families[0].samples[0].value, 5);
    assert.deepEqual(samplesOf(families, 'sockhop_connections'), { server: 0 });
  });

  it('gives way to a method of a subclass', limit, async (t) => {
    class Mine extends impl.server {
      stats() {
        return 'mine';
      }

      metrics() {
        return super.metrics().length;
      }
    }
    const { server } = await startServer(t, {}, undefined, Mine);
    assert.ok(server.metrics() > 1000);
  });

  it('accepts a Proxy of a client among the others', limit, (t) => {
    const { client } = makeClient(t, { port: 1 });
    const text = new impl.server().metrics({ others: [new Proxy(client, {})] });
    assert.match(text, /sockhop_connections\{role="client",endpoint="127\.0\.0\.1:1"\} 0\n/);
  });

  it('refuses labels and others of a wrong type, and names them', () => {
    const server = new impl.server();
    const refused = (options, message) =>
      assert.throws(() => server.metrics(options), { name: 'TypeError', message });
    refused(
      { labels: 'a' },
      /"options\.labels" property must be an object .* Received type string/,
    );
    refused({ labels: { 'a-b': 1 } }, /letters, digits.*Received type string \('a-b'\)/);
    refused({ labels: { endpoint: 'x' } }, /not role, endpoint, le, code/);
    refused({ labels: { a: null } }, /label "a", must be a string, number or boolean/);
    refused({ others: [{}] }, /"options\.others" property must be an array of clients and servers/);
    refused('text', /"options" argument must be an object/);
  });
});

describe('the figures of stats()', () => {
  it('count connections by their states', limit, async (t) => {
    let started;
    const starting = new Promise((resolve) => {
      started = resolve;
    });
    class Patient extends impl.session {
      async start() {
        await starting;
      }
    }
    const { server, where } = await startServer(t, { session_type: Patient });
    const { client } = makeClient(t, where);
    assert.equal(client.stats().connecting, 0);
    const connected = client.connect();
    assert.equal(client.stats().connecting, 1);
    await connected;
    assert.deepEqual([client.stats().connecting, client.stats().connections], [0, 1]);
    await until(() => server.stats().starting_connections === 1, 'the session starts');
    assert.equal(server.stats().connections, 0);
    const arrived = once(server, 'connect');
    started();
    const [sock] = await arrived;
    assert.equal(server.stats().starting_connections, 0);
    assert.equal(server.stats().opened_connections, 1);
    sock.pause();
    assert.equal(server.stats().paused_connections, 1);
    sock.resume();
    assert.equal(server.stats().paused_connections, 0);
    client.socket.pause();
    sock.end();
    assert.equal(server.stats().ending_connections, 1);
    client.socket.resume();
    await until(() => server.stats().connections === 0, 'the connection is over');
    const { ending_connections, opened_connections } = server.stats();
    assert.deepEqual([ending_connections, opened_connections], [0, 1]);
  });

  for (const [how, options] of [
    ['', {}],
    [' by OpenSSL', { ecdhCurve: 'auto' }],
  ]) {
    it(`count TLS handshakes${how}, under way and done`, {
      ...limit,
      skip: !nativeTls,
    }, async (t) => {
      const { key, cert } = await issue({ name: 'localhost' });
      const where = { port: await freePort() };
      const { server } = await startServer(t, { ssl_options: { key, cert, ...options } }, where);
      // This client sends nothing.
      const silent = net.connect(where.port, '127.0.0.1');
      cleanup(t, () => silent.destroy());
      await until(() => server.stats().handshaking_connections === 1, 'the handshake begins');
      assert.deepEqual([server.stats().connections, server.stats().handshakes], [0, 0]);
      const { client } = await startClient(t, where, {
        ssl_options: { ca: cert, servername: 'localhost' },
      });
      await until(() => server.stats().connections === 1, 'the client is there');
      assert.deepEqual([server.stats().handshakes, client.stats().handshakes], [1, 1]);
      assert.equal(server.stats().handshaking_connections, 1);
      silent.destroy();
      await until(() => server.stats().handshaking_connections === 0, 'the other one is gone');
    });
  }

  it('count connections by the place where they are read', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    await until(() => server.stats().connections === 1, 'the connection is there');
    for (const side of [server, client]) {
      const { loop_connections, thread_connections } = side.stats();
      assert.equal(loop_connections + thread_connections, 1);
      if (process.platform !== 'linux' || process.env.SOCKHOP_READER || runtime !== 'node')
        continue;
      assert.equal(loop_connections, 1);
    }
  });

  it('count the marks that are reached, once each time', limit, async (t) => {
    const options = { send_high_water_mark: 100_000, receive_high_water_mark: 100_000 };
    const { server, where } = await startServer(t, options);
    const { client } = await startClient(t, where);
    await until(() => server.sockets.length === 1, 'the connection is there');
    const [sock] = server.sockets;
    client.socket.pause();
    const sent = [];
    const text = 'x'.repeat(100_000);
    while (server.stats().send_marks === 0) {
      sent.push(server.send(sock, text));
      await new Promise(setImmediate);
    }
    sent.push(server.send(sock, text), server.send(sock, text));
    assert.equal(server.stats().send_marks, 1);
    assert.ok(server.stats().queued_bytes >= 100_000);
    client.socket.resume();
    await Promise.all(sent);
    // The ends may agree on the codec meanwhile, which takes some bytes.
    await until(() => server.stats().queued_bytes === 0, 'all is sent');
    assert.equal(server.stats().send_marks, 1);

    // A handler that takes its time makes its peer wait.
    let count = 0;
    server.on('receive', () => {
      count += 1;
      for (const end = performance.now() + 2; performance.now() < end; );
    });
    const all = [];
    for (let n = 0; n < 100; n += 1) all.push(client.send('y'.repeat(10_000)));
    await Promise.all(all);
    await until(() => count === 100, 'all messages came');
    assert.ok(server.stats().receive_marks >= 1);
    // The client may have offered the codec after the last message.
    await until(() => server.stats().unread_bytes === 0, 'all is read');
  });

  it('count requests that wait for their answers', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const asked = once(server, 'request');
    const stream = await client.request({ a: 1 });
    assert.equal(client.stats().pending_requests, 1);
    const [, response] = await asked;
    await Promise.all([stream.next(), response.send({ b: 2 })]);
    assert.equal(client.stats().pending_requests, 0);

    const [sock] = server.sockets;
    client.on('request', (_request, answer) => answer.send({}));
    const back = await server.request(sock, { c: 3 });
    assert.equal(server.stats().pending_requests, 1);
    await back.next();
    assert.equal(server.stats().pending_requests, 0);
  });

  it('grow older with the callbacks, and forget those that are answered', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    assert.equal(client.stats().oldest_callback, null);
    const asked = once(server, 'receive');
    const answered = new Promise((resolve) => client.send({ a: 1 }, resolve));
    const [, { callback }] = await asked;
    await until(() => client.stats().callbacks_over_1s === 1, 'the callback is a second old');
    const { oldest_callback, callbacks_over_10s, pending_callbacks } = client.stats();
    assert.ok(oldest_callback > 1000);
    assert.deepEqual([callbacks_over_10s, pending_callbacks], [0, 1]);
    callback({});
    await answered;
    const after = client.stats();
    assert.deepEqual([after.callbacks_over_1s, after.oldest_callback], [0, null]);
  });

  it('are complete while an attempt fails and after the connection', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    const gone = once(client, 'disconnect');
    cleanup(t, () => client.disconnect());
    await server.close();
    await gone;
    const { loop_connections, thread_connections, unread_bytes, opened_connections } =
      client.stats();
    assert.deepEqual([loop_connections, thread_connections, unread_bytes], [0, 0, 0]);
    assert.equal(opened_connections, 1);
  });
});
