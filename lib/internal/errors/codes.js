'use strict';

/*
 * Every code of an error that a program can get, with its cause and the remedy. "npm run reference"
 * writes the table of API.md and the type `SockhopErrorCode` from this table.
 * __test__/reference.test.js compares it with the sources.
 */

/**
 * @typedef {object} ErrorCode
 * @property {string} cause in Markdown, without a full stop
 * @property {string} [remedy]
 */

/** Codes of a SockhopError: @type {Object<string, ErrorCode>} */
const SOCKHOP_CODES = {
  ERR_MULTICONNECT: {
    cause: '`connect()` was called while an earlier call was in progress',
    remedy: 'Wait for the first promise',
  },
  ERR_SOCKET_DESTROYED: {
    cause:
      'There is no connection for `send()`, `call()`, `request()` or an answer, or it ended before the message was sent or the call answered. As an `error` event: callbacks with a `callback_timeout` were not answered before the connection ended',
    remedy: 'Connect, and repeat messages that the peer may not have received',
  },
  ERR_REMOTE_CALLBACK_TYPE: {
    cause: 'The callback of `send()` is not a function, or the peer speaks bare JSON',
    remedy: 'Pass a function; a JSON peer cannot answer',
  },
  ERR_REQUEST_TYPE: { cause: '`request()` to a JSON peer', remedy: 'Use `send()`' },
  ERR_NO_SOCKET: {
    cause:
      'A method of a server was called without a socket, or with a socket of another owner. Or `get_bound_address()` was called for a client without a connection, or for a server that does not listen',
    remedy: 'Pass one of `server.sockets`; connect or listen first',
  },
  ERR_BAD_DATA: {
    cause:
      'There is nothing to send: the value is `undefined`, `null` or without a constructor (a `TypeError`), or, for `server.send()`, falsy',
    remedy: 'Send an object, a string, an array...',
  },
  ERR_OBJECTBUFFER_BAD_BUFFER: {
    cause: 'The argument of `buf2obj()` is not a `Buffer`',
    remedy: 'Pass a `Buffer`',
  },
  ERR_OBJECTBUFFER_BAD_BUFFER_DATA: {
    cause: 'A received frame is not JSON or not a valid message. It was skipped',
    remedy: 'Check the peer and `terminator`; `allow_non_objects` accepts any text',
  },
  ERR_TOO_MANY_SHAPES: {
    cause:
      'The peer has defined more shapes of objects than [the codec](#the-codec) allows for a connection. The connection was closed',
    remedy: 'Check the peer: no program that uses this package does that',
  },
  ERR_VALUES_UNSUPPORTED: {
    cause:
      'The option `values` is `"rich"`, and the peer, the connection or a method of the program only supports JSON. The connection was closed, or the call had no effect',
    remedy:
      'Set `values: "rich"` on both ends or on none; the `cause` of the error has the details',
  },
  ERR_OBJECTBUFFER_BAD_OBJECT: {
    cause: 'The argument of `obj2buf()`, or of `send()` to a JSON peer, is not an object',
    remedy: 'Set `allow_non_objects`',
  },
  ERR_RESPONSE_TIMEOUT: {
    cause: 'The last packet of an answer did not arrive in time',
    remedy: 'Set a longer `timeout` for the request, or a longer `response_timeout`',
  },
  ERR_RESPONSE_SEND: {
    cause: 'A packet was sent after the last one',
    remedy: 'Call `send()` or `end()` once',
  },
  ERR_RESPONSE_ENDED: {
    cause: '`next()` on a stream that ended without another packet',
    remedy: 'Use `all()` or a loop if the number of packets is unknown',
  },
  ERR_MESSAGE_TOO_LARGE: {
    cause:
      'The peer sent a frame longer than `max_message_size`, and the connection was closed. Or a stand-in for a stream delivered more than one such frame and `receive_high_water_mark` before `connect`',
    remedy: 'Set a larger `max_message_size`, or send smaller messages',
  },
  ERR_BACKPRESSURE: {
    cause:
      'The peer does not read, and `slow_consumer` is `"drop"`: the message was not sent. Or `child.send()` was called for a connection with data that waits for the peer',
    remedy: 'Send less, or later',
  },
  ERR_SLOW_CONSUMER: {
    cause:
      'The peer does not read, and `slow_consumer` is `"disconnect"`: the connection was cut off',
    remedy: 'Set a larger `send_high_water_mark`, or let the peer read faster',
  },
  ERR_TOO_MANY_CONNECTIONS: {
    cause: 'A connection beyond `max_connections` was closed',
    remedy: 'Set a larger `max_connections`, or connect fewer clients',
  },
  ERR_TOO_MANY_CALLBACKS: {
    cause: '`max_pending_callbacks` callbacks are waiting for an answer: the message was not sent',
    remedy: 'Send later, or set `callback_timeout`',
  },
  ERR_CALLBACK_TIMEOUT: {
    cause: 'A callback got no answer within `callback_timeout`, or a call within its `timeout`',
    remedy: 'Set a longer time; an answer that arrives later is ignored',
  },
  ERR_SERVER_DRAINING: {
    cause: '`listen()` was called while `close({ grace })` waits for answers',
    remedy: 'Wait for the promise of `close()`',
  },
  ERR_OFFLINE_QUEUE_FULL: {
    cause:
      'There is no connection, and `offline_queue` messages or `offline_queue_bytes` bytes wait for one: the message was not sent',
    remedy: 'Set a larger `offline_queue`, or send less while there is no connection',
  },
  ERR_SEND_TIMEOUT: {
    cause:
      'A message waited in the offline queue longer than the `timeout` of its `send()`: it was not sent',
    remedy: 'Set a longer time, or none',
  },
  ERR_IDLE_TIMEOUT: {
    cause: 'A connection was silent for `idle_timeout` and was closed',
    remedy: 'Set a longer `idle_timeout`, or send pings',
  },
  ERR_CLUSTER_JOIN: {
    cause: '`listen()` could not join the cluster within `join_timeout`',
    remedy: 'Check that the broker is running, its address, and the permissions of the account',
  },
  ERR_CLUSTER_DENIED: {
    cause:
      'The broker refused a message or a subscription of this node: other nodes did not get the message, or a session does not get the messages of a group',
    remedy: 'Check the permissions of the account, see "Clusters" in SECURITY.md',
  },
  ERR_CLUSTER_AWAY: {
    cause:
      'The broker cannot be reached, and `hold_size` or `hold_time` is used up, or 100,000 operations are waiting. Clients of this server got the message, others did not',
    remedy: 'Send again after the event `up`',
  },
  ERR_CLUSTER_NO_NODE: {
    cause: 'The node of a session is not in the cluster. Nothing was done',
    remedy: 'Discard the id',
  },
  ERR_CLUSTER_NO_SESSION: {
    cause: 'There is no such session, or it has ended. Nothing was done',
    remedy: 'Discard the id',
  },
  ERR_CLUSTER_NODE_LOST: {
    cause: 'A node left the cluster before it confirmed an operation. It may have carried it out',
  },
  ERR_CLUSTER_TIMEOUT: {
    cause:
      'A node did not confirm an operation within `request_timeout`. It may have carried it out',
    remedy: 'Set a longer `request_timeout`',
  },
  ERR_CLUSTER_TOO_LARGE: {
    cause: 'A message exceeds `max_message_size` or the limit of the broker. No client got it',
    remedy: 'Send smaller messages, or raise the limit',
  },
  ERR_CLUSTER_GAP: {
    cause: 'Packets of an answer were lost between nodes, and the stream ended',
    remedy: 'Send the request again',
  },
  ERR_CLUSTER_CLOSED: {
    cause: 'The server is in no cluster before `listen()` and after `close()`',
    remedy: 'Call `listen()` first',
  },
};

/**
 * Codes that Node or the system uses as well, on errors of Node's classes.
 *
 * @type {Object<string, ErrorCode>}
 */
const NODE_CODES = {
  ABORT_ERR: {
    cause:
      'The signal of `connect()`, `listen()`, a call or a request was aborted. The `name` is `AbortError`, the `cause` the reason',
  },
  ETIMEDOUT: {
    cause:
      '`Timeout exceeded on connect()`: no connection within `connect_timeout`. The error has the `address` and `port`, or the path, of the attempt',
    remedy: 'Check that the server runs at that address, and whether it uses TLS',
  },
  ERR_SERVER_ALREADY_LISTEN: {
    cause: '`listen()` was called for a server that is listening',
    remedy: 'Call `listen()` once, or `close()` first',
  },
  ERR_SERVER_NOT_RUNNING: {
    cause: '`close()` was called before the server was listening',
    remedy: 'Call `listen()` again',
  },
  ERR_INVALID_ARG_TYPE: {
    cause: 'An option or argument has a wrong type (a `TypeError`)',
    remedy: 'The message names the type',
  },
  ERR_INVALID_ARG_VALUE: {
    cause: 'An option or argument has a wrong value (a `TypeError`)',
    remedy: 'The message names the values',
  },
  ERR_OUT_OF_RANGE: {
    cause: 'A number is out of range (a `RangeError`)',
    remedy: 'The message names the range',
  },
  ERR_SOCKET_BAD_PORT: {
    cause: 'A port is out of range (a `RangeError`)',
    remedy: 'The message names the range',
  },
  ERR_STREAM_WRITE_AFTER_END: {
    cause: 'The program wrote bytes to a socket that has ended, as with `net`',
    remedy: 'Do not call `write()` after `end()` or after the `end` event of the socket',
  },
  ERR_TLS_HANDSHAKE_TIMEOUT: {
    cause: 'The TLS handshake took longer than `handshake_timeout`',
    remedy: 'Set a longer `handshake_timeout`',
  },
  ERR_INVALID_HANDLE_TYPE: {
    cause: '`child.send()` was called with a connection that uses TLS (a `TypeError`)',
    remedy: 'Pass a connection without TLS',
  },
  ERR_SOCKHOP_BINDING: {
    cause:
      'There is no native binding for the platform, or it cannot be loaded; `require` throws this error',
    remedy: 'The message names the reason and the remedy',
  },
};

/**
 * Families of codes of the system and of OpenSSL, by examples.
 *
 * @type {(ErrorCode & {codes: string[]})[]}
 */
const OTHER_CODES = [
  {
    codes: [
      'ECONNREFUSED',
      'ENOENT',
      'EADDRINUSE',
      'EACCES',
      'ECONNRESET',
      'EPIPE',
      'EMFILE',
      'ENOTFOUND',
    ],
    cause:
      'A system call failed. The error is that of `net`, with `errno`, `syscall` and, where there is one, `address` and `port`',
  },
  {
    codes: ['DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    cause:
      "The peer's certificate was not accepted. The error is that of `tls`: `connect()` rejects with it, and a server emits it as `error`",
    remedy: 'Add the authority to `ca`, or use another certificate',
  },
  {
    codes: [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE',
    ],
    cause:
      'The TLS handshake failed: one end refused the other, or does not use TLS. The error is that of `tls`',
  },
];

module.exports = { NODE_CODES, OTHER_CODES, SOCKHOP_CODES };
