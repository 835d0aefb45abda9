'use strict';

/*
 * Mixed traffic through a bad network while its servers and clients are killed, with an account of
 * every message.
 *
 *   node __test__/chaos/exactly-once.js [--seconds 60] [--clients 50] [--seed 1]
 *     [--implementation native|original]
 *
 * Two servers and five client processes communicate through one chaos proxy each. Both sides number
 * their messages on a connection. Both are killed with SIGKILL and restarted repeatedly. These
 * invariants hold:
 *
 * - Messages of a connection arrive once and in order, however the connection ends.
 * - Fulfilled messages have arrived, if the sender ended the connection in order and the network
 *   did not break it. A sender that is killed earlier has not ended it in order.
 * - No callback runs twice, or with the answer to another message.
 * - Every promise is settled once its connection has ended.
 *
 * Prints one line of JSON, and exits with 1 if an invariant does not hold.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { freePort } = require('../support/addresses.js');
const { implementations } = require('../support/implementations.js');
const { ChaosProxy, randomFrom } = require('./proxy.js');

const SERVERS = 2;
const CLIENT_PROCESSES = 5;
/** How long after the end of a connection its promises may still be pending, in ms. */
const SETTLE_MS = 5000;

const tell = (message) => process.connected && process.send(message);
const violation = (what) => tell({ violation: what });

/** One direction of one connection, at its sending end. */
class Sender {
  fulfilled = 0;
  rejected = 0;
  pending = 0;
  callbacks = 0;
  #next = 0;

  constructor(id, send) {
    this.id = id;
    this.send = send;
  }

  /** Sends the next message, perhaps with a callback. */
  message(random) {
    const number = this.#next;
    this.#next += 1;
    const size = random() < 0.02 ? 200_000 * random() : 400 * random() ** 3;
    const object = { n: number, filler: 'x'.repeat(size) };
    let runs = 0;
    const callback =
      random() < 0.3
        ? (answer) => {
            runs += 1;
            this.callbacks += 1;
            if (runs > 1) violation(`${this.id}: the callback of ${number} ran ${runs} times`);
            if (answer?.n !== number)
              violation(`${this.id}: ${number} was answered with ${answer?.n}`);
          }
        : undefined;
    this.pending += 1;
    let promise;
    try {
      promise = this.send(object, callback);
    } catch (err) {
      promise = Promise.reject(err);
    }
    return Promise.resolve(promise).then(
      () => {
        this.pending -= 1;
        this.fulfilled += 1;
      },
      () => {
        this.pending -= 1;
        this.rejected += 1;
      },
    );
  }

  /** The connection is over. */
  over() {
    setTimeout(() => {
      if (this.pending > 0) violation(`${this.id}: ${this.pending} promises were never settled`);
      tell({
        settled: this.id,
        fulfilled: this.fulfilled,
        rejected: this.rejected,
        callbacks: this.callbacks,
      });
    }, SETTLE_MS).unref();
  }
}

/** One direction of one connection, at its receiving end. */
class Receiver {
  count = 0;

  constructor(id) {
    this.id = id;
  }

  take(object, meta) {
    if (object?.n !== this.count)
      violation(`${this.id}: ${object?.n} came when ${this.count} was due`);
    this.count = (object?.n ?? this.count) + 1;
    if (!meta.callback) return;
    try {
      meta.callback({ n: object.n });
    } catch {
      // The asking client has gone.
    }
  }
}

/** The process of a server. */
async function serve(sockhop, { port, life, seed }) {
  const random = randomFrom(seed);
  const server = new sockhop.server({ port, address: '127.0.0.1' });
  const states = new Map();
  server.on('error', () => {});
  server.on('receive', (object, meta) => {
    const sock = meta.socket;
    if (object?.hello) {
      const id = object.hello;
      const state = {
        up: new Receiver(`${id}/up`),
        down: new Sender(`${id}/down`, (message, callback) => server.send(sock, message, callback)),
        going: true,
      };
      states.set(sock, state);
      tell({ open: id, life });
      talk(sock, state);
      return;
    }
    states.get(sock)?.up.take(object, meta);
  });
  server.on('disconnect', (sock) => {
    const state = states.get(sock);
    if (!state) return;
    states.delete(sock);
    state.going = false;
    state.down.over();
    tell({ received: state.up.id, count: state.up.count });
  });

  async function talk(sock, state) {
    const until = Date.now() + 500 + 6000 * random();
    while (state.going && Date.now() < until) {
      const burst = 1 + Math.floor(20 * random() ** 2);
      const all = [];
      for (let i = 0; i < burst; i += 1) all.push(state.down.message(random));
      if (random() < 0.5) await Promise.all(all);
      await wait(50 * random());
    }
    while (state.going && state.down.pending > 0) await wait(5);
    if (!state.going) return;
    // The server ends the connection: all messages that it counts as fulfilled must arrive.
    if (random() < 0.3) {
      const { fulfilled } = state.down;
      state.going = false;
      tell({ sent: state.down.id, count: fulfilled });
      server.kill_socket(sock).catch(() => {});
    }
  }

  await server.listen();
  tell({ listening: true });
}

/** The process of some clients. */
function converse(sockhop, { ports, life, seed, clients }) {
  const random = randomFrom(seed);
  for (let i = 0; i < clients; i += 1) one(i);

  async function one(index) {
    for (let number = 0; ; number += 1) {
      const client = new sockhop.client({
        port: ports[(index + number) % ports.length],
        address: '127.0.0.1',
        connect_timeout: 2000,
      });
      client.on('error', () => {});
      try {
        await client.connect();
      } catch {
        await wait(100 + 300 * random());
        continue;
      }
      await talk(client, `${life}-${index}-${number}`).catch((err) => violation(`${err.stack}`));
    }
  }

  async function talk(client, id) {
    const up = new Sender(`${id}/up`, (message, callback) => client.send(message, callback));
    const down = new Receiver(`${id}/down`);
    let going = client.connected;
    const gone = new Promise((resolve) => {
      client.on('disconnect', () => {
        going = false;
        up.over();
        tell({ received: down.id, count: down.count });
        resolve();
      });
    });
    client.on('receive', (object, meta) => down.take(object, meta));
    if (!going) return;
    client.send({ hello: id }).catch(() => {});
    const until = Date.now() + 200 + 5000 * random();
    while (going && Date.now() < until) {
      const burst = 1 + Math.floor(20 * random() ** 2);
      const all = [];
      for (let i = 0; i < burst; i += 1) all.push(up.message(random));
      if (random() < 0.5) await Promise.all(all);
      await wait(50 * random());
    }
    while (going && up.pending > 0) await wait(5);
    if (going && random() < 0.8) {
      tell({ sent: up.id, count: up.fulfilled });
      client.disconnect();
    } else if (going) {
      // An end without order gives up the data that the server has sent.
      tell({ broken: id });
      client.socket.destroy();
    }
    await gone;
  }
}

/** Chooses the faults of the network on a connection. */
function planFrom(random) {
  const at = () => Math.floor(200 + 400_000 * random() ** 2);
  const kind = random();
  if (kind < 0.3) return {};
  if (kind < 0.4) return { split: 1 + Math.floor(4 * random()) };
  if (kind < 0.55) return { split: 1 + Math.floor(3000 * random()), delay: 3 * random() };
  if (kind < 0.65) return { stall: { after: at(), ms: 1500 * random() } };
  if (kind < 0.75) return { halfClose: { after: at(), direction: random() < 0.5 ? 'up' : 'down' } };
  if (kind < 0.88) return { reset: { after: at() } };
  return { truncate: { after: at() } };
}

/**
 * @param {{seconds?: number, clients?: number, seed?: number, implementation?: string}} options
 * @returns {Promise<object>} the account; `violations` is empty if all holds
 */
async function run({ seconds = 60, clients = 50, seed = 1, implementation = 'native' } = {}) {
  const random = randomFrom(seed);
  const account = {
    implementation,
    seconds,
    clients,
    seed,
    connections: 0,
    messages: 0,
    callbacks: 0,
    fulfilled: 0,
    rejected: 0,
    ended_in_order: 0,
    verified: 0,
    verified_messages: 0,
    lost: 0,
    killed: 0,
    crashed: 0,
    violations: [],
  };
  const broken = new Set(); // connections the proxy broke
  const opened = new Map(); // connection -> life of its server
  const cut = new Set(); // lives that were ended with SIGKILL
  const unfinished = new Set(); // directions whose sender was killed before all had arrived
  const sent = new Map(); // direction of a connection -> what its sender had fulfilled when it ended it
  const received = new Map(); // ... -> what had arrived at its end
  const children = new Map(); // life -> process
  let going = true;
  let lives = 0;

  const note = (what) => {
    if (account.violations.length < 20) account.violations.push(what);
    else account.violations[20] = 'and more';
  };
  const onMessage = (message, life) => {
    if (message.violation) note(message.violation);
    else if (message.open) {
      opened.set(message.open, message.life);
      account.connections += 1;
    } else if (message.broken) broken.add(message.broken);
    else if (message.sent) {
      sent.set(message.sent, { count: message.count, life });
      // It has reported this just before it was killed.
      if (cut.has(life)) unfinished.add(message.sent);
    } else if (message.received) {
      received.set(message.received, message.count);
      account.messages += message.count;
    } else if (message.settled) {
      for (const name of ['fulfilled', 'rejected', 'callbacks']) account[name] += message[name];
    }
  };

  function kill(life, child) {
    cut.add(life);
    // Connections that the process has ended but still reads do not end in order.
    for (const [direction, { life: sender }] of sent) {
      if (sender === life && !received.has(direction)) unfinished.add(direction);
    }
    child.kill('SIGKILL');
  }

  /** Keeps a process running: it is killed now and then, and started again. */
  async function keep(role, settings, ready) {
    while (going) {
      lives += 1;
      const life = `${role}${lives}`;
      const child = fork(__filename, [
        role,
        implementations[implementation],
        JSON.stringify({ ...settings, life, seed: Math.floor(random() * 2 ** 31) }),
      ]);
      children.set(life, child);
      let killed = false;
      const timer = setTimeout(
        () => {
          if (!going) return;
          killed = true;
          kill(life, child);
        },
        (role === 'server' ? 3000 : 2000) + 12_000 * random(),
      );
      child.on('message', (message) => {
        onMessage(message, life);
        if (message.listening) ready?.();
      });
      const [code, signal] = await once(child, 'exit');
      clearTimeout(timer);
      children.delete(life);
      if (killed) account.killed += 1;
      else if (going) {
        account.crashed += 1;
        note(`${life} ended by itself: ${signal ?? code}`);
      }
    }
  }

  const proxies = [];
  const ports = [];
  const keeping = [];
  for (let i = 0; i < SERVERS; i += 1) {
    const port = await freePort();
    const proxy = new ChaosProxy({ port, host: '127.0.0.1' }, () => planFrom(random), {
      onFirst: (connection, bytes) => {
        connection.id = /"hello":"([^"]+)"/.exec(bytes.toString('latin1'))?.[1];
        if (connection.faulty) broken.add(connection.id);
      },
      onFault: (connection) => broken.add(connection.id),
    });
    proxies.push(proxy);
    ports.push((await proxy.listen()).port);
    await new Promise((resolve) => {
      keeping.push(keep('server', { port }, resolve));
    });
  }
  for (let i = 0; i < CLIENT_PROCESSES; i += 1) {
    keeping.push(keep('client', { ports, clients: Math.ceil(clients / CLIENT_PROCESSES) }));
  }

  await wait(seconds * 1000);
  going = false;
  // Waits for pending work and its reports.
  await wait(2 * SETTLE_MS);
  for (const [life, child] of children) kill(life, child);
  await Promise.all(keeping);
  await Promise.all(proxies.map((proxy) => proxy.close()));

  account.ended_in_order = sent.size;
  for (const [direction, { count }] of sent) {
    const id = direction.slice(0, direction.lastIndexOf('/'));
    if (broken.has(id) || unfinished.has(direction) || !received.has(direction)) continue;
    // Both ends ended the connection at the same time, and neither read any further.
    if (sent.has(`${id}/up`) && sent.has(`${id}/down`)) continue;
    account.verified += 1;
    account.verified_messages += count;
    const arrived = received.get(direction);
    if (arrived !== count) {
      account.lost += Math.max(0, count - arrived);
      note(`${direction}: ${count} were fulfilled, ${arrived} arrived`);
    }
  }
  account.faults = {};
  for (const { injected } of proxies) {
    for (const [name, count] of Object.entries(injected)) {
      account.faults[name] = (account.faults[name] ?? 0) + count;
    }
  }
  return account;
}

function parse(argv) {
  const options = {};
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].replace(/^--/, '');
    options[name] = name === 'implementation' ? argv[i + 1] : Number(argv[i + 1]);
  }
  return options;
}

module.exports = { run };

if (require.main === module) {
  const [, , role, module, settings] = process.argv;
  if (role === 'server' || role === 'client') {
    process.on('disconnect', () => process.exit());
    (role === 'server' ? serve : converse)(require(module), JSON.parse(settings));
  } else {
    run(parse(process.argv.slice(2))).then((account) => {
      console.log(JSON.stringify(account));
      process.exitCode = account.violations.length > 0 ? 1 : 0;
    });
  }
}
