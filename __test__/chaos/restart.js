'use strict';

// Clients with an offline queue call a server at a steady rate. Meanwhile the server is stopped
// with close({ grace }) and started again, each time in a new process. No call may be lost,
// repeated or rejected.
//
//   node __test__/chaos/restart.js [--calls n] [--clients n] [--rate n] [--pause ms] [--grace ms] [--seed n]

const { fork } = require('node:child_process');
const { once } = require('node:events');
const { setTimeout: wait } = require('node:timers/promises');
const { implementations } = require('../support/implementations.js');
const { freePort } = require('../support/addresses.js');
const { randomFrom } = require('./proxy.js');

/** How often the clients of a process make calls, in ms. */
const TICK_MS = 20;
/** The longest time that a server takes to answer, in ms. */
const LONGEST_ANSWER_MS = 60;

/** The messages from the parent to the process with the clients. */
const AWAY = 'the server is away';

const tell = (message) => process.connected && process.send(message);

// ---- in the child processes -------------------------------------------------------------------

/** Serves until the parent stops it. Reports each call that arrives, and how it was closed. */
async function serve(sockhop, { port, grace, seed }) {
  const random = randomFrom(seed);
  // An answer to a connection that was cut is an exception, which becomes an `error` event.
  const server = new sockhop.server({ port, captureRejections: true });
  let handled = [];
  const report = () => {
    if (handled.length > 0) tell({ handled });
    handled = [];
  };
  setInterval(report, 100).unref();
  server.on('error', (err) => tell({ violation: `server: ${err.message}` }));
  server.on('receive', async ({ id }, { callback }) => {
    handled.push(id);
    if (random() < 0.5) await wait(LONGEST_ANSWER_MS * random());
    callback({ id });
  });
  await server.listen();
  tell({ listening: true });
  await once(process, 'message');
  const cut = await server.close({ grace });
  report();
  tell({ closed: { cut } });
  process.disconnect();
}

/**
 * Makes calls at the rate, and reports each of them when it is settled. The last tenth is made once
 * the server has been away: on a busy machine all calls could be over before that.
 */
async function makeCalls(sockhop, { port, calls, clients, rate }) {
  const all = Array.from({ length: clients }, () => {
    const client = new sockhop.client({
      port,
      auto_reconnect_interval: 50,
      auto_reconnect_factor: 1.5,
      auto_reconnect_max_interval: 500,
      auto_reconnect_jitter: 1,
      offline_queue: 100_000,
    });
    // An attempt to connect may fail, such as by its time-out on a busy machine: another one follows.
    client.on('error', () => {});
    return client;
  });
  await Promise.all(all.map((client) => client.connect()));
  for (const client of all) client.auto_reconnect = true;
  let wasAway = false;
  process.on('message', async (message) => {
    if (message === AWAY) wasAway = true;
    else {
      while (!all.every((client) => client.connected)) await wait(5);
      tell({ connected: true });
    }
  });
  tell({ ready: true });
  let settled = 0;
  let waited = 0;
  const ask = async (id) => {
    const client = all[id % clients];
    try {
      const call = client.call({ id });
      if (client.stats().offline_messages > 0) waited += 1;
      const answer = await call;
      if (answer?.id !== id) tell({ violation: `call ${id} was answered by ${answer?.id}` });
    } catch (err) {
      tell({ violation: `call ${id}: ${err.code} ${err.cause?.message ?? err.message}` });
    }
    settled += 1;
  };
  const began = performance.now();
  const pending = [];
  for (let id = 0; id < calls; ) {
    const most = wasAway ? calls : Math.floor(calls * 0.9);
    const due = Math.min(most, Math.floor(((performance.now() - began) * rate) / 1000));
    for (; id < due; id += 1) pending.push(ask(id));
    await wait(TICK_MS);
  }
  await Promise.all(pending);
  tell({ done: { settled, waited } });
  await Promise.all(all.map((client) => client.disconnect()));
  process.disconnect();
}

// ---- in the parent ----------------------------------------------------------------------------

/**
 * @param {object} options
 * @param {number} [options.calls] of all clients
 * @param {number} [options.clients]
 * @param {number} [options.rate] in calls a second
 * @param {number} [options.pause] between two stops of the server, in ms
 * @param {number} [options.grace] of each stop, in ms
 * @param {number} [options.seed]
 * @returns {Promise<object>} the account; `violations` is empty if all holds
 */
async function run({
  calls = 2000,
  clients = 50,
  rate = 1000,
  pause = 500,
  grace = 5000,
  seed = 1,
} = {}) {
  const random = randomFrom(seed);
  const port = await freePort();
  const account = { calls, clients, rate, seed, settled: 0, waited: 0, restarts: 0, cut: 0 };
  const violations = [];
  const handled = new Uint8Array(calls);
  const note = (what) => violations.length < 20 && violations.push(what);

  const start = (role, settings) => {
    const child = fork(__filename, [role, implementations.native, JSON.stringify(settings)]);
    const waiting = new Map();
    child.on('message', (message) => {
      if (message.violation) note(message.violation);
      for (const id of message.handled ?? []) {
        handled[id] += 1;
        if (handled[id] > 1) note(`call ${id} was handled ${handled[id]} times`);
      }
      for (const [name, resolve] of waiting) if (name in message) resolve(message[name]);
    });
    const exited = once(child, 'exit').then(([code, signal]) => {
      if (code !== 0) note(`${role} ended: ${signal ?? code}`);
      for (const resolve of waiting.values()) resolve(null);
    });
    const next = (name) => new Promise((resolve) => waiting.set(name, resolve));
    return { child, exited, next };
  };
  const startServer = async () => {
    const server = start('server', { port, grace, seed: Math.floor(random() * 2 ** 31) });
    await server.next('listening');
    return server;
  };

  let server = await startServer();
  const caller = start('client', { port, calls, clients, rate });
  let isDone = false;
  const done = caller.next('done').then((result) => {
    isDone = true;
    return result;
  });
  await caller.next('ready');
  while (!isDone) {
    await Promise.race([wait(pause * (0.5 + random())), done]);
    if (isDone) break;
    // A client that connects while the server closes its listener may find a closed connection.
    const connected = caller.next('connected');
    if (caller.child.connected) caller.child.send('are all connected?');
    await Promise.race([connected, done]);
    const closed = server.next('closed');
    server.child.send('stop');
    const { cut } = (await closed) ?? { cut: 0 };
    account.cut += cut;
    if (caller.child.connected) caller.child.send(AWAY);
    await server.exited;
    server = await startServer();
    account.restarts += 1;
  }
  Object.assign(account, await done);
  await caller.exited;
  const closed = server.next('closed');
  server.child.send('stop');
  await closed;
  await server.exited;
  account.unhandled = handled.reduce((sum, count) => sum + (count === 0 ? 1 : 0), 0);
  return { ...account, violations };
}

function parse(argv) {
  const options = {};
  for (let i = 0; i < argv.length; i += 2) {
    options[argv[i].replace(/^--/, '')] = Number(argv[i + 1]);
  }
  return options;
}

module.exports = { run };

if (require.main === module) {
  const [, , role, module, settings] = process.argv;
  if (role === 'server' || role === 'client') {
    process.on('disconnect', () => process.exit());
    (role === 'server' ? serve : makeCalls)(require(module), JSON.parse(settings));
  } else {
    run(parse(process.argv.slice(2))).then((account) => {
      console.log(JSON.stringify(account));
      process.exitCode = account.violations.length > 0 ? 1 : 0;
    });
  }
}
