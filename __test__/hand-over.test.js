'use strict';

// A socket has one of Node's handles, with which it can be passed to other processes and to TLS.
// Tests of common behaviour run on both packages.

const assert = require('node:assert/strict');
const { fork, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { cleanup } = require('./support/cleanup.js');
const { hierarchy } = require('./support/certificates.js');
const { deadline, until } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');

const limit = { timeout: 600_000 };
const HEIR = path.join(__dirname, 'programs', 'heir.js');

/** A raw connection, and the text received over it. */
async function dial(t, port) {
  const socket = net.connect(port, '127.0.0.1');
  const wire = { socket, text: '' };
  socket.on('error', () => {});
  cleanup(t, () => socket.destroy());
  await once(socket, 'connect');
  socket.on('data', (data) => {
    wire.text += data;
  });
  return wire;
}

const message = (n) => `{"type":"Number","data":${n},"id":"${n}"}\n`;

for (const [name, { server: Server, session: Session }] of [
  ['native', impl],
  ['original', require('sockhop-1.8')],
]) {
  const native = name === 'native';

  const serve = async (t, options = {}) => {
    const server = new Server(options);
    const log = record(server);
    cleanup(t, () => {
      const closed = server.close();
      // The original waits for connections that it has given away.
      return native && deadline(closed, 'close()');
    });
    await new Promise((resolve) => server.server.listen(0, '127.0.0.1', resolve));
    return { server, log, port: server.server.address().port };
  };

  const heir = async (t) => {
    const child = fork(HEIR, [name], { execArgv: [] });
    const log = record(child, ['message']);
    cleanup(t, () => child.kill('SIGKILL'));
    const said = async (what) => {
      const { args } = await log.next('message');
      assert.equal(args[0], what);
    };
    await said('ready');
    return { child, said };
  };

  describe(`a connection given to another process (${name})`, () => {
    it('is served only by the child from then on', limit, async (t) => {
      const { child, said } = await heir(t);
      const { server, log, port } = await serve(t);
      server.on('connect', (sock) => child.send('echo', sock));
      const wire = await dial(t, port);
      // The original may have read some data before it emits the connection.
      if (native) wire.socket.write('one');
      await said('Socket');
      if (!native) wire.socket.write('one');
      await until(() => wire.text === 'child: one', 'the child answers');
      wire.socket.write('two');
      await until(() => wire.text === 'child: onechild: two', 'the child answers again');
      if (native) {
        await log.next('disconnect');
        assert.deepEqual(server.sockets, []);
        await deadline(server.close(), 'close()');
      }
      // The connection ends when the child ends it.
      wire.socket.end();
      await once(wire.socket, 'close');
      assert.equal(log.count('receive') + log.count('error'), 0);
    });

    it('is served by a server in the child, which also gets the unread data', limit, async (t) => {
      const { child, said } = await heir(t);
      const { server, log, port } = await serve(t);
      server.on('receive', (object, { socket, callback }) => {
        callback({ by: 'parent', object });
        setImmediate(() => child.send('serve', socket));
      });
      const wire = await dial(t, port);
      wire.socket.write(message(1));
      await said('Socket');
      for (const n of [2, 3]) wire.socket.write(message(n));
      await until(() => wire.text.split('\n').length === 4, 'three answers are here');
      const answers = wire.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).data);
      assert.deepEqual(answers, [
        { by: 'parent', object: 1 },
        { by: 'child', object: 2 },
        { by: 'child', object: 3 },
      ]);
      assert.equal(log.count('receive'), 1);
    });

    it('may be the output of a program', limit, async (t) => {
      const { server, port } = await serve(t);
      const connect = once(server, 'connect');
      const wire = await dial(t, port);
      const [sock] = await connect;
      const child = spawn(process.execPath, ['-e', 'console.log("from the program")'], {
        stdio: ['ignore', sock, 'inherit'],
      });
      await once(child, 'exit');
      await until(() => wire.text === 'from the program\n', 'it is heard');
      assert.equal(sock.destroyed, false);
    });

    it('may be a listener', limit, async (t) => {
      const { child, said } = await heir(t);
      const { server, port } = await serve(t);
      child.send('listen', server.server);
      await said('Server');
      await said('listening');
      await deadline(server.close(), 'close()');
      const wire = await dial(t, port);
      await once(wire.socket, 'close');
      assert.equal(wire.text, 'child');
    });

    if (!native) return;

    it('stays in this process, with an error, while data waits to be sent', limit, async (t) => {
      const { child } = await heir(t);
      const { server, port } = await serve(t);
      const connect = once(server, 'connect');
      const wire = await dial(t, port);
      const [sock] = await connect;
      wire.socket.pause();
      const sent = server.send(sock, 'x'.repeat(32 * 1024 * 1024));
      assert.throws(() => child.send('echo', sock), { code: 'ERR_BACKPRESSURE' });
      wire.socket.resume();
      await sent;
      wire.socket.write(message(1));
      const [object] = await once(server, 'receive');
      assert.equal(object, 1);
    });
  });

  describe(`sock._handle (${name})`, () => {
    it('has a descriptor while the connection is open', limit, async (t) => {
      const { server, port } = await serve(t);
      const connect = once(server, 'connect');
      const wire = await dial(t, port);
      const [sock] = await connect;
      const { fd } = sock._handle;
      assert.ok(Number.isInteger(fd) && fd > 2);
      assert.equal(sock._handle, sock._handle);
      assert.ok(fs.fstatSync(fd).isSocket());
      assert.equal(typeof sock._handle.getAsyncId(), 'number');
      // The connection continues.
      wire.socket.write(message(1));
      const [object] = await once(server, 'receive');
      assert.equal(object, 1);
      const gone = once(server, 'disconnect');
      wire.socket.end();
      await gone;
      assert.equal(sock._handle, null);
      await until(() => {
        try {
          fs.fstatSync(fd);
          return false;
        } catch {
          return true;
        }
      }, 'the descriptor is closed');
    });

    it('switches to TLS in start(), after a line without TLS', limit, async (t) => {
      const { root, server: issued, chain } = await hierarchy();
      const secureContext = tls.createSecureContext({ cert: chain, key: issued.key });
      class Upgraded extends Session {
        async start() {
          const [line] = await once(this.sock, 'data');
          this.line = String(line);
          this.sock.write('go\n');
          this.secure = new tls.TLSSocket(this.sock, { isServer: true, secureContext });
          this.secure.on('data', (data) => this.secure.write(`heard ${data}`));
          this.secure.on('error', () => {});
          await once(this.secure, 'secure');
        }
      }
      const { server, log, port } = await serve(t, { session_type: Upgraded });
      const wire = await dial(t, port);
      wire.socket.removeAllListeners('data');
      wire.socket.write('STARTTLS\n');
      await once(wire.socket, 'data');
      const secure = tls.connect({ socket: wire.socket, ca: root.cert, servername: 'localhost' });
      await once(secure, 'secureConnect');
      secure.write('hello');
      assert.equal(String((await once(secure, 'data'))[0]), 'heard hello');
      const [, session] = (await log.next('connect')).args;
      assert.equal(session.line, 'STARTTLS\n');
      // The server gets nothing of the encrypted data.
      secure.write('again');
      assert.equal(String((await once(secure, 'data'))[0]), 'heard again');
      assert.equal(log.count('receive') + log.count('error'), 0);
      secure.destroy();
      if (native) await log.next('disconnect');
      else for (const sock of server.sockets) sock.destroy();
    });

    if (!native || !fs.existsSync('/proc/self/fd')) return;

    it('takes its own descriptor only when it is read', limit, async (t) => {
      /** The descriptors of this process, and the socket or file of each. */
      const descriptors = () =>
        new Map(
          fs.readdirSync('/proc/self/fd').flatMap((fd) => {
            try {
              return [[fd, fs.readlinkSync(`/proc/self/fd/${fd}`)]];
            } catch {
              return []; // the one that was open for the listing
            }
          }),
        );
      const { server, port } = await serve(t);
      const connect = once(server, 'connect');
      const wire = await dial(t, port);
      const [sock] = await connect;
      sock.setTimeout(10_000);
      sock.setNoDelay(true).setKeepAlive(true).ref().pause().resume();
      sock.once('data', () => {});
      wire.socket.write(message(1));
      await once(server, 'receive');
      await server.send(sock, 1);
      const before = descriptors();
      const { fd } = sock._handle;
      const after = descriptors();
      const connection = after.get(String(fd));
      const count = (list) => [...list.values()].filter((file) => file === connection).length;
      assert.deepEqual([count(before), count(after)], [1, 2]);
      const closed = once(sock, 'close');
      sock.end();
      await closed;
    });
  });
}
