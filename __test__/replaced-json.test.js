'use strict';

// A program may replace JSON.parse() and JSON.stringify(). With SOCKHOP_UNDER_TEST=sockhop-1.8 the
// same tests pass on the original.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { describe, it } = require('node:test');
const { promisify } = require('node:util');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { underTest } = require('../conformance/under-test.js');

const limit = { timeout: 90_000 };
/** More than the messages after which two ends of this package turn to binary messages. */
const MANY = 80;

/** A client whose server returns each object. @returns {Promise<function(object): Promise>} ask */
async function echo(t) {
  const received = [];
  const { server, where } = await startServer(t, {}, { path: unixPath(t) });
  server.on('receive', (object, { callback }) => {
    received.push(object);
    callback(object);
  });
  const { client } = makeClient(t, where, {}, impl.client);
  await client.connect();
  const ask = (object) => new Promise((resolve) => client.send(object, resolve));
  return { ask, received };
}

/** Replaces a function of JSON for the rest of the test. */
function replace(t, name, replacement) {
  const original = JSON[name];
  const restore = () => {
    JSON[name] = original;
  };
  JSON[name] = replacement(original);
  cleanup(t, restore);
  return restore;
}

const withoutPasswords = (stringify) => (value) =>
  stringify(value, (key, item) => (key === 'password' ? undefined : item));
const withDates = (parse) => (text) =>
  parse(text, (key, item) => (key === 'date' ? new Date(item) : item));

describe('messages pass through', () => {
  for (const before of [0, 10, MANY]) {
    const when = `after ${before} messages`;

    it(`JSON.stringify() that a program replaces ${when}`, limit, async (t) => {
      const { ask, received } = await echo(t);
      for (let i = 0; i < before; i++) await ask({ i });
      received.length = 0;
      const restore = replace(t, 'stringify', withoutPasswords);
      for (let i = 0; i < MANY; i++) assert.deepEqual(await ask({ i, password: 'x' }), { i });
      assert.ok(received.every((object) => !('password' in object)));
      restore();
      for (let i = 0; i < MANY; i++) assert.deepEqual(await ask({ password: i }), { password: i });
    });

    it(`JSON.parse() that a program replaces ${when}`, limit, async (t) => {
      const { ask, received } = await echo(t);
      for (let i = 0; i < before; i++) await ask({ i });
      received.length = 0;
      replace(t, 'parse', withDates);
      const date = new Date(86_400_000);
      for (let i = 0; i < MANY; i++) assert.deepEqual(await ask({ i, date }), { i, date });
      assert.ok(received.every((object) => object.date instanceof Date));
    });
  }

  it('JSON.stringify() with their envelopes', limit, async (t) => {
    const { ask } = await echo(t);
    const types = [];
    replace(t, 'stringify', (stringify) => (value) => {
      types.push(value.type);
      return stringify(value);
    });
    await ask([1]);
    assert.deepEqual(types, ['Array', 'Array']);
  });

  it('JSON.parse() that was replaced before the package was loaded', limit, async (t) => {
    const script = `
      const { parse } = JSON;
      JSON.parse = (text) => parse(text, (key, item) => (key === 'date' ? new Date(item) : item));
      const { server: Server, client: Client } = require(${JSON.stringify(underTest())});
      (async () => {
        const server = new Server({ path: ${JSON.stringify(unixPath(t))} });
        const client = new Client({ path: server.path });
        server.on('receive', (object, { callback }) => callback(object));
        await server.listen();
        await client.connect();
        let dates = 0;
        for (let i = 0; i < ${MANY}; i++) {
          const { date } = await new Promise((resolve) => client.send({ date: new Date() }, resolve));
          if (date instanceof Date) dates += 1;
        }
        console.log(dates);
        process.exit();
      })();`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
    assert.equal(Number(stdout), MANY);
  });
});
