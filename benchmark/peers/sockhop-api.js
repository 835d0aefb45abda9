const tls = require('node:tls');

/**
 * The adapter for packages with the API of sockhop 1.x: the package under test and the original.
 *
 * @param {object} definition
 * @param {function(): object} definition.load loads the package
 * @param {boolean} [definition.noDelay] whether both ends call setNoDelay(true)
 * @param {function(object): Promise<object>} [definition.serveTls] starts a server with TLS
 */
function createPeer({ label, transports, load, version, noDelay = false, serveTls = serveBehind }) {
  function createServer(options, { receive, request, tolerant = false }) {
    const sockhop = load();
    const server = new sockhop.server(options);
    // The load generator resets its connections, which is not an error.
    server.on('error', (error) => {
      if (!tolerant && error?.code !== 'ECONNRESET' && error?.code !== 'EPIPE') {
        throw error;
      }
    });
    if (noDelay) {
      server.on('connect', (socket) => socket.setNoDelay(true));
    }
    server.on('receive', (data, meta) => {
      receive(data, meta.callback ?? ((answer) => server.send(meta.socket, answer)));
    });
    if (request !== undefined) {
      server.on('request', (req, res) => {
        request(req.data, { write: (data) => res.write(data), end: (data) => res.send(data) });
      });
    }
    return server;
  }

  async function serve({ address, tls: certificates, largest, values, receive, request }) {
    const options = { ...address, ...limit(largest), ...(values && { values }) };
    const handlers = { receive, request };
    if (certificates !== undefined) {
      return facade(await serveTls({ options, handlers, certificates, createServer }));
    }
    const server = createServer(options, handlers);
    await server.listen();
    return facade(server);
  }

  async function connect({ address, tls: certificates, largest, values, receive }) {
    const sockhop = load();
    const options = { ...address, ...limit(largest), ...(values && { values }) };
    if (certificates !== undefined) {
      options.ssl = true;
      options.ssl_options = { ca: certificates.ca, servername: 'localhost' };
    }
    const client = new sockhop.client(options);
    if (noDelay) {
      client.on('connect', (socket) => socket.setNoDelay(true));
    }
    if (receive !== undefined) {
      client.on('receive', receive);
    }
    await client.connect();
    return {
      push(data) {
        client.send(data);
      },
      send: (data) => client.send(data),
      call(data, answer) {
        client.send(data, answer);
      },
      async request(data) {
        const stream = await client.request(data);
        return (await stream.all()).length;
      },
    };
  }

  return { label, transports, tls: true, speaksSockhop: true, version, serve, connect, wire };
}

function facade(server) {
  return { sendAll: (data) => server.sendall(data) };
}

function limit(largest) {
  // Infinity means the length of the longest string, slightly less than 512 MiB.
  return largest === undefined ? {} : { max_message_size: Number.POSITIVE_INFINITY };
}

/** TLS for the original: a TLS server of Node accepts and passes on the decrypted stream. */
async function serveBehind({ options, handlers, certificates, createServer }) {
  const server = createServer(options, handlers);
  const front = tls.createServer({ key: certificates.key, cert: certificates.cert });
  front.on('secureConnection', (socket) => server.server.emit('connection', socket));
  await new Promise((resolve, reject) => {
    front.once('error', reject);
    front.listen(options.path ?? { port: options.port, host: '127.0.0.1' }, resolve);
  });
  server.stopFront = () => new Promise((resolve) => front.close(resolve));
  return server;
}

const wire = {
  hello: (data) => wire.frame(data),
  frame: (data) => Buffer.from(`${JSON.stringify({ type: 'Object', data })}\n`),
};

module.exports = { createPeer, serveBehind, wire };
