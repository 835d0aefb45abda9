'use strict';

// The options of listen(): the file of a Unix socket, descriptors of other processes, systemd, and
// how an address is bound.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { describe, it } = require('node:test');
const { freePort, temporaryDirectory, unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const { EventLog } = require('./support/event-log.js');
const { cannotHang, queueLength } = require('./support/hanging.js');
const impl = require('./support/impl.js');
const { implementations } = require('./support/implementations.js');
const { hierarchy } = require('./support/certificates.js');
const { makeClient, startClient } = require('./support/local.js');
const { onNodeOnly } = require('./support/runtime.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };

/** A server in this process that listens with the given options. */
async function listening(t, where, how = {}) {
  const server = new impl.server(where);
  cleanup(t, () => server.close());
  server.on('receive', (object, { callback }) => callback({ echo: object.n }));
  await server.listen(how);
  return server;
}

/** Checks that a server answers at a place. */
async function answersAt(t, where) {
  const { client } = await startClient(t, where);
  const answer = new Promise((resolve) => client.send({ n: 7 }, resolve));
  assert.deepEqual(await deadline(answer, 'the answer'), { echo: 7 });
  await client.disconnect();
}

/** A program that listens, and prints `up` or the code of the error. */
function listener(t, where, how = {}) {
  return program(
    t,
    async ({ server: Server }, { where, how }) => {
      const server = new Server(where);
      server.on('receive', (object, { callback }) => callback({ echo: object.n }));
      try {
        await server.listen(how);
        console.log('up');
      } catch (err) {
        console.log(err.code);
      }
    },
    { where, how },
  );
}

/** The file of a server that was killed. */
async function staleFile(t, where = unixPath(t)) {
  const killed = listener(t, { path: where });
  await killed.line('up');
  process.kill(killed.pid, 'SIGKILL');
  await killed.ended();
  assert.ok(fs.lstatSync(where).isSocket());
  return where;
}

const modeOf = (file) => (fs.statSync(file).mode & 0o777).toString(8);

describe('unlink_stale', () => {
  it('takes over the file of a server that was killed', limit, async (t) => {
    const where = { path: await staleFile(t) };
    await assert.rejects(new impl.server(where).listen(), { code: 'EADDRINUSE' });
    await listening(t, where, { unlink_stale: true });
    await answersAt(t, where);
  });

  it('leaves a running or suspended server alone', limit, async (t) => {
    const where = { path: unixPath(t) };
    const other = listener(t, where);
    await other.line('up');
    const refused = { code: 'EADDRINUSE', syscall: 'listen', address: where.path };
    await assert.rejects(new impl.server(where).listen({ unlink_stale: true }), refused);
    process.kill(other.pid, 'SIGSTOP');
    await assert.rejects(new impl.server(where).listen({ unlink_stale: true }), refused);
    process.kill(other.pid, 'SIGCONT');
    await answersAt(t, where);
  });

  it('leaves files that are not sockets alone', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'file');
    const link = path.join(directory, 'link');
    const folder = path.join(directory, 'folder');
    fs.writeFileSync(file, 'text');
    fs.symlinkSync(await staleFile(t), link);
    fs.mkdirSync(folder);
    for (const where of [file, link, folder]) {
      const server = new impl.server({ path: where });
      await assert.rejects(server.listen({ unlink_stale: true }), { code: 'EADDRINUSE' });
    }
    assert.equal(fs.readFileSync(file, 'utf8'), 'text');
    assert.ok(fs.lstatSync(link).isSymbolicLink());
    assert.ok(fs.lstatSync(folder).isDirectory());
  });

  it('lets exactly one of many servers listen that start at the same time', limit, async (t) => {
    for (let round = 0; round < 3; round += 1) {
      const where = { path: await staleFile(t) };
      const programs = Array.from({ length: 6 }, () => listener(t, where, { unlink_stale: true }));
      const lines = await Promise.all(programs.map((one) => one.line(() => true)));
      assert.deepEqual(lines.toSorted?.() ?? [...lines].sort(), [
        ...Array(5).fill('EADDRINUSE'),
        'up',
      ]);
      await answersAt(t, where);
    }
  });

  it('needs no file', limit, async (t) => {
    const where = { path: unixPath(t) };
    await listening(t, where, { unlink_stale: true });
    await answersAt(t, where);
    const tcp = await listening(t, { port: 0 }, { unlink_stale: true });
    assert.ok(tcp.server.address().port > 0);
  });

  it('reports a missing directory as net does', limit, async (t) => {
    const where = { path: path.join(temporaryDirectory(t), 'missing', 'socket') };
    const code = await new Promise((resolve) => {
      net.createServer().on('error', resolve).listen(where.path);
    }).then((err) => err.code);
    await assert.rejects(new impl.server(where).listen({ unlink_stale: true }), { code });
  });
});

describe('the permissions of the file', () => {
  /** The modes of files that a program with the umask makes. */
  async function modes(t, umask, hows) {
    const directory = temporaryDirectory(t);
    const main = async ({ server: Server }, { directory, umask, hows }) => {
      const fs = require('node:fs');
      const net = require('node:net');
      process.umask(umask);
      const mode = (file) => (fs.statSync(file).mode & 0o777).toString(8);
      const found = [];
      for (const [n, how] of hows.entries()) {
        const server = new Server({ path: `${directory}/${n}` });
        await server.listen(how);
        found.push(mode(server.path));
        await server.close();
        const plain = net.createServer();
        await new Promise((resolve) => plain.listen({ ...how, path: `${directory}/net` }, resolve));
        found.push(mode(`${directory}/net`));
        await new Promise((resolve) => plain.close(resolve));
      }
      console.log(JSON.stringify(found));
    };
    const { code, lines, stderr } = await program(t, main, { directory, umask, hows }).ended();
    assert.equal(code, 0, stderr);
    return JSON.parse(lines[0]);
  }

  for (const umask of [0o077, 0o022, 0]) {
    it(`are those of net with the umask ${umask.toString(8)}`, limit, async (t) => {
      const found = await modes(t, umask, [
        {},
        { readableAll: true },
        { writableAll: true },
        { readableAll: true, writableAll: true },
      ]);
      // Node 26 leaves the bits of the umask out if one of the options is given.
      if (Number.parseInt(process.versions.node, 10) < 26) {
        for (let n = 0; n < found.length; n += 2) assert.equal(found[n], found[n + 1]);
      }
      const plain = Number.parseInt(found[1], 8);
      assert.deepEqual(
        [found[0], found[2], found[4], found[6]],
        [0, 0o444, 0o222, 0o666].map((bits) => (plain | bits).toString(8)),
      );
    });
  }

  it('are those of "mode", whatever the umask is', limit, async (t) => {
    for (const umask of [0o077, 0]) {
      const found = await modes(t, umask, [{ mode: 0o660 }, { mode: '600' }, { mode: '0o666' }]);
      assert.deepEqual([found[0], found[2], found[4]], ['660', '600', '666']);
    }
  });

  it('are refused where there is no file', limit, async (t) => {
    const server = new impl.server({ path: unixPath(t) });
    for (const mode of [0o1000, -1, 0.5, '999', '7777', {}]) {
      assert.throws(() => server.listen({ mode }), {
        code: /^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/,
        message: /"options\.mode" property.*0o777/,
      });
    }
  });
});

describe('close()', () => {
  it('removes the file after the program has changed its directory', limit, async (t) => {
    const directory = temporaryDirectory(t);
    const main = async ({ server: Server }, directory) => {
      const fs = require('node:fs');
      process.chdir(directory);
      const server = new Server({ path: 'socket' });
      await server.listen();
      fs.mkdirSync('elsewhere');
      process.chdir('elsewhere');
      fs.writeFileSync('socket', 'of another program');
      await server.close();
      console.log(fs.existsSync(`${directory}/socket`), fs.existsSync('socket'));
    };
    const { lines, stderr } = await program(t, main, directory).ended();
    assert.deepEqual(lines, ['false true'], stderr);
  });

  it('leaves a file that has replaced its own', limit, async (t) => {
    const where = { path: unixPath(t) };
    const first = await listening(t, where);
    fs.unlinkSync(where.path);
    await listening(t, where);
    await first.close();
    await answersAt(t, where);
    const plain = await listening(t, { path: unixPath(t) });
    fs.unlinkSync(plain.path);
    fs.writeFileSync(plain.path, 'text');
    await plain.close();
    assert.equal(fs.readFileSync(plain.path, 'utf8'), 'text');
  });
});

/** A program that gets a descriptor as its descriptor 3, and prints the result of listen(). */
function heir(t, descriptor, how, { command = [process.execPath], env = {} } = {}) {
  const main = async ({ server: Server }, how) => {
    const server = new Server({ port: 0 });
    server.on('receive', (_object, { callback }) => callback({ pid: process.pid }));
    try {
      await server.listen(how);
      console.log(JSON.stringify(server.server.address()));
    } catch (err) {
      console.log(JSON.stringify([err.code, err.message]));
      return;
    }
    process.once('SIGUSR2', () => server.close().then(() => console.log('"closed"')));
    setInterval(() => {}, 1000);
  };
  const source = `(${main})(require(${JSON.stringify(implementations.native)}), ${JSON.stringify(how)});`;
  const child = spawn(command[0], [...command.slice(1), '-e', source], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', descriptor],
  });
  cleanup(t, () => child.kill('SIGKILL'));
  const log = new EventLog();
  child.stdout.setEncoding('utf8').on('data', (text) => {
    for (const line of text.split('\n').slice(0, -1)) log.push({ name: 'line', text: line });
  });
  return { child, line: async () => JSON.parse((await log.next('line')).text) };
}

const cannotBind =
  typeof net._createServerHandle !== 'function' &&
  'only Node can bind a socket on which it does not accept';

/** A socket that is bound, and on which only the process accepts that gets its descriptor. */
function held(t, file) {
  const holder = file
    ? net._createServerHandle(file, -1, -1)
    : net._createServerHandle('127.0.0.1', 0, 4);
  assert.ok(holder.fd > 2, `error ${holder}`);
  cleanup(t, () => holder.close());
  return holder;
}

/** Another name of the file, which Node removes with the holder. */
function linkTo({ path: file }) {
  fs.linkSync(file, `${file}-link`);
  return { path: `${file}-link` };
}

async function pidAt(t, where) {
  const { client } = await startClient(t, where);
  const answer = new Promise((resolve) => client.send({ a: 1 }, resolve));
  const { pid } = await deadline(answer, 'the answer');
  await client.disconnect();
  return pid;
}

describe('listen({ fd })', { skip: cannotBind }, () => {
  for (const transport of ['tcp', 'unix']) {
    it(`serves a ${transport} socket that another process has bound`, limit, async (t) => {
      const file = transport === 'unix' ? unixPath(t) : null;
      const holder = held(t, file);
      const { child, line } = heir(t, holder.fd, { fd: 3 });
      const address = await line();
      if (file) assert.equal(address, file);
      const where = file ? linkTo({ path: file }) : { port: address.port };
      holder.close();
      assert.equal(await pidAt(t, where), child.pid);
      // The socket is closed with the server: no other process has it.
      child.kill('SIGUSR2');
      assert.equal(await line(), 'closed');
      await assert.rejects(makeClient(t, where).client.connect(), { code: 'ECONNREFUSED' });
      if (file) assert.ok(fs.existsSync(where.path));
    });
  }

  it('loses no connection between two processes that serve one socket', limit, async (t) => {
    const holder = held(t);
    const first = heir(t, holder.fd, { fd: 3 });
    const where = { port: (await first.line()).port };
    assert.equal(await pidAt(t, where), first.child.pid);
    first.child.kill('SIGUSR2');
    assert.equal(await first.line(), 'closed');
    // The kernel keeps it until the next process accepts.
    const waiting = pidAt(t, where);
    const second = heir(t, holder.fd, { fd: 3 });
    assert.equal(await waiting, second.child.pid);
  });

  it(
    'refuses a number that is not a descriptor, and a descriptor that is not a socket',
    limit,
    async (t) => {
      const server = new impl.server();
      await assert.rejects(server.listen({ fd: 100_000 }), { code: 'EBADF', syscall: 'listen' });
      const file = fs.openSync(__filename);
      cleanup(t, () => fs.closeSync(file));
      await assert.rejects(server.listen({ fd: file }), { code: 'ENOTSOCK', syscall: 'listen' });
      // The descriptor was not taken over.
      assert.ok(fs.fstatSync(file).isFile());
      for (const fd of [-1, 1.5, '3']) {
        assert.throws(() => server.listen({ fd }), {
          code: /^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE)$/,
          message: /"options\.fd" property/,
        });
      }
      assert.throws(() => server.listen({ fd: {} }), { code: 'ERR_INVALID_ARG_TYPE' });
    },
  );

  it('refuses permissions, which are those of the other process', limit, async () => {
    for (const how of [{ mode: 0o600 }, { readableAll: true }, { writableAll: true }]) {
      await assert.rejects(new impl.server().listen({ fd: 3, ...how }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /left out with "fd"/,
      });
    }
  });
});

const noSystemd =
  spawnSync('systemd-socket-activate', ['--version']).status !== 0 &&
  'systemd-socket-activate is not installed';

describe('listen({ systemd })', { skip: cannotBind }, () => {
  /** Starts the heir with LISTEN_PID set to its own id, as systemd does. */
  const activated = (t, descriptor, how, { names, count = 1 } = {}) =>
    heir(t, descriptor, how, {
      command: ['sh', '-c', 'export LISTEN_PID=$$; exec "$0" "$@"', process.execPath],
      env: { LISTEN_FDS: String(count), ...(names && { LISTEN_FDNAMES: names }) },
    });

  it('serves the socket that was passed', limit, async (t) => {
    const holder = held(t);
    const { child, line } = activated(t, holder.fd, { systemd: true });
    assert.equal(await pidAt(t, { port: (await line()).port }), child.pid);
  });

  it('finds a socket by its name', limit, async (t) => {
    const holder = held(t);
    const options = { names: 'web:admin', count: 2 };
    const { child, line } = activated(t, holder.fd, { systemd: 'web' }, options);
    assert.equal(await pidAt(t, { port: (await line()).port }), child.pid);
  });

  for (const [how, names] of [
    [{ systemd: true }, 'web:admin'],
    [{ systemd: 'other' }, 'web:admin'],
    [{ systemd: 'web' }, 'web:web'],
  ]) {
    it(
      `names the sockets if ${JSON.stringify(how)} fits none or two of ${names}`,
      limit,
      async (t) => {
        const holder = held(t);
        const [code, message] = await activated(t, holder.fd, how, {
          names,
          count: 2,
        }).line();
        assert.equal(code, 'ERR_INVALID_ARG_VALUE');
        assert.match(message, /"web" \(descriptor 3\), "(admin|web)" \(descriptor 4\)/);
      },
    );
  }

  it(
    'listens at its own address where systemd passes none, or to another process',
    limit,
    async (t) => {
      const holder = held(t);
      const env = { LISTEN_FDS: '1', LISTEN_PID: String(process.pid) };
      const { line } = heir(t, holder.fd, { systemd: true }, { env });
      const { port } = await line();
      const inherited = {};
      holder.getsockname(inherited);
      assert.notEqual(port, inherited.port);
      const server = await listening(t, { port: 0 }, { systemd: true });
      assert.ok(server.server.address().port > 0);
    },
  );

  it('works with the real activation of systemd', { ...limit, skip: noSystemd }, async (t) => {
    const port = await freePort();
    const main = async ({ server: Server }) => {
      const server = new Server({ port: 1 });
      server.on('receive', (_object, { callback }) => callback({ pid: process.pid }));
      await server.listen({ systemd: 'web' });
    };
    const source = `(${main})(require(${JSON.stringify(implementations.native)}));`;
    const args = ['-l', `127.0.0.1:${port}`, '--fdname=web', process.execPath, '-e', source];
    const child = spawn('systemd-socket-activate', args, { stdio: 'ignore' });
    cleanup(t, () => child.kill('SIGKILL'));
    const { client } = makeClient(t, { port });
    client.on('error', () => {});
    const began = Date.now();
    const connect = () =>
      client.connect().catch((err) => {
        if (err.code !== 'ECONNREFUSED' || Date.now() > began + 20_000) throw err;
        return new Promise((resolve) => setImmediate(resolve)).then(connect);
      });
    await connect();
    const answer = new Promise((resolve) => client.send({ a: 1 }, resolve));
    assert.equal((await deadline(answer, 'the answer')).pid, child.pid);
  });
});

const hasIpv6 = Object.values(os.networkInterfaces()).some((ends) =>
  ends.some(({ address }) => address === '::1'),
);

describe('how an address is bound', () => {
  it('backlog limits the connections that wait', { ...limit, skip: cannotHang }, async (t) => {
    const port = await freePort();
    const child = listener(t, { port }, { backlog: 2 });
    await child.line('up');
    process.kill(child.pid, 'SIGSTOP');
    await until(() => / T /.test(fs.readFileSync(`/proc/${child.pid}/stat`, 'latin1')), 'it stops');
    for (let n = 0; n < 8; n += 1) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      cleanup(t, () => socket.destroy());
    }
    // Linux takes one more than the backlog.
    await until(() => queueLength(port) === 3, 'the queue is full');
    process.kill(child.pid, 'SIGCONT');
    await answersAt(t, { port });
  });

  for (const name of ['ipv6_only', 'ipv6Only']) {
    it(`${name} leaves the port to IPv4`, { ...limit, skip: !hasIpv6 }, async (t) => {
      const server = await listening(t, { address: '::', port: 0 }, { [name]: true });
      const { port } = server.server.address();
      await answersAt(t, { address: '::1', port });
      await assert.rejects(makeClient(t, { port }).client.connect(), { code: 'ECONNREFUSED' });
      await listening(t, { port });
      await answersAt(t, { port });
    });

    it(`${name} is refused for an IPv4 address`, limit, async () => {
      await assert.rejects(new impl.server({ port: 0 }).listen({ [name]: true }), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /"options\.ipv6_only" property.*127\.0\.0\.1.*"::"/,
      });
    });
  }

  for (const name of ['reuse_port', 'reusePort']) {
    const skip = process.platform !== 'linux' && 'only Linux distributes connections';
    it(`${name} lets two servers share a port`, { ...limit, skip }, async (t) => {
      const first = await listening(t, { port: 0 }, { [name]: true });
      const { port } = first.server.address();
      await assert.rejects(new impl.server({ port }).listen(), { code: 'EADDRINUSE' });
      await listening(t, { port }, { [name]: true });
      await first.close();
      await answersAt(t, { port });
    });
  }
});

describe('an option that listen() cannot use', () => {
  it('is refused if it is one of net, with the remedy', limit, () => {
    const server = new impl.server({ port: 0 });
    for (const [name, remedy] of [
      ['keepAlive', /sock\.setKeepAlive\(\)/],
      ['noDelay', /sock\.setNoDelay\(\)/],
      ['pauseOnConnect', /"connect"/],
      ['highWaterMark', /receive_high_water_mark/],
      ['blockList', /start\(\)/],
    ]) {
      assert.throws(() => server.listen({ [name]: true }), {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: new RegExp(`"options\\.${name}" property.*left out of listen.*${remedy.source}`),
      });
      assert.equal(server.server.listening, false);
    }
  });

  it('is refused where a server of the program listens', limit, async (t) => {
    for (const how of [{ mode: 0o600 }, { unlink_stale: true }]) {
      const server = new impl.server({ path: unixPath(t) });
      server.server = net.createServer();
      await assert.rejects(server.listen(how), {
        code: 'ERR_INVALID_ARG_VALUE',
        message: /a server of Node/,
      });
    }
  });

  it('reaches a server of the program as net names it', limit, async (t) => {
    const where = unixPath(t);
    const server = new impl.server({ path: where });
    server.server = net.createServer();
    cleanup(t, () => server.close());
    await server.listen({ readableAll: true, writableAll: true, backlog: 5 });
    assert.equal(Number.parseInt(modeOf(where), 8) & 0o666, 0o666);
  });

  it('is warned of if it is for files and there is none', limit, async (t) => {
    const main = async ({ server: Server }) => {
      process.on('warning', ({ code, message }) => console.log(`${code}: ${message}`));
      const server = new Server({ port: 0 });
      await server.listen({ mode: 0o600, unlink_stale: true });
      await server.close();
    };
    const { lines } = await program(t, main).ended();
    assert.equal(lines.length, 2, lines.join('\n'));
    for (const [index, name] of ['mode', 'unlink_stale'].entries()) {
      const warning = `^SOCKHOP_IGNORED_OPTION: .*"${name}" of listen\\(\\).*TCP.*"path"`;
      assert.match(lines[index], new RegExp(warning));
    }
  });

  const skip = onNodeOnly('other runtimes have their own TLS');
  it('is used if OpenSSL secures the connections', { ...limit, skip }, async (t) => {
    const authority = await hierarchy();
    const identity = { cert: authority.chain, key: authority.server.key };
    const where = { path: await staleFile(t) };
    const ssl_options = { ...identity, sessionTimeout: 300 };
    const server = await listening(
      t,
      { ...where, ssl_options },
      { mode: 0o600, unlink_stale: true },
    );
    assert.equal(modeOf(where.path), '600');
    const trust = { ca: authority.root.cert, servername: 'localhost' };
    const { client } = await startClient(t, where, { ssl_options: trust });
    const answer = new Promise((resolve) => client.send({ n: 7 }, resolve));
    assert.deepEqual(await deadline(answer, 'the answer'), { echo: 7 });
    await client.disconnect();
    const second = new impl.server({ ...where, ssl_options });
    await assert.rejects(second.listen({ unlink_stale: true }), { code: 'EADDRINUSE' });
    await server.close();
    assert.equal(fs.existsSync(where.path), false);
  });

  it('is warned of in the constructor, with its place', limit, async (t) => {
    const main = ({ server: Server }) => {
      process.on('warning', ({ message }) => console.log(message));
      new Server({ unlink_stale: true, backlog: 5 });
    };
    const { lines } = await program(t, main).ended();
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.match(lines[0], /"unlink_stale".*listen\(\{ unlink_stale \}\)/);
    assert.match(lines[1], /"backlog".*listen\(\{ backlog \}\)/);
  });
});
