'use strict';

// `npm run soak -- [minutes] [--out <path without extension>]`: applies mixed load for a long time.
// A server process and two client processes exchange small and large messages, callbacks,
// broadcasts and requests, while connections come and go. It fails if anything is lost, duplicated,
// reordered or answered wrongly, or if memory or descriptors of a process keep growing. The
// resources are written as JSON and as a plot.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const { once } = require('node:events');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');

const ROOT = path.dirname(__dirname);
const { randomFrom } = require('../__test__/chaos/proxy.js');
const { provenance } = require('../benchmark/lib/machine.js');
const { soakPlot } = require('../benchmark/lib/resource-plots.js');

const CLIENT_PROCESSES = 2;
const CLIENTS = 10;
const MIB = 1 << 20;

const tell = (message) => process.connected && process.send(message);

// ---- in the child processes -----------------------------------------------------------------------------

function measure(counts) {
  setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage();
    let descriptors = null;
    try {
      descriptors = fs.readdirSync('/proc/self/fd').length;
    } catch {
      // Not on this system.
    }
    tell({ sample: { rss: rss / MIB, heap: heapUsed / MIB, descriptors }, counts });
  }, 1000).unref();
}

async function serve() {
  const sockhop = require(ROOT);
  const server = new sockhop.server({ port: 0 });
  const counts = { received: 0, broadcasts: 0, requests: 0, callbacks: 0, connections: 0 };
  const next = new Map();
  server.on('error', (err) => tell({ violation: `server: ${err.code} ${err.message}` }));
  server.on('connect', (sock) => {
    counts.connections += 1;
    next.set(sock, 0);
  });
  server.on('disconnect', (sock) => next.delete(sock));
  server.on('receive', (object, { socket, callback }) => {
    counts.received += 1;
    if (object.bye !== undefined) {
      if (next.get(socket) !== object.bye)
        tell({ violation: `${object.bye} sent, ${next.get(socket)} here` });
    } else {
      if (object.n !== next.get(socket))
        tell({ violation: `${object.n} came for ${next.get(socket)}` });
      next.set(socket, object.n + 1);
    }
    if (callback) {
      callback({ n: object.n ?? object.bye });
      counts.callbacks += 1;
    }
  });
  server.on('request', async (request, response) => {
    counts.requests += 1;
    for (let i = 0; i < request.data.packets - 1; i += 1) await response.write({ i });
    response.send({ i: request.data.packets - 1 }).catch(() => {});
  });
  server.ping(2000);
  let round = 0;
  setInterval(() => {
    round += 1;
    counts.broadcasts += 1;
    server.sendall({ round, filler: 'b'.repeat(round % 50 === 0 ? 300_000 : 500) }).catch((err) => {
      tell({ violation: `sendall: ${err.message}` });
    });
  }, 10).unref();
  measure(counts);
  await server.listen();
  tell({ port: server.server.address().port });
}

function converse(port, seed) {
  const sockhop = require(ROOT);
  const random = randomFrom(seed);
  const counts = { sent: 0, callbacks: 0, packets: 0, broadcasts: 0, connections: 0 };
  measure(counts);
  for (let i = 0; i < CLIENTS; i += 1) {
    (async () => {
      for (;;) await live();
    })().catch((err) => tell({ violation: `client: ${err.stack}` }));
  }

  async function live() {
    const client = new sockhop.client({ port });
    client.on('error', (err) => tell({ violation: `client: ${err.message}` }));
    let last = 0;
    client.on('receive', ({ round }) => {
      if (last !== 0 && round !== last + 1)
        tell({ violation: `broadcast ${round} came after ${last}` });
      last = round;
      counts.broadcasts += 1;
    });
    await client.connect();
    counts.connections += 1;
    client.ping(2000);
    let n = 0;
    const ask = (object) =>
      new Promise((resolve, reject) => {
        client.send(object, resolve).catch(reject);
      });
    const until = Date.now() + 500 + 10_000 * random();
    while (Date.now() < until) {
      const kind = random();
      if (kind < 0.5) {
        const burst = 1 + Math.floor(200 * random() ** 3);
        const all = [];
        for (let i = 0; i < burst; i += 1) {
          all.push(client.send({ n, filler: 'x'.repeat(300 * random()) }));
          n += 1;
        }
        counts.sent += burst;
        await Promise.all(all);
      } else if (kind < 0.8) {
        const burst = 1 + Math.floor(50 * random());
        const all = [];
        for (let i = 0; i < burst; i += 1) {
          const mine = n;
          n += 1;
          all.push(
            ask({ n: mine }).then((answer) => {
              if (answer.n !== mine) tell({ violation: `${mine} was answered with ${answer.n}` });
            }),
          );
        }
        counts.sent += burst;
        await Promise.all(all);
        counts.callbacks += burst;
      } else if (kind < 0.85) {
        await client.send({ n, filler: 'y'.repeat(2 * MIB * random()) });
        n += 1;
        counts.sent += 1;
      } else if (kind < 0.95) {
        const packets = 1 + Math.floor(20 * random());
        const stream = await client.request({ packets });
        const all = await stream.all();
        counts.packets += all.length;
        if (all.some(({ data }, i) => data.i !== i) || all.length !== packets) {
          tell({ violation: `${packets} packets were asked for, ${all.length} came` });
        }
      } else {
        await wait(200 * random());
      }
    }
    await ask({ bye: n });
    counts.callbacks += 1;
    await client.disconnect();
  }
}

// ---- in the main process ------------------------------------------------------------------------------------

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** Compares the second and the last quarter of the samples of a value. */
function growth(samples, name) {
  const values = samples.map((sample) => sample[name]).filter((value) => value !== null);
  if (values.length < 20) return null;
  const quarter = Math.floor(values.length / 4);
  const early = median(values.slice(quarter, 2 * quarter));
  const late = median(values.slice(-quarter));
  return { early, late };
}

/** The growth of each process; too much of it is added to the violations. */
function growthOf(processes, violations) {
  const grown = {};
  for (const { role, samples } of processes) {
    for (const [name, slack] of [
      ['rss', 40],
      ['heap', 25],
      ['descriptors', 15],
    ]) {
      const change = growth(samples, name);
      if (change === null) continue;
      grown[`${role} ${name}`] = change;
      if (change.late > change.early * 1.25 + slack) {
        violations.push(
          `${role}: ${name} grew from ${change.early.toFixed(1)} to ${change.late.toFixed(1)}`,
        );
      }
    }
  }
  return grown;
}

async function main(argv) {
  const rest = [...argv];
  let out = path.join(ROOT, 'benchmark', 'results', 'soak');
  const place = rest.indexOf('--out');
  if (place >= 0) [, out] = rest.splice(place, 2);
  const minutes = Number(rest[0] ?? 1);
  if (!(minutes > 0)) throw new Error(`"${rest[0]}" is not a number of minutes`);
  const seconds = minutes * 60;

  const violations = [];
  const began = Date.now();
  const processes = [];
  let stopping = false;
  const start = async (role, ...args) => {
    const child = fork(__filename, [role, ...args.map(String)]);
    const entry = { role, child, samples: [], counts: {} };
    processes.push(entry);
    child.on('exit', (code, signal) => {
      if (!stopping) violations.push(`${role} ended by itself: ${signal ?? code}`);
    });
    child.on('message', ({ violation, sample, counts }) => {
      if (violation && !stopping && violations.length < 50) violations.push(violation);
      if (sample) {
        entry.samples.push({ at: (Date.now() - began) / 1000, ...sample });
        entry.counts = counts;
      }
    });
    return entry;
  };
  const server = await start('server');
  const [{ port }] = await once(server.child, 'message');
  for (let i = 1; i <= CLIENT_PROCESSES; i += 1) await start(`clients-${i}`, port, i);

  console.log(`soak: ${minutes} minutes, ${CLIENT_PROCESSES * CLIENTS} clients`);
  for (let left = seconds; left > 0 && violations.length === 0; left -= 10) {
    await wait(Math.min(10, left) * 1000);
    const { samples, counts } = server;
    const { rss } = samples.at(-1) ?? { rss: 0 };
    console.log(
      `soak: ${Math.round((Date.now() - began) / 1000)} s, ${counts.received} messages, ${rss.toFixed(0)} MiB`,
    );
  }
  stopping = true;
  for (const { child } of processes) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  const grown = growthOf(processes, violations);
  const result = {
    ...provenance(),
    minutes,
    clients: CLIENT_PROCESSES * CLIENTS,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    counts: Object.fromEntries(processes.map(({ role, counts }) => [role, counts])),
    growth: grown,
    violations,
    samples: Object.fromEntries(processes.map(({ role, samples }) => [role, samples])),
  };
  fs.mkdirSync(path.dirname(out), { recursive: true });
  fs.writeFileSync(`${out}.json`, `${JSON.stringify(result)}\n`);
  fs.writeFileSync(`${out}.svg`, soakPlot(result));
  console.log(JSON.stringify({ counts: result.counts, growth: grown }, null, 2));
  for (const violation of violations) console.error(`soak: ${violation}`);
  console.log(`soak: ${violations.length === 0 ? 'all held' : 'FAILED'}; ${out}.json, ${out}.svg`);
  process.exitCode = violations.length === 0 ? 0 : 1;
}

const [, , role, ...args] = process.argv;
if (process.send && role === 'server') {
  process.on('disconnect', () => process.exit());
  serve();
} else if (process.send && role?.startsWith('clients-')) {
  process.on('disconnect', () => process.exit());
  converse(...args.map(Number));
} else {
  main(process.argv.slice(2)).catch((error) => {
    console.error(`soak: ${error.message}`);
    process.exitCode = 2;
  });
}
