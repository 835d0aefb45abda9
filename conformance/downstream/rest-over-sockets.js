'use strict';

// The tests of rest-over-sockets use stand-ins for a connection. Here its client and its
// application communicate over the package under test, in both directions. Mocha runs this file,
// see scripts/conformance.js.

const assert = require('node:assert/strict');
const os = require('node:os');
const path = require('node:path');
const Restos = require('rest-over-sockets');
const sockhop = require('sockhop');

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let count = 0;

/** An application that answers with the request. */
function application() {
  const app = new Restos();
  for (const method of METHODS) {
    app[method]('/apple/:id', (request, response) => {
      response
        .set('Content-Type', 'application/json')
        .status(201)
        .json({ method, id: request.params.id, body: request.body });
    });
  }
  return app;
}

/** Lets an application answer the requests of one end. */
function serve(end, app) {
  end.on('request', (request, response) => {
    if (request.type !== 'ROSRequest') return;
    app.receive(request.data, (answer) => response.send(answer));
  });
}

describe('a client and an application over sockhop', () => {
  let server;
  let client;

  beforeEach(async () => {
    count += 1;
    const where = { path: path.join(os.tmpdir(), `downstream-${process.pid}-${count}.sock`) };
    server = new sockhop.server(where);
    client = new sockhop.client(where);
    await server.listen();
  });

  afterEach(async () => {
    await client.disconnect();
    await server.close();
  });

  for (const method of METHODS) {
    it(`${method} from the client`, async () => {
      serve(server, application());
      await client.connect();
      const body = { flavor: 'sweet', sizes: [1, 2, null] };
      const asked = Restos.ROSClient.sockhop(client);
      const response = await asked.$({ method: method.toUpperCase(), path: '/apple/7', body });
      assert.equal(response.statusCode, 201);
      assert.equal(response.headers['content-type'], 'application/json');
      assert.deepEqual(response.data, { method, id: '7', body });
    });
  }

  it('many at once, each with its own answer', async () => {
    serve(server, application());
    await client.connect();
    const asked = Restos.ROSClient.sockhop(client);
    const ids = Array.from({ length: 200 }, (_, id) => String(id));
    const responses = await Promise.all(ids.map((id) => asked.get(`/apple/${id}`)));
    assert.deepEqual(
      responses.map(({ data }) => data.id),
      ids,
    );
  });

  it('from the session of a server', async () => {
    serve(client, application());
    const session = new Promise((resolve) => {
      server.on('connect', (_sock, found) => resolve(found));
    });
    await client.connect();
    const asked = Restos.ROSClient.sockhop(await session);
    const response = await asked.get('/apple/8');
    assert.equal(response.data.id, '8');
  });

  it('a path that there is not', async () => {
    serve(server, application());
    await client.connect();
    const response = await Restos.ROSClient.sockhop(client).get('/pear/8');
    assert.equal(response.statusCode, 404);
  });
});
