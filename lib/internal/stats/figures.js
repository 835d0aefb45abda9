'use strict';

/* The keys of stats() and their meanings, for metrics() and the documents. */

const { AGES } = require('./callback-ages.js');
const { COUNTERS, TRAFFIC, counter, gauge } = require('./stats.js');

/** @returns {Figure} in ms, or null */
const time = (meaning) => ({ meaning, kind: 'gauge', declared: 'number | null' });

/**
 * The keys of stats(), for the documents and for metrics().
 *
 * @type {Object<string, Figure>}
 */
const FIGURES = {
  connections: gauge('Connections that are open now'),
  connecting: gauge('Attempts to connect that are under way; always 0 for a server'),
  handshaking_connections: gauge(
    'Accepted connections whose TLS handshake is not done; always 0 for a client',
  ),
  starting_connections: gauge(
    'Accepted connections whose session has not started yet; always 0 for a client',
  ),
  ending_connections: gauge(
    'Open connections that this side has ended, and that wait for the end of the peer',
  ),
  paused_connections: gauge('Open connections that the program has paused'),
  opened_connections: counter('Connections opened'),
  handshakes: counter('TLS handshakes of opened connections'),
  ...TRAFFIC,
  receive_marks: counter(
    'Times that reading of a connection stopped at `receive_high_water_mark`, or at the mark of all connections',
  ),
  send_marks: counter('Times that the bytes that wait for a peer reached `send_high_water_mark`'),
  offline_messages: gauge('Messages that wait in the offline queue now; always 0 for a server'),
  offline_bytes: gauge('Bytes of these messages'),
  pending_requests: gauge('Requests that wait for the last packet of their answer now'),
  pending_callbacks: gauge('Callbacks that wait for an answer now'),
  ...Object.fromEntries(
    AGES.map(({ figure, seconds }) => [
      figure,
      gauge(`Those of them that have waited longer than ${seconds} s`),
    ]),
  ),
  oldest_callback: time(
    'Time that the oldest callback has waited, in milliseconds; exact to 100 ms. `null` if there is none',
  ),
  ...Object.fromEntries(COUNTERS.map((limit) => [limit.counter, counter(limit.counts)])),
  round_trip: time(
    'Time that the last answered ping took, in milliseconds; of a server, the longest of all connections. `null` before the first answer',
  ),
  last_connect_error: {
    meaning:
      'Code of the error that the last failed attempt to connect ended with, or its message if it has no code. `null` if none has failed, and for a server',
    kind: 'text',
    declared: 'string | null',
  },
};

/**
 * The keys of `stats().cluster`, which a server has with the option `cluster`.
 *
 * @type {Object<string, Figure>}
 */
const CLUSTER_FIGURES = {
  up: gauge('1 while this node reaches the broker, otherwise 0'),
  nodes: gauge('Nodes that are in the cluster now, this one included'),
  published: counter('Messages published, heartbeats excepted'),
  received: counter('Messages received from other nodes, heartbeats excepted'),
  held_bytes: gauge('Bytes that the broker has not confirmed, and 256 for each message'),
  republished: counter('Messages published again after the broker was away'),
  duplicates: counter('Messages of other nodes that had arrived before'),
  gaps: counter('Gaps in the messages of other nodes to all clients'),
  missed: counter('Messages that were lost in these gaps'),
  lost: counter('Messages that were not sent to other nodes'),
  refused: counter(
    'Messages that were not accepted: malformed, badly signed, of another kind of server, or refused by the broker',
  ),
};

module.exports = { CLUSTER_FIGURES, FIGURES };
