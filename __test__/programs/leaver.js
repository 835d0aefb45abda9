'use strict';

// A program that exits in the middle of its work: `node leaver.js <way> <where as JSON>`.

const { implementations } = require('../support/implementations.js');
const { client: Client, server: Server } = require(implementations.native);

const [, , way, place] = process.argv;
const where = JSON.parse(place);

/** An exit code that Node itself does not use. */
const CODE = 7;
const FLOOD = 'x'.repeat(200);

const fail = (err) => {
  console.error(err);
  process.exit(99);
};

async function pour(client) {
  while (client.connected) {
    await Promise.all(Array.from({ length: 100 }, () => client.send({ flood: FLOOD })));
    // Promises alone would not let the event loop take a turn.
    await new Promise(setImmediate);
  }
}

/** A client in a flood of messages in both directions. */
async function flooding(onMessage) {
  const client = new Client(where);
  let received = 0;
  client.on('receive', () => {
    received += 1;
    onMessage(received, client);
  });
  await client.connect();
  pour(client);
  return client;
}

/** A server with many clients in this program, all of which exchange messages. */
async function crowd(count) {
  const server = new Server(where);
  let received = 0;
  await server.listen();
  server.on('receive', (_object, { callback }) => {
    received += 1;
    callback?.({ answered: true });
    if (received === 3 * count) process.exit(CODE);
  });
  const clients = Array.from({ length: count }, () => new Client(where));
  await Promise.all(clients.map((client) => client.connect()));
  const talk = () => {
    for (const client of clients) client.send({ flood: FLOOD }, () => {});
    server.sendall({ flood: FLOOD });
    setImmediate(talk);
  };
  talk();
}

const ways = {
  'in a flood': () => {
    let enough = false;
    const leave = () => (enough ? process.exit(CODE) : setImmediate(leave));
    leave();
    return flooding((count) => {
      enough = count > 2000;
    });
  },

  'in a receive handler': () => flooding((count) => count > 1000 && process.exit(CODE)),

  'in a callback': async () => {
    const client = await flooding(() => {});
    client.send({ ask: true }, () => process.exit(CODE));
  },

  'in a connect handler': async () => {
    const client = new Client(where);
    client.on('connect', () => process.exit(CODE));
    await client.connect();
  },

  'in a disconnect handler': async () => {
    const client = new Client(where);
    client.on('disconnect', () => process.exit(CODE));
    await client.connect();
    await client.send({ leave: true });
  },

  'while it connects': () => {
    const client = new Client(where);
    client.connect();
    process.exit(CODE);
  },

  'while it reconnects': () => {
    const client = new Client({ ...where, auto_reconnect_interval: 1 });
    client.auto_reconnect = true;
    client.on('connect', () => client.send({ leave: true }));
    let lost = 0;
    client.on('disconnect', () => {
      lost += 1;
      if (lost === 5) process.exit(CODE);
    });
  },

  'with 1,000 connections': () => crowd(1000),

  'with an uncaught exception in a handler': () =>
    flooding((count) => {
      if (count > 1000) throw new Error('out of the handler');
    }),

  'with an uncaught exception in a callback': async () => {
    const client = await flooding(() => {});
    client.send({ ask: true }, () => {
      throw new Error('out of the callback');
    });
  },

  'with an uncaught exception that is handled': () => {
    process.on('uncaughtException', () => process.exit(CODE));
    return flooding((count) => {
      if (count > 1000) throw new Error('out of the handler');
    });
  },

  'by SIGTERM': async () => {
    let told = false;
    await flooding((count) => {
      if (count > 1000 && !told) {
        told = true;
        process.send('flooded');
      }
    });
  },

  'with last words': async () => {
    const client = new Client(where);
    await client.connect();
    for (let n = 0; n < 100; n += 1) client.send({ word: n });
    process.exit(CODE);
  },

  'with last words of many megabytes': async () => {
    const client = new Client(where);
    await client.connect();
    const text = 'w'.repeat(1 << 20);
    for (let n = 0; n < 8; n += 1) client.send({ word: n, text });
    process.exit(CODE);
  },

  'with last words in an exit handler': async () => {
    const client = new Client(where);
    await client.connect();
    process.on('exit', () => {
      for (let n = 0; n < 100; n += 1) client.send({ word: n });
    });
    process.exit(CODE);
  },

  'with last words and an exception': async () => {
    const client = new Client(where);
    await client.connect();
    process.nextTick(() => {
      for (let n = 0; n < 100; n += 1) client.send({ word: n });
      throw new Error('behind the last words');
    });
  },

  'with the last messages of a server': async () => {
    const server = new Server(where);
    await server.listen();
    process.send('listening');
    const all = new Promise((resolve) => {
      server.on('connect', () => server.sockets.length === 10 && resolve());
    });
    await all;
    for (let n = 0; n < 50; n += 1)
      for (const sock of server.sockets) server.send(sock, { word: n });
    server.sendall({ word: 50 });
    process.exit(CODE);
  },
};

Promise.resolve(ways[way]()).catch(fail);
