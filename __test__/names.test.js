'use strict';

// The names that a program's subclass, or its code that writes to a socket, may use.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { describe, it } = require('node:test');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { implementations } = require('./support/implementations.js');

const limit = { timeout: 600_000 };
const original = require(implementations.original);

/** The names of strings on a prototype and on those above it, down to `end`. */
function namesOn(prototype, end = Object.prototype) {
  const names = new Set();
  for (let level = prototype; level && level !== end; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) names.add(name);
  }
  names.delete('constructor');
  return names;
}

/**
 * Internal names of this package, past and present: those of internal methods and native classes,
 * and words that an implementation would choose.
 */
const internal = (() => {
  const names = new Set(
    (
      'native options owner peer scope connection start transmit counted flush ticked depart receive receiveRaw ' +
      'tooLarge ended failed flushed dead traffic roundTrip pong beat clearPings starting add remove broadcast ' +
      'listenAt listenElsewhere connectTo detach setReconnect write_text accepted refused adopt account ' +
      'outlet outbox hold id limits meta streams responder lost fail report'
    ).split(' '),
  );
  if (process.env.SOCKHOP_UNDER_TEST === undefined) {
    const native = require('../lib/internal/native/binding.js');
    for (const { prototype } of Object.values(native)) {
      for (const name of prototype ? namesOn(prototype) : []) names.add(name);
    }
    for (const symbol of Object.values(require('../lib/internal/symbols.js')))
      names.add(symbol.description);
  }
  for (const name of [...names]) names.add(`_${name}`);
  return names;
})();

/** The members of each class of 1.8.4, which both packages have. */
const known = {
  client: new Set([
    ...namesOn(original.client.prototype),
    ...Object.getOwnPropertyNames(
      (() => {
        const client = new original.client();
        clearInterval(client._auto_reconnect_timer);
        return client;
      })(),
    ),
  ]),
  server: new Set([
    ...namesOn(original.server.prototype),
    ...Object.getOwnPropertyNames(new original.server()),
  ]),
  session: new Set([
    ...namesOn(original.session.prototype),
    ...Object.getOwnPropertyNames(new original.session()),
  ]),
};

/** Names that a subclass of 1.8.4 may use freely, because 1.8.4 does not use them. */
function freeNames(kind) {
  const names = new Set([...internal, ...namesOn(impl[kind].prototype)]);
  for (const name of known[kind]) names.delete(name);
  return names;
}

/** The names out of `names` that cannot be assigned in the constructor of a subclass. */
function refusedBy(Base, names) {
  return [...names].filter((name) => {
    let refused = false;
    class Sub extends Base {
      constructor() {
        super();
        clearInterval(this._auto_reconnect_timer);
        try {
          this[name] = undefined;
        } catch {
          refused = true;
        }
      }
    }
    new Sub();
    return refused;
  });
}

/** A subclass with a method of each name that records its calls. */
function withMethods(Base, names, called) {
  class Sub extends Base {}
  for (const name of names) {
    Object.defineProperty(Sub.prototype, name, {
      configurable: true,
      writable: true,
      value() {
        called.push(name);
      },
    });
  }
  return Sub;
}

/** Uses every operation between two ends. */
async function converse(t, { server: Server, client: Client, session_type }) {
  const { server, where } = await startServer(t, { session_type }, undefined, Server);
  const { client } = makeClient(t, where, {}, Client);
  server.on('receive', (object, meta) => meta.callback?.({ echo: object }));
  server.on('request', (request, response) => response.send(request.data));
  client.on('receive', (object, meta) => meta.callback?.({ echo: object }));
  const arrived = once(server, 'connect');
  await client.connect();
  const [sock, session] = await arrived;
  const asked = new Promise((resolve) => client.send({ a: 1 }, resolve));
  assert.deepEqual(await deadline(asked, 'the answer of the server'), { echo: { a: 1 } });
  const askedBack = new Promise((resolve) => server.send(sock, { b: 1 }, resolve));
  assert.deepEqual(await deadline(askedBack, 'the answer of the client'), { echo: { b: 1 } });
  const stream = await client.request({ c: 1 });
  assert.deepEqual((await stream.next()).data, { c: 1 });
  for (const send of [() => server.sendall({ d: 1 }), () => session.send({ d: 1 })]) {
    const received = once(client, 'receive');
    await send();
    assert.deepEqual((await deadline(received, 'what the server sends'))[0], { d: 1 });
  }
  client.ping(150);
  server.ping(150);
  const hasBeaten = (pings) => pings?.length >= 2 && !pings[0].unanswered();
  await until(
    () => hasBeaten(client.pings) && hasBeaten(server.pings.get(sock)),
    'both have pinged twice, and had an answer',
  );
  await deadline(new Promise((resolve) => client.send({ a: 2 }, resolve)), 'an answer');
  assert.ok(client.connected);
  const left = once(server, 'disconnect');
  await client.disconnect();
  await deadline(left, "the server's disconnect");
  await server.close();
}

describe('a name', () => {
  for (const kind of ['client', 'server', 'session']) {
    it(`of an accessor of the ${kind} is that of its functions, too`, () => {
      const accessors = ({ prototype }) =>
        ['connected', 'auto_reconnect', 'socket', 'sockets', 'sessions', 'sock', 'server'].map(
          (name) => {
            const { get, set } = Object.getOwnPropertyDescriptor(prototype, name) ?? {};
            return [get?.name, set?.name];
          },
        );
      assert.deepEqual(accessors(impl[kind]), accessors(original[kind]));
    });

    it(`that a ${kind} of 1.8.4 lets a subclass assign can be assigned`, () => {
      const names = new Set([...known[kind], ...freeNames(kind)]);
      for (const name of refusedBy(original[kind], names)) names.delete(name);
      assert.deepEqual(refusedBy(impl[kind], names), []);
    });

    it(`that 1.8.4 does not use keeps the value that a subclass of the ${kind} assigns`, () => {
      const Base = impl[kind];
      const lost = [...freeNames(kind)].filter((name) => {
        const value = { name };
        class Sub extends Base {
          constructor() {
            super();
            clearInterval(this._auto_reconnect_timer);
            this[name] = value;
          }
        }
        return new Sub()[name] !== value;
      });
      assert.deepEqual(lost, []);
    });
  }

  it('of a method that a subclass adds is not called by the package', limit, async (t) => {
    const called = [];
    await converse(t, {
      server: withMethods(impl.server, freeNames('server'), called),
      client: withMethods(impl.client, freeNames('client'), called),
      session_type: withMethods(impl.session, freeNames('session'), called),
    });
    assert.deepEqual(called, []);
  });

  it('of a property that a program gives a socket is not used by the package', limit, async (t) => {
    const socketNames = namesOn(net.Socket.prototype);
    const called = [];
    const mark = (sock) => {
      for (const name of internal) {
        if (socketNames.has(name) || name in new net.Socket()) continue;
        sock[name] = () => called.push(name);
      }
    };
    class Marker extends impl.session {
      async start() {
        mark(this.sock);
      }
    }
    class MarkedClient extends impl.client {
      constructor(options) {
        super(options);
        this.on('connect', mark);
      }
    }
    await converse(t, { server: impl.server, client: MarkedClient, session_type: Marker });
    assert.deepEqual(called, []);
  });

  it('debug of a subclass does not set the option', limit, async (t) => {
    class Loud extends impl.client {
      debug = true;
    }
    const { server, where } = await startServer(t);
    const { client } = makeClient(t, where, {}, Loud);
    let shown = 0;
    client.on('sending', () => {
      shown += 1;
    });
    await client.connect();
    const received = once(server, 'receive');
    await client.send({ a: 1 });
    await deadline(received, 'the message');
    assert.equal(client.debug, true);
    assert.equal(shown, 0);
  });

  it('pings can be assigned, which forgets the pings sent so far', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = makeClient(t, where);
    const arrived = once(server, 'connect');
    await client.connect();
    await arrived;
    client.socket.pause();
    server.ping(150);
    const [sock] = server.sockets;
    await until(() => server.pings.get(sock).length > 0, 'a ping was sent');
    server.pings = new Map([[sock, []]]);
    assert.equal(server.pings.get(sock).length, 0);
    client.pings = [];
    assert.deepEqual(client.pings, []);
  });
});
