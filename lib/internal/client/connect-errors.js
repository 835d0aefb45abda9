'use strict';

const { isIPv6 } = require('node:net');

const SockhopError = require('../../SockhopError.js');
const { explain } = require('../errors/explanations.js');
const { ErrorKind } = require('../native/classes.js');
const { systemError } = require('../errors/system-errors.js');

/**
 * Codes with which the call of connect(2) itself fails. The socket has no address of its own then,
 * and Node adds that to the message.
 */
const AT_ONCE = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EINVAL', 'EACCES', 'EPERM'];

/**
 * @param {{path?: string, address?: string, port?: number}} endpoint
 * @param {ErrorKind} kind
 * @param {number} errno positive
 * @param {string} syscall
 * @returns {Error} why the endpoint could not be connected to, as Node reports it
 */
function endpointError({ path, address, port }, kind, errno, syscall) {
  const err = systemError(-errno, syscall, path ?? address, port);
  if (kind === ErrorKind.ConnectedToItself) {
    err.message += ': no server listens there, and TCP had connected the client to its own port';
  } else if (!path && AT_ONCE.includes(err.code)) {
    err.message += ` - Local (${isIPv6(address) ? '::' : '0.0.0.0'}:0)`;
  }
  return err;
}

/**
 * @param {object[]} endpoints
 * @param {Array} failures an index into the endpoints, and the kind, the errno and the syscall of
 *   the error, for each endpoint that failed
 * @returns {Error} why the attempt failed: for several endpoints an AggregateError with the code of
 *   the first, as Node reports it
 */
function attemptError(endpoints, failures) {
  const errors = [];
  for (let at = 0; at < failures.length; at += 4) {
    const [index, ...error] = failures.slice(at, at + 4);
    errors.push(endpointError(endpoints[index], ...error));
  }
  if (errors.length === 1) return errors[0];
  const err = new AggregateError(errors, errors.map(({ message }) => message).join(', '));
  err.code = errors[0].code;
  return err;
}

/**
 * @param {Error[]} errors of the servers that a client has tried
 * @returns {Error} for several servers an AggregateError with the code of the first
 */
function serversFailed(errors) {
  if (errors.length === 1) return errors[0];
  const err = new AggregateError(errors, errors.map(({ message }) => message).join('; '));
  err.code = errors[0].code;
  return err;
}

const noServer = () =>
  explain(
    new SockhopError('Socket was destroyed', 'ERR_SOCKET_DESTROYED'),
    'The client could not connect to any of its servers',
  );

const timedOut = () => new Error('Timeout exceeded on connect()');

const cancelled = () =>
  new SockhopError('The attempt to connect was cancelled', 'ERR_SOCKET_DESTROYED');

const disconnected = () =>
  new SockhopError('disconnect() was called while connecting', 'ERR_SOCKET_DESTROYED');

const alreadyConnecting = () =>
  new SockhopError(
    'You have already called connect() once. Still trying to connect!',
    'ERR_MULTICONNECT',
  );

const notConnected = () =>
  explain(
    new SockhopError('Client unable to send() - socket has been destroyed', 'ERR_SOCKET_DESTROYED'),
    'The client is not connected',
  );

/**
 * @param {number} length messages that wait
 * @param {number} bytes of them
 */
const offlineQueueFull = (length, bytes) =>
  new SockhopError(
    `The message was not sent: there is no connection, and ${length} messages of ${bytes} bytes wait for one already ("offline_queue", "offline_queue_bytes")`,
    'ERR_OFFLINE_QUEUE_FULL',
  );

/** @param {number} ms */
const waitedTooLong = (ms) =>
  new SockhopError(
    `The message was not sent: it waited for a connection for ${ms} ms ("timeout")`,
    'ERR_SEND_TIMEOUT',
  );

const discarded = () =>
  explain(
    new SockhopError('Socket was destroyed', 'ERR_SOCKET_DESTROYED'),
    'disconnect() was called while the message waited for a connection',
  );

module.exports = {
  alreadyConnecting,
  attemptError,
  cancelled,
  discarded,
  disconnected,
  noServer,
  notConnected,
  offlineQueueFull,
  serversFailed,
  timedOut,
  waitedTooLong,
};
