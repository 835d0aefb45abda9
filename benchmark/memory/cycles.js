#!/usr/bin/env node

/*
 * Opens and closes many connections between a server process and a client process, and records the
 * resources of both. Fails if there are more descriptors, handles or threads at the end than at the
 * beginning, or if memory keeps growing.
 */

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');
const { parseArgs } = require('node:util');
const { provenance } = require('../lib/machine.js');
const { cyclesPlot } = require('../lib/resource-plots.js');

const ROOT = path.join(__dirname, '..', '..');
const RESULTS = path.join(__dirname, '..', 'results');
const UNDER_TEST = process.env.SOCKHOP_UNDER_TEST || ROOT;
const MIB = 1 << 20;

/** The number of connections that are open at the same time. */
const LANES = 16;
/**
 * TCP reuses the port of a closed connection only after a minute; this many addresses have enough
 * ports.
 */
const ADDRESSES = 32;
/** The time after which the descriptors of closed connections are closed (see ARCHITECTURE.md). */
const LINGER_MS = 3000;
/**
 * The accepted growth of the highest resident memory from the first half to the last quarter, in
 * MiB and as a share. The highest value is used because V8 returns memory to the system at
 * irregular times.
 */
const SLACK_MIB = 12;
const SLACK_SHARE = 0.08;

const help = `Usage: npm run bench:memory -- [options]

Opens and closes many connections, and records memory, descriptors, handles and threads of both processes.

Options:
  --cycles <n>    number of connections (default 100000)
  --samples <n>   number of samples of each process (default 200)
  --output <dir>  directory for cycles.json and cycles.svg (default: benchmark/results)
  --no-save       only print
  --help          this text
`;

// ---- in the child processes -----------------------------------------------------------------------------

/** The resources of this process after garbage collection. */
async function look() {
  for (let i = 0; i < 3; i += 1) {
    globalThis.gc();
    await wait(10);
  }
  const { rss, heapUsed } = process.memoryUsage();
  const count = (directory) => {
    try {
      return fs.readdirSync(directory).length;
    } catch {
      return null; // not on this system
    }
  };
  return {
    rss: rss / MIB,
    heap: heapUsed / MIB,
    descriptors: count('/proc/self/fd'),
    threads: count('/proc/self/task'),
    // The sockets, timers and listeners that keep the event loop alive.
    handles: process.getActiveResourcesInfo().length,
  };
}

async function serve({ directory }) {
  const { server: Server } = require(UNDER_TEST);
  const places = [{ address: '0.0.0.0', port: 0 }, { path: path.join(directory, 'socket') }];
  const servers = [];
  for (const place of places) {
    const server = new Server(place);
    server.on('receive', (object, meta) => {
      if (object.end) meta.session.kill();
      else meta.callback?.({ ...object, answered: true });
    });
    server.on('request', (request, response) => {
      response.write(request.data);
      response.end();
    });
    server.ping(1000);
    await server.listen();
    servers.push(server);
  }
  return {
    actions: {
      look,
      async close() {
        for (const server of servers) await server.close();
      },
      /** @returns {number} the number of open connections */
      open: () => servers.reduce((sum, { sockets }) => sum + sockets.length, 0),
    },
    greeting: { port: servers[0].server.address().port, path: places[1].path },
  };
}

/** Opens a connection, exchanges messages, and ends it in one of four ways. */
async function live(Client, place, number) {
  const client = new Client(place);
  const gone = once(client, 'disconnect');
  await client.connect();
  const answer = await new Promise((resolve, reject) => {
    client.send({ number }, resolve).catch(reject);
  });
  if (answer.number !== number || !answer.answered) throw new Error('a wrong answer');
  // The second way ends the connection while a callback is pending.
  const ways = {
    0: () => client.disconnect(),
    1: () => client.send({ end: true }, () => {}),
    2: async () => {
      client.ping(500);
      const packets = await (await client.request({ number })).all();
      if (packets.length !== 2) throw new Error(`${packets.length} packets`);
      await client.disconnect();
    },
    3: () => client.socket.destroy(),
  };
  await ways[number % 4]();
  await gone;
  client.ping(0);
}

async function connect({ port, path: socketPath }) {
  const { client: Client } = require(UNDER_TEST);
  return {
    actions: {
      look,
      async cycles({ from, count }) {
        let next = from;
        const lane = async () => {
          while (next < from + count) {
            const number = next;
            next += 1;
            const tcp = number % 8 < 4;
            const address = `127.0.0.${1 + (Math.floor(number / 8) % ADDRESSES)}`;
            await live(Client, tcp ? { address, port } : { path: socketPath }, number);
          }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
      },
    },
    greeting: {},
  };
}

async function child(begin, argument) {
  process.on('disconnect', () => process.exit());
  const { actions, greeting } = await begin(argument);
  process.on('message', async ({ action, ...rest }) => {
    try {
      process.send({ result: (await actions[action](rest)) ?? null });
    } catch (error) {
      process.send({ error: String(error?.stack ?? error) });
    }
  });
  process.send({ result: greeting });
}

// ---- in the main process ------------------------------------------------------------------------------------

class Process {
  samples = [];

  constructor(role, argument) {
    this.role = role;
    this.child = fork(__filename, ['--child', role, JSON.stringify(argument)], {
      execArgv: ['--expose-gc'],
    });
    this.ended = once(this.child, 'exit').then(([code, signal]) => {
      throw new Error(`the ${role} has ended: ${signal ?? code}`);
    });
    this.ended.catch(() => {});
  }

  async answer() {
    const [{ result, error }] = await Promise.race([once(this.child, 'message'), this.ended]);
    if (error) throw new Error(`${this.role}: ${error}`);
    return result;
  }

  ask(action, rest = {}) {
    const answer = this.answer();
    this.child.send({ action, ...rest });
    return answer;
  }
}

/** Finds the faults in the samples of a process. */
function judge({ role, samples }, last) {
  const faults = [];
  const [first] = samples;
  for (const name of ['descriptors', 'threads', 'handles']) {
    if (first[name] !== last[name]) {
      faults.push(
        `${role}: ${first[name]} ${name} after the first cycles, ${last[name]} in the end`,
      );
    }
  }
  const quarter = Math.floor(samples.length / 4);
  const of = (from, to) => Math.max(...samples.slice(from, to).map(({ rss }) => rss));
  const early = of(0, 2 * quarter);
  const late = of(-quarter);
  if (late > early * (1 + SLACK_SHARE) + SLACK_MIB) {
    faults.push(
      `${role}: ${early.toFixed(1)} MiB in the first half, ${late.toFixed(1)} in the last quarter`,
    );
  }
  return { faults, early, late };
}

/** Waits until the descriptors of closed connections are closed, and returns the resources. */
async function settled(process, { descriptors, threads, handles }) {
  const until = Date.now() + LINGER_MS;
  let now;
  do {
    now = await process.ask('look');
  } while (
    (now.descriptors !== descriptors || now.threads !== threads || now.handles !== handles) &&
    Date.now() < until
  );
  return now;
}

async function measure({ cycles, samples }) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'sockhop-cycles-'));
  const processes = [];
  try {
    const server = new Process('server', { directory });
    processes.push(server);
    const place = await server.answer();
    const clients = new Process('clients', place);
    processes.push(clients);
    await clients.answer();

    // The first connections fill caches, pools and buffers, which must not count as growth.
    const each = Math.max(LANES, Math.floor(cycles / samples));
    let done = 0;
    const began = Date.now();
    await clients.ask('cycles', { from: 0, count: Math.max(each, 200) });
    await wait(LINGER_MS / 2);
    for (;;) {
      for (const process of processes) {
        process.samples.push({ at: done, ...(await process.ask('look')) });
      }
      if (done >= cycles) break;
      const count = Math.min(each, cycles - done);
      await clients.ask('cycles', { from: done, count });
      done += count;
    }
    const seconds = (Date.now() - began) / 1000;
    const open = await server.ask('open');
    const ends = [];
    for (const process of processes) ends.push(await settled(process, process.samples[0]));
    const verdicts = processes.map((process, index) => judge(process, ends[index]));
    const faults = verdicts.flatMap(({ faults }) => faults);
    if (open > 0) faults.push(`${open} connections are still open`);
    return {
      ...provenance(),
      cycles,
      seconds,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      resident: Object.fromEntries(
        processes.map(({ role }, index) => [
          role,
          { first_half: verdicts[index].early, last_quarter: verdicts[index].late },
        ]),
      ),
      end: Object.fromEntries(processes.map(({ role }, index) => [role, ends[index]])),
      faults,
      samples: Object.fromEntries(processes.map(({ role, samples }) => [role, samples])),
    };
  } finally {
    for (const { child } of processes) child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function save(directory, result) {
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(path.join(directory, 'cycles.json'), `${JSON.stringify(result)}\n`);
  fs.writeFileSync(path.join(directory, 'cycles.svg'), cyclesPlot(result));
}

function count(option, text) {
  if (!/^[1-9]\d*$/.test(text))
    throw new Error(`${option}: "${text}" is not a whole number above 0`);
  return Number(text);
}

async function main() {
  const { values } = parseArgs({
    options: {
      cycles: { type: 'string', default: '100000' },
      samples: { type: 'string', default: '200' },
      output: { type: 'string', default: RESULTS },
      'no-save': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const result = await measure({
    cycles: count('--cycles', values.cycles),
    samples: count('--samples', values.samples),
  });
  if (!values['no-save']) save(values.output, result);
  const { samples, ...figures } = result;
  process.stdout.write(`${JSON.stringify(figures, null, 1)}\n`);
  process.exitCode = result.faults.length === 0 ? 0 : 1;
}

const [, , flag, role, argument] = process.argv;
if (flag === '--child') {
  child(role === 'server' ? serve : connect, JSON.parse(argument));
} else {
  main().catch((error) => {
    process.stderr.write(`cycles: ${error.message}\n`);
    process.exit(2);
  });
}
