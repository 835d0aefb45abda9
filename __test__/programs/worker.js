'use strict';

// A worker thread with servers and clients of its own, whose data names its task.

const { once } = require('node:events');
const { parentPort, workerData } = require('node:worker_threads');
const { implementations } = require('../support/implementations.js');
const { client: Client, server: Server } = require(implementations.native);

const { task, where, count = 5 } = workerData;
const TEXT = 'w'.repeat(100);

/** A server that answers everything, and connected clients. */
async function pair() {
  const server = new Server(where);
  server.on('receive', (object, { callback }) => callback?.(object));
  await server.listen();
  const clients = Array.from({ length: count }, () => new Client(where));
  await Promise.all(clients.map((client) => client.connect()));
  return { server, clients };
}

const ask = (client, object) =>
  new Promise((resolve, reject) => {
    client.send(object, resolve).catch(reject);
  });

const tasks = {
  /** Runs every operation in order, and ends. */
  'come and go': async () => {
    const { server, clients } = await pair();
    const answers = await Promise.all(clients.map((client, n) => ask(client, { n })));
    parentPort.postMessage(answers.map(({ n }) => n));
    await Promise.all(clients.map((client) => client.disconnect()));
    await server.close();
  },

  /** A server that runs until it gets a message. */
  serve: async () => {
    const server = new Server(where);
    server.on('receive', (object, { callback }) => callback?.(object));
    await server.listen();
    parentPort.postMessage('listening');
    await once(parentPort, 'message');
    await server.close();
    parentPort.close();
  },

  /** A client of a server in another thread. */
  use: async () => {
    const client = new Client(where);
    await client.connect();
    const answers = await Promise.all(
      Array.from({ length: count }, (_, n) => ask(client, { n, text: TEXT })),
    );
    parentPort.postMessage(answers.map(({ n }) => n));
    await client.disconnect();
  },

  /** Endless traffic; the parent gets a message once it has begun. */
  flood: async () => {
    const { server, clients } = await pair();
    let received = 0;
    server.on('receive', () => {
      received += 1;
      if (received === 500) parentPort.postMessage('flooded');
    });
    const reconnecting = new Client({ port: 1, auto_reconnect_interval: 1 });
    reconnecting.auto_reconnect = true;
    for (;;) {
      for (const client of clients) client.send({ text: TEXT }, () => {});
      await server.sendall({ text: TEXT });
      await new Promise(setImmediate);
    }
  },

  /** Endless traffic, until the worker exits in a handler. */
  leave: async () => {
    const { server, clients } = await pair();
    let received = 0;
    server.on('receive', () => {
      received += 1;
      if (received === 500) process.exit(7);
    });
    for (;;) {
      for (const client of clients) client.send({ text: TEXT }, () => {});
      await new Promise(setImmediate);
    }
  },

  /** Throws in a handler. */
  throw: async () => {
    const { server, clients } = await pair();
    server.on('receive', () => {
      throw new Error('out of the handler');
    });
    for (const client of clients) client.send({ text: TEXT });
  },
};

tasks[task]();
