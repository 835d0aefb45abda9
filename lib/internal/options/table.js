'use strict';

/*
 * Every option of the package. Checks, defaults, the settings of the native side and the counters
 * of stats() are derived from this table. "npm run reference" writes the tables of API.md and the
 * interfaces of index.d.ts from it.
 */

const { constants } = require('node:buffer');

const { CALL_OPTIONS } = require('./call-table.js');
const { LISTEN_OPTIONS } = require('./listen-table.js');

const KIB = 1024;
const MIB = 1024 * KIB;

const CLIENT = ['client'];
const SERVER = ['server'];
const CLUSTER = ['cluster'];
const BOTH = ['client', 'server'];

const same = (value) => value;

/**
 * An event at a limit that an option sets.
 *
 * @typedef {object} Limit
 * @property {string} error the code of its error
 * @property {string} how the way in which the program gets the error, for API.md
 * @property {string} [counter] the figure of stats() that counts it
 * @property {string} [counts] the meaning of that figure
 * @property {boolean} [isTraffic] the connection counts it; otherwise LimitCounters does, by the
 *   code of the error
 */

/**
 * @typedef {object} Option
 * @property {string} name
 * @property {string[]} takers `client`, `server`, `connect()`, `listen()`, `close()`, `send()`,
 *   `request()`, `call()`, `metrics()`, `ObjectBuffer`, `cluster`
 * @property {string} kind the name of a kind of values, see kinds.js
 * @property {string} meaning one sentence, in Markdown, without a full stop
 * @property {*} [default] in the form that the package uses; a function makes a new one for each
 *   taker
 * @property {string} [shown] the default in the documents, where it is not the text of the value
 * @property {string} [unit] of a count, for messages
 * @property {number} [max] of a count
 * @property {string[]} [values] of a choice
 * @property {object} [place] the defaults of each place, of several
 * @property {string} [leftOut] of a time: the value for one that is left out, if it is not the
 *   default
 * @property {string} [declared] the type in index.d.ts, where it is not that of the kind
 * @property {boolean} [isLimit] it is in the table of limits of API.md
 * @property {Limit[]} [limits]
 * @property {Object<string, function(*): *>} [native] the fields of the native settings, each from
 *   the value
 */

/** @type {Option[]} */
const OPTIONS = [
  {
    name: 'path',
    takers: BOTH,
    kind: 'path',
    default: null,
    shown: 'none',
    meaning: 'Path of a Unix socket or a named pipe. It takes precedence over `address` and `port`',
  },
  {
    name: 'address',
    takers: BOTH,
    kind: 'address',
    default: '127.0.0.1',
    meaning: 'IP address or host name to connect to or to listen on',
  },
  {
    name: 'port',
    takers: BOTH,
    kind: 'port',
    default: 50000,
    meaning:
      'TCP port, at most 65535. `0` is the default for a client, and a port that the system chooses for a server',
  },
  {
    name: 'addresses',
    takers: CLIENT,
    kind: 'addresses',
    default: null,
    shown: 'none',
    place: { address: '127.0.0.1', port: 50000 },
    meaning:
      'Several servers, see [Several servers](docs/reconnecting.md#several-servers). Each attempt to connect tries them one after another. They take precedence over `path`, `address` and `port`',
  },
  {
    name: 'address_order',
    takers: CLIENT,
    kind: 'choice',
    default: 'in_order',
    values: ['in_order', 'random'],
    declared: 'AddressOrder | null | undefined',
    meaning:
      'Order in which an attempt tries the servers of `addresses`: as they are listed, or a new random order for each attempt',
  },
  {
    name: 'ssl',
    takers: BOTH,
    kind: 'flag',
    default: false,
    meaning: 'Use TLS. `ssl_options` with any key turns TLS on as well',
  },
  {
    name: 'ssl_options',
    takers: CLIENT,
    kind: 'tlsOptions',
    default: () => ({}),
    shown: '{}',
    meaning: 'Options of `tls.connect()`, see [TLS](#tls)',
  },
  {
    name: 'ssl_options',
    takers: SERVER,
    kind: 'tlsServerOptions',
    default: () => ({}),
    shown: '{}',
    meaning: 'Options of `tls.createServer()`, see [TLS of a server](#tls-of-a-server)',
  },
  {
    name: 'session_type',
    takers: SERVER,
    kind: 'sessionType',
    // The server passes it in: the class of sessions is not a dependency of the options.
    default: undefined,
    shown: 'SockhopSession',
    meaning:
      'Class of the [session](#sockhopsession) of each connection, or an object with a function `_from_socket(sock, server)` that creates one',
  },
  {
    name: 'auto_reconnect_interval',
    takers: CLIENT,
    kind: 'milliseconds',
    default: 2000,
    meaning:
      'Time between two attempts to connect while `auto_reconnect` is on and there is no connection, counted from the construction of the client. With a factor or a jitter it is the delay of the first attempt, counted from the end of the connection',
  },
  {
    name: 'auto_reconnect_factor',
    takers: CLIENT,
    kind: 'factor',
    default: 1,
    meaning:
      'Factor by which the delay before an attempt of `auto_reconnect` grows with each attempt. A connection that lasts at least `auto_reconnect_interval` resets the delay',
  },
  {
    name: 'auto_reconnect_max_interval',
    takers: CLIENT,
    kind: 'milliseconds',
    // Made by normalizeClientOptions(), because it depends on the interval.
    default: 0,
    shown: '30000',
    leftOut: '30000, or "auto_reconnect_interval" if that is longer',
    meaning:
      'Longest delay before an attempt of `auto_reconnect`. It must not be shorter than `auto_reconnect_interval`; a longer interval raises the default',
  },
  {
    name: 'auto_reconnect_jitter',
    takers: CLIENT,
    kind: 'fraction',
    default: 0,
    meaning:
      'Random part of the delay before an attempt of `auto_reconnect`, from 0 to 1: with `0.5` each delay is between half of it and all of it, with `1` between 0 and all of it. Clients that lose their server together then do not all come back at the same moment',
  },
  {
    name: 'offline_queue',
    takers: CLIENT,
    kind: 'count',
    default: 0,
    unit: 'messages',
    max: Number.POSITIVE_INFINITY,
    meaning:
      'Number of messages that may wait while there is no connection, see [Offline](docs/reconnecting.md#offline). They are sent in order after `connect`. `0`: `send()` rejects without a connection',
    limits: [
      {
        error: 'ERR_OFFLINE_QUEUE_FULL',
        how: '`send()` rejects',
        counter: 'refused_offline_messages',
        counts: 'Messages that were not sent because the offline queue was full',
      },
    ],
  },
  {
    name: 'offline_queue_bytes',
    takers: CLIENT,
    kind: 'bytes',
    default: 16 * MIB,
    unit: 'bytes',
    max: Number.MAX_SAFE_INTEGER,
    meaning: 'Total size of the messages that may wait in the offline queue',
  },
  {
    name: 'connect_timeout',
    takers: CLIENT,
    kind: 'milliseconds',
    default: 5000,
    meaning:
      'Time that `connect()` may take, including the TLS handshake. With `addresses` it is the time for each server',
  },
  {
    name: 'allow_half_open',
    takers: SERVER,
    kind: 'flag',
    default: false,
    native: { allowHalfOpen: same },
    meaning:
      'Keep a connection open if its peer has ended its own direction but still reads, see [Half-open connections](#half-open-connections)',
  },
  {
    name: 'response_timeout',
    takers: BOTH,
    kind: 'milliseconds',
    default: 30_000,
    meaning: 'Time that a request waits for the last packet of its answer',
  },
  {
    name: 'peer_type',
    takers: BOTH,
    kind: 'peerType',
    default: 'Sockhop',
    native: { jsonMode: (type) => type === 'json' },
    meaning:
      '`"json"`: the peer speaks bare JSON, without types, callbacks and requests, see [On the wire](#on-the-wire). Any other value: the peer is a sockhop program',
  },
  {
    name: 'codec',
    takers: BOTH,
    kind: 'choice',
    default: 'auto',
    values: ['auto', 'json'],
    declared: "'auto' | 'json' | null | undefined",
    meaning:
      '`"auto"`: messages are binary if both ends of a connection use this package, see [The codec](#the-codec). `"json"`: they are always JSON',
  },
  {
    name: 'values',
    takers: BOTH,
    kind: 'choice',
    default: 'json',
    values: ['json', 'rich'],
    declared: "'json' | 'rich' | null | undefined",
    meaning:
      '`"rich"`, on both ends: Buffers, typed arrays, Dates, Maps, Sets, BigInts, `undefined`, `NaN`, infinite numbers and `-0` arrive unchanged, see [Rich values](#rich-values). `"json"`: they arrive as JSON represents them',
  },
  {
    name: 'terminator',
    takers: [...BOTH, 'ObjectBuffer'],
    kind: 'terminator',
    default: Object.freeze(['\n', '\n']),
    shown: '"\\n"',
    native: { receiveTerminator: ([receive]) => receive, transmitTerminator: ([, send]) => send },
    meaning: 'Text that ends each frame; it must not be empty',
  },
  {
    name: 'allow_non_objects',
    takers: [...BOTH, 'ObjectBuffer'],
    kind: 'strictFlag',
    default: false,
    meaning:
      '`true`: a received frame that is not JSON is delivered as a string, and values that are not objects can be sent to a JSON peer. `false`: both are errors',
  },
  {
    name: 'debug',
    takers: BOTH,
    kind: 'flag',
    default: false,
    native: { showControl: same },
    meaning: 'Emit `sending` and `received` with each message and the bytes of its frame',
  },
  {
    name: 'captureRejections',
    takers: BOTH,
    kind: 'emitterFlag',
    shown: 'EventEmitter.captureRejections',
    meaning: 'As for `EventEmitter`: emit `error` when an asynchronous handler rejects',
  },
  {
    name: 'max_message_size',
    takers: BOTH,
    kind: 'bytes',
    isLimit: true,
    default: 128 * MIB,
    unit: 'bytes',
    // A frame becomes one string, and a string of n UTF-8 bytes has at most n characters.
    max: constants.MAX_STRING_LENGTH,
    native: { maxMessageSize: same },
    meaning:
      'Length of the longest frame that is accepted, without its terminator. A longer frame closes the connection as soon as its length is certain. `Infinity` means the length of the longest string, `buffer.constants.MAX_STRING_LENGTH`',
    limits: [
      {
        error: 'ERR_MESSAGE_TOO_LARGE',
        how: '`error` event',
        counter: 'oversized_messages',
        counts: 'Messages longer than `max_message_size`',
      },
    ],
  },
  {
    name: 'max_connections',
    takers: SERVER,
    kind: 'count',
    isLimit: true,
    default: Number.POSITIVE_INFINITY,
    unit: 'connections',
    max: Number.POSITIVE_INFINITY,
    meaning:
      'Number of connections that may be open at a time, including those whose session has not started yet. Further connections are closed at once',
    limits: [
      {
        error: 'ERR_TOO_MANY_CONNECTIONS',
        how: '`error` event without a socket',
        counter: 'refused_connections',
        counts: 'Connections beyond `max_connections`; always 0 for a client',
      },
    ],
  },
  {
    name: 'max_pending_callbacks',
    takers: BOTH,
    kind: 'count',
    isLimit: true,
    default: 1_000_000,
    unit: 'callbacks',
    max: Number.POSITIVE_INFINITY,
    meaning:
      'Number of callbacks of one connection that may wait for their answers, at most 8388608',
    limits: [
      {
        error: 'ERR_TOO_MANY_CALLBACKS',
        how: '`send()` rejects',
        counter: 'refused_callbacks',
        counts: 'Messages that were not sent because of `max_pending_callbacks`',
      },
    ],
  },
  {
    name: 'callback_timeout',
    takers: BOTH,
    kind: 'milliseconds',
    isLimit: true,
    default: 0,
    meaning:
      'Time after which a callback without an answer is discarded. `0`: it waits as long as the connection lasts. With another value, an `error` event with the code `ERR_SOCKET_DESTROYED` also reports callbacks that are still waiting when the peer or the network ends the connection',
    limits: [
      {
        error: 'ERR_CALLBACK_TIMEOUT',
        how: '`error` event for each callback',
        counter: 'timed_out_callbacks',
        counts:
          'Callbacks without an answer within `callback_timeout`, and calls within their `timeout`',
      },
    ],
  },
  {
    name: 'handshake_timeout',
    takers: BOTH,
    kind: 'milliseconds',
    isLimit: true,
    default: 120_000,
    meaning: 'Time that a TLS handshake may take',
    limits: [
      {
        error: 'ERR_TLS_HANDSHAKE_TIMEOUT',
        how: '`connect()` rejects, or `error` event of a server',
        counter: 'handshake_timeouts',
        counts: 'TLS handshakes that took longer than `handshake_timeout`',
      },
    ],
  },
  {
    name: 'max_handshakes',
    takers: SERVER,
    kind: 'count',
    isLimit: true,
    default: 512,
    unit: 'handshakes',
    max: 1_000_000,
    meaning:
      'Number of TLS handshakes that may run at a time. Further clients wait for their turn, for at most `handshake_timeout`. While clients wait, a handshake that takes more than three seconds ends with `ERR_TLS_HANDSHAKE_TIMEOUT`',
  },
  {
    name: 'idle_timeout',
    takers: BOTH,
    kind: 'milliseconds',
    isLimit: true,
    default: 0,
    meaning:
      'Time without a byte in either direction after which a connection is closed. `0`: never. Pings, pongs, `sendall()` and parts of a message count as activity, as they do for `sock.setTimeout()`',
    limits: [
      {
        error: 'ERR_IDLE_TIMEOUT',
        how: '`error` event',
        counter: 'idle_timeouts',
        counts: 'Connections ended by `idle_timeout`',
      },
    ],
  },
  {
    name: 'receive_high_water_mark',
    takers: BOTH,
    kind: 'bytes',
    isLimit: true,
    default: 1 * MIB,
    unit: 'bytes',
    max: Number.MAX_SAFE_INTEGER,
    native: { receiveHighWaterMark: same },
    meaning:
      'Received bytes of one connection that may wait to be delivered. At the mark, reading stops until the program has caught up. Each message counts 32 bytes in addition to its text. All connections of a thread also share a mark of 32 MiB, and one connection may use at most half of its free part',
  },
  {
    name: 'send_high_water_mark',
    takers: BOTH,
    kind: 'bytes',
    isLimit: true,
    default: 16 * MIB,
    unit: 'bytes',
    max: Number.MAX_SAFE_INTEGER,
    native: { sendHighWaterMark: same },
    meaning:
      'Bytes of one connection that may wait to be sent before `slow_consumer` applies. A message that begins below the mark may exceed it',
  },
  {
    name: 'slow_consumer',
    takers: BOTH,
    kind: 'choice',
    isLimit: true,
    default: 'wait',
    values: ['wait', 'drop', 'disconnect'],
    declared: 'SlowConsumerPolicy | null | undefined',
    native: { slowConsumer: same },
    meaning:
      'Treatment of a peer that does not read, once `send_high_water_mark` is reached: see below',
    limits: [
      {
        error: 'ERR_BACKPRESSURE',
        how: '`send()` rejects',
        counter: 'refused_messages',
        counts: 'Messages that were not sent because of `slow_consumer`',
        isTraffic: true,
      },
      {
        error: 'ERR_SLOW_CONSUMER',
        how: '`error` event, and `send()` rejects',
        counter: 'slow_consumers',
        counts: 'Connections cut off because of `slow_consumer`',
      },
    ],
  },
  {
    name: 'cluster',
    takers: SERVER,
    kind: 'clusterOptions',
    default: null,
    shown: 'none',
    meaning:
      'An engine, or an object with an engine and other options of a cluster. Servers whose engines use the same broker act as one, see [Clusters](#clusters)',
  },
  {
    name: 'engine',
    takers: CLUSTER,
    kind: 'engine',
    shown: 'required',
    meaning: 'Passes messages between the nodes',
  },
  {
    name: 'prefix',
    takers: CLUSTER,
    kind: 'prefix',
    default: 'sockhop',
    meaning:
      'First part of every subject or channel. Clusters that share a broker need different prefixes. 1 to 32 of the characters `A-Z`, `a-z`, `0-9`, `_` and `-`',
  },
  {
    name: 'secret',
    takers: CLUSTER,
    kind: 'secret',
    default: null,
    shown: 'none',
    meaning:
      'Key that signs messages between nodes. With an array, the first key signs, and signatures of all keys are accepted',
  },
  {
    name: 'join_timeout',
    takers: CLUSTER,
    kind: 'millisecondsOrNone',
    default: 5000,
    leftOut: 'left out, it is 5000; 0: do not wait',
    meaning:
      'Time after which `listen()` rejects with `ERR_CLUSTER_JOIN` if the broker does not answer. `0`: the server listens at once and joins when it can',
  },
  {
    name: 'heartbeat_interval',
    takers: CLUSTER,
    kind: 'milliseconds',
    default: 1000,
    meaning: 'Time between heartbeats. With more than 100 nodes it is at least 10 ms for each node',
  },
  {
    name: 'node_timeout',
    takers: CLUSTER,
    kind: 'milliseconds',
    default: 3500,
    meaning:
      'Time without a message after which a node counts as gone, at least three heartbeats. Time in which this node itself could not receive does not count',
  },
  {
    name: 'request_timeout',
    takers: CLUSTER,
    kind: 'milliseconds',
    default: 5000,
    meaning:
      "Time to wait for another node to carry out an operation, without the time of the client's answer",
  },
  {
    name: 'hold_size',
    takers: CLUSTER,
    kind: 'bytes',
    default: 16 * MIB,
    unit: 'bytes',
    max: Number.MAX_SAFE_INTEGER,
    meaning:
      'Size of the messages that may wait for the broker. Each message counts 256 bytes in addition to its own',
  },
  {
    name: 'hold_time',
    takers: CLUSTER,
    kind: 'milliseconds',
    default: 30_000,
    meaning:
      'Time after the loss of the broker during which messages are held for it. Later messages are refused with `ERR_CLUSTER_AWAY`',
  },
  {
    name: 'rejoin_time',
    takers: CLUSTER,
    kind: 'milliseconds',
    default: 2000,
    meaning:
      'When the broker is back: time that held messages wait until the nodes that were there before are back as well',
  },
  {
    name: 'replay',
    takers: CLUSTER,
    kind: 'count',
    default: 0,
    unit: 'messages',
    max: 1_000_000,
    meaning:
      'Number of messages to all clients that the broker keeps. A node that lost the broker reads the messages that it missed from there, see [Replay](docs/cluster.md#replay). `0`: the broker keeps none',
  },
  {
    name: 'max_exact_groups',
    takers: CLUSTER,
    kind: 'count',
    default: 50_000,
    unit: 'groups',
    max: Number.MAX_SAFE_INTEGER,
    meaning:
      'Number of groups with a subscription of their own. Beyond it, the groups of a shard share a subscription, if the engine can subscribe to patterns',
  },
  ...LISTEN_OPTIONS,
  ...CALL_OPTIONS,
];

module.exports = { OPTIONS };
