'use strict';

// A message is written at the call of send(): the program may compute, wait in the kernel or be
// killed after it. The programs here never return to their event loop, so only messages written at
// the call arrive.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { endpoint, transports } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { implementations } = require('./support/implementations.js');
const { startServer } = require('./support/local.js');
const { rawClient, rawServer } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/**
 * Runs a function as a program of its own, which ends with the test.
 *
 * @param {function(object, object, object): any} main gets the package, `where`, and `{ block,
 *   gate, net }`: `block()` never returns; `gate()` returns a little after the call of `open()`
 *   here
 */
function program(t, main, where) {
  const source = `
    const fs = require('node:fs');
    const nothing = new Int32Array(new SharedArrayBuffer(4));
    const tools = {
      net: require('node:net'),
      block: () => Atomics.wait(nothing, 0, 0),
      gate: () => {
        for (;;) {
          try {
            if (fs.readSync(0, Buffer.alloc(1)) === 1) return Atomics.wait(nothing, 0, 0, 2);
          } catch (err) {
            if (err.code !== 'EAGAIN') throw err;
          }
        }
      },
    };
    (${main})(require(${JSON.stringify(implementations.native)}), ${JSON.stringify(where)}, tools);
  `;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  cleanup(t, () => child.kill('SIGKILL'));
  return {
    up: () => once(child.stdout, 'data'),
    open: () => child.stdin.write('.'),
    exited: once(child, 'exit'),
  };
}

/** Programs that send as a client, and the numbers that arrive. */
const clients = {
  'a client that computes forever after send()': {
    main: ({ client: Client }, where, { block }) => {
      const client = new Client(where);
      client.connect().then(() => {
        setTimeout(() => {
          client.send({ n: 1 });
          block();
        }, 20);
      });
    },
    expected: [1],
  },
  'a client that sends three messages before it computes': {
    main: ({ client: Client }, where, { block }) => {
      const client = new Client(where);
      client.connect().then(() => {
        setTimeout(() => {
          client.send({ n: 1 });
          client.send({ n: 2 }, () => {});
          client.request({ n: 3 }).catch(() => {});
          block();
        }, 20);
      });
    },
    expected: [1, 2, 3],
  },
  'a client that sends in a handler of connect': {
    main: ({ client: Client }, where, { block }) => {
      const client = new Client(where);
      client.on('connect', () => {
        client.send({ n: 1 });
        block();
      });
      client.connect();
    },
    expected: [1],
  },
  'a client with a stream of its own': {
    main: ({ client: Client }, where, { block, net }) => {
      const client = new Client(where);
      const stream = net.connect(where);
      stream.on('connect', () => {
        client.socket = stream;
        client.send({ n: 1 });
        client.send({ n: 2 });
        block();
      });
    },
    expected: [1, 2],
  },
  'a client that writes bytes of its own before it sends': {
    main: ({ client: Client }, where, { block }) => {
      const client = new Client(where);
      client.connect().then(() => {
        client.socket.write('{"type":"Object","data":{"n":1}}\n');
        client.send({ n: 2 });
        block();
      });
    },
    expected: [1, 2],
  },
  'a client that is killed after send()': {
    main: ({ client: Client }, where) => {
      const client = new Client(where);
      client.connect().then(() => {
        setTimeout(() => {
          client.send({ n: 1 });
          process.kill(process.pid, 'SIGKILL');
        }, 20);
      });
    },
    expected: [1],
  },
  'a worker that is terminated': {
    main: (_sockhop, where, { net: _net }) => {
      const { Worker } = require('node:worker_threads');
      const name = Object.keys(require.cache).find((file) => /index\.js$/.test(file));
      const source = `
        const { workerData, parentPort } = require('node:worker_threads');
        const { client: Client } = require(workerData.name);
        const client = new Client(workerData.where);
        client.connect().then(() => {
          client.send({ n: 1 });
          parentPort.postMessage('sent');
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
        });
      `;
      const worker = new Worker(source, { eval: true, workerData: { name, where } });
      worker.on('message', () => worker.terminate());
    },
    expected: [1],
  },
};

/** Programs that send as a server after a client's message, and the numbers that arrive. */
const servers = {
  'a server that computes after send()': {
    main: ({ server: Server }, where, { block }) => {
      const server = new Server(where);
      server.on('receive', (_object, { socket }) => {
        server.send(socket, { n: 1 });
        block();
      });
      server.listen().then(() => console.log('up'));
    },
    say: { type: 'Object', data: {} },
    expected: [1],
  },
  'a server that acknowledges and then works': {
    main: ({ server: Server }, where, { block }) => {
      const server = new Server(where);
      server.on('receive', (_object, meta) => {
        meta.callback({ n: 1 });
        block();
      });
      server.listen().then(() => console.log('up'));
    },
    say: { type: 'Object', data: {}, id: 'q' },
    expected: [1],
  },
  'a server that answers a request with three packets and then works': {
    main: ({ server: Server }, where, { block }) => {
      const server = new Server(where);
      server.on('request', (_request, response) => {
        response.write({ n: 1 });
        response.write({ n: 2 });
        response.send({ n: 3 });
        block();
      });
      server.listen().then(() => console.log('up'));
    },
    say: { type: 'SockhopRequest', data: { uuid: 'u', type: 'Object', data: {} } },
    expected: [1, 2, 3],
  },
  'a server that sends to all and is killed': {
    main: ({ server: Server }, where) => {
      const server = new Server(where);
      server.on('receive', () => {
        server.sendall({ n: 1 });
        process.kill(process.pid, 'SIGKILL');
      });
      server.listen().then(() => console.log('up'));
    },
    say: { type: 'Object', data: {} },
    expected: [1],
  },
};

/** The number that the program gave a message, in any wrapping. */
const number = ({ data }) => data.n ?? data.data?.n ?? data.data?.data?.n;

async function numbers(wire, count) {
  const frames = await wire.take('frame', count);
  return frames.map(({ json }) => number(json));
}

for (const transport of transports) {
  describe(`data that has been sent over ${transport}`, limit, () => {
    for (const [who, { main, expected }] of Object.entries(clients)) {
      it(`is all that was sent by ${who}`, async (t) => {
        const raw = await rawServer(t, await endpoint(t, transport));
        program(t, main, raw.where);
        const wire = await raw.accept();
        assert.deepEqual(await numbers(wire, expected.length), expected);
      });
    }

    for (const [who, { main, say, expected }] of Object.entries(servers)) {
      it(`is all that was sent by ${who}`, async (t) => {
        const where = await endpoint(t, transport);
        await program(t, main, where).up();
        const wire = await rawClient(t, where);
        wire.write(say);
        assert.deepEqual(await numbers(wire, expected.length), expected);
      });
    }

    it('is each message of a slow loop, also after a burst', async (t) => {
      const raw = await rawServer(t, await endpoint(t, transport));
      const { open } = program(
        t,
        ({ client: Client }, where, { gate }) => {
          const client = new Client(where);
          client.connect().then(async () => {
            for (let n = 0; n < 1000; n += 1) client.send({ n });
            await client.send({ n: 1000 });
            setImmediate(() => {
              gate();
              for (let n = 1001; n <= 1050; n += 1) {
                client.send({ n });
                // The test opens it when it has the message.
                gate();
              }
            });
          });
        },
        raw.where,
      );
      const wire = await raw.accept();
      await wire.next('frame', ({ json }) => json.data.n === 1000);
      open();
      for (let n = 1001; n <= 1050; n += 1) {
        await wire.next('frame', ({ json }) => json.data.n === n);
        open();
      }
    });

    it('is each answer to many questions that came together, where each answer takes long', async (t) => {
      const where = await endpoint(t, transport);
      const { open, up } = program(
        t,
        ({ server: Server }, place, { gate }) => {
          const server = new Server(place);
          server.on('receive', (object, meta) => {
            meta.callback(object);
            gate();
          });
          server.listen().then(() => console.log('up'));
        },
        where,
      );
      await up();
      const wire = await rawClient(t, where);
      const questions = Array.from({ length: 50 }, (_, n) => ({
        type: 'Object',
        data: { n },
        id: `q${n}`,
      }));
      wire.write(...questions);
      for (let n = 0; n < 50; n += 1) {
        await wire.next('frame', ({ json }) => json.data.n === n);
        open();
      }
    });

    for (const [how, main] of Object.entries({
      'before process.exit()': async ({ client: Client }, where) => {
        const client = new Client(where);
        await client.connect();
        for (let n = 0; n < 50; n += 1)
          client.socket.write(`{"type":"Object","data":{"n":${n}}}\n`);
        process.exit();
      },
      'by a handler of exit': async ({ client: Client }, where) => {
        const client = new Client(where);
        await client.connect();
        process.on('exit', () => {
          for (let n = 0; n < 50; n += 1) {
            client.socket.write(`{"type":"Object","data":{"n":${n}}}\n`);
          }
        });
        process.exit();
      },
    })) {
      it(`is every write() of a burst ${how}`, async (t) => {
        const raw = await rawServer(t, await endpoint(t, transport));
        program(t, main, raw.where);
        const wire = await raw.accept();
        assert.deepEqual(
          await numbers(wire, 50),
          Array.from({ length: 50 }, (_, n) => n),
        );
      });
    }

    it('is every message sent to all, also for sockets that are destroyed right after it', async (t) => {
      const { server, log, where } = await startServer(t, {}, await endpoint(t, transport));
      const wires = await Promise.all(Array.from({ length: 40 }, () => rawClient(t, where)));
      await log.take('connect', wires.length);
      // The second message of a burst, and one to this many clients, waits for its turn.
      server.sendall({ n: 1 });
      server.sendall({ n: 2 });
      for (const socket of server.sockets.slice()) socket.destroy();
      const all = await Promise.all(wires.map((wire) => numbers(wire, 2)));
      assert.deepEqual(all, new Array(wires.length).fill([1, 2]));
    });
  });
}
