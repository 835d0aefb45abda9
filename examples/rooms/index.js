'use strict';

// A chat whose guests are at three processes. The processes are workers of node:cluster, whose primary
// process passes their messages; with BROKER=nats://... or redis://... they use that broker.
//   node examples/rooms

const cluster = require('node:cluster');
const { once } = require('node:events');

const { scratchPath } = require('../scratch.js');
const { openRooms } = require('./server.js');

const directory = process.env.SOCKHOP || '../..';
const Sockhop = require(directory);

const PROCESSES = 3;

class Enter {
  constructor(name, room) {
    this.name = name;
    this.room = room;
  }
}
class Say {
  constructor(text) {
    this.text = text;
  }
}
class Who {}

/** One of the three processes, which notifies the primary when it knows the others. */
async function serve() {
  const server = await openRooms({ path: process.env.ROOMS_PATH });
  while (server.cluster.nodes.size < PROCESSES) await once(server.cluster, 'node_up');
  process.send('ready');
}

async function startWorker() {
  const path = scratchPath();
  const worker = cluster.fork({ ROOMS_PATH: path });
  const ready = new Promise((resolve) => {
    // The messages of the cluster come over the same channel.
    worker.on('message', (message) => message === 'ready' && resolve());
  });
  return { worker, path, ready };
}

async function enter(name, room, path) {
  const client = new Sockhop.client({ path, captureRejections: true });
  client.on('error', (error) => console.error(error.message));
  await client.connect();
  const heard = [];
  client.on('receive', async (said) => {
    if (typeof said?.text === 'string') heard.push(said);
  });
  await client.call(new Enter(name, room));
  return {
    say: (text) => client.send(new Say(text)),
    who: () => client.call(new Who()),
    leave: () => client.disconnect(),
    /** Prints the next text that this guest hears. */
    async hear() {
      while (heard.length === 0) await once(client, 'receive');
      const said = heard.shift();
      console.log(`${name} hears ${said.name}: ${said.text}`);
    },
  };
}

async function main() {
  if (!process.env.BROKER) require(`${directory}/lib/cluster/workers.js`).relay();
  const servers = [];
  for (let n = 0; n < PROCESSES; n += 1) servers.push(await startWorker());
  await Promise.all(servers.map(({ ready }) => ready));

  const ada = await enter('Ada', 'engines', servers[0].path);
  await ada.hear();
  const charles = await enter('Charles', 'engines', servers[1].path);
  await ada.hear();
  const mary = await enter('Mary', 'stars', servers[2].path);
  await charles.say('Does the engine run?');
  await ada.hear();
  await mary.say('Nobody in the other room hears this.');
  await ada.say('It does.');
  await ada.hear();
  console.log('in the room:', await ada.who());
  await charles.leave();
  await ada.hear();

  await Promise.all([ada.leave(), mary.leave()]);
  for (const { worker } of servers) worker.kill();
}

(cluster.isWorker ? serve() : main()).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
