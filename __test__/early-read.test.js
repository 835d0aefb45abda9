'use strict';

// `start()` of a session may read its socket. Tests of common behaviour run on both packages.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const { Writable } = require('node:stream');
const { describe, it } = require('node:test');
const { cleanup } = require('./support/cleanup.js');
const { deadline, turn, until } = require('./support/deadline.js');
const { record } = require('./support/event-log.js');
const impl = require('./support/impl.js');

const limit = { timeout: 600_000 };

const message = (n) => `{"type":"Number","data":${n}}\n`;

/** A promise that the test settles. */
function gate() {
  let open;
  const promise = new Promise((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

for (const [name, { server: Server, session: Session }] of [
  ['native', impl],
  ['original', require('sockhop-1.8')],
]) {
  const native = name === 'native';

  /** A server whose sessions start with `start(sock)`, and a raw connection to it. */
  const serve = async (t, start, more = {}) => {
    class Reader extends Session {
      async start() {
        this.read = await start(this.sock, this);
      }
    }
    const server = new Server({ session_type: Reader, ...more });
    const log = record(server);
    cleanup(t, () => deadline(server.close(), 'close()'));
    await new Promise((resolve) => server.server.listen(0, '127.0.0.1', resolve));
    const socket = net.connect(server.server.address().port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.on('error', () => {});
    cleanup(t, () => socket.destroy());
    await once(socket, 'connect');
    return { server, log, socket };
  };

  const session = async (log) => (await log.next('connect')).args[1];
  const received = async (log, count) =>
    (await log.take('receive', count)).map(({ args: [object] }) => object);

  describe(`start() of a session (${name})`, () => {
    it('reads a first line with once(), and messages follow', limit, async (t) => {
      const { log, socket } = await serve(t, async (sock) => {
        const [line] = await once(sock, 'data');
        return String(line);
      });
      socket.write('secret\n');
      assert.equal((await session(log)).read, 'secret\n');
      socket.write(message(1) + message(2));
      assert.deepEqual(await received(log, 2), [1, 2]);
      assert.equal(log.count('error'), 0);
    });

    it('leaves unread data to the server', limit, async (t) => {
      const wait = gate();
      const { log, socket } = await serve(t, () => wait.promise);
      socket.write(message(1) + message(2).slice(0, 5));
      for (let n = 0; n < 5; n += 1) await turn();
      assert.deepEqual(log.names(), []);
      wait.open();
      await session(log);
      socket.write(message(2).slice(5));
      assert.deepEqual(await received(log, 2), [1, 2]);
    });

    it('reads data that the server then does not get', limit, async (t) => {
      const wait = gate();
      let heard = '';
      const { log, socket } = await serve(t, async (sock) => {
        sock.on('data', (data) => {
          heard += data;
        });
        await wait.promise;
      });
      socket.write(message(1));
      await until(() => heard === message(1), 'it is heard');
      wait.open();
      await session(log);
      socket.write(message(2));
      assert.deepEqual(await received(log, 1), [2]);
      // A listener continues to get the bytes, in addition to the server.
      await until(() => heard === message(1) + message(2), 'both are heard');
      assert.equal(log.count('error'), 0);
    });

    /** Reads the header of a proxy, and puts back the data after it. */
    const header = (sock) =>
      new Promise((resolve) => {
        let text = '';
        sock.on('readable', function read() {
          for (;;) {
            const chunk = sock.read();
            if (chunk === null) return;
            text += chunk;
            const end = text.indexOf('\r\n');
            if (end < 0) continue;
            sock.removeListener('readable', read);
            sock.unshift(Buffer.from(text.slice(end + 2)));
            resolve(text.slice(0, end));
            return;
          }
        });
      });
    const line = 'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443';

    it('reads the header of a proxy, and puts back the data after it', limit, async (t) => {
      const { log, socket } = await serve(t, header);
      socket.write(`${line}\r\n${message(1)}${message(2)}${message(3).slice(0, 7)}`);
      assert.equal((await session(log)).read, line);
      assert.deepEqual(await received(log, 2), [1, 2]);
      socket.write(message(3).slice(7) + message(4));
      assert.deepEqual(await received(log, 2), [3, 4]);
      assert.equal(log.count('error'), 0);
    });

    it('reads a header that comes byte by byte', limit, async (t) => {
      const { log, socket } = await serve(t, header);
      for (const byte of Buffer.from(`${line}\r\n${message(1)}`)) {
        socket.write(Buffer.of(byte));
        await turn();
      }
      assert.equal((await session(log)).read, line);
      assert.deepEqual(await received(log, 1), [1]);
    });

    it('reads with an iterator that leaves the socket open', limit, async (t) => {
      const { log, socket } = await serve(t, async (sock) => {
        for await (const chunk of sock.iterator({ destroyOnReturn: false })) return String(chunk);
      });
      socket.write('hello\n');
      assert.equal((await session(log)).read, 'hello\n');
      socket.write(message(1));
      assert.deepEqual(await received(log, 1), [1]);
    });

    it('reads all available data with an iterator', limit, async (t) => {
      const texts = gate();
      const { log, socket, server } = await serve(t, async (sock) => {
        let text = '';
        for await (const chunk of sock) text += chunk;
        texts.open(text);
      });
      socket.write('one ');
      socket.end('two');
      assert.equal(await texts.promise, 'one two');
      if (!native) return;
      // The original never removes such a socket.
      await log.next('disconnect');
      assert.deepEqual([log.names(), server.sockets], [['connect', 'disconnect'], []]);
    });

    it('pipes it elsewhere, and messages come once it is resumed', limit, async (t) => {
      let piped = '';
      const { log, socket } = await serve(t, async (sock) => {
        const sink = new Writable({
          write(chunk, _encoding, done) {
            piped += chunk;
            done();
          },
        });
        sock.pipe(sink);
        await until(() => piped.endsWith('\n'), 'a line is piped');
        sock.unpipe(sink);
      });
      socket.write('first line\n');
      const [sock] = (await log.next('connect')).args;
      socket.write(message(1));
      for (let n = 0; n < 5; n += 1) await turn();
      // It is paused when it is no longer piped.
      assert.equal(log.count('receive'), 0);
      sock.resume();
      assert.deepEqual(await received(log, 1), [1]);
      assert.equal(piped, 'first line\n');
    });

    it('may leave it paused, with something read already', limit, async (t) => {
      const { log, socket } = await serve(t, async (sock) => {
        const [chunk] = await once(sock, 'data');
        sock.pause();
        const [first, rest] = String(chunk).split('|');
        sock.unshift(Buffer.from(rest));
        return first;
      });
      socket.write(`token|${message(1)}`);
      const [sock, { read }] = (await log.next('connect')).args;
      assert.equal(read, 'token');
      for (let n = 0; n < 5; n += 1) await turn();
      assert.equal(log.count('receive'), 0);
      sock.resume();
      assert.deepEqual(await received(log, 1), [1]);
      socket.write(message(2));
      assert.deepEqual(await received(log, 1), [2]);
    });

    it('may have paused it, and resume it at its end', limit, async (t) => {
      const arrived = gate();
      const { log, socket } = await serve(t, async (sock) => {
        sock.pause();
        await arrived.promise;
        sock.resume();
      });
      socket.write(message(1), arrived.open);
      assert.deepEqual(await received(log, 1), [1]);
      socket.write(message(2));
      assert.deepEqual(await received(log, 1), [2]);
    });

    it('answers the data that it reads', limit, async (t) => {
      const { log, socket } = await serve(t, async (sock) => {
        const [question] = await once(sock, 'data');
        sock.write(`to ${question}`);
        const [answer] = await once(sock, 'data');
        return String(answer);
      });
      socket.write('hello');
      assert.equal(String((await once(socket, 'data'))[0]), 'to hello');
      socket.write('and thanks');
      assert.equal((await session(log)).read, 'and thanks');
      socket.write(message(1));
      assert.deepEqual(await received(log, 1), [1]);
    });

    it('notices an end that comes meanwhile', limit, async (t) => {
      const { socket } = await serve(t, async (sock) => {
        sock.resume();
        await once(sock, 'end');
        ended.open();
        await new Promise(() => {});
      });
      const ended = gate();
      socket.end('nothing that counts');
      await ended.promise;
    });

    if (!native) return;

    it('loses nothing that arrives after its last read and before its end', limit, async (t) => {
      const read = gate();
      const wait = gate();
      const { log, socket } = await serve(t, async (sock) => {
        const [token] = await once(sock, 'data');
        read.open();
        await wait.promise;
        return String(token);
      });
      socket.write('token');
      await read.promise;
      socket.write(message(1) + message(2).slice(0, 5));
      for (let n = 0; n < 5; n += 1) await turn();
      wait.open();
      assert.equal((await session(log)).read, 'token');
      socket.write(message(2).slice(5));
      assert.deepEqual(await received(log, 2), [1, 2]);
    });

    it('may discard data that arrives meanwhile', limit, async (t) => {
      const thrown = gate();
      const { log, socket } = await serve(t, async (sock) => {
        sock.resume();
        await until(() => sock.bytesRead >= 9, 'it is read');
        thrown.open();
        for (let text = ''; !text.endsWith('now'); )
          [text] = (await once(sock, 'data')).map(String);
      });
      socket.write('not JSON\n');
      await thrown.promise;
      socket.write('now');
      await session(log);
      socket.write(message(1));
      assert.deepEqual(await received(log, 1), [1]);
      assert.equal(log.count('error'), 0);
    });

    it(
      'gets all messages of a peer that ended the connection before it resolved',
      limit,
      async (t) => {
        const wait = gate();
        const { log, socket } = await serve(t, async (sock) => {
          const text = await header(sock);
          await wait.promise;
          return text;
        });
        const count = 1500;
        const all = Array.from({ length: count }, (_, n) => n);
        socket.end(`${line}\r\n${all.map(message).join('')}`);
        for (let n = 0; n < 20; n += 1) await turn();
        wait.open();
        await log.next('disconnect');
        const seen = log.all('receive').map(({ args: [object] }) => object);
        assert.deepEqual(seen, all);
        assert.deepEqual([log.names()[0], log.names().at(-1)], ['connect', 'disconnect']);
      },
    );

    it('receives a flood after its header whole and in order', limit, async (t) => {
      const { log, socket } = await serve(t, header);
      const count = 20_000;
      const all = Array.from({ length: count }, (_, n) => n);
      socket.write(`${line}\r\n${all.map(message).join('')}`);
      assert.equal((await session(log)).read, line);
      await until(() => log.count('receive') === count, 'all are here');
      assert.deepEqual(
        log.all('receive').map(({ args: [object] }) => object),
        all,
      );
    });

    it('bounds the data that a peer may send meanwhile', limit, async (t) => {
      const wait = gate();
      let sock;
      const { log, socket } = await serve(t, async (its) => {
        sock = its;
        await once(sock, 'data');
        await wait.promise;
      });
      const size = 32 * 1024 * 1024;
      socket.write(Buffer.alloc(size, 'x'));
      socket.write(`\n${message(1)}`);
      await until(() => sock?.bytesRead > 0, 'it begins');
      let before = -1;
      // Until nothing moves any more.
      while (sock.bytesRead !== before) {
        before = sock.bytesRead;
        for (let n = 0; n < 50; n += 1) await turn();
      }
      assert.ok(sock.bytesRead <= 1024 * 1024, `${sock.bytesRead} bytes were read`);
      wait.open();
      await session(log);
      // The rest is not JSON, and ends at the end of its line.
      assert.deepEqual(await received(log, 1), [1]);
      assert.equal(log.count('error'), 1);
    });

    it('applies the limit to a message that begins before the end of start()', limit, async (t) => {
      const { log, socket } = await serve(
        t,
        async (sock) => {
          const [chunk] = await once(sock, 'data');
          sock.unshift(chunk);
        },
        { max_message_size: 1000 },
      );
      socket.write('x'.repeat(900));
      await session(log);
      socket.write('y'.repeat(101));
      const [err] = (await log.next('error')).args;
      assert.equal(err.code, 'ERR_MESSAGE_TOO_LARGE');
      await log.next('disconnect');
    });
  });
}
