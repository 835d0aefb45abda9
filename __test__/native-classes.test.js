'use strict';

// The public client, server and session are native classes and EventEmitters at the same time.

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const path = require('node:path');
const { describe, it } = require('node:test');

const { deadline } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { startServer } = require('./support/local.js');
const { rawClient } = require('./support/raw.js');

const limit = { timeout: 600_000 };
/** Loads the package again with the binding that is loaded already, as Jest does for each file. */
function loadAgain() {
  const root = path.dirname(__dirname);
  const before = { ...require.cache };
  for (const file of Object.keys(before)) {
    if (file.startsWith(path.join(root, 'lib')) || file === path.join(root, 'index.js')) {
      delete require.cache[file];
    }
  }
  const again = require(root);
  Object.assign(require.cache, before);
  return again;
}

for (const kind of ['client', 'server', 'session']) {
  const Native = Object.getPrototypeOf(impl[kind]);

  describe(`the ${kind}`, () => {
    it('extends the native class of its name', () => {
      assert.match(String(Native), /\[native code\]/);
      assert.equal(impl[kind].name, Native.name);
      assert.ok(new impl[kind]() instanceof Native);
    });

    it('is an EventEmitter, and so are its static properties', () => {
      const object = new impl[kind]();
      assert.ok(object instanceof EventEmitter);
      assert.equal(impl[kind].defaultMaxListeners, EventEmitter.defaultMaxListeners);
      const heard = [];
      object.on('news', (what) => heard.push(what));
      object.emit('news', 1);
      assert.deepEqual(heard, [1]);
    });

    it('has no native method with a name', () => {
      assert.deepEqual(Object.getOwnPropertyNames(Native.prototype), ['constructor']);
      assert.ok(Object.getOwnPropertySymbols(Native.prototype).length > 0);
    });

    it('is made by Reflect.construct() for another class, too', () => {
      class Other extends impl[kind] {}
      const object = Reflect.construct(impl[kind], [], Other);
      assert.equal(Object.getPrototypeOf(object), Other.prototype);
      assert.ok(object instanceof Native);
    });

    it('needs new', () => {
      assert.throws(() => impl[kind](), TypeError);
    });
  });
}

describe('a session that a program makes in another way', () => {
  const ways = {
    'an object of its own': () => ({ start() {}, end() {} }),
    'an object with the prototype of sessions': () => Object.create(impl.session.prototype),
    'a Proxy of a session': (session) => new Proxy(session, {}),
    'null, with an end() that cannot be called': () => null,
  };
  for (const [way, make] of Object.entries(ways)) {
    it(`as ${way}, gets the messages of the server to all`, limit, async (t) => {
      class Other extends impl.session {
        static async _from_socket(...args) {
          return make(await impl.session._from_socket(...args));
        }
      }
      const { server, log, where } = await startServer(t, { session_type: Other });
      server.on('error', () => {});
      const wire = await rawClient(t, where);
      await log.next('connect');
      await server.sendall({ n: 1 });
      assert.deepEqual(await wire.frame(), { type: 'Object', data: { n: 1 } });
      server.ping(5);
      assert.equal((await wire.frame()).type, 'SockhopPing');
    });
  }

  it(
    'as one session for all connections, gets the messages of the server to all',
    limit,
    async (t) => {
      let shared;
      class Shared extends impl.session {
        static async _from_socket(...args) {
          shared ??= await impl.session._from_socket(...args);
          return shared;
        }
      }
      const { server, log, where } = await startServer(t, { session_type: Shared });
      const first = await rawClient(t, where);
      const second = await rawClient(t, where);
      await log.take('connect', 2);
      await server.sendall('to both');
      assert.equal((await first.frame()).data, 'to both');
      assert.equal((await second.frame()).data, 'to both');
      first.socket.end();
      await log.next('disconnect');
      await server.sendall('to the other');
      assert.equal((await second.frame()).data, 'to the other');
    },
  );
});

describe('the package, loaded again in the same environment', () => {
  it('works beside the first', limit, async (t) => {
    const again = loadAgain();
    assert.notEqual(again.client, impl.client);
    const { log, where } = await startServer(t);
    const client = new again.client(where);
    t.after(() => client.disconnect());
    const connected = once(client, 'connect');
    await client.connect();
    await deadline(connected, 'the connect event');
    await client.send({ n: 1 });
    assert.deepEqual((await log.next('receive')).args[0], { n: 1 });
  });
});
