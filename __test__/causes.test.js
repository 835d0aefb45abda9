'use strict';

// The causes of errors: the wrong part of a path, the sender of a bad frame, and the kind of its
// data. The messages are exactly those of Node and of sockhop 1.8.4.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const { temporaryDirectory } = require('./support/addresses.js');
const { issue } = require('./support/certificates.js');
const { cleanup } = require('./support/cleanup.js');
const impl = require('./support/impl.js');
const { implementations } = require('./support/implementations.js');
const { clientOnWire, makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');
const { rawClient } = require('./support/raw.js');
const { onNodeOnly } = require('./support/runtime.js');

const limit = { timeout: 600_000 };
const LONGEST = process.platform === 'linux' ? 107 : 103;
const TEXT = 'Skipping corrupted data in buffer';

/** The properties of an error that a program sees, without the cause. */
const traits = (err) => ({ message: err.message, string: String(err), ...err });

/** The socket file of a server that was killed. */
async function leftBehind(directory) {
  const where = path.join(directory, 'left.sock');
  const source = `require('node:net').createServer().listen(${JSON.stringify(where)}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  return where;
}

const PATHS = {
  'a file': {
    make(directory) {
      const where = path.join(directory, 'file');
      fs.writeFileSync(where, '');
      return where;
    },
    connect: /is a file and not a socket/,
    listen: /is a file and not a socket/,
  },
  'in a directory that is missing': {
    make: (directory) => path.join(directory, 'missing', 'deep', 'a.sock'),
    connect: /The directory .*missing does not exist/,
    listen: /The directory .*missing does not exist/,
  },
  'below a file': {
    make(directory) {
      fs.writeFileSync(path.join(directory, 'file'), '');
      return path.join(directory, 'file', 'a.sock');
    },
    connect: /file is a file and not a directory/,
    listen: /file is a file and not a directory/,
  },
  'the socket file of a dead server': {
    make: leftBehind,
    connect: /No server listens on the socket .*left it behind/,
    listen: /[Nn]o server listens on the socket .*left it behind.*[Rr]emove it/,
  },
  nothing: {
    make: (directory) => path.join(directory, 'nothing'),
    connect: /There is nothing at .*nothing/,
  },
};

describe('a path', () => {
  for (const [what, { make, connect, listen }] of Object.entries(PATHS)) {
    it(`that is ${what}: connect() rejects as net does, with a cause`, limit, async (t) => {
      const where = await make(temporaryDirectory(t));
      const [real] = await once(net.connect(where), 'error').catch((err) => [err]);
      const err = await new impl.client({ path: where }).connect().then(assert.fail, (e) => e);
      assert.deepEqual(traits(err), traits(real));
      assert.match(err.cause?.message, connect);
    });

    if (!listen) continue;
    it(`that is ${what}: listen() rejects as net does, with a cause`, limit, async (t) => {
      const where = await make(temporaryDirectory(t));
      const [real] = await once(net.createServer().listen(where), 'error').catch((err) => [err]);
      const err = await new impl.server({ path: where }).listen().then(assert.fail, (e) => e);
      assert.deepEqual(traits(err), traits(real));
      assert.match(err.cause?.message, listen);
    });
  }

  it('on which a server listens already: listen() says so', limit, async (t) => {
    const { where } = await startServer(t, {}, { path: path.join(temporaryDirectory(t), 'a') });
    const err = await new impl.server(where).listen().then(assert.fail, (e) => e);
    assert.equal(err.code, 'EADDRINUSE');
    assert.match(err.cause?.message, /Another server listens|If no server listens/);
  });

  it('that is too long: both say how long it is and how long it may be', limit, async (t) => {
    const where = path.join(temporaryDirectory(t), 'é'.repeat(LONGEST));
    const bytes = Buffer.byteLength(where);
    for (const call of [
      () => new impl.client({ path: where }).connect(),
      () => new impl.server({ path: where }).listen(),
    ]) {
      const err = await call().then(assert.fail, (e) => e);
      assert.equal(err.address, where);
      assert.match(err.cause?.message, new RegExp(`${bytes} bytes.*at most ${LONGEST}`));
    }
  });

  it('of the greatest length works', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const where = path.join(directory, 'x'.repeat(LONGEST - directory.length - 1));
    await startServer(t, {}, { path: where });
    await startClient(t, { path: where });
  });
});

describe('a bad frame', () => {
  const frames = [
    ['not JSON', 'not JSON', undefined],
    ['', '', undefined],
    ['null', 'null', undefined],
    ['{"type":"SockhopRequest","data":5}', '{"type":"SockhopRequest","data":5}', undefined],
    ['\x1b[2J\x00grüße €', '\\x1b[2J\\x00gr\\xfc\\xdfe \\u20ac', undefined],
    ['x'.repeat(1000), `${'x'.repeat(64)}...`, undefined],
    ['GET / HTTP/1.1\r', 'GET / HTTP/1.1\\x0d', /HTTP/],
    ['HTTP/1.1 400 Bad Request\r', 'HTTP/1.1 400 Bad Request\\x0d', /HTTP/],
    ['\x16\x03\x01\x02\x00\x01', '\\x16\\x03\\x01\\x02\\x00\\x01', /TLS/],
  ];

  it('is reported with its sender, its beginning and its kind', limit, async (t) => {
    const { where, log } = await startServer(t);
    const wire = await rawClient(t, where);
    for (const [frame, data, cause] of frames) {
      wire.write(frame);
      const { args } = await log.next('error');
      const [err] = args;
      assert.equal(err.message, TEXT);
      assert.equal(err.code, 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA');
      assert.deepEqual([err.address, err.port], ['127.0.0.1', wire.socket.localPort]);
      assert.equal(err.data, data);
      if (cause) assert.match(err.cause?.message, cause);
      else assert.equal(err.cause?.message, undefined);
    }
  });

  it('of a server is reported with the address of the server', limit, async (t) => {
    const { log, wire, raw } = await clientOnWire(t);
    wire.write('HTTP/1.1 200 OK\r');
    const [err] = (await log.next('error')).args;
    assert.deepEqual([err.message, err.address, err.port], [TEXT, '127.0.0.1', raw.where.port]);
    assert.match(err.cause?.message, /HTTP/);
  });

  it('of an ObjectBuffer is reported with its beginning', limit, () => {
    const buffer = new impl.ObjectBuffer();
    const seen = [];
    buffer.on('error', ({ message, data }) => seen.push([message, data]));
    buffer.buf2obj(Buffer.from('nonsense\n'));
    assert.deepEqual(seen, [[TEXT, 'nonsense']]);
  });

  it('without a listener is a warning that says the same', limit, async (t) => {
    const main = async (sockhop) => {
      const server = new sockhop.server({ port: 0 });
      process.on('warning', ({ name, message, detail }) => {
        console.log(JSON.stringify({ name, message, detail }));
        server.close();
      });
      const { port } = (await server.listen()).address();
      const client = require('node:net').connect(port, '127.0.0.1');
      client.write('GET / HTTP/1.1\r\n');
    };
    const { lines, code, stderr } = await program(t, main).ended();
    assert.equal(code, 0, stderr);
    const { name, message, detail } = JSON.parse(lines[0]);
    assert.equal(name, 'SockhopWarning');
    assert.ok(message.startsWith(TEXT), message);
    assert.match(detail, /^from 127\.0\.0\.1:\d+\nreceived: GET \/ HTTP\/1\.1\\x0d\nThis is HTTP/);
  });

  it('does not keep the rest of a long frame in memory', limit, async (t) => {
    const main = async (sockhop, { frames, length }) => {
      const server = new sockhop.server({ port: 0 });
      const kept = [];
      const { port } = (await server.listen()).address();
      const client = require('node:net').connect(port, '127.0.0.1');
      global.gc();
      const before = process.memoryUsage().heapUsed;
      server.on('error', (err) => {
        if (kept.push(err) < frames) return;
        client.destroy();
        server.close();
        setImmediate(() => {
          global.gc();
          console.log(process.memoryUsage().heapUsed - before);
        });
      });
      for (let i = 0; i < frames; i++) client.write(`${'x'.repeat(length)}\n`);
    };
    const sizes = { frames: 200, length: 1024 * 1024 };
    const { lines, code, stderr } = await program(t, main, sizes, {
      flags: ['--expose-gc'],
    }).ended();
    assert.equal(code, 0, stderr);
    // Two frames may still be on their way.
    assert.ok(Number(lines[0]) < 3 * sizes.length, `${lines[0]} bytes are kept`);
  });
});

describe('send()', () => {
  it('with options instead of a callback says where they belong', limit, async (t) => {
    const { client } = await clientOnWire(t);
    const refused = (err) => {
      assert.equal(err.message, 'remote_callback must be a function');
      assert.equal(err.code, 'ERR_REMOTE_CALLBACK_TYPE');
      assert.match(err.cause?.message, /come after the callback.*callback_timeout.*request\(\)/);
      return true;
    };
    assert.throws(() => client.send({ a: 1 }, { timeout: 5 }), refused);
  });

  it('to a socket that belongs to no server says so', limit, async () => {
    const server = new impl.server();
    await assert.rejects(server.send({ write: null }, { a: 1 }), { code: 'ERR_NO_SOCKET' });
  });

  it('to a session or to meta, instead of its socket, says so', limit, async () => {
    const server = new impl.server();
    const session = new impl.session({ write() {} }, server);
    for (const [wrong, remedy] of [
      [session, /session\.sock/],
      [{ type: 'Object', socket: {}, session }, /meta\.socket/],
      [{ a: 1 }, /The socket is the first argument/],
    ]) {
      await assert.rejects(server.send(wrong, { a: 1 }), ({ code, cause }) => {
        assert.match(cause.message, remedy);
        return code === 'ERR_NO_SOCKET';
      });
    }
  });

  it('kill_socket() of a session says so, and does not call its end()', limit, async () => {
    const server = new impl.server();
    class Session extends impl.session {
      end() {
        assert.fail('the session has not ended');
      }
    }
    const session = new Session({ write() {} }, server);
    await assert.rejects(server.kill_socket(session), ({ code, cause }) => {
      assert.match(cause.message, /session\.sock.*kill\(\)/);
      return code === 'ERR_NO_SOCKET';
    });
  });
});

describe('a stream of answers', () => {
  it('that ended with its connection says so', limit, async (t) => {
    const { client, wire } = await clientOnWire(t);
    const stream = await client.request({ a: 1 });
    const ended = once(stream, 'end');
    wire.socket.destroy();
    const [err] = await ended;
    assert.equal(err.code, 'ERR_SOCKET_DESTROYED');
    assert.match(err.cause?.message, /The connection ended/);
  });
});

describe('a client with TLS', () => {
  /** The error of connect() to a plain server that does this with each connection. */
  async function failure(t, serve, options) {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      serve(socket);
    });
    cleanup(t, () => server.close());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const { client } = makeClient(t, { port }, { ssl: true, ...options });
    const err = await client.connect().then(assert.fail, (e) => e);
    assert.deepEqual([err.address, err.port], ['127.0.0.1', port]);
    assert.match(err.cause.message, /TLS/);
    return err;
  }

  it('learns at once, with the address, that a server answers without TLS', limit, async (t) => {
    const err = await failure(t, (socket) => socket.write('{"hello":1}\n'.repeat(10)), {});
    assert.match(err.code, /^ERR_SSL_/);
  });

  it('learns at once, with the address, that a server ends the connection', limit, async (t) => {
    const err = await failure(t, (socket) => socket.once('data', () => socket.destroy()), {});
    assert.equal(err.code, 'ECONNRESET');
  });

  it(
    'learns after connect_timeout, with the address and a code, that a server is silent',
    limit,
    async (t) => {
      const err = await failure(t, (socket) => socket.resume(), { connect_timeout: 500 });
      assert.equal(err.message, 'Timeout exceeded on connect()');
      assert.equal(err.code, 'ETIMEDOUT');
    },
  );
});

describe('the option ca of a client', {
  skip: onNodeOnly('other runtimes have their own TLS'),
}, () => {
  for (const [name, options] of [
    ['native TLS', {}],
    ['OpenSSL', { ciphers: 'DEFAULT' }],
  ]) {
    it(`that is the name of a file is the cause of the error, with ${name}`, limit, async (t) => {
      const { cert, key } = await issue({ name: 'localhost' });
      const { server } = await startServer(t, { ssl_options: { cert, key } }, { port: 0 });
      const { port } = server.server.address();
      for (const ca of ['ca.pem', [Buffer.from('ca.pem')]]) {
        const { client } = makeClient(t, { port }, { ssl_options: { ca, ...options } });
        const err = await client.connect().then(assert.fail, (e) => e);
        assert.equal(err.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
        assert.match(err.cause.message, /"ca" of "ssl_options" has no certificate in PEM.*file/);
      }
      const { client } = makeClient(t, { port }, { ssl: true, ssl_options: options });
      const err = await client.connect().then(assert.fail, (e) => e);
      assert.deepEqual([err.code, err.cause], ['DEPTH_ZERO_SELF_SIGNED_CERT', undefined]);
    });
  }
});

describe('an error of listen() that is not handled', () => {
  it('is shown without a line of this package', limit, async (t) => {
    const { server } = await startServer(t, {}, { port: 0 });
    const main = (sockhop, { port }) => {
      new sockhop.server({ port }).listen();
    };
    const { port } = server.server.address();
    const { code, stderr } = await program(t, main, { port }).ended();
    assert.equal(code, 1);
    assert.match(stderr, /Error: listen EADDRINUSE: address already in use/);
    assert.doesNotMatch(stderr, /\blib\b/);
  });
});

describe('an exception of a handler that is not caught', () => {
  for (const place of ['a program', 'a worker of a program']) {
    it(`is shown with the line of ${place} that threw it`, limit, async (t) => {
      const directory = temporaryDirectory(t);
      const file = path.join(directory, 'throws.js');
      const source = `
        const { client, server } = require(${JSON.stringify(path.resolve(implementations.native))});
        const s = new server({ path: ${JSON.stringify(path.join(directory, 'a.sock'))} });
        s.on('receive', () => {
          throw new Error('thrown here');
        });
        s.listen().then(async () => {
          const c = new client({ path: s.path });
          await c.connect();
          c.send('hello');
        });
      `;
      fs.writeFileSync(file, source);
      const starter = path.join(directory, 'starts.js');
      fs.writeFileSync(
        starter,
        `new (require('node:worker_threads').Worker)(${JSON.stringify(file)});`,
      );
      const child = spawn(process.execPath, [place === 'a program' ? file : starter], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (chunk) => {
        stderr += chunk;
      });
      const [code] = await once(child, 'close');
      assert.equal(code, 1, stderr);
      assert.match(stderr, /Error: thrown here/);
      assert.match(stderr, /throws\.js:5:/);
      // Above the error of a worker Node shows a line of its own.
      if (place === 'a program') {
        assert.match(stderr, /^.*throws\.js:5\n +throw new Error\('thrown here'\);\n/);
      }
    });
  }

  it('reaches uncaughtException, and later messages are delivered', limit, async (t) => {
    const main = async (sockhop) => {
      process.on('uncaughtException', (err, origin) => console.log(err.message ?? err, origin));
      const server = new sockhop.server({ port: 0 });
      server.on('receive', (object) => {
        console.log('received', object);
        if (object === 3) server.close();
        else throw object === 1 ? new Error('one') : 'two';
      });
      const { port } = (await server.listen()).address();
      const client = new sockhop.client({ port });
      await client.connect();
      for (const object of [1, 2, 3]) client.send(object);
    };
    const { lines, code, stderr } = await program(t, main).ended();
    assert.equal(code, 0, stderr);
    const told = lines.filter((line) => !line.startsWith('received'));
    assert.deepEqual(told, ['one uncaughtException', 'two uncaughtException']);
    assert.equal(lines.length, 5);
  });
});
