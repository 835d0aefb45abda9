'use strict';

// Mistakes of a program that sockhop 1.8.4 ignores: the warning for each, and that working programs
// with such a mistake still work.

const assert = require('node:assert/strict');
const { describe, it } = require('node:test');
const { inspect } = require('node:util');
const { unixPath } = require('./support/addresses.js');
const { warningsWithin } = require('./support/fresh-copies.js');
const impl = require('./support/impl.js');
const { makeClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };

/** The warnings of a program that makes clients and servers with these options. */
function warningsOf({ client = [], server = [] }) {
  const main = (sockhop, { clients, servers }) => {
    for (const options of clients) new sockhop.client(options);
    for (const options of servers) new sockhop.server(options);
  };
  return warningsWithin(main, { clients: client, servers: server });
}

const asLines = (warnings) => warnings.map(({ code, message }) => `${code} ${message}`);

describe('an option that the package does not read', () => {
  for (const [name, meant] of [
    ['adress', 'address'],
    ['prot', 'port'],
    ['host', 'address'],
    ['hostname', 'address'],
    ['pth', 'path'],
    ['socketPath', 'path'],
    ['terminater', 'terminator'],
    ['peerType', 'peer_type'],
    ['conect_timeout', 'connect_timeout'],
    ['connectTimeout', 'connect_timeout'],
    ['max_mesage_size', 'max_message_size'],
    ['auto_reconnect_intervall', 'auto_reconnect_interval'],
    ['autoReconnect', 'auto_reconnect'],
    ['auto_reconnect_timeout', 'auto_reconnect_interval'],
    ['reconnectDelay', 'auto_reconnect_interval'],
  ]) {
    it(`${name} causes a warning that suggests ${meant}`, limit, async () => {
      const [warning, ...more] = await warningsOf({ client: [{ [name]: 1 }] });
      assert.deepEqual(more, []);
      assert.equal(warning.name, 'SockhopWarning');
      assert.equal(warning.code, 'SOCKHOP_UNKNOWN_OPTION');
      assert.ok(warning.message.includes(`"${name}"`), warning.message);
      assert.ok(warning.message.includes(`"${meant}"`), warning.message);
    });
  }

  it('is warned of once, however many clients and servers have it', limit, async () => {
    const options = [{ adress: '::1' }, { adress: '::1' }];
    const warnings = await warningsOf({ client: options, server: options });
    assert.equal(warnings.length, 1);
  });

  it('is reported for a server as for a client', limit, async () => {
    const [{ message }] = await warningsOf({ server: [{ maxConnections: 5 }] });
    assert.match(message, /"maxConnections" of a SockhopServer.*"max_connections"/);
  });

  for (const [name, value, remedy] of [
    ['keepAlive', true, /setKeepAlive/],
    ['rejectUnauthorized', false, /ssl_options/],
    ['signal', {}, /connect\(\{ signal \}\)/],
    ['backlog', 5, /no effect/],
  ]) {
    it(`${name}, an option of net or tls, is warned of with the remedy`, limit, async () => {
      const [warning, ...more] = await warningsOf({ client: [{ [name]: value }] });
      assert.deepEqual(more, []);
      assert.equal(warning.code, 'SOCKHOP_IGNORED_OPTION');
      assert.ok(warning.message.includes(`"${name}"`), warning.message);
      assert.match(warning.message, remedy);
    });
  }

  it('auto_reconnect is warned of with the property to set', limit, async () => {
    const [warning, ...more] = await warningsOf({ client: [{ auto_reconnect: true }] });
    assert.deepEqual(more, []);
    assert.match(warning.message, /client\.auto_reconnect = true/);
  });

  it('a certificate next to ssl is warned of, with ssl_options as its place', limit, async () => {
    const [warning, ...more] = await warningsOf({ client: [{ ssl: true, ca: 'PEM' }] });
    assert.deepEqual(more, []);
    assert.match(warning.message, /"ca".*"ssl_options"/);
  });

  for (const [name, value, meant, side] of [
    ['requestCerts', true, 'requestCert', 'server'],
    ['serverName', 'example.org', 'servername', 'client'],
    ['rejectUnauthorised', false, 'rejectUnauthorized', 'client'],
    ['cas', 'PEM', 'ca', 'client'],
    ['certs', 'PEM', 'cert', 'server'],
    ['privateKey', 'PEM', 'key', 'server'],
  ]) {
    it(`${name} in ssl_options causes a warning that suggests ${meant}`, limit, async () => {
      const ssl_options = { [name]: value };
      const [warning, ...more] = await warningsOf({ [side]: [{ ssl_options }] });
      assert.deepEqual(more, []);
      assert.equal(warning.code, 'SOCKHOP_UNKNOWN_OPTION');
      assert.match(
        warning.message,
        new RegExp(`"${name}" of "ssl_options" is unknown.*"${meant}"`),
      );
    });
  }

  for (const [name, missing] of [
    ['cert', 'key'],
    ['key', 'cert'],
  ]) {
    it(`${name} of a client without ${missing} is warned of`, limit, async () => {
      const client = [{ ssl_options: { [name]: 'PEM' } }, { ssl_options: { cert: 'a', key: 'b' } }];
      const [warning, ...more] = await warningsOf({ client });
      assert.deepEqual(more, []);
      assert.match(warning.message, new RegExp(`"${name}" of "ssl_options".*without "${missing}"`));
    });
  }

  it('options of tls, and of the connection, are not mentioned', limit, async () => {
    const ssl_options = {
      ca: 'PEM',
      ciphers: 'DEFAULT',
      host: 'example.org',
      lookup: () => {},
      servername: 'example.org',
      requestCert: true,
      unrelated: true,
    };
    const of = [{ ssl_options }];
    assert.deepEqual(await warningsOf({ client: of, server: of }), []);
  });

  it('an entry of addresses may have misspelt names as well', limit, async () => {
    const addresses = [{ host: 'example.org', prot: 5000 }];
    const warnings = await warningsOf({ client: [{ addresses }] });
    assert.deepEqual(
      warnings.map(({ message }) =>
        message.match(/"(\w+)" of a place of "addresses".*"(\w+)"/)?.slice(1),
      ),
      [
        ['host', 'address'],
        ['prot', 'port'],
      ],
    );
  });

  it('options of a cluster may have misspelt names as well', limit, async () => {
    const main = (sockhop) => {
      const verbs = ['open', 'subscribe', 'unsubscribe', 'publish', 'flush', 'pending', 'close'];
      const engine = Object.fromEntries(verbs.map((verb) => [verb, () => {}]));
      new sockhop.server({ cluster: { engine, prefx: 'shop' } });
    };
    const [warning, ...more] = await warningsWithin(main);
    assert.deepEqual(more, []);
    assert.equal(warning.code, 'SOCKHOP_UNKNOWN_OPTION');
    assert.match(warning.message, /"prefx" of "cluster".*"prefix"/);
  });

  it('a name that is the program’s own is not mentioned', limit, async () => {
    const own = { name: 'a', id: 1, key: 'k', user: 'ada', sort: 1, post: 1, mode: 1, colour: 1 };
    const environment = { HOST: 'x', PORT: '1', PATH: '/bin', ADRESS: 'y' };
    const heeded = { address: '::1', host: 'x', noDelay: true, auto_reconnect: false };
    const of = [own, environment, heeded];
    assert.deepEqual(await warningsOf({ client: of, server: of }), []);
  });

  it(
    'options of the other side are not mentioned: both may be given one object',
    limit,
    async () => {
      const both = {
        port: 5000,
        connect_timeout: 5,
        max_connections: 5,
        auto_reconnect_interval: 9,
      };
      assert.deepEqual(await warningsOf({ client: [both], server: [both] }), []);
    },
  );
});

describe('an option of one message that the package does not read', () => {
  /** The warnings of a program whose client and server exchange messages with these options. */
  function warningsOfMessages(t, options) {
    const main = async (sockhop, { path, options: given }) => {
      const server = new sockhop.server({ path });
      server.on('receive', (_object, { callback }) => callback?.({ thanks: true }));
      server.on('request', (_request, response) => response.send({ thanks: true }));
      await server.listen();
      const client = new sockhop.client({ path });
      client.on('receive', (_object, { callback }) => callback?.({ thanks: true }));
      client.on('request', (_request, response) => response.send({ thanks: true }));
      await client.connect();
      const [session] = server.sessions;
      for (const config of given) {
        await client.send({ a: 1 }, undefined, config);
        await client.call({ a: 1 }, config);
        await (await client.request({ a: 1 }, config)).all();
        await server.call(session.sock, { a: 1 }, config);
        await session.call({ a: 1 }, config);
        await (await session.request({ a: 1 }, config)).all();
      }
      await client.disconnect();
      await server.close();
    };
    return warningsWithin(main, { path: unixPath(t), options });
  }

  for (const [name, meant] of [
    ['timout', 'timeout'],
    ['timeoutMs', 'timeout'],
    ['callback_timeout', 'timeout'],
    ['responseTimeout', 'timeout'],
    ['sginal', 'signal'],
    ['abortSignal', 'signal'],
  ]) {
    it(`${name} causes one warning that suggests ${meant}`, limit, async (t) => {
      const config = { [name]: 5000 };
      const [warning, ...more] = await warningsOfMessages(t, [config, config]);
      assert.deepEqual(more, []);
      assert.equal(warning.code, 'SOCKHOP_UNKNOWN_OPTION');
      assert.match(warning.message, new RegExp(`"${name}" of send\\(\\) .*"${meant}"`));
    });
  }

  it('is warned of when it has a value for the first time', limit, async (t) => {
    const options = [{ timout: null }, { timout: 0 }, { timout: 5000 }];
    assert.equal((await warningsOfMessages(t, options)).length, 1);
  });

  it('a number instead of the options of request() is warned of', limit, async (t) => {
    const main = async (sockhop, { path }) => {
      const server = new sockhop.server({ path });
      server.on('request', (_request, response) => response.send({ thanks: true }));
      await server.listen();
      const client = new sockhop.client({ path });
      await client.connect();
      for (const config of [5000, 6000]) await (await client.request({ a: 1 }, config)).all();
      await client.disconnect();
      await server.close();
    };
    const [warning, ...more] = await warningsWithin(main, { path: unixPath(t) });
    assert.deepEqual(more, []);
    assert.equal(warning.code, 'SOCKHOP_IGNORED_OPTION');
    assert.match(warning.message, /request\(\).*\{ timeout: 5000 \}.*5000/);
  });

  it(
    'is not mentioned if it is the program’s own, or if the program uses the right one as well',
    limit,
    async (t) => {
      const own = Array.from({ length: 300 }, (_, n) => ({ [`field_${n}`]: n + 1 }));
      const both = { timeout: 5000, callback_timeout: 5000 };
      assert.deepEqual(await warningsOfMessages(t, [both, { timeout: 5000 }, ...own]), []);
    },
  );
});

describe('a value that means something else than it seems to', () => {
  for (const peer_type of ['JSON', 'Json', ' json']) {
    it(`peer_type: ${JSON.stringify(peer_type)} is warned of`, limit, async () => {
      const [warning, ...more] = await warningsOf({ server: [{ peer_type }] });
      assert.deepEqual(more, []);
      assert.equal(warning.code, 'SOCKHOP_OPTION_VALUE');
      assert.match(warning.message, /means "Sockhop".*write "json"/);
    });
  }

  it('the names that 1.8.4 documents for peer_type are not mentioned', limit, async () => {
    const types = ['json', 'Sockhop', 'SockhopClient', 'SockhopServer'];
    const options = types.map((peer_type) => ({ peer_type }));
    assert.deepEqual(await warningsOf({ client: options, server: options }), []);
  });

  for (const [address, remedy] of [
    ['tcp://localhost:5000', /not a URL \(set "address" to 'localhost' and "port" to 5000\)/],
    ['https://user@example.com/x', /not a URL \(set "address" to 'example\.com'\)/],
    ['localhost:5000', /without a port \(set "address" to 'localhost' and "port" to 5000\)/],
    ['127.0.0.1:80', /without a port \(set "address" to '127\.0\.0\.1' and "port" to 80\)/],
    ['[::1]:80', /without a port \(set "address" to '::1' and "port" to 80\)/],
    [' localhost', /without white space/],
    ['localhost\n', /without white space/],
    ['[::1]', /without brackets \(set "address" to '::1'\)/],
    ['/run/a.sock', /set "path" instead/],
    ['unix:///run/a.sock', /set "path" instead/],
  ]) {
    it(`the address ${address} is refused with the remedy`, limit, async () => {
      const refused = { code: 'ERR_INVALID_ARG_VALUE', message: remedy };
      for (const Side of [impl.client, impl.server]) {
        assert.throws(() => new Side({ address }), refused);
      }
      const client = new impl.client();
      client.address = address;
      await assert.rejects(client.connect(), refused);
    });
  }

  for (const address of ['::1', 'fe80::1%lo', '127.0.0.1', 'localhost', 'a_b.example']) {
    it(`the address ${address} is accepted`, limit, () => {
      assert.equal(new impl.client({ address }).address, address);
    });
  }

  for (const [name, value, message] of [
    ['port', Number.NaN, /"options\.port" property is NaN, and means the default/],
    ['debug', 'false', /"options\.debug" property 'false' means true/],
    ['ssl', 'no', /"options\.ssl" property 'no' means true/],
    ['ssl', { ca: 'PEM' }, /"options\.ssl" property is an object.*"ssl_options"/],
    ['ssl_options', { requestCert: 1 }, /"requestCert" of "ssl_options" has no effect: only true/],
  ]) {
    it(`${name}: ${inspect(value)} is warned of`, limit, async () => {
      const main = (sockhop, given) => {
        const received = given.isNaN ? Number.NaN : given.value;
        new sockhop.client({ [given.name]: received });
      };
      const argument = { name, value, isNaN: Number.isNaN(value) };
      const [warning, ...more] = await warningsWithin(main, argument);
      assert.deepEqual(more, []);
      assert.equal(warning.code, 'SOCKHOP_OPTION_VALUE');
      assert.match(warning.message, message);
    });
  }

  it('a server with ssl and no certificate is refused: it would serve plain text', limit, () => {
    for (const options of [{ ssl: true }, { ssl: true, ssl_options: {} }]) {
      assert.throws(() => new impl.server(options), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: /"options\.ssl" property.*ssl_options.*tls\.createServer/,
      });
    }
  });

  it('a server with an invalid certificate does not listen', limit, async () => {
    const server = new impl.server({ port: 0, ssl_options: { key: 'k', cert: 'c' } });
    await assert.rejects(server.listen(), {
      name: 'TypeError',
      code: 'ERR_INVALID_ARG_VALUE',
      message: /"options\.ssl_options\.cert" property must be a certificate in PEM/,
    });
    assert.equal(server.server.listening, false);
  });

  it('a server may state that it has no TLS', limit, () => {
    new impl.server({ ssl: false, ssl_options: {} });
  });
});

describe('listen() and connect() with arguments', () => {
  const refused = (message) => ({
    name: 'TypeError',
    code: /^ERR_INVALID_ARG_(TYPE|VALUE)$/,
    message,
  });

  it('throw for an address, and say where it belongs', limit, () => {
    for (const place of [5001, '5001', 'localhost', '/run/a.sock']) {
      assert.throws(
        () => new impl.server().listen(place),
        refused(/listen\(\).*new Sockhop\.server\(/),
      );
      assert.throws(
        () => new impl.client().connect(place),
        refused(/connect\(\).*new Sockhop\.client\(/),
      );
    }
  });

  it('throw for a callback, and name the promise', limit, () => {
    assert.throws(() => new impl.server().listen(() => {}), refused(/listen\(\).*promise/));
    assert.throws(() => new impl.client().connect(() => {}), refused(/connect\(\).*promise/));
  });

  it('accept the address that they use anyway, null and undefined', limit, async (t) => {
    const where = { path: unixPath(t) };
    const { server } = await startServer(t, {}, where);
    for (const argument of [where.path, null, undefined]) {
      const { client } = makeClient(t, where);
      await client.connect(argument);
      await server.close();
      await server.listen(argument);
    }
  });

  it('warn of an address among the options', limit, async () => {
    const main = async (sockhop) => {
      const server = new sockhop.server({ port: 0 });
      await server.listen({ port: 1 });
      const client = new sockhop.client({ port: server.server.address().port });
      await client.connect({ host: 'elsewhere', timeout: 5 });
      await client.disconnect();
      await server.close();
    };
    const lines = asLines(await warningsWithin(main));
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0], /^SOCKHOP_IGNORED_OPTION .*"port" of listen\(\)/);
    assert.match(lines[1], /^SOCKHOP_IGNORED_OPTION .*"host" of connect\(\)/);
  });
});

describe('a listener for an event that does not exist', () => {
  /** Returns the warnings of a program whose client and server have listeners for these events. */
  async function warningsOfEvents(t, events) {
    const main = async (sockhop, given) => {
      const server = new sockhop.server({ path: given.path });
      const client = new sockhop.client({ path: given.path });
      for (const name of given.server) server.on(name, () => {});
      for (const name of given.client) client.on(name, () => {});
      for (let n = 0; n < 2; n += 1) {
        const connected = new Promise((resolve) => {
          server.prependOnceListener('connect', () => setImmediate(resolve));
        });
        await (server.server.listening ? null : server.listen());
        await client.connect();
        await connected;
        await client.disconnect();
      }
      await server.close();
    };
    return asLines(await warningsWithin(main, { path: unixPath(t), ...events }));
  }

  for (const [name, meant] of [
    ['recieve', 'receive'],
    ['Request', 'request'],
    ['disconect', 'disconnect'],
    ['errors', 'error'],
  ]) {
    it(`${name} is warned of once, for a client as for a server`, limit, async (t) => {
      for (const [side, other] of [
        ['client', 'server'],
        ['server', 'client'],
      ]) {
        const [warning, ...more] = await warningsOfEvents(t, { [side]: [name], [other]: [] });
        assert.deepEqual(more, []);
        assert.match(
          warning,
          new RegExp(`^SOCKHOP_UNKNOWN_EVENT A Sockhop${side} .*"${name}".*"${meant}"`, 'i'),
        );
      }
    });
  }

  it(
    'is not mentioned if it is the program’s own, or if the program uses the right one as well',
    limit,
    async (t) => {
      const own = ['message', 'data', 'connected', 'close', 'newListener', 'receive', 'recieve'];
      assert.deepEqual(await warningsOfEvents(t, { client: own, server: own }), []);
    },
  );
});

describe('a client for which connect() was not called', () => {
  it('is warned of once when it sends, and not after connect()', limit, async (t) => {
    const main = async (sockhop, { path }) => {
      process.on('warning', ({ code, message }) => console.log(code, message));
      for (const n of [1, 2]) new sockhop.client({ path }).send({ n });
      const later = new sockhop.client({ path });
      await later.connect().catch(() => {});
      await later.send({ n: 3 }).catch(() => {});
      const again = new sockhop.client({ path });
      again.auto_reconnect = true;
      await again.send({ n: 4 }).catch(() => {});
      await again.disconnect();
    };
    const { code, lines, stderr } = await program(t, main, { path: unixPath(t) }).ended();
    assert.equal(code, 0, stderr);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0], /^SOCKHOP_NOT_CONNECTED .*not sent.*connect\(\)/);
  });
});

describe('a method with an argument that it does not take', () => {
  it('is warned of once for each method', limit, async (t) => {
    const main = async (sockhop, { path }) => {
      process.on('warning', ({ code, message }) => console.log(code, message));
      const callback = () => console.log('the callback is called');
      const server = new sockhop.server({ path });
      await server.listen();
      const client = new sockhop.client({ path });
      const connected = new Promise((resolve) => {
        server.once('connect', resolve);
      });
      await client.connect();
      await connected;
      await server.sendall({ a: 1 }, callback);
      await server.sendall({ a: 1 }, callback);
      await client.disconnect(callback);
      await client.disconnect(callback);
      await server.close(callback);
      await server.close(callback);
    };
    const { lines, stderr } = await program(t, main, { path: unixPath(t) }).ended();
    assert.equal(lines.length, 3, stderr);
    for (const [index, method] of ['sendall', 'disconnect', 'close'].entries()) {
      assert.match(
        lines[index],
        new RegExp(`^SOCKHOP_IGNORED_OPTION The last argument of ${method}\\(\\) .*no callback`),
      );
    }
  });

  for (const [call, message] of [
    ['close(5000)', /close\(\).*\{ grace: 5000 \}/],
    ['close({ timeout: 5000 })', /"timeout" of close\(\).*"grace"/],
    ['sendall({}, { excpet: "id" })', /"excpet" of sendall\(\).*"except"/],
    ['sendall({}, server.sockets[0])', /sendall\(\).*send\(\) takes a socket/],
  ]) {
    it(`${call} is warned of`, limit, async (t) => {
      const main = async (sockhop, given) => {
        const server = new sockhop.server({ path: given.path });
        await server.listen();
        const client = new sockhop.client({ path: given.path });
        const connected = new Promise((resolve) => {
          server.once('connect', resolve);
        });
        await client.connect();
        await connected;
        await new Function('server', `return server.${given.call}`)(server);
        await client.disconnect();
        await server.close();
      };
      const [warning, ...more] = await warningsWithin(main, { path: unixPath(t), call });
      assert.deepEqual(more, []);
      assert.match(warning.message, message);
    });
  }

  it('is not mentioned if an event or map() has passed it', limit, async (t) => {
    const main = async (sockhop, { path }) => {
      process.on('warning', ({ message }) => console.log(message));
      const server = new sockhop.server({ path });
      server.on('error', () => {});
      await server.listen();
      const client = new sockhop.client({ path });
      await client.connect();
      await Promise.all([{ a: 1 }, { a: 2 }].map(server.sendall, server));
      await client.disconnect('SIGTERM', 15);
      await server.close('SIGTERM', 15);
    };
    const { lines, code, stderr } = await program(t, main, { path: unixPath(t) }).ended();
    assert.deepEqual({ lines, code, stderr }, { lines: [], code: 0, stderr: '' });
  });
});
