'use strict';

// The command line, `npx sockhop-native`. The peers are servers and clients of sockhop 1.8.4.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { describe, it } = require('node:test');
const tls = require('node:tls');
const { freePort, temporaryDirectory, unixPath } = require('./support/addresses.js');
const { issue } = require('./support/certificates.js');
const { cleanup } = require('./support/cleanup.js');
const {
  noTerminal,
  run,
  runTogether,
  start,
  startOnTerminal,
} = require('./support/command-line.js');
const { deadline, until } = require('./support/deadline.js');
const { implementations } = require('./support/implementations.js');
const { parse, parserMissing } = require('./support/openmetrics.js');
const { rawServer } = require('./support/raw.js');

const original = require(implementations.original);
/** Each test starts processes, which takes seconds on a busy machine. */
const limit = { timeout: 600_000 };
const onTerminal = { ...limit, skip: noTerminal };

/** A server of sockhop 1.8.4 that answers all messages. */
async function originalServer(t, where = {}) {
  const server = new original.server({ port: await freePort(), ...where });
  server.on('error', () => {});
  server.on('receive', (object, { type, callback }) => callback?.({ got: object, type }));
  server.on('request', (request, response) => {
    response.write({ first: request.data });
    response.send({ second: true });
  });
  await server.listen();
  cleanup(t, async () => {
    await server.disconnect();
    await server.close();
  });
  return { server, endpoint: where.path ?? `127.0.0.1:${server.port}` };
}

/** A client of sockhop 1.8.4. */
async function originalClient(t, where) {
  const client = new original.client(where);
  clearInterval(client._auto_reconnect_timer);
  client.on('error', () => {});
  await client.connect();
  cleanup(t, () => client.disconnect());
  return client;
}

const jsonLines = (text) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

describe('the command line', () => {
  it('explains itself, its commands and mistakes in arguments', limit, async (t) => {
    const overview = await run(t, ['--help']);
    assert.equal(overview.code, 0);
    const commands = Array.from(
      overview.stdout.matchAll(/^ {2}(\w+) {2,}[A-Z]/gm),
      ([, name]) => name,
    );
    assert.deepEqual(commands, ['listen', 'connect', 'send', 'ping', 'bench', 'monitor']);
    const explanations = await runTogether(
      t,
      commands.map((name) => [name, '--help']),
    );
    for (const [index, name] of commands.entries()) {
      const { code, stdout, stderr } = explanations[index];
      assert.deepEqual([code, stderr], [0, ''], name);
      assert.match(stdout, new RegExp(`^usage: sockhop-native ${name} `));
      for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
    }
    assert.deepEqual(await run(t, ['ping', '--help']), explanations[commands.indexOf('ping')]);
    assert.match((await run(t, ['help', 'send'])).stdout, /^usage: sockhop-native send /);
    const { version } = require('../package.json');
    assert.equal((await run(t, ['--version'])).stdout, `${version}\n`);
    const nothing = await run(t, []);
    assert.deepEqual([nothing.code, nothing.stdout], [2, overview.stdout]);
    const mistakes = {
      'walk 50000': /there is no command "walk"/,
      'send --nope 50000 x': /Unknown option '--nope'/,
      'send 50000 x y z': /one argument too many: "y"/,
      'ping --count 0 50000': /--count must be an integer >= 1/,
      'ping --interval soon 50000': /--interval must be a number >= 1/,
      'ping --peer json 50000': /a JSON peer answers no pings/,
      'ping 127.0.0.1:70000': /a port must be <= 65535/,
      'ping ::1': /\[IPv6 address\]:port/,
      'send --ca nowhere.pem 50000 x': /--ca cannot be read: ENOENT/,
      'send 50000 {a': /this is not JSON/,
      'send 50000 null': /there is nothing to send/,
      'send 50000': /no message to send: "50000" is an endpoint.*\n.*127\.0\.0\.1:50000 50000$/m,
      'send --call example.org:5000': /no message to send: "example.org:5000" is an endpoint/,
      'send /run/app.sock': /no message to send: "\/run\/app.sock" is an endpoint/,
      'listen --echo --reply 1': /exclude each other/,
    };
    const lines = Object.keys(mistakes);
    const results = await runTogether(
      t,
      lines.map((line) => line.split(' ')),
    );
    for (const [index, line] of lines.entries()) {
      const { code, stdout, stderr } = results[index];
      assert.deepEqual([code, stdout], [2, ''], line);
      assert.match(stderr, mistakes[line], line);
      assert.match(stderr, /--help\n$/, line);
    }
    // As a process of its own it ends in the same way.
    assert.deepEqual(await run(t, lines[0].split(' ')), results[0]);
  });

  it('without a binding prints the reason and the remedy, without a stack', limit, async (t) => {
    const env = { SOCKHOP_NATIVE_BINDING: path.join(temporaryDirectory(t), 'none.node') };
    for (const args of [['--help'], ['send', '50000', 'x']]) {
      const { code, stdout, stderr } = await run(t, args, { env });
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^sockhop-native has no native binding .*\n.*: no such file\nCorrect /);
      assert.doesNotMatch(stderr, /^ +at /m);
    }
  });

  it('is not loaded by the package', () => {
    require('../index.js');
    assert.deepEqual(
      Object.keys(require.cache).filter((file) => /internal[/\\]cli[/\\]/.test(file)),
      [],
    );
  });
});

describe('send', () => {
  it('sends JSON, typed objects, text and standard input', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const received = [];
    server.on('receive', (object, { type }) => received.push([type, object]));
    const sends = [
      [['{"a":1}'], ['Object', { a: 1 }]],
      [['Order {"item":"tea"}'], ['Order', { item: 'tea' }]],
      [['two words'], ['String', 'two words']],
      [['[1,2]'], ['Array', [1, 2]]],
      [['-'], ['Object', { from: 'input' }]],
    ];
    for (const [[message], expected] of sends) {
      const arrived = once(server, 'receive');
      const { code, stdout, stderr } = await run(t, ['send', endpoint, message], {
        input: '{"from":"input"}\n',
      });
      assert.deepEqual([code, stdout, stderr], [0, '', '']);
      await deadline(arrived, message);
      assert.deepEqual(received.at(-1), expected);
    }
  });

  it('waits for the answer, and reports the result by its exit code', limit, async (t) => {
    const { endpoint } = await originalServer(t);
    const called = await run(t, ['send', '--call', endpoint, 'Order {"a":1}']);
    assert.equal(called.code, 0);
    assert.equal(called.stdout, "{ got: { a: 1 }, type: 'Order' }\n");
    const asJson = await run(t, ['send', '-c', '--json', endpoint, '{"a":1}']);
    assert.deepEqual(jsonLines(asJson.stdout), [
      { type: 'Object', data: { got: { a: 1 }, type: 'Object' } },
    ]);
    const good = await run(t, ['send', '--expect', '{"got":{"a":1}}', endpoint, '{"a":1,"b":2}']);
    assert.equal(good.code, 0);
    const bad = await run(t, ['send', '--expect', '{"got":{"a":2}}', endpoint, '{"a":1}']);
    assert.equal(bad.code, 4);
    assert.match(bad.stderr, /the answer is not as expected: \{"got":\{"a":2\}\}/);
  });

  it('prints each packet of the answer to a request', limit, async (t) => {
    const { endpoint } = await originalServer(t, { path: unixPath(t) });
    const { code, stdout } = await run(t, ['send', '--request', '--unix', endpoint, '{"q":1}']);
    assert.equal(code, 0);
    assert.equal(stdout, '{ first: { q: 1 } }\n{ second: true }\n');
  });

  it('has other exit codes without a server and without an answer', limit, async (t) => {
    const port = await freePort();
    const refused = await run(t, ['send', `${port}`, 'x']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`no connection to 127.0.0.1:${port}: .*ECONNREFUSED`));
    const raw = await rawServer(t);
    const endpoint = raw.where.path ?? `${raw.where.port}`;
    const silent = await run(t, ['send', '--call', '--timeout', '300', endpoint, 'x']);
    assert.deepEqual([silent.code, silent.stderr], [3, 'no answer within 300 ms\n']);
    const asked = await run(t, ['send', '--request', '--timeout', '300', endpoint, 'x']);
    assert.deepEqual([asked.code, asked.stderr], [3, 'no answer within 300 ms\n']);
  });

  it('verifies the server with TLS', limit, async (t) => {
    const { key, cert } = await issue({ name: 'localhost' });
    const { server } = await originalServer(t);
    const secure = tls.createServer({ key, cert }, (socket) => {
      socket.on('error', () => {});
      server.server.emit('connection', socket);
    });
    secure.on('tlsClientError', () => {});
    await new Promise((resolve) => secure.listen(0, '127.0.0.1', resolve));
    cleanup(t, () => new Promise((resolve) => secure.close(resolve)));
    const endpoint = `127.0.0.1:${secure.address().port}`;
    const file = path.join(temporaryDirectory(t), 'ca.pem');
    fs.writeFileSync(file, cert);
    const unknown = await run(t, ['send', '--tls', endpoint, 'x']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /certificate/);
    const trusted = ['--ca', file, '--servername', 'localhost'];
    const call = await run(t, ['send', '--call', ...trusted, endpoint, '{"a":1}']);
    assert.deepEqual([call.code, call.stderr], [0, '']);
    assert.equal((await run(t, ['send', '--call', '--insecure', endpoint, '{"a":1}'])).code, 0);
  });

  it('shows no control characters of the peer', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    server.removeAllListeners('receive');
    server.on('receive', (_object, { callback }) =>
      callback({ text: '\u001b[31mred \u202etxet', '\u001b[2J': 1 }),
    );
    const { stdout } = await run(t, ['send', '--call', endpoint, 'x']);
    assert.match(stdout, /red/);
    assert.ok(!stdout.includes('\u001b') && !stdout.includes('\u202e'), JSON.stringify(stdout));
  });
});

describe('listen', () => {
  it('prints the events of clients, and answers their messages', limit, async (t) => {
    const command = start(t, ['listen', '--echo', '127.0.0.1:0']);
    const [, port] = await command.output(/^listening on 127\.0\.0\.1:(\d+)\n/);
    const client = await originalClient(t, { port: Number(port) });
    await command.output(/#1 connected from 127\.0\.0\.1:\d+\n/);
    const answer = await deadline(
      new Promise((resolve) => client.send({ a: 1 }, resolve)),
      'the answer',
    );
    assert.deepEqual(answer, { a: 1 });
    await command.output(/#1 sent \{ a: 1 \}, and waits for an answer\n/);
    const stream = await client.request({ q: 2 });
    assert.deepEqual((await stream.next()).data, { q: 2 });
    await command.output(/#1 requests \{ q: 2 \}\n/);
    client.socket.write('no JSON\n');
    await command.output(/#1 error: Skipping corrupted data in buffer\n/);
    client.disconnect();
    await command.output(/#1 disconnected\n/);
    command.kill('SIGTERM');
    assert.deepEqual(await command.ended().then(({ code, stderr }) => [code, stderr]), [0, '']);
  });

  it('answers with an object, and prints JSON for scripts', limit, async (t) => {
    const where = unixPath(t);
    const args = ['listen', '--json', '--reply', 'Status {"ok":true}', '--unix', where];
    const command = start(t, args);
    await command.output(/"listening"/);
    const client = await originalClient(t, { path: where });
    const [answer, meta] = await deadline(
      new Promise((resolve) => client.send({ a: 1 }, (...all) => resolve(all))),
      'the answer',
    );
    assert.deepEqual([answer, meta.type], [{ ok: true }, 'Status']);
    client.disconnect();
    await command.output(/"disconnect"/);
    command.kill('SIGINT');
    const { code, stdout } = await command.ended();
    assert.equal(code, 0);
    assert.deepEqual(jsonLines(stdout), [
      { event: 'listening', endpoint: where },
      { event: 'connect', connection: 1, peer: null },
      { event: 'receive', connection: 1, type: 'Object', data: { a: 1 }, answer: true },
      { event: 'disconnect', connection: 1 },
    ]);
    assert.equal(fs.existsSync(where), false);
  });

  it('serves metrics over HTTP', { ...limit, skip: parserMissing() }, async (t) => {
    const command = start(t, ['listen', '--metrics', '0', '127.0.0.1:0']);
    const [, url] = await command.output(/metrics at (http:\S+)\n/);
    const text = await new Promise((resolve, reject) => {
      http
        .get(url, (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => resolve(body));
        })
        .on('error', reject);
    });
    const families = parse(text);
    assert.ok(families.some(({ name }) => name === 'sockhop_connections'));
    command.kill('SIGTERM');
    assert.equal((await command.ended()).code, 0);
  });

  it('uses TLS, and asks clients for certificates', limit, async (t) => {
    const authority = await issue({ name: 'localhost' });
    const directory = temporaryDirectory(t);
    const files = Object.fromEntries(
      ['cert', 'key'].map((name) => [name, path.join(directory, `${name}.pem`)]),
    );
    for (const name of ['cert', 'key']) fs.writeFileSync(files[name], authority[name]);
    const own = ['--cert', files.cert, '--key', files.key];
    const trust = ['--ca', files.cert, '--servername', 'localhost'];

    const open = start(t, ['listen', '--echo', ...own, '127.0.0.1:0']);
    const [, port] = await open.output(/^listening on \S+:(\d+)\n/);
    const call = await run(t, ['send', '--call', '--json', ...trust, port, '{"a":1}']);
    assert.deepEqual(jsonLines(call.stdout), [{ type: 'Object', data: { a: 1 } }]);

    const closed = start(t, ['listen', '--echo', ...own, '--client-ca', files.cert, '127.0.0.1:0']);
    const [, other] = await closed.output(/^listening on \S+:(\d+)\n/);
    for (const asking of ['--call', '--request']) {
      const stranger = await run(t, ['send', asking, ...trust, other, '{"a":1}']);
      assert.equal(stranger.code, 1);
      // The server may reset the connection before its alert is read.
      assert.match(stranger.stderr, /^(.*alert certificate required|.*ECONNRESET|.*EPIPE)/);
    }
    await closed.output(/^error from 127\.0\.0\.1:\d+: .*did not return a certificate/m);
    const member = await run(t, ['send', '--call', ...trust, ...own, other, '{"a":1}']);
    assert.deepEqual([member.code, member.stdout], [0, '{ a: 1 }\n'], member.stderr);
    assert.equal((await run(t, ['listen', '--cert', files.cert])).code, 2);
  });

  it('says why it cannot listen', limit, async (t) => {
    const { server } = await originalServer(t);
    const { code, stderr } = await run(t, ['listen', `${server.port}`]);
    assert.equal(code, 1);
    assert.match(stderr, /^sockhop-native listen: .*EADDRINUSE/);
  });
});

describe('ping', () => {
  it('prints each time and the statistics', limit, async (t) => {
    const { endpoint } = await originalServer(t);
    const { code, stdout, stderr } = await run(t, ['ping', '-c', '3', '-i', '20', endpoint]);
    assert.deepEqual([code, stderr], [0, '']);
    const lines = stdout.split('\n');
    assert.equal(lines[0], `PING ${endpoint}`);
    for (const seq of [1, 2, 3]) {
      assert.ok(lines.some((line) => line.startsWith(`pong from ${endpoint}: seq=${seq} time=`)));
    }
    assert.match(stdout, /\n3 sent, 3 answered, 0% lost, time \d+ ms\n/);
    const [, ...numbers] = stdout.match(/rtt min\/avg\/max\/mdev = ([\d.]+)\/([\d.]+)\/([\d.]+)\//);
    const [min, avg, max] = numbers.map(Number);
    assert.ok(min > 0 && min <= avg && avg <= max);
  });

  it('prints JSON for scripts', limit, async (t) => {
    const { endpoint } = await originalServer(t, { path: unixPath(t) });
    const args = ['ping', '--json', '--count', '2', '--interval', '20', '--unix', endpoint];
    const [first, second, summary] = jsonLines((await run(t, args)).stdout);
    assert.deepEqual([first.seq, second.seq], [1, 2]);
    assert.deepEqual([summary.sent, summary.answered, summary.loss], [2, 2, 0]);
    assert.equal(summary.min, Math.min(first.time, second.time));
  });

  it('counts the pings of a peer that does not answer', limit, async (t) => {
    const raw = await rawServer(t);
    const endpoint = raw.where.path ?? `${raw.where.port}`;
    const args = ['ping', '-c', '2', '-i', '20', '--timeout', '200', endpoint];
    const { code, stdout } = await run(t, args);
    assert.equal(code, 3);
    assert.match(stdout, /seq=1 no answer\n/);
    assert.match(stdout, /2 sent, 0 answered, 100% lost/);
  });

  it('prints the statistics when it is interrupted', limit, async (t) => {
    const { endpoint } = await originalServer(t);
    const command = start(t, ['ping', '-i', '20', endpoint]);
    await command.output(/seq=2 time/);
    command.kill('SIGINT');
    const { code, stdout } = await command.ended();
    assert.equal(code, 0);
    assert.match(stdout, /ping statistics ---\n\d+ sent, \d+ answered/);
  });

  it('ends when the server ends the connection', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const command = start(t, ['ping', '-i', '20', endpoint]);
    await command.output(/seq=1 time/);
    await server.disconnect();
    const { code, stdout } = await command.ended();
    assert.equal(code, 1);
    assert.match(stdout, /the connection ended\n$/);
  });
});

describe('connect', () => {
  it('sends the lines of standard input in order', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const received = [];
    server.on('receive', (object, { type }) => received.push([type, object]));
    const input = [
      'Order {"item":"tea"}',
      ':call {"a":1}',
      ':request {"q":1}',
      ':ping',
      ':stats',
      ':nonsense',
      '{broken',
      'bye',
    ];
    const { code, stdout, stderr } = await run(t, ['connect', endpoint], {
      input: `${input.join('\n')}\n`,
    });
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^connected to 127\.0\.0\.1:\d+; :help explains\n/);
    assert.match(stdout, /\nanswer \{ got: \{ a: 1 \}, type: 'Object' \} \([\d.]+ ms\)\n/);
    assert.match(stdout, /\npacket 1 \{ first: \{ q: 1 \} \}\npacket 2 \{ second: true \}\n/);
    assert.match(stdout, /\npong [\d.]+ ms\n/);
    assert.match(stdout, /\n {2}messages_sent +\d+\n/);
    assert.match(stdout, /\nerror: there is no command ":nonsense". Try :help\n/);
    assert.match(stdout, /\nerror: this is not JSON: /);
    await deadline(
      (async () => {
        while (received.length < 3) await once(server, 'receive');
      })(),
      'all messages',
    );
    assert.deepEqual(received, [
      ['Order', { item: 'tea' }],
      ['Object', { a: 1 }],
      ['String', 'bye'],
    ]);
  });

  it('is a prompt on a terminal, with completion and history', onTerminal, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const history = path.join(temporaryDirectory(t), 'history');
    const env = { SOCKHOP_HISTORY: history };
    const received = [];
    server.on('receive', (object) => received.push(object));

    const first = startOnTerminal(t, ['connect', endpoint], env);
    await first.output(/connected to [^\n]*\n[^>]*> /);
    first.type(':ca');
    await first.output(/:ca/);
    first.type('\t');
    await first.output(/ll/);
    first.type('{"n":1}\r');
    await first.output(/answer \{ got: \{ n: 1 \}, type: 'Object' \}/);
    // Messages that arrive meanwhile are above the line that is being typed.
    first.type('half');
    await first.output(/half/);
    await server.sendall({ news: 1 });
    await first.output(/received \{ news: 1 \}\s+.*> half/);
    first.type('\u0015{"n":2}\r');
    const arrived = once(server, 'receive');
    await deadline(arrived, 'the second message');
    first.type('\u0004');
    assert.equal((await first.ended()).code, 0);
    assert.equal(fs.readFileSync(history, 'utf8'), ':call {"n":1}\n{"n":2}\n');
    assert.equal(fs.statSync(history).mode & 0o777, 0o600);

    const second = startOnTerminal(t, ['connect', endpoint], env);
    await second.output(/> /);
    second.type('\u001b[A\u001b[A\r');
    await second.output(/answer \{ got: \{ n: 1 \}, type: 'Object' \}/);
    second.type(':quit\r');
    assert.equal((await second.ended()).code, 0);
    assert.deepEqual(received, [{ n: 1 }, { n: 2 }, { n: 1 }]);
  });

  it('ends by Ctrl-C, also while it waits for an answer', onTerminal, async (t) => {
    const raw = await rawServer(t);
    const endpoint = raw.where.path ?? `${raw.where.port}`;
    const args = ['connect', '--timeout', '60000', endpoint];
    const command = startOnTerminal(t, args, { SOCKHOP_HISTORY: '' });
    await command.output(/> /);
    command.type(':call {"a":1}\r');
    const wire = await raw.accept();
    await until(() => wire.entries.length > 0, 'the message is there');
    command.type('\u0003');
    assert.equal((await command.ended()).code, 0);
  });

  it('ends when the server ends the connection', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const command = start(t, ['connect', endpoint]);
    await command.output(/connected to/);
    await server.disconnect();
    const { code, stdout } = await command.ended();
    assert.equal(code, 1);
    assert.match(stdout, /disconnected\n/);
  });

  it('connects again with --reconnect', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const command = start(t, ['connect', '--reconnect', endpoint]);
    await command.output(/connected to/);
    await server.disconnect();
    await command.output(/disconnected\n/);
    await command.output(/\bconnected\n/);
    const arrived = once(server, 'receive');
    command.type('again\n');
    assert.equal((await deadline(arrived, 'the message'))[0], 'again');
    command.endInput();
    assert.equal((await command.ended()).code, 0);
  });
});

describe('bench', () => {
  for (const mode of ['call', 'request', 'send']) {
    it(`counts the messages that a server reads (${mode})`, limit, async (t) => {
      const { server, endpoint } = await originalServer(t);
      // The original gathers small packets: this one answers at once.
      server.on('connect', (socket) => socket.setNoDelay(true));
      let count = 0;
      const event = mode === 'request' ? 'request' : 'receive';
      server.on(event, () => {
        count += 1;
      });
      const options = ['--json', '--warm-up', '0', '-m', mode, '-d', '600', '-n', '2', '-f', '4'];
      const command = start(t, ['bench', ...options, endpoint]);
      while (count < 100) await deadline(once(server, event), 'a message');
      command.kill('SIGINT');
      const { code, stdout, stderr } = await command.ended();
      assert.deepEqual([code, stderr], [0, '']);
      const [result] = jsonLines(stdout);
      assert.deepEqual([result.mode, result.clients, result.errors], [mode, 2, 0]);
      assert.ok(result.messages > 0 && result.messages <= count, `${result.messages}, ${count}`);
      // Both are rounded: the time to 1 ms.
      const error = Math.abs(result.rate * result.seconds - result.messages);
      assert.ok(error <= result.rate / 1000 + 1, JSON.stringify(result));
      if (mode === 'send') assert.equal(result.latency, null);
      else {
        const { min, p50, p90, p99, max } = result.latency;
        assert.ok(min > 0 && min <= p50 && p50 <= p90 && p90 <= p99 && p99 <= max);
      }
    });
  }

  it('shows its progress on a terminal, and a summary', onTerminal, async (t) => {
    const { endpoint } = await originalServer(t);
    const command = startOnTerminal(t, ['bench', '--warm-up', '0', '-d', '600', endpoint]);
    await command.output(/\[#*-+\] [\d,]+ messages\/s/);
    command.type('\u0003');
    await command.output(
      /call to \S+, 1 connection, 16 in flight each, 64 bytes\s+[\d,.]+ messages\/s/,
    );
    await command.output(/answers in ms: min [\d.]+, p50/);
    assert.equal((await command.ended()).code, 0);
  });

  it('says so if the server does not answer', limit, async (t) => {
    const raw = await rawServer(t);
    const endpoint = raw.where.path ?? `${raw.where.port}`;
    const args = ['bench', '-m', 'send', '-d', '0.1', '--timeout', '500', endpoint];
    const { code, stderr } = await run(t, args);
    assert.equal(code, 3);
    assert.match(stderr, /the server does not answer: start it with "listen --echo --quiet"/);
  });

  it('fails when the connection ends', limit, async (t) => {
    const { server, endpoint } = await originalServer(t);
    const command = start(t, ['bench', '--json', '-d', '60', endpoint]);
    await deadline(once(server, 'receive'), 'a call');
    await server.disconnect();
    const { code, stdout } = await command.ended();
    assert.equal(code, 1);
    assert.ok(jsonLines(stdout)[0].errors > 0);
  });
});

/** A `listen` with metrics. */
async function listenWithMetrics(t) {
  const command = start(t, ['listen', '--echo', '--quiet', '--metrics', '0', '127.0.0.1:0']);
  const [, port] = await command.output(/^listening on \S+:(\d+)\n/);
  const [, url] = await command.output(/metrics at (http:\S+)\n/);
  return { command, port: Number(port), url };
}

describe('monitor', () => {
  it('prints the figures and rates of a server as JSON', limit, async (t) => {
    const { port, url } = await listenWithMetrics(t);
    const client = await originalClient(t, { port });
    const monitor = start(t, ['monitor', '--json', '--interval', '50', url]);
    await monitor.output(/\n/);
    await deadline(new Promise((resolve) => client.send({ a: 1 }, resolve)), 'the answer');
    await monitor.output(/"messages_in":(?!0,)[\d.]+,"messages_out":(?!0,)[\d.]/);
    monitor.kill('SIGINT');
    const { code, stdout } = await monitor.ended();
    assert.equal(code, 0);
    const [first] = jsonLines(stdout);
    assert.deepEqual(
      [first.role, first.endpoint, first.connections, first.messages_in],
      ['server', `127.0.0.1:${port}`, 1, null],
    );
  });

  it('is a view with bars on a terminal, until the user ends it', onTerminal, async (t) => {
    const { port, url } = await listenWithMetrics(t);
    const client = await originalClient(t, { port });
    const monitor = startOnTerminal(t, ['monitor', '--interval', '50', url]);
    await monitor.output(/server 127\.0\.0\.1:\d+/);
    await monitor.output(/connections +1 +█/);
    await deadline(new Promise((resolve) => client.send({ a: 1 }, resolve)), 'the answer');
    await monitor.output(/messages in +(?!0\/s)[\d.,]+\/s +▁*█/);
    monitor.type('q');
    const { code, stdout } = await monitor.ended();
    assert.equal(code, 0);
    assert.ok(stdout.endsWith('\u001b[?25h\u001b[?1049l'), 'the terminal is as before');
  });

  it('continues while the metrics cannot be read', limit, async (t) => {
    const { command, port, url } = await listenWithMetrics(t);
    const monitor = start(t, ['monitor', '--interval', '50', url]);
    await monitor.output(/server 127\.0\.0\.1:\d+: no activity\n/);
    command.kill('SIGTERM');
    await command.ended();
    await until(() => /ECONNREFUSED|ECONNRESET|hang up/.test(monitor.stderr), 'it fails');
    const address = ['listen', '--metrics', new URL(url).port, `127.0.0.1:${port}`];
    const again = start(t, address);
    await again.output(/metrics at/);
    await monitor.output(/no activity\n/);
    monitor.kill('SIGINT');
    assert.equal((await monitor.ended()).code, 0);
  });

  it('reports metrics that it cannot read', limit, async (t) => {
    const port = await freePort();
    const refused = await run(t, ['monitor', '--count', '1', `${port}`]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`http://127.0.0.1:${port}/metrics: .*ECONNREFUSED`));
    const web = http.createServer((_request, response) => response.end('# EOF\n'));
    await new Promise((resolve) => web.listen(0, '127.0.0.1', resolve));
    cleanup(t, () => new Promise((resolve) => web.close(resolve)));
    const other = await run(t, ['monitor', '-c', '1', `${web.address().port}`]);
    assert.match(other.stderr, /there are no metrics of sockhop/);
    const missing = await run(t, ['monitor']);
    assert.equal(missing.code, 2);
    const wrong = await run(t, ['monitor', 'ftp://example']);
    assert.match(wrong.stderr, /must be the URL of metrics, or a port/);
  });
});

/** Tests that the guide is true, which is the same on each runtime. */
function testGuide() {
  const GUIDE = path.join(__dirname, '..', 'docs', 'command-line.md');
  const shown = fs
    .readFileSync(GUIDE, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('npx sockhop-native '));

  /** The arguments of a command as the text shows it, with other ports, and a brief measurement. */
  const argumentsOf = (line, ports) =>
    line
      .replace('--duration 1 ', '--duration 0.1 ')
      .match(/'[^']*'|\S+/g)
      .slice(2)
      .map((word) => ports[word] ?? word.replace(/^'|'$/g, ''));

  /** How each command ends: by itself, at the end of its input, or by Ctrl-C. */
  const ENDS = {
    send: (command) => command.endInput(),
    bench: (command) => command.endInput(),
    connect: (command) => command.endInput(),
    ping: async (command) => {
      await command.output(/seq=1 /);
      command.kill('SIGINT');
    },
    monitor: async (command) => {
      await command.output(/127\.0\.0\.1/);
      command.kill('SIGINT');
    },
  };

  it('shows every command', limit, () => {
    const names = new Set(shown.map((line) => line.split(' ')[2]));
    assert.deepEqual([...names].sort(), [...Object.keys(ENDS), 'listen'].sort());
  });

  const calls = shown.filter((line) => !line.includes(' listen '));
  // The server of the guide answers with the object that came.
  for (const [reply, lines] of [
    [['--echo'], calls.filter((line) => !line.includes('--expect'))],
    [['--reply', '{"ok":true}'], calls.filter((line) => line.includes('--expect'))],
  ]) {
    it(`shows commands that work with listen ${reply.join(' ')}`, limit, async (t) => {
      assert.notEqual(lines.length, 0);
      const ports = { 50000: String(await freePort()), 9464: String(await freePort()) };
      const where = ['--quiet', '--metrics', ports[9464], ports[50000]];
      const server = start(t, ['listen', ...reply, ...where]);
      await server.output(/listening on/);
      await server.output(/metrics at/);
      for (const line of lines) {
        await t.test(line, limit, async (t) => {
          const command = start(t, argumentsOf(line, ports));
          await ENDS[line.split(' ')[2]](command);
          const { code, stderr } = await command.ended();
          assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
        });
      }
    });
  }
}

if (!process.env.SOCKHOP_BRIEF) describe('the guide to the command line', testGuide);
