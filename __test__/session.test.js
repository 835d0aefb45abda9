'use strict';

const assert = require('node:assert/strict');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { record } = require('./support/event-log.js');
const { unixPath } = require('./support/addresses.js');
const { deadline, turn, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };

/** A promise and the functions that settle it. */
function gate() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

/** A server whose sessions record their calls, together with the server's events, in one list. */
async function startChronicle(t, { start, end } = {}) {
  const chronicle = [];
  class Chronicler extends impl.session {
    async start() {
      chronicle.push('start called');
      await start?.(this);
      chronicle.push('start resolved');
    }

    async end() {
      chronicle.push('end called');
      await end?.(this);
      chronicle.push('end resolved');
    }
  }
  const started = await startServer(t, { session_type: Chronicler });
  for (const name of ['connect', 'receive', 'disconnect', 'error']) {
    started.server.on(name, () => chronicle.push(name));
  }
  return { ...started, chronicle, Chronicler };
}

async function severalTurns() {
  for (let i = 0; i < 5; i += 1) await turn();
}

describe('a session', () => {
  it('is made with the socket and the server', limit, async (t) => {
    const seen = [];
    class Recorder extends impl.session {
      constructor(...args) {
        super(...args);
        seen.push(args);
      }
    }
    const { server, log, where } = await startServer(t, { session_type: Recorder });
    await rawClient(t, where);
    const { args } = await log.next('connect');
    assert.equal(seen.length, 1);
    assert.equal(seen[0][0], args[0]);
    assert.equal(seen[0][1], server);
  });

  it('knows its socket and its server', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    assert.ok(session instanceof impl.session);
    assert.ok(session instanceof EventEmitter);
    assert.equal(session.constructor, impl.session);
    assert.equal(session.constructor.name, 'SockhopSession');
    assert.ok(socket instanceof net.Socket);
    assert.equal(session.sock, socket);
    assert.equal(session.server, server);
  });

  it('is the same object in every event', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    assert.equal(server.sessions[0], session);
    assert.equal(server.sockets[0], socket);
    wire.write({ type: 'Number', data: 1 });
    const [, meta] = (await log.next('receive')).args;
    assert.equal(meta.session, session);
    assert.equal(meta.socket, socket);
    wire.write('no JSON');
    assert.equal((await log.next('error')).args[1], socket);
    wire.socket.end();
    const args = (await log.next('disconnect')).args;
    assert.deepEqual([args[0] === socket, args[1] === session], [true, true]);
  });

  it('sends to its own client', limit, async (t) => {
    const { log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const other = await rawClient(t, where);
    const [first, second] = await log.take('connect', 2);
    await first.args[1].send({ to: 'first' });
    await second.args[1].send('second');
    // The order in which two connections are accepted is the order in which they were made.
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { to: 'first' } });
    assert.deepEqual(await other.frame(), { type: 'String', data: 'second' });
  });

  it('ends its connection with kill()', limit, async (t) => {
    const { server, log, where } = await startServer(t);
    const wire = await rawClient(t, where);
    const [, session] = (await log.next('connect')).args;
    await deadline(session.kill(), 'kill() to resolve');
    await wire.next('end');
    assert.equal((await log.next('disconnect')).args[1], session);
    assert.deepEqual([server.sockets, server.sessions], [[], []]);
    assert.equal(wire.count('error'), 0, 'the connection ends with FIN');
  });

  it('is an event emitter of its own', limit, async (t) => {
    const { log, where } = await startServer(t);
    await rawClient(t, where);
    await rawClient(t, where);
    const [first, second] = await log.take('connect', 2);
    const heard = record(first.args[1], ['news']);
    first.args[1].emit('news', 1);
    second.args[1].emit('news', 2);
    assert.deepEqual(
      heard.all('news').map(({ args }) => args),
      [[1]],
    );
  });
});

describe('the life of a session', () => {
  it('start, connect, receive, end, disconnect follow in this order', limit, async (t) => {
    const { log, where, chronicle } = await startChronicle(t, {
      start: severalTurns,
      end: severalTurns,
    });
    const wire = await rawClient(t, where);
    wire.write({ type: 'Number', data: 1 });
    await log.next('receive');
    wire.socket.end();
    await log.next('disconnect');
    assert.deepEqual(chronicle, [
      'start called',
      'start resolved',
      'connect',
      'receive',
      'end called',
      'end resolved',
      'disconnect',
    ]);
  });

  it('is the same when everything was sent before start() was called', limit, async (t) => {
    const { log, where, chronicle } = await startChronicle(t, { start: severalTurns });
    const wire = await rawClient(t, where);
    wire.write({ type: 'Number', data: 1 }, { type: 'Number', data: 2 });
    wire.socket.end();
    await log.next('disconnect');
    assert.deepEqual(chronicle, [
      'start called',
      'start resolved',
      'connect',
      'receive',
      'receive',
      'end called',
      'end resolved',
      'disconnect',
    ]);
  });

  it('data is held back until start() resolved', limit, async (t) => {
    const gates = [];
    const { log, where, server } = await startChronicle(t, {
      start: () => {
        const each = gate();
        gates.push(each);
        return each.promise;
      },
    });
    const early = await rawClient(t, where);
    early.write({ type: 'String', data: 'early 1' }, { type: 'String', data: 'early 2' });
    const late = await rawClient(t, where);
    late.write({ type: 'String', data: 'late' });
    await until(() => gates.length === 2, 'both sessions start');

    // The message of the second connection has arrived, so an earlier message of the first could
    // have arrived as well.
    gates[1].resolve();
    assert.equal((await log.next('receive')).args[0], 'late');
    assert.equal(log.count('receive'), 1);
    assert.equal(log.count('connect'), 1);
    assert.equal(server.sockets.length, 1, 'a connection counts from the end of start() on');

    early.write({ type: 'String', data: 'early 3' });
    gates[0].resolve();
    const received = await log.take('receive', 3);
    assert.deepEqual(
      received.map(({ args }) => args[0]),
      ['early 1', 'early 2', 'early 3'],
    );
    assert.equal(server.sockets.length, 2);
  });

  it('a session can send from start() and from end()', limit, async (t) => {
    const { where } = await startChronicle(t, {
      start: (session) => session.send({ hello: 1 }),
    });
    const { log } = await startClient(t, where);
    assert.deepEqual((await log.next('receive')).args[0], { hello: 1 });
  });

  it('a client may leave before start() resolved', limit, async (t) => {
    const wait = gate();
    const { log, where, server } = await startChronicle(t, { start: () => wait.promise });
    const wire = await rawClient(t, where);
    wire.socket.destroy();
    await wire.next('close');
    const other = await rawClient(t, where);
    wait.resolve();
    other.write({ type: 'Number', data: 1 });
    await log.next('receive');
    // The short connection is either announced completely or not at all, and it is not kept.
    await until(
      () => server.sockets.length === 1 && log.count('connect') - log.count('disconnect') === 1,
      'one connection is left',
    );
    assert.equal(server.sessions.length, 1);
  });

  it('start() need not be asynchronous', limit, async (t) => {
    class Plain extends impl.session {
      start() {
        this.started = true;
        return Promise.resolve();
      }
    }
    const { log, where } = await startServer(t, { session_type: Plain });
    await rawClient(t, where);
    assert.equal((await log.next('connect')).args[1].started, true);
  });

  it('disconnect waits for the end() of its own session only', limit, async (t) => {
    const waits = [];
    const { log, where } = await startChronicle(t, {
      end: () => {
        const wait = gate();
        waits.push(wait);
        return wait.promise;
      },
    });
    const first = await rawClient(t, where);
    const second = await rawClient(t, where);
    const connected = await log.take('connect', 2);
    first.socket.end();
    await until(() => waits.length === 1, 'the first session ends');
    second.socket.end();
    await until(() => waits.length === 2, 'the second session ends');
    waits[1].resolve();
    assert.equal((await log.next('disconnect')).args[1], connected[1].args[1]);
    assert.equal(log.count('disconnect'), 1);
    waits[0].resolve();
    assert.equal((await log.next('disconnect')).args[1], connected[0].args[1]);
  });
});

describe('a session class of the user', () => {
  it('may call super() without arguments', limit, async (t) => {
    class Modest extends impl.session {
      #secret = 'kept';
      visits = 0;

      constructor() {
        super();
        this.own = ['field'];
      }

      get secret() {
        return this.#secret;
      }
    }
    const { server, log, where } = await startServer(t, { session_type: Modest });
    const wire = await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    assert.ok(session instanceof Modest);
    assert.deepEqual([session.own, session.visits, session.secret], [['field'], 0, 'kept']);
    wire.write({ type: 'Number', data: 1 });
    assert.equal((await log.next('receive')).args[1].session, session);
    await server.send(socket, { a: 1 });
    assert.deepEqual(await wire.frame(), { type: 'Object', data: { a: 1 } });
    wire.socket.end();
    assert.equal((await log.next('disconnect')).args[1], session);
  });

  it('may keep state for each connection', limit, async (t) => {
    class Counter extends impl.session {
      count = 0;
    }
    const { server, where } = await startServer(t, { session_type: Counter });
    server.on('receive', (object, { session, callback }) => {
      session.count += object.step;
      callback({ count: session.count });
    });
    const first = await startClient(t, where);
    const second = await startClient(t, where);
    const step = (client, by) =>
      new Promise((resolve, reject) => {
        client.send({ step: by }, ({ count }) => resolve(count)).catch(reject);
      });
    assert.equal(await step(first.client, 1), 1);
    assert.equal(await step(first.client, 1), 2);
    assert.equal(await step(second.client, 10), 10);
    assert.equal(await step(first.client, 1), 3);
  });

  it('may authenticate in start() by listening to its socket', limit, async (t) => {
    // In sockhop 1.8.4, a session that exchanges messages before it is accepted ends the connection
    // from its own methods afterwards.
    class Guarded extends impl.session {
      name = null;

      accept({ password, name }) {
        if (password !== 'open sesame') return this.kill();
        this.name = name;
        return this.send({ welcome: name });
      }
    }
    const { server, log, where } = await startServer(t, { session_type: Guarded });
    server.on('receive', (object, { session }) => session.accept(object));
    const good = await startClient(t, where);
    const bad = await startClient(t, where);
    await good.client.send({ name: 'ada', password: 'open sesame' });
    await bad.client.send({ name: 'eve', password: 'please' });
    assert.deepEqual((await good.log.next('receive')).args[0], { welcome: 'ada' });
    await bad.log.next('disconnect');
    await log.next('disconnect');
    assert.deepEqual(
      server.sessions.map(({ name }) => name),
      ['ada'],
    );
    assert.equal(bad.log.count('receive'), 0);
    assert.equal(good.client.connected, true);
  });

  it('is required: if _from_socket() returns nothing, the client is refused', limit, async (t) => {
    const session_type = { _from_socket() {} };
    const { log, where } = await startServer(t, { session_type });
    const wire = await rawClient(t, where);
    const [error] = (await log.next('error')).args;
    assert.equal(error.name, 'TypeError');
    assert.match(error.message, /result of _from_socket\(\) must be a session/);
    await wire.next('close');
    assert.deepEqual(log.names(), ['error'], 'no connect, no disconnect');
  });

  it('is made by the static _from_socket(), which a class may replace', limit, async (t) => {
    const calls = [];
    class Special extends impl.session {
      static async _from_socket(socket, server) {
        calls.push([socket, server]);
        // biome-ignore lint/complexity/noThisInStatic: the class's own name would lose the subclass.
        const session = await super._from_socket(socket, server);
        session.special = true;
        return session;
      }
    }
    const { server, log, where } = await startServer(t, { session_type: Special });
    await rawClient(t, where);
    const [socket, session] = (await log.next('connect')).args;
    assert.ok(session instanceof Special);
    assert.equal(session.special, true);
    assert.equal(calls.length, 1);
    assert.equal(calls[0][0], socket);
    assert.equal(calls[0][1], server);
  });
});

describe('a session that cannot start', () => {
  const failures = {
    'start() rejects': () =>
      class extends impl.session {
        async start() {
          await turn();
          throw new RangeError('not today');
        }
      },
    'start() rejects at once': () =>
      class extends impl.session {
        async start() {
          throw new RangeError('not today');
        }
      },
    'start() throws': () =>
      class extends impl.session {
        start() {
          throw new RangeError('not today');
        }
      },
    'the constructor throws': () =>
      class extends impl.session {
        constructor(...args) {
          super(...args);
          throw new RangeError('not today');
        }
      },
  };

  for (const [name, makeClass] of Object.entries(failures)) {
    it(`${name}: an error event, and the connection ends`, limit, async (t) => {
      const Failing = makeClass();
      const { server, log, where } = await startServer(t, { session_type: Failing });
      const wire = await rawClient(t, where);
      wire.write({ type: 'Number', data: 1 });
      const [error, socket, session] = (await log.next('error')).args;
      assert.ok(error instanceof RangeError);
      assert.equal(error.message, 'not today');
      assert.ok(socket instanceof net.Socket);
      if (name.startsWith('start')) assert.ok(session instanceof Failing);
      else assert.equal(session ?? null, null);
      await wire.next('close');
      assert.deepEqual([server.sockets, server.sessions], [[], []]);
      assert.deepEqual(log.names(), ['error'], 'no connect, no receive, no disconnect');
    });

    it(`${name}: the other connections do not notice`, limit, async (t) => {
      const Failing = makeClass();
      let fail = false;
      class Sometimes extends impl.session {
        static _from_socket(socket, server) {
          if (fail) return Failing._from_socket(socket, server);
          // biome-ignore lint/complexity/noThisInStatic: the class's own name would lose the subclass.
          return super._from_socket(socket, server);
        }
      }
      const { server, log, where } = await startServer(t, { session_type: Sometimes });
      const good = await rawClient(t, where);
      await log.next('connect');
      fail = true;
      const bad = await rawClient(t, where);
      await log.next('error');
      await bad.next('close');
      fail = false;
      const next = await rawClient(t, where);
      await log.next('connect');
      good.write({ type: 'Number', data: 1 });
      next.write({ type: 'Number', data: 2 });
      const received = await log.take('receive', 2);
      assert.deepEqual(received.map(({ args }) => args[0]).sort(), [1, 2]);
      assert.equal(server.sockets.length, 2);
      assert.equal(server.sessions.length, 2);
    });
  }
});

describe('a session that asks its client in start()', () => {
  /** A client that answers calls and requests. */
  async function answeringClient(t, where) {
    const { client, log } = makeClient(t, where);
    client.on('receive', (object, { callback }) => callback({ answer: object }));
    client.on('request', async (request, response) => {
      await response.write({ answer: request.data });
      await response.end();
    });
    await client.connect();
    return { client, log };
  }

  it('gets the answers after start() has resolved', limit, async (t) => {
    const answers = [];
    class Curious extends impl.session {
      async start() {
        answers.push(this.call({ n: 1 }));
        answers.push(this.request({ n: 2 }).then((stream) => stream.next()));
        answers.push((await this.request({ n: 3 })).all().then(([first]) => first));
      }
    }
    const { where } = await startServer(t, { session_type: Curious });
    await answeringClient(t, where);
    await until(() => answers.length === 3, 'the session asks');
    const [called, ...requested] = await Promise.all(answers);
    assert.deepEqual(called, { answer: { n: 1 } });
    assert.deepEqual(
      requested.map(({ data }) => data),
      [{ answer: { n: 2 } }, { answer: { n: 3 } }],
    );
  });

  for (const [how, end] of [
    ['rejects', () => Promise.reject(new Error('not today'))],
    ['has not resolved when the server closes', (server) => server.close()],
  ]) {
    it(`learns that there is no answer if start() ${how}`, limit, async (t) => {
      const asked = [];
      class Curious extends impl.session {
        async start() {
          asked.push(this.call({ n: 1 }));
          const stream = await this.request({ n: 2 });
          asked.push(stream.next());
          for (const answer of asked) answer.catch(() => {});
          await end(this.server);
        }
      }
      const { server, where } = await startServer(t, { session_type: Curious });
      const wire = await rawClient(t, where);
      await wire.next('close');
      assert.equal(asked.length, 2);
      for (const answer of asked) {
        await assert.rejects(deadline(answer, 'the answer'), { code: 'ERR_SOCKET_DESTROYED' });
      }
      const { pending_callbacks, pending_requests } = server.stats();
      assert.deepEqual(
        { pending_callbacks, pending_requests },
        { pending_callbacks: 0, pending_requests: 0 },
      );
    });
  }

  for (const method of ['call', 'request']) {
    it(`is warned if start() waits for the answer to its ${method}()`, limit, async (t) => {
      const main = async (sockhop, { path, method: name }) => {
        process.on('warning', ({ code, message }) => console.log(`${code} ${message}`));
        class Stuck extends sockhop.session {
          async start() {
            const answer = await this[name]({ n: 1 });
            await answer.next?.();
          }
        }
        const server = new sockhop.server({ path, session_type: Stuck });
        server.on('error', () => {});
        await server.listen();
        const clients = [1, 2].map(() => new sockhop.client({ path }));
        for (const client of clients) {
          client.on('receive', (_object, { callback }) => callback({}));
          client.on('request', (_request, response) => response.send({}));
          await client.connect();
        }
      };
      const child = program(t, main, { path: unixPath(t), method });
      const warning = await child.line((text) => text.startsWith('SOCKHOP_ANSWER_IN_START '));
      assert.ok(warning.includes(`${method}()`), warning);
      assert.match(warning, /handler of "connect"/);
    });
  }
});
