'use strict';

// Programs compare messages of errors, 1.8.4's own ping() among them.
// With SOCKHOP_UNDER_TEST=sockhop-1.8 the same tests pass on the original.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { it } = require('node:test');
const { makeClient, startClient, startServer } = require('./support/local.js');

const limit = { timeout: 600_000 };
const over = {
  code: 'ERR_SOCKET_DESTROYED',
  message: 'Client unable to send() - socket has been destroyed',
};

it(
  'a client that is not connected any more says that its socket has been destroyed',
  limit,
  async (t) => {
    const { where } = await startServer(t);
    const { client } = await startClient(t, where);
    await client.disconnect();
    await assert.rejects(client.send({ a: 1 }), over);
    await assert.rejects(client.request({ a: 1 }), over);
  },
);

it(
  'an answer over a closed connection throws the error that send() rejects with',
  limit,
  async (t) => {
    const { server, log, where } = await startServer(t);
    const { client } = await startClient(t, where);
    client.send({ a: 1 }, () => {});
    const { args } = await log.next('receive');
    server.sockets[0].destroy();
    assert.throws(() => args[1].callback({ b: 1 }), over);
  },
);

it('a second connect() says that the first is still trying', limit, async (t) => {
  const { where } = await startServer(t);
  const { client } = makeClient(t, where);
  const first = client.connect();
  await assert.rejects(client.connect(), {
    code: 'ERR_MULTICONNECT',
    message: 'You have already called connect() once. Still trying to connect!',
  });
  await first;
});

it('a packet after the last one, or one without a connection, says so', limit, async (t) => {
  const { server, where } = await startServer(t);
  const { client } = await startClient(t, where);
  const asked = once(server, 'request');
  await client.request({ a: 1 });
  const [request, response] = await asked;
  await response.send({ b: 1 });
  const refusal = {
    code: 'ERR_RESPONSE_SEND',
    message: 'Response packet cannot be sent after end',
  };
  await assert.rejects(response.send({ b: 2 }), refusal);
  await assert.rejects(response.end(), refusal);

  const { constructor: Stream } = response;
  await assert.rejects(new Stream({ uuid: request.uuid }).send({ b: 3 }), {
    code: 'ERR_RESPONSE_SEND',
    message: 'Response packet cannot be sent back to responder',
  });
});

it('requests to a peer of another type say so', limit, async (t) => {
  const { server, log, where } = await startServer(t, { peer_type: 'json' });
  const { client } = await startClient(t, where, { peer_type: 'json' });
  const [sock] = (await log.next('connect')).args;
  const refusal = {
    code: 'ERR_REQUEST_TYPE',
    message: 'Unable to use requests - peer type must be Sockhop',
  };
  await assert.rejects(client.request({}), refusal);
  await assert.rejects(server.request(sock, {}), refusal);
});

it(
  'send() of a server without data or without a socket says what it requires',
  limit,
  async (t) => {
    const { server } = await startServer(t);
    assert.throws(() => server.send({}), {
      code: 'ERR_BAD_DATA',
      message: 'SockhopServer send() requires a socket and data',
    });
    await assert.rejects(server.send(null, {}), {
      code: 'ERR_NO_SOCKET',
      message: 'SockhopServer sending requires a socket',
    });
  },
);

it('a packet after the end of an answer says that it cannot be sent any more', limit, async (t) => {
  const { server, where } = await startServer(t);
  const { client } = await startClient(t, where);
  const refused = new Promise((resolve) => {
    server.on('request', async (_request, response) => {
      await response.send({ a: 1 });
      response.write({ a: 2 }).catch(resolve);
    });
  });
  await client.request({});
  const { code, message } = await refused;
  assert.deepEqual(
    [code, message],
    ['ERR_RESPONSE_SEND', 'Response packet cannot be sent after end'],
  );
});
