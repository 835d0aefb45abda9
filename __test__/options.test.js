'use strict';

const assert = require('node:assert/strict');
const { constants } = require('node:buffer');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const test = require('node:test');

const {
  nativeSettings,
  normalizeClientOptions: client,
  normalizeRequestOptions: request,
  normalizeServerOptions,
} = require('../lib/internal/options/options.js');

class DefaultSession {
  async start() {}
  async end() {}
  static _from_socket() {}
}
const server = (opts) =>
  normalizeServerOptions(opts, { defaults: { session_type: DefaultSession } });

/** The error `normalize` throws for `opts`; that it throws one is part of the test. */
function rejection(normalize, opts) {
  try {
    normalize(opts);
  } catch (err) {
    return err;
  }
  return assert.fail('no error was thrown');
}

test('a client without options gets all defaults', () => {
  const expected = {
    path: null,
    address: '127.0.0.1',
    port: 50000,
    ssl: false,
    ssl_options: {},
    auto_reconnect_interval: 2000,
    addresses: null,
    address_order: 'in_order',
    auto_reconnect_factor: 1,
    auto_reconnect_max_interval: 30_000,
    auto_reconnect_jitter: 0,
    offline_queue: 0,
    offline_queue_bytes: 16 * 1024 * 1024,
    connect_timeout: 5000,
    response_timeout: 30000,
    peer_type: 'Sockhop',
    terminator: ['\n', '\n'],
    allow_non_objects: false,
    debug: false,
    max_message_size: 134217728,
    max_pending_callbacks: 1000000,
    callback_timeout: 0,
    handshake_timeout: 120000,
    idle_timeout: 0,
    receive_high_water_mark: 1048576,
    send_high_water_mark: 16777216,
    slow_consumer: 'wait',
    codec: 'auto',
    values: 'json',
  };
  assert.deepEqual(client(), expected);
  assert.deepEqual(client({}), expected);
});

test('a server without options gets all defaults', () => {
  const expected = {
    path: null,
    address: '127.0.0.1',
    port: 50000,
    ssl: false,
    ssl_options: {},
    allow_half_open: false,
    response_timeout: 30000,
    peer_type: 'Sockhop',
    terminator: ['\n', '\n'],
    allow_non_objects: false,
    debug: false,
    session_type: DefaultSession,
    cluster: null,
    max_message_size: 134217728,
    max_connections: Number.POSITIVE_INFINITY,
    max_pending_callbacks: 1000000,
    callback_timeout: 0,
    handshake_timeout: 120000,
    max_handshakes: 512,
    idle_timeout: 0,
    receive_high_water_mark: 1048576,
    send_high_water_mark: 16777216,
    slow_consumer: 'wait',
    codec: 'auto',
    values: 'json',
  };
  assert.deepEqual(server(), expected);
  assert.deepEqual(server({}), expected);
});

for (const [side, normalize] of Object.entries({ client, server })) {
  for (const falsy of [undefined, null, false, Number.NaN]) {
    test(`${falsy} means the default for every option of a ${side}`, () => {
      const defaults = normalize();
      const opts = Object.fromEntries(Object.keys(defaults).map((name) => [name, falsy]));
      assert.deepEqual(normalize(opts), defaults);
    });
  }

  test(`a ${side} keeps its options`, () => {
    const given = {
      path: '/run/a.sock',
      address: '::1',
      port: 6000,
      response_timeout: 1,
      terminator: ['\n', '\0'],
      allow_non_objects: true,
      max_message_size: 1,
      max_pending_callbacks: 2,
      callback_timeout: 3,
      handshake_timeout: 4,
      idle_timeout: 5,
      receive_high_water_mark: 6,
      send_high_water_mark: 7,
      slow_consumer: 'disconnect',
    };
    const seen = normalize(given);
    for (const [name, value] of Object.entries(given)) assert.deepEqual(seen[name], value, name);
  });

  test(`a ${side} ignores options it does not know`, () => {
    assert.deepEqual(normalize({ colour: 'red', Port: 70000 }), normalize());
  });

  for (const port of [1, 65535, '1', '8080', ' 8080 ', '0x1F90']) {
    test(`the port ${JSON.stringify(port)} of a ${side} is read as net reads it`, () => {
      assert.equal(normalize({ port }).port, Number(port));
    });
  }

  for (const port of [
    70000,
    65536,
    -1,
    1.5,
    'http',
    ' ',
    '-1',
    '70000',
    Infinity,
    {},
    [80],
    true,
    5n,
  ]) {
    test(`the port ${typeof port} ${String(port)} of a ${side} is refused like net does`, () => {
      const err = rejection(normalize, { port });
      assert.ok(err instanceof RangeError);
      assert.equal(err.code, 'ERR_SOCKET_BAD_PORT');
      assert.match(
        err.message,
        /^The "options\.port" property must be an integer >= 0 and < 65536/,
      );
      assert.throws(() => net.createServer().listen({ port: port, host: '127.0.0.1' }).close());
    });
  }

  test(`the error for a port names the received value and the remedy (${side})`, () => {
    assert.equal(
      rejection(normalize, { port: 70000 }).message,
      'The "options.port" property must be an integer >= 0 and < 65536 (left out, it is 50000; for a Unix ' +
        'socket set "path" instead). Received type number (70000)',
    );
  });

  for (const [name, value] of [
    ['address', 5],
    ['address', {}],
    ['path', 8080],
    ['path', Buffer.from('/run/a.sock')],
    ['path', () => {}],
  ]) {
    test(`a ${side} takes no ${typeof value} for its ${name}`, () => {
      const err = rejection(normalize, { [name]: value });
      assert.ok(err instanceof TypeError);
      assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
      assert.match(
        err.message,
        new RegExp(`^The "options\\.${name}" property must be a string.*Received `),
      );
    });
  }

  test(`a path of a ${side} may begin with a NUL and contain no other`, () => {
    assert.equal(normalize({ path: '\0abstract' }).path, '\0abstract');
    const err = rejection(normalize, { path: '/run/a\0.sock' });
    assert.ok(err instanceof TypeError);
    assert.equal(err.code, 'ERR_INVALID_ARG_VALUE');
  });

  for (const [terminator, expected] of [
    ['\r\n', ['\r\n', '\r\n']],
    ['é', ['é', 'é']],
    [
      ['\n', '\0'],
      ['\n', '\0'],
    ],
    [0, ['\n', '\n']],
  ]) {
    test(`the terminator ${JSON.stringify(terminator)} of a ${side} is understood`, () => {
      assert.deepEqual(normalize({ terminator }).terminator, expected);
    });
  }

  for (const terminator of [
    5,
    {},
    true,
    Buffer.from('\n'),
    [],
    ['\n'],
    ['\n', 5],
    [null, '\n'],
    '',
    ['\n', ''],
    ['', '\n'],
  ]) {
    test(`the terminator ${JSON.stringify(terminator)} of a ${side} is refused`, () => {
      const err = rejection(normalize, { terminator });
      assert.ok(err instanceof TypeError);
      assert.match(err.code, /^ERR_INVALID_ARG_(TYPE|VALUE)$/);
      assert.match(
        err.message,
        /^The "options\.terminator" property must be a string that is not empty/,
      );
      assert.match(err.message, /Received /);
    });
  }

  test(`a ${side} does not return the array that it was given`, () => {
    const terminator = ['\n', '\0'];
    const normal = normalize({ terminator });
    terminator[0] = 'changed';
    assert.deepEqual(normal.terminator, ['\n', '\0']);
  });

  for (const [peer_type, expected] of [
    ['json', 'json'],
    ['Sockhop', 'Sockhop'],
    ['JSON', 'Sockhop'],
    ['SockhopClient', 'Sockhop'],
    [5, 'Sockhop'],
  ]) {
    test(`the peer type ${peer_type} of a ${side} means ${expected}`, () => {
      assert.equal(normalize({ peer_type }).peer_type, expected);
    });
  }

  test(`allow_non_objects of a ${side} is on for true and nothing else`, () => {
    assert.equal(normalize({ allow_non_objects: true }).allow_non_objects, true);
    assert.equal(normalize({ allow_non_objects: 'yes' }).allow_non_objects, false);
  });

  const times = ['response_timeout', 'callback_timeout', 'handshake_timeout', 'idle_timeout'];
  if (side === 'client') times.push('auto_reconnect_interval', 'connect_timeout');
  for (const name of times) {
    test(`${name} of a ${side} is a time a timer can wait`, () => {
      for (const good of [1, 0.5, 2147483647, '250']) {
        assert.equal(normalize({ [name]: good })[name], Number(good));
      }
      for (const bad of [-1, 2147483648, Number.POSITIVE_INFINITY, 'soon']) {
        const err = rejection(normalize, { [name]: bad });
        assert.ok(err instanceof RangeError);
        assert.equal(err.code, 'ERR_OUT_OF_RANGE');
        assert.ok(
          err.message.startsWith(`The "options.${name}" property must be a number of milliseconds`),
        );
        assert.ok(err.message.includes(String(bad)), err.message);
      }
      for (const bad of [{}, true, [5], () => {}]) {
        const err = rejection(normalize, { [name]: bad });
        assert.ok(err instanceof TypeError);
        assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
      }
    });
  }

  const counts = [
    'max_message_size',
    'max_pending_callbacks',
    'receive_high_water_mark',
    'send_high_water_mark',
  ];
  if (side === 'server') counts.push('max_connections');
  for (const name of counts) {
    test(`${name} of a ${side} is a whole number, or Infinity`, () => {
      assert.equal(normalize({ [name]: 7 })[name], 7);
      assert.equal(normalize({ [name]: '7' })[name], 7);
      assert.ok(
        normalize({ [name]: Number.POSITIVE_INFINITY })[name] >= constants.MAX_STRING_LENGTH,
      );
      for (const bad of [-1, 1.5, 'many']) {
        const err = rejection(normalize, { [name]: bad });
        assert.ok(err instanceof RangeError);
        assert.equal(err.code, 'ERR_OUT_OF_RANGE');
        assert.ok(err.message.startsWith(`The "options.${name}" property must be a number of `));
      }
      const err = rejection(normalize, { [name]: {} });
      assert.ok(err instanceof TypeError);
      assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
    });
  }

  test(`a message for a ${side} may be as long as a string can be, and no longer`, () => {
    const longest = constants.MAX_STRING_LENGTH;
    assert.equal(normalize({ max_message_size: longest }).max_message_size, longest);
    assert.equal(
      normalize({ max_message_size: Number.POSITIVE_INFINITY }).max_message_size,
      longest,
    );
    assert.equal(rejection(normalize, { max_message_size: longest + 1 }).code, 'ERR_OUT_OF_RANGE');
  });

  test(`slow_consumer of a ${side} is one of three policies`, () => {
    for (const slow_consumer of ['wait', 'drop', 'disconnect']) {
      assert.equal(normalize({ slow_consumer }).slow_consumer, slow_consumer);
    }
    const err = rejection(normalize, { slow_consumer: 'ignore' });
    assert.ok(err instanceof TypeError);
    assert.equal(err.code, 'ERR_INVALID_ARG_VALUE');
    assert.match(err.message, /"wait", "drop", "disconnect".*Received type string \('ignore'\)/);
  });

  for (const opts of [null, 5, 'localhost', () => {}]) {
    test(`a ${side} takes no ${opts === null ? 'null' : typeof opts} for its options`, () => {
      const err = rejection(normalize, opts);
      assert.ok(err instanceof TypeError);
      assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
      assert.match(err.message, /^The "options" argument must be an object/);
    });
  }

  test(`a long value does not fill the message of the error (${side})`, () => {
    assert.ok(rejection(normalize, { port: 'x'.repeat(10_000) }).message.length < 300);
  });
}

/** The options that a section of API.md lists, with the defaults that it states. */
function documented(heading) {
  const text = fs.readFileSync(path.join(__dirname, '..', 'API.md'), 'utf8');
  const [, section] = text.split(`\n${heading}\n`);
  const [table] = section.split(/\n#+ /);
  return new Map(
    [...table.matchAll(/^\| `(\w+)` \| [^|]+ \| ([^|]+) \|/gm)].map(([, name, value]) => [
      name,
      value,
    ]),
  );
}

for (const [side, normalize, heading] of [
  ['client', client, '### new SockhopClient([options])'],
  ['server', server, '### new SockhopServer([options])'],
]) {
  test(`the API document lists every option of a ${side} with its default`, () => {
    const listed = new Map([...documented(heading), ...documented('## Limits')]);
    if (side === 'client') {
      for (const name of ['max_connections', 'max_handshakes']) listed.delete(name);
    }
    listed.delete('captureRejections'); // of EventEmitter, which takes it
    const defaults = normalize();
    assert.deepEqual([...listed.keys()].sort(), Object.keys(defaults).sort());
    for (const [name, value] of Object.entries(defaults)) {
      const shown = listed.get(name).replace(/^`([^`]*)`.*$/, '$1');
      const expected = {
        path: 'none',
        addresses: 'none',
        cluster: 'none',
        session_type: 'SockhopSession',
        ssl_options: '{}',
        terminator: '"\\n"',
      }[name];
      const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
      assert.equal(shown, expected ?? text, name);
    }
  });
}

test('the native settings have the fields that the native side declares, and no other', () => {
  const source = fs.readFileSync(path.join(__dirname, '..', 'src', 'node', 'options.rs'), 'utf8');
  const [, struct] = /pub struct ConnectionOptions \{(.*?)\n\}/s.exec(source);
  const fields = [...struct.matchAll(/^ {4}pub (\w+):/gm)].map(([, name]) =>
    name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase()),
  );
  assert.ok(fields.length >= 8);
  assert.deepEqual(Object.keys(nativeSettings(client())).sort(), fields.sort());
  assert.deepEqual(Object.keys(nativeSettings(server())).sort(), fields.sort());
});

test('port 0 is an ephemeral port for a server and the default for a client', () => {
  assert.equal(server({ port: 0 }).port, 0);
  assert.equal(server({ port: '0' }).port, 0);
  assert.equal(client({ port: 0 }).port, 50000);
});

test('ssl is on if it is asked for, or if there is any option for it', () => {
  assert.equal(client({ ssl: true }).ssl, true);
  assert.equal(client({ ssl_options: { ca: 'x' } }).ssl, true);
  assert.equal(client({ ssl_options: {} }).ssl, false);
  const ssl_options = { ca: 'x', servername: 'y' };
  assert.equal(client({ ssl: false, ssl_options }).ssl, true);
  assert.equal(client({ ssl_options }).ssl_options, ssl_options);
});

for (const ssl_options of ['ca.pem', 5, true, ['ca.pem']]) {
  test(`ssl_options cannot be ${JSON.stringify(ssl_options)}`, () => {
    const err = rejection(client, { ssl_options });
    assert.ok(err instanceof TypeError);
    assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
    assert.match(err.message, /"options\.ssl_options".*tls\.connect/);
  });
}

test('a session type extends the default one', () => {
  class Mine extends DefaultSession {}
  assert.equal(server({ session_type: Mine }).session_type, Mine);
  assert.equal(server({ session_type: DefaultSession }).session_type, DefaultSession);
});

test('a session type may be another class or object with the same function', () => {
  class Elsewhere {
    async start() {}
    async end() {}
    static async _from_socket() {}
  }
  assert.equal(server({ session_type: Elsewhere }).session_type, Elsewhere);
});

class NoStatic {
  async start() {}
  async end() {}
}
for (const session_type of [Map, NoStatic, new DefaultSession(), 'Session', () => {}, {}, 5]) {
  test(`${String(session_type).slice(0, 30)} is no session type`, () => {
    const err = rejection(server, { session_type });
    assert.ok(err instanceof TypeError);
    assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
    assert.match(err.message, /^The "options\.session_type" property must be a session class/);
    assert.match(err.message, /Received /);
  });
}

test('the error of a getter that throws is passed on', () => {
  const opts = {
    get port() {
      throw new Error('of the program');
    },
  };
  assert.throws(() => client(opts), /of the program/);
});

test('a request may have a time-out and a signal, or nothing', () => {
  const { signal } = new AbortController();
  assert.deepEqual(request(), { timeout: undefined, signal: undefined });
  assert.deepEqual(request(null), { timeout: undefined, signal: undefined });
  assert.deepEqual(request({ timeout: 0 }), { timeout: undefined, signal: undefined });
  assert.deepEqual(request({ timeout: 5, signal }), { timeout: 5, signal });
});

test('a request takes no other time-out and no other signal', () => {
  assert.equal(rejection(request, { timeout: -1 }).code, 'ERR_OUT_OF_RANGE');
  assert.equal(rejection(request, { timeout: {} }).code, 'ERR_INVALID_ARG_TYPE');
  const err = rejection(request, { signal: {} });
  assert.equal(err.code, 'ERR_INVALID_ARG_TYPE');
  assert.match(err.message, /"options\.signal".*AbortSignal.*Received an instance of Object/);
});
