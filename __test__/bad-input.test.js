'use strict';

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { freePort, nodeEndpoint, temporaryDirectory, unixPath } = require('./support/addresses.js');
const { withoutOffer } = require('./support/codec.js');
const { deadline, turn } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const { cannotHang, hangingPort } = require('./support/hanging.js');
const impl = require('./support/impl.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };

/** Returns the error of Node's own socket for the same attempt. */
function errorOfNode(where) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(nodeEndpoint(where), () => reject(new Error('it connected')));
    socket.on('error', resolve);
  });
}

/** The properties of a system error that programs read. */
function shape({ code, errno, syscall, address, port, message, name }) {
  return { code, errno, syscall, address, port, message, name };
}

/** Returns the error that a promise rejects with. */
async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was fulfilled');
}

describe('connect() that is refused', () => {
  it("rejects with Node's own error, and there is no error event", limit, async (t) => {
    const where = { port: await freePort() };
    const { client, log } = makeClient(t, where);
    const error = await rejection(client.connect());
    assert.ok(error instanceof Error);
    assert.deepEqual(shape(error), shape(await errorOfNode(where)));
    assert.equal(error.message, `connect ECONNREFUSED 127.0.0.1:${where.port}`);
    await turn();
    assert.deepEqual(log.names(), []);
    assert.equal(client.connected, false);
  });

  for (const address of ['255.255.255.255', 'fe80::1']) {
    it(`rejects with Node's own error at ${address}, which no socket can have`, {
      ...limit,
      skip: onNodeOnly('the errors are those of Node'),
    }, async (t) => {
      const { client } = makeClient(t, { address, port: 50_000 });
      const error = await rejection(client.connect());
      const [expected] = await once(net.connect({ host: address, port: 50_000 }), 'error');
      assert.deepEqual(shape(error), shape(expected));
    });
  }

  it("rejects with Node's own error at a path without a socket", limit, async (t) => {
    const where = { path: unixPath(t) };
    const { client, log } = makeClient(t, where);
    const error = await rejection(client.connect());
    assert.deepEqual(shape(error), shape(await errorOfNode(where)));
    assert.equal(error.message, `connect ENOENT ${where.path}`);
    assert.equal(log.count('connect') + log.count('disconnect'), 0);
  });

  it("rejects with Node's own error at a path whose server has ended", limit, async (t) => {
    const where = { path: unixPath(t) };
    const abandoned = program(
      t,
      (_, socketPath) => {
        require('node:net')
          .createServer()
          .listen(socketPath, () => process.kill(process.pid, 'SIGKILL'));
      },
      where.path,
    );
    await abandoned.ended();
    const { client, log } = makeClient(t, where);
    const error = await rejection(client.connect());
    assert.deepEqual(shape(error), shape(await errorOfNode(where)));
    assert.equal(error.code, 'ECONNREFUSED');
    assert.deepEqual(log.names(), []);
  });

  it('rejects every time', limit, async (t) => {
    const { client } = makeClient(t, { port: await freePort() });
    for (let i = 0; i < 5; i += 1) {
      await assert.rejects(client.connect(), { code: 'ECONNREFUSED' });
    }
  });

  it('rejects for a host that does not exist', limit, async (t) => {
    // ".invalid" is reserved for names that never resolve.
    const { client, log } = makeClient(t, { address: 'nowhere.invalid', port: 1 });
    const error = await rejection(client.connect());
    assert.match(error.code, /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.equal(log.count('connect'), 0);
    assert.equal(client.connected, false);
  });
});

describe('connect() that gets no answer', { skip: cannotHang }, () => {
  it('rejects after connect_timeout, and there is no event', limit, async (t) => {
    const port = await hangingPort(t);
    const { client, log } = makeClient(t, { port }, { connect_timeout: 100 });
    const started = process.hrtime.bigint();
    const error = await rejection(client.connect());
    const waited = Number(process.hrtime.bigint() - started) / 1e6;
    assert.ok(error instanceof Error);
    assert.equal(error.message, 'Timeout exceeded on connect()');
    assert.ok(waited >= 95, `it gave up after ${waited} ms already`);
    assert.equal(client.connected, false);
    assert.deepEqual(log.names(), []);
  });

  it('lets the client connect elsewhere afterwards', limit, async (t) => {
    const port = await hangingPort(t);
    const { where } = await startServer(t);
    const { client, log } = makeClient(t, { port }, { connect_timeout: 100 });
    await assert.rejects(client.connect(), { message: 'Timeout exceeded on connect()' });
    client.port = where.port;
    // The time is long enough for a busy machine.
    client._connect_timeout = 30_000;
    await client.connect();
    assert.equal(client.connected, true);
    assert.deepEqual(log.names(), ['connect']);
  });

  it('refuses a second attempt meanwhile', limit, async (t) => {
    const port = await hangingPort(t);
    const { client } = makeClient(t, { port }, { connect_timeout: 100 });
    const first = rejection(client.connect());
    const error = await rejection(client.connect());
    assert.ok(error instanceof impl.error);
    assert.equal(error.code, 'ERR_MULTICONNECT');
    assert.equal((await first).message, 'Timeout exceeded on connect()');
  });
});

describe('listen() that fails', () => {
  it('says that the port is taken, by the promise and by the event', limit, async (t) => {
    const { where } = await startServer(t);
    const second = new impl.server(where);
    const log = record(second);
    const error = await rejection(deadline(second.listen(), 'listen()'));
    assert.equal(error.code, 'EADDRINUSE');
    assert.equal(error.syscall, 'listen');
    assert.equal(error.address, '127.0.0.1');
    assert.equal(error.port, where.port);
    assert.equal(typeof error.errno, 'number');
    assert.equal(
      error.message,
      `listen EADDRINUSE: address already in use 127.0.0.1:${where.port}`,
    );
    const { args } = await log.next('error');
    assert.equal(args[0], error);
    assert.deepEqual(args.slice(1), [null, null]);
    await second.close();
  });

  it('says that the path is taken', limit, async (t) => {
    const { where } = await startServer(t, {}, { path: unixPath(t) });
    const second = new impl.server(where);
    const log = record(second);
    const error = await rejection(deadline(second.listen(), 'listen()'));
    assert.equal(error.code, 'EADDRINUSE');
    assert.equal(error.address, where.path);
    assert.equal((await log.next('error')).args[0], error);
    await second.close();
    // The server that failed does not remove the socket file of the other one.
    await startClient(t, where);
  });

  it('says that the directory is missing', limit, async (t) => {
    const socketPath = path.join(temporaryDirectory(t), 'missing', 'socket');
    const plain = net.createServer();
    const ofNode = await new Promise((resolve) => {
      plain.on('error', resolve);
      plain.listen(socketPath);
    });
    const server = new impl.server({ path: socketPath });
    const log = record(server);
    const error = await rejection(deadline(server.listen(), 'listen()'));
    // libuv reports a missing directory as a lack of permission; programs match on its code.
    assert.equal(error.code, ofNode.code);
    assert.equal(error.syscall, 'listen');
    assert.equal(error.address, socketPath);
    assert.deepEqual((await log.next('error')).args.slice(1), [null, null]);
  });

  it('says that the address is not of this machine', limit, async (t) => {
    // TEST-NET-1 is never assigned.
    const server = new impl.server({ address: '192.0.2.1', port: await freePort() });
    const log = record(server);
    t.after(() => server.close());
    const error = await rejection(deadline(server.listen(), 'listen()'));
    assert.equal(error.code, 'EADDRNOTAVAIL');
    assert.equal((await log.next('error')).args[0], error);
  });

  it('causes no unhandled rejection if an error listener got the error', limit, async (t) => {
    const { where } = await startServer(t);
    const loser = program(
      t,
      (sockhop, place) => {
        process.on('unhandledRejection', () => console.log('unhandled'));
        const server = new sockhop.server(place);
        server.on('error', (error) => console.log(error.code));
        server.listen();
      },
      where,
    );
    const { code, lines } = await loser.ended();
    assert.deepEqual([code, lines], [0, ['EADDRINUSE']]);
  });

  it('ends a program that does not handle the rejection', limit, async (t) => {
    const { where } = await startServer(t);
    const loser = program(
      t,
      (sockhop, place) => {
        new sockhop.server(place).listen();
      },
      where,
    );
    const { code, stderr } = await loser.ended();
    assert.equal(code, 1);
    assert.match(stderr, /EADDRINUSE/);
  });

  it('leaves the server free to listen when the port is free', limit, async (t) => {
    const first = await startServer(t);
    const second = new impl.server(first.where);
    second.on('error', () => {});
    t.after(() => second.close());
    await assert.rejects(second.listen(), { code: 'EADDRINUSE' });
    await first.server.close();
    await second.listen();
    const { client } = await startClient(t, first.where);
    assert.equal(client.connected, true);
  });
});

describe('an invalid option', () => {
  const isOptionError = (name, value) => (error) => {
    assert.ok(error instanceof TypeError || error instanceof RangeError, `${error}`);
    assert.ok(error.message.includes(name), `"${error.message}" does not name ${name}`);
    assert.ok(error.message.includes(value), `"${error.message}" does not say ${value}`);
    return true;
  };

  for (const role of ['client', 'server']) {
    for (const port of [70_000, -1, 1.5, 'http']) {
      it(
        `port ${port} is refused by the ${role} no later than when it is used`,
        limit,
        async () => {
          const use = async () => {
            const subject = new impl[role]({ port });
            subject.on('error', () => {});
            try {
              await (role === 'client' ? subject.connect() : subject.listen());
            } finally {
              await (role === 'client' ? subject.disconnect() : subject.close());
            }
          };
          await assert.rejects(
            deadline(use(), 'the port to be refused'),
            isOptionError('port', port),
          );
        },
      );
    }

    for (const [terminator, text] of [
      ['', "''"],
      [7, '7'],
      [{}, 'Object'],
      [['\n'], '\\n'],
      [['\n', ''], "''"],
      [['\n', 5], '5'],
    ]) {
      it(`terminator ${JSON.stringify(terminator)} is refused by the ${role}`, limit, () => {
        assert.throws(
          () => new impl[role]({ terminator }),
          (error) => {
            assert.ok(error instanceof TypeError, `${error}`);
            assert.match(error.message, /terminator/);
            // Either kind of quotes around the value is possible.
            const message = error.message.replaceAll('"', "'");
            assert.ok(message.includes(text), `"${error.message}" does not say ${text}`);
            return true;
          },
        );
      });
    }
  }

  for (const [name, value] of [
    ['auto_reconnect_interval', -5],
    ['auto_reconnect_interval', 'often'],
    ['connect_timeout', -1],
    ['connect_timeout', 'late'],
  ]) {
    it(`${name} ${value} is refused by the client`, limit, () => {
      assert.throws(() => new impl.client({ [name]: value }), isOptionError(name, value));
    });
  }

  for (const [what, value, text] of [
    ['a class of another kind', class Unrelated {}, 'Unrelated'],
    ['a function', function plain() {}, 'plain'],
    ['a number', 42, '42'],
    ['an object', { a: 1 }, 'a'],
  ]) {
    it(`session_type that is ${what} is refused`, limit, () => {
      assert.throws(
        () => new impl.server({ session_type: value }),
        (error) => {
          assert.ok(error instanceof TypeError, `${error}`);
          assert.ok(error.message.includes('session_type'), error.message);
          assert.ok(error.message.includes(text), `"${error.message}" does not say ${text}`);
          return true;
        },
      );
    });
  }

  it('a port may be a number in a string', limit, async (t) => {
    const port = String(await freePort());
    const { where } = await startServer(t, {}, { port });
    const { client } = await startClient(t, where);
    assert.equal(client.connected, true);
  });

  it('a method of the object with the options is not taken for an option', limit, () => {
    for (const given of [[], new Map(), { values() {} }]) {
      assert.ok(new impl.client(given));
      assert.ok(new impl.server(given));
    }
  });

  it('undefined means the default', limit, async (t) => {
    const { where } = await startServer(t, {
      terminator: undefined,
      session_type: undefined,
      peer_type: undefined,
      allow_non_objects: undefined,
    });
    const { client } = await startClient(t, where, {
      terminator: undefined,
      auto_reconnect_interval: undefined,
      connect_timeout: undefined,
      peer_type: undefined,
      path: undefined,
      address: undefined,
    });
    assert.equal(client.connected, true);
  });
});

describe('send() of values that cannot be sent', () => {
  const cycle = () => {
    const object = {};
    object.self = object;
    return object;
  };

  /** The text or the error of `JSON.stringify` for a value. */
  const messageOfV8 = (value) => {
    try {
      JSON.stringify({ data: value });
    } catch (error) {
      return error.message;
    }
    throw new Error('it can be serialised');
  };

  it('throws at the call for a client', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    for (const value of [undefined, null, Object.create(null)]) {
      assert.throws(() => client.send(value), TypeError);
    }
    await client.send('fine');
    assert.equal((await wire.frame()).data, 'fine');
  });

  it('throws at the call for a server', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    for (const value of [undefined, null]) {
      const bad = { code: 'ERR_BAD_DATA' };
      assert.throws(() => server.send(socket, value), bad);
      assert.throws(() => session.send(value), bad);
      assert.throws(() => server.sendall(value), bad);
    }
    assert.throws(() => server.send(socket, Object.create(null)));
    await server.send(socket, 'fine');
    assert.equal((await wire.frame()).data, 'fine');
  });

  it("rejects with V8's message where JSON cannot represent the value", limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const { server, log, where } = await startServer(t);
    const serverWire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    const toJson = {
      toJSON() {
        throw new TypeError('not for sale');
      },
    };
    for (const value of [10n, { deep: [1n] }, toJson]) {
      const expected = { name: 'TypeError', message: messageOfV8(value) };
      await assert.rejects(client.send(value), expected);
      await assert.rejects(server.send(socket, value), expected);
      await assert.rejects(session.send(value), expected);
      await assert.rejects(server.sendall(value), expected);
    }
    const circular = { name: 'TypeError', message: /^Converting circular structure to JSON/ };
    await assert.rejects(client.send(cycle()), circular);
    await assert.rejects(server.send(socket, cycle()), circular);
    await client.send('fine');
    await server.send(socket, 'fine');
    assert.equal((await wire.frame()).data, 'fine');
    assert.equal((await serverWire.frame()).data, 'fine');
  });

  it('sends values that JSON leaves out as an envelope without data', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    await client.send(() => {});
    assert.equal(withoutOffer((await wire.next('frame')).text), '{"type":"Function"}');
  });

  it('rejects for a server without a socket', limit, async (t) => {
    const { server } = await startServer(t);
    await assert.rejects(server.send(undefined, { a: 1 }), { code: 'ERR_NO_SOCKET' });
    await assert.rejects(server.send(null, { a: 1 }), { code: 'ERR_NO_SOCKET' });
  });

  it('rejects after the connection has ended', limit, async (t) => {
    const { client } = await clientOnWire(t);
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    wire.socket.destroy();
    await log.next('disconnect');
    await client.disconnect();
    const gone = { code: 'ERR_SOCKET_DESTROYED' };
    await assert.rejects(client.send({ a: 1 }), gone);
    await assert.rejects(server.send(socket, { a: 1 }), gone);
    await assert.rejects(session.send({ a: 1 }), gone);
    await turn();
    assert.equal(log.count('disconnect'), 1);
  });

  it('rejects text with peer_type "json" unless it is allowed', limit, async (t) => {
    const { client, log, wire } = await clientOnWire(t, { peer_type: 'json' });
    await assert.rejects(client.send('text'));
    for (const { args } of log.all('error')) {
      assert.equal(args[0].code, 'ERR_OBJECTBUFFER_BAD_OBJECT');
    }
    await client.send({ fine: 1 });
    assert.equal((await wire.next('frame')).text, '{"fine":1}');
  });
});
