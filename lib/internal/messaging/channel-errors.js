'use strict';

const { describeFrame, explain, withoutStack } = require('../errors/explanations.js');
const SockhopError = require('../../SockhopError.js');

/*
 * The errors of a message channel.
 */

/**
 * A frame that is not JSON, or not the kind of message that its type names.
 *
 * It has no stack trace: making one takes most of the time, and all frames would have the same.
 *
 * @param {string} [text] the frame, if it is known
 * @param {{address?: string, port?: number}} peer
 * @returns {SockhopError} with the beginning of the frame as `data`, and `address`, `port` and
 *   `cause` if they are known
 */
function badFrame(text, { address, port }) {
  const err = withoutStack(
    () => new SockhopError('Skipping corrupted data in buffer', 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA'),
  );
  if (address !== undefined) err.address = address;
  if (port !== undefined) err.port = port;
  return text === undefined ? err : describeFrame(err, text);
}

/** @param {number} limit in bytes; Infinity if the longest string is the limit */
function messageTooLarge(limit) {
  return new SockhopError(
    limit === Number.POSITIVE_INFINITY
      ? 'The peer sent a message that is longer than a string can be; the connection is closed'
      : `The peer sent a message of more than ${limit} bytes, which is the limit here ("max_message_size"); the connection is closed`,
    'ERR_MESSAGE_TOO_LARGE',
  );
}

/** @param {number} limit in bytes */
const tooMuchEarly = (limit) =>
  new SockhopError(
    `The peer sent more than ${limit} bytes before "connect" was emitted, which is the limit here ("max_message_size" and "receive_high_water_mark"); the connection is closed`,
    'ERR_MESSAGE_TOO_LARGE',
  );

const tooManyShapes = () =>
  new SockhopError(
    'The peer has defined more shapes of objects than a connection may have; the connection is closed',
    'ERR_TOO_MANY_SHAPES',
  );

/** With `values: "rich"`: the two ends of a connection do not agree, and it is closed. */
const richRefusal = (reason, remedy) =>
  explain(
    new SockhopError(
      `The option "values" is "rich" here, and ${reason}; the connection is closed`,
      'ERR_VALUES_UNSUPPORTED',
    ),
    remedy,
  );

/** @param {{address?: string, port?: number}} peer */
const richRefused = ({ address, port }) =>
  Object.assign(
    richRefusal(
      'the peer only takes JSON',
      'Set values: "rich" on both ends, or leave it out on this one. Other versions of sockhop, and peers with ' +
        'codec: "json" or peer_type: "json", cannot take rich values.',
    ),
    address !== undefined && { address, port },
  );

/** @param {number} limit in ms */
const richTimedOut = (limit) =>
  richRefusal(
    `the peer did not say within ${limit} ms that it takes rich values`,
    'Set values: "rich" on both ends, or leave it out on this one. A client waits for "connect_timeout", a server ' +
      'for "handshake_timeout".',
  );

const richCluster = () =>
  explain(
    new SockhopError(
      'The option "values" is "rich", and "server.cluster", with its groups, and "except" of sendall() send JSON',
      'ERR_VALUES_UNSUPPORTED',
    ),
    'Leave "values" out for a server whose groups or cluster the program uses.',
  );

const richHandOver = () =>
  explain(
    new SockhopError(
      'The option "values" is "rich", and such a connection cannot be passed to another process',
      'ERR_VALUES_UNSUPPORTED',
    ),
    'Leave "values" out for connections that child.send() passes on.',
  );

const richStream = () =>
  richRefusal(
    'a socket that the server did not accept is not read, so its peer cannot announce that it takes rich values',
    'Let the server accept or adopt the connection, or leave "values" out.',
  );

const richObjectBuffer = () =>
  richRefusal(
    'the program replaced methods of ObjectBuffer, which make JSON',
    'Do not replace obj2buf() and buf2obj(), or leave "values" out.',
  );

const richPeerType = () =>
  richRefusal(
    '"_peer_type" was set to another type than "Sockhop"',
    'Leave "values" out for peers that speak bare JSON.',
  );

function noPayload(data) {
  const err = new TypeError(
    `Cannot send ${data === null || data === undefined ? data : 'an object without a constructor'}: ` +
      'the type of a message is the name of its constructor',
  );
  err.code = 'ERR_BAD_DATA';
  return err;
}

const notAnObject = () =>
  new SockhopError(
    'obj2buf called with non object type (set allow_non_objects if you want this behavior)',
    'ERR_OBJECTBUFFER_BAD_OBJECT',
  );

const OPTIONS_COME_LAST =
  "The options of a client's send() come after the callback, and limit the wait in the offline queue. How long to wait " +
  'for the answer is the option "callback_timeout" of the constructor, or "timeout" of call() and request().';

const callbackOfJsonPeer = () =>
  new SockhopError(
    'Unable to use remote callback - peer type must be Sockhop',
    'ERR_REMOTE_CALLBACK_TYPE',
  );

const callbackNotAFunction = () =>
  explain(
    new SockhopError('remote_callback must be a function', 'ERR_REMOTE_CALLBACK_TYPE'),
    OPTIONS_COME_LAST,
  );

/** @param {number} count callbacks that wait */
const tooManyCallbacks = (count) =>
  new SockhopError(
    `${count} callbacks wait for an answer already, which is the limit ("max_pending_callbacks")`,
    'ERR_TOO_MANY_CALLBACKS',
  );

/** @param {number} timeout in ms */
const callbackTimedOut = (timeout) =>
  new SockhopError(
    `A callback was not answered within ${timeout} ms ("callback_timeout")`,
    'ERR_CALLBACK_TIMEOUT',
  );

/** @param {number} count callbacks that wait when their connection ends */
const callbacksLost = (count) =>
  new SockhopError(
    `The connection ended before ${count === 1 ? 'a callback was' : `${count} callbacks were`} answered`,
    'ERR_SOCKET_DESTROYED',
  );

/** @param {number} timeout in ms */
const callTimedOut = (timeout) =>
  new SockhopError(`A call was not answered within ${timeout} ms`, 'ERR_CALLBACK_TIMEOUT');

const callUnanswered = () =>
  explain(
    new SockhopError('Socket was destroyed', 'ERR_SOCKET_DESTROYED'),
    'The connection ended before the call was answered',
  );

const replyToDestroyedSocket = () =>
  explain(
    new SockhopError('Client unable to send() - socket has been destroyed', 'ERR_SOCKET_DESTROYED'),
    'Cannot answer the callback: its connection is over',
  );

const responseTimedOut = () =>
  new SockhopError('Response stream timed out before ending', 'ERR_RESPONSE_TIMEOUT');

const responseStopped = (reason) =>
  explain(
    new SockhopError(
      `Response stream was stopped locally because ${reason}`,
      'ERR_SOCKET_DESTROYED',
    ),
    'The connection ended before the last packet of the answer arrived.',
  );

module.exports = {
  badFrame,
  callbackNotAFunction,
  callbackOfJsonPeer,
  callTimedOut,
  callUnanswered,
  callbackTimedOut,
  callbacksLost,
  messageTooLarge,
  noPayload,
  notAnObject,
  replyToDestroyedSocket,
  richCluster,
  richHandOver,
  richObjectBuffer,
  richPeerType,
  richRefused,
  richStream,
  richTimedOut,
  responseStopped,
  responseTimedOut,
  tooManyCallbacks,
  tooManyShapes,
  tooMuchEarly,
};
