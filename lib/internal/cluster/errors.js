'use strict';

/* Errors of the cluster. Each says whether the operation was carried out. */

const SockhopError = require('../../SockhopError.js');

/** @param {Error} cause with which the engine has given up */
function notJoined(cause) {
  return new SockhopError(
    `The cluster could not be joined: ${cause?.message ?? cause}`,
    'ERR_CLUSTER_JOIN',
    { cause },
  );
}

/** @param {Error} [cause] the last error of the engine */
function notJoinedInTime(timeout, cause) {
  const reason = cause?.message ? ` (${cause.message})` : '';
  return new SockhopError(
    `The cluster could not be joined within ${timeout} ms ("join_timeout"): the broker does not answer${reason}`,
    'ERR_CLUSTER_JOIN',
    cause && { cause },
  );
}

/** @param {string} reason the limit that is used up */
function away(reason) {
  return new SockhopError(`The message was not sent to other nodes: ${reason}`, 'ERR_CLUSTER_AWAY');
}

function noNode(node) {
  return new SockhopError(
    `Node ${node} is not in the cluster: nothing was done`,
    'ERR_CLUSTER_NO_NODE',
  );
}

function noSession(id) {
  return new SockhopError(
    `There is no session ${id}, or it has ended: nothing was done`,
    'ERR_CLUSTER_NO_SESSION',
  );
}

function nodeLost(node) {
  return new SockhopError(
    `Node ${node} is gone: whether it did the operation is unknown`,
    'ERR_CLUSTER_NODE_LOST',
  );
}

function timedOut(node, timeout) {
  return new SockhopError(
    `Node ${node} did not answer within ${timeout} ms ("request_timeout"): whether it did the operation is unknown`,
    'ERR_CLUSTER_TIMEOUT',
  );
}

function tooLarge(length, limit) {
  return new SockhopError(
    `A message of ${length} bytes is too large for the cluster, whose limit is ${limit} bytes: it was sent to no client`,
    'ERR_CLUSTER_TOO_LARGE',
  );
}

function packetsLost(node) {
  return new SockhopError(
    `Packets of an answer were lost on the way from node ${node}`,
    'ERR_CLUSTER_GAP',
  );
}

function closed() {
  return new SockhopError(
    'The server is not in its cluster: call listen() first',
    'ERR_CLUSTER_CLOSED',
  );
}

/**
 * @param {{code: string, message: string}} told by another node
 * @returns {SockhopError}
 */
function remoteError({ code, message }) {
  return new SockhopError(String(message), String(code));
}

module.exports = {
  away,
  closed,
  noNode,
  noSession,
  nodeLost,
  notJoined,
  notJoinedInTime,
  packetsLost,
  remoteError,
  timedOut,
  tooLarge,
};
