'use strict';

// A program whose own code throws: `node thrower.js <where>`. It prints the exceptions that
// surfaced and the other results as JSON, and ends by itself.

const net = require('node:net');
const { implementations } = require('../support/implementations.js');
const sockhop = require(implementations.native);
const { client: Client, server: Server, session: Session } = sockhop;

const surfaced = [];
const own = (stack) => String(stack).includes('throwIn') && String(stack).includes(__filename);
const note = (kind) => (err) =>
  surfaced.push(own(err?.stack) ? [kind, err.message] : [kind, err?.message, err?.stack ?? err]);
process.on('uncaughtException', note('uncaughtException'));
process.on('unhandledRejection', note('unhandledRejection'));

/** Throws the exception that the test expects. */
function throwIn(where) {
  throw new Error(where);
}

const pause = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (condition) => {
  while (!condition()) await pause(1);
};
/** `events.once()` would also listen for errors. */
const once = (emitter, event) =>
  new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
const numbers = (count) => Array.from({ length: count }, (_, n) => n);

/** A value that cannot be written as JSON, because code of the program throws. */
const faulty = {
  toJSON: () => ({ toJSON: () => throwIn('toJSON') }),
  getter: () => ({
    get field() {
      return throwIn('getter');
    },
  }),
};

/** A server and its client, which record the messages they receive. */
async function pair(serverOptions = {}, clientOptions = {}) {
  const server = new Server({ port: 0, ...serverOptions });
  await server.listen();
  const { port } = server.server.address();
  const client = new Client({ port, ...clientOptions });
  const received = { client: [], server: [] };
  client.on('receive', ({ n }, { callback }) => {
    received.client.push(n);
    callback?.({ n });
  });
  server.on('receive', ({ n }, { callback }) => {
    received.server.push(n);
    callback?.({ n });
  });
  return { server, client, received, port };
}

/** The client is refused, `relent` is called, and then the client is accepted. */
async function turnedAwayOnce(both, relent) {
  await both.client.connect();
  await once(both.client, 'disconnect');
  relent();
  const result = both.server.sockets.length;
  await both.client.connect();
  return { both, result };
}

async function connected(...options) {
  const both = await pair(...options);
  await both.client.connect();
  await until(() => both.server.sockets.length === 1);
  return { ...both, sock: both.server.sockets[0] };
}

/** Whether both ends still answer. */
async function sound({ server, client }) {
  const ask = (send, object) => new Promise((resolve) => send(object, resolve));
  const { n: here } = await ask((...args) => client.send(...args), { n: 'c' });
  const { n: there } = await ask((...args) => server.send(server.sockets[0], ...args), { n: 's' });
  return here === 'c' && there === 's' && server.sockets.length === 1 && client.connected;
}

const odd = (n) => typeof n === 'number' && n % 2 === 1;

const cases = {
  "a client's receive": async () => {
    const both = await connected();
    both.client.on('receive', ({ n }) => odd(n) && throwIn(`receive ${n}`));
    for (const n of numbers(6)) both.server.send(both.sock, { n });
    await until(() => both.received.client.length === 6);
    return { both, result: both.received.client };
  },
  "a server's receive": async () => {
    const both = await connected();
    both.server.on('receive', ({ n }) => odd(n) && throwIn(`receive ${n}`));
    for (const n of numbers(6)) both.client.send({ n });
    await until(() => both.received.server.length === 6);
    return { both, result: both.received.server };
  },
  'an asynchronous receive': async () => {
    const both = await connected();
    both.server.on('receive', async ({ n }) => {
      await pause(1);
      if (odd(n)) throwIn(`receive ${n}`);
    });
    for (const n of numbers(6)) both.client.send({ n });
    await until(() => surfaced.length === 3);
    return { both, result: both.received.server };
  },
  "a client's callback": async () => {
    const both = await connected();
    const answers = [];
    for (const m of numbers(6))
      both.client.send({ n: m }, ({ n }) => {
        answers.push(n);
        if (odd(n)) throwIn(`callback ${n}`);
      });
    await until(() => answers.length === 6);
    return { both, result: answers, pending: both.client.stats().pending_callbacks };
  },
  "a server's callback": async () => {
    const both = await connected();
    const answers = [];
    for (const m of numbers(6))
      both.server.send(both.sock, { n: m }, ({ n }) => {
        answers.push(n);
        if (odd(n)) throwIn(`callback ${n}`);
      });
    await until(() => answers.length === 6);
    return { both, result: answers, pending: both.server.stats().pending_callbacks };
  },
  "a client's connect": async () => {
    const both = await pair();
    both.client.on('connect', () => throwIn('connect'));
    await both.client.connect();
    await until(() => both.server.sockets.length === 1);
    return { both };
  },
  "a server's connect": async () => {
    const both = await pair();
    both.server.on('connect', () => throwIn('connect'));
    await both.client.connect();
    await until(() => both.server.sockets.length === 1);
    return { both };
  },
  "a client's disconnect": async () => {
    const both = await connected();
    both.client.on('disconnect', () => throwIn('disconnect'));
    await both.server.kill_socket(both.sock);
    await until(() => surfaced.length === 1);
    both.client.removeAllListeners('disconnect');
    const result = [both.client.connected, both.client.socket];
    await both.client.connect();
    return { both, result };
  },
  "a client's disconnect, of its own": async () => {
    const both = await connected();
    both.client.once('disconnect', () => throwIn('disconnect'));
    try {
      await both.client.disconnect();
    } catch (err) {
      note('rejection')(err);
    }
    const result = [both.client.connected, both.client.socket];
    await once(both.server, 'disconnect');
    await both.client.connect();
    return { both, result };
  },
  "a server's disconnect": async () => {
    const both = await connected();
    both.server.once('disconnect', () => throwIn('disconnect'));
    await both.client.disconnect();
    await until(() => surfaced.length === 1);
    const result = both.server.sockets.length;
    await both.client.connect();
    return { both, result };
  },
  "a client's request": async () => {
    const both = await connected();
    both.client.on('request', ({ data: { n } }, res) =>
      odd(n) ? throwIn(`request ${n}`) : res.send({ n }),
    );
    const ask = (n) => both.server.request(both.sock, { n }, { timeout: 1000 });
    const streams = await Promise.all(numbers(4).map(ask));
    const ends = await Promise.allSettled(streams.map((stream) => stream.next()));
    return { both, result: ends.map(({ value, reason }) => value?.data.n ?? reason.code) };
  },
  "a server's request": async () => {
    const both = await connected();
    both.server.on('request', ({ data: { n } }, res) =>
      odd(n) ? throwIn(`request ${n}`) : res.send({ n }),
    );
    const ask = (n) => both.client.request({ n }, { timeout: 1000 });
    const streams = await Promise.all(numbers(4).map(ask));
    const ends = await Promise.allSettled(streams.map((stream) => stream.next()));
    return { both, result: ends.map(({ value, reason }) => value?.data.n ?? reason.code) };
  },
  "a stream's data and end": async () => {
    const both = await connected();
    both.server.on('request', (_req, res) => {
      for (const n of numbers(3)) res.write({ n });
      res.end();
    });
    const stream = await both.client.request({});
    const seen = [];
    stream.on('data', ({ n }) => {
      seen.push(n ?? 'last');
      if (odd(n)) throwIn(`data ${n}`);
    });
    stream.on('end', () => throwIn('end'));
    await until(() => surfaced.length === 2);
    // The messages may have arrived in one chunk or in several.
    surfaced.sort();
    return { both, result: [seen, stream.ended] };
  },
  "a client's error": async () => {
    const both = await connected();
    both.client.once('error', () => throwIn('error'));
    both.sock.write('no JSON\n');
    both.server.send(both.sock, { n: 1 });
    await until(() => both.received.client.length === 1);
    return { both, result: both.client.stats().bad_frames };
  },
  "a server's error": async () => {
    const both = await connected();
    both.server.once('error', () => throwIn('error'));
    both.client.socket.write('no JSON\n');
    both.client.send({ n: 1 });
    await until(() => both.received.server.length === 1);
    return { both, result: both.server.stats().bad_frames };
  },
  "a server's error, of a message too large": async () => {
    const both = await connected({ max_message_size: 100 });
    both.server.once('error', () => throwIn('error'));
    both.client.send({ n: 'x'.repeat(1000) });
    await once(both.client, 'disconnect');
    await until(() => both.server.sockets.length === 0);
    await both.client.connect();
    return { both };
  },
  "a server's error, of a failed listen": async () => {
    const both = await connected();
    const second = new Server({ port: both.port });
    second.on('error', () => throwIn('error'));
    const { code } = await second.listen().catch((err) => err);
    return { both, result: code };
  },
  "a server's error, of a connection too many": async () => {
    const both = await connected({ max_connections: 1 });
    both.server.on('error', () => throwIn('error'));
    both.server.server.on('drop', () => throwIn('drop'));
    const more = numbers(2).map(() => net.connect(both.port, '127.0.0.1'));
    await Promise.all(more.map((socket) => once(socket.resume(), 'close')));
    await until(() => surfaced.length === 4);
    surfaced.sort();
    return { both, result: both.server.stats().refused_connections };
  },
  "a listener's listening and close": async () => {
    const both = await connected();
    const { port } = both;
    await both.client.disconnect();
    await both.server.close();
    both.server.server.on('listening', () => throwIn('listening'));
    both.server.server.on('close', () => throwIn('close'));
    both.server.port = port;
    const listener = await both.server.listen();
    const result = [listener.listening];
    await both.server.close();
    await until(() => surfaced.length === 2);
    await both.server.listen();
    await both.client.connect();
    await until(() => both.server.sockets.length === 1);
    return { both, result };
  },
  'sending and received': async () => {
    const both = await connected({}, { debug: true, max_pending_callbacks: 1 });
    const answers = [];
    both.client.on('sending', ({ data: { n } }) => n === 1 && throwIn('sending'));
    both.client.on('received', ({ data: { n } }) => n === 1 && throwIn('received'));
    const sent = both.client.send({ n: 1 }, ({ n }) => answers.push(n));
    await until(() => answers.length === 1);
    await sent;
    return { both, result: answers, pending: both.client.stats().pending_callbacks };
  },
  "a session's constructor": async () => {
    let fail = true;
    const both = await pair({
      session_type: class extends Session {
        constructor(...args) {
          super(...args);
          if (fail) throwIn('constructor');
        }
      },
    });
    return turnedAwayOnce(both, () => {
      fail = false;
    });
  },
  "a session's start()": async () => {
    let fail = true;
    const both = await pair({
      session_type: class extends Session {
        start() {
          return fail && throwIn('start');
        }
      },
    });
    return turnedAwayOnce(both, () => {
      fail = false;
    });
  },
  "a session's asynchronous start(), and the error handler": async () => {
    let fail = true;
    const both = await pair({
      session_type: class extends Session {
        async start() {
          await pause(1);
          if (fail) throw new Error('refused');
        }
      },
    });
    both.server.once('error', ({ message }) => throwIn(`error: ${message}`));
    return turnedAwayOnce(both, () => {
      fail = false;
    });
  },
  "a session's end()": async () => {
    const both = await connected({
      session_type: class extends Session {
        end() {
          if (this.server.stats().messages_received === 0) throwIn('end');
          return Promise.resolve();
        }
      },
    });
    const over = once(both.server, 'disconnect');
    await both.client.disconnect();
    const [sock] = await over;
    const result = [sock === both.sock, both.server.sockets.length];
    await both.client.connect();
    return { both, result };
  },
  "a session's asynchronous end(), and the error handler": async () => {
    const both = await connected({
      session_type: class extends Session {
        async end() {
          await pause(1);
          if (this.server.stats().messages_received === 0) throw new Error('stuck');
        }
      },
    });
    both.server.once('error', ({ message }) => throwIn(`error: ${message}`));
    const over = once(both.server, 'disconnect');
    await both.client.disconnect();
    await over;
    await until(() => surfaced.length === 1);
    const result = both.server.sockets.length;
    await both.client.connect();
    return { both, result };
  },
  "a socket's data": async () => {
    const both = await connected();
    both.sock.once('data', () => throwIn('data'));
    for (const n of numbers(3)) both.client.send({ n });
    await until(() => both.received.server.length === 3);
    return { both, result: both.received.server };
  },
  "a socket's end and close": async () => {
    const both = await connected();
    both.sock.on('end', () => throwIn('end'));
    both.sock.on('close', () => throwIn('close'));
    const over = once(both.server, 'disconnect');
    await both.client.disconnect();
    await over;
    await until(() => surfaced.length === 2);
    const result = both.server.sockets.length;
    await both.client.connect();
    return { both, result };
  },
  "a socket's write callback": async () => {
    const both = await connected();
    // Enough to wait for the peer, which does not read for now.
    both.client.socket.pause();
    const text = 'x'.repeat(16 << 20);
    const done = [];
    both.sock.write(`${JSON.stringify({ type: 'Object', data: { n: 0, text } })}\n`, () => {
      done.push('written');
      throwIn('write callback');
    });
    const sent = numbers(3).map((n) => both.server.send(both.sock, { n: n + 1 }));
    both.client.socket.resume();
    await Promise.all(sent);
    await until(() => both.received.client.length === 4);
    return { both, result: [done, both.received.client] };
  },
  'an object that is sent': async () => {
    const both = await connected();
    for (const make of Object.values(faulty)) {
      both.client.send(make());
      both.client.send(make(), () => {});
      both.server.send(both.sock, make());
      both.server.sendall(make());
      both.server.sessions[0].send(make());
    }
    both.client.send({ n: 1 });
    await until(() => both.received.server.length === 1 && surfaced.length === 10);
    return { both, pending: both.client.stats().pending_callbacks };
  },
  'an object that is sent, and the promise is looked at': async () => {
    const both = await connected();
    for (const make of Object.values(faulty)) {
      for (const send of [
        () => both.client.send(make()),
        () => both.client.request(make()),
        () => both.server.send(both.sock, make()),
        () => both.server.sendall(make()),
        () => both.server.request(both.sock, make()),
      ]) {
        await send().catch(note('rejection'));
      }
    }
    return { both };
  },
  'an object that is requested or answered with': async () => {
    const both = await connected();
    both.server.on('receive', (_object, { callback }) => callback?.(faulty.getter()));
    both.server.on('request', (_req, res) => {
      res.write(faulty.toJSON());
      res.send(faulty.getter());
      setTimeout(() => res.send({ n: 'in its place' }), 5);
    });
    both.client.request(faulty.toJSON());
    const stream = await both.client.request({});
    const { data } = await stream.next();
    both.server.removeAllListeners('receive');
    both.server.on('receive', (object, { callback }) =>
      callback?.(object.n === 'c' ? object : faulty.getter()),
    );
    both.client.send({ n: 0 }, () => {});
    await until(() => surfaced.length === 4);
    return { both, result: data };
  },
};

async function main(where) {
  const { both, ...more } = await cases[where]();
  const outcome = JSON.stringify(more);
  // The list of exceptions is complete once no further ones can follow.
  await pause();
  const fine = await sound(both);
  await both.client.disconnect();
  await both.server.close();
  await pause();
  console.log(JSON.stringify({ surfaced, ...JSON.parse(outcome), fine }));
}

main(process.argv[2]);
