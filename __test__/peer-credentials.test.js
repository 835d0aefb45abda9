'use strict';

// sock.peer_credentials: the process at the other end of a Unix socket.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { describe, it } = require('node:test');
const { unixPath } = require('./support/addresses.js');
const { cleanup } = require('./support/cleanup.js');
const { deadline, until } = require('./support/deadline.js');
const impl = require('./support/impl.js');
const { makeClient, startClient, startServer } = require('./support/local.js');
const { program } = require('./support/program.js');

const limit = { timeout: 600_000 };
const isRoot = process.getuid?.() === 0;
/** `nobody` on most systems; any id will do. */
const OTHER = { uid: 65_534, gid: 65_533 };

describe('sock.peer_credentials', () => {
  it('is the process that connected, when its session starts', limit, async (t) => {
    const seen = [];
    class Known extends impl.session {
      async start() {
        seen.push(this.sock.peer_credentials);
      }
    }
    const where = { path: unixPath(t) };
    await startServer(t, { session_type: Known }, where);
    const child = program(
      t,
      async ({ client: Client }, where) => {
        const client = new Client(where);
        await client.connect();
        console.log(JSON.stringify(client.socket.peer_credentials));
      },
      where,
    );
    const theirs = JSON.parse(await child.line(() => true));
    const { uid, gid } = { uid: process.getuid(), gid: process.getgid() };
    assert.deepEqual(seen, [{ pid: child.pid, uid, gid }]);
    // A client sees the process that listens.
    assert.deepEqual(theirs, { pid: process.pid, uid, gid });
  });

  it('lets a session refuse another user', {
    ...limit,
    skip: !isRoot && 'only root can start a process of another user',
  }, async (t) => {
    class Own extends impl.session {
      async start() {
        const { uid, gid } = this.sock.peer_credentials;
        if (uid !== process.getuid()) throw new Error(`refused: ${uid} ${gid}`);
      }
    }
    const where = { path: unixPath(t) };
    const server = new impl.server({ ...where, session_type: Own });
    cleanup(t, () => server.close());
    await server.listen({ mode: 0o666 });
    require('node:fs').chmodSync(require('node:path').dirname(where.path), 0o755);
    const refused = once(server, 'error');
    const source = `require('net').connect(${JSON.stringify(where.path)}).on('error', () => {});`;
    const child = spawn(process.execPath, ['-e', source], { ...OTHER, stdio: 'inherit' });
    cleanup(t, () => child.kill('SIGKILL'));
    const [err] = await deadline(refused, 'the other user');
    assert.equal(err.message, `refused: ${OTHER.uid} ${OTHER.gid}`);
    await startClient(t, where);
    await until(() => server.sockets.length === 1, 'the own user is served');
  });

  it('is null for TCP', limit, async (t) => {
    const { server, where } = await startServer(t);
    const { client } = await startClient(t, where);
    await until(() => server.sockets.length === 1, 'the server has the connection');
    assert.equal(server.sockets[0].peer_credentials, null);
    assert.equal(client.socket.peer_credentials, null);
  });

  it('stays after the end if it was read before, and is null otherwise', limit, async (t) => {
    const { server, where } = await startServer(t, {}, { path: unixPath(t) });
    const first = await startClient(t, where);
    const second = await startClient(t, where);
    await until(() => server.sockets.length === 2, 'the server has the connections');
    const [read, unread] = server.sockets;
    assert.equal(read.peer_credentials.pid, process.pid);
    await first.client.disconnect();
    await second.client.disconnect();
    await until(() => read.destroyed && unread.destroyed, 'both connections are over');
    assert.equal(read.peer_credentials.pid, process.pid);
    assert.equal(unread.peer_credentials, null);
  });

  it('is null while a client connects, and may be assigned', limit, async (t) => {
    const { where } = await startServer(t, {}, { path: unixPath(t) });
    const { client } = makeClient(t, where);
    const connecting = client.connect();
    assert.equal(client.socket.peer_credentials, null);
    await connecting;
    assert.equal(client.socket.peer_credentials.pid, process.pid);
    client.socket.peer_credentials = 'mine';
    assert.equal(client.socket.peer_credentials, 'mine');
  });

  it('needs no open descriptor more than the connection', limit, async (t) => {
    const { server, where } = await startServer(t, {}, { path: unixPath(t) });
    await startClient(t, where);
    await until(() => server.sockets.length === 1, 'the server has the connection');
    const count = () => {
      try {
        return require('node:fs').readdirSync('/proc/self/fd').length;
      } catch {
        return 0;
      }
    };
    const before = count();
    for (let n = 0; n < 20; n += 1) assert.ok(server.sockets[0].peer_credentials);
    assert.equal(count(), before);
  });
});
