'use strict';

// All differences between the original and this package.
//
// An entry names a scenario, the source in its trace that differs, the fault of the original
// (`row`, see rows.js and MIGRATION.md), and both values. The differential run fails if a
// difference is not declared, if a declared one does not occur, or if its values differ from the
// declared ones. Patterns match messages of V8, which depend on its version.

const crash = (message) => [['uncaughtException', { error: 'TypeError', message }]];
const READ = /^Cannot (read properties|destructure property)/;

const HOSTILE = {
  null: READ,
  'an answer never asked for': /is not a function$/,
  'an answer to __proto__': /is not a function$/,
  'a request without data': READ,
  'a request that is null': READ,
  'a response without data': READ,
  'a response that is null': READ,
  'a pong without data': READ,
  'a pong that is null': READ,
  'a ping that is null': READ,
};

const destroyed = { error: 'SockhopError', code: 'ERR_SOCKET_DESTROYED' };
const timedOut = { error: 'SockhopError', code: 'ERR_RESPONSE_TIMEOUT' };
const corrupted = {
  error: 'SockhopError',
  code: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
  message: 'Skipping corrupted data in buffer',
};
const refused = { error: 'Error', message: 'not you' };
const writeOfUndefined = { error: 'TypeError', message: /^Cannot read properties of undefined/ };

const listenError = (code, text, more) => ({
  error: 'Error',
  code,
  errno: code === 'EADDRINUSE' ? -98 : -13,
  syscall: 'listen',
  ...more,
  message: text,
});

module.exports = [
  ...Object.entries(HOSTILE).flatMap(([label, message]) =>
    ['client', 'server'].map((role) => ({
      scenario: `hostile line to a ${role}: ${label}`,
      source: 'process',
      row: 'fault-one-line',
      original: crash(message),
      here: [],
    })),
  ),
  {
    scenario: 'fault: a handler that throws loses the frames behind it',
    source: 'client',
    row: 'fault-handler-throws',
    original: [[1], [2], ['next chunk']],
    here: [[1], [2], [3], [4], ['next chunk']],
  },
  {
    scenario: 'fault: an answer reaches a callback after its connection was lost',
    source: 'callback',
    row: 'fault-callbacks-kept',
    original: [['stale']],
    here: [],
  },
  {
    scenario: 'fault: one client answers what was asked of another',
    source: 'callback',
    row: 'fault-callbacks-kept',
    original: [['of the thief']],
    here: [],
  },
  {
    scenario: 'fault: close() and then listen() again',
    source: 'server',
    row: 'fault-close-listen',
    original: [['listen() again', 'fulfilled', 'listening']],
    here: [['listen() again', 'fulfilled', 'listening'], ["'connect'"], ["'receive'", 'hello']],
  },
  {
    scenario: 'fault: listen() on a port that is taken',
    source: 'promise',
    row: 'fault-port-taken',
    original: [['listen()', 'pending']],
    here: [
      [
        'listen()',
        'rejected',
        listenError('EADDRINUSE', 'listen EADDRINUSE: address already in use 127.0.0.1:<port>', {
          address: '127.0.0.1',
          port: '<port>',
        }),
      ],
    ],
  },
  {
    scenario: 'listen(): a path that cannot be is an error event with nulls',
    source: 'promise',
    row: 'fault-port-taken',
    original: [['listen()', 'pending']],
    here: [
      [
        'listen()',
        'rejected',
        listenError('EACCES', 'listen EACCES: permission denied <dir>/missing/directory', {
          address: '<dir>/missing/directory',
          port: -1,
        }),
      ],
    ],
  },
  ...['rejects', 'throws'].flatMap((how) => [
    {
      scenario: `fault: session.start() ${how}`,
      source: 'process',
      row: 'fault-start-rejects',
      original: [['unhandledRejection', refused]],
      here: [],
    },
    {
      scenario: `fault: session.start() ${how}`,
      source: 'raw',
      row: 'fault-start-rejects',
      original: [['ended', false]],
      here: [['ended', true]],
    },
    {
      scenario: `fault: session.start() ${how}`,
      source: 'error',
      row: 'fault-start-rejects',
      original: [],
      here: how === 'rejects' ? [[refused, true, true]] : [[refused]],
    },
  ]),
  {
    scenario: 'fault: a client that was only constructed keeps the process alive',
    source: 'client',
    row: 'fault-process-alive',
    original: [['timers that keep the process alive', 1]],
    here: [['timers that keep the process alive', 0]],
  },
  {
    scenario: 'fault: ssl_options with exactly one key are ignored',
    source: 'first byte',
    row: 'fault-ssl-one-key',
    original: [['{']],
    here: [['a TLS handshake']],
  },
  {
    scenario: 'fault: a terminator that is no ASCII corrupts every second frame',
    source: 'client',
    row: 'fault-terminator',
    original: [
      ["'error'", corrupted],
      ["'error'", corrupted],
      ["'error'", corrupted],
      ["'receive'", 1, { type: 'N' }],
    ],
    here: [1, 2, 3, 4].map((n) => ["'receive'", n, { type: 'N' }]),
  },
  {
    scenario: 'fault: an empty terminator never returns',
    source: 'buffer',
    row: 'fault-terminator',
    original: [['an empty terminator', 'threw', { error: 'Error', message: 'does not return' }]],
    here: [
      [
        'an empty terminator',
        'threw',
        { error: 'TypeError', code: 'ERR_INVALID_ARG_VALUE', message: /terminator/ },
      ],
    ],
  },
  {
    scenario: 'fault: send() in flight when the connection dies',
    source: 'send()',
    row: 'fault-send-in-flight',
    original: [['fulfilled']],
    here: [['rejected', destroyed]],
  },
  {
    scenario: 'fault: next() and all() of a stream that timed out',
    source: 'next',
    row: 'fault-stream-timeout',
    original: [
      ['next()', 'pending'],
      ['next() after the end', 'pending'],
    ],
    here: [
      ['next()', 'rejected', timedOut],
      ['next() after the end', 'rejected', timedOut],
    ],
  },
  {
    scenario: 'fault: next() and all() of a stream that timed out',
    source: 'all',
    row: 'fault-stream-timeout',
    original: [
      ['all()', 'fulfilled', [{ data: 'part', type: 'S' }]],
      ['all() after the end', 'pending'],
    ],
    here: [
      ['all()', 'rejected', timedOut],
      ['all() after the end', 'rejected', timedOut],
    ],
  },
  {
    scenario: 'fault: next() and all() of a stream whose connection is lost',
    source: 'next',
    row: 'fault-stream-timeout',
    original: [['next()', 'pending']],
    here: [['next()', 'rejected', destroyed]],
  },
  {
    scenario: 'fault: next() and all() of a stream whose connection is lost',
    source: 'all',
    row: 'fault-stream-timeout',
    original: [['all()', 'fulfilled', []]],
    here: [['all()', 'rejected', destroyed]],
  },
  {
    scenario: 'fault: send() and request() before the first connect()',
    source: 'client',
    row: 'fault-send-before-connect',
    original: [
      ['send()', 'rejected', writeOfUndefined],
      ['request()', 'rejected', writeOfUndefined],
    ],
    here: [
      ['send()', 'rejected', destroyed],
      ['request()', 'rejected', destroyed],
    ],
  },
  {
    scenario: 'fault: port 0 becomes 50000',
    source: 'server',
    row: 'fault-port-0',
    original: [['port 0 is', 50000]],
    here: [['port 0 is', 0]],
  },
  {
    scenario: 'fault: sendall() skips the client behind a dead one',
    source: 'client 1',
    row: 'fault-sendall-skips',
    original: [[['{"type":"String","data":"marker"}']]],
    here: [[['{"type":"String","data":"to all"}', '{"type":"String","data":"marker"}']]],
  },
  {
    scenario: 'fault: a bad frame ends a program that has no error listener',
    source: 'process',
    row: 'fault-one-line',
    original: [['uncaughtException', corrupted]],
    here: [],
  },
  {
    scenario: 'fault: the errors of a chunk come before its objects, without the session',
    source: 'server',
    row: 'fault-error-order',
    original: [
      ["'error'", corrupted, '<its socket>', null],
      ["'receive'", 'before'],
      ["'receive'", 'behind'],
    ],
    here: [
      ["'receive'", 'before'],
      ["'error'", corrupted, '<its socket>', '<its session>'],
      ["'receive'", 'behind'],
    ],
  },
  {
    scenario: 'fault: a path that is not there is an error event beside the rejection',
    source: 'event',
    row: 'fault-connect-twice',
    original: [
      [
        {
          error: 'Error',
          code: 'ENOENT',
          errno: -2,
          syscall: 'connect',
          address: '<dir>/absent',
          message: 'connect ENOENT <dir>/absent',
        },
      ],
    ],
    here: [],
  },
  {
    scenario: 'fault: kill_socket() twice is two disconnect events',
    source: 'server',
    row: 'fault-disconnect-twice',
    original: [["'disconnect'"], ["'disconnect'"]],
    here: [["'disconnect'"]],
  },
  {
    scenario: 'fault: a session that calls super() without arguments has no socket',
    source: 'session',
    row: 'fault-bare-super',
    original: [[false, false]],
    here: [[true, true]],
  },
  // A stream whose connection ended has an error with a code.
  ...['client', 'server', 'session'].map((role) => ({
    scenario: `${role}.request(): the stream ends with the connection`,
    source: 'stream',
    row: 'fault-stream-timeout',
    original: [
      [
        "'end'",
        { error: 'SockhopError', message: 'Response stream was stopped locally because stopped' },
      ],
      [true, 0],
    ],
    here: [
      ["'end'", destroyed],
      [true, 0],
    ],
  })),
];
