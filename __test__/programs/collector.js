'use strict';

// Creates the objects that a program can create, ends them in one way, and prints those that the
// garbage collector did not take.

const net = require('node:net');
const tls = require('node:tls');
const { once } = require('node:events');
const { hierarchy } = require('../support/certificates.js');
const { implementations } = require('../support/implementations.js');

const sockhop = require(implementations.native);

const waitFor = (emitter, name) => once(emitter, name);

/**
 * The objects that a case made: registered by name, and removed from the list when they are
 * collected.
 */
class Watch {
  #left = new Map();
  #registry = new FinalizationRegistry((name) => {
    const left = this.#left.get(name) - 1;
    if (left === 0) this.#left.delete(name);
    else this.#left.set(name, left);
  });

  /** @returns the object itself */
  see(name, object) {
    this.#left.set(name, (this.#left.get(name) ?? 0) + 1);
    this.#registry.register(object, name);
    return object;
  }

  async gone() {
    for (let round = 0; round < 100 && this.#left.size > 0; round += 1) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return [...this.#left].map(([name, count]) => `${name} (${count})`);
  }
}

/** A server that is not watched, for cases about clients. */
async function backdrop(place) {
  const server = new sockhop.server(place);
  server.on('receive', (object, meta) => {
    if (object.silence) return;
    meta.callback?.({ answer: object });
  });
  server.on('request', (_request, response) => {
    response.write('part');
    if (_request.data.end) response.end();
  });
  await server.listen();
  return server;
}

/** Connects a client whose callback and whose stream get no answer. */
async function askInVain(watch, place, held) {
  held.server = await backdrop(place);
  held.client = new sockhop.client(place);
  await held.client.connect();
  watch.see('socket', held.client.socket);
  await held.client.send(
    { silence: true },
    watch.see('callback', () => {}),
  );
  watch.see('stream', await held.client.request({ end: false }));
}

const ask = (client, object) =>
  new Promise((resolve, reject) => {
    client.send(object, resolve).catch(reject);
  });

/** Each case leaves its objects to the collector. `held` has the objects that the program keeps. */
const cases = {
  /** Shows that the other cases can fail. */
  async 'what is still held'(watch, place, held) {
    held.server = watch.see('server', await backdrop(place));
    const client = watch.see('client', new sockhop.client(place));
    await client.connect();
    watch.see('callback', () => {});
    held.connected = client;
    await client.send(
      { silence: true },
      watch.see('waiting', () => {}),
    );
  },

  async 'a client only constructed, a server only constructed'(watch, place) {
    watch.see('client', new sockhop.client(place));
    watch.see('server', new sockhop.server(place));
  },

  async 'a client that talked and disconnected'(watch, place, held) {
    held.server = await backdrop(place);
    const client = watch.see('client', new sockhop.client(place));
    const sessions = waitFor(held.server, 'connect');
    await client.connect();
    watch.see('socket', client.socket);
    const [socket, session] = await sessions;
    watch.see('socket of the server', socket);
    watch.see('session', session);
    await ask(client, { n: 1 });
    client.ping(5);
    const stream = watch.see('stream', await client.request({ end: true }));
    await stream.all();
    const left = waitFor(held.server, 'disconnect');
    await client.disconnect();
    await left;
  },

  async 'callbacks and streams still waiting when the client disconnects'(watch, place, held) {
    await askInVain(watch, place, held);
    const left = waitFor(held.server, 'disconnect');
    await held.client.disconnect();
    await left;
  },

  async 'callbacks and streams still waiting when the server ends'(watch, place, held) {
    await askInVain(watch, place, held);
    const left = waitFor(held.client, 'disconnect');
    await held.server.close();
    await left;
  },

  async 'callbacks that were answered, on a connection that stays'(watch, place, held) {
    held.server = await backdrop(place);
    held.client = new sockhop.client(place);
    await held.client.connect();
    for (let i = 0; i < 10; i += 1) {
      await new Promise((resolve) => {
        held.client.send(
          { i },
          watch.see('callback', () => resolve()),
        );
      });
    }
    await watch.see('stream', await held.client.request({ end: true })).all();
  },

  async 'callbacks that were not answered in time'(watch, place, held) {
    held.server = await backdrop(place);
    held.client = new sockhop.client({ ...place, callback_timeout: 10, response_timeout: 10 });
    held.client.on('error', () => {});
    await held.client.connect();
    const late = waitFor(held.client, 'error');
    await held.client.send(
      { silence: true },
      watch.see('callback', () => {}),
    );
    const stream = watch.see('stream', await held.client.request({ end: false }));
    await stream.all().catch(() => {});
    await late;
  },

  async 'what a server keeps of peers that left'(watch, place, held) {
    held.server = await backdrop(place);
    held.server.ping(5);
    for (let i = 0; i < 5; i += 1) {
      const client = watch.see('client', new sockhop.client(place));
      const came = waitFor(held.server, 'connect');
      await client.connect();
      const [socket, session] = await came;
      watch.see('socket', socket);
      watch.see('session', session);
      await held.server.send(
        socket,
        { n: 1 },
        watch.see('callback', () => {}),
      );
      watch.see('stream', await held.server.request(socket, 'anything'));
      const left = waitFor(held.server, 'disconnect');
      // The connection ends in order, by destroy(), with a reset, and by the server.
      if (i === 0) await client.disconnect();
      else if (i === 1) client.socket.destroy();
      else if (i === 2) client.socket.resetAndDestroy();
      else if (i === 3) await session.kill();
      else await held.server.kill_socket(socket);
      await left;
    }
  },

  async 'a server that was closed, and its session, and its listener'(watch, place) {
    const server = watch.see('server', await backdrop(place));
    watch.see('listener', server.server);
    const client = watch.see('client', new sockhop.client(place));
    const came = waitFor(server, 'connect');
    await client.connect();
    watch.see('session', (await came)[1]);
    await ask(client, { n: 1 });
    const left = waitFor(client, 'disconnect');
    await server.close();
    await left;
  },

  async 'a server that could not listen'(watch, place, held) {
    held.server = await backdrop(place);
    const other = watch.see('server', new sockhop.server(place));
    await other.listen().catch(() => {});
  },

  async 'a client that could not connect'(watch, place) {
    const client = watch.see('client', new sockhop.client(place));
    await client.connect().catch(() => {});
  },

  async 'a client that gave up reconnecting'(watch, place) {
    const client = watch.see(
      'client',
      new sockhop.client({ ...place, auto_reconnect_interval: 5 }),
    );
    client.auto_reconnect = true;
    await new Promise((resolve) => setTimeout(resolve, 30));
    client.auto_reconnect = false;
    await client.disconnect();
  },

  async 'a client whose attempt was aborted'(watch, place, held) {
    held.server = await backdrop(place);
    const client = watch.see('client', new sockhop.client(place));
    const abort = watch.see('controller', new AbortController());
    const attempt = client.connect({ signal: abort.signal }).catch(() => {});
    abort.abort();
    await attempt;
    held.signal = new AbortController().signal;
    // A signal that stays in use keeps no reference to an attempt that is over.
    const other = watch.see('other client', new sockhop.client(place));
    await other.connect({ signal: held.signal });
    watch.see('other stream', await other.request({ end: false }, { signal: held.signal }));
    const left = waitFor(other, 'disconnect');
    await other.disconnect();
    await left;
  },

  async 'a client over TLS, and the connection at the server'(watch, place, held) {
    const { root, chain, server: own } = await hierarchy();
    held.server = await backdrop(place);
    const front = tls.createServer({ cert: chain, key: own.key }, (stream) => {
      held.server.server.emit('connection', watch.see('stream of the server', stream));
    });
    front.listen(0, '127.0.0.1');
    await waitFor(front, 'listening');
    const { port } = front.address();
    const client = new sockhop.client({ port, ssl_options: { ca: root.cert } });
    watch.see('client', client);
    await client.connect();
    watch.see('socket', client.socket);
    await ask(client, { n: 1 });
    const gone = waitFor(held.server, 'disconnect');
    await client.disconnect();
    await gone;
    front.close();
    await waitFor(front, 'close');
  },

  async 'streams that a program brought itself'(watch, place, held) {
    held.server = await backdrop(place);
    const client = watch.see('client', new sockhop.client(place));
    const own = watch.see('stream of the client', net.connect({ host: '127.0.0.1', ...place }));
    const came = waitFor(held.server, 'connect');
    client.socket = own;
    watch.see('session', (await came)[1]);
    await ask(client, { n: 1 });
    const left = waitFor(held.server, 'disconnect');
    await client.disconnect();
    await left;

    // And one handed to the server, by a listener of the program.
    const front = net.createServer((stream) => {
      held.server.server.emit('connection', watch.see('stream of the server', stream));
    });
    front.listen(0, '127.0.0.1');
    await waitFor(front, 'listening');
    const second = watch.see('client of that', new sockhop.client({ port: front.address().port }));
    const behind = waitFor(held.server, 'connect');
    await second.connect();
    watch.see('session of that', (await behind)[1]);
    await ask(second, { n: 2 });
    const gone = waitFor(held.server, 'disconnect');
    await second.disconnect();
    await gone;
    front.close();
    await waitFor(front, 'close');
  },
};

async function main() {
  const { name, place } = JSON.parse(process.argv[2]);
  const watch = new Watch();
  const held = {};
  await cases[name](watch, place, held);
  console.log(JSON.stringify(await watch.gone()));
  await held.client?.disconnect();
  await held.server?.close();
}

module.exports = { cases: Object.keys(cases) };
if (require.main === module) main();
