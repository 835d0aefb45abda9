'use strict';

/* Errors of the cluster. Each says whether the operation was carried out. */

const SockhopError = require('../../SockhopError.js');

/** The form of the codes of errors. */
const CODE = /^[A-Z][A-Z0-9_]{0,63}$/;

/** @param {Error} cause with which the engine has failed */
function notJoined(cause) {
  return new SockhopError(
    `The cluster could not be joined: ${cause?.message ?? cause}`,
    'ERR_CLUSTER_JOIN',
    { cause },
  );
}

/** @param {Error} [cause] the last error of the engine */
function notJoinedInTime(timeout, cause) {
  return new SockhopError(
    `The cluster could not be joined within ${timeout} ms ("join_timeout"): ${cause?.message ?? 'the broker does not answer'}`,
    'ERR_CLUSTER_JOIN',
    cause && { cause },
  );
}

/**
 * @param {string} prefix of the subjects of the cluster
 * @param {Error} cause the answer of the broker
 */
function denied(prefix, cause) {
  return new SockhopError(
    `The broker refuses the message or the subscription: ${cause?.message ?? cause}. The account of this node must be allowed to publish and to subscribe to all subjects or channels that begin with "${prefix}."`,
    'ERR_CLUSTER_DENIED',
    { cause },
  );
}

/** The heartbeats of a node do not come back to it, although the broker is reached. */
function notHeard() {
  return new Error(
    'The broker does not deliver the heartbeats of this node to itself: its subscriptions are lost, its account may not publish or subscribe, or its client has an option such as noEcho',
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
    `Node ${node} is gone: it is unknown whether it carried out the operation`,
    'ERR_CLUSTER_NODE_LOST',
  );
}

function timedOut(node, timeout) {
  return new SockhopError(
    `Node ${node} did not answer within ${timeout} ms ("request_timeout"): it is unknown whether it carried out the operation`,
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
 * @param {{code: string, message: string}} told the report of another node
 * @returns {SockhopError}
 */
function remoteError({ code, message }) {
  return new SockhopError(
    typeof message === 'string' ? message : 'The other node gave no reason',
    typeof code === 'string' && CODE.test(code) ? code : 'ERR_BAD_DATA',
  );
}

module.exports = {
  away,
  closed,
  notHeard,
  denied,
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
