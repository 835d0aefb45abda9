'use strict';

const { AGES } = require('./callback-ages.js');
const { OPTIONS } = require('../options/table.js');

/**
 * A figure of stats().
 *
 * @typedef {object} Figure
 * @property {string} meaning in Markdown, without a full stop
 * @property {'counter'|'gauge'|'text'} kind a counter only grows
 * @property {string} [declared] its type in index.d.ts, where that is not `number`
 */

/** @returns {Figure} */
const counter = (meaning) => ({ meaning, kind: 'counter' });
/** @returns {Figure} */
const gauge = (meaning) => ({ meaning, kind: 'gauge' });
/** @returns {Figure} in ms, or null */
const time = (meaning) => ({ meaning, kind: 'gauge', declared: 'number | null' });

/**
 * Figures that connections keep, and that a client or server adds up.
 *
 * @type {Object<string, Figure>}
 */
const TRAFFIC = {
  messages_received: counter('Messages received'),
  messages_sent: counter('Messages sent'),
  bytes_received: counter('Bytes received'),
  bytes_sent: counter('Bytes sent'),
  queued_bytes: gauge('Bytes that wait to be sent now'),
  unread_bytes: gauge(
    'Received bytes that wait to be delivered now, each message with 32 bytes in addition to its text',
  ),
  loop_connections: gauge('Open connections that the event loop reads'),
  thread_connections: gauge('Open connections that the I/O threads read'),
};

/** Counters of errors that belong to no option, each with the code that it counts. */
const OTHER_COUNTERS = [
  {
    error: 'ERR_OBJECTBUFFER_BAD_BUFFER_DATA',
    counter: 'bad_frames',
    counts: 'Frames that are not JSON, or do not have the form of their kind of message',
  },
  {
    counter: 'lost_callbacks',
    counts: 'Callbacks and calls that were not answered before their connection ended',
  },
  {
    counter: 'failed_handshakes',
    counts:
      'TLS handshakes of clients that failed, for any reason, those of `handshake_timeouts` included; always 0 for a client',
  },
  {
    counter: 'reconnect_attempts',
    counts: 'Attempts of `auto_reconnect`; always 0 for a server',
  },
  {
    counter: 'cut_connections',
    counts:
      'Connections that `close({ grace })` has cut at the end of the grace period; always 0 for a client',
  },
  {
    counter: 'failed_reconnects',
    counts: 'Attempts of `auto_reconnect` that failed, for any reason; always 0 for a server',
  },
];

/** The counters of limits, from the table of options, and those of other errors. */
const COUNTERS = [...OPTIONS.flatMap(({ limits = [] }) => limits), ...OTHER_COUNTERS];

for (const { counter: name, counts, isTraffic } of COUNTERS) {
  if (isTraffic) TRAFFIC[name] = counter(counts);
}

/** The figure that counts the errors of a code: @type {Map<string, string>} */
const counterOf = new Map(
  COUNTERS.filter(({ error, isTraffic }) => error && !isTraffic).map((limit) => [
    limit.error,
    limit.counter,
  ]),
);

/** How often each limit of a client or server was met since it was made. */
class LimitCounters {
  constructor() {
    for (const { counter: name, isTraffic } of COUNTERS) if (!isTraffic) this[name] = 0;
  }

  /**
   * Counts an error, if its code has a counter.
   *
   * @param {Error} err
   * @returns {Error} the same
   */
  count(err) {
    const name = counterOf.get(err?.code);
    if (name !== undefined) this[name] += 1;
    return err;
  }
}

const TRAFFIC_NAMES = Object.keys(TRAFFIC);
/** Copied by spreading, which takes a fifth of the time of `Object.fromEntries()`. */
const NO_TRAFFIC = { ...Object.fromEntries(TRAFFIC_NAMES.map((name) => [name, 0])) };

/**
 * Adds the figures of a connection to a sum, in place.
 *
 * @param {object} total
 * @param {object} figures
 */
function addTraffic(total, figures) {
  for (const name of TRAFFIC_NAMES) total[name] += figures[name] ?? 0;
}

/**
 * Adds up the figures of connections.
 *
 * @param {Iterable<?object>} figures one object for each connection; null entries are skipped
 * @returns {object}
 */
function sumTraffic(figures) {
  const total = { ...NO_TRAFFIC };
  for (const one of figures) if (one) addTraffic(total, one);
  return total;
}

/** @returns {object} the figures of connections that are over: nothing waits for them any more */
function pastTraffic(total) {
  const past = { ...total };
  for (const name of TRAFFIC_NAMES) if (TRAFFIC[name].kind === 'gauge') past[name] = 0;
  return past;
}

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

module.exports = { CLUSTER_FIGURES, FIGURES, LimitCounters, addTraffic, pastTraffic, sumTraffic };
