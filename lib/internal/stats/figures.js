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
  connecting: gauge('Attempts to connect that are in progress; always 0 for a server'),
  handshaking_connections: gauge(
    'Accepted connections whose TLS handshake is in progress; always 0 for a client',
  ),
  starting_connections: gauge(
    'Accepted connections whose session has not started yet; always 0 for a client',
  ),
  ending_connections: gauge('Open connections that this side has ended and the peer has not'),
  paused_connections: gauge('Open connections that the program has paused'),
  opened_connections: counter('Connections opened'),
  handshakes: counter('TLS handshakes of opened connections'),
  ...TRAFFIC,
  receive_marks: counter(
    'How often reading a connection stopped at `receive_high_water_mark` or at the mark of all connections',
  ),
  send_marks: counter('How often the bytes that wait for a peer reached `send_high_water_mark`'),
  offline_messages: gauge('Messages that wait in the offline queue now; always 0 for a server'),
  offline_bytes: gauge('Bytes of the messages in the offline queue now'),
  pending_requests: gauge('Requests that wait for the last packet of their answer now'),
  pending_callbacks: gauge('Callbacks that wait for an answer now'),
  ...Object.fromEntries(
    AGES.map(({ figure, seconds }) => [
      figure,
      gauge(`Callbacks that have waited longer than ${seconds} s for an answer`),
    ]),
  ),
  oldest_callback: time(
    'Time that the oldest callback has waited, in milliseconds, with an accuracy of 100 ms. `null` if no callback waits',
  ),
  ...Object.fromEntries(COUNTERS.map((limit) => [limit.counter, counter(limit.counts)])),
  round_trip: time(
    'Round-trip time of the last answered ping, in milliseconds; for a server, the longest of all connections. `null` before the first answer',
  ),
  last_connect_error: {
    meaning:
      'Error code of the last failed attempt to connect, or the message if the error has no code. `null` if no attempt has failed, and for a server',
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
  held_bytes: gauge(
    'Bytes of messages that the broker has not confirmed, plus 256 for each message',
  ),
  republished: counter('Messages published again after the broker was away'),
  duplicates: counter('Messages of other nodes that had arrived before'),
  gaps: counter('Gaps in the sequence of messages of other nodes to all clients'),
  missed: counter('Messages of other nodes to all clients that were lost'),
  lost: counter('Messages that were not sent to other nodes'),
  refused: counter(
    'Messages that were not accepted: malformed, with a wrong signature, of another kind of server, or refused by the broker',
  ),
};

module.exports = { CLUSTER_FIGURES, FIGURES };
